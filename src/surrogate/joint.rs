//! What observing one fidelity of a [`Gp`] says about another.

use nalgebra::{DMatrix, DVectorView};

use super::gp::{Gp, VARIANCE_FLOOR};
use crate::space::Warped;

/// Posterior of the noise-free value at one mixture for two fidelities, with derivatives with respect to the warped
/// mixture where asked for.
#[derive(Clone, Debug, Default)]
pub struct Joint {
    /// Mean at the second fidelity (the target).
    pub mean: f64,
    /// Mean at the first fidelity (where one would observe).
    pub mean_observed: f64,
    /// Variance at the second fidelity.
    pub variance: f64,
    /// Variance at the first fidelity (where one would observe).
    pub variance_observed: f64,
    /// Covariance of the two.
    pub covariance: f64,
    /// Derivatives (length D each) of the mean, the two variances, the covariance and the mean at the first fidelity; empty where not
    /// asked for.
    pub gradient: [Vec<f64>; 5],
}

impl Gp {
    /// Joint posteriors at the p points `z` for observing at each of the fidelities `at` and caring about
    /// fidelity `target`: one vector of length p for each of `at`.
    #[must_use]
    pub fn joint(&self, z: &Warped, at: &[usize], target: usize) -> Vec<Vec<Joint>> {
        let k = self.hyper.crosses(&self.prepared, &self.places(z, target));
        let observed = |m: usize| {
            let k = match self.hyper.saturation {
                Some(_) => self.cross(z, m),
                None => self.hyper.total(k.clone(), &self.fidelity, |_| m),
            };
            (k.tr_mul(&self.solved.alpha), self.solved.covariance.whiten(k))
        };
        let floor = |x: f64, prior: f64| x.max(VARIANCE_FLOOR * prior);
        let at_target = self.hyper.total(k.clone(), &self.fidelity, |_| target);
        let mean = at_target.tr_mul(&self.solved.alpha);
        let at_target = self.solved.covariance.whiten(at_target);
        let prior = self.hyper.prior_covariance(target, target);
        at.iter()
            .map(|&m| {
                let observed = (m != target).then(|| observed(m));
                let shared = self.shared(z, m, target);
                (0..z.len())
                    .map(|j| {
                        let t = at_target.column(j);
                        let variance = floor(prior - t.norm_squared(), prior);
                        let same = (mean[j], variance, variance);
                        let (mean_observed, variance_observed, covariance) =
                            observed.as_ref().map_or(same, |(y, o)| {
                                let (prior, o) = (self.hyper.prior_covariance(m, m), o.column(j));
                                (y[j], floor(prior - o.norm_squared(), prior), shared[j] - o.dot(&t))
                            });
                        Joint {
                            mean: mean[j] + self.solved.levels[target],
                            mean_observed: mean_observed + self.solved.levels[m],
                            variance,
                            variance_observed,
                            covariance,
                            gradient: Default::default(),
                        }
                    })
                    .collect()
            })
            .collect()
    }

