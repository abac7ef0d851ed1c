//! One exact Gaussian process over (warped mixture, fidelity).

use std::borrow::Cow;

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::data::Data;
use super::error::FitError;
use super::hyper::{Hyperparameters, NaturalGradient, TermGradient};
use super::kernel::Kernel;
use super::lanes::Prepared;
use super::linalg::{Factored, JITTER};
use super::solved::Solved;
use crate::space::Warped;

/// A Gaussian process conditioned on its data at fixed hyperparameters.
///
/// `y_i = b_{m_i} + f(x_i, m_i) + ε_i`, where `Cov f` is the sum of `k(x, x') B[m, m']` over the terms, the noise has variance
/// `noise[m_i] + known_noise_i`, and the levels `b` are set to their most probable value given the data (generalized
/// least squares with the prior `b_m ~ N(0, level_sd_m²)`; Rasmussen & Williams 2006, §2.7).
#[derive(Clone, Debug)]
pub struct Gp {
    pub(super) hyper: Hyperparameters,
    pub(super) fidelity: Vec<usize>,
    /// By term and component of its kernel.
    pub(super) prepared: Vec<Vec<Prepared>>,
    pub(super) solved: Solved,
}

/// Points at one fidelity as seen through a [`Gp`]'s data.
#[derive(Clone, Debug)]
pub struct GpView {
    prepared: Vec<Vec<Prepared>>,
    /// `(L⁻¹ K(data, points))ᵀ`, p × n.
    whitened: DMatrix<f64>,
    fidelity: usize,
}

/// A linear combination of the values at some points: pairs of a point's index and its coefficient.
pub type Combination = Vec<(usize, f64)>;

/// Of each point but the first, its value times its slope less that of the first.
#[must_use]
pub fn differences(slopes: &[f64]) -> Vec<Combination> {
    (1..slopes.len()).map(|i| vec![(0, -slopes[0]), (i, slopes[i])]).collect()
}

/// Prediction of one noise-free value.
#[derive(Clone, Copy, Debug)]
pub struct Predicted {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior variance with the levels taken as known.
    pub variance: f64,
    /// Variance that the uncertain level adds.
    pub level_variance: f64,
}

/// Means, and combinations, computed at a time: a search asks for those of all mixtures that were trained, whose covariances with the
/// data, and with one another, would be larger matrices than the factor.
const AT_A_TIME: usize = 64;

/// Smallest variance ever reported, relative to the prior's: rounding can make the difference negative.
pub(super) const VARIANCE_FLOOR: f64 = 1e-12;

impl Gp {
    /// Conditions on `data`.
    ///
    /// # Errors
    /// [`FitError::Indefinite`] if the covariance matrix cannot be factored even with jitter.
    pub fn condition(data: &Data, hyper: Hyperparameters) -> Result<Self, FitError> {
        let prepared = hyper.prepare(&hyper.places(&data.x, |i| data.fidelity[i]));
        let noise_free = || hyper.total(hyper.kernels(&prepared), &data.fidelity, |j| data.fidelity[j]);
        let solved = Self::factor(data, &hyper, noise_free)?;
        Ok(Self { fidelity: data.fidelity.clone(), hyper, prepared, solved })
    }

    /// Factors the covariance of `data`, given that of its noise-free values (n × n): asked for anew with every jitter, so that no copy is
    /// kept in the usual case, where the first suffices.
    fn factor(data: &Data, hyper: &Hyperparameters, noise_free: impl Fn() -> DMatrix<f64>) -> Result<Solved, FitError> {
        let n = data.y.len();
        let solved = JITTER[..5].iter().find_map(|jitter| {
            let mut k = noise_free();
            let scale = (0..n).map(|i| k[(i, i)]).fold(0.0, f64::max);
            for i in 0..n {
                k[(i, i)] += hyper.noise[data.fidelity[i]] + data.known_noise[i];
                k[(i, i)] += jitter * scale;
            }
            Solved::new(data, Factored::new(k)?)
        });
        solved.ok_or(FitError::Indefinite { runs: n })
    }

