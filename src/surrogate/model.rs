//! The surrogate of the objective: one multi-fidelity Gaussian process per metric.

use crate::problem::{Aggregate, FidelityId, Mixture, Warp, Weights, columns, stream};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::aggregate::{Linear, Lookahead, aggregate};
use super::data::Data;
use super::error::FitError;
use super::fitting::{FRESH_ITERATIONS, better_scales, fit_all};
use super::gp::{Predicted, differences};
use super::hyper::Layout;
use super::largest::Normal;
use super::metric::{MetricModel, Reading, inflation, leave_one_out};
use super::process::Process;
use super::scale::Scale;
use super::snapshot::{ModelSnapshot, UNITS};
use super::standardize::{Series, Standardization};
use super::task::{MOST_KNOWN, Task};
use crate::space::Warped;

/// L-BFGS iterations from the last fit.
const WARM_ITERATIONS: u64 = 12;
/// Whenever the number of runs passes a power of this, a fit starts afresh, too, and has time to converge: hyperparameters
/// that a few runs suggested are not kept because no better ones are near.
const AFRESH: f64 = 1.25;
/// Seed of the draws of hyperparameters.
const DRAWS_SEED: u64 = 0;

/// Posterior over the objective, minimized. The metrics' processes are independent: for a mean, their means and variances add.
#[derive(Clone, Debug)]
pub struct Surrogate {
    pub(super) metrics: Vec<MetricModel>,
    /// How they make the objective.
    pub(super) aggregate: Aggregate,
    pub(super) target: FidelityId,
    pub(super) dim: usize,
    pub(super) warp: Warp,
    /// How many further domains its runs have ([`Past`](crate::problem::Past)).
    pub(super) further: usize,
    /// How many fidelities there are.
    pub(super) sizes: usize,
    /// Factor on the objective's variances at each fidelity: metrics are modelled as independent, but their errors are not.
    pub(super) inflation: Vec<f64>,
    /// What metrics are compared with, if they are. The search takes its values for known; what is stated of mixtures does not.
    pub(super) reference: Option<Warped>,
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
            units: UNITS,
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
        let metrics = basis
            .series(&snapshot.scales)
            .par_iter()
            .zip(&series)
            .zip(&snapshot.hyperparameters)
            .enumerate()
            .map(|(j, ((fitted, series), z))| {
                let standardization = Standardization::new(&basis, fitted);
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
        Ok(self.with(metrics).compared())
    }

    /// The same model of other metrics.
    fn with(&self, metrics: Vec<MetricModel>) -> Self {
        let Self { aggregate, target, dim, warp, further, sizes, .. } = *self;
        let (inflation, reference) = (self.inflation.clone(), self.reference.clone());
        Self { metrics, aggregate, inflation, target, dim, warp, further, sizes, reference }
    }

    /// The model, whose metrics are compared with what it now expects of the reference, and whose errors are as large as its runs say.
    fn compared(mut self) -> Self {
        if let Some(z) = &self.reference {
            let (z, sizes) = (z.clone(), self.sizes);
            self.metrics = self.metrics.into_iter().map(|metric| metric.relative_to(&z, sizes)).collect();
        }
        self.inflation = inflation(&self.metrics, self.aggregate, self.sizes);
        self
    }

    fn assemble(task: &Task<'_>, metrics: Vec<MetricModel>) -> Result<Self, FitError> {
        if task.observations.is_empty() {
            return Err(FitError::Empty);
        }
        let dim = task.observations[0].mixture.weights().len();
        let (warp, further) = (task.spec.warp, task.dim() - dim);
        let reference = task.objective.reference.as_ref();
        let surrogate = Self {
            metrics,
            aggregate: aggregate(task.objective, task.spec.structure),
            target: task.fidelities.target(),
            dim,
            warp,
            further,
            sizes: task.fidelities.list().len(),
            inflation: vec![1.0; task.fidelities.list().len()],
            reference: reference
                .map(|reference| warp.warped_without(&columns(dim, [reference.mixture.weights()]), further)),
        };
        Ok(surrogate.compared())
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
        let z = self.warped(&columns(self.dim, pending.iter().map(|(mixture, _)| mixture.weights())));
        let at: Vec<usize> = pending.iter().map(|(_, m)| m.index()).collect();
        let metrics = self.metrics.par_iter().map(|metric| metric.believing(&z, &at)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.with(metrics))
    }

    /// Posterior means of the target objective (minimized) at the p mixtures `x`.
    #[must_use]
    pub fn mean(&self, x: &Weights) -> DVector<f64> {
        let linear = self.linear(&self.warped(x), self.target.index());
        DVector::from_iterator(linear.len(), linear.iter().map(|linear| linear.mean))
    }

    /// Posterior mean of the target objective at one mixture, with its derivative (length D).
    #[must_use]
    pub fn mean_with_gradient(&self, w: &Weights) -> (f64, Vec<f64>) {
        if self.aggregate == Aggregate::Worst {
            let Lookahead { mean, gradient: [gradient, ..], .. } = self.lookahead_with_gradient(w, self.target);
            return (mean, gradient);
        }
        let x = &self.warped(w);
        let mut total = (0.0, vec![0.0; self.dim]);
        for metric in &self.metrics {
            let (mean, gradient) = metric.mean_with_gradient(x, self.target.index());
            total.0 += metric.weight() * mean;
            total.1.iter_mut().zip(&gradient).for_each(|(t, g)| *t += metric.weight() * g);
        }
        self.unwarp(w, &mut total.1);
        total
    }

    /// Mixtures of the study as the model sees them: without any of the further domains.
    pub(super) fn warped(&self, x: &Weights) -> Warped {
        self.warp.warped_without(x, self.further)
    }

    /// The chain rule: turns a derivative with respect to the warped mixture into one with respect to its weights.
    pub(super) fn unwarp(&self, w: &Weights, gradient: &mut Vec<f64>) {
        gradient.truncate(self.dim);
        for (g, w) in gradient.iter_mut().zip(w.matrix().iter()) {
            *g *= self.warp.slope(*w);
        }
    }

    /// Joint posterior of the target objective (minimized) at the p mixtures `x`.
    #[must_use]
    pub fn posterior(&self, x: &Weights) -> (DVector<f64>, DMatrix<f64>) {
        let x = &self.warped(x);
        let p = x.len();
        let m = self.target.index();
        let mut covariance = DMatrix::zeros(p, p);
        let parts: Vec<_> = self.metrics.par_iter().map(|metric| (metric, metric.process.posterior(x, m))).collect();
        let reading = |i: usize, (metric, (mean, covariance)): &(&MetricModel, (DVector<f64>, DMatrix<f64>))| {
            metric.reading(m, mean[i], covariance[(i, i)])
        };
        let linear: Vec<Linear> =
            (0..p).map(|i| self.combined(parts.iter().map(|part| reading(i, part).value(part.1.1[(i, i)])))).collect();
        for (j, part) in parts.iter().enumerate() {
            let slope = |i: usize| linear[i].coefficients[j] * reading(i, part).slope;
            let slopes = DVector::from_iterator(p, (0..p).map(slope));
            covariance += (&slopes * slopes.transpose()).component_mul(&part.1.1) * self.inflation[m];
        }
        (DVector::from_iterator(p, linear.iter().map(|linear| linear.mean)), covariance)
    }

    /// Mean and variance of the objective (minimized) at fidelity `m` for the p mixtures `x`, including
    /// the uncertainty of its level: for reports.
    #[must_use]
    pub fn predict(&self, x: &Weights, m: FidelityId) -> Vec<(f64, f64)> {
        let x = &self.warped(x);
        if let Some(differences) = self.differences(x, m) {
            let variance = |i: usize, linear: &Linear| -> f64 {
                linear.coefficients.iter().zip(&differences).map(|(a, metric)| a * a * metric[i].variance).sum()
            };
            let at = |i: usize| {
                let linear = self.combined(differences.iter().map(|metric| metric[i]));
                (linear.mean, self.inflation[m.index()] * variance(i, &linear))
            };
            return (0..x.len()).map(at).collect();
        }
        let predicted: Vec<Vec<Predicted>> = self.metrics.iter().map(|k| k.process.predict(x, m.index())).collect();
        let at = |i: usize| {
            let of = |(k, predicted): (&MetricModel, &Vec<Predicted>)| {
                let total = predicted[i].variance + predicted[i].level_variance;
                (k.reading(m.index(), predicted[i].mean, total), total)
            };
            let readings: Vec<(Reading, f64)> = self.metrics.iter().zip(&predicted).map(of).collect();
            let linear = self.combined(readings.iter().map(|(reading, total)| reading.value(*total)));
            let (mut variance, mut level_sd) = (0.0, 0.0);
            for ((coefficient, (reading, _)), predicted) in linear.coefficients.iter().zip(&readings).zip(&predicted) {
                let slope = coefficient * reading.slope;
                variance += slope.powi(2) * predicted[i].variance * self.inflation[m.index()];
                level_sd += slope * predicted[i].level_variance.sqrt();
            }
            // What moves the level of one metric (a better recipe at that size, say) moves all of them: the levels' errors
            // add linearly.
            (linear.mean, variance + level_sd * level_sd)
        };
        (0..x.len()).map(at).collect()
    }

    /// By how much the first of the mixtures `x` is better than each of the others in the objective, noise-free and at fidelity `m`.
    #[must_use]
    pub fn gains(&self, x: &Weights, m: FidelityId) -> Vec<Gain> {
        let warped = self.warped(x);
        let linear: Vec<Linear> = match self.differences(&warped, m) {
            Some(metrics) => (0..x.len()).map(|i| self.combined(metrics.iter().map(|metric| metric[i]))).collect(),
            None => self.linear(&warped, m.index()),
        };
        let (x, m) = (self.with_reference(&warped), m.index());
        let variances = |(j, metric): (usize, &MetricModel)| {
            let readings = metric.readings(&x, m);
            let share = |i: usize| linear[i].coefficients[j];
            let mut combinations =
                differences(&(0..linear.len()).map(|i| readings[i].slope * share(i)).collect::<Vec<_>>());
            // The reference counts in each of the two values by its coefficient there.
            for (i, combination) in (1..).zip(&mut combinations) {
                combination.extend((linear.len()..x.len()).map(|r| (r, (share(0) - share(i)) * readings[r].slope)));
            }
            metric.process.combination_variances(&x, m, &combinations)
        };
        let parts: Vec<Vec<f64>> = self.metrics.par_iter().enumerate().map(variances).collect();
        let gain = |i: usize| Gain {
            mean: linear[i].mean - linear[0].mean,
            variance: self.inflation[m] * parts.iter().map(|variances| variances[i - 1]).sum::<f64>(),
        };
        (1..linear.len()).map(gain).collect()
    }

    /// The points `x`, and after them the reference if there is one.
    fn with_reference(&self, x: &Warped) -> Warped {
        self.reference.as_ref().map_or_else(|| x.clone(), |reference| x.followed_by(reference))
    }

    /// Where metrics are compared with a reference: the difference of each (the outer vector) at each of the p points `x` at fidelity
    /// `m`. What is not known of the reference is part of its variance.
    fn differences(&self, x: &Warped, m: FidelityId) -> Option<Vec<Vec<Normal>>> {
        self.reference.as_ref()?;
        let x = self.with_reference(x);
        Some(self.metrics.par_iter().map(|metric| metric.differences_to_last(&x, m.index())).collect())
    }

    /// By how much the first of the mixtures `x` is better than each of the others in each process, noise-free and at fidelity `m`: in the
    /// unit of the metric, or of the objective where that has the only process.
    #[must_use]
    pub fn metric_gains(&self, x: &Weights, m: FidelityId) -> Vec<Vec<Gain>> {
        let x = &self.warped(x);
        let gain = |(mean, variance)| Gain { mean, variance };
        let gains = |metric: &MetricModel| metric.gains(x, m.index()).into_iter().map(gain).collect();
        self.metrics.par_iter().map(gains).collect()
    }

    /// Mean and variance at fidelity `m` for the p mixtures `x` as [`Self::predict`] has them of the objective, of each process: in the
    /// unit and direction of the metric, or of the objective where that has the only process.
    #[must_use]
    pub fn predict_metrics(&self, x: &Weights, m: FidelityId) -> Vec<Vec<(f64, f64)>> {
        let x = &self.warped(x);
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
        let errors = leave_one_out(&self.metrics, self.aggregate);
        errors.iter().map(|e| (e.error, e.variance * self.inflation[e.fidelity])).collect()
    }
}
