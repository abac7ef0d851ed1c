//! How a training command reports: its result in a JSON file or a line of its stdout, and lines on its way.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::tail::tail;
use crate::files;
use crate::input;
use crate::problem::{Completed, Objective, Progress, TrialId, check_name};

/// How much of the end of stdout is searched for a result line.
const TAIL: u64 = 1 << 20;

/// What a result on stdout follows, together with the brace that it begins with.
const MARK: &str = "admire: {";

/// Bytes of the largest result file: what is larger is something else, a checkpoint perhaps.
const LARGEST: u64 = 16 << 20;

/// Characters of what is said about a result.
const EXCERPT: usize = 300;

/// What a readable result says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All metrics of the objective are there and finite; and what was ignored, for people.
    Completed(Completed, Vec<String>),
    /// One of them is NaN or infinite; which, for people.
    Diverged(String),
}

/// A JSON object. Only what is needed has to be more than syntax; of keys that appear twice the last counts.
type Fields = BTreeMap<String, Box<RawValue>>;

/// A number, bare or as text.
fn number(value: &RawValue) -> Option<f64> {
    let value = value.get();
    serde_json::from_str::<String>(value).map_or_else(|_| input::number(value), |text| input::number(&text))
}

fn fields(json: &str) -> serde_json::Result<Fields> {
    serde_json::from_str(json)
}

/// Reads a result: `{"loss": 2.31}` (short for the metric named `loss`) or `{"metrics": {…}, "se": …, "cost": …}`, or
/// `{"diverged": "…"}` with the reason.
///
/// Metrics that the objective does not use are kept where they are finite numbers. A cost or standard error that is negative
/// or no finite number is ignored and named, and so is a metric whose name cannot be one: nothing but the objective's metrics
/// is a reason to lose a training run.
///
/// # Errors
/// What is wrong, for people: not JSON, no metrics, or one of the objective's missing or no number.
pub fn parse(text: &str, objective: &Objective) -> Result<Outcome, String> {
    let report = fields(&quote_numbers(text)).map_err(|e| excerpt(format!("unreadable result: {e}")))?;
    interpret("the result", report, objective).map_err(excerpt)
}

/// Reads a report on the way: the JSON of a result with `step` or `tokens`, or both. `None` of JSON without these, which is no report on
/// the way.
///
/// # Errors
/// Why it does not count, for people: not JSON, of another trial than `trial`, without a finite value for every metric of the objective, …
pub fn parse_progress(text: &str, objective: &Objective, trial: TrialId) -> Result<Option<Progress>, String> {
    let mut report = fields(&quote_numbers(text)).map_err(|e| excerpt(format!("it is unreadable: {e}")))?;
    let (step, tokens) = (stated(&mut report, "step"), stated(&mut report, "tokens"));
    if step.is_none() && tokens.is_none() {
        return Ok(None);
    }
    let place = |what: &str, value: Option<Box<RawValue>>| match value.as_deref().map(|value| (number(value), value)) {
        None => Ok(None),
        Some((Some(x), _)) if x.is_finite() && x >= 0.0 => Ok(Some(x)),
        Some((_, value)) => Err(excerpt(format!("its {what} is {value}, not a finite number of at least 0"))),
    };
    let (step, tokens) = (place("step", step)?, place("tokens", tokens)?);
    let other = stated(&mut report, "trial").and_then(|other| number(&other)).filter(|other| *other != trial as f64);
    if let Some(other) = other {
        return Err(format!("it is about trial {other}"));
    }
    match interpret("it", report, objective) {
        Ok(Outcome::Completed(Completed { metrics, .. }, _)) => Ok(Some(Progress { step, tokens, metrics })),
        Ok(Outcome::Diverged(why)) => Err(why),
        Err(why) => Err(excerpt(why)),
    }
}

