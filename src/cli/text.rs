//! Small pieces of text for people.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) use crate::launcher::command::{command_line, quote};
use crate::space::is_hidden;

/// `text` as it may go to a terminal: what would act on it rather than be seen (a file, a log or a cluster may have put that
/// there) is written like in JSON, `\u001b`. Of a JSON document, which has it in strings only, the meaning stays the same.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let acts = |c: char| is_hidden(c) && !"\n\t".contains(c);
    if !text.contains(acts) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

/// Four significant digits.
pub(super) fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let digits = usize::try_from(3 - x.abs().log10().floor() as i64).unwrap_or(0).min(9);
    format!("{x:.digits$}")
}

/// Columns of the terminal that stdout is; of what is no terminal, more than anything needs.
pub(super) fn width() -> usize {
    console::Term::stdout().size_checked().map_or(usize::MAX, |(_, columns)| columns.into())
}

/// `text` with its bars in colour, where stdout is a terminal that has colours and nobody said `NO_COLOR`. The colour means
/// nothing, it only leads the eye.
pub(super) fn painted(text: &str) -> Cow<'_, str> {
    let is_bar = |c: char| ('▉'..='▏').contains(&c) || c == '█';
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if unwanted || !console::colors_enabled() || !text.contains(is_bar) {
        return text.into();
    }
    let mut painted = String::with_capacity(2 * text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_bar) {
        let bar = &rest[start..];
        let length = bar.find(|c| !is_bar(c)).unwrap_or(bar.len());
        painted += &rest[..start];
        painted += &console::style(&bar[..length]).cyan().to_string();
        rest = &bar[length..];
    }
    (painted + rest).into()
}

pub(super) use crate::report::counted;

/// At most two units: `45s`, `3m 20s`, `2h 5m`, `3d 4h`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

/// [`duration`] of so many seconds, at least none.
pub(super) fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds.round()).unwrap_or_default())
}

/// Seconds since 1970, now.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The present time, as a log has it.
pub(super) fn clock() -> String {
    Timestamp::now().to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time in seconds since 1970, as clocks here show it.
pub(super) fn moment(time: f64) -> String {
    let time = Duration::try_from_secs_f64(time).ok().and_then(|t| Timestamp::try_from(UNIX_EPOCH + t).ok());
    time.map_or_else(|| "?".into(), |t| t.to_zoned_datetime(TimeZone::system()).strftime("%b %-d %H:%M").to_string())
}

/// The first columns of a line that is too long for `width` of them.
pub(super) fn cut(line: &str, width: usize) -> Cow<'_, str> {
    console::truncate_str(line, width, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(visible("a\tb\n混合 é"), "a\tb\n混合 é");
        assert_eq!(visible("\u{1b}[2J\r\u{9b}\u{202e}x"), "\\u001b[2J\\u000d\\u009b\\u202ex");
        let text = "\u{7f}\u{85}\u{2028}\u{1}\"\\";
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<String>(&visible(&json)).unwrap(), text);
        assert_ne!(visible(&json), json);
    }
}
