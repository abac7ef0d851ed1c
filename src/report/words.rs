//! Numbers as people read them.

use std::fmt;

/// `1 run`, `2 runs`.
#[must_use]
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A Gaussian. Shown with two digits of the standard deviation, and as many of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uncertain {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
}

/// Half-width of the central 90 % interval of a standard normal.
const NINETY: f64 = 1.644_853_626_951_473;

impl Uncertain {
    /// The central 90 % interval.
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        (self.mean - NINETY * self.sd, self.mean + NINETY * self.sd)
    }

    /// Decimals that show two digits of the standard deviation.
    fn decimals(self) -> usize {
        let scale = if self.sd > 0.0 { self.sd } else { self.mean.abs() / 100.0 };
        if scale > 0.0 && scale.is_finite() { (1.0 - scale.log10().floor()).clamp(0.0, 9.0) as usize } else { 0 }
    }

    /// The interval in words, signed.
    #[must_use]
    pub fn signed_interval(self) -> String {
        let (low, high) = self.interval();
        let decimals = self.decimals();
        format!("{} to {}", signed(low, decimals), signed(high, decimals))
    }

    /// Mean, with its sign, and standard deviation.
    #[must_use]
    pub fn signed(self) -> String {
        let decimals = self.decimals();
        format!("{} ± {:.decimals$}", signed(self.mean, decimals), self.sd)
    }

    /// The mean with its sign.
    #[must_use]
    pub fn signed_mean(self) -> String {
        signed(self.mean, self.decimals())
    }
}

impl fmt::Display for Uncertain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals();
        write!(f, "{} ± {:.decimals$}", signless(self.mean, decimals), self.sd)
    }
}

fn signless(x: f64, decimals: usize) -> String {
    format!("{x:.decimals$}").replace('-', "−")
}

fn signed(x: f64, decimals: usize) -> String {
    let text = format!("{x:+.decimals$}");
    // Nothing is neither more nor less.
    let zero = text.chars().all(|c| "+-0.".contains(c));
    if zero { text[1..].to_owned() } else { text.replace('-', "−") }
}

/// A weight, in percent.
#[must_use]
pub fn percent(weight: f64) -> String {
    format!("{:.1} %", 100.0 * weight)
}

/// A probability: never certain.
#[must_use]
pub fn probability(p: f64) -> String {
    match 100.0 * p {
        p if p > 99.9 => "> 99.9 %".into(),
        p if p < 0.1 => "< 0.1 %".into(),
        p if (1.0..=99.0).contains(&p) => format!("{p:.0} %"),
        p => format!("{p:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_uncertainty() {
        let shown = |mean, sd| Uncertain { mean, sd }.to_string();
        assert_eq!(shown(2.314_159, 0.002_13), "2.3142 ± 0.0021");
        assert_eq!(shown(-1234.5, 56.7), "−1234 ± 57");
        assert_eq!(shown(0.5, 0.0), "0.5000 ± 0.0000");
        assert_eq!(shown(0.0, 0.0), "0 ± 0");
        assert_eq!(shown(f64::NAN, f64::NAN), "NaN ± NaN");
        assert_eq!(Uncertain { mean: 0.02, sd: 0.01 }.signed_interval(), "+0.004 to +0.036");
        assert_eq!(Uncertain { mean: -0.0001, sd: 0.01 }.signed_mean(), "0.000");
    }

    #[test]
    fn nothing_is_certain() {
        assert_eq!(probability(1.0), "> 99.9 %");
        assert_eq!(probability(0.995), "99.5 %");
        assert_eq!(probability(0.5), "50 %");
        assert_eq!(probability(0.0), "< 0.1 %");
    }
}
