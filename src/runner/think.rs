//! Asking the optimizer, reproducibly.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::optimizer::{Candidates, Evidence, NoTrial, Optimizer, Recommendation, Suggestion};
use crate::study::{Study, TrialId};

/// An answer, with the optimizer that gave it.
pub(super) struct Thought {
    pub optimizer: Optimizer,
    pub suggestion: Result<Suggestion, NoTrial>,
    pub recommendation: Recommendation,
    /// The fidelities that it could choose from.
    pub offered: Vec<usize>,
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

/// The stream of trial number `next`; stream 0 belongs to recommendations. What is drawn for one trial so never depends
/// on how often anything was asked before.
fn rng(seed: u64, next: TrialId) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(next);
    rng
}

/// The trial with number `next`.
///
/// # Errors
/// [`NoTrial`]
pub fn suggest(
    optimizer: &mut Optimizer,
    evidence: &Evidence,
    fidelities: &[usize],
    seed: u64,
    next: TrialId,
) -> Result<Suggestion, NoTrial> {
    optimizer.suggest(evidence, Candidates::Space(fidelities), &mut rng(seed, next))
}

/// The mixture to train at the target, as far as the study knows.
#[must_use]
pub fn recommend(study: &Study) -> Recommendation {
    optimizer(study).recommend(&study.evidence(), None, &mut rng(study.config().seed, 0))
}

pub(super) fn think(
    mut optimizer: Optimizer,
    evidence: &Evidence,
    offered: Vec<usize>,
    seed: u64,
    next: TrialId,
) -> Thought {
    let suggestion = suggest(&mut optimizer, evidence, &offered, seed, next);
    let recommendation = optimizer.recommend(evidence, None, &mut rng(seed, 0));
    Thought { optimizer, suggestion, recommendation, offered }
}
