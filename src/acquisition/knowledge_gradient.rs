//! The knowledge gradient: by how much an observation is expected to improve the recommendation.

use nalgebra::{DMatrix, DVector};

use crate::problem::normal::log_improvement;

/// What one recommends from, and how. The recommended point is that of the smallest posterior mean plus margin.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Posterior means (minimized, length p).
    pub mean: DVector<f64>,
    /// What is added to each mean before they are compared (length p): how cautious the recommendation is about it.
    pub margin: DVector<f64>,
    /// Which point is recommended today.
    pub best: usize,
}

impl Choices {
    /// Any of the points may be recommended.
    #[must_use]
    pub fn new(mean: DVector<f64>, margin: DVector<f64>) -> Self {
        let best = (&mean + &margin).imin();
        Self { mean, margin, best }
    }
}

/// Logarithm of the knowledge gradient of one observation, for one alternative at a time (Frazier, Powell & Dayanik 2009).
///
/// An observation whose outcomes are independent (J metrics) moves the means of the `choices` by `moves · z` (p × J) with `z`
/// standard normal, and leaves the margins `after` (length p).
///
/// The recommendation improves by switching from today's point b to another point t. The difference of their means becomes
/// `μ_t − μ_b + σ z`, where σ is the standard deviation of the difference of their moves, and one switches where that, with the
/// difference δ of the margins after the observation, is below zero. With `u = −(μ_t − μ_b + δ)/σ` and `h(u) = φ(u) + u Φ(u)` the
/// mean that is gained is `σ h(u) + δ Φ(u)`; without margins, the usual `σ h(u)`. With two points that is exact. With more, the
/// largest over t does not count one surprise twice, as sums over many alternatives do; without margins it bounds the knowledge
/// gradient from below. `−∞` where nothing is gained.
///
/// Where guards have to hold, a point may be recommended after the observation with the probability whose logarithm is `log_chance`
/// (length p), and what is gained by a switch to it is multiplied by that.
#[must_use]
pub fn log_knowledge_gradient(
    choices: &Choices,
    moves: &DMatrix<f64>,
    after: &DVector<f64>,
    log_chance: &DVector<f64>,
) -> f64 {
    let Choices { mean, best, .. } = choices;
    let best = *best;
    let mut largest = f64::NEG_INFINITY;
    // Gap and deviation of an alternative that is worth no more than the largest value so far, whatever its margins are.
    let mut hopeless = (f64::INFINITY, 0.0);
    for t in (0..mean.len()).filter(|t| *t != best) {
        let gap = mean[t] - mean[best];
        let sd = (moves.row(t) - moves.row(best)).norm();
        // The most that a switch can be worth grows with the deviation and falls with the gap.
        if sd == 0.0 || (gap >= hopeless.0 && sd <= hopeless.1) {
            continue;
        }
        let most = sd.ln() + log_improvement(-gap / sd).0;
        let delta = after[t] - after[best];
        let value = if delta == 0.0 { most } else { log_switch(gap, sd, delta) };
        largest = largest.max(value + log_chance[t]);
        if most <= largest && gap <= hopeless.0 && sd >= hopeless.1 {
            hopeless = (gap, sd);
        }
    }
    largest
}

/// `log(σ h(u) + δ Φ(u))` with `u = −(gap + δ)/σ`; `−∞` where that is not positive.
fn log_switch(gap: f64, sd: f64, delta: f64) -> f64 {
    // The slope of log h is Φ/h.
    let (log, slope) = log_improvement(-(gap + delta) / sd);
    let share = delta * slope / sd;
    if share > -1.0 { sd.ln() + log + share.ln_1p() } else { f64::NEG_INFINITY }
}
