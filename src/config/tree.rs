//! A parsed TOML document whose every value knows where it was said, with overrides applied.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::error::{Origin, Problem};
use super::{Settings, duration};
use crate::input::LARGEST;

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub origin: Origin,
    pub value: Value,
}

/// A TOML value (dates as text: no key takes one).
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Value {
    /// What an array of strings has in it; `None` for anything else.
    pub fn texts(&self) -> Option<Vec<String>> {
        let Self::Array(items) = self else { return None };
        items.iter().map(|n| if let Self::Text(t) = &n.value { Some(t.clone()) } else { None }).collect()
    }

    fn describe(&self) -> String {
        match self {
            Self::Text(text) => format!("the string \"{text}\""),
            Self::Integer(n) => format!("the integer {n}"),
            Self::Float(x) => format!("the number {x}"),
            Self::Bool(b) => format!("the boolean {b}"),
            Self::Array(_) => "an array".into(),
            Self::Table(_) => "a table".into(),
        }
    }
}

/// Parses a whole file.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let line = |at: usize| Origin::Line(1 + text.bytes().take(at).filter(|b| *b == b'\n').count());
    match DeTable::parse(text) {
        Ok(table) => Ok(Node { origin: Origin::Line(1), value: convert_table(table.get_ref(), &line) }),
        Err(error) => Err(Problem {
            origin: line(error.span().map_or(0, |s| s.start)),
            key: String::new(),
            message: format!("not valid TOML: {}", error.message().replace('\n', "; ")),
        }),
    }
}

fn convert_table(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Value {
    let entry = |key: &toml::Spanned<_>, value: &toml::Spanned<DeValue<'_>>| Node {
        // Of a `[[table]]` the span is its header's; of a value, say where its key is.
        origin: origin(if value.get_ref().is_table() {
            value.span().start
        } else {
            toml::Spanned::<std::borrow::Cow<'_, str>>::span(key).start
        }),
        value: convert(value.get_ref(), origin),
    };
    Value::Table(table.iter().map(|(k, v)| (k.get_ref().to_string(), entry(k, v))).collect())
}

fn convert(value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .map_or_else(|_| Value::Float(n.as_str().parse().unwrap_or(f64::INFINITY)), Value::Integer),
        DeValue::Float(x) => Value::Float(x.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(date) => Value::Text(date.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|v| Node { origin: origin(v.span().start), value: convert(v.get_ref(), origin) })
                .collect(),
        ),
        DeValue::Table(table) => convert_table(table, origin),
    }
}

/// Applies one `--set key.path=value`. Entries of arrays of tables go by name or index (`fidelity.1M.cost=0.1`,
/// `domain.0.max=0.5`); tables that do not exist are made.
pub(super) fn apply(root: &mut Node, text: &str) -> Result<(), Problem> {
    let origin = Origin::Set(text.to_owned());
    let wrong = |key: &str, message: String| Problem { origin: origin.clone(), key: key.to_owned(), message };
    let Some((path, value)) = text.split_once('=') else {
        return Err(wrong("", "expected KEY.PATH=VALUE, such as budget.trials=20".into()));
    };
    let path = path.trim();
    let value = DeValue::parse(value.trim()).map_err(|e| {
        let hint = "the value must be TOML; quote strings twice, like --set objective.metric='\"loss\"'";
        wrong(path, format!("{}; {hint}", e.message().replace('\n', "; ")))
    })?;
    let value = convert(value.get_ref(), &|_| origin.clone());
    let mut node = root;
    for part in path.split('.') {
        if part.is_empty() {
            return Err(wrong(path, "a part of the key is empty".into()));
        }
        node = match &mut node.value {
            Value::Table(table) => table
                .entry(part.to_owned())
                .or_insert_with(|| Node { origin: origin.clone(), value: Value::Table(BTreeMap::new()) }),
            Value::Array(items) => {
                let named = |n: &Node| {
                    matches!(&n.value, Value::Table(t)
                    if matches!(t.get("name"), Some(Node { value: Value::Text(name), .. }) if name == part))
                };
                let index = items.iter().position(named).or_else(|| part.parse().ok());
                match index.and_then(|i| items.get_mut(i)) {
                    Some(item) => item,
                    None => return Err(wrong(path, format!("there is no entry named or numbered `{part}`"))),
                }
            }
            _ => return Err(wrong(path, format!("`{part}` is below a value that is not a table"))),
        };
    }
    *node = Node { origin, value };
    Ok(())
}

/// Every key with its value, but for those that are not about the study.
pub(super) fn settings(root: &Node) -> Settings {
    let mut settings = Settings::new();
    flatten(&root.value, String::new(), &mut settings);
    let of_files = |key: &str| key.starts_with("domain.") && (key.ends_with(".path") || key.ends_with(".mean_length"));
    settings.retain(|key, _| {
        key != "study.dir" && !key.starts_with("replay.") && !key.starts_with("export.") && !of_files(key)
    });
    for (_, secret) in settings.iter_mut().filter(|(key, _)| key.starts_with("launcher.env.")) {
        *secret = "set".into();
    }
    settings
}

fn flatten(value: &Value, path: String, settings: &mut Settings) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Table(table) => table.iter().for_each(|(key, node)| flatten(&node.value, below(key), settings)),
        Value::Array(items) if items.iter().any(|n| matches!(n.value, Value::Table(_))) => {
            for node in items {
                let Value::Table(mut table) = node.value.clone() else { continue };
                if let Some(Node { value: Value::Text(name), .. }) = table.remove("name") {
                    flatten(&Value::Table(table), below(&name), settings);
                }
            }
        }
        leaf => drop(settings.insert(path, json(leaf))),
    }
}

