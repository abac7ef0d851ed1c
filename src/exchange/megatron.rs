//! Megatron-LM: weights and prefixes of indexed datasets, as arguments, as the file of `--data-args-path`, and as that of
//! `--per-split-data-args-path`.

use serde_json::json;

use super::recipe::{ExportError, Recipe};
use super::text::number;

/// `--data-path WEIGHT PREFIX …`, for a command line, also through `$(…)`: no word needs quotes.
pub(super) fn arguments(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@%+".contains(c);
    let reason = "a shell would take it apart; use --format megatron-json";
    Ok(format!("--data-path {}\n", words(recipe, plain, reason)?.join(" ")))
}

/// The words of `--data-path`, one pair per line. Megatron splits the file at white space.
pub(super) fn file(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let reason = "Megatron-LM splits this file at blanks; use --format megatron-json";
    let words = words(recipe, |c| !c.is_whitespace(), reason)?;
    Ok(words.chunks(2).map(|pair| pair.join(" ") + "\n").collect())
}

/// The three splits; those without data are `null`.
pub(super) fn splits(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let split = |paths: &[String]| if paths.is_empty() { json!(null) } else { json!(paths) };
    let train = words(recipe, |_| true, "")?;
    let document = json!({"train": train, "valid": split(&recipe.config.valid), "test": split(&recipe.config.test)});
    Ok(format!("{document:#}\n"))
}

/// Weight and prefix in turn.
fn words(recipe: &Recipe<'_>, fits: impl Fn(char) -> bool, reason: &'static str) -> Result<Vec<String>, ExportError> {
    let datasets = recipe.datasets()?;
    if let Some(dataset) = datasets.iter().find(|dataset| !dataset.path.chars().all(&fits)) {
        return Err(ExportError::Path { path: dataset.path.to_owned(), reason });
    }
    Ok(datasets.into_iter().flat_map(|dataset| [number(dataset.weight), dataset.path.to_owned()]).collect())
}
