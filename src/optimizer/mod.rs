//! The optimizer: given what has been observed, what to train next and what to recommend. Pure, synchronous, seeded; it
//! does no I/O.
//!
//! The manual of the [crate] begins with an example.

mod alternatives;
mod goal;
mod insight;
mod model;
pub mod policy;

use crate::problem::{
    Evidence, Fidelities, FidelityId, Guard, Mixture, Objective, OptimizerSettings, Prediction, Repetition, Structure,
    Weights, columns,
};
use std::sync::{Arc, Mutex};

pub use alternatives::Alternative;
pub use insight::{Effect, Gain, PerMetric, Tables};
pub use policy::ending::Outlook;
use policy::fidelities::{exceeds_in_flight_cap, open, possible};
pub use policy::guards::{GuardState, GuardStates};

use rand::Rng;

use crate::space::SearchSpace;
pub use crate::surrogate::{Agreement, MOST_KNOWN, ModelSnapshot, known};
use crate::surrogate::{FitError, Surrogate};

/// Where the next trial may lie.
#[derive(Clone, Copy, Debug)]
pub enum Candidates<'a> {
    /// Anywhere in the space, at these fidelities (indices).
    Space(&'a [FidelityId]),
    /// One of a replay's logged runs.
    Pool {
        /// The runs that can be bought.
        runs: &'a [Offer<'a>],
        /// The mixtures that can be recommended; not empty.
        targets: &'a [Mixture],
    },
}

/// A logged run that can be bought.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// What was trained on.
    pub mixture: &'a Mixture,
    /// The fidelity that it was trained at.
    pub fidelity: FidelityId,
    /// What it costs now, in the unit of [`Evidence::costs`]: less than a whole run where a part of it was bought before.
    pub cost: f64,
}

/// The next trial.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// What to train on.
    pub mixture: Mixture,
    /// Index of the fidelity to train at.
    pub fidelity: FidelityId,
    /// Index into the pool, when candidates were a pool.
    pub pool_index: Option<usize>,
    /// The objective that the model expects there, at that fidelity; `None` before there is a model.
    pub expected: Option<Prediction>,
    /// By how much the trial is expected to improve the recommendation, per unit of its cost, in the objective's unit;
    /// from the knowledge gradient alone.
    pub gain: Option<f64>,
    /// Whether it exceeds the in-flight cap: with it, what is under way would cost more than what has finished. Who pays for runs
    /// waits for results then; who asks for several at once has decided otherwise.
    pub premature: bool,
    /// Something worth telling the user (a numerical fallback), if anything.
    pub warning: Option<String>,
}

/// Why there is no next trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTrial {
    /// Every fidelity has as many trials as its `max_trials`, or there are no candidates.
    #[error("no trial is left to suggest: max_trials is reached")]
    Limit,
    /// All that is left is within [`OptimizerSettings::tolerance`] of what has been trained, at every fidelity.
    #[error(
        "exhausted: at every fidelity that is open, all mixtures that differ by more than optimizer.tolerance have been \
         trained; to go on, widen the bounds or lower optimizer.tolerance or limits.step"
    )]
    Exhausted,
}

/// The mixture to train at the target fidelity, as far as is known.
#[derive(Clone, Debug)]
pub struct Recommendation {
    /// The mixture.
    pub mixture: Mixture,
    /// Index into the candidates, when there were any.
    pub pool_index: Option<usize>,
    /// The objective expected at the target fidelity; `None` before anything was observed.
    pub expected: Option<Prediction>,
    /// Expected shortfall of the recommendation against the unknown optimum, `E[f(recommended) − min f]`, in the
    /// objective's unit, ≥ 0; `None` before there is a model, and where it could not be computed.
    pub expected_regret: Option<f64>,
}

/// Suggests trials and recommends mixtures.
#[derive(Clone, Debug)]
pub struct Optimizer {
    space: SearchSpace,
    fidelities: Fidelities,
    objective: Objective,
    settings: OptimizerSettings,
    guards: Vec<Guard>,
    repetition: Option<Repetition>,
    curves: bool,
    snapshot: Option<ModelSnapshot>,
    /// The last models conditioned, with what they were conditioned on.
    cache: Arc<Mutex<model::Cache>>,
}

impl Optimizer {
    /// An optimizer that has seen nothing yet.
    #[must_use]
    pub fn new(space: SearchSpace, fidelities: Fidelities, objective: Objective, settings: OptimizerSettings) -> Self {
        Self {
            space,
            fidelities,
            objective,
            settings,
            guards: Vec::new(),
            repetition: None,
            curves: false,
            snapshot: None,
            cache: Arc::default(),
        }
    }

    /// With guards that have to hold on the mixture that is recommended. Their metrics are among those of the objective, with a weight
    /// of 0 where they are not part of it, and there is a process for each.
    #[must_use]
    pub fn with_guards(mut self, guards: Vec<Guard>) -> Self {
        if !guards.is_empty() {
            self.settings.model.structure = Some(Structure::PerMetric);
        }
        self.guards = guards;
        self
    }

    /// With the unique data that runs draw from: what is repeated counts less ([`effective_weight`](crate::problem::effective_weight)).
    #[must_use]
    pub fn with_repetition(self, repetition: Option<Repetition>) -> Self {
        Self { repetition, ..self }
    }

    /// With several observations of a mixture that are of one training run: what is peculiar to that run is common to them.
    #[must_use]
    pub fn with_curves(self, curves: bool) -> Self {
        Self { curves, ..self }
    }

