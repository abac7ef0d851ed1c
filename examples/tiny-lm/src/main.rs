//! A tiny byte-level language model that trains in seconds on one core, on text that Cargo has already downloaded.
//!
//! `tiny-lm prepare` collects the text, one file per domain; `tiny-lm train` trains a model on a given mixture of the
//! domains and writes its validation loss on each. It stands for a team's own training script: it has its own flags and
//! knows nothing of the program that may be choosing its mixtures.

mod corpus;
mod mixture;
mod model;
mod train;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::corpus::{Corpus, Inputs};
use crate::mixture::Mixture;
use crate::model::Size;
use crate::train::Options;

/// Train a tiny byte-level language model on a mixture of text domains.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Collect the text from the sources of this program's own dependencies, split and de-duplicated.
    Prepare(CorpusArgs),
    /// Train one model on one mixture and write its validation losses (nats per byte, one for each domain).
    Train(TrainArgs),
}

#[derive(Args)]
struct CorpusArgs {
    /// Where the prepared text is kept.
    #[arg(long, value_name = "DIR", default_value = ".cache/tiny-lm")]
    cache: PathBuf,
    /// The lock file whose `tiny-lm` entry names the crates to read.
    #[arg(long, value_name = "FILE", default_value = "Cargo.lock")]
    lock: PathBuf,
    /// Cargo's folder of unpacked crates [default: $CARGO_HOME/registry/src].
    #[arg(long, value_name = "DIR")]
    registry: Option<PathBuf>,
}

#[derive(Args)]
struct TrainArgs {
    /// JSON file `{"weights": {"rust": 0.5, "docs": 0.5}}`; weights sum to 1. With `"unique_tokens": {"rust": 65536}` text is
    /// drawn from so many first bytes of a domain. Other keys are ignored.
    #[arg(long, value_name = "FILE")]
    mixture: PathBuf,
    /// Model size (about this many parameters).
    #[arg(long)]
    size: Size,
    /// Bytes to train on.
    #[arg(long, value_name = "N")]
    tokens: usize,
    /// Seed of the initial weights and of the order of the data: the same seed gives the same model.
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Where to write `{"metrics": {domain: loss, …}}`.
    #[arg(long, value_name = "FILE")]
    result: PathBuf,
    /// Where to add a line `{"step": …, "tokens": …, "metrics": {domain: loss, …}}` after each fifth of the run.
    #[arg(long, value_name = "FILE")]
    progress: Option<PathBuf>,
    /// Threads to compute with.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Largest learning rate [default: what suits the size].
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    #[command(flatten)]
    corpus: CorpusArgs,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Prepare(args) => print!("{}", args.load()?.table()),
        Command::Train(args) => args.run()?,
    }
    Ok(())
}

impl CorpusArgs {
    /// The prepared corpus, made now if it is not there yet.
    fn load(self) -> Result<Corpus> {
        let registry = match self.registry {
            Some(dir) => dir,
            None => corpus::cargo_registry()?,
        };
        let inputs = Inputs::read(&self.lock, registry)?;
        Corpus::load_or_prepare(&self.cache, &inputs)
    }
}

impl TrainArgs {
    fn run(self) -> Result<()> {
        let mixture = Mixture::read(&self.mixture)?;
        let mut corpus = self.corpus.load()?;
        let place = || format!("{}", self.mixture.display());
        let weights = mixture.weights_for(&corpus).with_context(place)?;
        mixture.cut(&mut corpus).with_context(place)?;
        let options = Options {
            size: self.size,
            tokens: self.tokens,
            seed: self.seed,
            learning_rate: self.learning_rate.unwrap_or(self.size.learning_rate()),
        };
        // Inside a pool of its own, the tensor library splits its work over these threads and no others.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        let mut tell = |step: usize, tokens: usize, losses: &[f64]| match &self.progress {
            Some(path) => add_progress(path, step, tokens, &metrics(&corpus, losses)),
            None => Ok(()),
        };
        let listener: Option<train::Listener<'_>> = self.progress.is_some().then_some(&mut tell);
        let losses = pool.install(|| train::train(&corpus, &weights, &options, listener))?;
        write_result(&self.result, &metrics(&corpus, &losses))
    }
}

/// Adds a line to the progress file.
fn add_progress(path: &Path, step: usize, tokens: usize, metrics: &str) -> Result<()> {
    let line = format!("{{\"step\": {step}, \"tokens\": {tokens}, \"metrics\": {metrics}}}\n");
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| format!("cannot write progress to {}", path.display()))
}

/// The losses by domain, as a JSON object.
fn metrics(corpus: &Corpus, losses: &[f64]) -> String {
    let losses = corpus.domains.iter().zip(losses);
    let metrics: Vec<String> = losses.map(|(d, &loss)| format!("\"{}\": {}", d.name, json_number(loss))).collect();
    format!("{{{}}}", metrics.join(", "))
}

/// Writes the result under a temporary name first, so that a reader never sees half of it.
fn write_result(path: &Path, metrics: &str) -> Result<()> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    fs::write(&temporary, format!("{{\"metrics\": {metrics}}}\n"))
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write the result to {}", path.display()))
}

/// As Python writes it: a model that diverged has a loss of `NaN`, which strict JSON cannot say.
fn json_number(x: f64) -> String {
    if x.is_infinite() { if x > 0.0 { "Infinity".into() } else { "-Infinity".into() } } else { x.to_string() }
}
