use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::text;
use crate::config::TEMPLATE;

/// Write a commented study.toml to start from
#[derive(Debug, Args)]
#[command(after_help = "Example: admire init --domains web=400e9,code=60e9 --sizes 60M,1B")]
pub struct InitArgs {
    /// The file to write; an existing file is left alone
    #[arg(default_value = "study.toml", value_name = "PATH")]
    path: PathBuf,
}

pub(super) fn run(args: &InitArgs) -> anyhow::Result<u8> {
    let path = args.path.display();
    let mut file = OpenOptions::new().write(true).create_new(true).open(&args.path).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            anyhow::anyhow!("{path} exists already; name another file, or remove it first")
        } else {
            anyhow::Error::new(error).context(format!("cannot create {path}"))
        }
    })?;
    file.write_all(TEMPLATE.as_bytes()).with_context(|| format!("cannot write {path}"))?;
    let check = [text::program(), "check".into(), "--config".into(), path.to_string()];
    tracing::info!("wrote {path}; edit it, then: {}", text::command_line(&check));
    Ok(0)
}
