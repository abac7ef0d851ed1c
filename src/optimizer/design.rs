//! Trials chosen without regard to results: the initial design, and the last resort.

use crate::problem::{Evidence, FidelityId, Mixture, affordable};
use nalgebra::DMatrix;
use rand::Rng;
use rand::seq::index;

use super::search::MOST_SCORED;
use super::{Candidates, Optimizer, Recommendation, Suggestion};
use crate::surrogate::told;

/// Runs of an initial design: more teach less than what the acquisition function chooses next.
const LEAST_DESIGN: usize = 5;
const MOST_DESIGN: usize = 20;
/// What it may cost, in runs at the target.
const DESIGN_COST: f64 = 2.0;
/// Runs of a design where it is made of runs at the target, which are also what one looks for.
const TARGET_DESIGN: usize = 3;
/// Random mixtures among which a trial of the design is chosen, and as many that it is to tell about.
const DESIGN_SAMPLED: usize = 256;
/// Random mixtures that are looked at before a space counts as exhausted.
const ALL_SAMPLED: usize = 4096;

impl Optimizer {
    /// Fidelities at which a trial can be suggested, cheapest first.
    ///
    /// Proxies must prove themselves: smaller sizes may spend one target run's cost more than has been spent at the
    /// target (the design may cost two). However badly they mislead, at least half of the cost goes where the truth is,
    /// but for that head start; where the target is never trained, or all of its runs together cost less than one,
    /// nothing is restricted.
    ///
    /// Expensive sizes must wait: of what is open then, all but the cheapest only once as much as one of their runs costs
    /// has been spent. An acquisition function that looks one trial ahead sees what a run says about the mixtures, but not
    /// what many cheap ones teach the model of how mixtures differ; and waiting can at most double what it costs to learn
    /// anything.
    pub(super) fn open_fidelities(&self, evidence: &Evidence, candidates: Candidates<'_>) -> Vec<FidelityId> {
        let mut open = self.possible_fidelities(evidence, candidates);
        let target = self.fidelities.target();
        if open.contains(&target) {
            let spent = |m: FidelityId| bought(evidence, m).count() as f64 * evidence.costs[m];
            let on_proxies: f64 = self.fidelities.ids().filter(|m| *m != target).map(spent).sum();
            // What is under way at the target has proved nothing yet.
            let pending = evidence.pending.iter().filter(|(_, m)| *m == target).count() as f64 * evidence.costs[target];
            let allowed = spent(target) - pending + evidence.costs[target];
            open.retain(|m| *m == target || affordable(on_proxies + evidence.costs[*m], allowed));
        }
        let known: f64 = self.fidelities.ids().map(|m| taken(evidence, m).count() as f64 * evidence.costs[m]).sum();
        let cheapest = open.first().copied();
        open.retain(|m| Some(*m) == cheapest || affordable(evidence.costs[*m], known));
        open
    }

    /// Whether a trial at fidelity `m` that is not of the design is too early: with it, what is under way would cost more
    /// than what has finished. Trials chosen together are guesses that know nothing of each other's results: no more is to be
    /// guessed at once than has been learned. The design is not chosen by results, and never too early.
    pub(super) fn early(&self, evidence: &Evidence, m: FidelityId) -> bool {
        let costs = &evidence.costs;
        let under_way: f64 = evidence.pending.iter().map(|(_, m)| costs[*m]).sum();
        let finished = evidence.observations.iter().map(|o| o.fidelity).chain(evidence.failed.iter().map(|(_, m)| *m));
        let finished: f64 = finished.map(|m| costs[m]).sum();
        under_way > 0.0 && !affordable(under_way + costs[m], finished)
    }

    /// Fidelities that have candidates and may have more trials, cheapest first.
    pub(super) fn possible_fidelities(&self, evidence: &Evidence, candidates: Candidates<'_>) -> Vec<FidelityId> {
        self.fidelities
            .ids()
            .filter(|m| !self.settings.target_only || *m == self.fidelities.target())
            .filter(|m| match candidates {
                Candidates::Space(allowed) => allowed.contains(m),
                Candidates::Pool { runs, .. } => runs.iter().any(|(_, l)| l == m),
            })
            .filter(|m| self.fidelities[*m].max_trials.is_none_or(|most| bought(evidence, *m).count() < most))
            .collect()
    }

