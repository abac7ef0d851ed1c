//! A parsed TOML document whose every value knows where it was said, with overrides applied.

use crate::text::nearest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::error::{Origin, Problem};
use super::value::{Node, Value};
use super::{Settings, duration, spelling};
use crate::input::LARGEST;

/// Parses a whole file.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let number = |at: usize| 1 + text.bytes().take(at).filter(|b| *b == b'\n').count();
    let line = |at: usize| Origin::Line(number(at));
    match DeTable::parse(text) {
        Ok(table) => Ok(Node { origin: Origin::Line(1), value: convert_table(table.get_ref(), &line) }),
        Err(error) => {
            let at = error.span().map_or(0, |s| s.start);
            let mut message = format!("not valid TOML: {}", error.message().replace('\n', "; "));
            let (key, advice) = text.lines().nth(number(at) - 1).and_then(spelling::of_line).unzip();
            message.extend(advice.map(|advice| format!("; {advice}")));
            Err(Problem { origin: line(at), key: key.unwrap_or_default(), message })
        }
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

/// Applies one `--set key.path=value`. Entries of arrays of tables go by name, a guard by its metric, or by index
/// (`fidelity.1M.cost=0.1`, `guard.code.at_most=2.1`, `domain.0.max=0.5`); tables that do not exist are made.
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
                let named = |n: &Node| n.value.name().or_else(|| n.value.metric()).is_some_and(|name| name == part);
                let index = items.iter().position(named).or_else(|| part.parse().ok());
                match index.and_then(|i| items.get_mut(i)) {
                    Some(item) => item,
                    None => return Err(wrong(path, format!("there is no entry named or numbered `{part}`"))),
                }
            }
            leaf => {
                let what = leaf.describe();
                return Err(wrong(
                    path,
                    format!("`{part}` would be a key of {what}, which is not a table; leave it out"),
                ));
            }
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
        Value::Array(items) if items.iter().any(|n| n.value.name().is_some()) => {
            for node in items {
                let (Value::Table(mut table), Some(name)) = (node.value.clone(), node.value.name()) else { continue };
                table.remove("name");
                flatten(&Value::Table(table), below(&name), settings);
            }
        }
        leaf => drop(settings.insert(path, json(leaf))),
    }
}

