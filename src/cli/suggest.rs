use clap::Args;

use super::Output;

/// Ask for the next mixture(s) to train
#[derive(Debug, Args)]
pub struct SuggestArgs {}

pub(super) fn run(args: &SuggestArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
