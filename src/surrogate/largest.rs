//! The largest of several independent normal variables: the worst of several metrics.

use nalgebra::DMatrix;

use crate::problem::normal::{density, distribution};

/// Standard deviations from a mean beyond which a normal variable is not looked for.
const REACH: f64 = 7.0;
/// Length of the intervals of the quadrature, in the smallest standard deviation of a variable that may lie in them.
const INTERVAL: f64 = 2.0;
/// Positive nodes of the Gauss-Legendre rule with eight nodes, and their weights (Abramowitz & Stegun, table 25.4).
const RULE: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_5),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_3),
];
/// A variable is taken to be at least this uncertain, relative to the most uncertain one.
const LEAST_SD: f64 = 1e-6;

/// A normal variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal {
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
}

/// What is known of the largest of several independent normal variables.
#[derive(Clone, Debug)]
pub struct Largest {
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
    /// For each variable, the probability that it is the largest. This is the derivative of the mean with respect to its mean.
    pub probability: Vec<f64>,
}

/// Derivatives of [`Largest`].
#[derive(Clone, Debug)]
pub struct LargestSlopes {
    /// Of the mean, with respect to each variance.
    pub mean_by_variance: Vec<f64>,
    /// Of the variance, with respect to each mean.
    pub variance_by_mean: Vec<f64>,
    /// Of the variance, with respect to each variance.
    pub variance_by_variance: Vec<f64>,
    /// Of each probability (row), with respect to each mean (column).
    pub probability_by_mean: DMatrix<f64>,
    /// Of each probability (row), with respect to each variance (column).
    pub probability_by_variance: DMatrix<f64>,
}

/// The variables that may be the largest, relative to the largest mean, and the interval in which the largest lies.
struct Contest {
    /// Index, mean and standard deviation of each.
    variables: Vec<(usize, f64, f64)>,
    /// The largest mean.
    origin: f64,
    low: f64,
    high: f64,
}

/// A variable at a node of the quadrature.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Standard deviations from its mean to the node.
    z: f64,
    /// Density over distribution function at the node.
    hazard: f64,
    /// Density of the largest variable being this one and being here, times the weight of the node.
    share: f64,
}

impl Contest {
    fn new(variables: &[Normal]) -> Self {
        let largest = |of: &dyn Fn(&Normal) -> f64| variables.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let origin = largest(&|normal| normal.mean);
        let least = LEAST_SD * largest(&|normal| normal.variance.sqrt());
        let sd = |normal: &Normal| normal.variance.sqrt().max(least);
        let low = largest(&|normal| normal.mean - origin - REACH * sd(normal));
        let high = largest(&|normal| normal.mean - origin + REACH * sd(normal));
        let variables = variables.iter().enumerate().map(|(k, normal)| (k, normal.mean - origin, sd(normal)));
        let variables = variables.filter(|(_, mean, sd)| mean + REACH * sd >= low).collect();
        Self { variables, origin, low, high }
    }

    /// Calls `visit` with each node of the quadrature, relative to the origin, and the variables there. The nodes are those of a
    /// Gauss-Legendre rule on intervals that are short compared with every variable that may lie in them.
    fn visit(&self, mut visit: impl FnMut(f64, &[Place])) {
        let mut places = vec![Place::default(); self.variables.len()];
        let mut from = self.low;
        while from < self.high {
            let within = self.variables.iter().filter(|(_, mean, sd)| from < mean + REACH * sd);
            let length = within.map(|(_, _, sd)| INTERVAL * sd).fold(self.high - from, f64::min);
            for (node, weight) in RULE.into_iter().flat_map(|(node, weight)| [(-node, weight), (node, weight)]) {
                let x = from + 0.5 * length * (1.0 + node);
                self.places(x, 0.5 * length * weight, &mut places);
                visit(x, &places);
            }
            from += length;
        }
    }

    fn places(&self, x: f64, weight: f64, places: &mut [Place]) {
        // The product of the distribution functions of the variables before one, then of those after it.
        let mut before = weight;
        for (place, (_, mean, sd)) in places.iter_mut().zip(&self.variables) {
            let z = (x - mean) / sd;
            let (density, below) = (density(z) / sd, distribution(z));
            *place = Place { z, hazard: density / below, share: density * before };
            before *= below;
        }
        let mut after = 1.0;
        for (place, (_, mean, sd)) in places.iter_mut().zip(&self.variables).rev() {
            place.share *= after;
            after *= distribution((x - mean) / sd);
        }
    }
}

