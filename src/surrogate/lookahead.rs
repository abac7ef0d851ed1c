//! What observations would teach about the objective at the target.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::aggregate::{Lookahead, combined_lookahead};
use super::error::FitError;
use super::joint::Joint;
use super::metric::MetricModel;
use super::model::Surrogate;
use super::process::View;
use crate::problem::{FidelityId, Weights};

impl Surrogate {
    /// [`Lookahead`]s of observing each of the p mixtures `x` at each of the fidelities `at`: one vector of length p per fidelity.
    ///
    /// With independent metrics the observation of all of them reduces the objective's variance by
    /// `Σ_j a_j² cov_j² / (var_j + noise_j)`.
    #[must_use]
    pub fn lookahead(&self, x: &Weights, at: &[FidelityId]) -> Vec<Vec<Lookahead>> {
        let x = &self.warped(x);
        let indices: Vec<usize> = at.iter().map(|m| m.index()).collect();
        let parts: Vec<Vec<Vec<Joint>>> =
            self.metrics.par_iter().map(|k| k.process.joint(x, &indices, self.target.index())).collect();
        at.iter()
            .enumerate()
            .map(|(f, &m)| {
                (0..x.len())
                    .map(|i| {
                        self.of_all(m, self.metrics.iter().zip(&parts).map(|(metric, joints)| (metric, &joints[f][i])))
                    })
                    .collect()
            })
            .collect()
    }

    /// What [`Self::influence`] needs of the p mixtures `t` at the target, one entry per process.
    #[must_use]
    pub fn view(&self, t: &Weights) -> Vec<View> {
        let t = &self.warped(t);
        let m = self.target.index();
        let view = |metric: &MetricModel| {
            let mut view = metric.process.view(t, m);
            view.slopes = metric.readings(t, m).iter().map(|reading| reading.slope).collect();
            view
        };
        self.metrics.par_iter().map(view).collect()
    }

    /// Posterior variances of the target objective at the first points in `view` (length p), whose [`Self::shares`] are given (p × J).
    #[must_use]
    pub fn view_variance(&self, view: &[View], shares: &DMatrix<f64>) -> DVector<f64> {
        let variance = |(j, (k, view)): (usize, (&MetricModel, &View))| {
            let variance = k.process.view_variance(view);
            DVector::from_fn(shares.nrows(), |t, _| variance[t] * (view.slopes[t] * shares[(t, j)]).powi(2))
        };
        self.metrics.iter().zip(view).enumerate().map(variance).sum()
    }

    /// What observing one of the c mixtures `z` at fidelity `m` does to each process. The first item is how far the value of the process
    /// moves at each of the points in `view`, in its unit, per standard deviation of the outcome (p × c). The second is the standard
    /// deviation of the outcome, in the unit at the target (length c). The objective moves by the sum of these moves, weighted by
    /// [`Self::shares`].
    #[must_use]
    pub fn influence(&self, z: &Weights, m: FidelityId, view: &[View]) -> Vec<(DMatrix<f64>, Vec<f64>)> {
        let z = &self.warped(z);
        self.metrics
            .par_iter()
            .zip(view)
            .map(|(k, view)| {
                let (mut moves, sd) = k.process.influence(z, m.index(), view);
                scale_rows(&mut moves, view);
                let readings = k.readings(z, self.target.index());
                (moves, sd.iter().zip(readings).map(|(sd, reading)| sd * reading.slope).collect())
            })
            .collect()
    }

    /// How far the value of each process moves at the points in `view` when all of the c mixtures `z` are observed at fidelity `m`, each
    /// by the mean of `runs` runs. It moves by this matrix (p × c) times a vector of independent standard normals.
    ///
    /// # Errors
    /// [`FitError`]
    pub fn influence_of_all(
        &self,
        z: &Weights,
        m: FidelityId,
        runs: f64,
        view: &[View],
    ) -> Result<Vec<DMatrix<f64>>, FitError> {
        let z = &self.warped(z);
        let parts = self.metrics.par_iter().zip(view).map(|(k, view)| {
            let mut moves = k.process.influence_of_all(z, m.index(), runs, view)?;
            scale_rows(&mut moves, view);
            Ok(moves)
        });
        parts.collect()
    }

    /// [`Self::lookahead`] at one mixture, with derivatives.
    #[must_use]
    pub fn lookahead_with_gradient(&self, w: &Weights, m: FidelityId) -> Lookahead {
        let x = &self.warped(w);
        let parts: Vec<Joint> =
            self.metrics.par_iter().map(|k| k.process.joint_with_gradient(x, m.index(), self.target.index())).collect();
        let mut lookahead = self.of_all(m, self.metrics.iter().zip(&parts));
        for gradient in &mut lookahead.gradient {
            self.unwarp(w, gradient);
        }
        lookahead
    }

    /// The objective's lookahead, given each metric's.
    fn of_all<'a>(&self, m: FidelityId, metrics: impl Iterator<Item = (&'a MetricModel, &'a Joint)>) -> Lookahead {
        let own = metrics.filter(|(metric, _)| metric.weight() > 0.0);
        let own: Vec<Lookahead> = own.map(|(metric, joint)| self.of_one(metric, joint, m)).collect();
        let mut lookahead = combined_lookahead(self.aggregate, &own);
        let inflation = self.inflation[self.target.index()];
        lookahead.variance *= inflation;
        lookahead.reduction *= inflation;
        lookahead.gradient[1..].iter_mut().flatten().for_each(|gradient| *gradient *= inflation);
        lookahead
    }

    /// What the observation teaches about one metric, times its weight.
    fn of_one(&self, metric: &MetricModel, joint: &Joint, m: FidelityId) -> Lookahead {
        let (reading, [by_mean, by_variance]) =
            metric.reading_with_gradient(self.target.index(), joint.mean, joint.variance);
        let weight = metric.weight();
        let factor = weight * weight;
        let square = reading.slope.powi(2) * factor;
        let total = joint.variance_observed + metric.process.noise(m.index());
        let ratio = joint.covariance / total;
        let [d_mean, d_variance, d_observed, d_covariance, _] = &joint.gradient;
        let mut gradient = std::array::from_fn(|_| vec![0.0; d_mean.len()]);
        let [mean, variance, reduction] = &mut gradient;
        for d in 0..d_mean.len() {
            mean[d] = weight * (by_mean.mean * d_mean[d] + by_variance.mean * d_variance[d]);
            let d_slope = by_mean.slope * d_mean[d] + by_variance.slope * d_variance[d];
            let d_square = 2.0 * reading.slope * d_slope * factor;
            variance[d] = square * d_variance[d] + d_square * joint.variance;
            reduction[d] = square * (2.0 * ratio * d_covariance[d] - ratio * ratio * d_observed[d])
                + d_square * joint.covariance * ratio;
        }
        Lookahead {
            mean: weight * reading.mean,
            variance: square * joint.variance,
            reduction: square * joint.covariance * ratio,
            gradient,
        }
    }
}

/// Converts from standardized units to those of the metric. Each row belongs to a point in `view`.
fn scale_rows(moves: &mut DMatrix<f64>, view: &View) {
    for (mut row, slope) in moves.row_iter_mut().zip(&view.slopes) {
        row *= *slope;
    }
}
