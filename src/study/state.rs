//! The state of a study: what its journal adds up to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{
    Completed, Entry, Event, Header, Mark, Observation, Purpose, Sizes, StopReason, StudyError, Suggested, Trial,
    TrialId, TrialState, journal, seed_of,
};
use crate::config::StudyConfig;
use crate::optimizer::{Evidence, Prediction};
use crate::space::{Fidelity, Mixture};
use crate::surrogate::ModelSnapshot;

/// A study, in memory and (when opened for writing) on disk.
#[derive(Debug)]
pub struct Study {
    config: StudyConfig,
    trials: Vec<Trial>,
    model: Option<ModelSnapshot>,
    stopped: Option<Stopped>,
    calm: Calm,
    sizes: Sizes,
    writer: Option<journal::Writer>,
    warnings: Vec<String>,
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
}

/// A trial to be recorded.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// What to train on.
    pub mixture: &'a Mixture,
    /// Index of the fidelity.
    pub fidelity: usize,
    /// What it is for.
    pub purpose: Purpose,
    /// Which seed of the study it gets, see [`seed_of`].
    pub seed_index: u64,
    /// The objective expected at that fidelity.
    pub expected: Option<Prediction>,
    /// Indices of the fidelities that the optimizer could choose from.
    pub offered: &'a [usize],
    /// The objective expected of the recommendation at the target.
    pub incumbent: Option<Prediction>,
}

/// The value of the recommendation, and since how many completed trials it has stood still.
#[derive(Clone, Copy, Debug, Default)]
struct Calm {
    value: Option<f64>,
    since: usize,
}

impl Calm {
    /// After one more look at the recommendation, with `complete` trials. The value is kept while it holds, so that a
    /// slow drift is a change too.
    fn after(self, expected: Prediction, complete: usize) -> Self {
        let still = self.value.is_some_and(|v| (v - expected.mean).abs() <= expected.sd);
        if still { self } else { Self { value: Some(expected.mean), since: complete } }
    }
}

/// What a study has used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// Cumulative cost of the search, failed attempts included.
    pub cost: f64,
    /// Finished trials of the search.
    pub trials: usize,
}

/// How many trials of the search are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the states")]
pub struct Counts {
    pub complete: usize,
    pub running: usize,
    pub pending: usize,
    pub failed: usize,
    pub diverged: usize,
}

impl Study {
    /// Reads the study without the right to write to it.
    ///
    /// # Errors
    /// [`StudyError::Missing`], a journal that cannot be read, or a config that contradicts it.
    pub fn read(config: StudyConfig) -> Result<Self, StudyError> {
        // A torn last line is a writer at work as likely as a crash; the next writer knows, and says it.
        let contents = journal::read(&config.dir)?.ok_or_else(|| StudyError::Missing { dir: config.dir.clone() })?;
        Self::from_journal(config, &contents)
    }

    /// Like [`Self::read`], with what is in the journal given.
    ///
    /// # Errors
    /// An entry that cannot follow those before it, or a config that contradicts the journal.
    pub fn from_journal(config: StudyConfig, contents: &journal::Contents) -> Result<Self, StudyError> {
        let mut study = Self::empty(config);
        study.replay(contents)?;
        study.resized();
        Ok(study)
    }

    /// Opens the study for writing, beginning it where there is none. Waits at most so long for another writer.
    ///
    /// # Errors
    /// [`StudyError::Locked`], a journal that cannot be read or written, or a config that contradicts it.
    pub fn open(config: StudyConfig, wait: Duration) -> Result<Self, StudyError> {
        let lock = journal::Lock::take(&config.dir, wait)?;
        let contents = journal::read(&config.dir)?;
        let mut study = Self::empty(config);
        if let Some(contents) = &contents {
            study.replay(contents)?;
            if contents.torn {
                let text = "the last line of the journal was torn (a crash while writing) and is dropped";
                study.warnings.push(text.into());
            }
        }
        study.writer = Some(journal::Writer::open(&study.config.dir, lock, contents.as_ref())?);
        if contents.is_none() {
            let header = Header::new(&study.config);
            study.record(Event::Study(header))?;
        }
        if let Some(sizes) = study.resized() {
            study.record(Event::Resumed { version: env!("CARGO_PKG_VERSION").into(), sizes: Some(sizes) })?;
        }
        Ok(study)
    }

    /// Reads the study for a dry run, or shows an empty one where there is none.
    ///
    /// # Errors
    /// Those of [`Self::read`], but for a missing study.
    pub fn peek(config: StudyConfig) -> Result<Self, StudyError> {
        match Self::read(config.clone()) {
            Err(StudyError::Missing { .. }) => Ok(Self::empty(config)),
            other => other,
        }
    }

