//! Logged runs as what a study can learn from.

use std::collections::BTreeMap;

use crate::config::StudyConfig;
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
    for run in &log.runs {
        match fitted(log, run, config) {
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

/// A run in the study's words, or why it has no place there.
fn fitted(log: &RunLog, run: &LoggedRun, config: &StudyConfig) -> Result<Imported, String> {
    let Some(fidelity) = run.fidelity_in(&config.fidelities) else {
        return Err(format!("at \"{}\", which is no fidelity of the config", run.fidelity));
    };
    if let Some(reason) = run.misfit(&config.fidelities[fidelity]) {
        return Err(reason);
    }
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
        source: format!("{file}, run {}", run.id),
        fidelity: config.fidelities[fidelity].name.clone(),
        weights: config.space.named(&mixture).map(|(name, weight)| (name.to_owned(), weight)).collect(),
        metrics,
        se: BTreeMap::new(),
        past: Drawn::default(),
    })
}
