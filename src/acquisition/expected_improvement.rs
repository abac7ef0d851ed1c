//! Expected improvement at the target.

use super::point::{LogValue, Point};
use crate::problem::normal::log_improvement;

/// The logarithm of `σ h(u) ρ²` with `u = (best − μ)/σ` and `h(u) = φ(u) + u Φ(u)` (Ament et al. 2023, eq. 9): the expected
/// improvement over `best`, and of it what the observation can reveal.
pub(super) fn value(point: &Point, best: f64) -> LogValue {
    let u = (best - point.mean) / point.variance.sqrt();
    point.improvement(u, log_improvement(u))
}
