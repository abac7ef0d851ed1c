//! What each Gaussian process is about, in units in which its priors make sense.

use nalgebra::DVector;

use super::data::Data;
use super::scale::Scale;
use super::task::Task;
use crate::problem::{Observation, Structure, columns};

/// Prior standard deviation of the level of a fidelity that has observations, in standardized units: vague.
const OBSERVED_LEVEL_SD: f64 = 3.0;

/// The values that one process models: a metric's, or the objective's.
pub(super) struct Series {
    /// Their places on the scale, oriented so that smaller is better; one per run.
    values: Vec<f64>,
    /// Variance of each place, from reported standard errors; 0 where none was reported.
    known_variance: Vec<f64>,
    /// What they are values of.
    pub unit: Unit,
}

/// How a value enters the objective: `objective = Σ weight · sign · value`, minimized.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// Scale of the modelled places.
    pub scale: Scale,
    /// 1 where small values are good, −1 where large ones are.
    pub sign: f64,
    /// Positive.
    pub weight: f64,
}

impl Series {
    /// The values, with the variances of their errors, on the scale of `unit`.
    fn new(values: impl Iterator<Item = (f64, f64)>, unit: Unit) -> Self {
        let Unit { scale, sign, .. } = unit;
        let place =
            |(value, variance): (f64, f64)| (sign * scale.place(value), scale.derivative(value).powi(2) * variance);
        let (values, known_variance) = values.map(place).unzip();
        Self { values, known_variance, unit }
    }

    /// Whether every value has a place on the scale.
    pub fn is_possible(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// How far apart its places are at one of the task's sizes, at most.
    pub fn span(&self, task: &Task<'_>) -> f64 {
        let mut ends = vec![(f64::INFINITY, f64::NEG_INFINITY); task.fidelities.list().len()];
        for (place, o) in self.values.iter().zip(task.observations) {
            let (low, high) = &mut ends[o.fidelity.index()];
            (*low, *high) = (low.min(*place), high.max(*place));
        }
        ends.into_iter().map(|(low, high)| high - low).fold(0.0, f64::max)
    }

    /// Logarithm of the density of the values of `data` where that of their standardized places is 1.
    pub fn log_jacobian(&self, standardization: &Standardization, data: &Data) -> f64 {
        let Unit { scale, sign, .. } = self.unit;
        let Standardization { level, scale: unit, .. } = standardization;
        let share = |(y, m): (&f64, &usize)| {
            let value = scale.value(sign * (level[*m] + unit * y));
            scale.derivative(value).ln() - unit.ln()
        };
        data.y.iter().zip(&data.fidelity).map(share).sum()
    }

    /// How much a place moves when its value changes by its own size.
    fn magnitude(&self, place: f64) -> f64 {
        let value = self.unit.scale.value(self.unit.sign * place);
        value.abs() * self.unit.scale.derivative(value)
    }
}

impl Task<'_> {
    /// What is modelled, in the order of the processes, each on its scale; on the values as they are where none is given.
    pub(super) fn series(&self, scales: &[Scale]) -> Vec<Series> {
        let sign = self.objective.sign();
        let metrics = &self.objective.metrics;
        let square = |se: Option<f64>| se.map_or(0.0, |se| se * se);
        let scale = |j: usize| scales.get(j).copied().unwrap_or_default();
        match self.spec.structure {
            Structure::PerMetric => metrics
                .iter()
                .enumerate()
                .map(|(j, metric)| {
                    let unit =
                        Unit { scale: scale(j), sign: sign * metric.weight.signum(), weight: metric.weight.abs() };
                    Series::new(self.observations.iter().map(|o| (o.metrics[j], square(o.se[j]))), unit)
                })
                .collect(),
            Structure::Objective => {
                let variance = |o: &Observation| self.objective.standard_error(&o.metrics, &o.se).powi(2);
                let values = self.observations.iter().map(|o| (self.objective.value(&o.metrics), variance(o)));
                vec![Series::new(values, Unit { scale: scale(0), sign, weight: 1.0 })]
            }
        }
    }

