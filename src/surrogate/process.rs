//! One metric's Gaussian process with what is not known of its hyperparameters.

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use super::data::Data;
use super::error::FitError;
use super::gp::{Combination, Gp, GpView, Predicted};
use super::hyper::{Hyperparameters, Layout};
use super::joint::Joint;
use super::linalg::{Factored, jittered};
use super::means::Means;
use super::sample::sample;
use crate::space::Warped;

/// Gaussian processes of equal weight, one per draw of the hyperparameters, seen through the first two moments of their mixture; one
/// process is itself. By the law of total covariance, moments are means over the draws, and covariances have that of the draws'
/// means besides.
#[derive(Clone, Debug)]
pub(super) struct Process {
    draws: Vec<Gp>,
    means: Means,
}

/// Points at one fidelity as seen through the data of a process.
#[derive(Clone, Debug)]
pub struct View {
    /// Units of the metric per standardized unit at each point (length p); 1 before the metric has set them.
    pub(super) slopes: Vec<f64>,
    draws: Vec<GpView>,
    /// How far each draw's means there are from those of all (p × draws).
    deviation: DMatrix<f64>,
}

impl Process {
    fn new(draws: Result<Vec<Gp>, FitError>) -> Result<Self, FitError> {
        Ok(Self { draws: draws?, means: Means::default() })
    }

    /// The process with these hyperparameters.
    pub fn condition(data: &Data, layout: &Layout, z: &[f64]) -> Result<Self, FitError> {
        Self::new(Gp::condition(data, layout.natural(z)).map(|gp| vec![gp]))
    }

    /// Draws of the hyperparameters from their posterior, near whose mode `z` is.
    pub fn integrated(data: &Data, layout: &Layout, z: &[f64], rng: &mut impl Rng) -> Result<Self, FitError> {
        let draws = sample(data, layout, z, rng);
        Self::new(draws.iter().map(|z| Gp::condition(data, layout.natural(z))).collect())
    }

    /// With further runs: `data` begins with those that it knows.
    pub fn extend(&self, data: &Data) -> Result<Self, FitError> {
        Self::new(self.draws.iter().map(|gp| gp.extend(data)).collect())
    }

    /// The same by [`Gp::extend_at_once`].
    pub fn extend_at_once(&self, data: &Data) -> Result<Self, FitError> {
        Self::new(self.draws.iter().map(|gp| gp.extend_at_once(data)).collect())
    }

    /// The hyperparameters of each draw.
    pub fn hyperparameters(&self) -> impl Iterator<Item = &Hyperparameters> {
        self.draws.iter().map(Gp::hyperparameters)
    }

    /// The mean over the draws.
    fn average(&self, value: impl Fn(&Gp) -> f64) -> f64 {
        self.draws.iter().map(value).sum::<f64>() / self.draws.len() as f64
    }

    /// Noise variance of a run at fidelity `m`.
    pub fn noise(&self, m: usize) -> f64 {
        self.average(|gp| gp.hyperparameters().noise[m])
    }

    /// Prior covariance of the values of one mixture at two fidelities.
    pub fn prior_covariance(&self, a: usize, b: usize) -> f64 {
        self.average(|gp| gp.hyperparameters().prior_covariance(a, b))
    }

    /// The draws' means at the points `z` (p × draws), as their mean and the deviations from it.
    fn centred(&self, means: &[DVector<f64>]) -> (DVector<f64>, DMatrix<f64>) {
        let mut deviation = DMatrix::from_columns(means);
        let mean = deviation.column_mean();
        deviation.column_iter_mut().for_each(|mut column| column -= &mean);
        (mean, deviation)
    }

    /// How far each draw's means at the p points `z`, fidelity `m`, are from those of all (p × draws).
    fn deviation(&self, z: &Warped, m: usize) -> DMatrix<f64> {
        match self.draws.as_slice() {
            [_] => DMatrix::zeros(z.len(), 1),
            draws => self.centred(&draws.iter().map(|gp| gp.mean(z, m)).collect::<Vec<_>>()).1,
        }
    }

    /// Posterior means at the p points `z`, fidelity `m`.
    pub fn mean(&self, z: &Warped, m: usize) -> DVector<f64> {
        self.means.at(z, m, |z| {
            let sum: DVector<f64> = self.draws.iter().map(|gp| gp.mean(z, m)).sum();
            sum / self.draws.len() as f64
        })
    }

