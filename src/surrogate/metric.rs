//! One metric of the surrogate, and what the errors of all metrics say together.

use nalgebra::DVector;
use rayon::prelude::*;

use super::aggregate::combined;
use super::data::Data;
use super::error::FitError;
use super::gp::{Combination, Predicted, differences};
use super::largest::Normal;
use super::process::Process;
use super::scale::{Moments, Scale};
use super::standardize::{Series, Standardization, Unit};
use super::task::Task;
use crate::problem::Aggregate;
use crate::space::Warped;

/// Runs' worth of belief that the errors of metrics are independent, and that they are at one fidelity as they are at all.
const INDEPENDENCE_WEIGHT: f64 = 2.0;

/// One metric: its data in standardized units, its fitted process, the unit of its values.
#[derive(Clone, Debug)]
pub(super) struct MetricModel {
    pub standardization: Standardization,
    pub data: Data,
    pub process: Process,
    unit: Unit,
    /// What its values are compared with at each fidelity: those of the reference, oriented so that smaller is better; empty without one.
    reference: Vec<f64>,
}

/// A metric's value, oriented so that smaller is better, as a linear function of its standardized place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Its mean.
    pub mean: f64,
    /// Units of the metric per standardized unit.
    pub slope: f64,
}

impl Reading {
    /// The value, where its standardized place has this variance.
    pub fn value(self, variance: f64) -> Normal {
        Normal { mean: self.mean, variance: self.slope.powi(2) * variance }
    }
}

impl MetricModel {
    pub fn new(series: &Series, standardization: Standardization, data: Data, process: Process) -> Self {
        Self { standardization, data, process, unit: series.unit, reference: Vec::new() }
    }

    /// The same metric, whose values are differences to those expected at the point `z` at each of so many fidelities.
    pub fn relative_to(self, z: &Warped, fidelities: usize) -> Self {
        let absolute = Self { reference: Vec::new(), ..self };
        let reference = (0..fidelities).map(|m| absolute.readings(z, m)[0].mean).collect();
        Self { reference, ..absolute }
    }

    /// What values at fidelity `m` are compared with, or 0.
    pub fn reference(&self, m: usize) -> f64 {
        self.reference.get(m).copied().unwrap_or(0.0)
    }

    /// The model with further runs.
    pub fn extend(&self, task: &Task<'_>, later: &Series) -> Result<Self, FitError> {
        if !later.is_possible() {
            return Err(FitError::OtherKind);
        }
        let data = self.data.followed_by(&task.data(later, &self.standardization));
        let process = self.process.extend(&data)?;
        Ok(self.conditioned(data, process))
    }

    /// The model with runs at the points `z` and the fidelities `at` as they are expected to end.
    pub fn believing(&self, z: &Warped, at: &[usize]) -> Result<Self, FitError> {
        let expected = at.iter().enumerate().map(|(i, m)| self.process.mean(&z.range(i, 1), *m)[0]);
        let later = Data {
            y: DVector::from_iterator(at.len(), expected),
            x: z.clone(),
            fidelity: at.to_vec(),
            known_noise: vec![0.0; at.len()],
            level_sd: self.data.level_sd.clone(),
        };
        let data = self.data.followed_by(&later);
        let process = self.process.extend_at_once(&data)?;
        Ok(self.conditioned(data, process))
    }

    /// The same metric with another process.
    fn conditioned(&self, data: Data, process: Process) -> Self {
        let (standardization, reference) = (self.standardization.clone(), self.reference.clone());
        Self { standardization, data, process, unit: self.unit, reference }
    }

    /// The scale that it is modelled on.
    pub fn scale(&self) -> Scale {
        self.unit.scale
    }

    /// 1 where its small values are good, −1 where its large ones are.
    pub fn sign(&self) -> f64 {
        self.unit.sign
    }

    /// Its weight in the objective, at least 0: 0 where only a guard is about it.
    pub fn weight(&self) -> f64 {
        self.unit.weight
    }

    /// The value of a place at fidelity `m` with this mean and variance.
    pub fn reading(&self, m: usize, mean: f64, variance: f64) -> Reading {
        let (Unit { scale, sign, .. }, unit) = (self.unit, self.standardization.scale);
        let place = sign * (self.standardization.level[m] + unit * mean);
        let moments = scale.moments(place, unit * unit * variance);
        Reading { mean: sign * moments.mean - self.reference(m), slope: unit * moments.slope }
    }

