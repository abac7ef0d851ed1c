//! What the readers of formats have in common.

use super::columns::ColumnMap;
use super::table::{InputFile, Table};
use crate::replay::ReplayError;

/// What one format's reader returns: a table with the columns of logged runs, those it did not use, and how many rows
/// had no partner.
pub(super) struct Part {
    pub table: Table,
    pub ignored: Vec<String>,
    pub skipped: usize,
}

/// A pair of files, each with its own columns, whose rows have the same `run_id`.
pub(super) fn pair(files: &[InputFile], mixtures: &ColumnMap, results: &ColumnMap) -> Result<Part, ReplayError> {
    let (weights, mut ignored) = Table::read(&files[0])?.rename(mixtures);
    let (metrics, more) = Table::read(&files[1])?.rename(results);
    if !weights.header.iter().any(|column| column.starts_with("w:")) {
        return Err(weights.wrong("there are no weights in it; of a pair, the file of the mixtures comes first"));
    }
    ignored.extend(more);
    let (table, skipped) = weights.join(&metrics, "run_id")?;
    Ok(Part { table, ignored, skipped })
}

/// The number of parameters in a name like `60M`, `0.5B`, `Qwen2.5-7B`.
pub(super) fn params_of(name: &str) -> Option<f64> {
    let last = name.rsplit(['-', '_', ' ']).next()?;
    let unit = last.chars().next_back()?;
    let scale = match unit.to_ascii_uppercase() {
        'K' => 1e3,
        'M' => 1e6,
        'B' => 1e9,
        'T' => 1e12,
        _ => return None,
    };
    let digits = &last[..last.len() - 1];
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits.parse::<f64>().ok().filter(|x| plain && *x > 0.0).map(|x| x * scale)
}

#[cfg(test)]
mod tests {
    use super::params_of;

    #[test]
    fn sizes_are_read_off_names_that_are_sizes() {
        let sizes = [("1M", 1e6), ("60m", 6e7), ("0.5B", 5e8), ("Qwen2.5-7B", 7e9), ("tiny 30k", 3e4)];
        assert!(sizes.iter().all(|(name, params)| params_of(name) == Some(*params)));
        assert!(["", "B", "small", "1e3M", "-B", "0M", "model", "1Mé"].iter().all(|name| params_of(name).is_none()));
    }
}
