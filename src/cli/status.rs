use clap::Args;

use super::Output;

/// Show the state of a study
#[derive(Debug, Args)]
pub struct StatusArgs {}

pub(super) fn run(args: &StatusArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
