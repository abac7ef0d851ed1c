//! nanotron: a data stage of tokenized folders with weights (`NanosetDatasetsArgs`).

use super::recipe::{ExportError, Recipe};
use super::text::{list, number, quote};

/// Writes the one stage that starts at step 1.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let datasets = recipe.datasets()?;
    Ok(format!(
        "# {}\ndata_stages:\n- name: admire\n  start_training_step: 1\n  data:\n    dataset:\n      \
         dataset_folder: {}\n      dataset_weights: {}\n    num_loading_workers: 1\n    seed: {}\n",
        recipe.title,
        list(datasets.iter().map(|(_, path, _)| quote(path))),
        list(datasets.iter().map(|(_, _, weight)| number(*weight))),
        recipe.seed,
    ))
}
