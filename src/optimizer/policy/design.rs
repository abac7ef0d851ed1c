//! The initial design, and trials that fill the space: chosen without regard to results.

use rand::Rng;
use rand::seq::index;

use super::constants::{
    ALL_SAMPLED, DESIGN_COST, DESIGN_SAMPLED, LEAST_DESIGN, MOST_DESIGN, MOST_SCORED, TARGET_DESIGN,
};
use super::fidelities::possible;
use crate::optimizer::{Candidates, Optimizer, Suggestion};
use crate::problem::{Evidence, FidelityId, Mixture, Weights};
use crate::surrogate::integrated_variance_reduction;

impl Optimizer {
    /// The cheapest fidelity whose initial design is not complete.
    #[must_use]
    pub fn design_fidelity(&self, evidence: &Evidence, candidates: Candidates<'_>) -> Option<FidelityId> {
        let possible = possible(&self.fidelities, &self.settings, evidence, candidates);
        possible.iter().copied().find(|m| evidence.filling(*m) < self.design_size(*m, &possible, evidence))
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
        let domains = self.space.polytope().coordinates().min(MOST_DESIGN);
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

    /// The next trial of the initial design at fidelity `m`: one that failed before the launcher was repaired, else the most
    /// informative one.
    pub(in crate::optimizer) fn design(
        &self,
        evidence: &Evidence,
        candidates: Candidates<'_>,
        m: FidelityId,
        rng: &mut impl Rng,
    ) -> Option<Suggestion> {
        let due = |(mixture, l): &&(Mixture, FidelityId)| {
            *l == m && !evidence.taken(m).any(|known| known == mixture) && self.space.broken_bounds(mixture).is_empty()
        };
        match evidence.repaired.iter().find(due) {
            Some((mixture, _)) => Some(unscored(mixture.clone(), m, None)),
            None => self.fill_space(evidence, candidates, m, rng),
        }
    }

    /// The candidate at fidelity `m` whose run is most informative ([`Self::most_informative`]); before any run there, the most even one of
    /// a space, or any of a pool. `None` where no candidate is new.
    pub(in crate::optimizer) fn fill_space(
        &self,
        evidence: &Evidence,
        candidates: Candidates<'_>,
        m: FidelityId,
        rng: &mut impl Rng,
    ) -> Option<Suggestion> {
        let known = self.columns(evidence.taken(m).map(Mixture::weights));
        let (mixture, pool_index) = match candidates {
            Candidates::Space(_) if known.is_empty() => {
                (Mixture::new(self.space.usable(self.space.uniform().weights())), None)
            }
            Candidates::Space(_) => {
                let mut new = self.new_mixtures(evidence, m, rng);
                if new.is_empty() {
                    return None;
                }
                let x = self.columns(new.iter().map(Mixture::weights));
                let about = self.space.polytope().sample(DESIGN_SAMPLED, rng);
                let about = self.columns(about.iter().map(Vec::as_slice));
                (new.swap_remove(self.most_informative(&x, &about, &known)?), None)
            }
            Candidates::Pool { runs, targets } => {
                let at: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].fidelity == m).collect();
                let at = drawn(at, MOST_SCORED, rng);
                let index = if known.is_empty() {
                    rng.random_range(0..at.len().max(1))
                } else {
                    let x = self.columns(at.iter().map(|i| runs[*i].mixture.weights()));
                    let about = drawn((0..targets.len()).collect(), MOST_SCORED, rng);
                    let about = self.columns(about.into_iter().map(|t| targets[t].weights()));
                    self.most_informative(&x, &about, &known)?
                };
                let index = *at.get(index)?;
                (runs[index].mixture.clone(), Some(index))
            }
        };
        Some(Suggestion {
            mixture,
            fidelity: m,
            pool_index,
            expected: None,
            gain: None,
            premature: false,
            warning: None,
        })
    }

    /// Random mixtures of the space that are new at fidelity `m`. Where there seem to be none, many more are looked at, and
    /// the extreme ones.
    fn new_mixtures(&self, evidence: &Evidence, m: FidelityId, rng: &mut impl Rng) -> Vec<Mixture> {
        let polytope = self.space.polytope();
        let new = |sampled: Vec<Vec<f64>>| -> Vec<Mixture> {
            let sampled = self.usable(sampled).into_iter().map(Mixture::new);
            sampled.filter(|mixture| self.is_new(evidence, mixture, m)).collect()
        };
        let found = new(polytope.sample(DESIGN_SAMPLED, rng));
        if !found.is_empty() {
            return found;
        }
        new([polytope.extremes().to_vec(), polytope.sample(ALL_SAMPLED, rng)].concat())
    }

    /// Which run of a mixture in `x` reduces the integrated variance over those in `about` most, given runs of `known`. The mixture farthest from all others, which is the usual choice, is informative about few.
    fn most_informative(&self, x: &Weights, about: &Weights, known: &Weights) -> Option<usize> {
        // Without a model any of them will do: a search is not to end because a matrix could not be factored.
        let reduction =
            integrated_variance_reduction(&self.spec(), x, about, known).unwrap_or_else(|_| vec![0.0; x.len()]);
        (0..reduction.len()).max_by(|a, b| reduction[*a].total_cmp(&reduction[*b]))
    }
}

/// A suggestion that no model stands behind.
fn unscored(mixture: Mixture, fidelity: FidelityId, pool_index: Option<usize>) -> Suggestion {
    Suggestion { mixture, fidelity, pool_index, expected: None, gain: None, premature: false, warning: None }
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