    /// The cheapest fidelity whose initial design is not complete.
    #[must_use]
    pub fn design_fidelity(&self, evidence: &Evidence, candidates: Candidates<'_>) -> Option<FidelityId> {
        let possible = self.possible_fidelities(evidence, candidates);
        possible.iter().copied().find(|m| taken(evidence, *m).count() < self.design_size(*m, &possible, evidence))
    }

    /// Runs of the initial design at fidelity `m`, given the possible ones (cheapest first).
    ///
    /// Unless configured, it is at the cheapest fidelity: about as many runs as domains, for at most the cost of two runs
    /// at the target. Where that buys fewer than one run for two domains, small runs are not cheap enough to explore
    /// with, and the design is a few runs at the target instead.
    fn design_size(&self, m: FidelityId, possible: &[FidelityId], evidence: &Evidence) -> usize {
        if let Some(initial) = self.fidelities[m].initial {
            return initial;
        }
        let target = self.fidelities.target();
        let cheapest = possible.first().copied().unwrap_or(target);
        let domains = self.space.dim().min(MOST_DESIGN);
        let affordable = (DESIGN_COST * evidence.costs[target] / evidence.costs[cheapest]) as usize;
        let cheap = affordable.saturating_mul(2) >= domains || !possible.contains(&target);
        let place = if cheap || self.settings.initial.is_some() { cheapest } else { target };
        match self.settings.initial {
            _ if m != place => 0,
            Some(initial) => initial,
            None if m == target => TARGET_DESIGN,
            None => affordable.min(domains.max(LEAST_DESIGN)),
        }
    }

    /// The next trial of the initial design at fidelity `m`: one that failed before the launcher was repaired, else the one that
    /// tells most.
    pub(super) fn design(
        &self,
        evidence: &Evidence,
        candidates: Candidates<'_>,
        m: FidelityId,
        rng: &mut impl Rng,
    ) -> Option<Suggestion> {
        let due = |(mixture, l): &&(Mixture, FidelityId)| {
            *l == m && !taken(evidence, m).any(|known| known == mixture) && self.space.broken_bounds(mixture).is_empty()
        };
        match evidence.repaired.iter().find(due) {
            Some((mixture, _)) => Some(Suggestion {
                mixture: mixture.clone(),
                fidelity: m,
                pool_index: None,
                expected: None,
                gain: None,
                early: false,
                warning: None,
            }),
            None => self.fill_space(evidence, candidates, m, rng),
        }
    }

