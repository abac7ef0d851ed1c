use clap::Args;

use super::Output;

/// Validate a config and show what it means
#[derive(Debug, Args)]
pub struct CheckArgs {}

pub(super) fn run(args: &CheckArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
