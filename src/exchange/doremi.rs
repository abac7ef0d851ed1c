//! DoReMi (sangmichaelxie/doremi): a JSON file with `train_domain_weights`, one mixture.

use csv::StringRecord;
use serde_json::Value;

use super::columns::{ColumnMap, Rule};
use super::table::{InputFile, Part, Table};
use crate::runs::{LogError, text};

/// Reads the file. It says nothing about results: those are in `metrics`.
pub(super) fn read(file: &InputFile, metrics: &[(String, f64)], rules: &[Rule]) -> Result<Part, LogError> {
    let wrong = |message: String| LogError::Header { file: file.path.clone(), message };
    let json: Value =
        serde_json::from_str(text(&file.path, &file.text)?).map_err(|e| wrong(format!("not valid JSON: {e}")))?;
    let weights = json["train_domain_weights"]
        .as_object()
        .ok_or_else(|| wrong("there is no object `train_domain_weights`, as in the domain configs of DoReMi".into()))?;
    if metrics.is_empty() {
        return Err(wrong("has weights, but not what came out; say it with --metric, as in --metric loss=2.53".into()));
    }
    let map = ColumnMap::new(rules, &[("w:*", "*")]);
    let (mut header, mut row, mut ignored) = (vec!["run_id".to_owned()], StringRecord::new(), vec![]);
    row.push_field(&file.path.file_stem().unwrap_or_default().to_string_lossy());
    for (domain, weight) in weights {
        match map.target(domain) {
            Some(target) => {
                header.push(target.name);
                row.push_field(&weight.to_string());
            }
            None => ignored.push(domain.clone()),
        }
    }
    let mut table = Table { file: file.path.clone(), header, rows: vec![row] };
    for (name, value) in metrics {
        table.set(&format!("y:{name}"), |_, _| value.to_string());
    }
    Ok(Part { table, ignored, guessed: vec![], skipped: 0 })
}
