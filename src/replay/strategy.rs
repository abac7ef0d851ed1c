//! The strategies that a replay compares.

use crate::problem::{AcquisitionKind, FidelityId, OptimizerSettings};
use std::fmt;
use std::str::FromStr;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::error::ReplayError;
use super::hyperband::Hyperband;
use super::mixing_law::MixingLaws;
use super::policy::{Advice, Policy};
use super::pool::Pool;
use super::purse::Purse;
use super::regression::BoostedTrees;
use super::searching::Searching;
use crate::text::hint;

/// Who spends the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
    /// The configured multi-fidelity optimizer: what `optimize` would do.
    Admire,
    /// The same surrogate with expected improvement, which buys and sees runs at the target only.
    SingleFidelity,
    /// Target runs in random order; recommends the best one seen.
    Random,
    /// RegMix: boosted trees per metric on the cheapest runs in random order; recommends the predicted best.
    Regression,
    /// Asynchronous successive halving: candidates begin at the cheapest fidelity, and the best third goes on to dearer ones.
    Hyperband,
    /// Data mixing laws: one log-linear law per metric on the cheapest runs in random order; recommends the predicted best.
    LogLinear,
}

impl Strategy {
    /// Every strategy, in the order of tables and pictures.
    pub const ALL: [Self; 6] =
        [Self::Admire, Self::SingleFidelity, Self::Random, Self::Regression, Self::Hyperband, Self::LogLinear];

    /// Name on the command line and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admire => "admire",
            Self::SingleFidelity => "single-fidelity",
            Self::Random => "random",
            Self::Regression => "regression",
            Self::Hyperband => "hyperband",
            Self::LogLinear => "log-linear",
        }
    }

    /// The player of this strategy, of `admire` with the limit `budget.gain`; `rng` draws what it decides beforehand.
    pub(super) fn player<'a>(
        self,
        pool: &'a Pool,
        settings: &OptimizerSettings,
        gain: Option<f64>,
        rng: &mut ChaCha8Rng,
    ) -> Box<dyn Policy + 'a> {
        let target = pool.fidelities.target();
        match self {
            Self::Admire => Box::new(Searching::new(pool, settings.clone(), settings.target_only, gain)),
            Self::SingleFidelity => {
                let acquisition = AcquisitionKind::ExpectedImprovement;
                let settings = OptimizerSettings { target_only: true, acquisition, ..settings.clone() };
                Box::new(Searching::new(pool, settings, true, None))
            }
            Self::Random => Box::new(RandomTarget { pool, order: shuffled(pool, target, rng), best: None }),
            Self::Regression => {
                Box::new(Regression::new(pool, |runs| Some(BoostedTrees::fit(pool, runs)?.predict(pool)), rng))
            }
            Self::Hyperband => Box::new(Hyperband::new(pool, rng)),
            Self::LogLinear => {
                Box::new(Regression::new(pool, |runs| Some(MixingLaws::fit(pool, runs)?.predict(pool)), rng))
            }
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Strategy {
    type Err = ReplayError;

    fn from_str(name: &str) -> Result<Self, ReplayError> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or_else(|| ReplayError::UnknownStrategy {
            name: name.to_owned(),
            hint: hint(name, Self::ALL.map(Self::name)),
        })
    }
}

/// Indices of the pool's runs at one fidelity, in random order, to be popped from the end.
fn shuffled(pool: &Pool, fidelity: FidelityId, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pool.runs.len()).filter(|i| pool.runs[*i].fidelity == fidelity).collect();
    order.shuffle(rng);
    order
}

/// Takes the first affordable run off the end of a shuffled order.
fn next_affordable(order: &mut Vec<usize>, purse: &Purse<'_>) -> Option<usize> {
    let at = order.iter().rposition(|run| purse.price(*run).is_some())?;
    Some(order.remove(at))
}

struct RandomTarget<'a> {
    pool: &'a Pool,
    order: Vec<usize>,
    /// Candidate with the smallest loss seen.
    best: Option<usize>,
}

impl Policy for RandomTarget<'_> {
    fn buy(&mut self, purse: &Purse<'_>, _: &mut ChaCha8Rng) -> Option<usize> {
        next_affordable(&mut self.order, purse)
    }

    fn see(&mut self, run: usize) {
        let loss = |candidate: usize| self.pool.runs[self.pool.candidates[candidate]].loss;
        if let Some(new) = self.pool.candidates.iter().position(|candidate| *candidate == run)
            && self.best.is_none_or(|best| loss(new) < loss(best))
        {
            self.best = Some(new);
        }
    }

    fn recommend(&mut self, _: &mut ChaCha8Rng) -> Advice {
        Advice::without_opinion(self.best.unwrap_or(0))
    }
}

/// A regression on the cheapest runs.
struct Regression<F> {
    /// Predicted loss of each candidate from these runs (indices into [`Pool::runs`]); `None` where they are too few.
    predict: F,
    order: Vec<usize>,
    /// Candidates by preference where predictions tie (as those of trees all do before there are enough runs for a split):
    /// otherwise the order of the file would decide.
    tie_break: Vec<usize>,
    bought: Vec<usize>,
    fitted_on: usize,
    recommended: Option<usize>,
}

impl<F: Fn(&[usize]) -> Option<Vec<f64>>> Regression<F> {
    fn new(pool: &Pool, predict: F, rng: &mut ChaCha8Rng) -> Self {
        let mut tie_break: Vec<usize> = (0..pool.candidates.len()).collect();
        tie_break.shuffle(rng);
        let order = shuffled(pool, FidelityId::new(0), rng);
        Self { predict, order, tie_break, bought: Vec::new(), fitted_on: 0, recommended: None }
    }
}

impl<F: Fn(&[usize]) -> Option<Vec<f64>>> Policy for Regression<F> {
    fn buy(&mut self, purse: &Purse<'_>, _: &mut ChaCha8Rng) -> Option<usize> {
        next_affordable(&mut self.order, purse)
    }

    fn see(&mut self, run: usize) {
        self.bought.push(run);
    }

    fn recommend(&mut self, _: &mut ChaCha8Rng) -> Advice {
        // A fifth more runs hardly changes a fit; after the last run there is one in any case.
        let grown = self.bought.len() as f64 >= 1.2 * self.fitted_on as f64;
        if grown || self.order.is_empty() {
            self.fitted_on = self.bought.len();
            if let Some(loss) = (self.predict)(&self.bought) {
                self.recommended = self.tie_break.iter().copied().min_by(|a, b| loss[*a].total_cmp(&loss[*b]));
            }
        }
        Advice::without_opinion(self.recommended.unwrap_or(self.tie_break[0]))
    }
}
