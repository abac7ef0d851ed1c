//! How the metrics make the objective: what is known of single metrics becomes what is known of their mean, or of the worst of them.

use nalgebra::{DMatrix, DVector};

use super::largest::{Largest, Normal};
use super::lookahead::Lookahead;
use super::metric::MetricModel;
use super::model::{Agreement, Surrogate};
use crate::problem::{Aggregate, FidelityId, Objective, Structure, Weights};
use crate::space::Warped;

/// The objective at a mixture, as a linear function of the values of the metrics, oriented so that smaller is better.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// Its mean.
    pub mean: f64,
    /// What each metric's value is multiplied by. For the worst metric, these coefficients depend on the mixture.
    pub coefficients: Vec<f64>,
}

/// How the processes of an objective make it: a process of the objective itself is its mean.
pub(super) fn aggregate(objective: &Objective, structure: Structure) -> Aggregate {
    match structure {
        Structure::PerMetric => objective.aggregate,
        Structure::Objective => Aggregate::Mean,
    }
}

/// A value times its weight in the objective.
fn weighted(weight: f64, value: Normal) -> Normal {
    Normal { mean: weight * value.mean, variance: weight * weight * value.variance }
}

/// The objective made of independent metrics with these weights (at least 0) and values. Metrics with a weight of 0 are no part of it.
pub(super) fn combined(aggregate: Aggregate, metrics: impl Iterator<Item = (f64, Normal)> + Clone) -> Linear {
    match aggregate {
        Aggregate::Mean => Linear {
            mean: metrics.clone().map(|(weight, value)| weight * value.mean).sum(),
            coefficients: metrics.map(|(weight, _)| weight).collect(),
        },
        Aggregate::Worst => {
            let own = metrics.clone().filter(|(weight, _)| *weight > 0.0);
            let values: Vec<Normal> = own.map(|(weight, value)| weighted(weight, value)).collect();
            let largest = Largest::of(&values);
            let mut coefficients = largest.coefficients(&values).into_iter();
            let coefficient = |(weight, _)| if weight > 0.0 { coefficients.next().map_or(0.0, |q| weight * q) } else { 0.0 };
            Linear { mean: largest.mean, coefficients: metrics.map(coefficient).collect() }
        }
    }
}

/// What an observation would teach about the objective, given what it would teach about each of its own metrics, times its weight.
pub(super) fn combined_lookahead(aggregate: Aggregate, metrics: &[Lookahead]) -> Lookahead {
    let dim = metrics.first().map_or(0, |first| first.gradient[0].len());
    let mut total = Lookahead { gradient: std::array::from_fn(|_| vec![0.0; dim]), ..Lookahead::default() };
    if aggregate == Aggregate::Mean {
        for metric in metrics {
            total.mean += metric.mean;
            total.variance += metric.variance;
            total.reduction += metric.reduction;
            for (total, metric) in total.gradient.iter_mut().zip(&metric.gradient) {
                total.iter_mut().zip(metric).for_each(|(total, metric)| *total += metric);
            }
        }
        return total;
    }
    let values: Vec<Normal> = metrics.iter().map(|m| Normal { mean: m.mean, variance: m.variance }).collect();
    let largest = Largest::of(&values);
    let squares = |of: &dyn Fn(&Lookahead) -> f64| -> f64 {
        largest.probability.iter().zip(metrics).map(|(p, metric)| p * p * of(metric)).sum()
    };
    // The linear function with coefficients in proportion to the probabilities, and the variance of the largest.
    let (square, removed) = (squares(&|metric| metric.variance), squares(&|metric| metric.reduction));
    total.mean = largest.mean;
    total.variance = largest.variance;
    total.reduction = largest.variance * removed / square;
    if dim == 0 {
        return total;
    }
    let slopes = largest.slopes(&values);
    for d in 0..dim {
        let along = |of: usize| DVector::from_iterator(metrics.len(), metrics.iter().map(|m| m.gradient[of][d]));
        let (d_means, d_variances) = (along(0), along(1));
        let d_probability = &slopes.probability_by_mean * &d_means + &slopes.probability_by_variance * &d_variances;
        let (mut d_mean, mut d_variance, mut d_square, mut d_removed) = (0.0, 0.0, 0.0, 0.0);
        for (k, metric) in metrics.iter().enumerate() {
            let p = largest.probability[k];
            d_mean += p * d_means[k] + slopes.mean_by_variance[k] * d_variances[k];
            d_variance += slopes.variance_by_mean[k] * d_means[k] + slopes.variance_by_variance[k] * d_variances[k];
            d_square += 2.0 * p * d_probability[k] * metric.variance + p * p * d_variances[k];
            d_removed += 2.0 * p * d_probability[k] * metric.reduction + p * p * metric.gradient[2][d];
        }
        total.gradient[0][d] = d_mean;
        total.gradient[1][d] = d_variance;
        let share = removed / square;
        total.gradient[2][d] = d_variance * share + largest.variance * (d_removed - share * d_square) / square;
    }
    total
}

