//! Asking the optimizer, reproducibly.

use crate::optimizer::{Candidates, NoTrial, Optimizer, Recommendation, Suggestion};
use crate::problem::{Evidence, FidelityId, stream};
use crate::study::{Study, TrialId};

/// An answer, with the optimizer that gave it.
pub struct Thought {
    /// The optimizer, which may have fitted its model anew.
    pub optimizer: Optimizer,
    /// The next trial.
    pub suggestion: Result<Suggestion, NoTrial>,
    /// The mixture to train at the target, as far as is known.
    pub recommendation: Recommendation,
    /// The fidelities that it could choose from.
    pub offered: Vec<FidelityId>,
}

/// The optimizer of a study, with its journalled hyperparameters.
#[must_use]
pub fn optimizer(study: &Study) -> Optimizer {
    let config = study.config();
    let (space, fidelities) = (config.space.clone(), config.fidelities.clone());
    let mut optimizer = Optimizer::new(space, fidelities, config.objective.clone(), config.optimizer.clone());
    if let Some(snapshot) = study.model() {
        optimizer.restore(snapshot.clone());
    }
    optimizer
}

/// The stream of recommendations; that of a trial is its number.
const RECOMMENDATION: u64 = 0;

/// The trial with number `next`.
///
/// # Errors
/// [`NoTrial`]
pub fn suggest(
    optimizer: &mut Optimizer,
    evidence: &Evidence,
    fidelities: &[FidelityId],
    seed: u64,
    next: TrialId,
) -> Result<Suggestion, NoTrial> {
    optimizer.suggest(evidence, Candidates::Space(fidelities), &mut stream(seed, next))
}

/// The mixture to train at the target, as far as the study knows.
#[must_use]
pub fn recommend(study: &Study) -> Recommendation {
    optimizer(study).recommend(&study.evidence(), None, &mut stream(study.config().seed, RECOMMENDATION))
}

/// The next trial, of number `next`, among the fidelities `offered`, and the recommendation from the same evidence.
#[must_use]
pub fn think(
    mut optimizer: Optimizer,
    evidence: &Evidence,
    offered: Vec<FidelityId>,
    seed: u64,
    next: TrialId,
) -> Thought {
    let suggestion = suggest(&mut optimizer, evidence, &offered, seed, next);
    let recommendation = optimizer.recommend(evidence, None, &mut stream(seed, RECOMMENDATION));
    Thought { optimizer, suggestion, recommendation, offered }
}
