//! The mixtures that others are compared with: what is said of a comparison is surest where both have been trained.

use crate::optimizer::{Candidates, Optimizer, Suggestion};
use crate::problem::{Evidence, FidelityId, Mixture, Threshold};

impl Optimizer {
    /// What the objective and the guards compare mixtures with.
    pub(super) fn references(&self) -> impl Iterator<Item = &Mixture> {
        let guards = self.guards.iter().filter_map(|guard| match &guard.threshold {
            Threshold::Mixture { mixture, .. } => Some(mixture),
            Threshold::Value(_) => None,
        });
        self.objective.reference.iter().map(|reference| &reference.mixture).chain(guards)
    }

    /// The trial in place of `suggestion`: at its fidelity, but of a mixture that others are compared with, as long as there is one that
    /// may be trained and has not been trained there.
    pub(in crate::optimizer) fn with_reference(
        &self,
        suggestion: Suggestion,
        evidence: &Evidence,
        candidates: Candidates<'_>,
    ) -> Suggestion {
        let m = suggestion.fidelity;
        let lacks = |mixture: &&Mixture| !evidence.taken(m).any(|taken| taken.is(mixture));
        let offered = |mixture: &Mixture| place(candidates, mixture, m).map(|pool_index| (mixture.clone(), pool_index));
        // No trial breaks a bound or has weights that cannot be used.
        let allowed = |mixture: &&Mixture| self.space.broken_bounds(mixture).is_empty();
        let mut due = self.references().filter(allowed).filter(lacks);
        match due.find_map(offered) {
            Some((mixture, pool_index)) => {
                self.with_expectation(Suggestion { mixture, pool_index, gain: None, ..suggestion }, evidence)
            }
            None => suggestion,
        }
    }
}

/// Where a mixture is among the candidates at fidelity `m`: its index in a pool, none in a space. `None` where it is not.
fn place(candidates: Candidates<'_>, mixture: &Mixture, m: FidelityId) -> Option<Option<usize>> {
    match candidates {
        Candidates::Space(_) => Some(None),
        Candidates::Pool { runs, .. } => {
            runs.iter().position(|offer| offer.fidelity == m && offer.mixture.is(mixture)).map(Some)
        }
    }
}
