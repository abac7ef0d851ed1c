//! What the events of a journal add up to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::{
    Cause, Change, Changes, Completed, Entry, Event, Failure, Forked, Header, Imported, Purpose, Resumed, Sizes,
    Snapshot, StopReason, Suggested, Trial, TrialId, TrialState,
};
use crate::config::{Settings, StudyConfig};
use crate::input::LARGEST;
use crate::problem::{
    FIRST_RESULT, FidelityId, Handle, Launch, Metric, Mixture, Observation, Past, Prediction, RunId, RunSet,
};

/// The state of a study. Two journals whose states are equal are the same study: the same trials, and the same next
/// suggestion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub trials: Vec<Trial>,
    /// Runs from elsewhere, also those that were withdrawn.
    pub imported: Vec<ImportedRun>,
    pub model: Option<Model>,
    pub stopped: Option<Stopped>,
    /// Why the last `optimize` ended before the search did, as long as none has gone on.
    pub halted: Option<String>,
    pub stagnation: Stagnation,
    /// The fidelities that the journal knows last; empty in journals that did not record them.
    pub sizes: Sizes,
    /// The settings that the journal knows last; empty in journals that did not record them.
    pub settings: Settings,
    /// How the settings have changed, and when.
    pub changes: Vec<(f64, Changes)>,
    pub origin: Option<Forked>,
    /// The unit of the objective in the journal's events ([`Header::unit`]).
    pub unit: f64,
}

/// A run from elsewhere, as a study has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedRun {
    /// Its number in the study, from 1.
    pub number: u64,
    /// As journalled.
    pub run: Imported,
    /// As the optimizer sees it.
    pub(super) observation: Observation,
    /// Why it is no evidence any more, if so.
    pub withdrawn: Option<String>,
}

impl ImportedRun {
    /// What it is called in the study.
    #[must_use]
    pub fn name(&self) -> String {
        format!("imported-{}", self.number)
    }
}

/// The optimizer's last snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The runs that were known when it was journalled.
    pub runs: RunSet,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopped {
    /// Why.
    pub reason: StopReason,
    /// What it recommended.
    pub mixture: Mixture,
    /// `budget.patience` or `budget.regret` as it was then, where that is why.
    pub limit: Option<f64>,
    /// `budget.gain` as it was then, where that is why.
    pub gain: Option<f64>,
    /// How many trials of the search were completed, and runs imported, since.
    pub runs: usize,
    /// The reasons of the corrections since, one per run that is corrected.
    pub corrections: Vec<String>,
    /// Whether the config has changed since.
    pub outdated: bool,
    /// Whether its guards have.
    pub guards_changed: bool,
}

/// The value of the recommendation, and since how many completed trials it has stood still.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stagnation {
    value: Option<f64>,
    pub since: usize,
}

impl Stagnation {
    /// After one more look at the recommendation, with `complete` trials. The value is kept while it holds, so that a
    /// slow drift is a change too.
    pub fn after(self, expected: Prediction, complete: usize) -> Self {
        if self.still(expected) { self } else { Self { value: Some(expected.mean), since: complete } }
    }

    pub fn still(self, expected: Prediction) -> bool {
        self.value.is_some_and(|v| (v - expected.mean).abs() <= expected.sd)
    }
}

/// How many trials are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the states")]
pub struct Counts {
    pub complete: usize,
    pub running: usize,
    pub pending: usize,
    pub failed: usize,
    pub diverged: usize,
    pub stopped: usize,
    pub withdrawn: usize,
    pub cancelled: usize,
}

