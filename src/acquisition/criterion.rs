//! Acquisition functions: what observing at (mixture, fidelity) is worth, in logarithms, with derivatives.
//!
//! All of them see a point through three numbers (an [`Outlook`]): the posterior mean μ and variance σ² of the target
//! objective (minimized) there, and the variance R that the observation would remove. ρ² = R/σ² is the squared
//! correlation of the observation with the target objective: how good a proxy the fidelity is at that mixture.

use super::normal::{inverse_mills, log_improvement};
use crate::surrogate::Outlook;

/// Largest ρ² used: an observation that says everything would be worth infinitely much.
const RHO2_MAX: f64 = 1.0 - 1e-9;
/// Standard deviations by which the confidence bound is optimistic.
const OPTIMISM: f64 = 2.0;

/// An acquisition function with the state of the study it needs.
#[derive(Clone, Debug)]
pub enum Criterion {
    /// Information about the smallest target objective, given samples of it: the GIBBON bound for one point (Moss et
    /// al. 2021, eq. 14; with fidelities after Takeno et al. 2020),
    /// `−½ mean_s log(1 − ρ² r (γ + r))` with `γ = (μ − f*_s)/σ` and `r = φ(γ)/Φ(γ)`.
    Entropy {
        /// Samples f* of the minimum.
        minima: Vec<f64>,
    },
    /// Expected improvement at the target over `best`, times ρ²: what of it the observation can reveal.
    ExpectedImprovement {
        /// Smallest posterior mean of the target objective among the mixtures tried.
        best: f64,
    },
    /// Optimistic improvement at the target, `σ softplus((best − μ)/σ + 2)`, times ρ²: a smooth confidence bound.
    ConfidenceBound {
        /// As for the expected improvement.
        best: f64,
    },
}

/// Value and derivatives of the log acquisition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// Logarithm of the acquisition function.
    pub log: f64,
    /// Derivative with respect to the mean μ.
    pub d_mean: f64,
    /// Derivative with respect to the variance σ².
    pub d_variance: f64,
    /// Derivative with respect to the reduction R.
    pub d_reduction: f64,
}

/// The GIBBON bound of one point for one sample of the minimum: value, and derivatives with respect to ρ² and γ.
#[must_use]
pub fn gibbon(rho2: f64, gamma: f64) -> (f64, f64, f64) {
    let (r, t) = inverse_mills(gamma);
    let rest = 1.0 - rho2 * t;
    // r' = −t, hence t' = r (1 − t) − t (γ + r); in the upper tail everything vanishes like φ.
    let slope = r * (1.0 - t) - t * if r > 0.0 { t / r } else { gamma };
    (-0.5 * (-rho2 * t).ln_1p(), 0.5 * t / rest, 0.5 * rho2 * slope / rest)
}

impl Criterion {
    /// The worth of an observation with this outlook.
    #[must_use]
    pub fn worth(&self, outlook: &Outlook) -> Worth {
        let (mean, variance) = (outlook.mean, outlook.variance);
        let sd = variance.sqrt();
        let clipped = outlook.reduction > RHO2_MAX * variance;
        let rho2 = (outlook.reduction / variance).clamp(1e-12, RHO2_MAX);
        match self {
            Self::Entropy { minima } => {
                let (mut value, mut d_rho2, mut d_mean, mut d_variance) = (0.0, 0.0, 0.0, 0.0);
                for minimum in minima {
                    let gamma = (mean - minimum) / sd;
                    let (v, by_rho2, by_gamma) = gibbon(rho2, gamma);
                    value += v;
                    d_rho2 += by_rho2;
                    d_mean += by_gamma / sd;
                    d_variance -= by_gamma * gamma / (2.0 * variance);
                }
                // Sums and the mean over samples differ by a constant in the logarithm only; keep the mean.
                let total = value.max(f64::MIN_POSITIVE);
                let by_reduction = if clipped { 0.0 } else { d_rho2 / variance };
                Worth {
                    log: (total / minima.len() as f64).ln(),
                    d_mean: d_mean / total,
                    d_variance: (d_variance - by_reduction * rho2) / total,
                    d_reduction: by_reduction / total,
                }
            }
            Self::ExpectedImprovement { best } => {
                let u = (best - mean) / sd;
                let (log, slope) = log_improvement(u);
                Self::improvement(log, slope, u, variance, rho2, clipped)
            }
            Self::ConfidenceBound { best } => {
                let u = (best - mean) / sd;
                let x = u + OPTIMISM;
                // log softplus(x) and its slope. It is x far down, where softplus and its slope both underflow.
                let (log, slope) = if x < -30.0 {
                    (x, 1.0)
                } else {
                    let softplus = if x > 30.0 { x } else { x.exp().ln_1p() };
                    (softplus.ln(), 1.0 / (1.0 + (-x).exp()) / softplus)
                };
                Self::improvement(log, slope, u, variance, rho2, clipped)
            }
        }
    }

    /// `log σ + log h(u) + log ρ²` for a function h of `u = (best − μ)/σ`, given its logarithm and that one's slope.
    fn improvement(log: f64, slope: f64, u: f64, variance: f64, rho2: f64, clipped: bool) -> Worth {
        let by_rho2 = if clipped { 0.0 } else { 1.0 };
        Worth {
            log: 0.5 * variance.ln() + log + rho2.ln(),
            d_mean: -slope / variance.sqrt(),
            d_variance: (0.5 * (1.0 - slope * u) - by_rho2) / variance,
            d_reduction: by_rho2 / (rho2 * variance),
        }
    }
}
