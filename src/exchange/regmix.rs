//! RegMix (sail-sg/regmix, `data/`): a CSV of mixtures and a CSV of losses a size, matched by `index`; and the YAML that its
//! trainer reads.

use serde_json::{Map, Value, json};

use super::columns::{ColumnMap, Rule};
use super::pair::pair;
use super::recipe::{ExportError, Recipe};
use super::table::{Part, Table};
use super::text::yaml as write;
use crate::runs::LogError;

const MIXTURES: [(&str, &str); 3] = [("run_id", "index"), ("w:*", "train_the_pile_*"), ("w:*", "train_*")];
const LOSSES: [(&str, &str); 5] = [
    ("run_id", "index"),
    // The mean of the others.
    ("", "metric/avg"),
    ("y:*", "metric/the_pile_*_val_loss"),
    ("y:*", "metric/*_val_loss"),
    ("y:*", "metric/*"),
];

/// Reads the pair of tables of one size. An index is only unique within it.
pub(super) fn read(files: Vec<Table>, size: &str, rules: &[Rule]) -> Result<Part, LogError> {
    let mut part = pair(files, &ColumnMap::new(rules, &MIXTURES), &ColumnMap::new(rules, &LOSSES))?;
    let index = part.table.require("run_id")?;
    part.table.set("run_id", |_, row| format!("{size}-{}", &row[index]));
    Ok(part)
}

/// Writes `train` and, where the config has some, `valid`: what of its config is about data. Domains are called as they are
/// on disk.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let train: Map<String, Value> =
        recipe.datasets()?.into_iter().map(|dataset| (dataset.path.to_owned(), dataset.weight.into())).collect();
    let mut document = json!({"train": train});
    if !recipe.config.valid.is_empty() {
        document["valid"] =
            recipe.config.valid.iter().map(|path| (path.clone(), 1.0.into())).collect::<Map<_, _>>().into();
    }
    write(&recipe.title, &document)
}
