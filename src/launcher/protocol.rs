//! How a training command reports: a JSON file, or a line of its stdout.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use crate::study::{Completed, Objective};

/// How much of the end of stdout is searched for a result line.
const TAIL: u64 = 1 << 20;

/// What a readable result says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All metrics of the objective are there and finite.
    Completed(Completed),
    /// One of them is NaN or infinite.
    Diverged,
}

#[derive(Deserialize)]
struct Report {
    loss: Option<Number>,
    #[serde(default)]
    metrics: BTreeMap<String, Number>,
    se: Option<Errors>,
    cost: Option<Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Errors {
    All(Number),
    Each(BTreeMap<String, Number>),
}

/// A JSON number, or one of Python's names for those that JSON lacks.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Value")]
struct Number(f64);

impl TryFrom<serde_json::Value> for Number {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        let named = || match value.as_str()? {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        value.as_f64().or_else(named).map(Self).ok_or_else(|| format!("expected a number, found {value}"))
    }
}

/// Reads a result: `{"loss": 2.31}` (short for the metric named `loss`) or `{"metrics": {…}, "se": …, "cost": …}`.
///
/// Metrics that the objective does not use are kept where they are finite. A cost or standard error that is negative or
/// not finite is ignored: it is no reason to lose a training run.
///
/// # Errors
/// What is wrong, for people: not JSON, no metrics, or one of the objective's missing.
pub fn parse(text: &str, objective: &Objective) -> Result<Outcome, String> {
    let report: Report = serde_json::from_str(&quote_names(text)).map_err(|e| format!("unreadable result: {e}"))?;
    let mut reported: BTreeMap<String, f64> = report.metrics.into_iter().map(|(n, y)| (n, y.0)).collect();
    if let Some(loss) = report.loss {
        reported.entry("loss".into()).or_insert(loss.0);
    }
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
    let mut se: BTreeMap<String, f64> = match report.se {
        None => BTreeMap::new(),
        Some(Errors::All(se)) => objective.metrics.iter().map(|m| (m.name.clone(), se.0)).collect(),
        Some(Errors::Each(map)) => map.into_iter().map(|(n, se)| (n, se.0)).collect(),
    };
    se.retain(|_, se| se.is_finite() && *se >= 0.0);
    let cost = report.cost.map(|c| c.0).filter(|c| c.is_finite() && *c >= 0.0);
    Ok(Outcome::Completed(Completed { metrics: reported, se, cost, duration: None }))
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
    match std::fs::read_to_string(result) {
        Ok(text) => return parse(&text, objective),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(format!("cannot read {}: {e}", result.display())),
    }
    let tail = tail(stdout).map_err(|e| format!("cannot read {}: {e}", stdout.display()))?;
    match tail.lines().rev().find_map(|line| line.strip_prefix("admire: ")) {
        Some(text) => parse(text, objective),
        None => Err("no result: neither the result file nor an `admire: {…}` line on stdout".into()),
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
