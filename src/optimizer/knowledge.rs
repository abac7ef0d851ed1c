//! The knowledge gradient: by how much a trial is expected to improve the recommendation.

use nalgebra::{DMatrix, DVector};

use super::{Evidence, Optimizer};
use crate::acquisition::normal::log_improvement;
use crate::surrogate::{Surrogate, View};

/// Places where one could observe, at one fidelity.
pub(super) struct Trials<'a> {
    /// Index of the fidelity.
    pub fidelity: usize,
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
    ///
    /// An observation of all metrics moves the expected objective of each target mixture by a normal amount. The
    /// recommendation improves by switching to another mixture t than today's best b: for one alternative that is the
    /// expected improvement `σ h((μ_b − μ_t)/σ)`, where σ is the standard deviation of the difference of their moves,
    /// exact with several independent metrics. The largest over t bounds the knowledge gradient (Frazier, Powell &
    /// Dayanik 2009) from below and, unlike sums over many alternatives, does not count one surprise twice.
    pub(super) fn knowledge_gradient(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        trials: &Trials<'_>,
        targets: &Targets,
    ) -> Vec<f64> {
        let influence = surrogate.influence(trials.x, trials.fidelity, &targets.view);
        let best = targets.values.imin();
        let log_cost = evidence.costs[trials.fidelity].ln();
        (0..trials.x.ncols())
            .map(|c| {
                let moves = |t: usize, (moves, sd): &(DMatrix<f64>, Vec<f64>)| match () {
                    () if targets.settled[t] => 0.0,
                    () if trials.reveals[c] == Some(t) => sd[c],
                    () => moves[(t, c)],
                };
                let gain = |t: usize| {
                    let variance: f64 = influence.iter().map(|k| (moves(t, k) - moves(best, k)).powi(2)).sum();
                    let sd = variance.sqrt();
                    if sd > 0.0 {
                        sd.ln() + log_improvement((targets.values[best] - targets.values[t]) / sd).0
                    } else {
                        f64::NEG_INFINITY
                    }
                };
                let most = (0..targets.values.len()).filter(|t| *t != best).map(gain).fold(f64::NEG_INFINITY, f64::max);
                most - log_cost
            })
            .collect()
    }
}
