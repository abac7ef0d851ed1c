//! The strategies that a replay compares.

use crate::problem::{
    AcquisitionKind, Evidence, FidelityId, Goal, Mixture, Observation, OptimizerSettings, Past, Prediction, RunId,
};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::error::ReplayError;
use super::hyperband::Hyperband;
use super::pool::{Pool, Run};
use super::purse::Purse;
use super::regression::BoostedTrees;
use crate::optimizer::{Candidates, Offer, Optimizer, policy::stopping::reached};
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
    /// Asynchronous successive halving: many runs begin at the cheapest fidelity, the best third of each goes on to the next.
    Hyperband,
}

impl Strategy {
    /// Every strategy, in the order of tables and pictures.
    pub const ALL: [Self; 5] = [Self::Admire, Self::SingleFidelity, Self::Random, Self::Regression, Self::Hyperband];

    /// Name on the command line and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admire => "admire",
            Self::SingleFidelity => "single-fidelity",
            Self::Random => "random",
            Self::Regression => "regression",
            Self::Hyperband => "hyperband",
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
                let mut tie_break: Vec<usize> = (0..pool.candidates.len()).collect();
                tie_break.shuffle(rng);
                let order = shuffled(pool, FidelityId::new(0), rng);
                Box::new(Regression { pool, order, tie_break, bought: Vec::new(), fitted_on: 0, recommended: None })
            }
            Self::Hyperband => Box::new(Hyperband::new(pool, rng)),
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

/// The optimizer, offered the pool.
struct Searching<'a> {
    pool: &'a Pool,
    optimizer: Optimizer,
    evidence: Evidence,
    /// Whether it buys and sees target runs only.
    target_only: bool,
    /// What may still be offered, in the order of the pool.
    open: Vec<usize>,
    /// What was bought and has finished, in this order: of each training run the last row.
    finished: Vec<usize>,
    candidates: Vec<Mixture>,
    /// `budget.gain`, and whether it has stopped the search.
    gain: Option<f64>,
    stopped: bool,
}

impl<'a> Searching<'a> {
    fn new(pool: &'a Pool, settings: OptimizerSettings, target_only: bool, gain: Option<f64>) -> Self {
        let target = pool.fidelities.target();
        // A logged run is what is recommended and scored, with its noise.
        let settings = OptimizerSettings { goal: Goal::Run, ..settings };
        let optimizer = Optimizer::new(pool.space.clone(), pool.fidelities.clone(), pool.objective.clone(), settings);
        Self {
            pool,
            optimizer: optimizer.with_guards(pool.guards.clone()).with_curves(!target_only && pool.has_curves()),
            evidence: Evidence { costs: pool.costs(), ..Evidence::default() },
            target_only,
            open: (0..pool.runs.len()).filter(|i| !target_only || pool.runs[*i].fidelity == target).collect(),
            finished: Vec::new(),
            candidates: pool.candidates.iter().map(|i| pool.runs[*i].mixture.clone()).collect(),
            gain,
            stopped: false,
        }
    }

    fn observation(&self, run: usize) -> Observation {
        let Run { mixture, fidelity, metrics, .. } = &self.pool.runs[run];
        Observation {
            run: RunId::Trial(run as u64),
            mixture: mixture.clone(),
            fidelity: *fidelity,
            metrics: metrics.clone(),
            se: vec![None; metrics.len()],
            past: Past::default(),
        }
    }

    /// The rows on the way to those that were bought: what a training run reported before.
    fn on_the_way(&self) -> Vec<usize> {
        let ends: BTreeMap<usize, f64> =
            self.finished.iter().map(|run| (self.pool.runs[*run].training, self.pool.runs[*run].cost)).collect();
        let before = |run: &Run| !self.target_only && ends.get(&run.training).is_some_and(|end| run.cost < *end);
        (0..self.pool.runs.len()).filter(|run| before(&self.pool.runs[*run])).collect()
    }
}

