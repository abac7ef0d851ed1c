//! The command line: one file a subcommand. Only this module prints, and only here errors become `anyhow`.

/// Prints results for people on stdout, as `print!` does: on a terminal, with bars in colour and lines that break between
/// words. A reader that has seen enough is no error.
macro_rules! out {
    ($($text:tt)*) => {{ crate::cli::write_text(format_args!($($text)*)); }};
}

/// The same with an end of line.
macro_rules! outln {
    ($($text:tt)*) => {{ crate::cli::write_text(format_args!("{}\n", format_args!($($text)*))); }};
}

/// Prints what programs read: every line as it is.
macro_rules! data {
    ($($text:tt)*) => {{ crate::cli::write_data(format_args!("{}\n", format_args!($($text)*))); }};
}

mod amend;
mod best;
mod check;
mod completions;
mod export;
mod formats;
mod import;
mod init;
mod journal;
mod log;
mod man;
mod mixture;
mod optimize;
mod predict;
mod replay;
mod report;
mod status;
mod suggest;
mod tell;
mod text;
mod tradeoff;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::runtime::{Builder, Runtime};
use tracing::Level;

use crate::config::{ConfigError, StudyConfig, duration};
use crate::exchange::ExportError;
use crate::problem::FidelityId;
use crate::replay::ReplayError;
use crate::runner::RunError;
use crate::runs::LogError;
use crate::space::SpaceError;
use crate::study::{self, OpenStudy, Study, StudyError};

const EXIT_CODES: &str = "Start with `admire init`, then `admire check` and `admire optimize`.

Exit codes: 0 done, 1 runtime error, 2 wrong usage or config, 3 infeasible search space, 4 too many trials failed, 5 study \
locked by another process, 130 interrupted (everything is saved).";

/// Finds the best data mixture for training a language model.
#[derive(Debug, Parser)]
#[command(name = "admire", version = env!("ADMIRE_VERSION"), about, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// More detail on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Only errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// How to write what goes to stderr
    #[arg(long, global = true, value_enum, default_value_t, hide_default_value = true)]
    log_format: log::LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    Check(check::CheckArgs),
    Optimize(optimize::OptimizeArgs),
    Suggest(suggest::SuggestArgs),
    Tell(tell::TellArgs),
    Amend(amend::AmendArgs),
    Status(status::StatusArgs),
    Best(best::BestArgs),
    Predict(predict::PredictArgs),
    Replay(replay::ReplayArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Report(report::ReportArgs),
    Journal(journal::JournalArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Options that every command reading a config takes.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The study's config file (TOML)
    #[arg(long, short, value_name = "FILE", default_value = "study.toml")]
    pub config: PathBuf,
    /// Override a key of the config; the value is TOML, e.g. --set budget.trials=20
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
    /// Where the study's files are; overrides study.dir
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads and validates the config.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(&self) -> Result<StudyConfig, ConfigError> {
        let mut config = load(&self.config, &self.set)?;
        if let Some(dir) = &self.dir {
            config.dir.clone_from(dir);
        }
        Ok(config)
    }

    /// Reads the study for a question. What `--set` says of the objective, the guards and the allowed mixtures is a what-if where the study has it
    /// otherwise: nothing is written.
    ///
    /// # Errors
    /// [`ConfigError`], [`StudyError`].
    fn ask(&self) -> anyhow::Result<Study> {
        let section = |set: &String| set.split(['.', '=']).next().unwrap_or_default().trim().to_owned();
        let asks = |set: &String| ["domain", "group", "guard", "limits", "objective"].contains(&section(set).as_str());
        let config = self.load()?;
        if !self.set.iter().any(asks) {
            return Ok(Study::read(config)?);
        }
        let others: Vec<String> = self.set.iter().filter(|set| !asks(set)).cloned().collect();
        let own = load(&self.config, &others)?.objective;
        Ok(Study::what_if(config, own)?)
    }

    /// This program with a command and these options, as one would type them again.
    fn command(&self, command: &str) -> Vec<String> {
        let mut argv =
            [text::program().as_str(), command, "--config", &self.config.to_string_lossy()].map(str::to_owned).to_vec();
        argv.extend(self.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
        argv.extend(self.dir.iter().flat_map(|dir| ["--dir".to_owned(), dir.display().to_string()]));
        argv
    }
}

/// What every command takes that writes to a study.
#[derive(Clone, Debug, Args)]
struct WriterArgs {
    /// Wait for another process that writes to the study, at most so long (1m where no time is given)
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_value = "0s",
          default_missing_value = "1m", hide_default_value = true, value_parser = duration::parse)]
    wait: Duration,
}

/// How a command begins, or goes on with, the study that it writes to.
#[derive(Clone, Debug, Args)]
struct ForkArgs {
    /// Begin a new study, in a study.dir that is empty, that learns from the runs of the study in DIR
    #[arg(long, value_name = "DIR")]
    fork: Option<PathBuf>,
}

