//! When a trial at an expensive fidelity waits for cheaper ones.

use super::constants::SUPPORT;
use super::value::{Targets, Trials};
use crate::optimizer::Optimizer;
use crate::problem::{Evidence, FidelityId, Weights};
use crate::surrogate::Surrogate;

/// Mixtures that could be trained at a fidelity cheaper than a trial's, the most promising first.
pub(super) struct Cheaper {
    pub fidelity: FidelityId,
    /// At most [`SUPPORT`]/2 of them are looked at.
    pub x: Weights,
    /// Whether a mixture may be trained several times: not in a log.
    pub repeatable: bool,
}

impl Optimizer {
    /// Whether `trial` (a single one, for `cost`) is worth less than the trials at one of the `cheaper` fidelities that its cost would
    /// pay for, all at once. The knowledge gradient per unit cost compares single trials: one cheap trial seldom changes what is
    /// recommended where twenty would, so that by itself it buys expensive runs too soon.
    pub(super) fn waits(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        (trial, cost): (&Trials<'_>, f64),
        cheaper: &[Cheaper],
        targets: &Targets,
    ) -> bool {
        let single = self.knowledge_gradient(surrogate, trial, targets)[0];
        let choices = targets.choices();
        let mut cheaper = cheaper.iter().filter(|cheaper| evidence.costs[cheaper.fidelity] < cost);
        cheaper.any(|cheaper| {
            let trials = (cost / evidence.costs[cheaper.fidelity]).floor();
            let mixtures = cheaper.x.len().min(SUPPORT / 2).min(trials as usize);
            if mixtures == 0 {
                return false;
            }
            let z = cheaper.x.select(&(0..mixtures).collect::<Vec<_>>());
            let runs = if cheaper.repeatable { trials / mixtures as f64 } else { 1.0 };
            let moves = surrogate.influence_of_all(&z, cheaper.fidelity, runs, &targets.view);
            moves.is_ok_and(|moves| targets.log_value(&choices, |j| moves[j].clone(), targets.bought) > single)
        })
    }
}
