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
    let mut largest = f64::NEG_INFINITY;
    // The gap to today's best and the standard deviation of the alternative with the largest worth so far.
    let mut leader = (f64::INFINITY, 0.0);
    for t in (0..values.len()).filter(|t| *t != best) {
        let gap = values[t] - values[best];
        let sd = (moves.row(t) - moves.row(best)).norm();
        // The worth grows with the deviation and falls with the gap: most alternatives need not be looked at.
        if sd == 0.0 || (gap >= leader.0 && sd <= leader.1) {
            continue;
        }
        let worth = sd.ln() + log_improvement(-gap / sd).0;
        if worth > largest {
            (largest, leader) = (worth, (gap, sd));
        }
    }
    largest
}