    /// Posterior mean at one point and its derivative with respect to the warped mixture (length D).
    pub fn mean_with_gradient(&self, z: &Warped, m: usize) -> (f64, Vec<f64>) {
        let share = 1.0 / self.draws.len() as f64;
        let mut total = (0.0, vec![0.0; z.dim()]);
        for gp in &self.draws {
            let (mean, gradient) = gp.mean_with_gradient(z, m);
            total.0 += share * mean;
            add(&mut total.1, share, &gradient);
        }
        total
    }

    /// [`Gp::posterior`].
    pub fn posterior(&self, z: &Warped, m: usize) -> (DVector<f64>, DMatrix<f64>) {
        let (means, covariances): (Vec<_>, Vec<_>) = self.draws.iter().map(|gp| gp.posterior(z, m)).unzip();
        let (mean, deviation) = self.centred(&means);
        let within: DMatrix<f64> = covariances.into_iter().sum();
        (mean, (within + &deviation * deviation.transpose()) / self.draws.len() as f64)
    }

    /// Variances of [`Gp::combinations`].
    pub fn combination_variances(&self, z: &Warped, m: usize, combinations: &[Combination]) -> Vec<f64> {
        let draws: Vec<Vec<(f64, f64)>> = self.draws.iter().map(|gp| gp.combinations(z, m, combinations)).collect();
        let n = draws.len() as f64;
        (0..combinations.len())
            .map(|i| {
                let mean = draws.iter().map(|draw| draw[i].0).sum::<f64>() / n;
                draws.iter().map(|draw| draw[i].1 + (draw[i].0 - mean).powi(2)).sum::<f64>() / n
            })
            .collect()
    }

    /// [`Gp::predict`].
    pub fn predict(&self, z: &Warped, m: usize) -> Vec<Predicted> {
        let draws: Vec<Vec<Predicted>> = self.draws.iter().map(|gp| gp.predict(z, m)).collect();
        (0..z.len()).map(|j| Predicted::mixed(draws.iter().map(|draw| draw[j]))).collect()
    }

    /// [`Gp::joint`].
    pub fn joint(&self, z: &Warped, at: &[usize], target: usize) -> Vec<Vec<Joint>> {
        let draws: Vec<Vec<Vec<Joint>>> = self.draws.iter().map(|gp| gp.joint(z, at, target)).collect();
        let mixed = |f: usize, j: usize| Joint::mixed(draws.iter().map(|draw| &draw[f][j]));
        (0..at.len()).map(|f| (0..z.len()).map(|j| mixed(f, j)).collect()).collect()
    }

    /// [`Gp::joint_with_gradient`].
    pub fn joint_with_gradient(&self, z: &Warped, m: usize, target: usize) -> Joint {
        let draws: Vec<Joint> = self.draws.iter().map(|gp| gp.joint_with_gradient(z, m, target)).collect();
        Joint::mixed(draws.iter())
    }

    /// What [`Self::influence`] needs of the p points `t` at fidelity `target`.
    pub fn view(&self, t: &Warped, target: usize) -> View {
        View {
            slopes: vec![1.0; t.len()],
            draws: self.draws.iter().map(|gp| gp.view(t, target)).collect(),
            deviation: self.deviation(t, target),
        }
    }

    /// Posterior variances of the points in `view` (length p).
    pub fn view_variance(&self, view: &View) -> DVector<f64> {
        let within: DVector<f64> = self.draws.iter().zip(&view.draws).map(|(gp, view)| gp.view_variance(view)).sum();
        let between = DVector::from_iterator(within.len(), view.deviation.row_iter().map(|row| row.norm_squared()));
        (within + between) / self.draws.len() as f64
    }

    /// How far the posterior mean of each of the points in `view` moves, in standard deviations of the outcome, when
    /// each of the c points `z` is observed at fidelity `m`: `cov(f(t), y(z)) / sd(y(z))`, p × c; with the standard
    /// deviations of the outcomes (length c).
    pub fn influence(&self, z: &Warped, m: usize, view: &View) -> (DMatrix<f64>, Vec<f64>) {
        let (mut covariance, variance) = self.covariance(z, m, view);
        let sd: Vec<f64> = variance.iter().map(|v| v.sqrt()).collect();
        for (mut column, sd) in covariance.column_iter_mut().zip(&sd) {
            column /= *sd;
        }
        (covariance, sd)
    }

    /// How far the posterior means of the points in `view` move when all of the c points `z` are observed at fidelity `m`, each by the
    /// mean of so many runs: the p × c matrix A for which they move by A times c independent standard normals.
    pub fn influence_of_all(&self, z: &Warped, m: usize, runs: f64, view: &View) -> Result<DMatrix<f64>, FitError> {
        let mut outcomes = self.posterior(z, m).1;
        let noise = self.noise(m) / runs;
        (0..z.len()).for_each(|i| outcomes[(i, i)] += noise);
        let factor = jittered(&outcomes, Factored::new).ok_or(FitError::Indefinite { runs: z.len() })?;
        Ok(factor.whiten(self.covariance(z, m, view).0.transpose()).transpose())
    }

