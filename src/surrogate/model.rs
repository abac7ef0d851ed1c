//! The surrogate of the objective: the sum of one multi-fidelity Gaussian process per metric.

use crate::problem::{FidelityId, Mixture, Warp, Weights, columns, stream};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::data::Data;
use super::error::FitError;
use super::fitting::{FRESH_ITERATIONS, better_scales, fit_all};
use super::hyper::Layout;
use super::metric::{MetricModel, Reading, inflation, leave_one_out};
use super::process::Process;
use super::scale::Scale;
use super::snapshot::ModelSnapshot;
use super::standardize::{Series, Standardization};
use super::task::{MOST_KNOWN, Task};

/// L-BFGS iterations from the last fit.
const WARM_ITERATIONS: u64 = 12;
/// Whenever the number of runs passes a power of this, a fit starts afresh, too, and has time to converge: hyperparameters
/// that a few runs suggested are not kept because no better ones are near.
const AFRESH: f64 = 1.25;
/// Seed of the draws of hyperparameters.
const DRAWS_SEED: u64 = 0;

/// Posterior over the objective, minimized: the metrics' processes are independent, so means and variances add.
#[derive(Clone, Debug)]
pub struct Surrogate {
    pub(super) metrics: Vec<MetricModel>,
    pub(super) target: FidelityId,
    pub(super) dim: usize,
    pub(super) warp: Warp,
    /// How many fidelities there are.
    sizes: usize,
    /// Factor on the objective's variances that makes leave-one-out errors as large as predicted: metrics are modelled
    /// as independent, but their errors are not.
    pub(super) inflation: f64,
}

/// How well a size has agreed with the target so far, according to the fitted model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Correlation, over mixtures, of the noise-free objectives at this size and at the target.
    pub correlation: f64,
    /// Share of the target objective's variance over mixtures that one run at this size explains there, in 0..1: the
    /// squared correlation, less what the run's noise hides.
    pub information: f64,
}

/// By how much one mixture is better than another, in the objective or in one metric.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    /// Posterior mean; above zero is better.
    pub mean: f64,
    /// Posterior variance.
    pub variance: f64,
}

impl Surrogate {
    /// Fits all metrics to the observations, from the last fit's hyperparameters where given.
    ///
    /// # Errors
    /// [`FitError`]
    pub fn fit(task: &Task<'_>, warm: Option<&ModelSnapshot>) -> Result<(Self, ModelSnapshot), FitError> {
        let layout = task.layout();
        let warm = warm.filter(|s| s.spec == task.spec);
        let power = |runs: usize| ((runs.max(1) as f64).ln() / AFRESH.ln()).floor();
        let afresh = warm.is_some_and(|s| power(task.observations.len()) > power(s.observations));
        let scales = warm.map_or_else(Vec::new, |s| s.scales.clone());
        let series = task.series(&scales);
        // A later run may have no place on the scale; every run has one on the metric's own.
        if warm.is_some() && !series.iter().all(Series::is_possible) {
            return Self::fit(task, None);
        }
        let last = |j: usize| warm.and_then(|s| s.hyperparameters.get(j)).filter(|z| z.len() == layout.len()).cloned();
        let mut fitted = fit_all(task, &series, |j| match last(j) {
            Some(z) if afresh => (vec![z, layout.start()], FRESH_ITERATIONS),
            Some(z) => (vec![z], WARM_ITERATIONS),
            None => (vec![layout.start()], FRESH_ITERATIONS),
        })?;
        let mut scales: Vec<Scale> = series.iter().map(|series| series.unit.scale).collect();
        if (warm.is_none() || afresh)
            && let Some(better) = better_scales(task, &fitted, &scales)
        {
            let start = |j: usize| (vec![fitted[j].hyperparameters.clone(), layout.start()], FRESH_ITERATIONS);
            // Where it cannot be fitted, what is known stays.
            if let Ok(refitted) = fit_all(task, &task.series(&better), start) {
                (fitted, scales) = (refitted, better);
            }
        }
        let snapshot = ModelSnapshot {
            observations: task.observations.len(),
            runs: task.observations.iter().map(|o| o.run).collect(),
            hyperparameters: fitted.iter().map(|fitted| fitted.hyperparameters.clone()).collect(),
            scales: if scales.iter().all(|scale| *scale == Scale::Identity) { Vec::new() } else { scales },
            spec: task.spec,
            compared: 0,
        };
        Ok((Self::assemble(task, fitted.into_iter().map(|fitted| fitted.model).collect())?, snapshot))
    }

