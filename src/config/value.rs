//! Values of a TOML document, each with where it was said.

use std::collections::BTreeMap;

use super::error::Origin;
use crate::input::LARGEST;

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub origin: Origin,
    pub value: Value,
}

impl Node {
    /// Every number in it, with the path of its key.
    pub fn numbers(&self) -> Vec<(String, Origin, f64)> {
        let mut numbers = Vec::new();
        self.collect(String::new(), &mut numbers);
        numbers
    }

    fn collect(&self, path: String, numbers: &mut Vec<(String, Origin, f64)>) {
        match &self.value {
            Value::Table(table) => table.iter().for_each(|(key, node)| {
                node.collect(if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, numbers);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, node)| node.collect(format!("{path}[{i}]"), numbers));
            }
            value => numbers.extend(value.number().map(|x| (path, self.origin.clone(), x))),
        }
    }
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
    pub fn text(&self) -> Option<String> {
        if let Self::Text(text) = self { Some(text.clone()) } else { None }
    }

    /// What an array has in it.
    pub fn items(&self) -> Option<&[Node]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// What an array of strings has in it; `None` for anything else.
    pub fn texts(&self) -> Option<Vec<String>> {
        self.items()?.iter().map(|n| n.value.text()).collect()
    }

    /// The `name` of a table that has one, as an entry of `[[domain]]` does.
    pub fn name(&self) -> Option<String> {
        if let Self::Table(table) = self { table.get("name")?.value.text() } else { None }
    }

    /// The `metric` of a table that has one, as an entry of `[[guard]]` does.
    pub fn metric(&self) -> Option<String> {
        if let Self::Table(table) = self { table.get("metric")?.value.text() } else { None }
    }

    /// A number that can be reckoned with, integer or not.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(*n as f64),
            Self::Float(x) => Some(*x).filter(|x| x.abs() <= LARGEST),
            _ => None,
        }
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
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
