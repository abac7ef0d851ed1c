//! A study: its trials, what they observed, and the append-only journal they live in.
//!
//! ```
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use admire::config::StudyConfig;
//! use admire::problem::{Completed, Mixture};
//! use admire::study::{Event, Plan, Purpose, Study};
//!
//! let folder = tempfile::tempdir()?;
//! let text = r#"
//!     study.name = "mix"
//!     domain = [{ name = "code" }, { name = "web" }]
//!     fidelity = [{ name = "1B" }]
//!     objective.metric = "loss"
//! "#;
//! let set = format!("study.dir = {:?}", folder.path().join("mix"));
//! let config = StudyConfig::parse(Path::new("study.toml"), text, &[set])?;
//!
//! // One writer at a time holds the study's lock.
//! let mut study = Study::open(config.clone(), Duration::ZERO)?;
//! let trial = study.next_id();
//! let suggested = study.suggestion(&Plan {
//!     mixture: &Mixture::new(vec![0.3, 0.7]),
//!     fidelity: config.fidelities.target(),
//!     purpose: Purpose::Search,
//!     seed_index: trial,
//!     expected: None,
//!     offered: &[],
//!     incumbent: None,
//! });
//! study.record(suggested)?;
//! let metrics = [("loss".to_owned(), 2.31)].into();
//! study.record(Event::Completed { trial, outcome: Completed { metrics, ..Completed::default() } })?;
//! drop(study);
//!
//! // Anybody may read: what the journal adds up to is the study.
//! let study = Study::read(config)?;
//! assert_eq!(study.named(&study.trial(trial)?.mixture)["web"], 0.7);
//! assert_eq!(study.evidence().observations[0].metrics, [2.31]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod check;
mod compact;
mod confirmation;
mod contents;
mod correction;
mod costs;
mod curve;
mod ends;
mod event;
mod forecast;
mod fork;
mod import;
pub mod journal;
mod open;
mod outlier;
mod past;
mod queries;
mod seal;
mod state;
mod time_left;
mod trial;
mod what_if;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use check::{Checked, check};
pub use compact::{Compacted, compact};
pub use costs::{Charges, Confirmed, Spent};
pub use curve::Place;
use event::CHAINED;
pub use event::{
    Amendment, Cause, Change, Changes, Entry, Event, FORMAT, Forked, Header, Imported, Resumed, Size, Sizes, Snapshot,
    Suggested, TrialResult,
};
pub use forecast::{Forecast, Rate, cost_of_trials};
pub use fork::recommended;
pub use import::Learned;
pub use open::OpenStudy;
pub use outlier::Outlier;
pub use queries::{Plan, Study};
pub use state::{Counts, ImportedRun, Model, Stopped};
pub use trial::{Correction, Ending, Failure, Purpose, Trial, TrialState};

use crate::config::ConfigError;
pub use crate::problem::{Completed, TrialId};
pub use crate::space::Drawn;
use crate::text::counted;

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The next trial would exceed `budget.cost`.
    Budget,
    /// `budget.trials` have finished (or every fidelity's `max_trials`).
    Trials,
    /// `budget.wall_time` is over.
    WallTime,
    /// Nothing changed for `budget.patience` trials.
    Patience,
    /// The expected regret is below `budget.regret`, or no trial is worth its cost (`budget.gain`).
    Converged,
    /// Every mixture that differs by more than `optimizer.tolerance` has been trained.
    Exhausted,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Budget => "budget",
            Self::Trials => "trials",
            Self::WallTime => "wall_time",
            Self::Patience => "patience",
            Self::Converged => "converged",
            Self::Exhausted => "exhausted",
        })
    }
}

