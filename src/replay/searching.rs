//! The optimizer as a strategy.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use super::policy::{Advice, Policy};
use super::pool::{Pool, Run};
use super::purse::Purse;
use crate::optimizer::{Candidates, Offer, Optimizer, policy::stopping::reached};
use crate::problem::{Evidence, Goal, Mixture, Observation, OptimizerSettings, Past, Prediction, RunId};

/// The optimizer, offered the pool.
pub(super) struct Searching<'a> {
    pool: &'a Pool,
    optimizer: Optimizer,
    evidence: Evidence,
    /// Runs of an older study.
    older: Vec<Observation>,
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
    pub fn new(pool: &'a Pool, settings: OptimizerSettings, target_only: bool, gain: Option<f64>) -> Self {
        let target = pool.fidelities.target();
        // A logged run is what is recommended and scored, with its noise.
        let settings = OptimizerSettings { goal: Goal::Run, ..settings };
        let optimizer = Optimizer::new(pool.space.clone(), pool.fidelities.clone(), pool.objective.clone(), settings);
        let older = pool.given.iter().filter(|run| !target_only || run.fidelity == target).cloned();
        let older: Vec<Observation> = older.collect();
        Self {
            pool,
            optimizer: optimizer.with_guards(pool.guards.clone()).with_curves(!target_only && pool.has_curves()),
            evidence: Evidence {
                given: older.len(),
                observations: older.clone(),
                costs: pool.costs(),
                ..Evidence::default()
            },
            older,
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
            past: Past::none(self.older.first().map_or(0, |older| older.past.columns.len())),
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
        self.evidence.given = self.older.len() + given.len();
        let bought = given.into_iter().chain(self.finished.iter().copied()).map(|run| self.observation(run));
        self.evidence.observations = self.older.iter().cloned().chain(bought).collect();
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

#[cfg(test)]
mod tests {
    use super::super::pool::tests::two_runs_on_their_way;
    use super::*;
    use crate::problem::FidelityId;

    #[test]
    fn what_a_run_said_on_its_way_is_known_and_the_run_counts_where_it_has_come_to() {
        let pool = two_runs_on_their_way();
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