/// What a report says, which is called `what` if something is wrong with it.
fn interpret(what: &str, mut report: Fields, objective: &Objective) -> Result<Outcome, String> {
    let mut ignored = Vec::new();
    let mut metrics = Fields::new();
    if let Some(value) = stated(&mut report, "metrics") {
        match fields(value.get()) {
            Ok(found) => metrics = found,
            Err(_) => ignored.push(excerpt(format!("ignored metrics {value}: not an object"))),
        }
    }
    if let Some(reason) = stated(&mut report, "diverged").and_then(|value| diverged(&value)) {
        return Ok(Outcome::Diverged(excerpt(reason)));
    }
    if let Some(loss) = report.remove("loss") {
        metrics.entry("loss".into()).or_insert(loss);
    }
    let mut reported: BTreeMap<String, f64> =
        metrics.iter().filter_map(|(name, value)| Some((name.clone(), number(value)?))).collect();
    let names = || objective.metrics.iter().map(|metric| &metric.name);
    if let Some((name, value)) =
        names().find_map(|name| metrics.get_key_value(name).filter(|_| !reported.contains_key(name)))
    {
        return Err(format!("metric {name} is {value}, which is no number"));
    }
    let missing: Vec<&str> = names().map(String::as_str).filter(|name| !reported.contains_key(*name)).collect();
    if !missing.is_empty() {
        let found: Vec<&str> = reported.keys().map(String::as_str).collect();
        let found = if found.is_empty() { "no metric".into() } else { found.join(", ") };
        return Err(format!("{what} lacks {}; it reports {found}", missing.join(", ")));
    }
    if let Some(name) = names().find(|name| !reported[*name].is_finite()) {
        return Ok(Outcome::Diverged(infinite(name, metrics[name].get())));
    }
    // What has another name could be journalled, but not exported to a file that can be read again.
    reported.retain(|name, y| match check_name(name) {
        Ok(()) => y.is_finite(),
        Err(reason) => {
            ignored.push(excerpt(format!("ignored metric {name:?}: the name {reason}")));
            false
        }
    });
    let mut usable = |what: &str, value: &RawValue| {
        let number = number(value).filter(|x| x.is_finite() && *x >= 0.0);
        if number.is_none() {
            let value = excerpt(value.to_string());
            ignored.push(format!("ignored {what} {value}: not a finite number of at least 0"));
        }
        number
    };
    let cost = stated(&mut report, "cost").and_then(|cost| usable("cost", &cost));
    let se = match stated(&mut report, "se") {
        None => BTreeMap::new(),
        Some(value) => match fields(value.get()) {
            Ok(mut each) => {
                each.retain(|name, _| reported.contains_key(name));
                each.into_iter().filter_map(|(name, se)| usable("se", &se).map(|se| (name, se))).collect()
            }
            Err(_) => usable("se", &value).map_or_else(BTreeMap::new, |se| names().map(|n| (n.clone(), se)).collect()),
        },
    };
    Ok(Outcome::Completed(Completed { metrics: reported, se, cost, duration: None }, ignored))
}

/// The reason of `"diverged": "…"`; `true` will do.
fn diverged(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()) {
        Ok(Value::String(reason)) if !reason.is_empty() => Some(reason),
        Ok(Value::String(_) | Value::Bool(true)) => Some("the result says so".into()),
        _ => None,
    }
}

/// Takes a field out that is there and not `null`.
fn stated(report: &mut Fields, name: &str) -> Option<Box<RawValue>> {
    report.remove(name).filter(|value| value.get() != "null")
}

/// Says why a metric's value, as it was written, counts as no finite number.
fn infinite(name: &str, value: &str) -> String {
    let value = excerpt(value.trim_matches('"').to_owned());
    let finite = value.contains(|c: char| c.is_ascii_digit());
    let why =
        if finite { format!(", and beyond {:e} a number counts as infinite", input::LARGEST) } else { String::new() };
    format!("metric {name} is {value}{why}")
}

