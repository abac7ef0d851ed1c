//! Max-value entropy: information about the smallest target objective.

use super::point::{LogValue, Point};
use crate::problem::normal::inverse_mills;

/// The GIBBON bound of one point for one sample of the minimum, `−½ log(1 − ρ² r (γ + r))`: value, and derivatives with respect
/// to ρ² and γ.
#[must_use]
pub fn gibbon(rho2: f64, gamma: f64) -> (f64, f64, f64) {
    let (r, t) = inverse_mills(gamma);
    let rest = 1.0 - rho2 * t;
    // r' = −t, hence t' = r (1 − t) − t (γ + r); in the upper tail everything vanishes like φ.
    let slope = r * (1.0 - t) - t * if r > 0.0 { t / r } else { gamma };
    (-0.5 * (-rho2 * t).ln_1p(), 0.5 * t / rest, 0.5 * rho2 * slope / rest)
}

/// The logarithm of `−½ mean_s log(1 − ρ² r (γ + r))` over samples f*_s of the minimum, with `γ = (μ − f*_s)/σ` and
/// `r = φ(γ)/Φ(γ)` (Moss et al. 2021, eq. 14; with fidelities after Takeno et al. 2020).
pub(super) fn value(point: &Point, minima: &[f64]) -> LogValue {
    let Point { mean, variance, rho2, clipped } = *point;
    let sd = variance.sqrt();
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
    LogValue {
        log: (total / minima.len() as f64).ln(),
        d_mean: d_mean / total,
        d_variance: (d_variance - by_reduction * rho2) / total,
        d_reduction: by_reduction / total,
    }
}
