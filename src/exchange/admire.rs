//! The runs published with ADMIRE-BayesOpt (ADMIRE IFT Runs): one CSV with columns `model`, `ratio_*`, `metric_*`,
//! `train_time`.

use std::collections::BTreeMap;

use super::columns::{ColumnMap, Rule};
use super::table::{Part, Table};
use crate::input::number;
use crate::problem::params_of;
use crate::runs::LogError;

const COLUMNS: [(&str, &str); 5] = [
    ("fidelity", "model"),
    ("w:*", "ratio_*"),
    // Means of the others; some of those logged are wrong.
    ("", "metric_avg*"),
    ("y:*", "metric_*"),
    ("cost", "train_time"),
];

/// Reads the table. A model counts by its size (`Qwen2.5-0.5B` is `0.5B`), and costs the mean training time of its runs,
/// relative to the most expensive one: the times themselves are mostly such means.
pub(super) fn read(table: Table, rules: &[Rule]) -> Result<Part, LogError> {
    let mut part = table.rename(&ColumnMap::new(rules, &COLUMNS));
    let table = &mut part.table;
    let model = table.require("fidelity")?;
    let size = |name: &str| match name.rsplit_once('-') {
        Some((_, size)) if params_of(size).is_some() => size.to_owned(),
        _ => name.to_owned(),
    };
    table.set("fidelity", |_, row| size(&row[model]));
    if let Some(time) = table.column("cost") {
        let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for row in &table.rows {
            times.entry(row[model].to_owned()).or_default().extend(number(&row[time]).filter(|t| *t > 0.0));
        }
        let mean = |times: &Vec<f64>| times.iter().sum::<f64>() / times.len() as f64;
        let most = times.values().map(mean).fold(0.0, f64::max);
        table.set("cost", |_, row| {
            let cost = mean(&times[&row[model]]) / most;
            if cost.is_finite() { cost.to_string() } else { String::new() }
        });
    }
    Ok(part)
}
