//! What a trial is worth to the recommendation, per unit cost.

use crate::problem::{Evidence, FidelityId};
use nalgebra::{DMatrix, DVector};

use super::Optimizer;
use crate::acquisition::log_knowledge_gradient;
use crate::surrogate::{Surrogate, View};

/// Places where one could observe, at one fidelity.
pub(super) struct Trials<'a> {
    /// Index of the fidelity.
    pub fidelity: FidelityId,
    /// Weights of mixtures, D × c.
    pub x: &'a DMatrix<f64>,
    /// For each, the index of the target mixture whose value its run would reveal altogether, noise included, if any.
    pub reveals: &'a [Option<usize>],
}

/// What is recommended from: mixtures at the target with their expected values.
pub(super) struct Targets {
    /// The mixtures, as the surrogate sees them.
    pub view: Vec<View>,
    /// Expected objective of each (minimized).
    pub values: DVector<f64>,
    /// Which values are settled: no observation moves them.
    pub settled: Vec<bool>,
}

impl Optimizer {
    /// Log knowledge gradient per unit cost of each of `trials`.
    pub(super) fn knowledge_gradient(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        trials: &Trials<'_>,
        targets: &Targets,
    ) -> Vec<f64> {
        let influence = surrogate.influence(trials.x, trials.fidelity, &targets.view);
        let log_cost = evidence.costs[trials.fidelity].ln();
        (0..trials.x.ncols())
            .map(|c| {
                let moves = DMatrix::from_fn(targets.values.len(), influence.len(), |t, j| match &influence[j] {
                    _ if targets.settled[t] => 0.0,
                    (_, sd) if trials.reveals[c] == Some(t) => sd[c],
                    (moves, _) => moves[(t, c)],
                });
                log_knowledge_gradient(&targets.values, &moves) - log_cost
            })
            .collect()
    }
}
