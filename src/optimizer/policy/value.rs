//! What trials are worth: by how much they are expected to improve the recommendation.

use nalgebra::{DMatrix, DVector};

use super::recommendation::caution;
use crate::acquisition::{Choices, log_knowledge_gradient};
use crate::optimizer::Optimizer;
use crate::problem::{Evidence, FidelityId, Weights};
use crate::surrogate::{Surrogate, View};

/// Places where one could observe, at one fidelity.
pub(super) struct Trials<'a> {
    pub fidelity: FidelityId,
    /// The c mixtures.
    pub x: &'a Weights,
    /// For each, the index of the choice that its run would reveal altogether, noise included, if any.
    pub reveals: &'a [Option<usize>],
}

/// What is recommended from: mixtures at the target.
pub(super) struct Targets {
    /// The mixtures, as the surrogate sees them.
    pub view: Vec<View>,
    /// Expected value of what counts of each (minimized).
    pub mean: DVector<f64>,
    /// Its variance; 0 where it is known.
    variance: DVector<f64>,
    /// Which are known: no observation moves them.
    pub known: Vec<bool>,
    /// How many mixtures are known, also of those that are none of these.
    pub bought: usize,
}

impl Targets {
    pub fn new(
        surrogate: &Surrogate,
        x: &Weights,
        mean: DVector<f64>,
        (known, bought): (Vec<bool>, usize),
        noise: f64,
    ) -> Self {
        let view = surrogate.view(x);
        let mut variance = surrogate.view_variance(&view).add_scalar(noise);
        variance.iter_mut().zip(&known).filter(|(_, known)| **known).for_each(|(variance, _)| *variance = 0.0);
        Self { view, mean, variance, known, bought }
    }

    /// What is recommended from today.
    pub fn choices(&self) -> Choices {
        Choices { mean: self.mean.clone(), margin: margin(self.bought, &self.variance) }
    }

    /// The margins once an observation has moved the means by `moves` (p × J), when so many mixtures are known.
    pub fn margin_after(&self, moves: &DMatrix<f64>, bought: usize) -> DVector<f64> {
        margin(bought, &self.variance.map_with_location(|t, _, v| v - moves.row(t).norm_squared()))
    }
}

/// How cautious a recommendation is about values of these variances, when so many mixtures are known.
fn margin(bought: usize, variance: &DVector<f64>) -> DVector<f64> {
    variance.map(|v| caution(bought) * v.max(0.0).sqrt())
}

impl Optimizer {
    /// Log knowledge gradient per unit cost of each of `trials`, for the rule by which mixtures are recommended.
    pub(super) fn knowledge_gradient(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        trials: &Trials<'_>,
        targets: &Targets,
    ) -> Vec<f64> {
        let influence = surrogate.influence(trials.x, trials.fidelity, &targets.view);
        let log_cost = evidence.costs[trials.fidelity].ln();
        let choices = targets.choices();
        (0..trials.x.len())
            .map(|c| {
                let revealed = trials.reveals[c];
                let moves = DMatrix::from_fn(targets.mean.len(), influence.len(), |t, j| match &influence[j] {
                    _ if targets.known[t] => 0.0,
                    (_, sd) if revealed == Some(t) => sd[c],
                    (moves, _) => moves[(t, c)],
                });
                let after = targets.margin_after(&moves, targets.bought + usize::from(revealed.is_some()));
                log_knowledge_gradient(&choices, &moves, &after) - log_cost
            })
            .collect()
    }
}