impl Surrogate {
    /// The objective at fidelity `m` of each of the p mixtures `x`.
    pub(super) fn linear(&self, x: &Warped, m: usize) -> Vec<Linear> {
        let of = |metric: &MetricModel| -> Vec<Normal> {
            match self.aggregate {
                // Means alone take a fraction of the time.
                Aggregate::Mean => {
                    metric.readings(x, m).into_iter().map(|reading| reading.value(0.0)).collect()
                }
                Aggregate::Worst => metric.values(x, m),
            }
        };
        let values: Vec<Vec<Normal>> = self.metrics.iter().map(of).collect();
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
        let linear = self.linear(&self.warp.warped(x), self.target.index());
        DMatrix::from_fn(x.len(), self.metrics.len(), |i, j| linear[i].coefficients[j] * self.inflation.sqrt())
    }

    /// What each metric's value is multiplied by in the objective of a usual mixture at fidelity `m`. Where the worst metric counts, which
    /// one that is depends on the mixture: variances are averages over mixtures.
    fn usual_coefficients(&self, m: usize) -> Vec<f64> {
        let weights = self.metrics.iter().map(MetricModel::weight);
        if self.aggregate == Aggregate::Mean {
            return weights.collect();
        }
        let own: Vec<&MetricModel> = self.metrics.iter().filter(|metric| metric.weight() > 0.0).collect();
        let values: Vec<Normal> = own.iter().map(|metric| weighted(metric.weight(), metric.usual(m))).collect();
        let mut probability = Largest::of(&values).probability.into_iter();
        weights.map(|weight| if weight > 0.0 { weight * probability.next().unwrap_or(0.0).sqrt() } else { 0.0 }).collect()
    }

    /// Noise variance of one run's objective at fidelity `m`, of a usual mixture.
    #[must_use]
    pub fn noise(&self, m: FidelityId) -> f64 {
        let m = m.index();
        let share = |(coefficient, k): (f64, &MetricModel)| coefficient.powi(2) * k.noise(m);
        self.inflation * self.usual_coefficients(m).into_iter().zip(&self.metrics).map(share).sum::<f64>()
    }

    /// Noise variance of one run's objective at fidelity `m`, of the mixture `x` (a single one). The worst of noisy metrics is worse on
    /// average than the worst of their noise-free values: the mean square of the difference is part of the noise.
    #[must_use]
    pub fn noise_of(&self, x: &Weights, m: FidelityId) -> f64 {
        if self.aggregate == Aggregate::Mean {
            return self.noise(m);
        }
        let (x, m) = (self.warp.warped(x), m.index());
        let own: Vec<&MetricModel> = self.metrics.iter().filter(|metric| metric.weight() > 0.0).collect();
        let values: Vec<Normal> = own.iter().map(|k| weighted(k.weight(), k.values(&x, m)[0])).collect();
        let noise = |(k, value): (&&MetricModel, &Normal)| Normal {
            variance: value.variance + k.weight().powi(2) * k.noise(m),
            ..*value
        };
        let measured: Vec<Normal> = own.iter().zip(&values).map(noise).collect();
        let (expected, measured) = (Largest::of(&values), Largest::of(&measured));
        let added = measured.variance + (measured.mean - expected.mean).powi(2) - expected.variance;
        self.inflation * added.max(0.0)
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
