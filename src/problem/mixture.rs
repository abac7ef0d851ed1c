//! A mixture of domains.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Mixtures closer than this are the same one, but for rounding.
const ROUNDING: f64 = 1e-6;

/// The weights of a training mixture: non-negative, summing to one, in the domain order of the
/// [`SearchSpace`](crate::space::SearchSpace) (that is, sorted by domain name).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mixture(Vec<f64>);

impl Mixture {
    /// Wraps weights that already are a mixture (≥ 0, sum 1, in domain order); checked in debug builds only.
    #[must_use]
    pub fn new(weights: Vec<f64>) -> Self {
        debug_assert!(
            weights.iter().all(|w| *w >= -1e-9) && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-6,
            "not a mixture: {weights:?}"
        );
        Self(weights)
    }

    /// The weights, one per domain.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.0
    }

    /// The mixture with the weight of domain `i` (index) set to `weight`, in `[0, 1]`. The others share the rest in the
    /// proportions that they have, or equally where they have nothing.
    #[must_use]
    pub fn with_weight(&self, i: usize, weight: f64) -> Self {
        let (others, n) = (1.0 - self.0[i], self.0.len());
        let share = |w: f64| if others > 1e-12 { w / others } else { 1.0 / (n - 1).max(1) as f64 };
        let moved = |(j, w): (usize, &f64)| if j == i { weight } else { (1.0 - weight) * share(*w) };
        Self(self.0.iter().enumerate().map(moved).collect())
    }

    /// Total-variation distance to another mixture: half the sum of absolute differences, in `[0, 1]`. It is the share
    /// of the training data that would have to be exchanged to turn one mixture into the other.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        0.5 * self.0.iter().zip(&other.0).map(|(a, b)| (a - b).abs()).sum::<f64>()
    }

    /// Whether it is the other one, but for rounding.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.distance(other) < ROUNDING
    }
}

/// Mixtures as the columns of a D × n matrix. What a model sees is warped, and of another type.
#[derive(Clone, Debug)]
pub struct Weights(DMatrix<f64>);

/// Mixtures (length D each) as [`Weights`].
#[must_use]
pub fn columns<'a>(dim: usize, mixtures: impl IntoIterator<Item = &'a [f64]>) -> Weights {
    let mut values = Vec::new();
    for w in mixtures {
        values.extend_from_slice(w);
    }
    let n = values.len().checked_div(dim).unwrap_or(0);
    Weights(DMatrix::from_vec(dim, n, values))
}

impl Weights {
    /// The matrix.
    #[must_use]
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.0
    }

    /// How many mixtures there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.ncols()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The mixtures of these indices.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self(self.0.select_columns(indices))
    }
}