/// Its beginning: a result may be anything, and what is said about it goes into the journal.
fn excerpt(text: String) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Puts quotes around the numbers that JSON does not have, such as the bare `NaN` that Python's `json` writes, `-inf` and `.5`;
/// strings stay untouched.
fn quote_numbers(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    let (mut quoted, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        // A string, a word, or any other character.
        let end = match first {
            '"' => end_of_string(rest),
            c if in_word(c) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        let strange =
            in_word(first) && input::number(token).is_some() && serde_json::from_str::<IgnoredAny>(token).is_err();
        let quote = if strange { "\"" } else { "" };
        quoted.extend([quote, token, quote]);
        rest = after;
    }
    quoted
}

/// Where the string ends that `text` begins with.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    let quote = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    quote.map_or(text.len(), |i| i + 2)
}

/// The text of a result file, of at most 16 MiB. A pipe will do.
///
/// # Errors
/// What is wrong, for people.
pub fn text(file: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it has more than {} MiB, which no result has", LARGEST >> 20));
    }
    input::text(&bytes).map(str::to_owned).map_err(|e| e.to_string())
}

/// Which line of stdout may be the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    /// The last report, whatever it says: the command is known to have come to its end.
    Last,
    /// The last one without `step` and `tokens`: nobody knows whether a report on the way was followed by others.
    LastOfAnEnd,
}

