//! Acquisition functions that are climbed: their values, in logarithms, with derivatives.
//!
//! All of them see a point through three numbers (an [`Outlook`]): the posterior mean μ and variance σ² of the target
//! objective (minimized) there, and the variance R that the observation would remove. ρ² = R/σ² is the squared
//! correlation of the observation with the target objective: how good a proxy the fidelity is at that mixture.

use super::{confidence_bound, entropy, expected_improvement};
use crate::surrogate::Outlook;

/// Largest ρ² used: an observation that says everything would be worth infinitely much.
const RHO2_MAX: f64 = 1.0 - 1e-9;

/// An acquisition function with the state of the study it needs. Each is in a file of its own.
#[derive(Clone, Debug)]
pub enum Criterion {
    /// Information about the smallest target objective, given samples of it ([`entropy`]).
    Entropy {
        /// Samples f* of the minimum.
        minima: Vec<f64>,
    },
    /// Expected improvement at the target over `best`, times ρ² ([`expected_improvement`]).
    ExpectedImprovement {
        /// Smallest posterior mean of the target objective among the mixtures tried.
        best: f64,
    },
    /// Optimistic improvement at the target, times ρ² ([`confidence_bound`]).
    ConfidenceBound {
        /// As for the expected improvement.
        best: f64,
    },
}

/// The logarithm of an acquisition function, and its derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogValue {
    /// The logarithm.
    pub log: f64,
    /// Derivative with respect to the mean μ.
    pub d_mean: f64,
    /// Derivative with respect to the variance σ².
    pub d_variance: f64,
    /// Derivative with respect to the reduction R.
    pub d_reduction: f64,
}

impl Criterion {
    /// The value of an observation with this outlook.
    #[must_use]
    pub fn value(&self, outlook: &Outlook) -> LogValue {
        let point = Point::new(outlook);
        match self {
            Self::Entropy { minima } => entropy::value(&point, minima),
            Self::ExpectedImprovement { best } => expected_improvement::value(&point, *best),
            Self::ConfidenceBound { best } => confidence_bound::value(&point, *best),
        }
    }
}

/// An outlook as the criteria see it.
pub(super) struct Point {
    /// μ
    pub mean: f64,
    /// σ²
    pub variance: f64,
    /// ρ², within bounds.
    pub rho2: f64,
    /// Whether ρ² is at its upper bound, where it does not depend on the reduction any more.
    pub clipped: bool,
}

impl Point {
    fn new(outlook: &Outlook) -> Self {
        Self {
            mean: outlook.mean,
            variance: outlook.variance,
            rho2: (outlook.reduction / outlook.variance).clamp(1e-12, RHO2_MAX),
            clipped: outlook.reduction > RHO2_MAX * outlook.variance,
        }
    }

    /// `log σ + log h(u) + log ρ²` for a function h of `u = (best − μ)/σ`, given its logarithm and that one's slope.
    pub fn improvement(&self, u: f64, (log, slope): (f64, f64)) -> LogValue {
        let by_rho2 = if self.clipped { 0.0 } else { 1.0 };
        LogValue {
            log: 0.5 * self.variance.ln() + log + self.rho2.ln(),
            d_mean: -slope / self.variance.sqrt(),
            d_variance: (0.5 * (1.0 - slope * u) - by_rho2) / self.variance,
            d_reduction: by_rho2 / (self.rho2 * self.variance),
        }
    }
}