/// A value as JSON. Numbers that are whole are integers however they were written: 1e3 is 1000.
pub(super) fn json(value: &Value) -> serde_json::Value {
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
            Some(other) => {
                let (what, advice) = (other.describe(), spelling::of_table(&section.path));
                section.report(None, format!("expected a table, not {what}; {advice}"));
            }
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

    /// Where a key, or the whole section, was said, and its path.
    pub fn place(&self, key: Option<&str>) -> (Origin, String) {
        let origin = key.and_then(|k| self.table?.get(k)).map_or_else(|| self.origin.clone(), |n| n.origin.clone());
        (origin, key.map_or_else(|| self.path.clone(), |k| self.path_of(k)))
    }

    /// Reports a problem with a key, or with the whole section.
    pub fn report(&self, key: Option<&str>, message: impl Into<String>) {
        let (origin, key) = self.place(key);
        self.problems.borrow_mut().push(Problem { origin, key, message: message.into() });
    }

    pub fn node(&self, key: &'static str) -> Option<&'a Node> {
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
        }
        self.table?.get(key)
    }

    /// Whether a key is missing, or an array without entries; one of the wrong type is reported where it is read.
    pub fn lacks(&self, key: &'static str) -> bool {
        self.node(key).is_none_or(|node| matches!(&node.value, Value::Array(items) if items.is_empty()))
    }

    /// Whatever `convert` makes of it; `expected` says what it is to be.
    pub fn value<T>(&self, key: &'static str, expected: &str, convert: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.convert(self.node(key)?, self.path_of(key), expected, convert)
    }

    /// A value as something else, or a report that this was expected.
    fn convert<T>(&self, node: &Node, key: String, expected: &str, convert: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = convert(&node.value);
        if value.is_none() {
            let advice = spelling::of_value(&node.value, |meant| convert(meant).is_some());
            let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
            let message = format!("expected {expected}, not {}{advice}", node.value.describe());
            self.problems.borrow_mut().push(Problem { origin: node.origin.clone(), key, message });
        }
        value
    }

    pub fn text(&self, key: &'static str) -> Option<String> {
        self.value(key, "a string", Value::text)
    }

    pub fn bool(&self, key: &'static str) -> Option<bool> {
        self.value(key, "true or false", |v| if let Value::Bool(b) = v { Some(*b) } else { None })
    }

    /// A finite number that `accepts`; `expected` says which.
    pub fn number(&self, key: &'static str, expected: &str, accepts: fn(f64) -> bool) -> Option<f64> {
        self.value(key, expected, |v| v.number().filter(|x| accepts(*x)))
    }

    pub fn share(&self, key: &'static str) -> Option<f64> {
        self.number(key, "a number between 0 and 1", |x| (0.0..=1.0).contains(&x))
    }

    pub fn positive(&self, key: &'static str) -> Option<f64> {
        // The limit is of interest only to whoever exceeds it.
        let huge = matches!(self.node(key)?.value, Value::Float(x) if x > LARGEST);
        let expected = if huge { format!("a number of at most {LARGEST:e}") } else { "a number above 0".into() };
        self.number(key, &expected, |x| x > 0.0)
    }

    /// An integer of at least `least`.
    pub fn integer(&self, key: &'static str, least: u64) -> Option<u64> {
        self.value(key, &format!("an integer of at least {least}"), |v| {
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
            other => other.number().and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or_else(|| {
                format!("expected a number of seconds or a string like \"10m\", not {}", other.describe())
            }),
        };
        result.map_err(|message| self.report(Some(key), message)).ok()
    }

    pub fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.items(key, "an array of strings", "a string", Value::text)
    }

    /// What an array has in it; `expected` says what it is to be, `item` what each of its entries is.
    pub fn items<T>(
        &self,
        key: &'static str,
        expected: &str,
        item: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(items) = &self.node(key)?.value else {
            let all = |v: &Value| v.items()?.iter().map(|n| convert(&n.value)).collect();
            return self.value(key, expected, all);
        };
        let read = |(i, node)| self.convert(node, format!("{}[{i}]", self.path_of(key)), item, &convert);
        let values: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        values.into_iter().collect()
    }

    /// A string, or an array of them.
    pub fn one_or_more_texts(&self, key: &'static str) -> Option<Vec<String>> {
        match &self.node(key)?.value {
            Value::Array(_) => self.texts(key),
            _ => self.value(key, "a string or an array of strings", |value| Some(vec![value.text()?])),
        }
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

    /// A table whose keys are the user's own, such as `example`; `expected` says what its values are.
    pub fn entries<T>(
        &self,
        key: &'static str,
        example: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Option<Vec<(String, T)>> {
        let Value::Table(table) = &self.node(key)?.value else {
            return self.value(key, &format!("a table such as {example}"), |_| None);
        };
        let entry = |(name, node): (&String, &Node)| {
            let value = self.convert(node, format!("{}.{name}", self.path_of(key)), expected, &convert);
            value.map(|value| (name.clone(), value))
        };
        let entries: Vec<Option<(String, T)>> = table.iter().map(entry).collect();
        entries.into_iter().collect()
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
            Some(other) => {
                let advice = spelling::of_table(&format!("{}[]", self.path_of(key)));
                self.report(Some(key), format!("expected an array of tables, not {}; {advice}", other.describe()));
                vec![]
            }
            None => vec![],
        }
    }

    /// The tables in a table whose keys are the user's own, such as `example`.
    pub fn tables(&self, key: &'static str, example: &str) -> Vec<(String, Section<'a>)> {
        let Some(node) = self.node(key) else { return vec![] };
        let Value::Table(table) = &node.value else {
            self.value(key, &format!("a table such as {example}"), |_| None::<()>);
            return vec![];
        };
        let path = |name| format!("{}.{name}", self.path_of(key));
        table.iter().map(|(name, node)| (name.clone(), Section::new(Some(node), path(name), self.problems))).collect()
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for key in self.table.into_iter().flat_map(BTreeMap::keys) {
            if !known.contains(&key.as_str()) {
                let hint = nearest(key, known.iter().copied()).map_or_else(
                    || format!("known are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.report(Some(key), format!("unknown key `{key}`; {hint}"));
            }
        }
    }
}
