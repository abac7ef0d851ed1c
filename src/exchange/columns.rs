//! Which column of somebody's table is what.

use std::str::FromStr;

use crate::runs::is_state;

/// One rule: the columns called `column` are `target`. One `*` in both stands for the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// One of [`FIXED`], `w:<domain>`, `y:<metric>`; empty: the column is left out.
    target: String,
    column: String,
}

/// Columns that are not weights or metrics.
const FIXED: [&str; 6] = ["run_id", "fidelity", "params", "tokens", "cost", "state"];

impl Rule {
    /// The rule that leaves columns out.
    #[must_use]
    pub fn drop(column: &str) -> Self {
        Self { target: String::new(), column: column.to_owned() }
    }

    /// The target of a column, where the rule is about it.
    fn apply(&self, column: &str) -> Option<String> {
        match self.column.split_once('*') {
            None => (self.column == column).then(|| self.target.clone()),
            Some((before, after)) => {
                let name = column.strip_prefix(before)?.strip_suffix(after)?;
                (!name.is_empty()).then(|| self.target.replacen('*', name, 1))
            }
        }
    }
}

impl FromStr for Rule {
    type Err = String;

    /// Reads `TARGET=COLUMN`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (target, column) = text.split_once('=').ok_or("expected TARGET=COLUMN, such as w:web=share_web")?;
        let named = ["w:", "y:"].iter().any(|kind| target.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
        if !named && !FIXED.contains(&target) {
            return Err(format!("`{target}` is none of {}, w:DOMAIN, y:METRIC", FIXED.join(", ")));
        }
        let stars = |text: &str| text.matches('*').count();
        if stars(target) != stars(column) || stars(column) > 1 {
            return Err("one `*` on both sides stands for the same text, as in w:*=share_*".into());
        }
        Ok(Self { target: target.to_owned(), column: column.to_owned() })
    }
}

/// What a column is.
pub(super) struct Target {
    /// Its name in logged runs.
    pub name: String,
    /// Whether the rule takes every column, whatever it is called.
    pub guessed: bool,
}

/// Rules in order: the first that is about a column decides.
#[derive(Clone, Debug)]
pub(super) struct ColumnMap {
    user: Vec<Rule>,
    format: Vec<Rule>,
}

impl ColumnMap {
    /// The user's rules, then those of a format, as pairs of target and column.
    pub fn new(rules: &[Rule], format: &[(&str, &str)]) -> Self {
        let rule = |(target, column): &(&str, &str)| Rule { target: (*target).into(), column: (*column).into() };
        Self { user: rules.to_vec(), format: format.iter().map(rule).collect() }
    }

    /// What a column is; `None` where no rule wants it. In every format the state of a run is called alike.
    pub fn target(&self, column: &str) -> Option<Target> {
        let by = |rules: &[Rule]| {
            rules.iter().find_map(|rule| Some(Target { name: rule.apply(column)?, guessed: rule.column == "*" }))
        };
        let state = || is_state(column).then(|| Target { name: column.to_owned(), guessed: false });
        by(&self.user).or_else(state).or_else(|| by(&self.format)).filter(|target| !target.name.is_empty())
    }
}
