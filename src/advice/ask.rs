//! Asking the optimizer, reproducibly.

use crate::optimizer::{
    Alternative, Candidates, ModelSnapshot, NoTrial, Optimizer, Outlook, Recommendation, Suggestion,
};
use serde_json::Value;
use tracing::warn;

use crate::problem::{Evidence, FidelityId, Mixture, OnTheWay, Prediction, stream};
use crate::study::{Event, Study, TrialId};

/// An answer, with the optimizer that gave it.
#[derive(Debug)]
pub struct Thought {
    /// The optimizer, which may have fitted its model anew.
    pub optimizer: Optimizer,
    /// The next trial.
    pub suggestion: Result<Suggestion, NoTrial>,
    /// What there is to say of the trial that is to be continued in its place, if any is.
    pub continued: Option<Outlook>,
    /// The mixture to train at the target, as far as is known.
    pub recommendation: Recommendation,
    /// The fidelities that it could choose from.
    pub offered: Vec<FidelityId>,
}

/// The optimizer of a study, with its journalled hyperparameters; they are fitted anew for a what-if with another objective.
#[must_use]
pub fn optimizer(study: &Study) -> Optimizer {
    let config = study.config();
    let (space, fidelities) = (config.space.clone(), config.fidelities.clone());
    let optimizer = Optimizer::new(space, fidelities, config.objective.clone(), config.optimizer.clone());
    let mut optimizer = optimizer.with_guards(config.guards.clone()).with_repetition(config.repetition());
    if let Some(model) = study.model() {
        match serde_json::from_value::<ModelSnapshot>(Value::Object(model.snapshot.clone())) {
            // Fitted by an earlier version, in other units.
            Ok(snapshot) if !snapshot.is_current() => optimizer.learn(&study.evidence()),
            Ok(snapshot) if snapshot.is_possible() => {
                // Earlier versions journalled a fit before anything else happened, so that it was to the runs known then.
                let runs = if snapshot.runs.is_empty() { model.runs.clone() } else { snapshot.runs };
                optimizer.restore(ModelSnapshot { runs, ..snapshot });
            }
            Ok(_) => warn!("the journalled hyperparameters are impossible, so they are fitted anew"),
            Err(why) => warn!("the journalled hyperparameters cannot be read ({why}), so they are fitted anew"),
        }
    } else if !study.what_ifs().is_empty() {
        optimizer.learn(&study.evidence());
    }
    optimizer
}

/// The event that journals the optimizer's hyperparameters, where they are not those of the journal.
#[must_use]
pub fn fitted(study: &Study, optimizer: &Optimizer) -> Option<Event> {
    let Ok(Value::Object(snapshot)) = serde_json::to_value(optimizer.snapshot()?) else { return None };
    study.model().is_none_or(|model| model.snapshot != snapshot).then_some(Event::Model(snapshot))
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

/// What is expected of a trial that the user has decided on, by the journalled model; `None` before there is one.
#[must_use]
pub fn expected(study: &Study, optimizer: &Optimizer, mixture: &Mixture, fidelity: FidelityId) -> Option<Prediction> {
    study.model()?;
    optimizer.predict(&study.evidence(), &[(mixture.clone(), fidelity)])?.first().copied()
}

/// The mixture to train at the target, as far as the study knows, by its [`optimizer`]: who asks it more than once has one model.
#[must_use]
pub fn recommend(study: &Study, optimizer: &Optimizer) -> Recommendation {
    optimizer.recommend(&study.evidence(), None, &mut stream(study.config().seed, RECOMMENDATION))
}

/// Up to `count` mixtures that are within a run's noise of `mixture`, and different from it ([`Optimizer::alternatives`]).
#[must_use]
pub fn alternatives(study: &Study, optimizer: &Optimizer, mixture: &Mixture, count: usize) -> Option<Vec<Alternative>> {
    let rng = &mut stream(study.config().seed, RECOMMENDATION);
    optimizer.alternatives(&study.evidence(), mixture, count, rng)
}

/// Whether a running trial is to be ended, with the optimizer that was asked.
#[derive(Debug)]
pub struct Weighed {
    /// The optimizer, as it was.
    pub optimizer: Optimizer,
    /// What there is to say of the trial that is to be ended.
    pub hopeless: Option<Outlook>,
}

/// Whether one of the `running` trials is to be ended, when the next trial would have the number `next`, at one of the fidelities `offered`.
#[must_use]
pub fn weigh(
    optimizer: Optimizer,
    evidence: &Evidence,
    running: &[OnTheWay],
    offered: &[FidelityId],
    (seed, next): (u64, TrialId),
) -> Weighed {
    let hopeless = optimizer.hopeless(evidence, running, offered, &mut stream(seed, next));
    Weighed { optimizer, hopeless }
}

/// The next trial, of number `next`, among the fidelities `offered`, or one of the `stopped` trials that is continued in its place; and
/// the recommendation from the same evidence.
#[must_use]
pub fn think(
    mut optimizer: Optimizer,
    evidence: &Evidence,
    offered: Vec<FidelityId>,
    stopped: &[OnTheWay],
    (seed, next): (u64, TrialId),
) -> Thought {
    let suggestion = suggest(&mut optimizer, evidence, &offered, seed, next);
    let recommendation = optimizer.recommend(evidence, None, &mut stream(seed, RECOMMENDATION));
    let gain = suggestion.as_ref().ok().and_then(|suggestion| suggestion.gain).filter(|_| !stopped.is_empty());
    let continued = gain.and_then(|gain| optimizer.continued(evidence, stopped, gain, &mut stream(seed, next)));
    Thought { optimizer, suggestion, continued, recommendation, offered }
}