impl Counts {
    /// Counts some trials.
    #[must_use]
    pub fn of<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Self {
        let mut counts = Self::default();
        for trial in trials {
            *match trial.state {
                TrialState::Pending => &mut counts.pending,
                TrialState::Running { .. } => &mut counts.running,
                TrialState::Complete(_) => &mut counts.complete,
                TrialState::Failed { .. } => &mut counts.failed,
                TrialState::Diverged => &mut counts.diverged,
                TrialState::Stopped(_) => &mut counts.stopped,
                TrialState::Withdrawn => &mut counts.withdrawn,
                TrialState::Cancelled => &mut counts.cancelled,
            } += 1;
        }
        counts
    }

    /// With the names of the states.
    #[must_use]
    pub fn named(&self) -> [(&'static str, usize); 8] {
        [
            ("complete", self.complete),
            ("running", self.running),
            ("pending", self.pending),
            ("failed", self.failed),
            ("diverged", self.diverged),
            ("stopped", self.stopped),
            ("withdrawn", self.withdrawn),
            ("cancelled", self.cancelled),
        ]
    }
}

impl fmt::Display for Counts {
    /// Those that are complete, and other states that any trial is in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} complete", self.complete)?;
        self.named()[1..].iter().filter(|(_, n)| *n > 0).try_for_each(|(state, n)| write!(f, ", {n} {state}"))
    }
}

impl State {
    /// Takes an event into account. One that does not fit changes nothing.
    pub fn apply(&mut self, config: &StudyConfig, entry: &Entry) -> Result<(), Misfit> {
        match entry.event.clone() {
            Event::Study(header) => {
                let differences = header.differences(&Header::new(config));
                if !differences.is_empty() {
                    return Err(Misfit::Changed(differences));
                }
                self.unit = header.unit();
                (self.sizes, self.settings) = (header.sizes, header.settings);
            }
            Event::Forked(origin) => self.origin = Some(origin),
            Event::Suggested(suggested) => return self.add(config, suggested),
            Event::Imported(run) => return self.take_in(config, run),
            Event::Model(snapshot) => {
                // Journals that need this were written when the model did not learn from confirmation runs.
                let imported = self.imported.iter().map(|imported| imported.observation.run);
                let complete = |t: &&Trial| t.searching() && matches!(t.state, TrialState::Complete(_));
                let trials = self.trials.iter().filter(complete).map(|t| RunId::Trial(t.id));
                self.model = Some(Model { snapshot, runs: imported.chain(trials).collect() });
            }
            Event::Stopped { reason, recommended, limit, gain } => {
                let (mixture, runs, corrections) = (mixture(config, &recommended)?, 0, Vec::new());
                let (outdated, guards_changed) = (false, false);
                self.stopped =
                    Some(Stopped { reason, mixture, limit, gain, runs, corrections, outdated, guards_changed });
                self.halted = None;
            }
            Event::Halted { reason } => self.halted = Some(reason),
            Event::Resumed(resumed) => self.resume(entry.time, resumed),
            Event::Launched { trial, attempt, backend, job, result } => {
                let backend = backend.unwrap_or_else(|| if job.is_some() { "slurm" } else { "local" }.into());
                let launch = Launch { backend, name: job, handle: None };
                return self.launch(entry.time, (trial, attempt), launch, result);
            }
            Event::Started { trial, handle, .. } | Event::Submitted { trial, handle, .. } => {
                return self.recognize(trial, handle);
            }
            Event::Progress { trial, attempt, progress } => return self.report(trial, attempt, progress),
            Event::TrialStopping { trial, ending } => self.unfinished(trial)?.ending = Some(ending),
            Event::TrialStopped { trial, share, duration } => {
                return self.stop_trial(entry.time, trial, share, duration);
            }
            Event::TrialContinued { trial, reason } => return self.continue_trial(trial, reason),
            Event::Completed { trial, outcome } => return self.complete(entry.time, trial, outcome),
            Event::Failed { trial, attempt, reason, last, duration, unseen } => {
                let trial = self.unfinished(trial)?;
                trial.failures += 1;
                trial.unseen = if unseen && !last { trial.unseen + 1 } else { 0 };
                let given_up = last.then(|| TrialState::Failed { reason: reason.clone() });
                trial.came_to_nothing(entry.time, attempt, reason, duration, given_up);
            }
            Event::Diverged { trial, attempt, last, duration } => {
                let trial = self.unfinished(trial)?;
                trial.divergences += 1;
                trial.unseen = 0;
                let given_up = last.then_some(TrialState::Diverged);
                trial.came_to_nothing(entry.time, attempt, "diverged".into(), duration, given_up);
            }
            Event::Interrupted { trial, attempt, cause, reason } => {
                self.unfinished(trial)?.interrupted(attempt, cause, reason);
            }
            Event::Cancelled { trial } => return self.cancel(entry.time, trial),
            Event::Amended { reason, results } => return self.amend(entry.time, &reason, results),
            Event::Withdrawn { reason, runs } => return self.withdraw(entry.time, &reason, &runs),
        }
        Ok(())
    }

