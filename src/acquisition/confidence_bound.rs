//! A confidence bound at the target, made smooth.

use super::point::{LogValue, Point};

/// Standard deviations by which the bound is optimistic: the usual two.
const OPTIMISM: f64 = 2.0;

/// The logarithm of `σ softplus((best − μ)/σ + 2) ρ²`: by how much the mixture is better than `best`, two standard deviations
/// below its mean, and of it what the observation can reveal.
pub(super) fn value(point: &Point, best: f64) -> LogValue {
    let u = (best - point.mean) / point.variance.sqrt();
    let x = u + OPTIMISM;
    // log softplus(x) and its slope. It is x far down, where softplus and its slope both underflow.
    let softplus = if x < -30.0 {
        (x, 1.0)
    } else {
        let softplus = if x > 30.0 { x } else { x.exp().ln_1p() };
        (softplus.ln(), 1.0 / (1.0 + (-x).exp()) / softplus)
    };
    point.improvement(u, softplus)
}
