//! What there is to say about a study at a moment; as it is, the JSON of `status`.

use crate::problem::FidelityId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::advice::GuardReport;
use crate::cli::{best, text};
use crate::launcher::{self, JobId, tail};
use crate::runner::facts;
use crate::study::{
    Counts, Place, Spent, StopReason, Study, Trial, TrialState,
    journal::{self, Holder},
};

/// The latest failures that are shown.
const FAILURES: usize = 3;

/// Times are seconds since 1970.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    pub study: String,
    /// Of the search, as `spent`.
    pub trials: Counts,
    pub imported: usize,
    pub spent: Spent,
    pub stopped: Option<StopReason>,
    /// Why the last `optimize` ended before the search did, as long as none has gone on.
    pub halted: Option<String>,
    pub dir: PathBuf,
    /// Whether nothing is left to do.
    pub ended: bool,
    pub writer: Option<Holder>,
    /// When something last happened to a trial.
    pub latest: Option<f64>,
    /// About how much longer it takes with all slots at work.
    pub left_s: Option<f64>,
    /// When that is, as long as somebody is at work.
    pub expected_end: Option<f64>,
    pub fidelities: Vec<Size>,
    pub running: Vec<Running>,
    /// Why trials cannot be started at the moment.
    pub not_started: Option<String>,
    /// Of trials that are not complete, the latest first.
    pub failures: Vec<Failed>,
    /// Attempts that failed or diverged, of all trials.
    pub failed_attempts: u32,
    /// What the search recommended when it stopped, where the config still allows it.
    pub recommended: Option<BTreeMap<String, f64>>,
    /// The guards at the mixture that is recommended now.
    pub guards: Vec<serde_json::Value>,
    #[serde(skip)]
    pub guard_words: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<Vec<Row>>,
}

/// Trials of the search at a fidelity.
#[derive(Debug, Serialize)]
pub(super) struct Size {
    pub fidelity: String,
    pub target: bool,
    #[serde(flatten)]
    pub trials: Counts,
    /// What a trial usually takes and costs.
    pub duration_s: Option<f64>,
    pub cost: f64,
    /// Whether that is more than a guess.
    #[serde(skip)]
    pub is_known: bool,
}

/// A trial that was launched and has not been seen to end.
#[derive(Debug, Serialize)]
pub(super) struct Running {
    pub trial: u64,
    pub fidelity: String,
    pub confirmation: bool,
    pub attempt: u32,
    pub since: f64,
    pub expected_end: Option<f64>,
    pub pid: Option<u32>,
    /// Number of its job.
    pub job: Option<JobId>,
    /// Whether its process is alive; `None` where that cannot be known from here.
    pub alive: Option<bool>,
    pub weights: BTreeMap<String, f64>,
    /// Which share of its tokens it had trained on when it reported last.
    pub share_done: Option<f64>,
    /// What it reported on its way.
    pub curve: Vec<Reported>,
}

/// The objective of a trial on its way.
#[derive(Debug, Serialize)]
pub(super) struct Reported {
    pub step: Option<f64>,
    pub tokens: Option<f64>,
    pub objective: f64,
}

/// An attempt that failed or diverged.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub trial: u64,
    pub fidelity: String,
    pub attempt: u32,
    pub time: f64,
    pub reason: String,
    /// What has become of the trial.
    pub state: &'static str,
    /// The last lines of its stderr, and the file they are from.
    pub stderr: Vec<String>,
    pub stderr_file: Option<PathBuf>,
}

/// Any trial.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub trial: u64,
    pub fidelity: String,
    pub confirmation: bool,
    pub state: &'static str,
    pub attempts: u32,
    pub objective: Option<f64>,
    pub duration_s: Option<f64>,
    pub ended: Option<f64>,
    /// Why it was given up, or ended early.
    pub reason: Option<String>,
    pub corrected: Option<Corrected>,
    /// What there is to say of it, for people.
    #[serde(skip)]
    pub note: Option<String>,
}

/// How the result of a trial was corrected.
#[derive(Debug, Serialize)]
pub(super) struct Corrected {
    pub reason: String,
    pub time: f64,
    /// What the trial had come to before.
    pub was: Was,
}

/// What a trial had come to.
#[derive(Debug, Serialize)]
pub(super) struct Was {
    pub state: &'static str,
    pub objective: Option<f64>,
}

