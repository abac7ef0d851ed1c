//! One metric of the surrogate, and what the errors of all metrics say together.

use rayon::prelude::*;

use super::data::Data;
use super::error::FitError;
use super::gp::Predicted;
use super::process::Process;
use super::scale::{Moments, Scale};
use super::standardize::{Series, Standardization, Unit};
use super::task::Task;
use crate::space::Warped;

/// Runs' worth of belief that the errors of metrics are independent.
const INDEPENDENCE_WEIGHT: f64 = 8.0;

/// One metric: its data in standardized units, its fitted process, its share of the objective.
#[derive(Clone, Debug)]
pub(super) struct MetricModel {
    pub standardization: Standardization,
    pub data: Data,
    pub process: Process,
    unit: Unit,
}

/// A metric's share of the objective, as a linear function of its standardized place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Its mean.
    pub mean: f64,
    /// Objective units per standardized unit.
    pub slope: f64,
}

impl MetricModel {
    pub fn new(series: &Series, standardization: Standardization, data: Data, process: Process) -> Self {
        Self { standardization, data, process, unit: series.unit }
    }

    /// The model with further runs.
    pub fn extend(&self, task: &Task<'_>, later: &Series) -> Result<Self, FitError> {
        if !later.is_possible() {
            return Err(FitError::OtherKind);
        }
        self.believing(&task.data(later, &self.standardization))
    }

    /// The model with runs in standardized units.
    pub fn believing(&self, later: &Data) -> Result<Self, FitError> {
        let data = self.data.followed_by(later);
        let process = self.process.extend(&data)?;
        Ok(Self { standardization: self.standardization.clone(), data, process, unit: self.unit })
    }

    /// The scale that it is modelled on.
    pub fn scale(&self) -> Scale {
        self.unit.scale
    }

    /// Its weight in the objective.
    pub fn weight(&self) -> f64 {
        self.unit.weight
    }

    /// The moments of the value whose place at fidelity `m` has this mean and variance in standardized units.
    fn moments(&self, m: usize, mean: f64, variance: f64) -> Moments {
        let (Unit { scale, sign, .. }, unit) = (self.unit, self.standardization.scale[m]);
        let place = sign * (self.standardization.level[m] + unit * mean);
        scale.moments(place, unit * unit * variance)
    }

    /// The share of a place at fidelity `m` with this mean and variance.
    pub fn share(&self, m: usize, mean: f64, variance: f64) -> Share {
        let (Unit { sign, weight, .. }, unit) = (self.unit, self.standardization.scale[m]);
        let moments = self.moments(m, mean, variance);
        Share { mean: weight * sign * moments.mean, slope: weight * unit * moments.slope }
    }

    /// The metric's values at the p points `z` at fidelity `m`, as reported: mean and variance, with the uncertainty of its level.
    pub fn predict(&self, z: &Warped, m: usize) -> Vec<(f64, f64)> {
        let value = |Predicted { mean, variance, level_variance }| {
            let variance = variance + level_variance;
            let moments = self.moments(m, mean, variance);
            (moments.mean, (self.standardization.scale[m] * moments.slope).powi(2) * variance)
        };
        self.process.predict(z, m).into_iter().map(value).collect()
    }

    /// Noise variance of one run's value at fidelity `m`, of a usual mixture.
    pub fn noise(&self, m: usize) -> f64 {
        let slope = self.standardization.scale[m] * self.moments(m, 0.0, 0.0).slope;
        slope * slope * self.process.noise(m)
    }

    /// [`Self::share`], with its derivatives with respect to the mean and the variance.
    pub fn share_with_gradient(&self, m: usize, mean: f64, variance: f64) -> (Share, [Share; 2]) {
        let (Unit { scale, sign, weight }, unit) = (self.unit, self.standardization.scale[m]);
        let place = sign * (self.standardization.level[m] + unit * mean);
        let (moments, gradient) = scale.moments_with_gradient(place, unit * unit * variance);
        let share = |moments: Moments, factor: f64| Share {
            mean: weight * sign * moments.mean * factor,
            slope: weight * unit * moments.slope * factor,
        };
        (share(moments, 1.0), [share(gradient[0], sign * unit), share(gradient[1], unit * unit)])
    }

