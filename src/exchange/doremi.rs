//! DoReMi (sangmichaelxie/doremi): a JSON file with `train_domain_weights`, one mixture.

use csv::StringRecord;
use serde_json::Value;

use super::columns::{ColumnMap, Rule};
use super::part::Part;
use super::table::{InputFile, Table};
use crate::replay::ReplayError;

/// Reads the file. It says nothing about results: those are in `metrics`.
pub(super) fn read(file: &InputFile, metrics: &[(String, f64)], rules: &[Rule]) -> Result<Part, ReplayError> {
    let wrong = |message: String| ReplayError::Header { file: file.path.clone(), message };
    let json: Value = serde_json::from_slice(&file.text).map_err(|e| wrong(format!("not valid JSON: {e}")))?;
    let weights = json["train_domain_weights"]
        .as_object()
        .ok_or_else(|| wrong("there is no object `train_domain_weights`, as in the domain configs of DoReMi".into()))?;
    if metrics.is_empty() {
        return Err(wrong("has weights, but not what came out; say it with --metric, as in --metric loss=2.53".into()));
    }
    let header = weights.keys().cloned().chain(["run_id".to_owned()]).collect();
    let mut row: StringRecord = weights.values().map(ToString::to_string).collect();
    row.push_field(&file.path.file_stem().unwrap_or_default().to_string_lossy());
    let table = Table { file: file.path.clone(), header, rows: vec![row] };
    let (mut table, ignored) = table.rename(&ColumnMap::new(rules, &[("run_id", "run_id"), ("w:*", "*")]));
    for (name, value) in metrics {
        table.set(&format!("y:{name}"), |_, _| value.to_string());
    }
    Ok(Part { table, ignored, skipped: 0 })
}