    /// With a space of the mixtures whose total-variation distance to `center`, one of its mixtures, is at most `distance`.
    #[must_use]
    pub fn within(&self, center: &Mixture, distance: f64) -> Self {
        Self { space: self.space.within(center, distance), ..self.clone() }
    }

    /// The hyperparameters of the last fit; journal them whenever they change.
    #[must_use]
    pub fn snapshot(&self) -> Option<&ModelSnapshot> {
        self.snapshot.as_ref()
    }

    /// Continues from journalled hyperparameters.
    pub fn restore(&mut self, snapshot: ModelSnapshot) {
        self.snapshot = Some(snapshot);
    }

    /// The next trial. Where the model finds no new mixture of positive acquisition value, the suggestion is a space-filling one;
    /// so it is, with a warning, where the model cannot be fitted.
    ///
    /// # Errors
    /// [`NoTrial`], when there is nothing left to suggest.
    pub fn suggest(
        &mut self,
        evidence: &Evidence,
        candidates: Candidates<'_>,
        rng: &mut impl Rng,
    ) -> Result<Suggestion, NoTrial> {
        let possible = possible(&self.fidelities, &self.settings, evidence, candidates);
        let open = open(&possible, self.fidelities.target(), evidence);
        if open.is_empty() {
            return Err(NoTrial::Limit);
        }
        if let Some(m) = self.design_fidelity(evidence, candidates)
            && let Some(suggestion) = self.design(evidence, candidates, m, rng)
        {
            let suggestion = self.with_reference(suggestion, evidence, candidates);
            return Ok(self.with_expectation(suggestion, evidence));
        }
        self.learn(evidence);
        let model = self.condition(&evidence.observations);
        let model = model.and_then(|surrogate| Ok((surrogate.with_pending(&evidence.pending)?, surrogate)));
        if let Ok((pending, surrogate)) = &model
            && let Some(suggestion) = self.propose((surrogate, pending), evidence, candidates, &open, rng)
        {
            return Ok(self.with_reference(suggestion, evidence, candidates));
        }
        // With nothing new at the fidelities that are open, there is nothing to wait for at the others.
        let others = possible.into_iter().filter(|m| !open.contains(m));
        let fallback = open.iter().copied().chain(others).find_map(|m| self.fill_space(evidence, candidates, m, rng));
        let fallback = fallback.ok_or(NoTrial::Exhausted)?;
        let warning = match &model {
            Ok(_) | Err(FitError::Empty) => None,
            Err(why) => Some(format!("there is no model ({why}); this trial fills the space instead")),
        };
        let premature = exceeds_in_flight_cap(fallback.fidelity, evidence);
        Ok(self.with_expectation(Suggestion { warning, premature, ..fallback }, evidence))
    }

    /// The mixture to train at the target: the best posterior mean over the space, or over `candidates` when given (not
    /// empty). Does not change the hyperparameters, so that asking never influences later suggestions.
    pub fn recommend(&self, evidence: &Evidence, candidates: Option<&[Mixture]>, rng: &mut impl Rng) -> Recommendation {
        match self.condition(&evidence.observations) {
            Ok(surrogate) => self.best(&surrogate, evidence, candidates, rng),
            Err(_) => self.best_guess(evidence, candidates),
        }
    }

    /// The objective expected at each of `points` (mixture, fidelity); `None` before there is a model.
    #[must_use]
    pub fn predict(&self, evidence: &Evidence, points: &[(Mixture, FidelityId)]) -> Option<Vec<Prediction>> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        Some(points.iter().map(|(mixture, m)| self.prediction(&surrogate, mixture, *m)).collect())
    }

    /// Standard deviation of the noise of one run's objective at the target; `None` before there is a model.
    #[must_use]
    pub fn noise_sd(&self, evidence: &Evidence) -> Option<f64> {
        self.integrated(&evidence.observations).ok().map(|s| s.noise(self.fidelities.target()).sqrt())
    }

    /// How well each fidelity agrees with the target so far; `None` before there is a model.
    #[must_use]
    pub fn agreement(&self, evidence: &Evidence) -> Option<Vec<Agreement>> {
        self.integrated(&evidence.observations).ok().map(|s| s.agreement())
    }

    fn columns<'a>(&self, mixtures: impl IntoIterator<Item = &'a [f64]>) -> Weights {
        columns(self.space.dim(), mixtures)
    }

    /// The posterior at one point, in the user's orientation.
    fn prediction(&self, surrogate: &Surrogate, mixture: &Mixture, m: FidelityId) -> Prediction {
        let x = columns(self.space.dim(), [mixture.weights()]);
        let (mean, variance) = surrogate.predict(&x, m)[0];
        Prediction {
            mean: self.objective.sign() * mean,
            sd: variance.sqrt(),
            noise: Some(surrogate.noise_of(&x, m).sqrt()),
        }
    }

    /// What the search expects of a mixture at fidelity `m`; `None` before there is a model.
    fn expectation(&self, evidence: &Evidence, mixture: &Mixture, m: FidelityId) -> Option<Prediction> {
        let surrogate = self.expecting(&evidence.observations).ok()?;
        Some(self.prediction(&surrogate, mixture, m))
    }

    fn with_expectation(&self, suggestion: Suggestion, evidence: &Evidence) -> Suggestion {
        // Before the first fit there is nothing worth reporting.
        let fitted = self.snapshot.is_some();
        let expected = fitted.then(|| self.expectation(evidence, &suggestion.mixture, suggestion.fidelity)).flatten();
        Suggestion { expected, ..suggestion }
    }
}
