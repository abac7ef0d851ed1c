//! Acquisition functions that are climbed: their values, in logarithms, with derivatives.
//!
//! All of them see a point through three numbers (an [`Lookahead`]): the posterior mean μ and variance σ² of the target
//! objective (minimized) there, and the variance R that the observation would remove. ρ² = R/σ² is the squared
//! correlation of the observation with the target objective: how good a proxy the fidelity is at that mixture.

use super::point::{LogValue, Point};
use super::{confidence_bound, entropy, expected_improvement};
use crate::surrogate::Lookahead;

/// An acquisition function with the state of the study it needs. Each is in a file of its own.
#[derive(Clone, Debug)]
pub enum Criterion {
    /// Information about the smallest target objective, given samples of it (`entropy.rs`).
    Entropy {
        /// Samples f* of the minimum.
        minima: Vec<f64>,
    },
    /// Expected improvement at the target over `best`, times ρ² (`expected_improvement.rs`).
    ExpectedImprovement {
        /// Smallest posterior mean of the target objective among the mixtures tried.
        best: f64,
    },
    /// Optimistic improvement at the target, times ρ² (`confidence_bound.rs`).
    ConfidenceBound {
        /// As for the expected improvement.
        best: f64,
    },
}

impl Criterion {
    /// The value of an observation with this lookahead.
    #[must_use]
    pub fn value(&self, lookahead: &Lookahead) -> LogValue {
        let point = Point::new(lookahead);
        match self {
            Self::Entropy { minima } => entropy::value(&point, minima),
            Self::ExpectedImprovement { best } => expected_improvement::value(&point, *best),
            Self::ConfidenceBound { best } => confidence_bound::value(&point, *best),
        }
    }
}