/// The result in a trial's directory: the result file, else the last result on stdout that counts. Only the last MiB of
/// stdout is searched. The inner error says what is wrong with the result, for people.
///
/// # Errors
/// The system did not let it be read, although that was tried several times: this says nothing about the trial.
pub fn read(
    result: &Path,
    (stdout, counts): (&Path, Stdout),
    objective: &Objective,
) -> io::Result<Result<Outcome, String>> {
    match files::insist(result, |path| files::read_output(path, LARGEST))? {
        Ok(bytes) => {
            let text = input::text(&bytes).map_err(|e| format!("cannot read {}: {e}", result.display()));
            return Ok(text.and_then(|text| parse(text, objective)));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return Ok(Err(format!("{} is no file, or has more than {} MiB", result.display(), LARGEST >> 20))),
    }
    let tail = files::insist(stdout, |path| tail(path, TAIL))?;
    let tail = tail.map_err(|e| format!("cannot read {}: {e}", stdout.display()));
    Ok(tail.and_then(|tail| parse(&on_stdout(&tail, counts)?, objective)))
}

/// The last `admire: {…}` that ends the line and is JSON, or what is wrong with the last one; `None` where the line has none. Whatever
/// stands before it on the line, a launcher has written there: a rank, a colour, a progress bar.
pub(super) fn marked(line: &str) -> Option<Result<String, String>> {
    if !line.contains("admire:") {
        return None;
    }
    let (line, mut odd) = (console::strip_ansi_codes(line), None);
    for (at, _) in line.rmatch_indices(MARK) {
        let json = line[at + MARK.len() - 1..].trim_end();
        match fields(&quote_numbers(json)) {
            Ok(_) => return Some(Ok(json.to_owned())),
            Err(e) => odd = odd.or_else(|| Some(format!("what follows is no JSON ({e}): {json}"))),
        }
    }
    odd.map(Err)
}

/// The last [`marked`] result.
fn on_stdout(stdout: &str, counts: Stdout) -> Result<String, String> {
    let on_the_way = |json: &str| {
        fields(&quote_numbers(json)).is_ok_and(|report| ["step", "tokens"].iter().any(|key| report.contains_key(*key)))
    };
    let mut odd = None;
    for found in stdout.rsplit(['\n', '\r']).filter_map(marked) {
        match found {
            Ok(json) if counts == Stdout::Last || !on_the_way(&json) => return Ok(json),
            Ok(_) => {}
            Err(why) => odd = odd.or(Some(why)),
        }
    }
    Err(match odd {
        Some(why) => excerpt(format!("no result: a line of stdout contains `{MARK}`, but {why}")),
        None => "no result: neither the result file nor an `admire: {…}` line on stdout".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Aggregate, Direction, Metric};

    fn result(text: &str) -> Result<Outcome, String> {
        let metrics = vec![Metric { name: "loss".into(), weight: 1.0 }];
        parse(text, &Objective::new(metrics, Direction::Minimize, Aggregate::Mean))
    }

    #[test]
    fn every_spelling_of_nan_and_infinity_has_diverged() {
        for value in ["NaN", "nan", "NAN", "-nan", "inf", "-Inf", "+inf", "Infinity", "-INFINITY", "1e999", "-9e200"] {
            for text in [format!(r#"{{"loss": {value}}}"#), format!(r#"{{"metrics":{{"loss":"{value}"}}}}"#)] {
                let Ok(Outcome::Diverged(why)) = result(&text) else { panic!("{text}: {:?}", result(&text)) };
                assert!(why.contains("metric loss is") && why.contains(value), "{why}");
                assert_eq!(why.contains("beyond 1e50"), value.contains('9'), "{why}");
            }
        }
        for value in [".5", "+0.5", "5e-1", "\"0.5\""] {
            let Ok(Outcome::Completed(outcome, _)) = result(&format!(r#"{{"loss": {value}}}"#)) else {
                panic!("{value}")
            };
            assert_eq!(outcome.metrics["loss"], 0.5);
        }
        for value in ["nano", "null", "\"low\"", "[2.5]", "true"] {
            assert!(result(&format!(r#"{{"loss": {value}}}"#)).is_err(), "{value}");
        }
    }

    #[test]
    fn a_result_can_say_that_the_run_has_diverged() {
        for (text, reason) in [
            (r#"{"diverged": "a gradient of 1e9"}"#, "a gradient of 1e9"),
            (r#"{"loss": 2.5, "diverged": true}"#, "the result says so"),
            (r#"{"diverged": ""}"#, "the result says so"),
        ] {
            assert_eq!(result(text), Ok(Outcome::Diverged(reason.into())));
        }
        for no in ["false", "null", "[1]"] {
            assert!(
                matches!(result(&format!(r#"{{"loss": 2.5, "diverged": {no}}}"#)), Ok(Outcome::Completed(..))),
                "{no}"
            );
        }
    }

    #[test]
    fn odd_metrics_beside_a_sound_objective_do_no_harm() {
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        for odd in [
            format!(
                r#""metrics": {{"log": {deep}, "text": "x", "none": null, "yes": true, "big": 1e999, "also": 9e200}}"#
            ),
            format!(r#""history": {deep}, "loss": 2.5, "cost": null, "cost": null"#),
            r#""metrics": null"#.into(),
            r#""metrics": [1, 2]"#.into(),
            r#""metrics": {"n": "nan", "i": -inf, "\u001b": 1, "": 2}, "se": {"loss": "x", "other": 1}"#.into(),
        ] {
            let found = result(&format!(r#"{{"loss": 2.5, {odd}}}"#));
            let Ok(Outcome::Completed(outcome, _)) = found else { panic!("{odd}: {found:?}") };
            assert_eq!(
                (outcome.metrics, outcome.se),
                (BTreeMap::from([("loss".into(), 2.5)]), BTreeMap::new()),
                "{odd}"
            );
        }
        let Ok(Outcome::Completed(twice, _)) = result(r#"{"metrics": {"loss": 1, "a": 1, "a": 2, "loss": 2}}"#) else {
            panic!()
        };
        assert_eq!(twice.metrics, BTreeMap::from([("a".into(), 2.0), ("loss".into(), 2.0)]));
    }

    #[test]
    fn strings_stay_untouched() {
        let text = r#"{"a \" NaN": "inf \\", "b": [nan, -Infinity, 1e5, true, null], "ü": nano}"#;
        let expected = r#"{"a \" NaN": "inf \\", "b": ["nan", "-Infinity", 1e5, true, null], "ü": nano}"#;
        assert_eq!(quote_numbers(text), expected);
        assert_eq!(quote_numbers(r#""open NaN"#), r#""open NaN"#);
    }

    #[test]
    fn the_last_result_on_stdout_counts_whatever_stands_before_it() {
        for stdout in [
            "admire: {\"loss\": 1}\nadmire: {\"loss\": 2}\nadmire: done\n",
            " 50%|##\r100%|####|\radmire: {\"loss\": 2}\r",
            "[rank0]: admire: {\"loss\": 2}\r\n",
            "0: admire: {\"loss\": 2}",
            "\u{1b}[0madmire: {\"loss\": 2}\u{1b}[0m\n",
            "admire: {\"loss\": 2}\nadmire: {saved}\n",
            "admire: {\"loss\": 1}admire: {\"loss\": 2}\n",
        ] {
            assert_eq!(on_stdout(stdout, Stdout::Last).as_deref(), Ok("{\"loss\": 2}"), "{stdout:?}");
        }
        let odd = on_stdout("x\nadmire: {\"loss\": 2} 100%|####|\n", Stdout::Last).unwrap_err();
        assert!(odd.contains("contains `admire: {`, but what follows is no JSON (trailing characters"), "{odd}");
        assert!(on_stdout("admire: 5\nadmire: done", Stdout::Last).unwrap_err().contains("neither the result file"));
    }

    #[test]
    fn where_nobody_saw_the_end_a_report_on_the_way_is_no_result() {
        let stdout =
            "admire: {\"loss\": 3}\nadmire: {\"step\": 5, \"loss\": 2}\nadmire: {\"tokens\": 1e6, \"loss\": 1}\n";
        assert_eq!(on_stdout(stdout, Stdout::LastOfAnEnd).as_deref(), Ok("{\"loss\": 3}"));
        assert_eq!(on_stdout(stdout, Stdout::Last).as_deref(), Ok("{\"tokens\": 1e6, \"loss\": 1}"));
        assert!(on_stdout("admire: {\"step\": 5, \"loss\": 2}", Stdout::LastOfAnEnd).is_err());
    }

    #[test]
    fn a_report_on_the_way_says_where_it_is_and_has_every_metric_of_the_objective() {
        let metrics = vec![Metric { name: "loss".into(), weight: 1.0 }];
        let objective = Objective::new(metrics, Direction::Minimize, Aggregate::Mean);
        let read = |text: &str| parse_progress(text, &objective, 7);
        let full = r#"{"step": 10, "tokens": "2e9", "trial": 7, "metrics": {"loss": 2.5, "lr": 1e-3, "gone": NaN}}"#;
        let metrics = BTreeMap::from([("loss".into(), 2.5), ("lr".into(), 1e-3)]);
        assert_eq!(read(full), Ok(Some(Progress { step: Some(10.0), tokens: Some(2e9), metrics })));
        assert_eq!(read(r#"{"loss": 2.5}"#), Ok(None));
        assert_eq!(read(r#"{"loss": 2.5, "step": null}"#), Ok(None));
        for (text, why) in [
            (r#"{"step": 1, "loss": 2"#, "it is unreadable"),
            (r#"{"step": -1, "loss": 2}"#, "its step is -1, not"),
            (r#"{"tokens": 1e99, "loss": 2}"#, "its tokens is 1e99, not"),
            (r#"{"step": 1, "loss": NaN}"#, "metric loss is NaN"),
            (r#"{"step": 1, "metrics": {"other": 1}}"#, "it lacks loss; it reports other"),
            (r#"{"step": 1, "trial": 8, "loss": 2}"#, "it is about trial 8"),
        ] {
            assert!(read(text).unwrap_err().starts_with(why), "{text}: {:?}", read(text));
        }
    }
}
