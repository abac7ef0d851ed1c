//! What a gain in the objective is worth, in terms that people know.

use crate::config::StudyConfig;
use crate::optimizer::{Gain, Optimizer};
use crate::problem::{Direction, Evidence, Fidelities, FidelityId, Mixture};

/// Beyond this factor of compute a trend through two sizes says nothing.
const MOST_COMPUTE: f64 = 100.0;

/// A gain over another mixture in other terms; each is `None` where it has no meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GainWorth {
    /// In standard deviations of one run's noise.
    pub noise: Option<f64>,
    /// By how many percent the perplexity is lower, if the objective is a loss in nats.
    pub perplexity: Option<f64>,
    /// By what factor the size would have to grow for the other mixture to gain as much, by the line in the logarithm of the
    /// size through what is expected of it at this smaller size and at the target.
    pub compute: Option<(f64, FidelityId)>,
}

impl GainWorth {
    /// What `gain` over `other` is worth; nothing where it is none.
    #[must_use]
    pub fn of(config: &StudyConfig, optimizer: &Optimizer, evidence: &Evidence, gain: Gain, other: &Mixture) -> Self {
        if gain.mean <= 0.0 {
            return Self::default();
        }
        Self {
            noise: optimizer.noise_sd(evidence).map(|noise| gain.mean / noise),
            perplexity: (config.objective.direction == Direction::Minimize).then(|| 100.0 * (1.0 - (-gain.mean).exp())),
            compute: compute(config, optimizer, evidence, gain, other),
        }
    }
}

fn compute(
    config: &StudyConfig,
    optimizer: &Optimizer,
    evidence: &Evidence,
    gain: Gain,
    other: &Mixture,
) -> Option<(f64, FidelityId)> {
    let fidelities = &config.fidelities;
    let target = fidelities.target();
    let smaller = next_smaller(fidelities)?;
    let trained = |m: FidelityId| evidence.observations.iter().any(|o| o.fidelity == m);
    let sized = |m: FidelityId| fidelities[m].params.is_some() || fidelities[m].tokens.is_some();
    if ![smaller, target].into_iter().all(|m| trained(m) && sized(m)) {
        return None;
    }
    let expected = optimizer.predict(evidence, &[(other.clone(), smaller), (other.clone(), target)])?;
    let progress = config.objective.sign() * (expected[0].mean - expected[1].mean);
    let sizes = fidelities.log_sizes();
    let factor = growth(gain.mean, progress, sizes[target] - sizes[smaller])?;
    Some((factor, smaller))
}

/// The largest of the sizes below the target.
fn next_smaller(fidelities: &Fidelities) -> Option<FidelityId> {
    let sizes = fidelities.log_sizes();
    let smaller = fidelities.ids().filter(|m| sizes[*m] < sizes[fidelities.target()]);
    smaller.max_by(|a, b| sizes[*a].total_cmp(&sizes[*b]))
}

/// The factor of size that gains `gain` where a step of `step` in its logarithm gains `progress`.
fn growth(gain: f64, progress: f64, step: f64) -> Option<f64> {
    let factor = (gain / progress * step).exp();
    (progress > 0.0 && factor < MOST_COMPUTE).then_some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_worth_the_growth_that_the_trend_needs_for_it() {
        let step = 10f64.ln();
        let factor = growth(0.1, 0.2, step).unwrap();
        assert!((factor - 10f64.sqrt()).abs() < 1e-12, "{factor}");
        assert_eq!(growth(0.1, -0.2, step), None, "larger models are worse");
        assert_eq!(growth(0.5, 0.2, step), None, "beyond what two sizes say");
    }
}
