//! Logs that are a pair of files: mixtures and results.

use super::columns::ColumnMap;
use super::table::{Part, Table};
use crate::runs::LogError;

/// A pair of tables, the mixtures and the results, each with its own columns, whose rows have the same `run_id`.
pub(super) fn pair(mut files: Vec<Table>, mixtures: &ColumnMap, results: &ColumnMap) -> Result<Part, LogError> {
    let metrics = files.swap_remove(1).rename(results);
    let weights = files.swap_remove(0).rename(mixtures);
    if !weights.table.header.iter().any(|column| column.starts_with("w:")) {
        return Err(weights.table.wrong("there are no weights in it; of a pair, the file of the mixtures comes first"));
    }
    let (table, skipped) = weights.table.join(&metrics.table, "run_id")?;
    Ok(Part {
        table,
        ignored: [weights.ignored, metrics.ignored].concat(),
        guessed: [weights.guessed, metrics.guessed].concat(),
        skipped,
    })
}