impl Largest {
    /// Of at least one variable.
    #[must_use]
    pub fn of(variables: &[Normal]) -> Self {
        let contest = Contest::new(variables);
        let mut largest = Self { mean: contest.origin, variance: 0.0, probability: vec![0.0; variables.len()] };
        if let [(only, ..)] = contest.variables[..] {
            largest.probability[only] = 1.0;
            return Self { variance: variables[only].variance, ..largest };
        }
        let (mut mean, mut square) = (0.0, 0.0);
        contest.visit(|x, places| {
            for (place, (k, ..)) in places.iter().zip(&contest.variables) {
                largest.probability[*k] += place.share;
                mean += place.share * x;
                square += place.share * x * x;
            }
        });
        Self { mean: contest.origin + mean, variance: (square - mean * mean).max(0.0), ..largest }
    }

    /// The derivatives. For a normal variable, that with respect to its variance is half the second one with respect to its mean.
    #[must_use]
    pub fn slopes(&self, variables: &[Normal]) -> LargestSlopes {
        let n = variables.len();
        let contest = Contest::new(variables);
        let mean = self.mean - contest.origin;
        let mut slopes = LargestSlopes {
            mean_by_variance: vec![0.0; n],
            variance_by_mean: vec![0.0; n],
            variance_by_variance: vec![0.0; n],
            probability_by_mean: DMatrix::zeros(n, n),
            probability_by_variance: DMatrix::zeros(n, n),
        };
        contest.visit(|x, places| {
            for (place, (k, _, sd)) in places.iter().zip(&contest.variables) {
                let by_mean = place.share * place.z / sd;
                slopes.mean_by_variance[*k] += 0.5 * by_mean;
                slopes.variance_by_mean[*k] += 2.0 * place.share * (x - mean);
                // Of the mean square around the mean, which does not change to first order with that.
                slopes.variance_by_variance[*k] += by_mean * (x - mean);
                slopes.probability_by_mean[(*k, *k)] += by_mean;
                slopes.probability_by_variance[(*k, *k)] += 0.5 * place.share * (place.z * place.z - 1.0) / (sd * sd);
                for (other, (j, _, other_sd)) in places.iter().zip(&contest.variables).filter(|(_, (j, ..))| j != k) {
                    let by_other = -place.share * other.hazard;
                    slopes.probability_by_mean[(*k, *j)] += by_other;
                    slopes.probability_by_variance[(*k, *j)] += 0.5 * by_other * other.z / other_sd;
                }
            }
        });
        slopes
    }