    /// [`Gp::covariance`].
    fn covariance(&self, z: &Warped, m: usize, view: &View) -> (DMatrix<f64>, DVector<f64>) {
        let share = 1.0 / self.draws.len() as f64;
        let deviation = self.deviation(z, m);
        let mut covariance = &view.deviation * deviation.transpose() * share;
        let mut variance = DVector::from_iterator(z.len(), deviation.row_iter().map(|row| share * row.norm_squared()));
        for (gp, view) in self.draws.iter().zip(&view.draws) {
            let (within, outcome) = gp.covariance(z, m, view);
            covariance += within * share;
            variance.axpy(share, &outcome, 1.0);
        }
        (covariance, variance)
    }

    /// [`Gp::leave_one_out`]. A draw counts for a run left out by how it would without it: inversely to the density that it gives the
    /// run (importance sampling).
    pub fn leave_one_out(&self, y: &DVector<f64>) -> Vec<(f64, f64)> {
        let draws: Vec<Vec<(f64, f64)>> = self.draws.iter().map(Gp::leave_one_out).collect();
        (0..y.len())
            .map(|i| {
                let log_density = |(mean, v): (f64, f64)| -0.5 * (v.ln() + (y[i] - mean).powi(2) / v);
                let least = draws.iter().map(|draw| log_density(draw[i])).fold(f64::INFINITY, f64::min);
                let weights: Vec<f64> = draws.iter().map(|draw| (least - log_density(draw[i])).exp()).collect();
                let total: f64 = weights.iter().sum();
                let over = |value: &dyn Fn((f64, f64)) -> f64| -> f64 {
                    weights.iter().zip(&draws).map(|(w, draw)| w / total * value(draw[i])).sum()
                };
                let mean = over(&|(mean, _)| mean);
                (mean, over(&|(_, v)| v) + over(&|(m, _)| (m - mean).powi(2)))
            })
            .collect()
    }
}

/// `sum += factor · part`; a part that was not asked for is empty.
fn add(sum: &mut [f64], factor: f64, part: &[f64]) {
    sum.iter_mut().zip(part).for_each(|(s, p)| *s += factor * p);
}

impl Predicted {
    fn mixed(draws: impl ExactSizeIterator<Item = Self> + Clone) -> Self {
        let n = draws.len() as f64;
        let mean = draws.clone().map(|p| p.mean).sum::<f64>() / n;
        Self {
            mean,
            variance: draws.clone().map(|p| p.variance + (p.mean - mean).powi(2)).sum::<f64>() / n,
            level_variance: draws.map(|p| p.level_variance).sum::<f64>() / n,
        }
    }
}

impl Joint {
    fn mixed<'a>(draws: impl ExactSizeIterator<Item = &'a Self> + Clone) -> Self {
        let share = 1.0 / draws.len() as f64;
        let dim = draws.clone().next().map_or(0, |first| first.gradient[0].len());
        let mut mixed = Self { gradient: std::array::from_fn(|_| vec![0.0; dim]), ..Self::default() };
        for draw in draws.clone() {
            mixed.mean += share * draw.mean;
            mixed.mean_observed += share * draw.mean_observed;
            add(&mut mixed.gradient[0], share, &draw.gradient[0]);
            add(&mut mixed.gradient[4], share, &draw.gradient[4]);
        }
        for draw in draws {
            let (at_target, observed) = (draw.mean - mixed.mean, draw.mean_observed - mixed.mean_observed);
            mixed.variance += share * (draw.variance + at_target * at_target);
            mixed.variance_observed += share * (draw.variance_observed + observed * observed);
            mixed.covariance += share * (draw.covariance + at_target * observed);
            for d in 0..dim {
                let [mean, variance, variance_observed, covariance, mean_observed] = &draw.gradient;
                let (d_target, d_observed) = (mean[d] - mixed.gradient[0][d], mean_observed[d] - mixed.gradient[4][d]);
                mixed.gradient[1][d] += share * (variance[d] + 2.0 * at_target * d_target);
                mixed.gradient[2][d] += share * (variance_observed[d] + 2.0 * observed * d_observed);
                mixed.gradient[3][d] += share * (covariance[d] + at_target * d_observed + observed * d_target);
            }
        }
        mixed
    }
}
