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

/// Logarithm of the distribution function.
#[must_use]
pub fn log_distribution(x: f64) -> f64 {
    // Φ = φ/r with the inverse Mills ratio r.
    if x < TAIL { -0.5 * (x * x + TAU.ln()) - inverse_mills(x).0.ln() } else { distribution(x).ln() }
}

/// The value below which a standard normal is with probability `p`, in (0, 1).
#[must_use]
pub fn quantile(p: f64) -> f64 {
    // Every double has its distribution function 0 or 1 beyond. This many halvings leave nothing of the bracket.
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        *(if distribution(middle) < p { &mut low } else { &mut high }) = middle;
    }
    0.5 * (low + high)
}

/// `c(x) = 1/(x + 2/(x + 3/(x + …)))` for `x` above −[`TAIL`]: Laplace's continued fraction of the Mills ratio is
/// `Φ(−x)/φ(x) = 1/(x + c(x))` (Abramowitz & Stegun 26.2.14). Further terms would change nothing but its last bit.
fn tail_fraction(x: f64) -> f64 {
    let terms = 10.0 + 600.0 / (x * x);
    (1..=terms as u32).rev().fold(0.0, |rest, k| f64::from(k) / (x + rest))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_of_the_distribution_hold_far_out() {
        for x in [-2.9, -1.0, 0.0, 2.0] {
            assert!((log_distribution(x) - distribution(x).ln()).abs() < 1e-12, "{x}");
        }
        // Abramowitz & Stegun, table 26.2, and the continued fraction on both sides of where it begins.
        assert!((log_distribution(-10.0) - -53.231_285_150_512_47).abs() < 1e-9);
        assert!((log_distribution(TAIL - 1e-9) - log_distribution(TAIL + 1e-9)).abs() < 1e-7);
    }

    #[test]
    fn the_tail_has_as_many_terms_as_it_needs() {
        for x in (0..400).map(|i| 3.0 * 1.01_f64.powi(i)) {
            let long = (1..=2000).rev().fold(0.0, |rest, k| f64::from(k) / (x + rest));
            assert!((tail_fraction(x) - long).abs() < 4e-16 * long, "{x}");
        }
    }

    #[test]
    fn quantiles_are_those_of_tables() {
        for (p, table) in
            [(0.5, 0.0), (0.9, 1.281_551_565_544_6), (0.95, 1.644_853_626_951_5), (0.001, -3.090_232_306_2)]
        {
            assert!((quantile(p) - table).abs() < 1e-9, "{p}: {}", quantile(p));
        }
    }
}