    fn empty(config: StudyConfig) -> Self {
        Self {
            config,
            trials: Vec::new(),
            model: None,
            stopped: None,
            calm: Calm::default(),
            sizes: Sizes::new(),
            writer: None,
            warnings: Vec::new(),
        }
    }

    /// The sizes in the config, where they are not those of the journal; warns about them. They are part of the
    /// surrogate's geometry: earlier trials stay true, what is concluded from them changes.
    fn resized(&mut self) -> Option<Sizes> {
        let now = Header::new(&self.config).sizes;
        let changed: Vec<&str> = now
            .iter()
            .filter(|(name, size)| self.sizes.get(*name) != Some(size))
            .map(|(name, _)| name.as_str())
            .collect();
        if changed.is_empty() || self.sizes.is_empty() {
            return None;
        }
        self.warnings.push(format!(
            "params, tokens or cost of {} differ from the journal's; the model of all trials changes with them",
            changed.join(", ")
        ));
        Some(now)
    }

    fn replay(&mut self, contents: &journal::Contents) -> Result<(), StudyError> {
        for (i, entry) in contents.entries.iter().enumerate() {
            self.apply(entry).map_err(|e| match e {
                Misfit::Changed(differences) => StudyError::Changed { dir: self.config.dir.clone(), differences },
                Misfit::Damage(reason) => {
                    StudyError::Damaged { path: journal::path(&self.config.dir), line: i + 1, reason }
                }
            })?;
        }
        Ok(())
    }

    /// Takes an event into account and returns once it is in the journal. On a study that was only read it is not
    /// written.
    ///
    /// # Errors
    /// [`StudyError::Io`], after which the study must not be used any more; an event that cannot follow the ones before
    /// is [`StudyError::Damaged`].
    pub fn record(&mut self, event: Event) -> Result<(), StudyError> {
        let entry = Entry::now(event);
        // Applied first: what does not fit must not get into the file.
        self.apply(&entry).map_err(|e| {
            let reason = match e {
                Misfit::Changed(d) => d.join("; "),
                Misfit::Damage(reason) => reason,
            };
            StudyError::Damaged { path: journal::path(&self.config.dir), line: 0, reason }
        })?;
        self.writer.as_mut().map_or(Ok(()), |writer| writer.append(&entry))
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), Misfit> {
        match entry.event.clone() {
            Event::Study(header) => {
                let differences = header.differences(&Header::new(&self.config));
                if !differences.is_empty() {
                    return Err(Misfit::Changed(differences));
                }
                self.sizes = header.sizes;
            }
            Event::Suggested(suggested) => return self.add(suggested),
            Event::Model(snapshot) if snapshot.is_possible() => self.model = Some(snapshot),
            Event::Model(_) => return Err(Misfit::Damage("hyperparameters that no fit can have".into())),
            Event::Stopped { reason, recommended, limit } => {
                self.stopped = Some(Stopped { reason, mixture: self.mixture(&recommended)?, limit });
            }
            Event::Resumed { sizes, .. } => self.sizes = sizes.unwrap_or_else(|| std::mem::take(&mut self.sizes)),
            Event::Launched { trial, attempt, job } => {
                let trial = self.unfinished(trial)?;
                trial.attempts = attempt;
                let mark = job.map(|name| Mark::Job { name, id: None });
                trial.state = TrialState::Running { mark, since: entry.time };
            }
            Event::Started { trial, process, .. } => {
                if let TrialState::Running { mark, .. } = &mut self.unfinished(trial)?.state {
                    *mark = Some(Mark::Process(process));
                }
            }
            Event::Submitted { trial, id: number, .. } => {
                if let TrialState::Running { mark: Some(Mark::Job { id, .. }), .. } = &mut self.unfinished(trial)?.state
                {
                    *id = Some(number);
                }
            }
            Event::Completed { trial, outcome } => {
                if outcome.se.values().chain(&outcome.cost).chain(&outcome.duration).any(|x| *x < 0.0) {
                    return Err(Misfit::Damage("a negative cost, duration or standard error".into()));
                }
                self.unfinished(trial)?.state = TrialState::Complete(outcome);
            }
            Event::Failed { trial, reason, last, .. } => {
                let trial = self.unfinished(trial)?;
                trial.failures += 1;
                trial.state = if last { TrialState::Failed { reason } } else { TrialState::Pending };
            }
            Event::Diverged { trial, last, .. } => {
                let trial = self.unfinished(trial)?;
                trial.divergences += 1;
                trial.state = if last { TrialState::Diverged } else { TrialState::Pending };
            }
            Event::Interrupted { trial, .. } => self.unfinished(trial)?.state = TrialState::Pending,
        }
        Ok(())
    }

