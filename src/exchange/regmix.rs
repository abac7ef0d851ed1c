//! RegMix (sail-sg/regmix, `data/`): a CSV of mixtures and a CSV of losses a size, matched by `index`; and the YAML that its
//! trainer reads.

use super::columns::{ColumnMap, Rule};
use super::import::{Part, pair};
use super::recipe::{ExportError, Recipe};
use super::text::{number, quote};
use crate::replay::ReplayError;

const MIXTURES: [(&str, &str); 3] = [("run_id", "index"), ("w:*", "train_the_pile_*"), ("w:*", "train_*")];
const LOSSES: [(&str, &str); 5] = [
    ("run_id", "index"),
    // The mean of the others.
    ("", "metric/avg"),
    ("y:*", "metric/the_pile_*_val_loss"),
    ("y:*", "metric/*_val_loss"),
    ("y:*", "metric/*"),
];

/// Reads the pair of files of one size. An index is only unique within it.
pub(super) fn read(files: &[std::path::PathBuf], size: &str, rules: &[Rule]) -> Result<Part, ReplayError> {
    let mut part = pair(files, &ColumnMap::new(rules, &MIXTURES), &ColumnMap::new(rules, &LOSSES))?;
    let index = part.table.require("run_id")?;
    part.table.set("run_id", |_, row| format!("{size}-{}", &row[index]));
    Ok(part)
}

/// Writes `train` and, where the config has some, `valid`: what of its config is about data. Domains are called as they are
/// on disk.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let mut yaml = format!("# {}\ntrain:\n", recipe.title);
    for (_, path, weight) in recipe.datasets()? {
        yaml += &format!("  {}: {}\n", quote(path), number(weight));
    }
    if !recipe.config.valid.is_empty() {
        yaml += "valid:\n";
        yaml.extend(recipe.config.valid.iter().map(|path| format!("  {}: 1.0\n", quote(path))));
    }
    Ok(yaml)
}
