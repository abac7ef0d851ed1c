//! How the metrics make the objective: what is known of single metrics becomes what is known of their mean, or of the worst of them.

use nalgebra::DVector;

use super::largest::{Largest, Normal};
use crate::problem::{Aggregate, Objective, Structure};

/// What observing all metrics of a mixture at a fidelity would teach about the objective of this mixture at the target.
#[derive(Clone, Debug, Default)]
pub struct Lookahead {
    /// Posterior mean of the target objective (minimized).
    pub mean: f64,
    /// Posterior variance of the target objective.
    pub variance: f64,
    /// How much of that variance the observation would remove.
    pub reduction: f64,
    /// Derivatives of these three with respect to the weights (length D each), if asked for.
    pub gradient: [Vec<f64>; 3],
}

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

/// A value times its weight in the objective, where the largest counts: without a weight, it never is.
pub(super) fn weighted((weight, value): (f64, Normal)) -> Normal {
    match weight {
        0.0 => Normal { mean: f64::NEG_INFINITY, variance: 0.0 },
        _ => Normal { mean: weight * value.mean, variance: weight * weight * value.variance },
    }
}

/// The objective made of independent metrics with these weights (at least 0) and values.
pub(super) fn combined(aggregate: Aggregate, metrics: impl Iterator<Item = (f64, Normal)> + Clone) -> Linear {
    match aggregate {
        Aggregate::Mean => Linear {
            mean: metrics.clone().map(|(weight, value)| weight * value.mean).sum(),
            coefficients: metrics.map(|(weight, _)| weight).collect(),
        },
        Aggregate::Worst => {
            let values: Vec<Normal> = metrics.clone().map(weighted).collect();
            let largest = Largest::of(&values);
            let coefficients = largest.coefficients(&values).into_iter().zip(metrics);
            Linear { mean: largest.mean, coefficients: coefficients.map(|(q, (weight, _))| weight * q).collect() }
        }
    }
}

/// What an observation would teach about the objective, given what it would teach about each of its own metrics, times its weight.
pub(super) fn combined_lookahead(aggregate: Aggregate, metrics: &[Lookahead]) -> Lookahead {
    let dim = metrics.first().map_or(0, |first| first.gradient[0].len());
    let mut total = Lookahead { gradient: std::array::from_fn(|_| vec![0.0; dim]), ..Lookahead::default() };
    match aggregate {
        Aggregate::Mean => metrics.iter().for_each(|metric| total.add(metric)),
        Aggregate::Worst => total.set_largest(metrics),
    }
    total
}

impl Lookahead {
    fn add(&mut self, metric: &Self) {
        self.mean += metric.mean;
        self.variance += metric.variance;
        self.reduction += metric.reduction;
        for (total, metric) in self.gradient.iter_mut().zip(&metric.gradient) {
            total.iter_mut().zip(metric).for_each(|(total, metric)| *total += metric);
        }
    }

    /// That of the largest of the `metrics`: of the linear function with coefficients in proportion to the probabilities, and with the
    /// variance of the largest.
    fn set_largest(&mut self, metrics: &[Self]) {
        let values: Vec<Normal> = metrics.iter().map(|m| Normal { mean: m.mean, variance: m.variance }).collect();
        let largest = Largest::of(&values);
        let squares = |of: &dyn Fn(&Lookahead) -> f64| -> f64 {
            largest.probability.iter().zip(metrics).map(|(p, metric)| p * p * of(metric)).sum()
        };
        let (square, removed) = (squares(&|metric| metric.variance), squares(&|metric| metric.reduction));
        let share = removed / square;
        (self.mean, self.variance, self.reduction) = (largest.mean, largest.variance, largest.variance * share);
        if self.gradient[0].is_empty() {
            return;
        }
        let slopes = largest.slopes(&values);
        for d in 0..self.gradient[0].len() {
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
            self.gradient[0][d] = d_mean;
            self.gradient[1][d] = d_variance;
            self.gradient[2][d] = d_variance * share + largest.variance * (d_removed - share * d_square) / square;
        }
    }
}
