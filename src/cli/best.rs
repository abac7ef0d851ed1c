use clap::Args;

use super::Output;

/// Show the recommended mixture
#[derive(Debug, Args)]
pub struct BestArgs {}

pub(super) fn run(args: &BestArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
