//! What observations would teach about the objective at the target.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::error::FitError;
use super::gp::Joint;
use super::metric::MetricModel;
use super::model::Surrogate;
use super::process::View;
use crate::problem::{FidelityId, Weights};

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

impl Surrogate {
    /// [`Lookahead`]s of observing each of the p mixtures `x` at each of the fidelities `at`: one vector of length p per fidelity.
    ///
    /// With independent metrics the observation of all of them reduces the objective's variance by
    /// `Σ_j a_j² cov_j² / (var_j + noise_j)`.
    #[must_use]
    pub fn lookahead(&self, x: &Weights, at: &[FidelityId]) -> Vec<Vec<Lookahead>> {
        let x = &self.warp.warped(x);
        let indices: Vec<usize> = at.iter().map(|m| m.index()).collect();
        let parts: Vec<Vec<Vec<Joint>>> =
            self.metrics.par_iter().map(|k| k.process.joint(x, &indices, self.target.index())).collect();
        at.iter()
            .enumerate()
            .map(|(f, &m)| {
                (0..x.len())
                    .map(|i| {
                        let mut lookahead = Lookahead::default();
                        for (metric, joints) in self.metrics.iter().zip(&parts) {
                            self.add(metric, &joints[f][i], m, &mut lookahead);
                        }
                        lookahead
                    })
                    .collect()
            })
            .collect()
    }

    /// What [`Self::influence`] needs of the p mixtures `t` at the target, one entry per process.
    #[must_use]
    pub fn view(&self, t: &Weights) -> Vec<View> {
        let t = &self.warp.warped(t);
        let m = self.target.index();
        let view = |metric: &MetricModel| {
            let mut view = metric.process.view(t, m);
            view.slopes = metric.readings(t, m).iter().map(|reading| reading.slope).collect();
            view
        };
        self.metrics.par_iter().map(view).collect()
    }

    /// Posterior variances of the target objective at the points in `view` (length p).
    #[must_use]
    pub fn view_variance(&self, view: &[View]) -> DVector<f64> {
        let share = |(variance, share): (DVector<f64>, f64)| variance * (share * share);
        self.variances(view).into_iter().zip(self.shares()).map(share).sum()
    }

    /// Posterior variances of each process's value at the points in `view` (length p each), in its unit.
    #[must_use]
    pub fn variances(&self, view: &[View]) -> Vec<DVector<f64>> {
        let variance = |(k, view): (&MetricModel, &View)| {
            let squares = DVector::from_iterator(view.slopes.len(), view.slopes.iter().map(|slope| slope * slope));
            k.process.view_variance(view).component_mul(&squares)
        };
        self.metrics.iter().zip(view).map(variance).collect()
    }

    /// The factor with which the standard deviation of each process's value enters that of the objective.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        self.metrics.iter().map(|k| k.weight() * self.inflation.sqrt()).collect()
    }

    /// What observing one of the c mixtures `z` at fidelity `m` does to each process. The first item is how far the value of the process
    /// moves at each of the points in `view`, in its unit, per standard deviation of the outcome (p × c). The second is the standard
    /// deviation of the outcome, in the unit at the target (length c). The objective moves by the sum of these moves, weighted by
    /// [`Self::shares`].
    #[must_use]
    pub fn influence(&self, z: &Weights, m: FidelityId, view: &[View]) -> Vec<(DMatrix<f64>, Vec<f64>)> {
        let z = &self.warp.warped(z);
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
        let z = &self.warp.warped(z);
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
        let x = &self.warp.warped(w);
        let parts: Vec<Joint> =
            self.metrics.par_iter().map(|k| k.process.joint_with_gradient(x, m.index(), self.target.index())).collect();
        let mut lookahead =
            Lookahead { gradient: std::array::from_fn(|_| vec![0.0; self.dim]), ..Lookahead::default() };
        for (metric, joint) in self.metrics.iter().zip(&parts) {
            self.add(metric, joint, m, &mut lookahead);
        }
        for gradient in &mut lookahead.gradient {
            self.unwarp(w, gradient);
        }
        lookahead
    }

    /// Adds a metric's share to the objective's lookahead.
    fn add(&self, metric: &MetricModel, joint: &Joint, m: FidelityId, lookahead: &mut Lookahead) {
        let (reading, [by_mean, by_variance]) =
            metric.reading_with_gradient(self.target.index(), joint.mean, joint.variance);
        let weight = metric.weight();
        let factor = weight * weight * self.inflation;
        let square = reading.slope.powi(2) * factor;
        let total = joint.variance_observed + metric.process.noise(m.index());
        let ratio = joint.covariance / total;
        lookahead.mean += weight * reading.mean;
        lookahead.variance += square * joint.variance;
        lookahead.reduction += square * joint.covariance * ratio;
        let [mean, variance, reduction] = &mut lookahead.gradient;
        let [d_mean, d_variance, d_observed, d_covariance, _] = &joint.gradient;
        for d in 0..mean.len().min(d_mean.len()) {
            mean[d] += weight * (by_mean.mean * d_mean[d] + by_variance.mean * d_variance[d]);
            let d_slope = by_mean.slope * d_mean[d] + by_variance.slope * d_variance[d];
            let d_square = 2.0 * reading.slope * d_slope * factor;
            variance[d] += square * d_variance[d] + d_square * joint.variance;
            reduction[d] += square * (2.0 * ratio * d_covariance[d] - ratio * ratio * d_observed[d])
                + d_square * joint.covariance * ratio;
        }
    }
}

/// Converts from standardized units to those of the metric. Each row belongs to a point in `view`.
fn scale_rows(moves: &mut DMatrix<f64>, view: &View) {
    for (mut row, slope) in moves.row_iter_mut().zip(&view.slopes) {
        row *= *slope;
    }
}
