//! Draws of the smallest value among several mixtures.

use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::surrogate::linalg::{Cholesky, jittered};

/// The joint distribution of the values of several mixtures (minimized).
pub struct Values {
    /// Means (length p).
    pub mean: DVector<f64>,
    /// Covariance (p × p).
    pub covariance: DMatrix<f64>,
    /// Values that are known (length p).
    pub known: Vec<Option<f64>>,
    /// Variance that each value has beyond the covariance, independent of the others.
    pub noise: f64,
}

/// Draws of the minimum.
pub struct Minima {
    /// The minimum in each draw.
    pub values: Vec<f64>,
    /// `E[value of the chosen mixture − minimum]`, ≥ 0, over the draws; `None` where there is no joint distribution to draw from.
    pub expected_regret: Option<f64>,
}

impl Values {
    /// `draws` draws of the minimum, and what the mixture `chosen` (an index) is expected to lack to it. Where rounding has spoilt
    /// the covariance, the smallest mean stands in for all draws.
    pub fn sample_minima(&self, chosen: usize, draws: usize, rng: &mut impl Rng) -> Minima {
        let Some(factor) = jittered(&self.covariance, Cholesky::new) else {
            let values = self.mean.iter().zip(&self.known).map(|(mean, known)| known.unwrap_or(*mean));
            return Minima { values: vec![values.fold(f64::INFINITY, f64::min)], expected_regret: None };
        };
        let mut regret = 0.0;
        let values = (0..draws)
            .map(|_| {
                let z = DVector::from_fn(self.mean.len(), |_, _| StandardNormal.sample(rng));
                let mut draw = &self.mean + factor.lower() * z;
                for (value, known) in draw.iter_mut().zip(&self.known) {
                    let luck: f64 = StandardNormal.sample(rng);
                    *value = known.unwrap_or(*value + self.noise.sqrt() * luck);
                }
                let minimum = draw.min();
                regret += draw[chosen] - minimum;
                minimum
            })
            .collect();
        Minima { values, expected_regret: Some(regret / draws as f64) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn values(covariance: DMatrix<f64>) -> Values {
        let n = covariance.nrows();
        Values { mean: DVector::from_fn(n, |i, _| i as f64), covariance, known: vec![None; n], noise: 0.0 }
    }

    #[test]
    fn without_a_joint_distribution_nothing_is_said_about_regret() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let spoilt = values(DMatrix::from_element(3, 3, f64::NAN)).sample_minima(0, 8, rng);
        assert_eq!((spoilt.expected_regret, spoilt.values), (None, vec![0.0]));
        let indefinite = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0]);
        assert_eq!(values(indefinite).sample_minima(0, 8, rng).expected_regret, None);
        assert!(values(DMatrix::identity(3, 3)).sample_minima(0, 8, rng).expected_regret.is_some());
    }

    #[test]
    fn the_minimum_of_two_equal_normals_is_that_of_the_books() {
        let both = Values { mean: DVector::zeros(2), ..values(DMatrix::identity(2, 2)) };
        let minima = both.sample_minima(0, 20_000, &mut ChaCha8Rng::seed_from_u64(2));
        let mean = minima.values.iter().sum::<f64>() / 20_000.0;
        // E min = −1/√π, which is also what either lacks to it.
        let expected = std::f64::consts::PI.sqrt().recip();
        assert!((mean + expected).abs() < 0.02, "{mean}");
        assert!((minima.expected_regret.unwrap() - expected).abs() < 0.02);
    }
}
