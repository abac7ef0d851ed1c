//! The first config of a study, and for some trainers a training script.

mod draft;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{UsageError, text};
use crate::config::StudyConfig;
use draft::{Draft, Size, Source, Trainer};

/// Write a commented study.toml to start from, and a training script
#[derive(Debug, Args)]
#[command(after_help = "Example: admire init --domains web=400e9,code=60e9 --sizes 60M,1B --trainer hf")]
pub struct InitArgs {
    /// The file to write; an existing file is left alone
    #[arg(default_value = "study.toml", value_name = "PATH")]
    path: PathBuf,
    /// What can be mixed, each with the tokens that there are of it if they are known
    #[arg(long, value_name = "NAME[=TOKENS]", value_delimiter = ',', value_parser = Source::parse)]
    domains: Vec<Source>,
    /// Parameters of the models to train; the largest is the one that the mixture is for
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = Size::parse)]
    sizes: Vec<Size>,
    /// Also write a training script beside it
    #[arg(long, value_enum)]
    trainer: Option<Trainer>,
}

pub(super) fn run(args: &InitArgs) -> anyhow::Result<u8> {
    let script = args.trainer.map(|trainer| (args.path.with_file_name("train.py"), trainer));
    let draft = Draft {
        domains: &args.domains,
        sizes: &args.sizes,
        trainer: script.as_ref().map(|(path, trainer)| (*trainer, path.as_path())),
    };
    let config = draft.text();
    // Names that cannot be, or that are there twice.
    if let Err(error) = StudyConfig::parse(&args.path, &config, &[]) {
        return Err(UsageError(format!("this makes no config: {error}")).into());
    }
    create(&args.path, &config)?;
    if let Some((path, trainer)) = &script {
        create(path, trainer.script())?;
        tracing::info!("wrote {}: it says what to put into data/, and what to replace", path.display());
    }
    let path = args.path.display();
    let check = [text::program(), "check".into(), "--config".into(), path.to_string()];
    tracing::info!("wrote {path}; edit it, then: {}", text::command_line(&check));
    Ok(0)
}

fn create(path: &Path, text: &str) -> anyhow::Result<()> {
    let shown = path.display();
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            anyhow::anyhow!("{shown} exists already; name another file, or remove it first")
        } else {
            anyhow::Error::new(error).context(format!("cannot create {shown}"))
        }
    })?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))
}
