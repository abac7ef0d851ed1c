//! A study: what can be asked of it, and a new trial of it.

use crate::problem::{Baseline, Evidence, FidelityId, Mixture, Observation, Prediction, RunId, seed_of};
use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::state::{Counts, ImportedRun, Model, State, Stopped, observation};
use super::{Changes, Completed, Correction, Event, Purpose, StudyError, Suggested, Trial, TrialId, TrialState};
use crate::config::StudyConfig;

/// A study as its journal tells of it. Only an [`OpenStudy`](super::OpenStudy) can record anything.
#[derive(Debug)]
pub struct Study {
    pub(super) config: StudyConfig,
    pub(super) state: State,
    pub(super) warnings: Vec<String>,
    pub(super) what_ifs: Changes,
    /// What the objective compares runs with, once it has been asked for.
    pub(super) baseline: OnceLock<Baseline>,
}

/// A trial to be recorded.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// What to train on.
    pub mixture: &'a Mixture,
    /// Index of the fidelity.
    pub fidelity: FidelityId,
    /// What it is for.
    pub purpose: Purpose,
    /// Which seed of the study it gets, see [`seed_of`].
    pub seed_index: u64,
    /// The objective expected at that fidelity.
    pub expected: Option<Prediction>,
    /// Indices of the fidelities that the optimizer could choose from.
    pub offered: &'a [FidelityId],
    /// The objective expected of the recommendation at the target.
    pub incumbent: Option<Prediction>,
}

impl Study {
    /// For how many completed trials the recommendation's value has not changed by more than its own standard
    /// deviation, with `latest` the present one where it is not journalled yet.
    #[must_use]
    pub fn stagnation(&self, latest: Option<Prediction>) -> usize {
        let (complete, stagnation) = (self.counts().complete, self.state.stagnation);
        let stagnation = latest.map_or(stagnation, |expected| stagnation.after(expected, complete));
        complete.saturating_sub(stagnation.since)
    }

    /// Whether the recommendation's value, now `latest`, has not changed by more than its own standard deviation.
    #[must_use]
    pub fn still(&self, latest: Prediction) -> bool {
        self.state.stagnation.still(latest)
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

    /// The optimizer's last snapshot.
    #[must_use]
    pub fn model(&self) -> Option<&Model> {
        self.state.model.as_ref()
    }

    /// How the search ended, if it has.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stopped> {
        self.state.stopped.as_ref()
    }

    /// Why the last `optimize` ended before the search did, as long as none has gone on.
    #[must_use]
    pub fn halted(&self) -> Option<&str> {
        self.state.halted.as_deref()
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

    /// The event of a new pending trial, whose number is [`Self::next_id`].
    #[must_use]
    pub fn suggestion(&self, plan: &Plan<'_>) -> Event {
        // What overflowed is no expectation, and JSON could not say it.
        let finite = |p: &Prediction| [Some(p.mean), Some(p.sd), p.noise].into_iter().flatten().all(f64::is_finite);
        let journalled = |p: Prediction| p.times(self.state.unit);
        let name = |fidelity: FidelityId| self.config.fidelities[fidelity].name.clone();
        Event::Suggested(Suggested {
            trial: self.next_id(),
            fidelity: name(plan.fidelity),
            weights: self.named(plan.mixture),
            seed: seed_of(self.config.seed, plan.seed_index),
            purpose: plan.purpose,
            expected: plan.expected.filter(finite).map(journalled),
            offered: plan.offered.iter().map(|i| name(*i)).collect(),
            incumbent: plan.incumbent.filter(finite).map(journalled),
        })
    }

    /// How many trials of the search are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.counts()
    }

    /// The objective that a run with these metrics at fidelity `m` measured, in the user's orientation; `None` where it lacks a metric, or
    /// where metrics are compared with a reference and no run of that was made at the fidelity.
    #[must_use]
    pub fn objective(&self, metrics: &BTreeMap<String, f64>, m: FidelityId) -> Option<f64> {
        let objective = &self.config.objective;
        objective.measured(&objective.select(metrics)?, m, self.baseline())
    }

    /// What the objective compares runs with.
    pub(super) fn baseline(&self) -> &Baseline {
        self.baseline.get_or_init(|| match self.config.objective.reference {
            Some(_) => {
                let observations = self.evidence().observations;
                Baseline::of(&self.config.objective, observations.iter().filter_map(Observation::measurement))
            }
            None => Baseline::default(),
        })
    }

    /// The objective that a trial measured, in the user's orientation; `None` where it is not complete.
    #[must_use]
    pub fn measured(&self, trial: &Trial) -> Option<f64> {
        self.objective(&trial.outcome()?.metrics, trial.fidelity)
    }

    /// The objective that a trial had measured before it was corrected; `None` where it had not.
    #[must_use]
    pub fn before(&self, trial: &Trial, correction: &Correction) -> Option<f64> {
        let TrialState::Complete(outcome) = &correction.before else { return None };
        self.objective(&outcome.metrics, trial.fidelity)
    }

    /// What the optimizer may look at. What confirmation runs measured is given to the search, as imported runs are; what becomes of
    /// the others is not its concern.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let mut evidence = Evidence { costs: self.costs(), ..Evidence::default() };
        let ends = self.ends();
        let imported = |imported: &ImportedRun| match imported.run.tokens {
            None => Some(imported.observation.clone()),
            Some(_) => ends.of_imported(imported),
        };
        evidence.observations.extend(self.imported().filter_map(imported));
        let confirmations = self.state.trials.iter().filter(|t| !t.searching());
        evidence.observations.extend(confirmations.filter_map(|t| self.observed(t, t.outcome()?)));
        evidence.given = evidence.observations.len();
        for trial in self.state.trials.iter().filter(|t| t.searching()) {
            let point = || (trial.mixture.clone(), trial.fidelity);
            match &trial.state {
                TrialState::Pending | TrialState::Running { .. } => evidence.pending.push(point()),
                TrialState::Failed { .. } if trial.outdated => evidence.repaired.push(point()),
                TrialState::Failed { .. } | TrialState::Diverged => evidence.failed.push(point()),
                TrialState::Complete(outcome) => evidence.observations.extend(self.observed(trial, outcome)),
                // What its curve says of its end is evidence; where that is nothing, it was a run without a loss.
                TrialState::Stopped(_) => match ends.of_trial(trial) {
                    Some(end) => evidence.observations.push(end),
                    None => evidence.failed.push(point()),
                },
                TrialState::Withdrawn | TrialState::Cancelled => {}
            }
        }
        self.state.look_back(&mut evidence);
        evidence
    }

    /// What a complete trial says to the optimizer; `None` where it lacks a metric of the objective.
    fn observed(&self, trial: &Trial, Completed { metrics, se, .. }: &Completed) -> Option<Observation> {
        observation(&self.config, RunId::Trial(trial.id), (&trial.mixture, trial.fidelity), metrics, se)
    }

    /// The fidelities at which more trials may be suggested (`max_trials` not reached).
    #[must_use]
    pub fn open_fidelities(&self) -> Vec<FidelityId> {
        let counts = |t: &&Trial| t.searching() && (t.counts() || !t.finished());
        let used = |i: FidelityId| self.state.trials.iter().filter(counts).filter(|t| t.fidelity == i).count();
        let list = self.config.fidelities.iter();
        list.filter(|(i, f)| f.max_trials.is_none_or(|max| used(*i) < max)).map(|(i, _)| i).collect()
    }
}
