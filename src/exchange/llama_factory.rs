//! LLaMA-Factory: the keys of its YAML that mix datasets.

use super::recipe::{ExportError, Recipe};
use super::text::{number, quote};
use crate::config::Stopping;

/// Writes `dataset`, `mix_strategy` and `interleave_probs`. Datasets are names in its `dataset_info.json`, which it
/// separates at commas.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let datasets = recipe.datasets()?;
    if let Some((_, name, _)) = datasets.iter().find(|(_, name, _)| name.contains(',')) {
        let reason = "LLaMA-Factory separates names at commas; call it otherwise in dataset_info.json";
        return Err(ExportError::Path { path: (*name).to_owned(), reason });
    }
    let strategy = match recipe.config.stopping {
        Stopping::FirstExhausted => "interleave_under",
        Stopping::AllExhausted => "interleave_over",
        Stopping::AllExhaustedWithoutReplacement => "interleave_once",
    };
    let names: Vec<&str> = datasets.iter().map(|(_, name, _)| *name).collect();
    let weights: Vec<String> = datasets.iter().map(|(_, _, weight)| number(*weight)).collect();
    Ok(format!(
        "# {}\ndataset: {}\nmix_strategy: {strategy}\ninterleave_probs: {}\nseed: {}\n",
        recipe.title,
        quote(&names.join(",")),
        quote(&weights.join(",")),
        recipe.seed,
    ))
}
