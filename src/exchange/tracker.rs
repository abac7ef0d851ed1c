//! Tables of runs that experiment trackers export.

use super::columns::{ColumnMap, Rule};
use super::table::{Part, Table};

/// What `mlflow experiments csv` writes, and the data frame of `mlflow.search_runs`.
const MLFLOW: [(&str, &str); 8] = [
    ("run_id", "run_id"),
    ("fidelity", "params.fidelity"),
    ("params", "params.params"),
    ("tokens", "params.tokens"),
    ("w:*", "params.weights.*"),
    ("cost", "metrics.admire.cost"),
    ("", "metrics.admire.*"),
    ("y:*", "metrics.*"),
];

/// The table of runs of Weights & Biases: config and summary have no prefixes, so that what is left may be metrics.
const WANDB: [(&str, &str); 28] = [
    ("run_id", "Name"),
    ("fidelity", "fidelity"),
    ("params", "params"),
    ("tokens", "tokens"),
    ("w:*", "weights.*"),
    ("cost", "admire.cost"),
    ("", "admire.*"),
    ("", "purpose"),
    // Its own columns, and what it logs of every run.
    ("", "_*"),
    ("", "Commit"),
    ("", "Created"),
    ("", "Description"),
    ("", "End Time"),
    ("", "GPU*"),
    ("", "GitHub"),
    ("", "Group"),
    ("", "Hostname"),
    ("", "ID"),
    ("", "Job Type"),
    ("", "Notes"),
    ("", "Runtime"),
    ("", "Start Time"),
    ("", "Sweep"),
    ("", "Tags"),
    ("", "Updated"),
    ("", "User"),
    ("", "WandB*"),
    ("y:*", "*"),
];

/// Reads an export of MLflow.
pub(super) fn mlflow(table: Table, rules: &[Rule]) -> Part {
    table.rename(&ColumnMap::new(rules, &MLFLOW))
}

/// Reads an export of Weights & Biases.
pub(super) fn wandb(table: Table, rules: &[Rule]) -> Part {
    table.rename(&ColumnMap::new(rules, &WANDB))
}
