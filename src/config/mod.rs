//! The config file: TOML, parsed into types that cannot be wrong.
//!
//! The manual of the [crate] has an example.

mod build;
mod confirm;
pub(crate) mod duration;
mod error;
mod export;
mod freeze;
mod guard;
mod kind;
mod lineage;
mod placeholders;
mod queue;
mod ray;
mod repetition;
mod slurm;
mod spelling;
mod stated;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::input;
use crate::problem::{Fidelities, Guard, Mixture, Objective, OptimizerSettings};
use crate::space::SearchSpace;

pub use error::{ConfigError, Origin, Problem};
pub use export::{DomainFiles, ExportConfig, Stopping, Unit};
pub use freeze::Recommended;
pub use lineage::Ancestry;
pub use placeholders::{PLACEHOLDERS, check as check_placeholders};
pub(crate) use placeholders::{Piece, pieces};
pub use stated::StatedMixture;

/// What is wrong with an argument that cannot be one.
const NUL: &str = "has a NUL character in it, which no argument can hold";

/// A commented config to start from, as `admire init` writes it.
pub const TEMPLATE: &str = include_str!("template.toml");

/// What a config file states, with overrides: the value of every key, `domain.web.max`, and entries by their name.
pub type Settings = BTreeMap<String, serde_json::Value>;

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
    /// `limits.match_repetition`: whether small runs draw from so few data that they repeat them as the target run does.
    pub match_repetition: bool,
    /// What the domains were in an older study, which this one may learn from.
    pub ancestry: Ancestry,
    /// `[[fidelity]]`
    pub fidelities: Fidelities,
    /// `[objective]`
    pub objective: Objective,
    /// `[[guard]]`, in the order of the file.
    pub guards: Vec<Guard>,
    /// `[optimizer]`
    pub optimizer: OptimizerSettings,
    /// `[budget]`
    pub budget: Budget,
    /// `[launcher]`, when present; `optimize` needs it.
    pub launcher: Option<LauncherConfig>,
    /// `[confirm]`, when present.
    pub confirm: Option<Confirm>,
    /// What a recommendation is confirmed against: `confirm.against`, no mixture twice.
    pub references: Vec<Reference>,
    /// `[replay]`
    pub replay: ReplayConfig,
    /// `[export]`, and what the domains say about their files.
    pub export: ExportConfig,
    /// Everything stated that is about the study, so that changes can be recorded. Not where its files are, nor
    /// `[replay]` and what exports alone need; of `launcher.env` the names alone, whose values may be secrets.
    pub settings: Settings,
}

impl StudyConfig {
    /// Reads and validates `path`, with `overrides` (`key.path=value`, TOML values) applied before validation. It cannot look at
    /// other studies.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, is not valid (all problems at once), or its bounds are infeasible.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::load_beside(path, overrides, &alone)
    }

    /// Like [`Self::load`], where `recommended` looks up the recommendations of other studies. Groups may be frozen in their ratios.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn load_beside(path: &Path, overrides: &[String], recommended: Recommended<'_>) -> Result<Self, ConfigError> {
        let text = input::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::read(path, &text, overrides, recommended)
    }

    /// Like [`Self::load`], with the content of the file given.
    ///
    /// # Errors
    /// Those of [`Self::load`], but for reading.
    pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::read(path, text, overrides, &alone)
    }

    fn read(path: &Path, text: &str, overrides: &[String], recommended: Recommended<'_>) -> Result<Self, ConfigError> {
        let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
        let mut root = tree::parse(text).map_err(|problem| invalid(vec![problem]))?;
        let failed: Vec<Problem> = overrides.iter().filter_map(|set| tree::apply(&mut root, set).err()).collect();
        if !failed.is_empty() {
            return Err(invalid(failed));
        }
        build::build(path, &root, recommended)
    }
}

/// Where no other study can be looked at.
fn alone(dir: &Path) -> Result<BTreeMap<String, f64>, String> {
    Err(format!("the study in {} cannot be looked at here; state the ratios", dir.display()))
}

impl StudyConfig {
    /// How many runs a confirmation takes, at most: less where what is recommended is one of the references.
    #[must_use]
    pub fn confirmation_runs(&self) -> usize {
        self.confirm.as_ref().map_or(0, |confirm| confirm.seeds * (1 + self.references.len()))
    }

