//! Sets of runs, by identity.

use std::collections::BTreeSet;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RunId;

/// A set of runs. In files it is a list of ranges, `i` for imported runs and `t` for trials: `["i1-29", "t1-12", "t14"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSet(BTreeSet<RunId>);

/// More runs than any study has: a range in a damaged file must not fill the memory.
const MOST_RUNS: u64 = 1 << 20;

impl RunSet {
    /// Whether `run` is one of them.
    #[must_use]
    pub fn contains(&self, run: RunId) -> bool {
        self.0.contains(&run)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = RunId> + use<'_> {
        self.0.iter().copied()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<RunId> for RunSet {
    fn from_iter<I: IntoIterator<Item = RunId>>(runs: I) -> Self {
        Self(runs.into_iter().collect())
    }
}

/// The letter and the number of a run.
fn split(run: RunId) -> (char, u64) {
    match run {
        RunId::Imported(number) => ('i', number),
        RunId::Trial(number) => ('t', number),
    }
}

/// The runs of a range, `t14` or `t1-12`.
fn range(text: &str) -> Option<impl Iterator<Item = RunId>> {
    let kind = match text.chars().next()? {
        'i' => RunId::Imported,
        't' => RunId::Trial,
        _ => return None,
    };
    let numbers = &text[1..];
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last - first < MOST_RUNS).then(|| (first..=last).map(kind))
}

impl Serialize for RunSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ranges: Vec<(char, u64, u64)> = Vec::new();
        for (letter, number) in self.0.iter().map(|run| split(*run)) {
            match ranges.last_mut() {
                Some((last, _, end)) if *last == letter && end.checked_add(1) == Some(number) => *end = number,
                _ => ranges.push((letter, number, number)),
            }
        }
        serializer.collect_seq(ranges.into_iter().map(|(letter, first, last)| match last - first {
            0 => format!("{letter}{first}"),
            _ => format!("{letter}{first}-{last}"),
        }))
    }
}

impl<'de> Deserialize<'de> for RunSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut runs = BTreeSet::new();
        for text in Vec::<String>::deserialize(deserializer)? {
            let wrong = || D::Error::custom(format!("{text:?} is not a range of runs, like t1-12"));
            runs.extend(range(&text).ok_or_else(wrong)?);
        }
        Ok(Self(runs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_as_ranges_and_read_again() {
        let runs: RunSet = [1, 2, 3, 7].map(RunId::Trial).into_iter().chain([2, 1].map(RunId::Imported)).collect();
        let json = serde_json::to_string(&runs).unwrap();
        assert_eq!(json, r#"["i1-2","t1-3","t7"]"#);
        assert_eq!(serde_json::from_str::<RunSet>(&json).unwrap(), runs);
        for wrong in ["", "t", "x3", "t3-1", "t1-", "é1", "t1-99999999999", "t-1"] {
            assert!(serde_json::from_value::<RunSet>(serde_json::json!([wrong])).is_err(), "{wrong}");
        }
    }
}
