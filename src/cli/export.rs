use clap::Args;

use super::Output;

/// Write a study's runs as a long CSV
#[derive(Debug, Args)]
pub struct ExportArgs {}

pub(super) fn run(args: &ExportArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
