//! Fits of all metrics, and the scales on which they are fitted.

use rayon::prelude::*;

use super::error::FitError;
use super::fit::fit;
use super::metric::MetricModel;
use super::process::Process;
use super::scale::Scale;
use super::standardize::{Series, Standardization};
use super::task::{MOST_KNOWN, Task};

/// L-BFGS iterations from a fresh start.
pub(super) const FRESH_ITERATIONS: u64 = 40;
/// L-BFGS iterations from the hyperparameters of one scale to those of another, which are in the same, standardized units.
const SCALE_ITERATIONS: u64 = 12;
/// Runs that hyperparameters are fitted to, at most: they hardly change with more, and a fit costs the cube.
const MOST_FITTED: usize = 256;
/// By how much the log evidence of another scale must be larger for it to be taken: what Kass & Raftery (1995) call positive. More
/// would favour a metric's own scale, on which a skewed metric does harm, while a loss that varies little is alike on all of them;
/// less would change scales back and forth.
const POSITIVE: f64 = 1.0;

/// How far apart places on another scale must be for it to be tried, the logarithm of five: values, or odds, that span less at one size
/// have nearly the same shape on all scales, and differ in what they say of noise and of sizes. There the many cheap runs would decide,
/// and the target would pay for it. Chosen between logged losses, which span a factor of up to four and were misled by a logarithm, and
/// mean perplexities that span one of eight and need it (docs/measured.md).
const WIDE: f64 = 1.609_437_912_434_100_3;

/// One metric, fitted.
pub(super) struct Fitted {
    pub model: MetricModel,
    /// On their unconstrained scale.
    pub hyperparameters: Vec<f64>,
    /// Log density of the metric's values, hyperparameters included, at its maximum.
    evidence: f64,
}

/// Fits every series from these starts with at most so many iterations; from the prior's mode where that cannot be done.
pub(super) fn fit_all(
    task: &Task<'_>,
    series: &[Series],
    start: impl Fn(usize) -> (Vec<Vec<f64>>, u64) + Sync,
) -> Result<Vec<Fitted>, FitError> {
    let layout = task.layout();
    series
        .par_iter()
        .enumerate()
        .map(|(j, series)| {
            let standardization = Standardization::new(task, series);
            let all = task.data(series, &standardization);
            let data = all.thinned(MOST_FITTED);
            let (starts, iterations) = start(j);
            let (hyperparameters, value) = fit(&data, &layout, &starts, iterations)
                .or_else(|_| fit(&data, &layout, &[layout.start()], FRESH_ITERATIONS))?;
            let evidence = series.log_jacobian(&standardization, &data) - value;
            let data = all.thinned(MOST_KNOWN).into_owned();
            let process = Process::condition(&data, &layout, &hyperparameters)?;
            Ok(Fitted { model: MetricModel::new(series, standardization, data, process), hyperparameters, evidence })
        })
        .collect()
}

/// The scales of the metrics that the evidence prefers to `scales`, on which they were `fitted`; `None` where there is none.
pub(super) fn better_scales(task: &Task<'_>, fitted: &[Fitted], scales: &[Scale]) -> Option<Vec<Scale>> {
    let mut best: Vec<(f64, Scale)> =
        fitted.iter().zip(scales).map(|(fitted, scale)| (fitted.evidence + POSITIVE, *scale)).collect();
    for other in Scale::ALL {
        let sensible =
            |series: &Series| series.is_possible() && (other == Scale::Identity || series.span(task) >= WIDE);
        let possible = task.series(&vec![other; scales.len()]).iter().map(sensible).collect::<Vec<_>>();
        let tried: Vec<Scale> =
            scales.iter().zip(possible).map(|(scale, possible)| if possible { other } else { *scale }).collect();
        if tried == scales {
            continue;
        }
        let start = |j: usize| (vec![fitted[j].hyperparameters.clone()], SCALE_ITERATIONS);
        let Ok(others) = fit_all(task, &task.series(&tried), start) else { continue };
        for (best, (other, scale)) in best.iter_mut().zip(others.iter().zip(tried)) {
            if other.evidence > best.0 && scale != best.1 {
                *best = (other.evidence, scale);
            }
        }
    }
    let best: Vec<Scale> = best.into_iter().map(|(_, scale)| scale).collect();
    (best != scales).then_some(best)
}