impl Overview {
    /// With a list of all trials where `all`.
    pub(super) fn new(study: &Study, all: bool, guards: &[GuardReport]) -> Self {
        let (config, trials) = (study.config(), study.trials());
        let usual = study.usual_durations();
        let writer = journal::holder(&config.dir);
        let since = writer.as_ref().and_then(|writer| writer.since);
        let elapsed = since.and_then(|since| Duration::try_from_secs_f64(text::now() - since).ok());
        let left_s = study.time_left(elapsed.unwrap_or_default()).filter(|_| !study.ended());
        let recovered = |t: &Trial| t.outcome().is_some() || t.correction.is_some() || t.state == TrialState::Cancelled;
        let mut failed: Vec<&Trial> = trials.iter().filter(|t| t.failure.is_some() && !recovered(t)).collect();
        failed.sort_by(|a, b| time_of_failure(b).total_cmp(&time_of_failure(a)));
        Self {
            study: config.name.clone(),
            trials: study.counts(),
            imported: study.imported().count(),
            spent: study.spent(),
            stopped: study.stopped().map(|stopped| stopped.reason),
            halted: study.halted().map(str::to_owned),
            dir: config.dir.clone(),
            ended: study.ended(),
            latest: trials.iter().filter_map(latest).max_by(f64::total_cmp),
            left_s,
            expected_end: left_s.filter(|_| writer.is_some()).map(|left| text::now() + left),
            writer,
            fidelities: sizes(study, &usual),
            running: trials.iter().filter_map(|t| Running::new(study, t, &usual)).collect(),
            not_started: trials.iter().filter(|t| !t.finished()).find_map(|t| t.not_started.clone()),
            failures: failed.into_iter().take(FAILURES).filter_map(|t| Failed::new(study, t)).collect(),
            failed_attempts: trials.iter().map(|t| t.failures + t.divergences).sum(),
            recommended: study
                .stopped()
                .filter(|stopped| config.space.broken_bounds(&stopped.mixture).is_empty())
                .map(|stopped| study.named(&stopped.mixture)),
            guards: guards.iter().map(best::guard_json).collect(),
            guard_words: guards.iter().map(best::guard_words).collect(),
            list: all.then(|| trials.iter().map(|t| Row::new(study, t)).collect()),
        }
    }
}

fn sizes(study: &Study, usual: &[Option<f64>]) -> Vec<Size> {
    let (fidelities, costs) = (&study.config().fidelities, study.costs());
    let size = |(i, fidelity): (FidelityId, &crate::problem::Fidelity)| Size {
        fidelity: fidelity.name.clone(),
        target: i == fidelities.target(),
        trials: Counts::of(study.trials().iter().filter(|t| t.searching() && t.fidelity == i)),
        duration_s: usual[i],
        cost: costs[i],
        is_known: study.known_cost(i).is_some(),
    };
    fidelities.iter().map(size).collect()
}

fn name_of_fidelity(study: &Study, trial: &Trial) -> String {
    study.config().fidelities[trial.fidelity].name.clone()
}

fn time_of_failure(trial: &Trial) -> f64 {
    trial.failure.as_ref().map_or(0.0, |failure| failure.time)
}

/// When something last happened to a trial.
fn latest(trial: &Trial) -> Option<f64> {
    let since = if let TrialState::Running { since, .. } = trial.state { Some(since) } else { None };
    let failure = trial.failure.as_ref().map(|failure| failure.time);
    let corrected = trial.correction.as_ref().map(|correction| correction.time);
    [since, failure, trial.ended, corrected].into_iter().flatten().max_by(f64::total_cmp)
}

impl Running {
    fn new(study: &Study, trial: &Trial, usual: &[Option<f64>]) -> Option<Self> {
        let TrialState::Running { launch, since, .. } = &trial.state else { return None };
        let root = study.config().dir.canonicalize().unwrap_or_default();
        let shown = launcher::describe(&facts(study, trial, &root), launch);
        Some(Self {
            trial: trial.id,
            fidelity: name_of_fidelity(study, trial),
            confirmation: !trial.searching(),
            attempt: trial.attempts,
            since: *since,
            expected_end: usual[trial.fidelity].map(|duration| since + (1.0 - trial.stopped_at) * duration),
            pid: shown.pid,
            job: shown.job,
            alive: shown.alive,
            weights: study.named(&trial.mixture),
            share_done: study.share_done(trial),
            curve: study.curve(trial).into_iter().map(Reported::from).collect(),
        })
    }
}

impl From<Place> for Reported {
    fn from(Place { step, tokens, objective }: Place) -> Self {
        Self { step, tokens, objective }
    }
}

impl Failed {
    fn new(study: &Study, trial: &Trial) -> Option<Self> {
        let failure = trial.failure.as_ref()?;
        let dir = facts(study, trial, &study.config().dir).dir;
        // Files of earlier attempts carry their number.
        let number = if failure.attempt < trial.attempts { format!(".{}", failure.attempt) } else { String::new() };
        let stderr_file = dir.join(format!("stderr{number}.log"));
        Some(Self {
            trial: trial.id,
            fidelity: name_of_fidelity(study, trial),
            attempt: failure.attempt,
            time: failure.time,
            reason: failure.reason.clone(),
            state: trial.state.name(),
            stderr: tail::last_lines(&stderr_file, tail::SHOWN),
            stderr_file: Some(stderr_file).filter(|file| file.exists()),
        })
    }
}

impl Row {
    fn new(study: &Study, trial: &Trial) -> Self {
        let corrected = trial.correction.as_ref().map(|correction| Corrected {
            reason: correction.reason.clone(),
            time: correction.time,
            was: Was { state: correction.before.name(), objective: study.before(trial, correction) },
        });
        Self {
            trial: trial.id,
            fidelity: name_of_fidelity(study, trial),
            confirmation: !trial.searching(),
            state: trial.state.name(),
            attempts: trial.attempts,
            objective: study.measured(trial),
            duration_s: trial.outcome().and_then(|outcome| outcome.duration),
            ended: trial.ended,
            note: text::note(study, trial),
            reason: trial.reason().map(str::to_owned),
            corrected,
        }
    }
}