    /// [`Self::reading`], with its derivatives with respect to the mean and the variance.
    pub fn reading_with_gradient(&self, m: usize, mean: f64, variance: f64) -> (Reading, [Reading; 2]) {
        let (Unit { scale, sign, .. }, unit) = (self.unit, self.standardization.scale);
        let place = sign * (self.standardization.level[m] + unit * mean);
        let (moments, gradient) = scale.moments_with_gradient(place, unit * unit * variance);
        let reading = |moments: Moments, factor: f64| Reading {
            mean: sign * moments.mean * factor,
            slope: unit * moments.slope * factor,
        };
        let slopes = [reading(gradient[0], sign * unit), reading(gradient[1], unit * unit)];
        let value = reading(moments, 1.0);
        (Reading { mean: value.mean - self.reference(m), ..value }, slopes)
    }

    /// The slope of the value of a usual mixture at fidelity `m`.
    pub fn usual_slope(&self, m: usize) -> f64 {
        self.reading(m, 0.0, 0.0).slope
    }

    /// The values of the p points `z` at fidelity `m`.
    pub fn readings(&self, z: &Warped, m: usize) -> Vec<Reading> {
        match self.unit.scale {
            // Means alone take a fraction of the time.
            Scale::Identity => self.process.mean(z, m).iter().map(|mean| self.reading(m, *mean, 0.0)).collect(),
            _ => self.process.predict(z, m).into_iter().map(|p| self.reading(m, p.mean, p.variance)).collect(),
        }
    }

    /// The values of the p points `z` at fidelity `m`, with their variances.
    pub fn values(&self, z: &Warped, m: usize) -> Vec<Normal> {
        let value = |p: Predicted| self.reading(m, p.mean, p.variance).value(p.variance);
        self.process.predict(z, m).into_iter().map(value).collect()
    }

    /// The value of a random mixture at fidelity `m`, as far as the prior knows.
    pub fn usual(&self, m: usize) -> Normal {
        self.reading(m, 0.0, 0.0).value(self.process.prior_covariance(m, m))
    }

    /// The metric's values at the p points `z` at fidelity `m`, as reported: mean and variance, with the uncertainty of its level.
    pub fn predict(&self, z: &Warped, m: usize) -> Vec<(f64, f64)> {
        let value = |Predicted { mean, variance, level_variance }| {
            let variance = variance + level_variance;
            let reading = self.reading(m, mean, variance);
            (self.unit.sign * (reading.mean + self.reference(m)), reading.slope.powi(2) * variance)
        };
        self.process.predict(z, m).into_iter().map(value).collect()
    }

    /// Noise variance of one run's value at fidelity `m`, of a usual mixture.
    pub fn noise(&self, m: usize) -> f64 {
        self.usual_slope(m).powi(2) * self.process.noise(m)
    }

    /// Mean of the value at one point and its derivative with respect to the warped mixture (length D).
    pub fn mean_with_gradient(&self, z: &Warped, m: usize) -> (f64, Vec<f64>) {
        if self.unit.scale == Scale::Identity {
            let (mean, mut gradient) = self.process.mean_with_gradient(z, m);
            let reading = self.reading(m, mean, 0.0);
            gradient.iter_mut().for_each(|g| *g *= reading.slope);
            return (reading.mean, gradient);
        }
        let joint = self.process.joint_with_gradient(z, m, m);
        let (reading, [by_mean, by_variance]) = self.reading_with_gradient(m, joint.mean, joint.variance);
        let [mean, variance, ..] = &joint.gradient;
        let gradient =
            mean.iter().zip(variance).map(|(mean, variance)| by_mean.mean * mean + by_variance.mean * variance);
        (reading.mean, gradient.collect())
    }

