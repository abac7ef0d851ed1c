//! The surrogate of the objective: one multi-fidelity Gaussian process a metric, summed.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::fit::fit;
use super::gp::{Data, Gp, Joint};
use super::hyper::Layout;
use crate::optimizer::{KernelKind, ModelSnapshot};
use crate::space::{Fidelities, Mixture, warp};
use crate::study::{Objective, Observation};

/// Standard deviation of the logarithms of length-scales around their common mean, within one metric.
const LENGTHSCALE_SD: f64 = 0.6;
/// L-BFGS iterations from a fresh start, and from the last fit.
const FRESH_ITERATIONS: u64 = 40;
const WARM_ITERATIONS: u64 = 12;
/// Runs' worth of belief that the errors of metrics are independent.
const INDEPENDENCE_WEIGHT: f64 = 8.0;
/// Prior standard deviation of the level of a fidelity that has observations, in standardized units: vague.
const OBSERVED_LEVEL_SD: f64 = 3.0;

/// How one metric's values are standardized: `y = (sign · value − level[m]) / scale[m]`, so that smaller is better.
#[derive(Clone, Debug)]
struct Standardization {
    sign: f64,
    /// One a fidelity.
    level: Vec<f64>,
    /// One a fidelity.
    scale: Vec<f64>,
    /// Prior standard deviation of each fidelity's level, in standardized units.
    level_sd: Vec<f64>,
}

/// One metric: its data in standardized units, its fitted process, its share of the objective.
#[derive(Clone, Debug)]
struct MetricModel {
    standardization: Standardization,
    data: Data,
    gp: Gp,
    /// Objective units (minimized) per standardized unit of this metric at each fidelity: `|weight| · scale`.
    gain: Vec<f64>,
    hyperparameters: Vec<f64>,
}

/// Posterior over the objective, minimized: the metrics' processes are independent, so means and variances add.
#[derive(Clone, Debug)]
pub struct Surrogate {
    metrics: Vec<MetricModel>,
    target: usize,
    dim: usize,
    /// Objective units: Σ gain · level at each fidelity.
    offset: Vec<f64>,
    /// Factor on the objective's variances that makes leave-one-out errors as large as predicted: metrics are modelled
    /// as independent, but their errors are not.
    inflation: f64,
}

/// What observing all metrics at (mixture, fidelity) would teach about the objective at the target there.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// Posterior mean of the target objective (minimized).
    pub mean: f64,
    /// Posterior variance of the target objective.
    pub variance: f64,
    /// How much of that variance the observation would remove.
    pub reduction: f64,
    /// Derivatives with respect to the warped mixture (length D each), where asked for.
    pub gradient: [Vec<f64>; 3],
}

/// What the model is to be fitted to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The objective.
    pub objective: &'a Objective,
    /// The fidelities.
    pub fidelities: &'a Fidelities,
    /// Covariance function and number of components.
    pub kernel: (KernelKind, usize),
    /// Finished trials; not empty.
    pub observations: &'a [Observation],
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation; 5 % of the level stands in for it where the values do not vary (one run, say).
fn spread(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|y| (y - center).powi(2)).sum();
    let spread = (squares / (values.len().max(2) - 1) as f64).sqrt();
    if spread > 1e-9 * center.abs() { spread } else { (0.05 * center.abs()).max(1e-6) }
}