    /// Conditions on `data`, which begins with the runs that it knows, appending the others one after another without
    /// factoring anew: O(n²) each. Where rounding forbids that, it factors anew.
    ///
    /// # Errors
    /// Those of [`Self::condition`].
    pub fn extend(&self, data: &Data) -> Result<Self, FitError> {
        let known = self.fidelity.len();
        let (prepared, cross) = self.followed_by(data);
        let mut covariance = self.solved.covariance.clone();
        for (i, column) in (known..).zip(cross.column_iter()) {
            let Some(appended) = covariance.append(column.rows(0, i).into_owned(), column[i]) else {
                let first = data.select(&(0..=i).collect::<Vec<_>>());
                return Self::condition(&first, self.hyper.clone())?.extend(data);
            };
            covariance = appended;
        }
        let Some(solved) = Solved::new(data, covariance) else {
            return Self::condition(data, self.hyper.clone());
        };
        Ok(self.extended(data, prepared, solved))
    }

    /// The same, appending the others all at once. That takes far less time, but rounds otherwise.
    ///
    /// # Errors
    /// Those of [`Self::condition`].
    pub fn extend_at_once(&self, data: &Data) -> Result<Self, FitError> {
        let (known, n) = (self.fidelity.len(), data.y.len());
        let (prepared, cross) = self.followed_by(data);
        let (border, corner) = (cross.rows(0, known).into_owned(), cross.rows(known, n - known).into_owned());
        let covariance = self.solved.covariance.append_all(border, corner);
        match covariance.and_then(|covariance| Solved::new(data, covariance)) {
            Some(solved) => Ok(self.extended(data, prepared, solved)),
            None => self.extend(data),
        }
    }

    /// All n runs of `data`, which begins with those that it knows, prepared, and the covariances of their values with those of the p
    /// others (n × p), noise included.
    fn followed_by(&self, data: &Data) -> (Vec<Vec<Prepared>>, DMatrix<f64>) {
        let (known, n) = (self.fidelity.len(), data.y.len());
        let x = self.hyper.places(&data.x, |i| data.fidelity[i]);
        let prepared = self.hyper.prepare(&x);
        let cross = self.hyper.crosses(&prepared, &x.range(known, n - known));
        let mut cross = self.hyper.total(cross, &data.fidelity, |j| data.fidelity[known + j]);
        for i in known..n {
            let m = data.fidelity[i];
            cross[(i, i - known)] = self.hyper.prior_covariance(m, m) + self.hyper.noise[m] + data.known_noise[i];
        }
        (prepared, cross)
    }

    /// The process at the same hyperparameters, conditioned on `data`.
    fn extended(&self, data: &Data, prepared: Vec<Vec<Prepared>>, solved: Solved) -> Self {
        Self { fidelity: data.fidelity.clone(), hyper: self.hyper.clone(), prepared, solved }
    }