/// A value as JSON. Numbers that are whole are integers however they were written: 1e3 is 1000.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(n) => (*n).into(),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 1e15 => (*x as i64).into(),
        Value::Float(x) => (*x).into(),
        Value::Bool(b) => (*b).into(),
        Value::Array(items) => items.iter().map(|n| json(&n.value)).collect(),
        Value::Table(table) => table.iter().map(|(key, n)| (key.clone(), json(&n.value))).collect(),
    }
}

/// What has been found wrong so far.
pub(super) type Problems = RefCell<Vec<Problem>>;

/// A table being read: remembers the keys that were asked for, so that others can be reported as unknown.
pub(super) struct Section<'a> {
    table: Option<&'a BTreeMap<String, Node>>,
    origin: Origin,
    path: String,
    known: RefCell<Vec<&'static str>>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    pub fn new(node: Option<&'a Node>, path: String, problems: &'a Problems) -> Self {
        let origin = node.map_or(Origin::Line(1), |n| n.origin.clone());
        let mut section = Self { table: None, origin, path, known: RefCell::default(), problems };
        match node.map(|n| &n.value) {
            Some(Value::Table(table)) => section.table = Some(table),
            Some(other) => section.report(None, format!("expected a table, not {}", other.describe())),
            None => {}
        }
        section
    }

    pub fn present(&self) -> bool {
        self.table.is_some()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports a problem with a key, or with the whole section.
    pub fn report(&self, key: Option<&str>, message: impl Into<String>) {
        let origin = key.and_then(|k| self.table?.get(k)).map_or_else(|| self.origin.clone(), |n| n.origin.clone());
        let key = key.map_or_else(|| self.path.clone(), |k| self.path_of(k));
        self.problems.borrow_mut().push(Problem { origin, key, message: message.into() });
    }

    pub fn node(&self, key: &'static str) -> Option<&'a Node> {
        self.known.borrow_mut().push(key);
        self.table?.get(key)
    }

    fn read<T>(&self, key: &'static str, expected: &str, convert: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let node = self.node(key)?;
        let value = convert(&node.value);
        if value.is_none() {
            self.report(Some(key), format!("expected {expected}, not {}", node.value.describe()));
        }
        value
    }

    pub fn text(&self, key: &'static str) -> Option<String> {
        self.read(key, "a string", |v| if let Value::Text(text) = v { Some(text.clone()) } else { None })
    }

    pub fn bool(&self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", |v| if let Value::Bool(b) = v { Some(*b) } else { None })
    }

    /// A finite number that `accepts`; `expected` says which.
    pub fn number(&self, key: &'static str, expected: &str, accepts: fn(f64) -> bool) -> Option<f64> {
        self.read(key, expected, |v| number(v).filter(|x| accepts(*x)))
    }

    pub fn share(&self, key: &'static str) -> Option<f64> {
        self.number(key, "a number between 0 and 1", |x| (0.0..=1.0).contains(&x))
    }

    pub fn positive(&self, key: &'static str) -> Option<f64> {
        self.number(key, &format!("a number above 0, at most {LARGEST:e}"), |x| x > 0.0)
    }

    /// An integer of at least `least`.
    pub fn integer(&self, key: &'static str, least: u64) -> Option<u64> {
        self.read(key, &format!("an integer of at least {least}"), |v| {
            if let Value::Integer(n) = v { u64::try_from(*n).ok().filter(|n| *n >= least) } else { None }
        })
    }

    pub fn count(&self, key: &'static str, least: u64) -> Option<usize> {
        self.integer(key, least).and_then(|n| usize::try_from(n).ok())
    }

    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        let node = self.node(key)?;
        let result = match &node.value {
            Value::Text(text) => duration::parse(text),
            other => number(other).and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or_else(|| {
                format!("expected a number of seconds or a string like \"10m\", not {}", other.describe())
            }),
        };
        result.map_err(|message| self.report(Some(key), message)).ok()
    }

    pub fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.read(key, "an array of strings", Value::texts)
    }

    /// A string, or an array of them.
    pub fn one_or_more_texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.read(key, "a string or an array of strings", |v| match v {
            Value::Text(text) => Some(vec![text.clone()]),
            other => other.texts(),
        })
    }

    /// One of some words, each standing for a value.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.report(Some(key), format!("\"{text}\" is not one of {}", words.join(", ")));
        }
        found
    }

    /// A table whose keys are the user's own.
    pub fn entries<T>(
        &self,
        key: &'static str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Option<Vec<(String, T)>> {
        self.read(key, expected, |v| {
            let Value::Table(table) = v else { return None };
            table.iter().map(|(k, n)| Some((k.clone(), convert(&n.value)?))).collect()
        })
    }

    pub fn section(&self, key: &'static str) -> Section<'a> {
        Section::new(self.node(key), self.path_of(key), self.problems)
    }

    /// The tables of `[[key]]`.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        match self.node(key).map(|n| &n.value) {
            Some(Value::Array(items)) => {
                let path = |i| format!("{}[{i}]", self.path_of(key));
                items.iter().enumerate().map(|(i, n)| Section::new(Some(n), path(i), self.problems)).collect()
            }
            Some(_) => {
                self.report(Some(key), format!("expected an array of tables; write [[{key}]]"));
                vec![]
            }
            None => vec![],
        }
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for key in self.table.into_iter().flat_map(BTreeMap::keys) {
            if !known.contains(&key.as_str()) {
                let hint = super::nearest(key, known.iter().copied()).map_or_else(
                    || format!("known are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.report(Some(key), format!("unknown key `{key}`; {hint}"));
            }
        }
    }
}

/// A number that can be reckoned with, integer or not.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(x) => Some(*x).filter(|x| x.abs() <= LARGEST),
        _ => None,
    }
}
