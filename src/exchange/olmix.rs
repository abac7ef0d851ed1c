//! olmix (allenai/olmix): `ratios.csv` and `metrics.csv`, matched by `run` or `run_id`.

use super::columns::{ColumnMap, Rule};
use super::pair::pair;
use super::table::{Part, Table};
use crate::runs::LogError;

/// Columns that both files may have; of the last kind are row numbers that pandas wrote.
const COMMON: [(&str, &str); 5] =
    [("run_id", "run_id"), ("run_id", "run"), ("", "name"), ("", "index"), ("", "Unnamed*")];

/// Reads the pair of tables.
pub(super) fn read(files: Vec<Table>, rules: &[Rule]) -> Result<Part, LogError> {
    let map = |others| ColumnMap::new(rules, &[&COMMON[..], &[others]].concat());
    pair(files, &map(("w:*", "*")), &map(("y:*", "*")))
}
