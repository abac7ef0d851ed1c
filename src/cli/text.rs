//! Small pieces of text for people.

use std::time::Duration;

/// Four significant digits.
pub(super) fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let digits = usize::try_from(3 - x.abs().log10().floor() as i64).unwrap_or(0).min(9);
    format!("{x:.digits$}")
}

/// A bar of up to 20 cells for a weight.
pub(super) fn bar(weight: f64) -> String {
    "█".repeat((weight.clamp(0.0, 1.0) * 20.0).round() as usize)
}

/// At most two units: `45s`, `3m 20s`, `2h 5m`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s}s"),
        (h, m, _) => format!("{h}h {m}m"),
    }
}

/// An argv array as a shell would take it.
pub(super) fn command_line(argv: &[String]) -> String {
    argv.iter().map(|a| quote(a)).collect::<Vec<_>>().join(" ")
}

/// `text` as one word of a shell.
pub(super) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into() } else { crate::launcher::slurm::quote(text) }
}
