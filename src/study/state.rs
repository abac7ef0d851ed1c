//! A study: what can be asked of it, and a new trial of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fold::{Counts, State, Stopped, observation};
use super::{Completed, Event, Purpose, StudyError, Suggested, Trial, TrialId, TrialState, journal, seed_of};
use crate::config::StudyConfig;
use crate::optimizer::{Evidence, Prediction};
use crate::space::{Fidelity, Mixture};
use crate::surrogate::ModelSnapshot;

/// A study, in memory and (when opened for writing) on disk.
#[derive(Debug)]
pub struct Study {
    pub(super) config: StudyConfig,
    pub(super) state: State,
    pub(super) writer: Option<journal::Writer>,
    pub(super) warnings: Vec<String>,
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

/// What a study has used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// Cumulative cost of the search, failed attempts included.
    pub cost: f64,
    /// Finished trials of the search.
    pub trials: usize,
}

impl Study {
    /// For how many completed trials the recommendation's value has not changed by more than its own standard
    /// deviation, with `latest` the present one where it is not journalled yet.
    #[must_use]
    pub fn calm(&self, latest: Option<Prediction>) -> usize {
        let (complete, calm) = (self.counts().complete, self.state.calm);
        let calm = latest.map_or(calm, |expected| calm.after(expected, complete));
        complete.saturating_sub(calm.since)
    }

    /// Whether the recommendation's value, now `latest`, has not changed by more than its own standard deviation.
    #[must_use]
    pub fn still(&self, latest: Prediction) -> bool {
        self.state.calm.still(latest)
    }

    /// The config it runs under.
    #[must_use]
    pub fn config(&self) -> &StudyConfig {
        &self.config
    }

    /// All trials; trial `id` is at `id − 1`.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.state.trials
    }

    /// The trial of this number.
    ///
    /// # Errors
    /// [`StudyError::NoTrial`]
    pub fn trial(&self, id: TrialId) -> Result<&Trial, StudyError> {
        let index = usize::try_from(id).ok().and_then(|i| i.checked_sub(1));
        index.and_then(|i| self.state.trials.get(i)).ok_or(StudyError::NoTrial(id))
    }

    /// The number of the trial suggested next.
    #[must_use]
    pub fn next_id(&self) -> TrialId {
        self.state.trials.len() as TrialId + 1
    }

    /// The journalled hyperparameters.
    #[must_use]
    pub fn model(&self) -> Option<&ModelSnapshot> {
        self.state.model.as_ref()
    }

    /// How the search ended, if it has.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stopped> {
        self.state.stopped.as_ref()
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
        // What overflowed is no expectation, and JSON could not say it.
        let finite = |p: &Prediction| p.mean.is_finite() && p.sd.is_finite();
        let name = |fidelity: usize| self.config.fidelities.list()[fidelity].name.clone();
        self.record(Event::Suggested(Suggested {
            trial,
            fidelity: name(plan.fidelity),
            weights: self.named(plan.mixture),
            seed: seed_of(self.config.seed, plan.seed_index),
            purpose: plan.purpose,
            expected: plan.expected.filter(finite),
            offered: plan.offered.iter().map(|i| name(*i)).collect(),
            incumbent: plan.incumbent.filter(finite),
        }))?;
        Ok(trial)
    }

    /// Cost of one run at each fidelity: configured; else the mean cost or duration (seconds × 1 slot) of completed
    /// runs; else, before any, extrapolated by parameters × tokens from a fidelity that has them.
    #[must_use]
    pub fn costs(&self) -> Vec<f64> {
        let list = self.config.fidelities.list();
        let measured = |i: usize| {
            let runs = self.state.trials.iter().filter(|t| t.fidelity == i);
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
        let search = || self.state.trials.iter().filter(|t| t.searching());
        // From +0: an empty sum of floats is −0, which would be shown.
        let cost = search().map(|t| self.cost(t, &costs)).fold(0.0, |sum, cost| sum + cost);
        Spent { cost, trials: search().filter(|t| t.finished()).count() }
    }

    /// How many trials of the search are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.counts()
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
    /// what it would have suggested without them. Imported runs come first: they do not move when a trial ends.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let mut evidence = Evidence { costs: self.costs(), imported: self.state.imported.len(), ..Evidence::default() };
        evidence.observations.extend(self.state.imported.iter().map(|(_, observation)| observation.clone()));
        for trial in self.state.trials.iter().filter(|t| t.searching()) {
            let point = || (trial.mixture.clone(), trial.fidelity);
            match &trial.state {
                TrialState::Pending | TrialState::Running { .. } => evidence.pending.push(point()),
                TrialState::Failed { .. } | TrialState::Diverged => evidence.failed.push(point()),
                TrialState::Complete(Completed { metrics, se, .. }) => {
                    evidence.observations.extend(observation(
                        &self.config,
                        &trial.mixture,
                        trial.fidelity,
                        metrics,
                        se,
                    ));
                }
            }
        }
        evidence
    }

    /// The fidelities at which more trials may be suggested (`max_trials` not reached).
    #[must_use]
    pub fn open_fidelities(&self) -> Vec<usize> {
        let used = |i: usize| self.state.trials.iter().filter(|t| t.searching() && t.fidelity == i).count();
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
