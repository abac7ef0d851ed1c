//! The objective of a mixture, by what the processes of the metrics say: its coefficients, its noise, how sizes agree about it.

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::aggregate::{Linear, combined, weighted};
use super::largest::{Largest, Normal};
use super::metric::MetricModel;
use super::model::{Agreement, Surrogate};
use crate::problem::{Aggregate, FidelityId, Weights};
use crate::space::Warped;

impl Surrogate {
    /// The objective at fidelity `m` of each of the p mixtures `x`.
    pub(super) fn linear(&self, x: &Warped, m: usize) -> Vec<Linear> {
        let of = |metric: &MetricModel| -> Vec<Normal> {
            match self.aggregate {
                // Means alone take a fraction of the time.
                Aggregate::Mean => metric.readings(x, m).into_iter().map(|reading| reading.value(0.0)).collect(),
                Aggregate::Worst => metric.values(x, m),
            }
        };
        let values: Vec<Vec<Normal>> = self.metrics.par_iter().map(of).collect();
        (0..x.len()).map(|i| self.combined(values.iter().map(|values| values[i]))).collect()
    }

    /// The objective made of these values of the metrics.
    pub(super) fn combined(&self, values: impl Iterator<Item = Normal> + Clone) -> Linear {
        combined(self.aggregate, self.metrics.iter().map(MetricModel::weight).zip(values))
    }

    /// The coefficients of the metrics in the objective of each of the p mixtures `x` at the target (p × J), times the square root of the
    /// factor that makes the objective's errors as large as predicted.
    #[must_use]
    pub fn shares(&self, x: &Weights) -> DMatrix<f64> {
        let linear = self.linear(&self.warped(x), self.target.index());
        DMatrix::from_fn(x.len(), self.metrics.len(), |i, j| {
            linear[i].coefficients[j] * self.inflation[self.target.index()].sqrt()
        })
    }

    /// What each metric's value is multiplied by in the objective of a usual mixture at fidelity `m`. Where the worst metric counts, which
    /// one that is depends on the mixture: variances are averages over mixtures.
    fn usual_coefficients(&self, m: usize) -> Vec<f64> {
        let weights = self.metrics.iter().map(MetricModel::weight);
        if self.aggregate == Aggregate::Mean {
            return weights.collect();
        }
        let values: Vec<Normal> = self.metrics.iter().map(|k| weighted((k.weight(), k.usual(m)))).collect();
        weights.zip(Largest::of(&values).probability).map(|(weight, p)| weight * p.sqrt()).collect()
    }

    /// Noise variance of one run's objective at fidelity `m`, of a usual mixture.
    #[must_use]
    pub fn noise(&self, m: FidelityId) -> f64 {
        let m = m.index();
        let share = |(coefficient, k): (f64, &MetricModel)| coefficient.powi(2) * k.noise(m);
        self.inflation[m] * self.usual_coefficients(m).into_iter().zip(&self.metrics).map(share).sum::<f64>()
    }

    /// Noise variance of one run's objective at fidelity `m`, of the mixture `x` (a single one). The worst of noisy metrics is worse on
    /// average than the worst of their noise-free values: the mean square of the difference is part of the noise. So is what is not known of
    /// a reference: a run is compared with what was measured of it.
    #[must_use]
    pub fn noise_of(&self, x: &Weights, m: FidelityId) -> f64 {
        let reference = |k: &MetricModel| self.reference.as_ref().map_or(0.0, |z| k.predict(z, m.index())[0].1);
        if self.aggregate == Aggregate::Mean {
            let compared: f64 = self.metrics.iter().map(|k| k.weight().powi(2) * reference(k)).sum();
            return self.noise(m) + self.inflation[m.index()] * compared;
        }
        let (x, m) = (self.warped(x), m.index());
        let value = |k: &MetricModel, noise: f64| {
            let value = k.values(&x, m)[0];
            weighted((k.weight(), Normal { variance: value.variance + noise, ..value }))
        };
        let values: Vec<Normal> = self.metrics.iter().map(|k| value(k, 0.0)).collect();
        let measured: Vec<Normal> = self.metrics.iter().map(|k| value(k, k.noise(m) + reference(k))).collect();
        let (expected, measured) = (Largest::of(&values), Largest::of(&measured));
        let added = measured.variance + (measured.mean - expected.mean).powi(2) - expected.variance;
        self.inflation[m] * added.max(0.0)
    }

    /// How well each size agrees with the target: one entry per fidelity. Before a size has runs this is the prior's opinion.
    #[must_use]
    pub fn agreement(&self) -> Vec<Agreement> {
        let target = self.target.index();
        let slopes = |m: usize| -> Vec<f64> {
            let slope = |(coefficient, k): (f64, &MetricModel)| coefficient * k.usual_slope(m);
            self.usual_coefficients(m).into_iter().zip(&self.metrics).map(slope).collect()
        };
        let at_target = slopes(target);
        (0..self.sizes)
            .map(|m| {
                let here = slopes(m);
                let sum = |share: &dyn Fn(usize, &MetricModel) -> f64| -> f64 {
                    self.metrics.iter().enumerate().map(|(j, k)| share(j, k)).sum()
                };
                let own = sum(&|j, k| here[j].powi(2) * k.process.prior_covariance(m, m));
                let of_target = sum(&|j, k| at_target[j].powi(2) * k.process.prior_covariance(target, target));
                let explained = sum(&|j, k| {
                    let (shared, own) = (k.process.prior_covariance(m, target), k.process.prior_covariance(m, m));
                    at_target[j].powi(2) * shared * shared / (own + k.process.noise(m))
                });
                let shared = sum(&|j, k| here[j] * at_target[j] * k.process.prior_covariance(m, target));
                Agreement { correlation: shared / (own * of_target).sqrt(), information: explained / of_target }
            })
            .collect()
    }
}
