//! Whether a study's runs tell mixtures apart at all.

use crate::optimizer::Optimizer;
use crate::problem::{Evidence, Mixture};

/// The probability from which one mixture is said to be better than another.
const SURE: f64 = 0.95;
/// Standard deviations of a gain that is stated with this probability.
const SURE_SDS: f64 = 1.645;

/// The smallest gain that runs of this kind could have shown, where they show none: no mixture that was trained is worse than `mixture`
/// with a probability of 95 %. It is the gain that would be stated with this probability over half of the trained mixtures, in the
/// objective's unit. `None` where mixtures are told apart, and where fewer than two have been trained.
#[must_use]
pub fn undetected(optimizer: &Optimizer, evidence: &Evidence, mixture: &Mixture) -> Option<f64> {
    let mut others: Vec<Mixture> = Vec::new();
    for run in &evidence.observations {
        if run.mixture != *mixture && !others.contains(&run.mixture) {
            others.push(run.mixture.clone());
        }
    }
    if others.len() < 2 {
        return None;
    }
    let gains = optimizer.gains(evidence, mixture, &others)?;
    if gains.iter().any(|gain| gain.probability() > SURE) {
        return None;
    }
    let mut sds: Vec<f64> = gains.iter().map(|gain| gain.sd).collect();
    sds.sort_by(f64::total_cmp);
    Some(SURE_SDS * sds[sds.len() / 2])
}