    fn take_in(&mut self, config: &StudyConfig, mut run: Imported) -> Result<(), Misfit> {
        bound(run.metrics.values_mut().chain(run.se.values_mut()));
        let number = self.next_import();
        let observation = observed(config, RunId::Imported(number), &run)?;
        self.imported.push(ImportedRun { number, run, observation, withdrawn: None });
        self.stopped.iter_mut().for_each(|stopped| stopped.runs += 1);
        Ok(())
    }

    fn launch(
        &mut self,
        time: f64,
        (trial, attempt): (TrialId, u32),
        launch: Launch,
        result: Option<String>,
    ) -> Result<(), Misfit> {
        let result = result.unwrap_or_else(|| FIRST_RESULT.into());
        if Path::new(&result).file_name() != Some(result.as_ref()) {
            return Err(Misfit::Damage(format!("the result file {result:?} is not in the trial's directory")));
        }
        let trial = self.unfinished(trial)?;
        trial.attempts = attempt;
        trial.not_started = None;
        trial.state = TrialState::Running { launch, since: time, result };
        Ok(())
    }

    fn complete(&mut self, time: f64, trial: TrialId, outcome: Completed) -> Result<(), Misfit> {
        let outcome = sound(outcome)?;
        let trial = self.unfinished(trial)?;
        trial.unseen = 0;
        trial.ended = Some(time);
        trial.state = TrialState::Complete(outcome);
        if trial.searching() {
            self.stopped.iter_mut().for_each(|stopped| stopped.runs += 1);
        }
        Ok(())
    }

    /// Notes by what a running attempt is recognized. What the handle says is between its backend and itself.
    fn recognize(&mut self, trial: TrialId, found: Handle) -> Result<(), Misfit> {
        if found.is_empty() {
            return Err(Misfit::Damage("nothing says by what the attempt is recognized".into()));
        }
        if let TrialState::Running { launch, .. } = &mut self.unfinished(trial)?.state {
            launch.handle = Some(found);
        }
        Ok(())
    }

    fn add(&mut self, config: &StudyConfig, suggested: Suggested) -> Result<(), Misfit> {
        let id = self.trials.len() as TrialId + 1;
        if suggested.trial != id {
            return Err(Misfit::Damage(format!("trial {} where trial {id} was due", suggested.trial)));
        }
        let fidelity = fidelity(config, &suggested.fidelity)?;
        let mixture = mixture(config, &suggested.weights)?;
        let Suggested { seed, purpose, expected, incumbent, .. } = suggested;
        let [expected, incumbent] = [expected, incumbent].map(|told| Some(told?.times(1.0 / self.unit)));
        if let Some(expected) = incumbent {
            self.stagnation = self.stagnation.after(expected, self.counts().complete);
        }
        let state = TrialState::Pending;
        self.trials.push(Trial {
            id,
            mixture,
            fidelity,
            seed,
            purpose,
            expected,
            incumbent,
            attempts: 0,
            failures: 0,
            divergences: 0,
            unseen: 0,
            not_started: None,
            lost: Vec::new(),
            outdated: false,
            failure: None,
            curve: Vec::new(),
            reporting: 0,
            ending: None,
            stopped_at: 0.0,
            stopped_after: None,
            continued: None,
            ended: None,
            state,
            correction: None,
            void: None,
        });
        if purpose == Purpose::Search {
            // A finished study that is searched further (with a larger budget) is not finished.
            self.stopped = None;
        }
        Ok(())
    }

