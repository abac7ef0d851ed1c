//! What a criterion sees of a point, and what it says of it.

use crate::surrogate::Lookahead;

/// Largest ρ² used: an observation that says everything would be worth infinitely much.
const RHO2_MAX: f64 = 1.0 - 1e-9;

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

/// An lookahead as the criteria see it.
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
    pub fn new(lookahead: &Lookahead) -> Self {
        Self {
            mean: lookahead.mean,
            variance: lookahead.variance,
            rho2: (lookahead.reduction / lookahead.variance).clamp(1e-12, RHO2_MAX),
            clipped: lookahead.reduction > RHO2_MAX * lookahead.variance,
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