    /// The coefficients of the linear function of the `variables` that has the mean and the variance of the largest: in proportion to the
    /// probabilities, which are the derivatives of the mean.
    #[must_use]
    pub fn coefficients(&self, variables: &[Normal]) -> Vec<f64> {
        let square: f64 = self.probability.iter().zip(variables).map(|(p, normal)| p * p * normal.variance).sum();
        let factor = if square > 0.0 { (self.variance / square).sqrt() } else { 1.0 };
        self.probability.iter().map(|p| factor * p).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    fn normals(list: &[(f64, f64)]) -> Vec<Normal> {
        list.iter().map(|(mean, sd)| Normal { mean: *mean, variance: sd * sd }).collect()
    }

    /// Several that are alike, one far behind, scales that differ by factors of 100 and 10,000, a large common level.
    fn cases() -> Vec<Vec<Normal>> {
        let alike: Vec<(f64, f64)> = (0..13).map(|k| (0.1 * f64::from(k % 3), 1.0 + 0.1 * f64::from(k))).collect();
        [
            &[(1.0, 0.5), (0.9, 0.4)][..],
            &[(3.0, 0.1), (3.05, 0.1), (2.0, 0.1)],
            &[(0.0, 1.0), (0.3, 0.01), (-0.2, 0.0001)],
            &[(1e4, 0.02), (1e4 + 0.01, 0.03)],
            &alike,
        ]
        .into_iter()
        .map(normals)
        .collect()
    }

    #[test]
    fn its_moments_are_those_of_millions_of_draws() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let n = if cfg!(debug_assertions) { 200_000 } else { 4_000_000 };
        for variables in cases() {
            let found = Largest::of(&variables);
            let origin = variables[0].mean;
            let (mut sum, mut squares, mut first) = (0.0, 0.0, vec![0.0; variables.len()]);
            for _ in 0..n {
                let draw = |v: &Normal| v.mean - origin + v.variance.sqrt() * rng.sample::<f64, _>(StandardNormal);
                let draws = variables.iter().map(draw).enumerate();
                let (k, largest) = draws.fold((0, f64::NEG_INFINITY), |a, b| if b.1 > a.1 { b } else { a });
                (sum, squares) = (sum + largest, squares + largest * largest);
                first[k] += 1.0;
            }
            let n = f64::from(n);
            let (mean, variance) = (sum / n, squares / n - (sum / n).powi(2));
            let error = 5.0 / n.sqrt();
            assert!((found.mean - origin - mean).abs() < error * variance.sqrt(), "{found:?}: mean {mean}");
            assert!((found.variance / variance - 1.0).abs() < 2.0 * error, "{found:?}: variance {variance}");
            for (p, counted) in found.probability.iter().zip(first) {
                assert!((p - counted / n).abs() < error, "{found:?}: {}", counted / n);
            }
            assert!((found.probability.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn of_two_alike_it_has_the_moments_of_the_books() {
        let found = Largest::of(&normals(&[(0.0, 1.0), (0.0, 1.0)]));
        let pi = std::f64::consts::PI;
        assert!((found.mean - pi.sqrt().recip()).abs() < 1e-9, "{found:?}");
        assert!((found.variance - (1.0 - 1.0 / pi)).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn one_that_is_certainly_the_largest_is_itself() {
        let variables = normals(&[(1.0, 0.1), (5.0, 0.2), (2.0, 0.0)]);
        let found = Largest::of(&variables);
        assert_eq!((found.mean, found.variance), (5.0, variables[1].variance));
        assert_eq!(found.coefficients(&variables), [0.0, 1.0, 0.0]);
        let known = normals(&[(1.0, 0.0), (1.0, 0.0), (0.0, 0.0)]);
        assert_eq!((Largest::of(&known).mean, Largest::of(&known).variance), (1.0, 0.0));
    }

    #[test]
    fn the_linear_function_has_the_variance_of_the_largest() {
        for variables in cases() {
            let found = Largest::of(&variables);
            let coefficients = found.coefficients(&variables);
            let variance: f64 = coefficients.iter().zip(&variables).map(|(q, v)| q * q * v.variance).sum();
            assert!((variance / found.variance - 1.0).abs() < 1e-12, "{variance} {found:?}");
        }
    }

    #[test]
    fn its_derivatives_are_those_of_finite_differences() {
        for variables in cases() {
            let slopes = Largest::of(&variables).slopes(&variables);
            let n = variables.len();
            for j in 0..n {
                let sd = variables[j].variance.sqrt();
                let by = |step: f64, change: fn(&mut Normal, f64), of: &dyn Fn(&Largest) -> f64| {
                    let at = |h: f64| {
                        let mut changed = variables.clone();
                        change(&mut changed[j], h);
                        of(&Largest::of(&changed))
                    };
                    (at(step) - at(-step)) / (2.0 * step)
                };
                let mean = |of: &dyn Fn(&Largest) -> f64| by(1e-3 * sd, |v, h| v.mean += h, of);
                let variance = |of: &dyn Fn(&Largest) -> f64| by(1e-3 * sd * sd, |v, h| v.variance += h, of);
                // In units of a standard deviation.
                let close = |what: &str, a: f64, b: f64, unit: f64| {
                    assert!((a - b).abs() * unit < 3e-5, "{what} of {variables:?} by {j}: {a} against {b}");
                };
                close("mean", Largest::of(&variables).probability[j], mean(&|l| l.mean), 1.0);
                close("mean", slopes.mean_by_variance[j], variance(&|l| l.mean), sd);
                close("variance", slopes.variance_by_mean[j], mean(&|l| l.variance), 1.0 / sd);
                close("variance", slopes.variance_by_variance[j], variance(&|l| l.variance), 1.0);
                for k in 0..n {
                    close("probability", slopes.probability_by_mean[(k, j)], mean(&|l| l.probability[k]), sd);
                    let numeric = variance(&|l| l.probability[k]);
                    close("probability", slopes.probability_by_variance[(k, j)], numeric, sd * sd);
                }
            }
        }
    }
}