    /// Conditions on the observations at the snapshot's hyperparameters. The observations begin with those that the snapshot was
    /// fitted to ([`ModelSnapshot::first`]): on these at once, on later ones one after another ([`ModelSnapshot::appends`]), so that a model
    /// that was carried along and one that is made anew agree bit for bit; else on all at once.
    ///
    /// # Errors
    /// [`FitError`]
    pub fn condition(task: &Task<'_>, snapshot: &ModelSnapshot) -> Result<Self, FitError> {
        Self::conditioned(task, snapshot, |_, data, layout, z| Process::condition(data, layout, z))
    }

    /// The same with the hyperparameters integrated over, instead of the most probable ones: what is said of mixtures of which few runs
    /// say something depends on all that are plausible. They are drawn given the runs that the snapshot was fitted to, the same
    /// ones whenever it is asked.
    ///
    /// # Errors
    /// [`FitError`]
    pub fn integrated(task: &Task<'_>, snapshot: &ModelSnapshot) -> Result<Self, FitError> {
        Self::conditioned(task, snapshot, |j, data, layout, z| {
            Process::integrated(data, layout, z, &mut stream(DRAWS_SEED, j as u64))
        })
    }

    /// [`Self::condition`], where `process` makes the process of a metric (its index) from data and fitted hyperparameters.
    fn conditioned(
        task: &Task<'_>,
        snapshot: &ModelSnapshot,
        process: impl Fn(usize, &Data, &Layout, &[f64]) -> Result<Process, FitError> + Sync,
    ) -> Result<Self, FitError> {
        let n = task.observations.len();
        let fitted = snapshot.fitted(task.observations);
        let (first, later) = task.observations.split_at(if snapshot.appends(task.observations) { fitted } else { n });
        let first = Task { observations: first, ..*task };
        let layout = first.layout();
        let series = first.series(&snapshot.scales);
        // Hyperparameters are in the units of the runs that they were fitted to.
        let basis = Task { observations: &task.observations[..fitted], ..*task };
        if snapshot.spec != task.spec
            || snapshot.hyperparameters.len() != series.len()
            || snapshot.hyperparameters.iter().any(|z| z.len() != layout.len())
            || !series.iter().all(Series::is_possible)
        {
            return Err(FitError::OtherKind);
        }
        let metrics = Standardization::all(&basis, &basis.series(&snapshot.scales))
            .into_par_iter()
            .zip(&series)
            .zip(&snapshot.hyperparameters)
            .enumerate()
            .map(|(j, ((standardization, series), z))| {
                let data = first.data(series, &standardization).thinned(MOST_KNOWN).into_owned();
                let process = process(j, &data, &layout, z)?;
                Ok(MetricModel::new(series, standardization, data, process))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::assemble(&first, metrics)?.extend(&Task { observations: later, ..*task })
    }

    /// The model with the task's observations added, one after another: O(n²) each. Hyperparameters and standardization
    /// stay. Only where [`ModelSnapshot::appends`] says so does that agree with [`Self::condition`].
    ///
    /// # Errors
    /// [`FitError`]
    pub fn extend(&self, task: &Task<'_>) -> Result<Self, FitError> {
        if task.observations.is_empty() {
            return Ok(self.clone());
        }
        let series = task.series(&self.metrics.iter().map(MetricModel::scale).collect::<Vec<_>>());
        let metrics = self
            .metrics
            .par_iter()
            .zip(&series)
            .map(|(metric, series)| metric.extend(task, series))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.with(inflation(&metrics), metrics))
    }

    /// The same model of other metrics.
    fn with(&self, inflation: f64, metrics: Vec<MetricModel>) -> Self {
        Self { metrics, inflation, target: self.target, dim: self.dim, warp: self.warp, sizes: self.sizes }
    }

    fn assemble(task: &Task<'_>, metrics: Vec<MetricModel>) -> Result<Self, FitError> {
        if task.observations.is_empty() {
            return Err(FitError::Empty);
        }
        let dim = task.observations[0].mixture.weights().len();
        let inflation = inflation(&metrics);
        Ok(Self {
            metrics,
            target: task.fidelities.target(),
            dim,
            warp: task.spec.warp,
            sizes: task.fidelities.list().len(),
            inflation,
        })
    }

    /// The same model with runs under way added at their expected outcome: means stay, variances shrink (the "kriging
    /// believer" of Ginsbourger et al. 2010).
    ///
    /// # Errors
    /// [`FitError`]
    pub fn with_pending(&self, pending: &[(Mixture, FidelityId)]) -> Result<Self, FitError> {
        if pending.is_empty() {
            return Ok(self.clone());
        }
        let metrics = self
            .metrics
            .par_iter()
            .map(|metric| {
                pending.iter().try_fold(metric.clone(), |model, (mixture, m)| {
                    let z = self.warp.warped(&columns(self.dim, [mixture.weights()]));
                    let y = metric.process.mean(&z, m.index());
                    let level_sd = metric.data.level_sd.clone();
                    model.believing(&Data { x: z, fidelity: vec![m.index()], y, known_noise: vec![0.0], level_sd })
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.with(self.inflation, metrics))
    }

    /// Posterior means of the target objective (minimized) at the p mixtures `x`.
    #[must_use]
    pub fn mean(&self, x: &Weights) -> DVector<f64> {
        let x = &self.warp.warped(x);
        let mut total = DVector::zeros(x.len());
        for metric in &self.metrics {
            for (total, reading) in total.iter_mut().zip(metric.readings(x, self.target.index())) {
                *total += metric.weight() * reading.mean;
            }
        }
        total
    }

    /// Posterior mean of the target objective at one mixture, with its derivative (length D).
    #[must_use]
    pub fn mean_with_gradient(&self, w: &Weights) -> (f64, Vec<f64>) {
        let x = &self.warp.warped(w);
        let mut total = (0.0, vec![0.0; self.dim]);
        for metric in &self.metrics {
            let (mean, gradient) = metric.mean_with_gradient(x, self.target.index());
            total.0 += metric.weight() * mean;
            total.1.iter_mut().zip(&gradient).for_each(|(t, g)| *t += metric.weight() * g);
        }
        self.unwarp(w, &mut total.1);
        total
    }

    /// The chain rule: turns a derivative with respect to the warped mixture into one with respect to its weights.
    pub(super) fn unwarp(&self, w: &Weights, gradient: &mut [f64]) {
        for (g, w) in gradient.iter_mut().zip(w.matrix().iter()) {
            *g *= self.warp.slope(*w);
        }
    }

    /// Joint posterior of the target objective (minimized) at the p mixtures `x`.
    #[must_use]
    pub fn posterior(&self, x: &Weights) -> (DVector<f64>, DMatrix<f64>) {
        let x = &self.warp.warped(x);
        let p = x.len();
        let m = self.target.index();
        let mut total = (DVector::zeros(p), DMatrix::zeros(p, p));
        let parts: Vec<_> = self.metrics.par_iter().map(|metric| (metric, metric.process.posterior(x, m))).collect();
        for (metric, (mean, covariance)) in parts {
            let weight = metric.weight();
            let readings: Vec<Reading> = (0..p).map(|i| metric.reading(m, mean[i], covariance[(i, i)])).collect();
            total.0.iter_mut().zip(&readings).for_each(|(total, reading)| *total += weight * reading.mean);
            let slopes = DVector::from_iterator(p, readings.iter().map(|reading| weight * reading.slope));
            total.1 += (&slopes * slopes.transpose()).component_mul(&covariance) * self.inflation;
        }
        total
    }

    /// Mean and variance of the objective (minimized) at fidelity `m` for the p mixtures `x`, including
    /// the uncertainty of its level: for reports.
    #[must_use]
    pub fn predict(&self, x: &Weights, m: FidelityId) -> Vec<(f64, f64)> {
        let x = &self.warp.warped(x);
        let mut total = vec![(0.0, 0.0); x.len()];
        let mut level_sd = vec![0.0; x.len()];
        for metric in &self.metrics {
            for (i, prediction) in metric.process.predict(x, m.index()).into_iter().enumerate() {
                let Reading { mean, slope } =
                    metric.reading(m.index(), prediction.mean, prediction.variance + prediction.level_variance);
                let slope = metric.weight() * slope;
                total[i].0 += metric.weight() * mean;
                total[i].1 += slope.powi(2) * prediction.variance * self.inflation;
                level_sd[i] += slope * prediction.level_variance.sqrt();
            }
        }
        // What moves the level of one metric (a better recipe at that size, say) moves all of them: the levels' errors
        // add linearly.
        for (t, sd) in total.iter_mut().zip(level_sd) {
            t.1 += sd * sd;
        }
        total
    }

    /// Noise variance of one run's objective at fidelity `m`, of a usual mixture.
    #[must_use]
    pub fn noise(&self, m: FidelityId) -> f64 {
        let m = m.index();
        let share = |k: &MetricModel| k.weight().powi(2) * k.noise(m);
        self.inflation * self.metrics.iter().map(share).sum::<f64>()
    }

    /// How well each size agrees with the target: one entry per fidelity. Before a size has runs this is the prior's opinion.
    #[must_use]
    pub fn agreement(&self) -> Vec<Agreement> {
        let target = self.target.index();
        let sum = |share: &dyn Fn(&MetricModel) -> f64| -> f64 { self.metrics.iter().map(share).sum() };
        let slope = |k: &MetricModel, m: usize| k.weight() * k.usual_slope(m);
        // A metric's covariance between two sizes, in objective units.
        let covariance = |a: usize, b: usize| sum(&|k| slope(k, a) * slope(k, b) * k.process.prior_covariance(a, b));
        (0..self.sizes)
            .map(|m| {
                let explained = sum(&|k| {
                    let (shared, own) = (k.process.prior_covariance(m, target), k.process.prior_covariance(m, m));
                    slope(k, target).powi(2) * shared * shared / (own + k.process.noise(m))
                });
                Agreement {
                    correlation: covariance(m, target) / (covariance(m, m) * covariance(target, target)).sqrt(),
                    information: explained / covariance(target, target),
                }
            })
            .collect()
    }

    /// By how much the first of the mixtures `x` is better than each of the others in the objective, noise-free and at fidelity `m`.
    #[must_use]
    pub fn gains(&self, x: &Weights, m: FidelityId) -> Vec<Gain> {
        let mut total = vec![Gain { mean: 0.0, variance: 0.0 }; x.len() - 1];
        for (metric, gains) in self.metrics.iter().zip(self.metric_gains(x, m)) {
            for (total, gain) in total.iter_mut().zip(gains) {
                total.mean += metric.weight() * gain.mean;
                total.variance += self.inflation * metric.weight().powi(2) * gain.variance;
            }
        }
        total
    }

    /// By how much the first of the mixtures `x` is better than each of the others in each process, noise-free and at fidelity `m`: in the
    /// unit of the metric, or of the objective where that has the only process.
    #[must_use]
    pub fn metric_gains(&self, x: &Weights, m: FidelityId) -> Vec<Vec<Gain>> {
        let x = &self.warp.warped(x);
        let gain = |(mean, variance)| Gain { mean, variance };
        let gains = |metric: &MetricModel| metric.gains(x, m.index()).into_iter().map(gain).collect();
        self.metrics.par_iter().map(gains).collect()
    }

    /// Mean and variance at fidelity `m` for the p mixtures `x` as [`Self::predict`] has them of the objective, of each process: in the
    /// unit and direction of the metric, or of the objective where that has the only process.
    #[must_use]
    pub fn predict_metrics(&self, x: &Weights, m: FidelityId) -> Vec<Vec<(f64, f64)>> {
        let x = &self.warp.warped(x);
        self.metrics.par_iter().map(|metric| metric.predict(x, m.index())).collect()
    }

    /// Noise variance of one run's value at fidelity `m`, of a usual mixture, in each process.
    #[must_use]
    pub fn metric_noise(&self, m: FidelityId) -> Vec<f64> {
        self.metrics.iter().map(|metric| metric.noise(m.index())).collect()
    }

    /// Leave-one-out predictions of the runs' objectives, in closed form: for each run that it knows ([`known`](super::known)) the error
    /// (observed minus predicted, in the objective's unit at that size, minimized) and the variance it should have.
    #[must_use]
    pub fn leave_one_out(&self) -> Vec<(f64, f64)> {
        let mut errors = leave_one_out(&self.metrics);
        for (_, variance) in &mut errors {
            *variance *= self.inflation;
        }
        errors
    }
}
