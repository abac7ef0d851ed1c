//! What is known of single metrics at the target, in their own units and directions. This needs a surrogate with one process per metric.

use super::model::Surrogate;
use crate::problem::Weights;

impl Surrogate {
    /// Mean and variance of the metric with this index at each of the p mixtures `x`, including the uncertainty of its level.
    #[must_use]
    pub fn metric(&self, index: usize, x: &Weights) -> Vec<(f64, f64)> {
        self.metrics[index].predict(&self.warped(x), self.target.index())
    }

    /// Mean and variance of the difference of the metric between each further mixture of `x` and the first; positive where the metric is
    /// larger than at the first.
    #[must_use]
    pub fn metric_differences(&self, index: usize, x: &Weights) -> Vec<(f64, f64)> {
        let metric = &self.metrics[index];
        let gains = metric.gains(&self.warped(x), self.target.index());
        gains.into_iter().map(|(mean, variance)| (metric.sign() * mean, variance)).collect()
    }

    /// Posterior mean of the metric at one mixture, with its derivative (length D).
    #[must_use]
    pub fn metric_mean_with_gradient(&self, index: usize, w: &Weights) -> (f64, Vec<f64>) {
        let metric = &self.metrics[index];
        let (mean, mut gradient) = metric.mean_with_gradient(&self.warped(w), self.target.index());
        self.unwarp(w, &mut gradient);
        gradient.iter_mut().for_each(|g| *g *= metric.sign());
        (metric.sign() * (mean + metric.reference(self.target.index())), gradient)
    }
}
