//! LLaMA-Factory: the keys of its YAML that mix datasets.

use serde_json::json;

use super::recipe::{ExportError, Recipe};
use super::text::{number, yaml as write};
use crate::config::Stopping;

/// Writes `dataset`, `mix_strategy` and `interleave_probs`. Datasets are names in its `dataset_info.json`, which it
/// separates at commas.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let datasets = recipe.datasets()?;
    if let Some(dataset) = datasets.iter().find(|dataset| dataset.path.contains(',')) {
        let reason = "LLaMA-Factory separates names at commas; call it otherwise in dataset_info.json";
        return Err(ExportError::Path { path: dataset.path.to_owned(), reason });
    }
    let strategy = match recipe.config.stopping {
        Stopping::FirstExhausted => "interleave_under",
        Stopping::AllExhausted => "interleave_over",
        Stopping::AllExhaustedWithoutReplacement => "interleave_once",
    };
    let names: Vec<&str> = datasets.iter().map(|dataset| dataset.path).collect();
    let weights: Vec<String> = datasets.iter().map(|dataset| number(dataset.weight)).collect();
    let document = json!({"dataset": names.join(","), "mix_strategy": strategy, "interleave_probs": weights.join(",")});
    write(&recipe.title, &document)
}