/// What can go wrong with a study's files or with what is said about its trials.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the journal is not what was once written.
    #[error("{}, line {line}: damaged journal: {reason}; restore the file from a backup", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There was more in the journal than there is, or there should be one.
    #[error("{}: damaged journal: {reason}", path.display())]
    Lost {
        /// The journal.
        path: PathBuf,
        /// What shows it, and what to do.
        reason: String,
    },
    /// The journal that is being written to is no longer in its place.
    #[error(
        "{} {how} while it was written to. The file that was there has {}, up to trial {trials}; nothing after \
         that is saved. Put that file back, or restore it from a backup, and start again", path.display(),
        counted(*events as usize, "event")
    )]
    Displaced {
        /// The journal.
        path: PathBuf,
        /// What became of it.
        how: &'static str,
        /// How many events are in the file that was there.
        events: u64,
        /// The last trial that it knows.
        trials: TrialId,
    },
    /// There is more in the journal than this machine was shown.
    #[error(
        "{} has another length than what could be read of it or was written to it: something else writes there, or the file system \
         shows machines outdated files; nothing was deleted, look with `admire journal check`, and run all of the study's \
         commands on one machine, or on a file system on which a file that is opened is up to date (docs/cli.md)",
        path.display()
    )]
    Outdated {
        /// The journal.
        path: PathBuf,
    },
    /// The journal is from the future.
    #[error("{} has format {found}, this version of admire reads up to {FORMAT}; use a newer one", path.display())]
    Format {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// Another process writes to the study.
    #[error("the study in {} is locked by {holder}; wait for it, or stop it", dir.display())]
    Locked {
        /// The study's directory.
        dir: PathBuf,
        /// What the holder says about itself.
        holder: String,
    },
    /// The config is not about what the study was begun for.
    #[error(
        "{} contradicts the study in {}:\n  {}\nUndo that; or set another study.dir and add `--fork {}`, which begins a new \
         study that learns from the old runs", config.display(), dir.display(), differences.join("\n  "), dir.display()
    )]
    Changed {
        /// The config file.
        config: PathBuf,
        /// The study's directory.
        dir: PathBuf,
        /// Each difference.
        differences: Vec<String>,
    },
    /// What the config says of an older study is not true of it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A study of which the recommendation was asked for.
    #[error(
        "the search in {} has not ended, so it recommends nothing for good; `admire best` shows what it would now", dir.display()
    )]
    Undecided {
        /// The study's directory.
        dir: PathBuf,
    },
    /// A place where no study can begin.
    #[error(
        "{} is not empty, and `--fork` begins a new study: set another study.dir; to go on with the study there, leave \
         `--fork` out", dir.display()
    )]
    Occupied {
        /// The place.
        dir: PathBuf,
    },
    /// A bug, noticed in time.
    #[error("a compacted journal in {} would not be the same study; this is a bug, and nothing was changed", dir.display())]
    Compaction {
        /// The study's directory.
        dir: PathBuf,
    },
    /// There is no study to read.
    #[error(
        "no study in {}; `admire optimize` or `admire suggest` begins one", std::path::absolute(dir).as_ref().unwrap_or(dir).display()
    )]
    Missing {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// A run from elsewhere that the study cannot learn from.
    #[error("{run} cannot be imported: {reason}")]
    Unfit {
        /// Where the run comes from.
        run: String,
        /// What it lacks.
        reason: String,
    },
    /// An event that must not follow those in the journal.
    #[error("this cannot be recorded: {reason}; nothing was written")]
    Misfit {
        /// What contradicts what.
        reason: String,
    },
    /// A trial that was never suggested.
    #[error("there is no trial {0}; `admire status --trials` lists them")]
    NoTrial(TrialId),
    /// A run that was never imported.
    #[error("{0} was never imported; `admire export` names the runs that were")]
    NoImport(String),
    /// What is told contradicts what is known.
    #[error(
        "trial {trial} already {known}; if that is wrong, `admire amend --trial {trial}` corrects it and keeps what was told"
    )]
    Contradiction {
        /// The trial.
        trial: TrialId,
        /// How it ended.
        known: String,
    },
}

impl StudyError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}
