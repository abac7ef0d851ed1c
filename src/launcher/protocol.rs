//! How a training command reports: a JSON file, or a line of its stdout.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::tail::tail;
use crate::space::check_name;
use crate::study::{Completed, Objective};

/// How much of the end of stdout is searched for a result line.
const TAIL: u64 = 1 << 20;

/// Bytes of the largest result file: what is larger is something else, a checkpoint perhaps.
const LARGEST: u64 = 16 << 20;

/// Characters of what is said about a result.
const EXCERPT: usize = 300;

/// What a readable result says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All metrics of the objective are there and finite; and what was ignored, for people.
    Completed(Completed, Vec<String>),
    /// One of them is NaN or infinite.
    Diverged,
}

/// Nothing but the objective's metrics has to be right, so nothing else has a type yet.
#[derive(Deserialize)]
struct Report {
    loss: Option<Value>,
    #[serde(default)]
    metrics: BTreeMap<String, Value>,
    se: Option<Value>,
    cost: Option<Value>,
}

/// A JSON number, or one of Python's names for those that JSON lacks.
fn number(value: &Value) -> Option<f64> {
    let named = || match value.as_str()? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    value.as_f64().or_else(named)
}

/// Reads a result: `{"loss": 2.31}` (short for the metric named `loss`) or `{"metrics": {…}, "se": …, "cost": …}`.
///
/// Metrics that the objective does not use are kept where they are finite. A cost or standard error that is negative or
/// no finite number is ignored and named, and so is a metric whose name cannot be one: they are no reason to lose a
/// training run.
///
/// # Errors
/// What is wrong, for people: not JSON, no metrics, or one of the objective's missing or no number.
pub fn parse(text: &str, objective: &Objective) -> Result<Outcome, String> {
    interpret(text, objective).map_err(excerpt)
}

fn interpret(text: &str, objective: &Objective) -> Result<Outcome, String> {
    let report: Report = serde_json::from_str(&quote_names(text)).map_err(|e| format!("unreadable result: {e}"))?;
    let mut metrics = report.metrics;
    if let Some(loss) = report.loss {
        metrics.entry("loss".into()).or_insert(loss);
    }
    let in_objective = |name: &String| objective.metrics.iter().any(|m| m.name == *name);
    if let Some((name, value)) = metrics.iter().find(|(n, y)| in_objective(n) && number(y).is_none()) {
        return Err(format!("metric {name} is {value}, which is no number"));
    }
    let mut reported: BTreeMap<String, f64> =
        metrics.into_iter().filter_map(|(n, y)| number(&y).map(|y| (n, y))).collect();
    let missing: Vec<&str> =
        objective.metrics.iter().map(|m| m.name.as_str()).filter(|n| !reported.contains_key(*n)).collect();
    if !missing.is_empty() {
        let names: Vec<&str> = reported.keys().map(String::as_str).collect();
        let names = if names.is_empty() { "no metric".into() } else { names.join(", ") };
        return Err(format!("the result lacks {}; it reports {names}", missing.join(", ")));
    }
    if objective.metrics.iter().any(|m| !reported[&m.name].is_finite()) {
        return Ok(Outcome::Diverged);
    }
    reported.retain(|_, y| y.is_finite());
    let mut ignored = Vec::new();
    // They could be journalled, but not exported to a file that can be read again.
    reported.retain(|name, _| match check_name(name) {
        Ok(()) => true,
        Err(reason) => {
            ignored.push(excerpt(format!("ignored metric {name:?}: the name {reason}")));
            false
        }
    });
    let mut usable = |what: &str, value: &Value| {
        let number = number(value).filter(|x| x.is_finite() && *x >= 0.0);
        if number.is_none() {
            let value = excerpt(value.to_string());
            ignored.push(format!("ignored {what} {value}: not a finite number of at least 0"));
        }
        number
    };
    let cost = report.cost.filter(|c| !c.is_null()).and_then(|cost| usable("cost", &cost));
    let se = match report.se.unwrap_or(Value::Null) {
        Value::Null => BTreeMap::new(),
        Value::Object(each) => each.into_iter().filter_map(|(n, se)| usable("se", &se).map(|se| (n, se))).collect(),
        all => match usable("se", &all) {
            Some(se) => objective.metrics.iter().map(|m| (m.name.clone(), se)).collect(),
            None => BTreeMap::new(),
        },
    };
    Ok(Outcome::Completed(Completed { metrics: reported, se, cost, duration: None }, ignored))
}

/// Its beginning: a result may be anything, and what is said about it goes into the journal.
fn excerpt(text: String) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Puts quotes around the bare `NaN`, `Infinity` and `-Infinity` that Python's `json` writes; strings stay untouched.
fn quote_names(text: &str) -> String {
    let (mut quoted, mut rest, mut inside) = (String::with_capacity(text.len()), text, false);
    while let Some(c) = rest.chars().next() {
        let name = ["NaN", "Infinity", "-Infinity"].into_iter().find(|n| !inside && rest.starts_with(n));
        let taken = match (name, c) {
            (Some(name), _) => {
                quoted.extend(["\"", name, "\""]);
                rest = &rest[name.len()..];
                continue;
            }
            (None, '\\') if inside => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                inside = !inside;
                1
            }
            (None, c) => c.len_utf8(),
        };
        quoted.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    quoted
}

/// The result in a trial's directory: the result file, else the last line of stdout that starts with `admire: `. Only
/// the last MiB of stdout is searched.
///
/// # Errors
/// What is wrong, for people.
pub fn read(result: &Path, stdout: &Path, objective: &Objective) -> Result<Outcome, String> {
    match std::fs::metadata(result) {
        Ok(file) if !file.is_file() || file.len() > LARGEST => {
            return Err(format!("{} is no file, or has more than {} MiB", result.display(), LARGEST >> 20));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        _ => {
            let text = std::fs::read_to_string(result);
            return parse(&text.map_err(|e| format!("cannot read {}: {e}", result.display()))?, objective);
        }
    }
    let tail = tail(stdout, TAIL).map_err(|e| format!("cannot read {}: {e}", stdout.display()))?;
    match tail.lines().rev().find_map(|line| line.strip_prefix("admire: ")) {
        Some(text) => parse(text, objective),
        None => Err("no result: neither the result file nor an `admire: {…}` line on stdout".into()),
    }
}
