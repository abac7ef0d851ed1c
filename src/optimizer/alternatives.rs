//! Mixtures that differ from a given one and are about as good: worse by at most the noise of one run.

use rand::Rng;

use super::policy::constants::{ALTERNATIVE_ENDS, ALTERNATIVE_HALVINGS};
use super::{Gain, Optimizer};
use crate::problem::{Evidence, Mixture, Prediction};

/// A mixture that could take another one's place.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// The mixture.
    pub mixture: Mixture,
    /// Total-variation distance to the other one.
    pub distance: f64,
    /// The objective expected at the target.
    pub expected: Prediction,
    /// Its gain over the other one; usually below 0.
    pub gain: Gain,
}

impl Optimizer {
    /// Up to `count` mixtures of the space on which the guards hold, and whose expected objective at the target is worse than that of
    /// `mixture` by at most the noise of one run (a standard deviation). They differ most from it and from one another: each is the farthest
    /// from `mixture` and from those before it. There are fewer if all other candidates are within the tolerance of these, and `None` before
    /// there is a model.
    ///
    /// The space is convex. So candidates lie on the way from `mixture` to known, random and extreme mixtures, as far along as noise and
    /// guards allow.
    #[must_use]
    pub fn alternatives(
        &self,
        evidence: &Evidence,
        mixture: &Mixture,
        count: usize,
        rng: &mut impl Rng,
    ) -> Option<Vec<Alternative>> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        let target = self.fidelities.target();
        let polytope = self.space.polytope();
        let mut ends = self.known_mixtures(evidence);
        ends.extend(polytope.sample(ALTERNATIVE_ENDS, rng));
        ends.extend(polytope.extremes().iter().take(ALTERNATIVE_ENDS).cloned());
        let at = |end: &Vec<f64>, share: f64| -> Vec<f64> {
            mixture.weights().iter().zip(end).map(|(from, to)| from + share * (to - from)).collect()
        };
        let worst = surrogate.mean(&self.columns([mixture.weights()]))[0] + surrogate.noise(target).sqrt();
        let within = |points: &[Vec<f64>]| -> Vec<bool> {
            let x = self.columns(points.iter().map(Vec::as_slice));
            let hold = self.guards_hold(&surrogate, evidence, &x);
            surrogate.mean(&x).iter().zip(hold).map(|(mean, hold)| *mean <= worst && hold).collect()
        };
        // The share of the way to each end that noise and guards allow, found by steps that halve.
        let mut reach = vec![0.0; ends.len()];
        for halvings in 0..ALTERNATIVE_HALVINGS {
            let further: Vec<f64> = reach.iter().map(|share| f64::min(share + 0.5f64.powi(halvings), 1.0)).collect();
            let points: Vec<Vec<f64>> = ends.iter().zip(&further).map(|(end, share)| at(end, *share)).collect();
            for (i, _) in within(&points).into_iter().enumerate().filter(|(_, within)| *within) {
                reach[i] = further[i];
            }
        }
        let points: Vec<Vec<f64>> = ends.iter().zip(reach).map(|(end, share)| at(end, share)).collect();
        let points = self.usable(points);
        let good = within(&points);
        let candidates: Vec<Mixture> =
            points.into_iter().zip(good).filter(|(_, good)| *good).map(|(point, _)| Mixture::new(point)).collect();
        let chosen = farthest(mixture, &candidates, count, self.settings.tolerance);
        let gains = self.gains_of(&surrogate, mixture, &chosen);
        let alternative = |(chosen, gain): (Mixture, Gain)| Alternative {
            distance: mixture.distance(&chosen),
            expected: self.prediction(&surrogate, &chosen, target),
            mixture: chosen,
            gain: -gain,
        };
        Some(chosen.into_iter().zip(gains).map(alternative).collect())
    }
}

/// Up to `count` of the candidates. Each is the farthest from `start` and from those before it, as long as this distance is more than
/// `tolerance`.
fn farthest(start: &Mixture, candidates: &[Mixture], count: usize, tolerance: f64) -> Vec<Mixture> {
    let mut nearest: Vec<f64> = candidates.iter().map(|candidate| candidate.distance(start)).collect();
    let mut chosen: Vec<Mixture> = Vec::new();
    while chosen.len() < count {
        let best = (0..candidates.len()).max_by(|a, b| nearest[*a].total_cmp(&nearest[*b]));
        let Some(best) = best.filter(|best| nearest[*best] > tolerance) else { break };
        chosen.push(candidates[best].clone());
        for (nearest, candidate) in nearest.iter_mut().zip(candidates) {
            *nearest = nearest.min(candidate.distance(&candidates[best]));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_farthest_from_those_before_it() {
        let mixture = |a: f64| Mixture::new(vec![a, 1.0 - a]);
        let candidates: Vec<Mixture> = [0.5, 0.2, 0.9, 0.7, 0.505].map(mixture).to_vec();
        assert_eq!(farthest(&mixture(0.5), &candidates, 3, 0.01), [0.9, 0.2, 0.7].map(mixture));
        assert_eq!(farthest(&mixture(0.5), &candidates, 9, 0.01).len(), 3, "the others are the same mixture");
    }
}
