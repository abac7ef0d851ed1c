//! Which column of somebody's table is what.

use std::str::FromStr;

use crate::input::number;
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

/// What identifiers, seeds and counters are called, at least at the end of their names.
const IDENTIFIERS: [&str; 12] =
    ["id", "uid", "uuid", "idx", "index", "seed", "step", "steps", "epoch", "iteration", "timestamp", "runtime"];

/// Whether a column says which run it is, when it was or how far it came, and not how good it is: by its name; or because its
/// cells are text, or number the rows.
pub(super) fn identifies<'a>(column: &str, cells: impl Iterator<Item = &'a str>) -> bool {
    let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
    let mut numbers: Vec<f64> = cells.iter().filter_map(|cell| number(cell)).collect();
    if numbers.is_empty() {
        return !cells.is_empty();
    }
    let name = column.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default().trim_matches('_');
    let called = |name: &str| IDENTIFIERS.contains(&name);
    let whole = numbers.iter().all(|x| x.fract() == 0.0);
    numbers.sort_by(f64::total_cmp);
    let counts = numbers.len() > 2
        && (numbers[0] == 0.0 || numbers[0] == 1.0)
        && numbers.windows(2).all(|pair| pair[1] - pair[0] == 1.0);
    called(name) || counts || whole && name.rsplit(['_', '-', '.', ' ', ':']).next().is_some_and(called)
}

#[cfg(test)]
mod tests {
    use super::identifies;

    #[test]
    fn identifiers_are_known_by_name_and_by_what_they_count() {
        let of = |column: &str, cells: &str| identifies(column, cells.split(' '));
        for (column, cells) in [
            ("mixture_id", "4 7"),
            ("seed", "1 1 1"),
            ("train/epoch", "0.98 0.99"),
            ("_timestamp", "1.7e9"),
            ("trainer/global_step", "500 500"),
            ("n", "2 0 1"),
            ("n", "1.0 2.0 3.0"),
            ("sha", "a1b 22c"),
        ] {
            assert!(of(column, cells), "{column}");
        }
        for (column, cells) in [
            // Of ADMIRE-BayesOpt: in and out of distribution.
            ("avg_id", "0.61 0.63"),
            ("loss_epoch", "2.5 2.4"),
            ("correct", "1 0"),
            ("correct", "3 4 5"),
            ("loss", "0 1.5 1"),
            ("loss", "2.5 nan n/a"),
            ("empty", ""),
        ] {
            assert!(!of(column, cells), "{column}");
        }
    }
}
