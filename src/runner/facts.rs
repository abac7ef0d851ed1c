//! What is told about an attempt, from what the study knows of its trial.

use std::path::Path;

use crate::config::StudyConfig;
use crate::launcher::{Facts, Repetition, command};
use crate::study::{Study, Trial, TrialState};

/// The facts about the latest attempt at `trial`, or about the next one where it is pending. Its files are in
/// `root/trials/0007`.
#[must_use]
pub fn facts(study: &Study, trial: &Trial, root: &Path) -> Facts {
    let fidelity = &study.config().fidelities[trial.fidelity];
    let (attempt, result) = match &trial.state {
        TrialState::Running { result, .. } => (trial.attempts, Some(result.clone())),
        TrialState::Pending => (trial.attempts.saturating_add(1), None),
        TrialState::Complete(_)
        | TrialState::Failed { .. }
        | TrialState::Diverged
        | TrialState::Stopped(_)
        | TrialState::Withdrawn
        | TrialState::Cancelled => (trial.attempts.max(1), None),
    };
    Facts {
        weights: study.named(&trial.mixture),
        fidelity: fidelity.name.clone(),
        params: fidelity.params,
        tokens: fidelity.tokens,
        repetition: repetition(study.config(), trial),
        continue_from: trial.continued.as_ref().and_then(|_| Some((trial.stopped_at * fidelity.tokens?).round())),
        seed: trial.seed,
        trial: trial.id,
        dir: root.join("trials").join(format!("{:04}", trial.id)),
        attempt,
        result: result.unwrap_or_else(|| command::result_name(attempt)),
    }
}

/// What makes a trial repeat data as the target run does, if the config asks for it.
#[must_use]
pub fn repetition(config: &StudyConfig, trial: &Trial) -> Option<Repetition> {
    let named = |values: Vec<Option<f64>>| {
        let names = config.space.domains().iter().map(|domain| domain.name.clone());
        names.zip(values).filter_map(|(name, value)| Some((name, value?))).collect()
    };
    config.match_repetition.then(|| Repetition {
        epochs: named(config.epochs(&trial.mixture, trial.fidelity)),
        unique_tokens: named(config.unique_tokens(trial.fidelity)),
    })
}
