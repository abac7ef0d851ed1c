//! Tables of runs of experiment trackers.

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

/// What `stores` makes of the folder of Weights & Biases, then its table of runs: in that, config and summary have no prefixes, so
/// that what is left may be metrics.
const WANDB: [(&str, &str); 38] = [
    ("run_id", "run.id"),
    ("", "run.*"),
    ("fidelity", "config.fidelity"),
    ("params", "config.params"),
    ("tokens", "config.tokens"),
    ("w:*", "config.weights.*"),
    ("", "config.*"),
    ("cost", "summary.admire.cost"),
    ("", "summary.admire.*"),
    ("y:*", "summary.*"),
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

/// Reads runs of MLflow.
pub(super) fn mlflow(table: Table, rules: &[Rule]) -> Part {
    table.rename(&ColumnMap::new(rules, &MLFLOW))
}

/// Reads runs of Weights & Biases.
pub(super) fn wandb(table: Table, rules: &[Rule]) -> Part {
    table.rename(&ColumnMap::new(rules, &WANDB))
}
