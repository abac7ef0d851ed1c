//! Lengths of time: seconds, or numbers with units.

use std::time::Duration;

/// Reads `90s`, `10m`, `1.5h`, `7d`, or a sequence such as `1h 30m`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse(text: &str) -> Result<Duration, String> {
    let hint = || {
        format!("`{text}` is not a length of time; write a number of seconds, or like \"90s\", \"10m\", \"2h\", \"7d\"")
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(hint());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(hint)?;
        let number: f64 = rest[..digits].parse().map_err(|_| hint())?;
        let unit_and_rest = rest[digits..].trim_start();
        let end = unit_and_rest.find(|c: char| !c.is_alphabetic()).unwrap_or(unit_and_rest.len());
        seconds += number
            * match &unit_and_rest[..end] {
                "ms" => 1e-3,
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return Err(hint()),
            };
        rest = unit_and_rest[end..].trim_start();
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| hint())
}