    /// The slope of the share of a usual mixture at fidelity `m`.
    pub fn usual_slope(&self, m: usize) -> f64 {
        self.share(m, 0.0, 0.0).slope
    }

    /// The shares of the p points `z` at fidelity `m`.
    pub fn shares(&self, z: &Warped, m: usize) -> Vec<Share> {
        self.places(z, m).into_iter().map(|(mean, variance)| self.share(m, mean, variance)).collect()
    }

    /// Means of the places of the p points `z` at fidelity `m`, with their variances where the values depend on them.
    fn places(&self, z: &Warped, m: usize) -> Vec<(f64, f64)> {
        match self.unit.scale {
            // Means alone take a fraction of the time.
            Scale::Identity => self.process.mean(z, m).iter().map(|mean| (*mean, 0.0)).collect(),
            _ => self.process.predict(z, m).into_iter().map(|p| (p.mean, p.variance)).collect(),
        }
    }

    /// Mean of the share at one point and its derivative with respect to the warped mixture (length D).
    pub fn mean_with_gradient(&self, z: &Warped, m: usize) -> (f64, Vec<f64>) {
        if self.unit.scale == Scale::Identity {
            let (mean, mut gradient) = self.process.mean_with_gradient(z, m);
            let share = self.share(m, mean, 0.0);
            gradient.iter_mut().for_each(|g| *g *= share.slope);
            return (share.mean, gradient);
        }
        let joint = self.process.joint_with_gradient(z, m, m);
        let (share, [by_mean, by_variance]) = self.share_with_gradient(m, joint.mean, joint.variance);
        let [mean, variance, ..] = &joint.gradient;
        let gradient =
            mean.iter().zip(variance).map(|(mean, variance)| by_mean.mean * mean + by_variance.mean * variance);
        (share.mean, gradient.collect())
    }

    /// By how much the metric is better at the first of the points `z` than at each of the others, at fidelity `m` and in its own unit:
    /// mean and variance.
    pub fn gains(&self, z: &Warped, m: usize) -> Vec<(f64, f64)> {
        let moments: Vec<Moments> = self.places(z, m).into_iter().map(|(mean, v)| self.moments(m, mean, v)).collect();
        let slopes: Vec<f64> = moments.iter().map(|value| self.standardization.scale[m] * value.slope).collect();
        let variances = self.process.difference_variances(z, m, &slopes);
        let gain = |value: &Moments| self.unit.sign * (value.mean - moments[0].mean);
        moments[1..].iter().map(gain).zip(variances).collect()
    }
}

/// For each run the error of the objective, left out, and its variance as if the errors of metrics were independent.
pub(super) fn leave_one_out(metrics: &[MetricModel]) -> Vec<(f64, f64)> {
    let mut total = vec![(0.0, 0.0); metrics.first().map_or(0, |first| first.data.y.len())];
    let parts: Vec<_> = metrics.par_iter().map(|metric| metric.process.leave_one_out(&metric.data.y)).collect();
    for (metric, parts) in metrics.iter().zip(parts) {
        for (i, (mean, variance)) in parts.into_iter().enumerate() {
            let (m, measured) = (metric.data.fidelity[i], metric.data.y[i]);
            // The error of a measurement is one of the value, not of its place: it has no part in the curvature.
            let noise = metric.process.noise(m) + metric.data.known_noise[i];
            let share = metric.share(m, mean, (variance - noise).max(0.0));
            total[i].0 += metric.share(m, measured, 0.0).mean - share.mean;
            total[i].1 += share.slope.powi(2) * variance;
        }
    }
    total
}

/// Mean squared leave-one-out error of the objective relative to its predicted variance, shrunk towards 1.
pub(super) fn inflation(metrics: &[MetricModel]) -> f64 {
    let errors = leave_one_out(metrics);
    let total: f64 = errors.iter().map(|(e, v)| e * e / v).sum();
    (total + INDEPENDENCE_WEIGHT) / (errors.len() as f64 + INDEPENDENCE_WEIGHT)
}
