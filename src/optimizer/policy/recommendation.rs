//! Which mixture is recommended.

use nalgebra::DVector;
use rand::Rng;

use super::constants::{BOUGHT_CAUTION, CAUTION, DESCENT_STEPS, DESCENTS, MINIMA, SAMPLED_FOR_MEAN, SUPPORT};
use crate::acquisition::{Minima, Values, best_mean};
use crate::optimizer::{Optimizer, Recommendation};
use crate::problem::{Evidence, Mixture, Observation, Weights};
use crate::surrogate::Surrogate;

/// Standard deviations by which means are held against mixtures, when the values of so many of them are known.
pub fn caution(known: usize) -> f64 {
    match known {
        0 | 1 => CAUTION,
        known => student(BOUGHT_CAUTION, (known - 1) as f64),
    }
}

/// The place of the smallest value: what is known of it, or its mean and so many (`caution`) standard deviations.
fn cautious_best(values: &Values, caution: f64) -> usize {
    let bound = |i: usize| {
        let variance = values.covariance[(i, i)].max(0.0) + values.noise;
        values.known[i].unwrap_or_else(|| values.mean[i] + caution * variance.sqrt())
    };
    (0..values.mean.len()).min_by(|a, b| bound(*a).total_cmp(&bound(*b))).unwrap_or(0)
}

/// Student's t with so many degrees of freedom at the level of a standard normal `z` (Abramowitz & Stegun 26.7.5 to third
/// order: within 2 % for `z` up to 1).
fn student(z: f64, freedom: f64) -> f64 {
    let first = z.powi(3) + z;
    let second = 5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z;
    let third = 3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z;
    z + first / (4.0 * freedom) + second / (96.0 * freedom.powi(2)) + third / (384.0 * freedom.powi(3))
}

/// The mixtures that matter for a recommendation: those of the smallest expected values.
pub(super) struct Contenders {
    /// Columns of the matrix that they were chosen from, the smallest expected value first.
    pub columns: Vec<usize>,
    /// Their joint distribution.
    pub values: Values,
    /// Which of them is recommended (an index into both).
    pub recommended: usize,
}

impl Contenders {
    /// Draws of the smallest value among them.
    pub fn minima(&self, rng: &mut impl Rng) -> Minima {
        self.values.sample_minima(self.recommended, MINIMA, rng)
    }
}

impl Optimizer {
    /// Of the p mixtures `x`, some of whose values may be known, those that matter among those that are `qualified` (indices; at least
    /// one).
    pub(super) fn contenders(
        &self,
        surrogate: &Surrogate,
        x: &Weights,
        known: &[Option<f64>],
        qualified: &[usize],
    ) -> Contenders {
        let values = self.expected_values(surrogate, x, known).select_rows(qualified);
        let columns: Vec<usize> = smallest(&values, SUPPORT).into_iter().map(|i| qualified[i]).collect();
        let (mean, covariance) = surrogate.posterior(&x.select(&columns));
        let caution = caution(known.iter().flatten().count());
        let known: Vec<Option<f64>> = columns.iter().map(|i| known.get(*i).copied().flatten()).collect();
        let values = Values { mean, covariance, known, noise: self.goal_noise(surrogate) };
        let recommended = cautious_best(&values, caution);
        Contenders { columns, values, recommended }
    }

    /// The mixture of smallest posterior mean at the target, cautiously ([`CAUTION`], [`BOUGHT_CAUTION`]): of `candidates`,
    /// or of the space.
    pub(in crate::optimizer) fn best(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        candidates: Option<&[Mixture]>,
        rng: &mut impl Rng,
    ) -> Recommendation {
        // Whether guards hold is a statement about mixtures, like an expected value.
        let about = (!self.guards.is_empty()).then(|| self.integrated(&evidence.observations).ok()).flatten();
        let about = about.as_deref().unwrap_or(surrogate);
        let (mixture, pool_index, expected_regret) = match candidates {
            Some(candidates) => {
                let x = self.columns(candidates.iter().map(Mixture::weights));
                let runs: Vec<Option<&Observation>> = candidates.iter().map(|c| self.run_of(evidence, c)).collect();
                let qualified = self.qualified(about, evidence, &x, &runs);
                let contenders = self.contenders(surrogate, &x, &self.known_values(evidence, candidates), &qualified);
                let best = contenders.columns[contenders.recommended];
                (candidates[best].clone(), Some(best), contenders.minima(rng).expected_regret)
            }
            None => {
                let (mixture, regret) = self.best_of_space((surrogate, about), evidence, rng);
                (mixture, None, regret)
            }
        };
        let expected = self.expectation(evidence, &mixture, self.fidelities.target());
        Recommendation { mixture, pool_index, expected, expected_regret }
    }

