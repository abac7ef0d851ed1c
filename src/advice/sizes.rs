//! What is known about each size: how well it has agreed with the target, and whether its runs are worth their cost.

use crate::config::StudyConfig;
use crate::optimizer::Optimizer;
use crate::problem::{Baseline, Evidence, Fidelities, FidelityId, Mixture, Objective, Observation, rank_correlation};

/// Mixtures closer than this are the same one, but for the rounding of logs.
const SAME: f64 = 1e-4;

/// What is known about a fidelity.
#[derive(Clone, Debug)]
pub struct SizeAgreement {
    /// Which one.
    pub fidelity: FidelityId,
    /// How many of its runs are known.
    pub runs: usize,
    /// Correlation, over mixtures, of the noise-free objectives there and at the target, by the model.
    pub correlation: f64,
    /// Information about the target per unit cost, relative to that of a target run; `None` where a cost is 0.
    pub worth: Option<f64>,
    /// Of each mixture that was trained both there and at the target, the mean objective at both.
    pub pairs: Vec<(f64, f64)>,
    /// Rank correlation of these pairs; `None` where there are too few.
    pub rank: Option<f64>,
}

/// One entry per fidelity; `None` before there is a model.
#[must_use]
pub fn sizes(config: &StudyConfig, optimizer: &Optimizer, evidence: &Evidence) -> Option<Vec<SizeAgreement>> {
    let agreement = optimizer.agreement(evidence)?;
    let target = config.fidelities.target();
    let per_cost = |m: FidelityId| agreement[m].information / evidence.costs[m];
    let size = |m: FidelityId| {
        let pairs = pairs(&config.fidelities, &config.objective, evidence, m);
        let (here, there): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        SizeAgreement {
            fidelity: m,
            runs: evidence.observations.iter().filter(|o| o.fidelity == m).count(),
            correlation: agreement[m].correlation,
            worth: Some(per_cost(m) / per_cost(target)).filter(|worth| worth.is_finite()),
            rank: rank_correlation(&here, &there),
            pairs,
        }
    };
    Some(config.fidelities.ids().map(size).collect())
}

fn pairs(fidelities: &Fidelities, objective: &Objective, evidence: &Evidence, m: FidelityId) -> Vec<(f64, f64)> {
    let observed: Vec<&Observation> = evidence.observations.iter().filter(|o| o.past.is_none()).collect();
    let target = fidelities.target();
    let baseline = Baseline::of(objective, observed.iter().filter_map(|o| o.measurement()));
    let mean = |mixture: &Mixture, m: FidelityId| {
        let same = observed.iter().filter(|o| o.fidelity == m && o.mixture.distance(mixture) < SAME);
        let values: Vec<f64> = same.filter_map(|o| objective.measured(&o.metrics, m, &baseline)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let mut mixtures: Vec<&Mixture> = Vec::new();
    for run in observed.iter().filter(|o| o.fidelity == target) {
        if mixtures.iter().all(|known| known.distance(&run.mixture) >= SAME) {
            mixtures.push(&run.mixture);
        }
    }
    mixtures.into_iter().filter_map(|mixture| Some((mean(mixture, m)?, mean(mixture, target)?))).collect()
}
