//! What is known of single metrics, in their own units and orientation.

use super::metric::MetricModel;
use super::model::Surrogate;
use crate::problem::{FidelityId, Weights};

impl Surrogate {
    /// Mean and variance of the metric of this index at fidelity `m` for the p mixtures `x`, including the uncertainty of its level.
    /// Only of a surrogate with one process per metric.
    #[must_use]
    pub fn metric(&self, index: usize, x: &Weights, m: FidelityId) -> Vec<(f64, f64)> {
        let (metric, x) = (&self.metrics[index], &self.warp.warped(x));
        let value = |p: super::gp::Predicted| {
            let variance = p.variance + p.level_variance;
            let reading = metric.reading(m.index(), p.mean, variance);
            (metric.sign() * reading.mean, reading.slope.powi(2) * variance)
        };
        metric.process.predict(x, m.index()).into_iter().map(value).collect()
    }

    /// By how much the metric is larger at each of the mixtures `x` but the first than at the first, at the target: mean and variance.
    #[must_use]
    pub fn metric_differences(&self, index: usize, x: &Weights) -> Vec<(f64, f64)> {
        let metric = &self.metrics[index];
        let gains = metric.gains(&self.warp.warped(x), self.target.index());
        gains.into_iter().map(|(mean, variance)| (metric.sign() * mean, variance)).collect()
    }

    /// Posterior mean of the metric at the target at one mixture, with its derivative (length D).
    #[must_use]
    pub fn metric_mean_with_gradient(&self, index: usize, w: &Weights) -> (f64, Vec<f64>) {
        let metric = &self.metrics[index];
        let (mean, mut gradient) = metric.mean_with_gradient(&self.warp.warped(w), self.target.index());
        self.unwarp(w, &mut gradient);
        gradient.iter_mut().for_each(|g| *g *= metric.sign());
        (metric.sign() * mean, gradient)
    }

    /// Noise variance of one run's metric at fidelity `m`, of a usual mixture.
    #[must_use]
    pub fn metric_noise(&self, index: usize, m: FidelityId) -> f64 {
        let noise = |k: &MetricModel| k.usual_slope(m.index()).powi(2) * k.process.noise(m.index());
        noise(&self.metrics[index])
    }
}
