//! The loop that keeps the slots full: `machine.rs` decides, `driver.rs` does.
//!
//! ```
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use admire::config::StudyConfig;
//! use admire::runner::{self, Ended};
//! use admire::study::{StopReason, Study};
//!
//! let folder = tempfile::tempdir()?;
//! let text = r#"
//!     study.name = "mix"
//!     domain = [{ name = "code" }, { name = "web" }]
//!     fidelity = [{ name = "1B" }]
//!     objective.metric = "loss"
//!     budget.trials = 2
//!     launcher.command = ["sh", "-c", 'echo "admire: {{\"loss\": {w.code}}}"']
//! "#;
//! let set = format!("study.dir = {:?}", folder.path().join("mix"));
//! let config = StudyConfig::parse(Path::new("study.toml"), text, &[set])?;
//! let mut study = Study::open(config, Duration::ZERO)?;
//! let ended = tokio::runtime::Runtime::new()?.block_on(runner::run(&mut study, |_| ()))?;
//! assert_eq!((ended, study.counts().complete), (Ended::Finished(StopReason::Trials), 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backoff;
mod driver;
mod facts;
mod hook;
mod machine;
mod notice;
mod search;
mod setup;
mod signals;
mod stderr;
#[cfg(test)]
mod tests;
mod thread;
mod trials;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinError;

use crate::launcher::{End, Fate, Launcher, Started};
use crate::optimizer::Recommendation;
use crate::study::{OpenStudy, StopReason, Study, StudyError};

use driver::Driver;
pub use facts::{facts, repetition};
use signals::Signals;

/// Failure rates of fewer trials say nothing.
const MIN_FINISHED: usize = 5;

/// How a run of the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The search is over, and the confirmation too.
    Finished(StopReason),
    /// By a signal; everything is saved.
    Interrupted,
}

/// Why the loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal cannot be written, or does not fit.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// There is no training command.
    #[error("the config has no [launcher]; add one, or use `admire suggest` and `admire tell`")]
    NoLauncher,
    /// `launcher.setup` did not succeed.
    #[error("launcher.setup failed: {0}")]
    Setup(String),
    /// Too many trials fail.
    #[error(
        "{failed} of {finished} trials failed, more than launcher.max_failure_rate allows; the last one because: \
         {reason}\nIts files are in {}", dir.display()
    )]
    FailureRate {
        /// Failed since the launcher was last changed.
        failed: usize,
        /// Finished since then.
        finished: usize,
        /// Why the last one failed.
        reason: String,
        /// Where its logs are.
        dir: PathBuf,
    },
    /// The search is over, and nothing is known.
    #[error(
        "the search has ended ({reason}) without one complete run, so nothing is recommended{}",
        last.as_ref().map_or_else(String::new, |last| format!("; the last attempt failed: {last}"))
    )]
    NothingComplete {
        /// Why the search ended.
        reason: StopReason,
        /// Why the last attempt failed.
        last: Option<String>,
    },
    /// Attempts fail so soon that they would go on for ever.
    #[error(
        "attempts at {fidelity} have failed or diverged that would have cost {lost} as whole runs, which is more than \
         budget.cost; none was complete meanwhile; the last one because: {reason}\nIts files are in {}", dir.display()
    )]
    Fruitless {
        /// Where.
        fidelity: String,
        /// What as many runs would have cost.
        lost: f64,
        /// Why the last one failed.
        reason: String,
        /// Where its logs are.
        dir: PathBuf,
    },
    /// The system refused something that every trial needs.
    #[error("cannot {0}")]
    Io(String, #[source] io::Error),
    /// A task of the loop itself died.
    #[error("a task of the loop died; this is a bug")]
    Task(#[from] JoinError),
    /// A thread of the loop itself died.
    #[error("a thread of the loop died; this is a bug")]
    Thread(#[from] RecvError),
}

impl RunError {
    /// A thread could not be started.
    fn thread(error: io::Error) -> Self {
        Self::Io("start a thread".into(), error)
    }

    /// What an earlier run left cannot be looked after.
    fn adoption(error: io::Error) -> Self {
        Self::Io("look after running trials".into(), error)
    }
}

/// What can be shown at any moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The study.
    pub study: &'a Study,
    /// The latest recommendation.
    pub recommendation: Option<&'a Recommendation>,
    /// When this run began.
    pub began: Instant,
}

/// Runs the study to its end, launching trials. Whenever something has happened, and every second, `show` is called.
///
/// # Errors
/// [`RunError`]; the study is saved, and trials that were running have ended or are taken over by the next run.
pub async fn run(study: &mut OpenStudy, show: impl FnMut(View<'_>)) -> Result<Ended, RunError> {
    let mut signals = Signals::listen().map_err(|e| RunError::Io("listen to signals".into(), e))?;
    let (report, reports) = mpsc::unbounded_channel();
    let launcher = launcher(study, report)?;
    let root = root(&study.config().dir)?;
    Driver::new(study, launcher, reports, &root, show).run(&mut signals).await
}

/// The study's folder as commands are told it.
fn root(dir: &Path) -> Result<PathBuf, RunError> {
    let root = dir.canonicalize().map_err(|e| RunError::Io(format!("find {}", dir.display()), e))?;
    // Commands get it as text, and Slurm prints it in lines.
    if root.to_str().is_none_or(|path| path.contains(char::is_control)) {
        let reason =
            io::Error::other("its path is not UTF-8, or has control characters in it; choose another study.dir");
        return Err(RunError::Io(format!("use {}", dir.display()), reason));
    }
    Ok(root)
}

fn launcher(study: &Study, report: mpsc::UnboundedSender<Started>) -> Result<Launcher, RunError> {
    let config = study.config().launcher.clone().ok_or(RunError::NoLauncher)?;
    Launcher::new(config, report).map_err(|e| RunError::Io("launch trials".into(), e))
}

/// Ends what an earlier run of the loop has left at work; false where some of it is out of reach.
///
/// # Errors
/// [`RunError`]
pub async fn end_orphans(study: &Study) -> Result<bool, RunError> {
    let (report, _reports) = mpsc::unbounded_channel();
    let launcher = launcher(study, report)?;
    let root = study.config().dir.canonicalize().map_err(RunError::adoption)?;
    let (_kill, killed) = watch::channel(true);
    let mut ended = true;
    for fate in launcher.adopt(driver::left(study, &root)?).await.map_err(RunError::adoption)? {
        let end = match fate {
            Fate::Running(running) => running.wait(killed.clone()).await.map_err(RunError::adoption)?.0,
            Fate::Over((end, _)) => end,
        };
        ended &= end != End::Unknown;
    }
    Ok(ended)
}