impl Policy for Searching<'_> {
    fn buy(&mut self, purse: &Purse<'_>, rng: &mut ChaCha8Rng) -> Option<usize> {
        if self.stopped {
            return None;
        }
        let offer = |run: &usize| {
            let Run { mixture, fidelity, .. } = &self.pool.runs[*run];
            Some((*run, Offer { mixture, fidelity: *fidelity, cost: purse.price(*run)? }))
        };
        let (rows, offers): (Vec<usize>, Vec<Offer>) = self.open.iter().filter_map(offer).unzip();
        let pool = Candidates::Pool { runs: &offers, targets: &self.candidates };
        let suggestion = self.optimizer.suggest(&self.evidence, pool, rng).ok()?;
        self.stopped = reached(self.gain, suggestion.gain);
        if self.stopped || suggestion.premature {
            return None;
        }
        let run = rows.get(suggestion.pool_index?).copied()?;
        self.evidence.pending.push((suggestion.mixture, suggestion.fidelity));
        Some(run)
    }

    fn see(&mut self, run: usize) {
        let Run { mixture, fidelity, training, .. } = &self.pool.runs[run];
        let pending = &mut self.evidence.pending;
        if let Some(i) = pending.iter().position(|(other, m)| m == fidelity && other == mixture) {
            pending.remove(i);
        }
        self.finished.retain(|other| self.pool.runs[*other].training != *training);
        self.finished.push(run);
        // A training run counts where it has come to; what it reported on its way there cost nothing more.
        let given = self.on_the_way();
        self.evidence.given = given.len();
        self.evidence.observations =
            given.into_iter().chain(self.finished.iter().copied()).map(|run| self.observation(run)).collect();
    }

    fn recommend(&mut self, rng: &mut ChaCha8Rng) -> Advice {
        let recommended = self.optimizer.recommend(&self.evidence, Some(&self.candidates), rng);
        Advice { candidate: recommended.pool_index.unwrap_or(0), expected_regret: recommended.expected_regret }
    }

    fn stopped(&self) -> bool {
        self.stopped
    }

    fn predict(&self, runs: &[Run]) -> Option<Vec<Prediction>> {
        let points: Vec<_> = runs.iter().map(|run| (run.mixture.clone(), run.fidelity)).collect();
        let predictions = self.optimizer.predict(&self.evidence, &points)?;
        // A logged value has its noise.
        predictions.into_iter().map(|p| Some(Prediction { sd: p.run_sd()?, ..p })).collect()
    }
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

struct Regression<'a> {
    pool: &'a Pool,
    order: Vec<usize>,
    /// Candidates by preference where predictions tie (as they all do before there are enough runs for a split):
    /// otherwise the order of the file would decide.
    tie_break: Vec<usize>,
    bought: Vec<usize>,
    fitted_on: usize,
    recommended: Option<usize>,
}

impl Policy for Regression<'_> {
    fn buy(&mut self, purse: &Purse<'_>, _: &mut ChaCha8Rng) -> Option<usize> {
        next_affordable(&mut self.order, purse)
    }

    fn see(&mut self, run: usize) {
        self.bought.push(run);
    }

    fn recommend(&mut self, _: &mut ChaCha8Rng) -> Advice {
        // A fifth more runs hardly changes the trees; after the last run they are fitted in any case.
        let grown = self.bought.len() as f64 >= 1.2 * self.fitted_on as f64;
        if grown || self.order.is_empty() {
            self.fitted_on = self.bought.len();
            if let Some(trees) = BoostedTrees::fit(self.pool, &self.bought) {
                let loss = trees.predict(self.pool);
                self.recommended = self.tie_break.iter().copied().min_by(|a, b| loss[*a].total_cmp(&loss[*b]));
            }
        }
        Advice::without_opinion(self.recommended.unwrap_or(self.tie_break[0]))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::StudyConfig;
    use crate::problem::Direction;
    use crate::replay::infer_config;
    use crate::runs::RunLog;

    /// Two runs, each logged after 1, 2 and 4 billion tokens.
    fn pool() -> Pool {
        let mut csv = "run_id,fidelity,params,tokens,cost,w:a,w:b,y:loss\n".to_owned();
        for (run, a) in [("one", 0.2), ("two", 0.6)] {
            for tokens in [1, 2, 4] {
                csv += &format!("{run},p{tokens},1e9,{tokens}e9,{tokens},{a},{},{}\n", 1.0 - a, 3.0 - a);
            }
        }
        let mut log = RunLog::default();
        log.add(Path::new("runs.csv"), csv.as_bytes()).unwrap();
        let text = infer_config(&log, Direction::Minimize, true).unwrap().0.to_string();
        let config = StudyConfig::parse(Path::new("study.toml"), &text, &[]).unwrap();
        Pool::new(&log, &config.space, &config.fidelities, &config.objective, None).unwrap()
    }

    #[test]
    fn what_a_run_said_on_its_way_is_known_and_the_run_counts_where_it_has_come_to() {
        let pool = pool();
        let rows = |searching: &Searching| -> Vec<(usize, u64)> {
            let row = |o: &Observation| match o.run {
                RunId::Trial(row) => (o.fidelity.index(), row),
                RunId::Imported(_) => unreachable!("nothing is imported"),
            };
            searching.evidence.observations.iter().map(row).collect()
        };
        let mut searching = Searching::new(&pool, OptimizerSettings::default(), false, None);
        for row in [0, 3, 5, 1] {
            searching.see(row);
        }
        // Of the first run two rows, of the second three: the last of each was paid for.
        assert_eq!(rows(&searching), [(0, 0), (0, 3), (1, 4), (2, 5), (1, 1)]);
        assert_eq!(searching.evidence.given, 3);
        let bought = |m| searching.evidence.bought(FidelityId::new(m)).count();
        assert_eq!([0, 1, 2].map(bought), [0, 1, 1]);
        let mut only = Searching::new(&pool, OptimizerSettings::default(), true, None);
        only.see(5);
        assert_eq!(rows(&only), [(2, 5)]);
    }
}