    /// The number of the next run to be imported.
    pub fn next_import(&self) -> u64 {
        self.imported.len() as u64 + 1
    }

    fn resume(&mut self, time: f64, Resumed { sizes, settings, changed, .. }: Resumed) {
        self.halted = None;
        if changed.keys().any(|key| decides_how_trials_run(key)) {
            self.trials.iter_mut().for_each(|trial| trial.outdated |= trial.finished());
        }
        if let Some(sizes) = sizes {
            // Hyperparameters are those of a set of fidelities.
            if !self.sizes.is_empty() && !self.sizes.keys().eq(sizes.keys()) {
                self.model = None;
            }
            self.sizes = sizes;
        }
        if let Some(settings) = settings {
            self.settings = settings;
        }
        for (key, Change { to, .. }) in &changed {
            match to {
                Some(to) => drop(self.settings.insert(key.clone(), to.clone())),
                None => drop(self.settings.remove(key)),
            }
        }
        if !changed.is_empty() {
            let guards = changed.keys().any(|key| key == "guard" || key.starts_with("guard."));
            self.stopped.iter_mut().for_each(|stopped| {
                stopped.outdated = true;
                stopped.guards_changed |= guards;
            });
            self.changes.push((time, changed));
        }
    }

    pub fn counts(&self) -> Counts {
        Counts::of(self.trials.iter().filter(|t| t.searching()))
    }

    pub fn unfinished(&mut self, id: TrialId) -> Result<&mut Trial, Misfit> {
        match self.trial(id)? {
            trial if trial.finished() => Err(Misfit::Damage(format!("trial {id} had already finished"))),
            trial => Ok(trial),
        }
    }

    pub fn trial(&mut self, id: TrialId) -> Result<&mut Trial, Misfit> {
        let index = usize::try_from(id).ok().and_then(|i| i.checked_sub(1));
        let trial = index.and_then(|i| self.trials.get_mut(i));
        trial.ok_or_else(|| Misfit::Damage(format!("trial {id} was never suggested")))
    }
}

impl Trial {
    /// After an attempt that failed or diverged: pending, or `given_up`.
    fn came_to_nothing(
        &mut self,
        time: f64,
        attempt: u32,
        reason: String,
        duration: Option<f64>,
        given_up: Option<TrialState>,
    ) {
        self.lost.push(duration);
        self.ended = given_up.is_some().then_some(time);
        self.failure = Some(Failure { attempt, time, reason });
        self.state = given_up.unwrap_or(TrialState::Pending);
    }

    /// After an attempt that came to nothing through no fault of its own.
    fn interrupted(&mut self, attempt: u32, cause: Option<Cause>, reason: Option<String>) {
        match cause {
            Some(Cause::Unseen) => self.unseen += 1,
            // The next one takes its number.
            Some(Cause::NotStarted) => {
                self.attempts = attempt.saturating_sub(1);
                self.not_started = reason;
            }
            Some(Cause::Killed | Cause::Lost) | None => self.unseen = 0,
        }
        self.state = TrialState::Pending;
    }
}

/// Whether a setting decides whether trials succeed, not merely how many run at once or how often they are looked at.
fn decides_how_trials_run(key: &str) -> bool {
    const OTHERS: [&str; 8] =
        ["grace", "max_failure_rate", "on_event", "poll", "resumable", "retries", "retry_diverged", "slots"];
    key.strip_prefix("launcher.").is_some_and(|name| !OTHERS.contains(&name.split('.').next().unwrap_or_default()))
}

