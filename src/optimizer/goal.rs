//! What counts in the end: the expected loss of a mixture, or the loss of a logged run ([`Goal`]).

use nalgebra::DVector;

use super::Optimizer;
use crate::problem::{Baseline, Evidence, FidelityId, Goal, Mixture, Observation, Weights};
use crate::surrogate::{Lookahead, Surrogate};

impl Optimizer {
    /// Variance that what counts has beyond the expected loss: a run has its noise.
    pub(super) fn goal_noise(&self, surrogate: &Surrogate) -> f64 {
        match self.settings.goal {
            Goal::Mixture => 0.0,
            Goal::Run => surrogate.noise(self.fidelities.target()),
        }
    }

    /// The run of a mixture at the target, if runs are what counts and it has one.
    pub(super) fn run_of<'a>(&self, evidence: &'a Evidence, mixture: &Mixture) -> Option<&'a Observation> {
        let target = self.fidelities.target();
        let mut runs = evidence.observations.iter().filter(|o| o.fidelity == target && o.mixture == *mixture);
        runs.next().filter(|_| self.settings.goal == Goal::Run)
    }

    /// What the objective compares runs with.
    pub(super) fn baseline(&self, evidence: &Evidence) -> Baseline {
        Baseline::of(&self.objective, evidence.observations.iter().filter_map(Observation::measurement))
    }

    /// For each mixture the loss of its run at the target, if runs are what counts and it has one.
    pub(super) fn known_values<'a>(
        &self,
        evidence: &Evidence,
        mixtures: impl IntoIterator<Item = &'a Mixture>,
    ) -> Vec<Option<f64>> {
        let baseline = self.baseline(evidence);
        let loss = |o: &Observation| self.objective.loss(&o.metrics, o.fidelity, &baseline);
        mixtures.into_iter().map(|mixture| self.run_of(evidence, mixture).map(loss)).collect()
    }

    /// Posterior means at the p mixtures `x`, or the values where they are known.
    pub(super) fn expected_values(&self, surrogate: &Surrogate, x: &Weights, known: &[Option<f64>]) -> DVector<f64> {
        let mut values = surrogate.mean(x);
        for (value, known) in values.iter_mut().zip(known) {
            *value = known.unwrap_or(*value);
        }
        values
    }

    /// An lookahead on what counts, of an observation at fidelity `m`. Of a run the noise is part of what is not known, and a run at
    /// the target reveals all of it.
    pub(super) fn goal_lookahead(&self, lookahead: Lookahead, m: FidelityId, noise: f64) -> Lookahead {
        let variance = lookahead.variance + noise;
        let reveals = self.reveals(m);
        Lookahead { variance, reduction: if reveals { variance } else { lookahead.reduction }, ..lookahead }
    }

    /// Whether an observation at fidelity `m` reveals what counts of its mixture altogether.
    pub(super) fn reveals(&self, m: FidelityId) -> bool {
        self.settings.goal == Goal::Run && m == self.fidelities.target()
    }
}