    /// The values of the first p points `z` at fidelity `m` less that of the last one, whose error they share.
    pub fn differences_to_last(&self, z: &Warped, m: usize) -> Vec<Normal> {
        let readings = self.readings(z, m);
        let last = readings.len() - 1;
        let combination = |i: usize| vec![(i, readings[i].slope), (last, -readings[last].slope)];
        let combinations: Vec<Combination> = (0..last).map(combination).collect();
        let variances = self.process.combination_variances(z, m, &combinations);
        let value = |(i, variance): (usize, f64)| Normal { mean: readings[i].mean - readings[last].mean, variance };
        variances.into_iter().enumerate().map(value).collect()
    }

    /// By how much the value is smaller at the first of the points `z` than at each of the others, at fidelity `m`: mean and variance.
    pub fn gains(&self, z: &Warped, m: usize) -> Vec<(f64, f64)> {
        let values = self.readings(z, m);
        let slopes: Vec<f64> = values.iter().map(|value| value.slope).collect();
        let variances = self.process.combination_variances(z, m, &differences(&slopes));
        values[1..].iter().zip(variances).map(|(value, variance)| (value.mean - values[0].mean, variance)).collect()
    }
}

/// The error of the objective of a run that is predicted by all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftOut {
    /// Index of the run's fidelity.
    pub fidelity: usize,
    /// Measured minus predicted.
    pub error: f64,
    /// The variance that the error has if the errors of metrics are independent.
    pub variance: f64,
    /// The squares of the errors of single metrics, as the objective weights them.
    separate: f64,
}

/// The left-out errors of all runs.
pub(super) fn leave_one_out(metrics: &[MetricModel], aggregate: Aggregate) -> Vec<LeftOut> {
    let parts: Vec<_> = metrics.par_iter().map(|metric| metric.process.leave_one_out(&metric.data.y)).collect();
    let run = |i: usize| {
        // What was measured, and what was predicted of it.
        let of = |(metric, parts): (&MetricModel, &Vec<(f64, f64)>)| {
            let ((mean, variance), m, measured) = (parts[i], metric.data.fidelity[i], metric.data.y[i]);
            // The error of a measurement is one of the value, not of its place: it has no part in the curvature.
            let noise = metric.process.noise(m) + metric.data.known_noise[i];
            let reading = metric.reading(m, mean, (variance - noise).max(0.0));
            (metric.weight(), metric.reading(m, measured, 0.0).value(0.0), reading.value(variance))
        };
        let values: Vec<(f64, Normal, Normal)> = metrics.iter().zip(&parts).map(of).collect();
        let measured = combined(aggregate, values.iter().map(|(weight, measured, _)| (*weight, *measured)));
        let predicted = combined(aggregate, values.iter().map(|(weight, _, predicted)| (*weight, *predicted)));
        let variance =
            predicted.coefficients.iter().zip(&values).map(|(c, (_, _, value))| c * c * value.variance).sum();
        let separate = predicted.coefficients.iter().zip(&values);
        let separate = separate.map(|(c, (_, measured, value))| (c * (measured.mean - value.mean)).powi(2)).sum();
        LeftOut { fidelity: metrics[0].data.fidelity[i], error: measured.mean - predicted.mean, variance, separate }
    };
    (0..metrics.first().map_or(0, |first| first.data.y.len())).map(run).collect()
}

/// For each of so many fidelities, how much larger the variance of the objective is than if the errors of metrics were independent: by the
/// squares of left-out errors, relative to what the errors of single metrics would add up to. The runs at a fidelity count for it, and those
/// at all fidelities as [`INDEPENDENCE_WEIGHT`] runs. With one metric it is 1.
pub(super) fn inflation(metrics: &[MetricModel], aggregate: Aggregate, fidelities: usize) -> Vec<f64> {
    let errors = leave_one_out(metrics, aggregate);
    let factor = |m: Option<usize>, expected: f64| {
        let of = errors.iter().filter(|error| m.is_none_or(|m| m == error.fidelity));
        let start = (INDEPENDENCE_WEIGHT * expected, INDEPENDENCE_WEIGHT);
        let add = |(joint, separate): (f64, f64), e: &LeftOut| {
            (joint + e.error.powi(2) / e.variance, separate + e.separate / e.variance)
        };
        let (joint, separate) = of.fold(start, add);
        joint / separate
    };
    let overall = factor(None, 1.0);
    (0..fidelities).map(|m| factor(Some(m), overall)).collect()
}