/// Journals of earlier versions have numbers that cannot be reckoned with, and that no result may report any more.
pub(super) fn bound<'a>(values: impl Iterator<Item = &'a mut f64>) {
    values.for_each(|x| *x = x.clamp(-LARGEST, LARGEST));
}

/// An outcome as it is reckoned with.
pub(super) fn sound(mut outcome: Completed) -> Result<Completed, Misfit> {
    if outcome.se.values().chain(&outcome.cost).chain(&outcome.duration).any(|x| *x < 0.0) {
        return Err(Misfit::Damage("a negative cost, duration or standard error".into()));
    }
    bound(outcome.metrics.values_mut().chain(outcome.se.values_mut()).chain(&mut outcome.cost));
    Ok(outcome)
}

/// The index of a fidelity that was trained.
fn fidelity(config: &StudyConfig, name: &str) -> Result<FidelityId, Misfit> {
    let index = config.fidelities.find(name);
    index.ok_or_else(|| Misfit::Changed(vec![format!("fidelity `{name}` has runs, but is not in the config")]))
}

/// Weights exactly as journalled: normalizing again would change their last bits, and with them every suggestion.
fn mixture(config: &StudyConfig, weights: &BTreeMap<String, f64>) -> Result<Mixture, Misfit> {
    let domains = config.space.domains();
    let w: Option<Vec<f64>> = domains.iter().map(|d| weights.get(&d.name).copied()).collect();
    let valid = |w: &Vec<f64>| w.iter().all(|x| *x >= -1e-9) && (w.iter().sum::<f64>() - 1.0).abs() < 1e-6;
    w.filter(valid).map(Mixture::new).ok_or_else(|| Misfit::Damage("the weights are not a mixture".into()))
}

/// What an imported run says to the optimizer.
pub(super) fn observed(config: &StudyConfig, id: RunId, run: &Imported) -> Result<Observation, Misfit> {
    let fidelity = fidelity(config, &run.fidelity)?;
    let mixture = mixture(config, &run.weights)?;
    if !run.metrics.values().chain(run.se.values()).all(|x| x.is_finite()) {
        return Err(Misfit::Damage("a metric is not finite".into()));
    }
    if run.tokens.is_some_and(|tokens| tokens <= 0.0) {
        return Err(Misfit::Damage("the run had trained on nothing".into()));
    }
    let observation = observation(config, id, (&mixture, fidelity), &run.metrics, &run.se);
    let lacks = |metric: &&Metric| !run.metrics.contains_key(&metric.name);
    observation.ok_or_else(|| match config.objective.own().find(lacks) {
        Some(_) => Misfit::Damage("it lacks a metric of the objective".into()),
        None => {
            let metric = config.objective.metrics.iter().find(lacks).map_or("", |metric| &metric.name);
            Misfit::Changed(vec![format!("imported run {} has no `{metric}`, which a [[guard]] is about", run.source)])
        }
    })
}

/// What was reported, as the optimizer sees it; `None` where a metric of the objective is missing.
pub(super) fn observation(
    config: &StudyConfig,
    run: RunId,
    (mixture, fidelity): (&Mixture, FidelityId),
    metrics: &BTreeMap<String, f64>,
    se: &BTreeMap<String, f64>,
) -> Option<Observation> {
    let metrics = config.objective.select(metrics)?;
    let se = config.objective.metrics.iter().map(|metric| se.get(&metric.name).copied()).collect();
    Some(Observation { run, mixture: mixture.clone(), fidelity, metrics, se, past: Past::default() })
}

/// Why an entry cannot follow those before it.
pub(super) enum Misfit {
    Changed(Vec<String>),
    Damage(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(differences) => f.write_str(&differences.join("; ")),
            Self::Damage(reason) => f.write_str(reason),
        }
    }
}