impl Standardization {
    /// Standardizes every metric: each size by its own mean, and by a scale that follows the size with the most runs but
    /// for a ratio common to all metrics. Few runs say little about one metric's spread at a size, but all metrics
    /// together say how much smaller spreads are there; the rest is left to the fitted scales.
    fn all(task: &Task<'_>, log_sizes: &[f64]) -> Vec<Self> {
        let f = log_sizes.len();
        let metrics = &task.objective.metrics;
        let mut values = vec![vec![Vec::new(); f]; metrics.len()];
        let signs: Vec<f64> = metrics.iter().map(|m| task.objective.sign() * m.weight.signum()).collect();
        for o in task.observations {
            for (j, v) in values.iter_mut().enumerate() {
                v[o.fidelity].push(signs[j] * o.metrics[j]);
            }
        }
        let counts: Vec<usize> = values.first().map_or_else(|| vec![0; f], |v| v.iter().map(Vec::len).collect());
        // Of sizes with equally many runs the cheapest.
        let anchor = (0..f).rev().max_by_key(|m| counts[*m]).unwrap_or(0);
        let log_ratio: Vec<f64> = (0..f)
            .map(|m| {
                if m == anchor || counts[m] < 3 || counts[anchor] < 3 {
                    return 0.0;
                }
                let ratios: Vec<f64> = values.iter().map(|v| (spread(&v[m]) / spread(&v[anchor])).ln()).collect();
                let n = counts[m] as f64;
                mean(&ratios) * n / (n + 2.0)
            })
            .collect();
        // A size without runs is scaled like the nearest that has some.
        let nearest = |m: usize| {
            (0..f)
                .filter(|l| counts[*l] >= 3)
                .min_by(|a, b| (log_sizes[*a] - log_sizes[m]).abs().total_cmp(&(log_sizes[*b] - log_sizes[m]).abs()))
                .unwrap_or(anchor)
        };
        values
            .iter()
            .zip(signs)
            .map(|(values, sign)| {
                let unit = spread(&values[anchor]);
                let scale: Vec<f64> =
                    (0..f).map(|m| unit * log_ratio[if counts[m] >= 3 { m } else { nearest(m) }].exp()).collect();
                let seen: Vec<(f64, f64)> =
                    (0..f).filter(|m| counts[*m] > 0).map(|m| (log_sizes[m], mean(&values[m]))).collect();
                let (level, level_sd) = (0..f)
                    .map(|m| {
                        if counts[m] > 0 {
                            (mean(&values[m]), OBSERVED_LEVEL_SD)
                        } else {
                            let (guess, sd) = extrapolate(&seen, log_sizes[m]);
                            (guess, (sd / scale[m]).max(1.0))
                        }
                    })
                    .unzip();
                Self { sign, level, scale, level_sd }
            })
            .collect()
    }
}

/// Level at an untrained size: linear in log size through the two nearest trained ones (a power law's tangent), as
/// uncertain as the change it assumes; with one trained size, its level.
fn extrapolate(seen: &[(f64, f64)], at: f64) -> (f64, f64) {
    let mut nearest: Vec<_> = seen.to_vec();
    nearest.sort_by(|a, b| (a.0 - at).abs().total_cmp(&(b.0 - at).abs()));
    match nearest[..] {
        [] => (0.0, 1.0),
        [(_, y)] => (y, 0.3 * y.abs()),
        [(x0, y0), (x1, y1), ..] => {
            let change = (y0 - y1) / (x0 - x1) * (at - x0);
            (y0 + change, change.abs())
        }
    }
}

impl Task<'_> {
    fn layout(&self) -> Layout {
        let sizes = self.fidelities.log_sizes();
        // Fidelities of equal size (say, other token counts unstated) still differ a little.
        let size_steps = sizes.windows(2).map(|s| (s[1] - s[0]).abs().max(0.1)).collect();
        let (kind, components) = self.kernel;
        let dim = self.observations.first().map_or(0, |o| o.mixture.weights().len());
        Layout { kind, components, dim, size_steps, lengthscale_sd: LENGTHSCALE_SD }
    }

    fn data(&self, metric: usize, standardization: &Standardization) -> Data {
        let dim = self.observations.first().map_or(0, |o| o.mixture.weights().len());
        Data {
            x: warp::warp_all(dim, self.observations.iter().map(|o| o.mixture.weights())),
            fidelity: self.observations.iter().map(|o| o.fidelity).collect(),
            y: DVector::from_iterator(
                self.observations.len(),
                self.observations.iter().map(|o| {
                    (standardization.sign * o.metrics[metric] - standardization.level[o.fidelity])
                        / standardization.scale[o.fidelity]
                }),
            ),
            known_noise: self
                .observations
                .iter()
                .map(|o| o.se[metric].map_or(0.0, |se| (se / standardization.scale[o.fidelity]).powi(2)))
                .collect(),
            level_sd: standardization.level_sd.clone(),
        }
    }
}