impl ForkArgs {
    fn open(&self, config: StudyConfig, writer: &WriterArgs) -> Result<OpenStudy, StudyError> {
        let Some(from) = &self.fork else { return Study::open(config, writer.wait) };
        let study = Study::fork(config, from, writer.wait)?;
        if let Some(origin) = study.origin() {
            tracing::info!("forked: {origin}");
        }
        Ok(study)
    }
}

/// How results are printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
}

/// Runs the command; the exit code on success (0, or 130 after an orderly interruption, …).
///
/// # Errors
/// Whatever the command could not do; [`exit_code`] says which code that is.
pub fn run(cli: Cli) -> anyhow::Result<u8> {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::INFO,
        (false, _) => Level::DEBUG,
    };
    // Where lines are kept, and come over weeks, they say when.
    let times = matches!(cli.command, Command::Optimize(_)) && !io::stderr().is_terminal();
    log::install(cli.log_format, level, times);
    let bars = !cli.quiet && cli.log_format == log::LogFormat::Text;
    if cli.command.computes() {
        let threads = rayon::ThreadPoolBuilder::new().build_global();
        threads.context("cannot start a thread (RAYON_NUM_THREADS says how many are wanted)")?;
    }
    match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(&args, cli.verbose > 0),
        Command::Optimize(args) => optimize::run(&args, bars),
        Command::Suggest(args) => suggest::run(&args),
        Command::Tell(args) => tell::run(&args),
        Command::Amend(args) => amend::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Best(args) => best::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Replay(args) => replay::run(&args, bars),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Journal(args) => journal::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

impl Command {
    /// Whether it has use for the threads on which the model computes.
    fn computes(&self) -> bool {
        match self {
            Self::Check(_)
            | Self::Optimize(_)
            | Self::Suggest(_)
            | Self::Best(_)
            | Self::Predict(_)
            | Self::Replay(_)
            | Self::Export(_)
            | Self::Report(_) => true,
            Self::Init(_)
            | Self::Tell(_)
            | Self::Amend(_)
            | Self::Status(_)
            | Self::Import(_)
            | Self::Journal(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

/// What waits for processes and signals: this thread alone, so that there is no other one that could be refused.
fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot wait for processes and signals")
}

/// A mistake on the command line that only shows once the config is known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

/// Reads and validates a config, which may name other studies.
fn load(path: &Path, overrides: &[String]) -> Result<StudyConfig, ConfigError> {
    let recommended = |dir: &Path| study::recommended(dir).map_err(|error| error.to_string());
    StudyConfig::load_beside(path, overrides, &recommended)
}

/// The fidelity that `--fidelity` names.
fn fidelity(config: &StudyConfig, name: &str) -> Result<FidelityId, UsageError> {
    config.fidelities.find(name).ok_or_else(|| {
        let known: Vec<&str> = config.fidelities.list().iter().map(|f| f.name.as_str()).collect();
        UsageError(format!("--fidelity {name}: no such fidelity; there are {}", known.join(", ")))
    })
}

/// Says what is odd but no error.
fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
}

/// Writes results for people to stdout, as the terminal wants them. Says whether anybody reads.
fn write_text(text: fmt::Arguments<'_>) -> bool {
    let text = text.to_string();
    let text = text::visible(&text);
    write_raw(&text::painted(&text::wrapped(&text, text::width())))
}

/// Writes what programs read to stdout. What would act on a terminal is made visible. Says whether anybody reads.
fn write_data(text: fmt::Arguments<'_>) -> bool {
    write_raw(&text::visible(&text.to_string()))
}

/// Writes to stdout. Where its reader has seen enough (`| head`), the rest is dropped; where they cannot be written
/// for another reason (a full disk), the program ends: everything else is saved before anything is printed. Says whether
/// anybody reads.
fn write_raw(text: &str) -> bool {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            tracing::error!("cannot write to stdout: {e}");
            std::process::exit(1);
        }
        written => written.is_ok(),
    }
}

/// Writes what was asked for to a file, or to stdout.
fn deliver(text: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        None => {
            write_data(format_args!("{text}"));
        }
        Some(path) => std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(())
}

/// The documented exit code (docs/cli.md) of an error.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return match error {
            ConfigError::Infeasible { source: SpaceError::Infeasible(_), .. } => 3,
            _ => 2,
        };
    }
    if error.is::<UsageError>() || error.is::<ReplayError>() || error.is::<LogError>() || error.is::<ExportError>() {
        return 2;
    }
    let run = error.downcast_ref::<RunError>();
    let study = error.downcast_ref::<StudyError>().or(match run {
        Some(RunError::Study(study)) => Some(study),
        _ => None,
    });
    match (run, study) {
        (Some(RunError::FailureRate { .. } | RunError::Fruitless { .. }), _) => 4,
        (_, Some(StudyError::Locked { .. })) => 5,
        (Some(RunError::NoLauncher), _)
        | (
            _,
            Some(
                StudyError::Changed { .. }
                | StudyError::Config(_)
                | StudyError::Occupied { .. }
                | StudyError::NoTrial(_)
                | StudyError::NoImport(_)
                | StudyError::Unfit { .. },
            ),
        ) => 2,
        _ => 1,
    }
}