    /// The hyperparameters it was conditioned with.
    #[must_use]
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.hyper
    }

    /// Most probable level (constant mean) of each fidelity.
    #[must_use]
    pub fn levels(&self) -> &DVector<f64> {
        &self.solved.levels
    }

    /// `log p(y | b̂) + log p(b̂)` up to the prior's constant (Rasmussen & Williams 2006, eq. 2.30).
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        let n = self.solved.residual.len() as f64;
        -0.5 * (self.solved.residual.dot(&self.solved.alpha)
            + self.solved.covariance.log_determinant()
            + n * std::f64::consts::TAU.ln()
            + self.solved.level_penalty)
    }

    /// `log p(y)`, the levels integrated out, up to a constant (Rasmussen & Williams 2006, eq. 2.43).
    #[must_use]
    pub fn log_marginal(&self) -> f64 {
        self.log_likelihood() - 0.5 * self.solved.level_log_determinant
    }

    /// [`Self::condition`], with the derivatives of [`Self::log_likelihood`].
    ///
    /// # Errors
    /// Those of [`Self::condition`].
    pub fn condition_with_gradient(data: &Data, hyper: Hyperparameters) -> Result<(Self, NaturalGradient), FitError> {
        let prepared = hyper.prepare(&hyper.places(&data.x, |i| data.fidelity[i]));
        let kernels = hyper.kernels(&prepared);
        let noise_free = || hyper.total(kernels.clone(), &data.fidelity, |j| data.fidelity[j]);
        let solved = Self::factor(data, &hyper, noise_free)?;
        let gp = Self { fidelity: data.fidelity.clone(), hyper, prepared, solved };
        let gradient = gp.log_likelihood_gradient(data, &kernels);
        Ok((gp, gradient))
    }

    /// Derivatives of [`Self::log_likelihood`] (Rasmussen & Williams 2006, eq. 5.9): `½ tr((α αᵀ − K⁻¹) ∂K)`, given the
    /// covariances of the mixtures alone by each term's kernel. The levels are at their optimum, so they contribute nothing.
    fn log_likelihood_gradient(&self, data: &Data, kernels: &[DMatrix<f64>]) -> NaturalGradient {
        let f = self.hyper.noise.len();
        // w = ½ (α αᵀ − K⁻¹).
        let mut w = &self.solved.alpha * self.solved.alpha.transpose();
        w -= self.solved.covariance.inverse();
        w *= 0.5;
        let mut log_noise = vec![0.0; f];
        for (i, m) in data.fidelity.iter().enumerate() {
            log_noise[*m] += w[(i, i)] * self.hyper.noise[*m];
        }
        let mut log_decay = 0.0;
        let terms = self.hyper.terms.iter().zip(&self.prepared).zip(kernels).map(|((term, prepared), k)| {
            // Element by element, w times B; and Σ over the pairs of each two sizes of w·k: first over the runs of one size (n × F).
            let (mut w, factors) = (w.clone(), term.factors(&data.fidelity));
            let mut sums = DMatrix::zeros(data.fidelity.len(), f);
            for (j, m) in data.fidelity.iter().enumerate() {
                sums.column_mut(*m).cmpy(1.0, &w.column(j), &k.column(j), 1.0);
                w.column_mut(j).component_mul_assign(&factors[*m]);
            }
            let mut sizes = vec![vec![0.0; f]; f];
            for (sizes, sums) in sizes.iter_mut().zip(sums.column_iter()) {
                data.fidelity.iter().zip(&sums).for_each(|(l, sum)| sizes[*l] += sum);
            }
            log_decay += self.log_decay_gradient(data, &term.kernel, prepared, &w);
            TermGradient { kernel: term.kernel.parameter_gradient(prepared, &w), sizes }
        });
        let terms = terms.collect();
        NaturalGradient { terms, log_noise, log_decay }
    }

    /// The derivative of `Σ_ij w_ij k(x_i, x_j)` over the runs with respect to the logarithm of the decay, which moves their places.
    fn log_decay_gradient(&self, data: &Data, kernel: &Kernel, prepared: &[Prepared], w: &DMatrix<f64>) -> f64 {
        let Some(saturation) = &self.hyper.saturation else { return 0.0 };
        let x = self.hyper.places(&data.x, |i| data.fidelity[i]);
        let of_run = |j: usize| {
            let moves = saturation.by_decay(&data.x, j, data.fidelity[j]);
            if moves.iter().all(|by| *by == 0.0) {
                return 0.0;
            }
            let [slope] = kernel.point_gradient(prepared, &x.range(j, 1), [w.column(j).as_slice()]);
            2.0 * slope.iter().zip(&moves).map(|(slope, by)| slope * by).sum::<f64>()
        };
        (0..data.fidelity.len()).map(of_run).sum()
    }

    /// Leave-one-out predictive mean and variance of each (noisy) target, in closed form from the factorization
    /// (Rasmussen & Williams 2006, eq. 5.12), at the levels fitted to all data.
    #[must_use]
    pub fn leave_one_out(&self) -> Vec<(f64, f64)> {
        let precision = self.solved.covariance.inverse_diagonal();
        (0..self.solved.residual.len())
            .map(|i| {
                let variance = 1.0 / precision[i];
                (
                    self.solved.levels[self.fidelity[i]] + self.solved.residual[i] - self.solved.alpha[i] * variance,
                    variance,
                )
            })
            .collect()
    }

    /// Covariances between the data and the p points `z` at fidelity `m`: n × p.
    pub(super) fn cross(&self, z: &Warped, m: usize) -> DMatrix<f64> {
        self.hyper.total(self.hyper.crosses(&self.prepared, &self.places(z, m)), &self.fidelity, |_| m)
    }

    /// Where runs of the points `z` at fidelity `m` lie.
    pub(super) fn places<'a>(&self, z: &'a Warped, m: usize) -> Cow<'a, Warped> {
        self.hyper.places(z, |_| m)
    }

    /// Derivatives with respect to the place `z` (length D) of `Σ_i Σ_t c(i, B_t) k_t(x_i, z)` over the runs i and the terms t, for N
    /// coefficients `c`. `B_t` are the term's covariances between the run's fidelity and each of `at`.
    pub(super) fn point_gradient<const N: usize, const M: usize>(
        &self,
        z: &Warped,
        at: [usize; M],
        coefficients: [&dyn Fn(usize, [f64; M]) -> f64; N],
    ) -> [Vec<f64>; N] {
        let mut total: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; z.dim()]);
        for (term, prepared) in self.hyper.terms.iter().zip(&self.prepared) {
            let of_run = |c: &dyn Fn(usize, [f64; M]) -> f64| -> Vec<f64> {
                self.fidelity.iter().enumerate().map(|(i, l)| c(i, at.map(|m| term.sizes[m][*l]))).collect()
            };
            let coefficients = coefficients.map(of_run);
            let parts = term.kernel.point_gradient(prepared, z, coefficients.each_ref().map(Vec::as_slice));
            for (total, part) in total.iter_mut().zip(&parts) {
                total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
            }
        }
        total
    }

    /// Posterior means at the p points `z`, fidelity `m`.
    #[must_use]
    pub fn mean(&self, z: &Warped, m: usize) -> DVector<f64> {
        let mut mean = DVector::from_element(z.len(), self.solved.levels[m]);
        mean.as_mut_slice().par_chunks_mut(AT_A_TIME).enumerate().for_each(|(chunk, mean)| {
            let cross = self.cross(&z.range(chunk * AT_A_TIME, mean.len()), m);
            let deviations = cross.tr_mul(&self.solved.alpha);
            mean.iter_mut().zip(&deviations).for_each(|(mean, deviation)| *mean += deviation);
        });
        mean
    }

    /// Posterior mean at one point and its derivative with respect to the warped mixture (length D).
    #[must_use]
    pub fn mean_with_gradient(&self, z: &Warped, m: usize) -> (f64, Vec<f64>) {
        let k = self.cross(z, m);
        let alpha = &self.solved.alpha;
        let [mut gradient] = self.point_gradient(&self.places(z, m), [m], [&|i, [b]| alpha[i] * b]);
        self.hyper.pull_back(z, m, [&mut gradient]);
        (k.column(0).dot(&self.solved.alpha) + self.solved.levels[m], gradient)
    }

    /// Joint posterior of the noise-free values at the p points `z`, fidelity `m`: mean and p × p covariance,
    /// with the levels taken as known.
    #[must_use]
    pub fn posterior(&self, z: &Warped, m: usize) -> (DVector<f64>, DMatrix<f64>) {
        let cross = self.cross(z, m);
        let mean = cross.tr_mul(&self.solved.alpha).add_scalar(self.solved.levels[m]);
        let prepared = self.hyper.prepare(&self.places(z, m));
        let mut covariance = self.hyper.total(self.hyper.kernels(&prepared), &vec![m; z.len()], |_| m);
        let whitened = self.solved.covariance.whiten(cross);
        covariance.gemm(-1.0, &whitened.transpose(), &whitened, 1.0);
        (mean, covariance)
    }

    /// Posterior mean and variance of linear combinations of the noise-free values at the points `z`, at fidelity `m`, with what is not
    /// known of the level (Rasmussen & Williams 2006, eq. 2.42).
    #[must_use]
    pub fn combinations(&self, z: &Warped, m: usize, combinations: &[Combination]) -> Vec<(f64, f64)> {
        let some = |combinations: &[Combination]| {
            let mut points: Vec<usize> = combinations.iter().flatten().map(|(i, _)| *i).collect();
            points.sort_unstable();
            points.dedup();
            let place = |(i, a): &(usize, f64)| (points.partition_point(|point| point < i), *a);
            let placed: Vec<Combination> = combinations.iter().map(|c| c.iter().map(place).collect()).collect();
            self.combinations_of_all(&z.select(&points), m, &placed)
        };
        combinations.par_chunks(AT_A_TIME).flat_map_iter(some).collect()
    }

    /// [`Self::combinations`] of few points.
    fn combinations_of_all(&self, z: &Warped, m: usize, combinations: &[Combination]) -> Vec<(f64, f64)> {
        let (mean, covariance) = self.posterior(z, m);
        let level_weight = self.cross(z, m).tr_mul(&self.solved.indicators);
        combinations
            .iter()
            .map(|combination| {
                let mut u = DVector::zeros(self.hyper.noise.len());
                let (mut total, mut variance) = (0.0, 0.0);
                for (i, a) in combination {
                    u.axpy(-a, &level_weight.row(*i).transpose(), 1.0);
                    u[m] += a;
                    total += a * mean[*i];
                    variance += combination.iter().map(|(j, b)| a * b * covariance[(*i, *j)]).sum::<f64>();
                }
                let level = (&self.solved.level_covariance * &u).dot(&u);
                (total, variance.max(0.0) + level.max(0.0))
            })
            .collect()
    }

    /// Predictions at the p points `z`, fidelity `m`, with what is not known of the level (Rasmussen &
    /// Williams 2006, eq. 2.42): what to report, where [`Self::posterior`] is what to search with.
    #[must_use]
    pub fn predict(&self, z: &Warped, m: usize) -> Vec<Predicted> {
        let cross = self.cross(z, m);
        let mean = cross.tr_mul(&self.solved.alpha);
        let level_weight = cross.tr_mul(&self.solved.indicators);
        let whitened = self.solved.covariance.whiten(cross);
        let prior = self.hyper.prior_covariance(m, m);
        (0..z.len())
            .map(|j| {
                let mut u = -level_weight.row(j).transpose();
                u[m] += 1.0;
                let level = (&self.solved.level_covariance * &u).dot(&u);
                let variance = (prior - whitened.column(j).norm_squared()).max(VARIANCE_FLOOR * prior);
                Predicted { mean: mean[j] + self.solved.levels[m], variance, level_variance: level.max(0.0) }
            })
            .collect()
    }

    /// What [`Self::covariance`] needs of the p points `t` at fidelity `target`.
    #[must_use]
    pub fn view(&self, t: &Warped, target: usize) -> GpView {
        GpView {
            prepared: self.hyper.prepare(&self.places(t, target)),
            whitened: self.solved.covariance.whiten(self.cross(t, target)).transpose(),
            fidelity: target,
        }
    }

    /// Posterior variances of the points in `view` (length p).
    #[must_use]
    pub fn view_variance(&self, view: &GpView) -> DVector<f64> {
        let prior = self.hyper.prior_covariance(view.fidelity, view.fidelity);
        let rows = view.whitened.row_iter().map(|row| (prior - row.norm_squared()).max(VARIANCE_FLOOR * prior));
        DVector::from_iterator(view.whitened.nrows(), rows)
    }

    /// Posterior covariances of the points in `view` and of the outcomes of runs of the c points `z` at fidelity `m`, p × c, and the
    /// variances of these outcomes (length c).
    #[must_use]
    pub fn covariance(&self, z: &Warped, m: usize, view: &GpView) -> (DMatrix<f64>, DVector<f64>) {
        let cross = self.hyper.crosses(&view.prepared, &self.places(z, m));
        let mut covariance = self.hyper.total(cross, &vec![view.fidelity; view.whitened.nrows()], |_| m);
        let at_z = self.solved.covariance.whiten(self.cross(z, m));
        covariance.gemm(-1.0, &view.whitened, &at_z, 1.0);
        let prior = self.hyper.prior_covariance(m, m);
        let outcome =
            at_z.column_iter().map(|o| (prior - o.norm_squared()).max(VARIANCE_FLOOR * prior) + self.hyper.noise[m]);
        let variance = DVector::from_iterator(z.len(), outcome);
        (covariance, variance)
    }
}