impl Surrogate {
    /// Fits all metrics to the observations, from the last fit's hyperparameters where given. `None` if the model cannot
    /// be fitted (numerically), or there are no observations.
    #[must_use]
    pub fn fit(task: &Task<'_>, warm: Option<&ModelSnapshot>) -> Option<(Self, ModelSnapshot)> {
        let layout = task.layout();
        let fitted = Standardization::all(task, &task.fidelities.log_sizes())
            .into_par_iter()
            .enumerate()
            .map(|(j, standardization)| {
                let data = task.data(j, &standardization);
                let warm = warm.and_then(|s| s.hyperparameters.get(j)).filter(|z| z.len() == layout.len());
                let (z, _) = match warm {
                    Some(z) => fit(&data, &layout, std::slice::from_ref(z), WARM_ITERATIONS),
                    None => None,
                }
                .or_else(|| fit(&data, &layout, &[layout.start()], FRESH_ITERATIONS))?;
                MetricModel::new(task, j, &layout, standardization, data, z)
            })
            .collect::<Option<Vec<_>>>()?;
        let surrogate = Self::assemble(task, fitted)?;
        let snapshot = ModelSnapshot {
            observations: task.observations.len(),
            hyperparameters: surrogate.metrics.iter().map(|m| m.hyperparameters.clone()).collect(),
        };
        Some((surrogate, snapshot))
    }

    /// Conditions on the observations at the snapshot's hyperparameters.
    #[must_use]
    pub fn condition(task: &Task<'_>, snapshot: &ModelSnapshot) -> Option<Self> {
        let layout = task.layout();
        if snapshot.hyperparameters.len() != task.objective.metrics.len()
            || snapshot.hyperparameters.iter().any(|z| z.len() != layout.len())
        {
            return None;
        }
        let metrics = Standardization::all(task, &task.fidelities.log_sizes())
            .into_par_iter()
            .enumerate()
            .map(|(j, standardization)| {
                let data = task.data(j, &standardization);
                MetricModel::new(task, j, &layout, standardization, data, snapshot.hyperparameters[j].clone())
            })
            .collect::<Option<Vec<_>>>()?;
        Self::assemble(task, metrics)
    }

    fn assemble(task: &Task<'_>, metrics: Vec<MetricModel>) -> Option<Self> {
        if task.observations.is_empty() {
            return None;
        }
        let offset = (0..task.fidelities.len())
            .map(|m| metrics.iter().map(|k| k.gain[m] * k.standardization.level[m] / k.standardization.scale[m]).sum())
            .collect();
        let dim = task.observations[0].mixture.weights().len();
        let inflation = inflation(&metrics);
        Some(Self { metrics, target: task.fidelities.target(), dim, offset, inflation })
    }

