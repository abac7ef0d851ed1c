//! Which fidelities a trial may be at.

use super::constants::{IN_FLIGHT, PROXY_HEAD_START};
use crate::optimizer::Candidates;
use crate::problem::{Evidence, Fidelities, FidelityId, OptimizerSettings, affordable};

/// Fidelities that have candidates and may have more trials, cheapest first.
pub fn possible(
    fidelities: &Fidelities,
    settings: &OptimizerSettings,
    evidence: &Evidence,
    candidates: Candidates<'_>,
) -> Vec<FidelityId> {
    fidelities
        .iter()
        .filter(|(m, _)| !settings.target_only || *m == fidelities.target())
        .filter(|(m, _)| match candidates {
            Candidates::Space(allowed) => allowed.contains(m),
            Candidates::Pool { runs, .. } => runs.iter().any(|offer| offer.fidelity == *m),
        })
        .filter(|(m, fidelity)| fidelity.max_trials.is_none_or(|most| evidence.bought(*m).count() < most))
        .map(|(m, _)| m)
        .collect()
}

/// The `possible` fidelities (cheapest first) that are within the proxy cap. Where the target is never trained, or all of its runs
/// together cost less than one, the cap restricts nothing.
pub fn open(possible: &[FidelityId], target: FidelityId, evidence: &Evidence) -> Vec<FidelityId> {
    let capped = possible.contains(&target);
    possible.iter().copied().filter(|m| !capped || within_proxy_cap(*m, target, evidence)).collect()
}

/// Whether one more run at `m` keeps what smaller fidelities cost within what has been spent at the target, and
/// [`PROXY_HEAD_START`].
fn within_proxy_cap(m: FidelityId, target: FidelityId, evidence: &Evidence) -> bool {
    let costs = &evidence.costs;
    let spent = |m: FidelityId| evidence.bought(m).count() as f64 * costs[m];
    let on_proxies: f64 = evidence.fidelities().filter(|m| *m != target).map(spent).sum();
    // What is under way at the target has proved nothing yet.
    let pending = evidence.pending.iter().filter(|(_, m)| *m == target).count() as f64 * costs[target];
    let allowed = spent(target) - pending + PROXY_HEAD_START * costs[target];
    m == target || affordable(on_proxies + costs[m], allowed)
}

/// Whether a trial at `m` that is not of the design would exceed the in-flight cap: with it, what is under way would cost more than
/// [`IN_FLIGHT`] times what has finished. The design is not chosen by results, and not capped.
pub fn exceeds_in_flight_cap(m: FidelityId, evidence: &Evidence) -> bool {
    let costs = &evidence.costs;
    let under_way: f64 = evidence.pending.iter().map(|(_, m)| costs[*m]).sum();
    let finished = evidence.observations.iter().map(|o| o.fidelity).chain(evidence.failed.iter().map(|(_, m)| *m));
    let finished: f64 = finished.map(|m| costs[m]).sum();
    under_way > 0.0 && !affordable(under_way + costs[m], IN_FLIGHT * finished)
}
