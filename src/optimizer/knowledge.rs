//! The knowledge gradient: by how much a trial is expected to improve the recommendation.

use super::{Evidence, Optimizer};
use crate::acquisition::normal::log_improvement;
use crate::space::Mixture;
use crate::surrogate::Surrogate;

impl Optimizer {
    /// Log knowledge gradient per unit cost, and index, of the most instructive of `runs` at the fidelities `open`.
    ///
    /// An observation of all metrics moves the expected objective of each target mixture by a normal amount. The
    /// recommendation improves by switching to another mixture t than today's best b: for one alternative that is the
    /// expected improvement `σ h((μ_b − μ_t)/σ)`, where σ is the standard deviation of the difference of their moves,
    /// exact with several independent metrics. The largest over t bounds the knowledge gradient (Frazier, Powell &
    /// Dayanik 2009) from below and, unlike sums over many alternatives, does not count one surprise twice.
    pub(super) fn most_instructive(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        runs: &[(Mixture, usize)],
        targets: &[Mixture],
        known: &[Option<f64>],
        open: &[usize],
    ) -> Option<(f64, usize)> {
        let t = self.warped(targets.iter().map(Mixture::weights));
        let values = self.expected_values(surrogate, &t, known);
        let best = values.imin();
        let target = self.fidelities.target();
        let mut winner: Option<(f64, usize)> = None;
        for m in open {
            let indices: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].1 == *m).collect();
            let z = self.warped(indices.iter().map(|i| runs[*i].0.weights()));
            let influence = surrogate.influence(&z, *m, &t);
            for (c, i) in indices.iter().enumerate() {
                // The run of a target mixture reveals its value altogether, noise included.
                let own = (self.settings.realized && *m == target)
                    .then(|| targets.iter().position(|w| *w == runs[*i].0))
                    .flatten();
                let moves = |t: usize, metric: &(nalgebra::DMatrix<f64>, Vec<f64>)| {
                    if known[t].is_some() {
                        0.0
                    } else if own == Some(t) {
                        metric.1[c]
                    } else {
                        metric.0[(t, c)]
                    }
                };
                let mut worth = f64::NEG_INFINITY;
                for other in (0..targets.len()).filter(|o| *o != best) {
                    let variance: f64 =
                        influence.iter().map(|k| (moves(other, k) - moves(best, k)).powi(2)).sum();
                    let sd = variance.sqrt();
                    if sd > 0.0 {
                        worth = worth.max(sd.ln() + log_improvement((values[best] - values[other]) / sd).0);
                    }
                }
                let score = worth - evidence.costs[*m].ln();
                if winner.is_none_or(|(top, _)| score > top) {
                    winner = Some((score, *i));
                }
            }
        }
        winner.filter(|(score, _)| *score > f64::NEG_INFINITY)
    }
}
