//! The knowledge gradient: by how much an observation is expected to improve the recommendation.

use nalgebra::{DMatrix, DVector};

use super::normal::log_improvement;

/// Logarithm of (a lower bound on) the knowledge gradient of one observation (Frazier, Powell & Dayanik 2009).
///
/// `values` are the present posterior means (minimized, length p) of the points one recommends from; an observation
/// whose outcomes are independent (J metrics) moves them by `moves · z` (p × J) with `z` standard normal.
///
/// The recommendation improves by switching from today's best b to another point t: for one alternative that is worth
/// `σ h((μ_b − μ_t)/σ)` with `h(u) = φ(u) + u Φ(u)`, where σ is the standard deviation of the difference of their moves.
/// With two points that is exact; with more, the largest over t bounds the knowledge gradient from below and, unlike sums
/// over many alternatives, does not count one surprise twice. `−∞` where nothing moves.
#[must_use]
pub fn log_knowledge_gradient(values: &DVector<f64>, moves: &DMatrix<f64>) -> f64 {
    let best = values.imin();
    let gain = |t: usize| {
        let sd = (moves.row(t) - moves.row(best)).norm();
        if sd > 0.0 { sd.ln() + log_improvement((values[best] - values[t]) / sd).0 } else { f64::NEG_INFINITY }
    };
    (0..values.len()).filter(|t| *t != best).map(gain).fold(f64::NEG_INFINITY, f64::max)
}
