//! One metric of the surrogate, and what the errors of all metrics say together.

use rayon::prelude::*;

use super::data::Data;
use super::error::FitError;
use super::process::Process;
use super::standardize::{Series, Standardization};

/// Runs' worth of belief that the errors of metrics are independent.
const INDEPENDENCE_WEIGHT: f64 = 8.0;

/// One metric: its data in standardized units, its fitted process, its share of the objective.
#[derive(Clone, Debug)]
pub(super) struct MetricModel {
    pub standardization: Standardization,
    pub data: Data,
    pub process: Process,
    /// Objective units (minimized) per standardized unit of this metric at each fidelity: `|weight| · scale`.
    pub gain: Vec<f64>,
}

impl MetricModel {
    pub fn new(series: &Series, standardization: Standardization, data: Data, process: Process) -> Self {
        let gain = standardization.scale.iter().map(|s| series.weight * s).collect();
        Self { standardization, data, process, gain }
    }

    /// The model with further runs.
    pub fn extend(&self, later: &Data) -> Result<Self, FitError> {
        let data = self.data.followed_by(later);
        let process = self.process.extend(&data)?;
        Ok(Self { standardization: self.standardization.clone(), data, process, gain: self.gain.clone() })
    }
}

/// For each run the error of the objective, left out, and its variance as if the errors of metrics were independent.
pub(super) fn leave_one_out(metrics: &[MetricModel]) -> Vec<(f64, f64)> {
    let mut total = vec![(0.0, 0.0); metrics.first().map_or(0, |first| first.data.y.len())];
    let parts: Vec<_> = metrics.par_iter().map(|metric| metric.process.leave_one_out(&metric.data.y)).collect();
    for (metric, parts) in metrics.iter().zip(parts) {
        for (i, (mean, variance)) in parts.into_iter().enumerate() {
            let gain = metric.gain[metric.data.fidelity[i]];
            total[i].0 += gain * (metric.data.y[i] - mean);
            total[i].1 += gain * gain * variance;
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