    /// [`Self::joint`] at one point, with derivatives.
    #[must_use]
    pub fn joint_with_gradient(&self, z: &Warped, m: usize, target: usize) -> Joint {
        let at_target = self.cross(z, target);
        let k = if m == target {
            at_target
        } else {
            DMatrix::from_columns(&[at_target.column(0), self.cross(z, m).column(0)])
        };
        let columns = k.ncols();
        let v = self.solved.covariance.solve(k.clone());
        let (k_t, v_t) = (k.column(0), v.column(0));
        let (k_m, v_m) = (k.column(columns - 1), v.column(columns - 1));
        let floor = |x: f64, prior: f64| x.max(VARIANCE_FLOOR * prior);
        let variance = |a: usize, k: &DVectorView<'_, f64>, v: &DVectorView<'_, f64>| {
            let prior = self.hyper.prior_covariance(a, a);
            floor(prior - k.dot(v), prior)
        };
        let alpha = &self.solved.alpha;
        let gradient = if self.hyper.saturation.is_some() {
            self.gradient_at_two_places(z, (m, target), (v_m.as_slice(), v_t.as_slice()))
        } else {
            self.point_gradient(
                z,
                [target, m],
                [
                    &|i, [t, _]| alpha[i] * t,
                    &|i, [t, _]| -2.0 * v_t[i] * t,
                    &|i, [_, o]| -2.0 * v_m[i] * o,
                    &|i, [t, o]| -(v_t[i] * o + v_m[i] * t),
                    &|i, [_, o]| alpha[i] * o,
                ],
            )
        };
        let shared = self.shared(z, m, target)[0];
        let covariance = shared - k_m.dot(&v_t);
        Joint {
            mean: k_t.dot(alpha) + self.solved.levels[target],
            mean_observed: k_m.dot(alpha) + self.solved.levels[m],
            variance: variance(target, &k_t, &v_t),
            variance_observed: variance(m, &k_m, &v_m),
            covariance: if m == target { floor(covariance, shared) } else { covariance },
            gradient,
        }
    }

    /// Prior covariances of the values of the p points `z` at two fidelities (length p).
    fn shared(&self, z: &Warped, a: usize, b: usize) -> Vec<f64> {
        if self.hyper.saturation.is_none() || a == b {
            return vec![self.hyper.prior_covariance(a, b); z.len()];
        }
        let (x, y) = (self.places(z, a), self.places(z, b));
        let of_point = |j: usize| {
            let crosses = self.hyper.crosses(&self.hyper.prepare(&x.range(j, 1)), &y.range(j, 1));
            self.hyper.total(crosses, &[a], |_| b)[(0, 0)]
        };
        (0..z.len()).map(of_point).collect()
    }

    /// The derivatives of a [`Joint`] at the point `z`, whose runs at the two fidelities lie at different places. `v` are the solutions of
    /// the covariances with the data there.
    fn gradient_at_two_places(&self, z: &Warped, (m, target): (usize, usize), v: (&[f64], &[f64])) -> [Vec<f64>; 5] {
        let slopes = |at: usize, coefficients: [&dyn Fn(usize) -> f64; 3]| {
            let [a, b, c] = coefficients;
            let coefficients: [&dyn Fn(usize, [f64; 1]) -> f64; 3] =
                [&|i, [size]| a(i) * size, &|i, [size]| b(i) * size, &|i, [size]| c(i) * size];
            let mut slopes = self.point_gradient(&self.places(z, at), [at], coefficients);
            self.hyper.pull_back(z, at, slopes.each_mut());
            slopes
        };
        let (alpha, (v_m, v_t)) = (&self.solved.alpha, v);
        let [mean, variance, of_target] = slopes(target, [&|i| alpha[i], &|i| -2.0 * v_t[i], &|i| -v_m[i]]);
        let [mean_observed, observed, of_observed] = slopes(m, [&|i| alpha[i], &|i| -2.0 * v_m[i], &|i| -v_t[i]]);
        let mut covariance = self.shared_gradient(z, m, target);
        for (sum, (a, b)) in covariance.iter_mut().zip(of_target.iter().zip(&of_observed)) {
            *sum += a + b;
        }
        [mean, variance, observed, covariance, mean_observed]
    }

    /// The derivative of [`Self::shared`] at one point with respect to the warped mixture (length D).
    fn shared_gradient(&self, z: &Warped, a: usize, b: usize) -> Vec<f64> {
        let mut gradient = vec![0.0; z.dim()];
        if a == b {
            return gradient;
        }
        for (a, b) in [(a, b), (b, a)] {
            let (at, other) = (self.places(z, a), self.places(z, b));
            for term in &self.hyper.terms {
                let other = term.kernel.prepare(&other);
                let [mut part] = term.kernel.point_gradient(&other, &at, [&[term.sizes[a][b]]]);
                self.hyper.pull_back(z, a, [&mut part]);
                gradient.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
            }
        }
        gradient
    }
}
