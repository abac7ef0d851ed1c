//! Text for people and for shells.

use std::fmt;

/// `1 run`, `2 runs`.
#[must_use]
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", agreeing(n, "", "s"))
}

/// The word that agrees with so many: `agreeing(n, "was", "were")`.
#[must_use]
pub fn agreeing<'a>(n: usize, one: &'a str, several: &'a str) -> &'a str {
    if n == 1 { one } else { several }
}

/// The sign of a negative number. A hyphen is narrower than the `+` of others in its column.
const MINUS: &str = "−";

/// A Gaussian. Shown with two digits of the standard deviation, and as many of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uncertain {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
}

/// Half-width of the central 90 % interval of a standard normal.
pub const NINETY: f64 = 1.644_853_626_951_473;

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

    /// The mean alone.
    #[must_use]
    pub fn mean_words(self) -> String {
        fixed(self.mean, self.decimals())
    }

    /// The interval in words.
    #[must_use]
    pub fn interval_words(self) -> String {
        let (low, high) = self.interval();
        let decimals = self.decimals();
        format!("{} to {}", fixed(low, decimals), fixed(high, decimals))
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
        write!(f, "{} ± {:.decimals$}", fixed(self.mean, decimals), self.sd)
    }
}

/// `x` with so many decimals.
#[must_use]
pub fn fixed(x: f64, decimals: usize) -> String {
    format!("{x:.decimals$}").replace('-', MINUS)
}

fn signed(x: f64, decimals: usize) -> String {
    let text = format!("{x:+.decimals$}");
    // Nothing is neither more nor less.
    let zero = text.chars().all(|c| "+-0.".contains(c));
    if zero { text[1..].to_owned() } else { text.replace('-', MINUS) }
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

/// `x` with at most `digits` significant digits and without trailing zeros; powers of ten only where they are shorter
/// to read (below 1e-4 and from 1e7 on). The sign is a minus (U+2212), as everywhere where people read.
///
/// ```
/// use admire::text::number;
///
/// assert_eq!(number(0.016_000_1, 3), "0.016");
/// assert_eq!(number(1234.6, 3), "1235");
/// assert_eq!(number(2.5e-7, 3), "2.5e-7");
/// assert_eq!(number(-0.25, 3), "−0.25");
/// ```
#[must_use]
pub fn number(x: f64, digits: usize) -> String {
    let minus = if x < 0.0 { MINUS } else { "" };
    let x = x.abs();
    if x == 0.0 || !x.is_finite() {
        return format!("{minus}{x}");
    }
    let exponential = format!("{x:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = exponential.split_once('e').unwrap_or((&exponential, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if (-4..7).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        format!("{minus}{}", trim(&format!("{x:.decimals$}")))
    } else {
        format!("{minus}{}e{exponent}", trim(mantissa))
    }
}

/// An argv array as a shell would take it.
#[must_use]
pub fn command_line(argv: &[String]) -> String {
    argv.iter().map(|a| quote(a)).collect::<Vec<_>>().join(" ")
}

/// `text` as one word of a POSIX shell, in quotes, whatever is in it (but NUL, which no word can hold).
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` as an argument of a command for people to read and copy: in quotes only where it needs them.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into() } else { quoted(text) }
}

/// The known name that `name` probably was meant to be.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Time and memory go with the product of the lengths, and this is no misspelt name.
    if name.len() > 400 {
        return None;
    }
    let scored = known.map(|k| (strsim::damerau_levenshtein(&name.to_lowercase(), &k.to_lowercase()), k));
    let (distance, best) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= (best.len().max(name.len()) / 3).max(1)).then_some(best)
}

/// `did you mean "x"?` where a known name is near `name`, else a list of the known ones.
#[must_use]
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = nearest(name, known.iter().copied());
    near.map_or_else(|| format!("there is {}", known.join(", ")), |near| format!("did you mean \"{near}\"?"))
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
        assert_eq!(Uncertain { mean: -0.02, sd: 0.01 }.interval_words(), "−0.036 to −0.004");
        assert_eq!(Uncertain { mean: 2.314_159, sd: 0.002_13 }.mean_words(), "2.3142");
        assert_eq!(Uncertain { mean: -0.0001, sd: 0.01 }.signed_mean(), "0.000");
    }

    #[test]
    fn nothing_is_certain() {
        assert_eq!(probability(1.0), "> 99.9 %");
        assert_eq!(probability(0.995), "99.5 %");
        assert_eq!(probability(0.5), "50 %");
        assert_eq!(probability(0.0), "< 0.1 %");
    }

    #[test]
    fn numbers_keep_their_significant_digits() {
        for (x, expected) in [
            (0.0, "0"),
            (48.0, "48"),
            (0.051_93, "0.0519"),
            (-2.10, "−2.1"),
            (-2.5e-7, "−2.5e-7"),
            (-0.0, "0"),
            (f64::NEG_INFINITY, "−inf"),
            (0.9999, "1"),
            (3e9, "3e9"),
            (1e-5, "1e-5"),
        ] {
            assert_eq!(number(x, 3), expected);
        }
    }
}
