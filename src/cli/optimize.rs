use clap::Args;

use super::Output;

/// Run the whole loop, launching training jobs
#[derive(Debug, Args)]
pub struct OptimizeArgs {}

pub(super) fn run(args: &OptimizeArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
