use clap::Args;

use super::Output;

/// Write a commented study.toml to start from
#[derive(Debug, Args)]
pub struct InitArgs {}

pub(super) fn run(args: &InitArgs, output: Output) -> anyhow::Result<u8> {
    let _ = (args, output);
    anyhow::bail!("not there yet")
}
