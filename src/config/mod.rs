//! The config file: TOML, parsed into types that cannot be wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::optimizer::OptimizerSettings;
use crate::space::{Fidelities, SearchSpace};
use crate::study::Objective;

/// A validated config.
#[derive(Clone, Debug)]
pub struct StudyConfig {
    /// The file it was read from.
    pub path: PathBuf,
    /// `study.name`
    pub name: String,
    /// `study.seed`
    pub seed: u64,
    /// Where outputs go, relative to the working directory.
    pub dir: PathBuf,
    /// Domains, groups and limits.
    pub space: SearchSpace,
    /// Names of the domains in the order of the config file, for display.
    pub domain_order: Vec<String>,
    /// `[[fidelity]]`
    pub fidelities: Fidelities,
    /// `[objective]`
    pub objective: Objective,
    /// `[optimizer]`
    pub optimizer: OptimizerSettings,
    /// `[budget]`
    pub budget: Budget,
    /// `[launcher]`, when present; `optimize` needs it.
    pub launcher: Option<LauncherConfig>,
    /// `[confirm]`, when present.
    pub confirm: Option<Confirm>,
    /// `[replay]`
    pub replay: ReplayConfig,
}

/// When to stop; the first limit reached decides. Without any, the study goes on until it is interrupted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// Cumulative cost, in the unit of the fidelities' costs.
    pub cost: Option<f64>,
    /// Trials finished (completed, failed or diverged).
    pub trials: Option<usize>,
    /// Time since `optimize` started, this run only.
    pub wall_time: Option<Duration>,
    /// Stop when this many completed trials in a row did not change the recommendation's expected value by more than
    /// its own noise.
    pub patience: Option<usize>,
    /// Stop when the expected regret of the recommendation is below this, in the objective's unit.
    pub regret: Option<f64>,
}

/// Which launcher starts trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LauncherKind {
    /// Subprocesses of this machine.
    Local,
}

/// `[launcher]`
#[derive(Clone, Debug, PartialEq)]
pub struct LauncherConfig {
    /// Where trials run.
    pub kind: LauncherKind,
    /// The training command: argv with placeholders, never a shell string. Not empty; placeholders are checked at load.
    pub command: Vec<String>,
    /// Run once before the first trial of every `optimize` (build, prepare data); argv without placeholders.
    pub setup: Option<Vec<String>>,
    /// Trials that run at the same time.
    pub slots: usize,
    /// A trial that runs longer is killed and counts as failed.
    pub timeout: Option<Duration>,
    /// How often a failed trial is started again, with the same mixture and seed.
    pub retries: u32,
    /// How often a diverged trial is started again. Usually 0: a divergence says something about the mixture.
    pub retry_diverged: u32,
    /// End the study (exit 4) when more than this share of finished trials failed, once at least 5 have finished.
    pub max_failure_rate: f64,
    /// Between asking a process group to end (SIGTERM) and killing it.
    pub grace: Duration,
    /// Added to the environment of the command.
    pub env: BTreeMap<String, String>,
}

/// `[confirm]`: once the search has stopped, train the recommendation and reference mixtures at the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// Runs of each, with the same seeds for all.
    pub seeds: usize,
}

/// `[replay]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayConfig {
    /// CSV files of logged runs (already relative to the working directory).
    pub runs: Vec<PathBuf>,
    /// The first so many target runs are the pool; `None` is all.
    pub candidates: Option<usize>,
    /// Strategies to compare; empty is all.
    pub strategies: Vec<String>,
    /// Seeds a strategy.
    pub seeds: Option<usize>,
}
