//! What a strategy does: it buys runs, sees them, and recommends one.

use rand_chacha::ChaCha8Rng;

use super::pool::Run;
use super::purse::Purse;
use crate::problem::Prediction;

/// What a strategy would train at the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advice {
    /// Index into [`Pool::candidates`].
    pub candidate: usize,
    /// By how much the strategy expects it to fall short of the best candidate, in the objective's unit; `None` from
    /// strategies that have no opinion.
    pub expected_regret: Option<f64>,
}

impl Advice {
    pub(super) fn without_opinion(candidate: usize) -> Self {
        Self { candidate, expected_regret: None }
    }
}

/// One strategy at work on one pool. It learns a run's metrics through [`Policy::see`] and in no other way.
pub(super) trait Policy {
    /// The next run to buy among those that [have a price](Purse::price): index into [`Pool::runs`]; `None` when there is nothing it
    /// wants or can pay, or it waits for what is under way.
    fn buy(&mut self, purse: &Purse<'_>, rng: &mut ChaCha8Rng) -> Option<usize>;

    /// Takes in a run that was bought: it has finished.
    fn see(&mut self, run: usize);

    /// What to train at the target now.
    fn recommend(&mut self, rng: &mut ChaCha8Rng) -> Advice;

    /// Whether it wants nothing more because nothing is worth its cost.
    fn stopped(&self) -> bool {
        false
    }

    /// Predictions of held-out target runs, in the user's orientation, from strategies that have a model of them.
    fn predict(&self, runs: &[Run]) -> Option<Vec<Prediction>> {
        let _ = runs;
        None
    }
}
