//! What is told about an attempt, from what the study knows of its trial.

use std::path::Path;

use crate::launcher::{Facts, command};
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
        | TrialState::Withdrawn
        | TrialState::Cancelled => (trial.attempts.max(1), None),
    };
    Facts {
        weights: study.named(&trial.mixture),
        fidelity: fidelity.name.clone(),
        params: fidelity.params,
        tokens: fidelity.tokens,
        seed: trial.seed,
        trial: trial.id,
        dir: root.join("trials").join(format!("{:04}", trial.id)),
        attempt,
        result: result.unwrap_or_else(|| command::result_name(attempt)),
    }
}
