//! Logged runs as what a study can learn from.

use std::collections::BTreeMap;

use crate::config::StudyConfig;
use crate::problem::FidelityId;
use crate::runs::{LogError, LoggedRun, RunLog};
use crate::study::{Drawn, Imported};
use crate::text::hint;

/// A weight that is no more than this is what rounding leaves of none.
const NO_WEIGHT: f64 = 1e-9;

/// The runs of a log that fit a study.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// As [`crate::study::OpenStudy::import`] takes them.
    pub runs: Vec<Imported>,
    /// How many do not fit, by reason.
    pub dropped: BTreeMap<String, usize>,
}

/// Matches logged runs to a config by the names of domains, fidelities and metrics. A domain that the log does not have got
/// no weight.
///
/// # Errors
/// A metric of the objective that the log does not have, or no run that fits.
pub fn evidence(log: &RunLog, config: &StudyConfig) -> Result<Evidence, LogError> {
    let wrong = |message| LogError::Header { file: log.files.first().cloned().unwrap_or_default(), message };
    let known = || log.metrics.iter().map(String::as_str);
    if let Some(metric) = config.objective.metrics.iter().find(|metric| known().all(|name| name != metric.name)) {
        let (name, hint) = (&metric.name, hint(&metric.name, known()));
        return Err(wrong(format!("metric \"{name}\" of the objective is not in it; {hint} (--map y:{name}=COLUMN)")));
    }
    let mut evidence = Evidence { runs: vec![], dropped: BTreeMap::new() };
    let mut sources: Vec<&LoggedRun> = log.runs.iter().collect();
    // Rows of one training run have the name of its last one.
    for curve in log.curves() {
        curve.iter().for_each(|row| sources[*row] = &log.runs[curve[curve.len() - 1]]);
    }
    for (run, source) in log.runs.iter().zip(sources) {
        match fitted(log, (run, source), config) {
            Ok(run) => evidence.runs.push(run),
            Err(reason) => *evidence.dropped.entry(reason).or_default() += 1,
        }
    }
    if evidence.runs.is_empty() {
        let reasons: Vec<String> = evidence.dropped.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        return Err(wrong(format!("no run fits the config: {}", reasons.join("; "))));
    }
    Ok(evidence)
}

/// A run in the study's words, with the row that it is known by; or why it has no place there.
fn fitted(log: &RunLog, (run, known_by): (&LoggedRun, &LoggedRun), config: &StudyConfig) -> Result<Imported, String> {
    let (fidelity, tokens) = place(run, config)?;
    // A run that came to its end is known by itself.
    let known_by = if tokens.is_some() { known_by } else { run };
    let (ours, others): (Vec<_>, Vec<_>) =
        log.domains.iter().zip(&run.weights).partition(|(name, _)| config.space.index(name).is_some());
    if let Some((name, _)) = others.iter().find(|(_, weight)| **weight > NO_WEIGHT) {
        let advice = "a domain of this name with max = 0 would let the study learn from them";
        return Err(format!("with weight on \"{name}\", which is no domain of the config ({advice})"));
    }
    let mixture = config.space.mixture(ours.into_iter().map(|(name, weight)| (name, *weight)));
    let mixture = mixture.map_err(|e| format!("whose weights are no mixture: {e}"))?;
    let metrics: BTreeMap<String, f64> =
        log.metrics.iter().cloned().zip(run.metrics.iter().copied()).filter(|(_, y)| y.is_finite()).collect();
    if config.objective.metrics.iter().any(|metric| !metrics.contains_key(&metric.name)) {
        return Err("without a finite value for every metric of the objective".into());
    }
    let file = log.files[run.file].file_name().unwrap_or_default().to_string_lossy();
    Ok(Imported {
        source: format!("{file}, run {}", known_by.id),
        fidelity: config.fidelities[fidelity].name.clone(),
        weights: config.space.named(&mixture).map(|(name, weight)| (name.to_owned(), weight)).collect(),
        metrics,
        se: BTreeMap::new(),
        past: Drawn::default(),
        tokens,
    })
}

/// The fidelity of a run, and where it is on its way there the tokens that it has trained on; or why it has none.
fn place(run: &LoggedRun, config: &StudyConfig) -> Result<(FidelityId, Option<f64>), String> {
    let named = run.fidelity_in(&config.fidelities);
    let named = named.ok_or_else(|| format!("at \"{}\", which is no fidelity of the config", run.fidelity));
    let fitting = named.and_then(|m| run.misfit(&config.fidelities[m]).map_or(Ok((m, None)), Err));
    let on_the_way = || run.on_the_way_to(&config.fidelities).map(|m| (m, run.tokens));
    fitting.or_else(|misfit| on_the_way().ok_or(misfit))
}
