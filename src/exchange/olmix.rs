//! olmix (allenai/olmix): `ratios.csv` and `metrics.csv`, matched by `run` or `run_id`.

use super::columns::{ColumnMap, Rule};
use super::import::{Part, pair};
use crate::replay::ReplayError;

/// Columns that both files may have.
const COMMON: [(&str, &str); 4] = [("run_id", "run_id"), ("run_id", "run"), ("", "name"), ("", "index")];

/// Reads the pair of files.
pub(super) fn read(files: &[std::path::PathBuf], rules: &[Rule]) -> Result<Part, ReplayError> {
    let map = |others| ColumnMap::new(rules, &[&COMMON[..], &[others]].concat());
    pair(files, &map(("w:*", "*")), &map(("y:*", "*")))
}