    /// The mixture of the space that is recommended, with its expected regret.
    fn best_of_space(
        &self,
        (surrogate, about): (&Surrogate, &Surrogate),
        evidence: &Evidence,
        rng: &mut impl Rng,
    ) -> (Mixture, Option<f64>) {
        let polytope = self.space.polytope();
        let mut starts = self.known_mixtures(evidence);
        starts.extend(polytope.sample(SAMPLED_FOR_MEAN, rng));
        let best = self.lowest_means(surrogate, &starts, DESCENTS);
        starts.extend(best_mean(surrogate, polytope, &best, DESCENT_STEPS));
        if !self.guards.is_empty() {
            starts.extend(self.constrained((surrogate, about), evidence, &starts));
        }
        let mut starts = self.usable_optima((surrogate, about), evidence, starts);
        let x = self.columns(starts.iter().map(Vec::as_slice));
        let contenders = self.contenders(surrogate, &x, &[], &self.qualified(about, evidence, &x, &[]));
        let regret = contenders.minima(rng).expected_regret;
        (Mixture::new(starts.swap_remove(contenders.columns[contenders.recommended])), regret)
    }

    /// What to recommend without a model: the mixture with the best objective at the largest size observed, else the
    /// most even one.
    pub(in crate::optimizer) fn best_guess(
        &self,
        evidence: &Evidence,
        candidates: Option<&[Mixture]>,
    ) -> Recommendation {
        let baseline = self.baseline(evidence);
        let loss = |o: &Observation| self.objective.loss(&o.metrics, o.fidelity, &baseline);
        let usable = |mixture: &Mixture| Mixture::new(self.space.usable(mixture.weights()));
        let best = evidence
            .observations
            .iter()
            .max_by(|a, b| a.fidelity.cmp(&b.fidelity).then(loss(b).total_cmp(&loss(a))))
            // Bounds may have been tightened since it was trained.
            .map_or_else(
                || usable(&self.space.uniform()),
                |o| match self.space.broken_bounds(&o.mixture).as_slice() {
                    [] => o.mixture.clone(),
                    _ => usable(&o.mixture),
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

    /// The mixtures observed so far, the uniform one and the prior, within the present bounds.
    pub(in crate::optimizer) fn known_mixtures(&self, evidence: &Evidence) -> Vec<Vec<f64>> {
        let observed = evidence.observations.iter().map(|o| o.mixture.clone());
        let reference = [self.space.uniform()].into_iter().chain(self.space.prior());
        let mut known: Vec<Vec<f64>> = Vec::new();
        for mixture in observed.chain(reference) {
            // Bounds may have been tightened since a mixture was trained.
            let weights = self.space.polytope().project(mixture.weights());
            if !known.contains(&weights) {
                known.push(weights);
            }
        }
        known
    }

    /// The `count` mixtures of smallest posterior mean at the target, best first.
    pub(super) fn lowest_means(&self, surrogate: &Surrogate, mixtures: &[Vec<f64>], count: usize) -> Vec<Vec<f64>> {
        let means = surrogate.mean(&self.columns(mixtures.iter().map(Vec::as_slice)));
        smallest(&means, count).into_iter().map(|i| mixtures[i].clone()).collect()
    }
}

/// Places of the `count` smallest values, smallest first.
pub(super) fn smallest(values: &DVector<f64>, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;

    use super::*;

    /// Two mixtures: mean, standard deviation, and what is known of it.
    fn two(mixtures: [(f64, f64, Option<f64>); 2]) -> Values {
        Values {
            mean: DVector::from_fn(2, |i, _| mixtures[i].0),
            covariance: DMatrix::from_fn(2, 2, |i, j| if i == j { mixtures[i].1.powi(2) } else { 0.0 }),
            known: mixtures.map(|(_, _, known)| known).to_vec(),
            noise: 0.0,
        }
    }

    #[test]
    fn of_mixtures_with_nearly_equal_means_the_better_known_one_is_recommended() {
        let nearly = two([(1.0, 0.01, None), (0.99, 0.1, None)]);
        assert_eq!(cautious_best(&nearly, caution(0)), 0);
        let clearly = two([(1.0, 0.01, None), (0.95, 0.1, None)]);
        assert_eq!(cautious_best(&clearly, caution(0)), 1);
    }

    #[test]
    fn a_bought_run_is_recommended_before_one_that_is_expected_to_be_little_better() {
        // Better by 0.6 standard deviations, where two runs are known; then by two, where many are.
        let little = two([(1.0, 0.0, Some(1.0)), (0.97, 0.05, None)]);
        assert_eq!(cautious_best(&little, caution(2)), 0);
        assert_eq!(cautious_best(&two([(1.0, 0.0, Some(1.0)), (0.9, 0.05, None)]), caution(20)), 1);
        // One run does not determine a spread.
        assert_eq!(cautious_best(&little, caution(1)), 1);
    }

    #[test]
    fn students_t_is_that_of_tables() {
        // Quantiles at the level of a standard normal 1.0, 0.8413: the first is tan(π (0.8413 − 0.5)).
        for (freedom, table) in [(1.0, 1.8373), (2.0, 1.3213), (3.0, 1.1969), (10.0, 1.0526), (1e9, 1.0)] {
            assert!((student(1.0, freedom) / table - 1.0).abs() < 0.02, "{freedom}: {}", student(1.0, freedom));
        }
    }
}
