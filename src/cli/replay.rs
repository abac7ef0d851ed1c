use clap::Args;

use super::Output;

/// Simulate on logged runs: what would the search have cost?
#[derive(Debug, Args)]
pub struct ReplayArgs {}

pub(super) fn run(args: &ReplayArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
