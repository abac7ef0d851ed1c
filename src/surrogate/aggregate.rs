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

/// A value times its weight in the objective.
pub(super) fn weighted(weight: f64, value: Normal) -> Normal {
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
            let coefficient =
                |(weight, _)| if weight > 0.0 { coefficients.next().map_or(0.0, |q| weight * q) } else { 0.0 };
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