    /// Tokens that the target run trains on: of `[limits]`, else of the fidelity.
    #[must_use]
    pub fn target_tokens(&self) -> Option<f64> {
        self.space.limits().map(|l| l.target_tokens).or(self.fidelities[self.fidelities.target()].tokens)
    }
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
    /// Stop when no trial is expected to improve the recommendation by this much per unit of its cost, in the objective's
    /// unit.
    pub gain: Option<f64>,
}

/// Which launcher starts trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LauncherKind {
    /// Subprocesses of this machine.
    Local,
    /// Jobs of Slurm.
    Slurm {
        /// Options for `sbatch`, a line each: `--partition=gpu`.
        directives: Vec<String>,
        /// Further ones for trials at one fidelity, which override the others.
        fidelity: BTreeMap<String, Vec<String>>,
    },
    /// Jobs of a queue that is used by these programs.
    Queue(QueuePrograms),
    /// Jobs of a Ray cluster.
    Ray(RayJobs),
}

/// How trials become jobs of a Ray cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RayJobs {
    /// Where the cluster's dashboard answers, `http://host:port` or `https://…`.
    pub address: String,
    /// What a job asks for, by the names of Ray's API (`entrypoint_num_gpus`, …).
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What it asks for instead at one fidelity, option by option.
    pub fidelity: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
}

/// The programs by which a queue is used, each argv with placeholders that are checked at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuePrograms {
    /// Submits `{script}` or `{command}` as a job called `{job}`. The argument `{options}` stands for those of the fidelity.
    pub submit: Vec<String>,
    /// Prints the state of the job `{id}` or `{job}`, or nothing where the queue does not know it.
    pub status: Vec<String>,
    /// Cancels the job.
    pub cancel: Vec<String>,
    /// Whether the last two know a job by its name, not by the last word that `submit` prints.
    pub by_name: bool,
    /// What the words mean that `status` prints.
    pub states: BTreeMap<String, JobState>,
    /// Further options for trials at one fidelity.
    pub fidelity: BTreeMap<String, Vec<String>>,
}

/// What a queue says of a job. Of several that it says at once, the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobState {
    /// It runs, or is being ended.
    Running,
    /// It waits.
    Queued,
    /// Its script has ended well.
    Done,
    /// Its script has failed, or it was ended for a reason that counts against the attempt.
    Failed,
    /// It was ended through no fault of its own.
    Lost,
}

impl JobState {
    /// The states by their names in the config.
    pub const NAMED: [(&str, Self); 5] = [
        ("running", Self::Running),
        ("queued", Self::Queued),
        ("done", Self::Done),
        ("failed", Self::Failed),
        ("lost", Self::Lost),
    ];
}

impl LauncherKind {
    /// Its name in the config and in the journal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Slurm { .. } => "slurm",
            Self::Queue(_) => "queue",
            Self::Ray(_) => "ray",
        }
    }
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
    /// Run for every event of a study, which it is told on stdin; argv without placeholders.
    pub on_event: Option<Vec<String>>,
    /// Trials that run at the same time, or are in the queue.
    pub slots: usize,
    /// A trial that runs longer is killed and counts as failed.
    pub timeout: Option<Duration>,
    /// How often a failed trial is started again, with the same mixture and seed.
    pub retries: u32,
    /// How often a diverged trial is started again. Usually 0: a divergence says something about the mixture.
    pub retry_diverged: u32,
    /// End the study (exit 4) when more than this share of finished trials failed, once at least 5 have finished.
    pub max_failure_rate: f64,
    /// Whether a trial that was ended early may be continued: the command goes on from what it left in the trial's directory.
    pub resumable: bool,
    /// Between asking a process group to end (SIGTERM) and killing it.
    pub grace: Duration,
    /// The longest time between two looks at the queue.
    pub poll: Duration,
    /// Added to the environment of the command.
    pub env: BTreeMap<String, String>,
}

/// `[confirm]`: once the search has stopped, train the recommendation and reference mixtures at the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// Runs of each, with the same seeds for all.
    pub seeds: usize,
}

/// A mixture that a recommendation is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// `uniform`, `prior`, or `mixture #1` for the first one that is stated by its weights.
    pub name: String,
    /// The mixture. One that is stated by its weights may break bounds.
    pub mixture: Mixture,
}

/// `[replay]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayConfig {
    /// CSV files of logged runs, absolute: the config has them relative to the working directory.
    pub runs: Vec<PathBuf>,
    /// The first so many target runs are the pool; `None` is all.
    pub candidates: Option<usize>,
    /// Strategies to compare; empty is all.
    pub strategies: Vec<String>,
    /// Seeds a strategy.
    pub seeds: Option<usize>,
}