    /// The candidate at fidelity `m` whose run tells most ([`Self::most_telling`]); of nothing yet, the most even one of a
    /// space, or any of a pool. `None` where no candidate is new.
    pub(super) fn fill_space(
        &self,
        evidence: &Evidence,
        candidates: Candidates<'_>,
        m: FidelityId,
        rng: &mut impl Rng,
    ) -> Option<Suggestion> {
        let known = self.columns(taken(evidence, m).map(Mixture::weights));
        let (mixture, pool_index) = match candidates {
            Candidates::Space(_) if known.is_empty() => (self.space.uniform(), None),
            Candidates::Space(_) => {
                let mut new = self.new_mixtures(evidence, m, rng);
                if new.is_empty() {
                    return None;
                }
                let x = self.columns(new.iter().map(Mixture::weights));
                let about = self.space.polytope().sample(DESIGN_SAMPLED, rng);
                let about = self.columns(about.iter().map(Vec::as_slice));
                (new.swap_remove(self.most_telling(&x, &about, &known)?), None)
            }
            Candidates::Pool { runs, targets } => {
                let at: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].1 == m).collect();
                let at = drawn(at, MOST_SCORED, rng);
                let index = if known.is_empty() {
                    rng.random_range(0..at.len().max(1))
                } else {
                    let x = self.columns(at.iter().map(|i| runs[*i].0.weights()));
                    let about = drawn((0..targets.len()).collect(), MOST_SCORED, rng);
                    let about = self.columns(about.into_iter().map(|t| targets[t].weights()));
                    self.most_telling(&x, &about, &known)?
                };
                let index = *at.get(index)?;
                (runs[index].0.clone(), Some(index))
            }
        };
        Some(Suggestion { mixture, fidelity: m, pool_index, expected: None, gain: None, early: false, warning: None })
    }

    /// Random mixtures of the space that are new at fidelity `m`. Where there seem to be none, many more are looked at, and
    /// the extreme ones.
    fn new_mixtures(&self, evidence: &Evidence, m: FidelityId, rng: &mut impl Rng) -> Vec<Mixture> {
        let polytope = self.space.polytope();
        let new = |sampled: Vec<Vec<f64>>| -> Vec<Mixture> {
            sampled.into_iter().map(Mixture::new).filter(|mixture| self.is_new(evidence, mixture, m)).collect()
        };
        let found = new(polytope.sample(DESIGN_SAMPLED, rng));
        if !found.is_empty() {
            return found;
        }
        new([polytope.extremes().to_vec(), polytope.sample(ALL_SAMPLED, rng)].concat())
    }

    /// Which run of a mixture in `x` tells most about those in `about`, given runs of `known` (weights, D × c, D × p, D × n),
    /// results aside. The mixture farthest from all others, which is the usual choice, is an odd one that tells about few.
    fn most_telling(&self, x: &DMatrix<f64>, about: &DMatrix<f64>, known: &DMatrix<f64>) -> Option<usize> {
        // Without a model any of them will do: a search is not to end because a matrix could not be factored.
        let told = told(&self.spec(), x, about, known).unwrap_or_else(|_| vec![0.0; x.ncols()]);
        (0..told.len()).max_by(|a, b| told[*a].total_cmp(&told[*b]))
    }

    /// What to recommend without a model: the mixture with the best objective at the largest size observed, else the
    /// most even one.
    pub(super) fn best_guess(&self, evidence: &Evidence, candidates: Option<&[Mixture]>) -> Recommendation {
        let best = evidence
            .observations
            .iter()
            .max_by(|a, b| {
                let loss = |o: &crate::problem::Observation| self.objective.loss(&o.metrics);
                a.fidelity.cmp(&b.fidelity).then(loss(b).total_cmp(&loss(a)))
            })
            // Bounds may have been tightened since it was trained.
            .map_or_else(
                || self.space.uniform(),
                |o| match self.space.broken_bounds(&o.mixture).as_slice() {
                    [] => o.mixture.clone(),
                    _ => Mixture::new(self.space.polytope().project(o.mixture.weights())),
                },
            );
        let nearest = candidates
            .and_then(|c| (0..c.len()).min_by(|a, b| c[*a].distance(&best).total_cmp(&c[*b].distance(&best))));
        let mixture = match (candidates, nearest) {
            (Some(candidates), Some(i)) => candidates[i].clone(),
            _ => best,
        };
        Recommendation { mixture, pool_index: nearest, expected: None, expected_regret: None }
    }
}

/// At most `most` of `indices` at random, in their order.
pub(super) fn drawn(indices: Vec<usize>, most: usize, rng: &mut impl Rng) -> Vec<usize> {
    if indices.len() <= most {
        return indices;
    }
    let mut places = index::sample(rng, indices.len(), most).into_vec();
    places.sort_unstable();
    places.into_iter().map(|i| indices[i]).collect()
}

/// Mixtures of all trials at fidelity `m`, however they ended, and of imported runs.
pub(super) fn taken(evidence: &Evidence, m: FidelityId) -> impl Iterator<Item = &Mixture> {
    let imported = evidence.observations.iter().take(evidence.imported).filter(move |o| o.fidelity == m);
    imported.map(|o| &o.mixture).chain(bought(evidence, m))
}

/// Mixtures of all trials at fidelity `m`, however they ended.
fn bought(evidence: &Evidence, m: FidelityId) -> impl Iterator<Item = &Mixture> {
    let trials = evidence.observations.iter().skip(evidence.imported);
    let observed = trials.filter(move |o| o.fidelity == m).map(|o| &o.mixture);
    let others = evidence.pending.iter().chain(&evidence.failed).filter(move |(_, l)| *l == m).map(|(w, _)| w);
    observed.chain(others)
}
