//! Hyperband as it is run in practice: asynchronous successive halving (ASHA; Li et al. 2020, arXiv 1810.05934).

use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::policy::{Advice, Policy};
use super::pool::Pool;
use super::purse::Purse;
use crate::problem::FidelityId;

/// One of so many goes on to the next rung, which costs at least so many times as much (η; 3 as in Hyperband).
const REDUCTION: usize = 3;

/// Candidates begin in random order at the cheapest rung. Whenever a run can be bought, it is that of a candidate that is among the best
/// third of a rung and has not gone on, of the highest rung where there is one; else a new candidate begins.
pub(super) struct Hyperband<'a> {
    pool: &'a Pool,
    /// The run of each candidate at each rung, from the cheapest on; `None` where its mixture was not logged there.
    runs: Vec<Vec<Option<usize>>>,
    /// Candidates in the order in which they begin.
    order: Vec<usize>,
    bought: BTreeSet<usize>,
    seen: BTreeSet<usize>,
}

impl<'a> Hyperband<'a> {
    pub fn new(pool: &'a Pool, rng: &mut ChaCha8Rng) -> Self {
        let rungs = rungs(pool);
        let run = |candidate: usize, rung: FidelityId| {
            let end = &pool.runs[candidate];
            let runs = || (0..pool.runs.len()).filter(|i| pool.runs[*i].fidelity == rung);
            // The same training run, else another one of the mixture.
            let own = runs().find(|i| pool.runs[*i].training == end.training);
            own.or_else(|| runs().find(|i| pool.runs[*i].mixture.is(&end.mixture)))
        };
        let mut order: Vec<usize> = (0..pool.candidates.len()).collect();
        order.shuffle(rng);
        let runs = pool.candidates.iter().map(|c| rungs.iter().map(|rung| run(*c, *rung)).collect()).collect();
        Self { pool, runs, order, bought: BTreeSet::new(), seen: BTreeSet::new() }
    }

    /// All rungs, the target first.
    fn rungs(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.runs[0].len()).rev()
    }

    /// The candidates that were seen at a rung, the best first.
    fn ranked(&self, rung: usize) -> Vec<usize> {
        let seen =
            |candidate: usize| Some((candidate, self.runs[candidate][rung].filter(|run| self.seen.contains(run))?));
        let mut ranked: Vec<(usize, usize)> = (0..self.runs.len()).filter_map(seen).collect();
        ranked.sort_by(|a, b| self.pool.runs[a.1].loss.total_cmp(&self.pool.runs[b.1].loss));
        ranked.into_iter().map(|(candidate, _)| candidate).collect()
    }

    /// The run with which a candidate goes on from a rung (`None`: begins), if it can be bought and the candidate has not done so.
    fn next(&self, candidate: usize, from: Option<usize>, purse: &Purse<'_>) -> Option<usize> {
        let mut further = self.runs[candidate].iter().skip(from.map_or(0, |rung| rung + 1)).flatten();
        let next = *further.next()?;
        let gone_on = self.bought.contains(&next) || further.any(|run| self.bought.contains(run));
        (!gone_on && purse.price(next).is_some()).then_some(next)
    }

    /// Of the best candidates at each rung, as many as `share` says of their number, the first that can go on, from the highest rung.
    fn promoted(&self, share: impl Fn(usize) -> usize, purse: &Purse<'_>) -> Option<usize> {
        self.rungs().find_map(|rung| {
            let ranked = self.ranked(rung);
            ranked.iter().take(share(ranked.len())).find_map(|candidate| self.next(*candidate, Some(rung), purse))
        })
    }
}

impl Policy for Hyperband<'_> {
    fn buy(&mut self, purse: &Purse<'_>, _: &mut ChaCha8Rng) -> Option<usize> {
        let new = || self.order.iter().find_map(|candidate| self.next(*candidate, None, purse));
        // Once all have begun, the rest of the budget is for those that are best so far.
        let run = self.promoted(|n| n / REDUCTION, purse).or_else(new).or_else(|| self.promoted(|n| n, purse))?;
        self.bought.insert(run);
        Some(run)
    }

    fn see(&mut self, run: usize) {
        self.seen.insert(run);
    }

    fn recommend(&mut self, _: &mut ChaCha8Rng) -> Advice {
        let best = self.rungs().find_map(|rung| self.ranked(rung).first().copied());
        Advice::without_opinion(best.unwrap_or(self.order[0]))
    }
}

/// The fidelities of the rungs, cheapest first: from the target down, each the dearest that costs at most a third of the one above.
fn rungs(pool: &Pool) -> Vec<FidelityId> {
    let costs = pool.costs();
    let below = |above: &FidelityId| {
        (0..costs.len()).map(FidelityId::new).rev().find(|m| REDUCTION as f64 * costs[*m] <= costs[*above])
    };
    let mut rungs: Vec<FidelityId> = std::iter::successors(Some(pool.fidelities.target()), below).collect();
    rungs.reverse();
    rungs
}