    fn add(&mut self, suggested: Suggested) -> Result<(), Misfit> {
        let id = self.next_id();
        if suggested.trial != id {
            return Err(Misfit::Damage(format!("trial {} where trial {id} was due", suggested.trial)));
        }
        let fidelity = self.config.fidelities.index(&suggested.fidelity);
        let fidelity = fidelity.ok_or_else(|| Misfit::Damage(format!("unknown fidelity `{}`", suggested.fidelity)))?;
        let mixture = self.mixture(&suggested.weights)?;
        let Suggested { seed, purpose, expected, incumbent, .. } = suggested;
        if let Some(expected) = incumbent {
            self.calm = self.calm.after(expected, self.counts().complete);
        }
        let state = TrialState::Pending;
        self.trials.push(Trial {
            id,
            mixture,
            fidelity,
            seed,
            purpose,
            expected,
            attempts: 0,
            failures: 0,
            divergences: 0,
            state,
        });
        if purpose == Purpose::Search {
            // A finished study that is searched further (with a larger budget) is not finished.
            self.stopped = None;
        }
        Ok(())
    }

    /// For how many completed trials the recommendation's value has not changed by more than its own standard
    /// deviation, with `latest` the present one where it is not journalled yet.
    #[must_use]
    pub fn calm(&self, latest: Option<Prediction>) -> usize {
        let complete = self.counts().complete;
        let calm = latest.map_or(self.calm, |expected| self.calm.after(expected, complete));
        complete.saturating_sub(calm.since)
    }

    /// Weights exactly as journalled: normalizing again would change their last bits, and with them every suggestion.
    fn mixture(&self, weights: &BTreeMap<String, f64>) -> Result<Mixture, Misfit> {
        let domains = self.config.space.domains();
        let w: Option<Vec<f64>> = domains.iter().map(|d| weights.get(&d.name).copied()).collect();
        let valid = |w: &Vec<f64>| w.iter().all(|x| *x >= -1e-9) && (w.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        w.filter(valid).map(Mixture::new).ok_or_else(|| Misfit::Damage("the weights are not a mixture".into()))
    }

    fn unfinished(&mut self, id: TrialId) -> Result<&mut Trial, Misfit> {
        let index = usize::try_from(id).ok().and_then(|i| i.checked_sub(1));
        match index.and_then(|i| self.trials.get_mut(i)) {
            None => Err(Misfit::Damage(format!("trial {id} was never suggested"))),
            Some(trial) if trial.finished() => Err(Misfit::Damage(format!("trial {id} had already finished"))),
            Some(trial) => Ok(trial),
        }
    }

    /// The config it runs under.
    #[must_use]
    pub fn config(&self) -> &StudyConfig {
        &self.config
    }

    /// All trials; trial `id` is at `id − 1`.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The trial of this number.
    ///
    /// # Errors
    /// [`StudyError::NoTrial`]
    pub fn trial(&self, id: TrialId) -> Result<&Trial, StudyError> {
        let index = usize::try_from(id).ok().and_then(|i| i.checked_sub(1));
        index.and_then(|i| self.trials.get(i)).ok_or(StudyError::NoTrial(id))
    }

    /// The number of the trial suggested next.
    #[must_use]
    pub fn next_id(&self) -> TrialId {
        self.trials.len() as TrialId + 1
    }

    /// The journalled hyperparameters.
    #[must_use]
    pub fn model(&self) -> Option<&ModelSnapshot> {
        self.model.as_ref()
    }

    /// How the search ended, if it has.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// What was odd about the journal when it was read, for people.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Weights by name, as events and files carry them.
    #[must_use]
    pub fn named(&self, mixture: &Mixture) -> BTreeMap<String, f64> {
        self.config.space.named(mixture).map(|(name, w)| (name.to_owned(), w)).collect()
    }

    /// Records a new pending trial and returns its number.
    ///
    /// # Errors
    /// Those of [`Self::record`].
    pub fn suggest(&mut self, plan: &Plan<'_>) -> Result<TrialId, StudyError> {
        let trial = self.next_id();
        let name = |fidelity: usize| self.config.fidelities.list()[fidelity].name.clone();
        self.record(Event::Suggested(Suggested {
            trial,
            fidelity: name(plan.fidelity),
            weights: self.named(plan.mixture),
            seed: seed_of(self.config.seed, plan.seed_index),
            purpose: plan.purpose,
            expected: plan.expected,
            offered: plan.offered.iter().map(|i| name(*i)).collect(),
            incumbent: plan.incumbent,
        }))?;
        Ok(trial)
    }

    /// Cost of one run at each fidelity: configured; else the mean cost or duration (seconds × 1 slot) of completed
    /// runs; else, before any, extrapolated by parameters × tokens from a fidelity that has them.
    #[must_use]
    pub fn costs(&self) -> Vec<f64> {
        let list = self.config.fidelities.list();
        let measured = |i: usize| {
            let runs = self.trials.iter().filter(|t| t.fidelity == i);
            let costs: Vec<f64> = runs.filter_map(|t| own_cost(&t.state)).filter(|c| *c > 0.0).collect();
            (!costs.is_empty()).then(|| costs.iter().sum::<f64>() / costs.len() as f64)
        };
        let known: Vec<Option<f64>> = list.iter().enumerate().map(|(i, f)| f.cost.or_else(|| measured(i))).collect();
        let size = |f: &Fidelity| f.params.unwrap_or(1.0) * f.tokens.unwrap_or(1.0);
        // Cost per size of the largest known fidelity: small runs are dominated by start-up time.
        let rate = (0..list.len()).rev().find_map(|i| known[i].map(|c| c / size(&list[i])));
        let rate = rate.unwrap_or_else(|| 1.0 / size(&list[self.config.fidelities.target()]));
        list.iter().zip(&known).map(|(f, c)| c.unwrap_or_else(|| rate * size(f))).collect()
    }

    /// The cost of one trial: reported, else configured, else its duration, else what its fidelity usually costs.
    /// Attempts that failed by themselves cost as much as a run.
    #[must_use]
    pub fn cost(&self, trial: &Trial, costs: &[f64]) -> f64 {
        let list = self.config.fidelities.list();
        let usual = costs[trial.fidelity];
        let lost = f64::from(trial.failures + trial.divergences) * usual;
        let reported = match &trial.state {
            TrialState::Complete(c) => c.cost.or(list[trial.fidelity].cost).or(c.duration).unwrap_or(usual),
            _ => 0.0,
        };
        lost + reported
    }

    /// What the search has used so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let costs = self.costs();
        let search = || self.trials.iter().filter(|t| t.searching());
        // From +0: an empty sum of floats is −0, which would be shown.
        let cost = search().map(|t| self.cost(t, &costs)).fold(0.0, |sum, cost| sum + cost);
        Spent { cost, trials: search().filter(|t| t.finished()).count() }
    }