    /// The same model with runs under way added at their expected outcome: means stay, variances shrink (the "kriging
    /// believer" of Ginsbourger et al. 2010).
    #[must_use]
    pub fn with_pending(&self, pending: &[(Mixture, usize)]) -> Option<Self> {
        if pending.is_empty() {
            return Some(self.clone());
        }
        let metrics = self
            .metrics
            .par_iter()
            .map(|metric| {
                let mut data = metric.data.clone();
                for (mixture, m) in pending {
                    let z = warp::warp_all(self.dim, [mixture.weights()]);
                    let mean = metric.gp.mean(&z, *m)[0];
                    let n = data.y.len();
                    data.x = data.x.insert_column(n, 0.0);
                    data.x.set_column(n, &z.column(0));
                    data.fidelity.push(*m);
                    data.y = data.y.push(mean);
                    data.known_noise.push(0.0);
                }
                let gp = Gp::condition(&data, metric.gp.hyperparameters().clone())?;
                Some(MetricModel { data, gp, ..metric.clone() })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { metrics, ..self.clone() })
    }

    /// Posterior means of the target objective (minimized) at the columns of `x` (warped, D × p).
    #[must_use]
    pub fn mean(&self, x: &DMatrix<f64>) -> DVector<f64> {
        let mut total = DVector::from_element(x.ncols(), self.offset[self.target]);
        for metric in &self.metrics {
            total.axpy(metric.gain[self.target], &metric.gp.mean(x, self.target), 1.0);
        }
        total
    }

    /// Posterior mean of the target objective at one warped mixture (D × 1), with its derivative (length D).
    #[must_use]
    pub fn mean_with_gradient(&self, x: &DMatrix<f64>) -> (f64, Vec<f64>) {
        let mut total = (self.offset[self.target], vec![0.0; self.dim]);
        for metric in &self.metrics {
            let (mean, gradient) = metric.gp.mean_with_gradient(x, self.target);
            total.0 += metric.gain[self.target] * mean;
            for (t, g) in total.1.iter_mut().zip(&gradient) {
                *t += metric.gain[self.target] * g;
            }
        }
        total
    }

    /// Joint posterior of the target objective (minimized) at the columns of `x` (warped, D × p).
    #[must_use]
    pub fn posterior(&self, x: &DMatrix<f64>) -> (DVector<f64>, DMatrix<f64>) {
        let p = x.ncols();
        let mut total = (DVector::from_element(p, self.offset[self.target]), DMatrix::zeros(p, p));
        let parts: Vec<_> =
            self.metrics.par_iter().map(|m| (m.gain[self.target], m.gp.posterior(x, self.target))).collect();
        for (gain, (mean, covariance)) in parts {
            total.0.axpy(gain, &mean, 1.0);
            total.1 += covariance * (gain * gain * self.inflation);
        }
        total
    }

    /// Mean and variance of the objective (minimized) at fidelity `m` for the columns of `x` (warped, D × p), including
    /// the uncertainty of its level: for reports.
    #[must_use]
    pub fn predict(&self, x: &DMatrix<f64>, m: usize) -> Vec<(f64, f64)> {
        let mut total = vec![(self.offset[m], 0.0); x.ncols()];
        let mut level_sd = vec![0.0; x.ncols()];
        for metric in &self.metrics {
            let gain = metric.gain[m];
            for (i, prediction) in metric.gp.predict(x, m).into_iter().enumerate() {
                total[i].0 += gain * prediction.mean;
                total[i].1 += gain * gain * prediction.variance * self.inflation;
                level_sd[i] += gain * prediction.level_variance.sqrt();
            }
        }
        // What moves the level of one metric (a better recipe at that size, say) moves all of them: the levels' errors
        // add linearly.
        for (t, sd) in total.iter_mut().zip(level_sd) {
            t.1 += sd * sd;
        }
        total
    }

    /// Noise variance of one run's objective at fidelity `m`.
    #[must_use]
    pub fn noise(&self, m: usize) -> f64 {
        self.inflation * self.metrics.iter().map(|k| k.gain[m].powi(2) * k.gp.hyperparameters().noise[m]).sum::<f64>()
    }

    /// [`Outlook`]s of observing at the columns of `x` (warped, D × p), fidelity `m`.
    ///
    /// With independent metrics the observation of all of them reduces the objective's variance by
    /// `Σ_j a_j² cov_j² / (var_j + noise_j)`.
    #[must_use]
    pub fn outlook(&self, x: &DMatrix<f64>, m: usize) -> Vec<Outlook> {
        let parts: Vec<Vec<Joint>> = self.metrics.par_iter().map(|k| k.gp.joint(x, m, self.target)).collect();
        (0..x.ncols())
            .map(|i| {
                let mut outlook = Outlook { mean: self.offset[self.target], ..Outlook::default() };
                for (metric, joints) in self.metrics.iter().zip(&parts) {
                    self.add(metric, &joints[i], m, &mut outlook);
                }
                outlook
            })
            .collect()
    }

    /// For every metric how far the target objective at the columns of `t` (D × p) moves when a column of `z` (D × c) is
    /// observed at fidelity `m`, in objective units per standard deviation of that metric's outcome (p × c each), and
    /// the outcome's own standard deviation in objective units at the target (length c each).
    #[must_use]
    pub fn influence(&self, z: &DMatrix<f64>, m: usize, t: &DMatrix<f64>) -> Vec<(DMatrix<f64>, Vec<f64>)> {
        self.metrics
            .par_iter()
            .map(|k| {
                let (moves, sd) = k.gp.influence(z, m, t, self.target);
                let unit = k.gain[self.target] * self.inflation.sqrt();
                (moves * unit, sd.iter().map(|s| s * unit).collect())
            })
            .collect()
    }

    /// [`Self::outlook`] at one warped mixture (D × 1), with derivatives.
    #[must_use]
    pub fn outlook_with_gradient(&self, x: &DMatrix<f64>, m: usize) -> Outlook {
        let parts: Vec<Joint> = self.metrics.par_iter().map(|k| k.gp.joint_with_gradient(x, m, self.target)).collect();
        let mut outlook = Outlook {
            mean: self.offset[self.target],
            gradient: std::array::from_fn(|_| vec![0.0; self.dim]),
            ..Outlook::default()
        };
        for (metric, joint) in self.metrics.iter().zip(&parts) {
            self.add(metric, joint, m, &mut outlook);
        }
        outlook
    }

    /// Adds a metric's share to the objective's outlook.
    fn add(&self, metric: &MetricModel, joint: &Joint, m: usize, outlook: &mut Outlook) {
        let gain = metric.gain[self.target];
        let square = gain * gain * self.inflation;
        let total = joint.variance_observed + metric.gp.hyperparameters().noise[m];
        let ratio = joint.covariance / total;
        outlook.mean += gain * joint.mean;
        outlook.variance += square * joint.variance;
        outlook.reduction += square * joint.covariance * ratio;
        let [mean, variance, reduction] = &mut outlook.gradient;
        let [d_mean, d_variance, d_observed, d_covariance] = &joint.gradient;
        for d in 0..mean.len().min(d_mean.len()) {
            mean[d] += gain * d_mean[d];
            variance[d] += square * d_variance[d];
            reduction[d] += square * (2.0 * ratio * d_covariance[d] - ratio * ratio * d_observed[d]);
        }
    }

    /// Leave-one-out log predictive density of the observed metrics, summed (in standardized units): how well a model
    /// of this kind predicts, without an intercept for the number of its parameters.
    #[must_use]
    pub fn leave_one_out_log_density(&self) -> f64 {
        self.metrics
            .iter()
            .map(|metric| {
                metric
                    .gp
                    .leave_one_out()
                    .iter()
                    .zip(metric.data.y.iter())
                    .map(|((mean, variance), y)| {
                        -0.5 * ((std::f64::consts::TAU * variance).ln() + (y - mean).powi(2) / variance)
                    })
                    .sum::<f64>()
            })
            .sum()
    }
}

/// Mean squared leave-one-out error of the objective relative to its predicted variance, shrunk towards 1.
fn inflation(metrics: &[MetricModel]) -> f64 {
    let Some(first) = metrics.first() else { return 1.0 };
    let n = first.data.y.len();
    let (mut error, mut variance) = (vec![0.0; n], vec![0.0; n]);
    for metric in metrics {
        for (i, (mean, v)) in metric.gp.leave_one_out().into_iter().enumerate() {
            let gain = metric.gain[metric.data.fidelity[i]];
            error[i] += gain * (metric.data.y[i] - mean);
            variance[i] += gain * gain * v;
        }
    }
    let total: f64 = error.iter().zip(&variance).map(|(e, v)| e * e / v).sum();
    (total + INDEPENDENCE_WEIGHT) / (n as f64 + INDEPENDENCE_WEIGHT)
}

impl MetricModel {
    fn new(
        task: &Task<'_>,
        j: usize,
        layout: &Layout,
        standardization: Standardization,
        data: Data,
        z: Vec<f64>,
    ) -> Option<Self> {
        let gp = Gp::condition(&data, layout.natural(&z))?;
        let weight = task.objective.metrics[j].weight.abs();
        let gain = standardization.scale.iter().map(|s| weight * s).collect();
        Some(Self { standardization, data, gp, gain, hyperparameters: z })
    }
}
