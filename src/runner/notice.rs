//! What happens while a study runs: a line of the log, and what `launcher.on_event` is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use tracing::{Level, debug, info, warn};

use crate::problem::{Mixture, Prediction};
use crate::study::{Completed, Spent, Study, Trial, TrialId};
use crate::text::{Uncertain, number};

/// Something that happened. What is not known, or not about a trial, is `None`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Notice {
    /// When, in RFC 3339.
    pub timestamp: String,
    /// What kind of thing, one of those in docs/watching.md.
    pub event: &'static str,
    /// All of it in words.
    pub message: String,
    /// Name of the study.
    pub study: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What the study has used.
    pub spent: Spent,
    pub trial: Option<TrialId>,
    pub attempt: Option<u32>,
    pub fidelity: Option<String>,
    /// Of the trial: what it has cost once an attempt has ended, else what one usually does.
    pub cost: Option<f64>,
    /// What the trial reported.
    pub objective: Option<f64>,
    /// What was expected of the trial, or is of the recommended mixture.
    pub expected: Option<Prediction>,
    /// Seconds that the attempt ran.
    pub duration_s: Option<f64>,
    /// Why an attempt failed, a study stopped or failed.
    pub reason: Option<String>,
    /// The recommended mixture.
    pub weights: Option<BTreeMap<String, f64>>,
}

impl Notice {
    /// About the study as a whole.
    pub(super) fn study(event: &'static str, study: &Study, message: impl Into<String>) -> Self {
        let config = study.config();
        Self {
            timestamp: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            event,
            message: message.into(),
            study: config.name.clone(),
            dir: config.dir.canonicalize().unwrap_or_else(|_| config.dir.clone()),
            spent: study.spent(),
            trial: None,
            attempt: None,
            fidelity: None,
            cost: None,
            objective: None,
            expected: None,
            duration_s: None,
            reason: None,
            weights: None,
        }
    }

    /// About a trial, in words that follow its number.
    pub(super) fn trial(event: &'static str, study: &Study, id: TrialId, words: impl AsRef<str>) -> Self {
        let notice = Self::study(event, study, format!("trial {id} {}", words.as_ref()));
        let Ok(trial) = study.trial(id) else { return notice };
        let spent = study.charges().of(trial);
        Self {
            trial: Some(id),
            attempt: Some(trial.attempts),
            fidelity: Some(study.config().fidelities[trial.fidelity].name.clone()),
            cost: Some(if spent > 0.0 || trial.failure.is_some() { spent } else { study.costs()[trial.fidelity] }),
            objective: study.measured(trial),
            expected: trial.expected,
            ..notice
        }
    }

    /// That an attempt at a trial has ended, after so many seconds; in the words, size, attempt and cost follow.
    pub(super) fn ended(
        event: &'static str,
        study: &Study,
        id: TrialId,
        duration_s: Option<f64>,
        words: impl AsRef<str>,
    ) -> Self {
        let mut notice = Self::trial(event, study, id, words);
        if let Self { fidelity: Some(fidelity), attempt: Some(attempt), cost: Some(cost), .. } = &notice {
            let unit = study.cost_unit().map_or_else(String::new, |unit| format!(" {unit}"));
            notice.message += &format!("; {fidelity}, attempt {attempt}, cost {}{unit}", number(*cost, 4));
        }
        Self { duration_s, ..notice }
    }

    /// That a trial is complete.
    pub(super) fn complete(study: &Study, trial: &Trial, outcome: &Completed) -> Self {
        let value = study.measured(trial).map_or_else(|| "?".into(), |y| number(y, 4));
        let expected = trial.expected.map_or_else(String::new, |e| format!(" (expected {})", prediction(e)));
        Self::ended("trial_complete", study, trial.id, outcome.duration, format!("complete: {value}{expected}"))
    }

    /// That another mixture is recommended, with another value.
    pub(super) fn incumbent(study: &Study, mixture: &Mixture, expected: Prediction) -> Self {
        let message = format!("the recommendation changed: {} expected at the target", prediction(expected));
        let notice = Self::study("incumbent_changed", study, message);
        Self { expected: Some(expected), weights: Some(study.named(mixture)), ..notice }
    }

    /// Adds why.
    pub(super) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// Writes it to the log.
    pub(super) fn log(&self) {
        let Self { event, message, study, trial, attempt, fidelity, cost, objective, duration_s, reason, .. } = self;
        macro_rules! log {
            ($level:ident) => {
                $level!(event, study, trial, attempt, fidelity, cost, objective, duration_s, reason, "{message}")
            };
        }
        match *event {
            "trial_suggested" => log!(debug),
            "trial_failed" | "trial_retried" | "trial_not_started" => log!(warn),
            _ => log!(info),
        }
    }
}

/// Something that only the log is told.
#[derive(Debug)]
pub(super) struct Remark {
    pub level: Level,
    pub trial: Option<TrialId>,
    pub text: String,
}

impl Remark {
    /// Writes it to the log.
    pub(super) fn log(&self, study: &str) {
        let Self { level, trial, text } = self;
        match *level {
            Level::WARN => warn!(study, trial, "{text}"),
            Level::INFO => info!(study, trial, "{text}"),
            _ => debug!(study, trial, "{text}"),
        }
    }
}

fn prediction(expected: Prediction) -> String {
    Uncertain { mean: expected.mean, sd: expected.sd }.to_string()
}