    /// How many trials of the search are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for trial in self.trials.iter().filter(|t| t.searching()) {
            *match trial.state {
                TrialState::Pending => &mut counts.pending,
                TrialState::Running { .. } => &mut counts.running,
                TrialState::Complete(_) => &mut counts.complete,
                TrialState::Failed { .. } => &mut counts.failed,
                TrialState::Diverged => &mut counts.diverged,
            } += 1;
        }
        counts
    }

    /// The objective of a completed trial, in the user's orientation.
    #[must_use]
    pub fn objective(&self, outcome: &Completed) -> Option<f64> {
        let objective = &self.config.objective;
        let values: Option<Vec<f64>> =
            objective.metrics.iter().map(|m| outcome.metrics.get(&m.name).copied()).collect();
        values.map(|v| objective.value(&v))
    }

    /// What the optimizer may look at. Confirmation runs stay out, so that a study that is searched further suggests
    /// what it would have suggested without them.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let mut evidence = Evidence { costs: self.costs(), ..Evidence::default() };
        for trial in self.trials.iter().filter(|t| t.searching()) {
            let point = (trial.mixture.clone(), trial.fidelity);
            match &trial.state {
                TrialState::Pending | TrialState::Running { .. } => evidence.pending.push(point),
                TrialState::Failed { .. } | TrialState::Diverged => evidence.failed.push(point),
                TrialState::Complete(outcome) => {
                    let names = || self.config.objective.metrics.iter().map(|m| m.name.as_str());
                    let metrics: Option<Vec<f64>> = names().map(|n| outcome.metrics.get(n).copied()).collect();
                    let Some(metrics) = metrics else { continue };
                    let se = names().map(|n| outcome.se.get(n).copied()).collect();
                    let (mixture, fidelity) = point;
                    evidence.observations.push(Observation { mixture, fidelity, metrics, se });
                }
            }
        }
        evidence
    }

    /// The fidelities at which more trials may be suggested (`max_trials` not reached).
    #[must_use]
    pub fn open_fidelities(&self) -> Vec<usize> {
        let used = |i: usize| self.trials.iter().filter(|t| t.searching() && t.fidelity == i).count();
        let list = self.config.fidelities.list().iter().enumerate();
        list.filter(|(i, f)| f.max_trials.is_none_or(|max| used(*i) < max)).map(|(i, _)| i).collect()
    }
}

/// What a completed trial itself says about its cost.
fn own_cost(state: &TrialState) -> Option<f64> {
    match state {
        TrialState::Complete(c) => c.cost.or(c.duration),
        _ => None,
    }
}

/// Why an entry cannot follow those before it.
enum Misfit {
    Changed(Vec<String>),
    Damage(String),
}
