//! Small pieces of text for people.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use console::{Term, measure_text_width};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use textwrap::{WordSeparator, WordSplitter};

use crate::optimizer::Gain;
use crate::problem::{Prediction, is_hidden};
use crate::study::{Study, Trial};
pub(super) use crate::text::counted;
use crate::text::{Uncertain, number, percent};
pub(super) use crate::text::{command_line, quote};

/// A prediction, to be shown.
pub(super) fn uncertain(prediction: Prediction) -> Uncertain {
    Uncertain { mean: prediction.mean, sd: prediction.sd }
}

/// A gain, to be shown.
pub(super) fn uncertain_gain(gain: Gain) -> Uncertain {
    Uncertain { mean: gain.mean, sd: gain.sd }
}

/// A gain in JSON.
pub(super) fn gain_json(gain: Gain) -> Value {
    json!({"mean": gain.mean, "sd": gain.sd, "probability": gain.probability()})
}

/// This program as it was started.
pub(super) fn program() -> String {
    std::env::args_os().next().map_or_else(|| "admire".into(), |name| name.to_string_lossy().into_owned())
}

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

/// Whether weights of this sum are shares of a whole, but for rounding.
pub(super) fn is_one(sum: f64) -> bool {
    (sum - 1.0).abs() <= 1e-3
}

/// A cost with its unit, where there is one.
pub(super) fn cost(study: &Study, cost: f64) -> String {
    format!("{}{}", number(cost, 4), study.cost_unit().map_or_else(String::new, |unit| format!(" {unit}")))
}

/// How the result of a trial was corrected, if it was.
pub(super) fn correction(study: &Study, trial: &Trial) -> Option<String> {
    let correction = trial.correction.as_ref()?;
    let was = study.before(trial, correction).map_or_else(|| correction.before.name().to_owned(), |y| number(y, 5));
    Some(format!("corrected, was {was}: {}", correction.reason))
}

/// What there is to say of a trial, for people: how its result was corrected, why it came to nothing, or why it was continued.
pub(super) fn note(study: &Study, trial: &Trial) -> Option<String> {
    let continued = |why: &String| format!("continued after {} of its tokens: {why}", percent(trial.stopped_at));
    let reason = || trial.reason().map(str::to_owned).or_else(|| trial.continued.as_ref().map(continued));
    correction(study, trial).or_else(reason)
}

/// Columns of the terminal that stdout is; of what is no terminal, more than anything needs.
pub(super) fn width() -> usize {
    columns(&Term::stdout())
}

/// [`width`] of another stream.
pub(super) fn columns(stream: &Term) -> usize {
    stream.size_checked().map_or(usize::MAX, |(_, columns)| columns.into())
}

/// An argv array as a shell takes it, from column `start` on: lines that would be wider than `width` go on below.
pub(super) fn command(argv: &[String], start: usize, width: usize) -> String {
    let (mut text, mut column) = (String::new(), start);
    for word in argv.iter().map(|argument| quote(argument)) {
        let room = measure_text_width(&word);
        // Behind the word there may have to be a backslash.
        let (gap, after) = match text.is_empty() {
            true => ("", start),
            false if column + 1 + room + 2 <= width => (" ", column + 1),
            false => (" \\\n    ", 4),
        };
        text = text + gap + &word;
        column = after + room;
    }
    text
}

/// `text` with lines of more than `width` columns broken between words. What follows a break is indented to where the text
/// of its line begins: after a label with two spaces or more behind it.
pub(super) fn wrapped(text: &str, width: usize) -> Cow<'_, str> {
    if text.lines().all(|line| measure_text_width(line) <= width) {
        return text.into();
    }
    let broken = |line| {
        let indent = " ".repeat(text_column(line).min(width / 2));
        let options = textwrap::Options::new(width).subsequent_indent(&indent).break_words(false);
        let options = options.word_separator(WordSeparator::AsciiSpace).word_splitter(WordSplitter::NoHyphenation);
        textwrap::fill(line, options)
    };
    text.split('\n').map(broken).collect::<Vec<_>>().join("\n").into()
}

/// Where the text of a line begins: after its label, else two columns after its indentation.
fn text_column(line: &str) -> usize {
    let after_blanks = |text: &str| text.len() - text.trim_start().len();
    let start = after_blanks(line);
    match line[start..].find("  ").map(|at| start + at) {
        Some(gap) => measure_text_width(&line[..gap + after_blanks(&line[gap..])]),
        None => start + 2,
    }
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

/// The zone of clocks here, and what follows times in it: where the zone cannot be found, times are in UTC and say so.
fn zone() -> (TimeZone, &'static str) {
    TimeZone::try_system().map_or((TimeZone::UTC, "Z"), |zone| (zone, ""))
}

/// The present time, as a log has it.
pub(super) fn clock() -> String {
    let (zone, mark) = zone();
    format!("{}{mark}", Timestamp::now().to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M:%S"))
}

/// The present time, for readers elsewhere.
pub(super) fn written() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time in seconds since 1970, as clocks here show it; with its year where that is not the present one.
pub(super) fn moment(time: f64) -> String {
    let time = Duration::try_from_secs_f64(time).ok().and_then(|t| Timestamp::try_from(UNIX_EPOCH + t).ok());
    let (zone, mark) = zone();
    time.map_or_else(|| "?".into(), |time| format!("{}{mark}", date(time, Timestamp::now(), &zone)))
}

fn date(time: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let [time, now] = [time, now].map(|t| t.to_zoned_datetime(zone.clone()));
    time.strftime(if time.year() == now.year() { "%b %-d %H:%M" } else { "%b %-d %Y %H:%M" }).to_string()
}

/// The first columns of a line that is too long for `width` of them.
pub(super) fn cut(line: &str, width: usize) -> Cow<'_, str> {
    console::truncate_str(line, width, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_go_on_below_their_text() {
        let line = "against uniform  gains +0.10 (90 % interval +0.08 to +0.11)";
        assert_eq!(
            wrapped(line, 40),
            "against uniform  gains +0.10 (90 %\n                 interval +0.08 to\n                 +0.11)"
        );
        assert_eq!(wrapped("short\n  a space-filling design\n", 20), "short\n  a space-filling\n    design\n");
        assert_eq!(wrapped("see /a/path/without/any/blank", 12), "see\n  /a/path/without/any/blank");
        assert!(matches!(wrapped(line, 80), Cow::Borrowed(_)));
    }

    #[test]
    fn a_command_is_broken_as_shells_take_it() {
        let argv = ["admire", "optimize", "--config", "my study.toml"].map(str::to_owned);
        assert_eq!(command(&argv, 0, 80), "admire optimize --config 'my study.toml'");
        assert_eq!(command(&argv, 2, 20), "admire optimize \\\n    --config \\\n    'my study.toml'");
    }

    #[test]
    fn a_date_of_another_year_has_its_year() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(5));
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(date(at("2025-12-31T20:30:00Z"), now, &zone), "Jan 1 01:30");
        assert_eq!(date(at("2025-12-31T18:30:00Z"), now, &zone), "Dec 31 2025 23:30");
    }

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