    pub(super) fn data(&self, series: &Series, standardization: &Standardization) -> Data {
        let row = |o: &Observation| -> Vec<f64> {
            o.mixture.weights().iter().map(|w| o.past.kept * w).chain(o.past.columns.iter().copied()).collect()
        };
        let rows: Vec<Vec<f64>> = self.observations.iter().map(row).collect();
        let fidelity: Vec<usize> = self.observations.iter().map(|o| o.fidelity.index()).collect();
        let Standardization { level, scale, level_sd } = standardization;
        let y = series.values.iter().zip(&fidelity).map(|(y, m)| (y - level[*m]) / scale);
        Data {
            x: self.spec.warp.warped(&columns(self.dim(), rows.iter().map(Vec::as_slice))),
            y: DVector::from_iterator(series.values.len(), y),
            known_noise: series.known_variance.iter().map(|v| v / scale.powi(2)).collect(),
            level_sd: level_sd.clone(),
            fidelity,
        }
    }
}

/// How one series is standardized: `y = (value − level[m]) / scale`.
#[derive(Clone, Debug)]
pub(super) struct Standardization {
    /// One per fidelity.
    pub level: Vec<f64>,
    /// The same for all fidelities: by how much less values vary at one than at another is fitted.
    pub scale: f64,
    /// Prior standard deviation of each fidelity's level, in standardized units.
    pub level_sd: Vec<f64>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Spreads below this are none: their squares, and what is divided by them, would not be numbers any more.
const NO_SPREAD: f64 = 1e-50;

/// Sample standard deviation; 5 % of the level stands in for it where the values do not vary (one run, say).
fn spread(series: &Series, values: &[f64]) -> f64 {
    let center = mean(values);
    let magnitude = series.magnitude(center);
    let squares: f64 = values.iter().map(|y| (y - center).powi(2)).sum();
    let spread = (squares / (values.len().max(2) - 1) as f64).sqrt();
    if spread > (1e-9 * magnitude).max(NO_SPREAD) { spread } else { (0.05 * magnitude).max(1e-6) }
}

impl Standardization {
    /// Standardizes a series: each size by its own mean, and all of them by the spread at the size with the most runs. Spreads at other
    /// sizes say nothing of their scales: the few runs there are of other mixtures, and most of them good ones, which are alike.
    pub fn new(task: &Task<'_>, series: &Series) -> Self {
        let log_sizes = task.fidelities.log_sizes();
        let mut values = vec![Vec::new(); log_sizes.len()];
        for (o, y) in task.observations.iter().zip(&series.values) {
            values[o.fidelity.index()].push(*y);
        }
        // Of sizes with equally many runs the cheapest.
        let most = values.iter().rev().max_by_key(|values| values.len());
        let scale = most.map_or(1.0, |values| spread(series, values));
        let trained = log_sizes.iter().zip(&values).filter(|(_, values)| !values.is_empty());
        let seen: Vec<(f64, f64)> = trained.map(|(size, values)| (*size, mean(values))).collect();
        let level = |(values, size): (&Vec<f64>, &f64)| {
            if values.is_empty() {
                let (guess, sd) = extrapolate(series, &seen, *size);
                (guess, (sd / scale).max(1.0))
            } else {
                (mean(values), OBSERVED_LEVEL_SD)
            }
        };
        let (level, level_sd) = values.iter().zip(&log_sizes).map(level).unzip();
        Self { level, scale, level_sd }
    }
}

/// Level at an untrained size: linear in log size through the two nearest trained ones (a power law's tangent), as
/// uncertain as the change it assumes; with one trained size, its level.
fn extrapolate(series: &Series, seen: &[(f64, f64)], at: f64) -> (f64, f64) {
    let mut nearest: Vec<_> = seen.to_vec();
    nearest.sort_by(|a, b| (a.0 - at).abs().total_cmp(&(b.0 - at).abs()));
    match nearest[..] {
        [] => (0.0, 1.0),
        [(_, y)] => (y, 0.3 * series.magnitude(y)),
        [(x0, y0), (x1, y1), ..] => {
            let change = (y0 - y1) / (x0 - x1) * (at - x0);
            (y0 + change, change.abs())
        }
    }
}
