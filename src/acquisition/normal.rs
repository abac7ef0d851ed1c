//! Functions of the standard normal distribution that stay accurate far in its tails, where the acquisition functions
//! live: near convergence almost every mixture is many standard deviations worse than the best.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Below this, tail quantities come from a continued fraction: where the direct formulas would cancel.
const TAIL: f64 = -3.0;

/// Density.
#[must_use]
pub fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / TAU.sqrt()
}

/// Distribution function.
#[must_use]
pub fn distribution(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// `c(x) = 1/(x + 2/(x + 3/(x + …)))` for `x > 0`: Laplace's continued fraction of the Mills ratio is
/// `Φ(−x)/φ(x) = 1/(x + c(x))` (Abramowitz & Stegun 26.2.14).
fn tail_fraction(x: f64) -> f64 {
    (1..=150).rev().fold(0.0, |rest, k| f64::from(k) / (x + rest))
}

/// The inverse Mills ratio `r = φ(x)/Φ(x)` and `t = r (x + r)`, which lies in (0, 1).
#[must_use]
pub fn inverse_mills(x: f64) -> (f64, f64) {
    if x < TAIL {
        let c = tail_fraction(-x);
        let r = c - x;
        (r, r * c)
    } else {
        let r = density(x) / distribution(x);
        (r, r * (x + r))
    }
}

/// `log(φ(u) + u Φ(u))`, the logarithm of the expected improvement of a unit normal (Ament et al. 2023, eq. 9), and its
/// derivative.
#[must_use]
pub fn log_improvement(u: f64) -> (f64, f64) {
    if u < TAIL {
        // φ + uΦ = φ (1 − x/(x + c)) = φ c/(x + c) with x = −u, and the derivative is Φ/(φ + uΦ) = 1/c.
        let c = tail_fraction(-u);
        (-0.5 * (u * u + TAU.ln()) + (c / (c - u)).ln(), 1.0 / c)
    } else {
        let (phi, cumulative) = (density(u), distribution(u));
        let value = phi + u * cumulative;
        (value.ln(), cumulative / value)
    }
}
