use std::path::PathBuf;
use std::{fs, io};

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::Cli;

/// Print the manual page, or write the pages of all commands into a folder
///
/// To read it: admire man | man -l -. To install all: admire man ~/.local/share/man/man1.
#[derive(Debug, Args)]
#[command(after_help = "Example: admire man ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Where to write admire.1, admire-optimize.1, …; made where it is missing
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> anyhow::Result<u8> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        super::deliver(&String::from_utf8(page).map_err(io::Error::other)?, None)?;
        return Ok(0);
    };
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(|| format!("cannot write to {}", dir.display()))?;
    tracing::info!("wrote the manual pages to {}", dir.display());
    Ok(0)
}
