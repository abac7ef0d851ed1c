//! nanotron: a data stage of tokenized folders with weights (`NanosetDatasetsArgs`).

use serde_json::json;

use super::recipe::{ExportError, Recipe};
use super::text::yaml as write;

/// Writes the one stage that starts at step 1.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let datasets = recipe.datasets()?;
    let (folders, weights): (Vec<&str>, Vec<f64>) =
        datasets.iter().map(|dataset| (dataset.path, dataset.weight)).unzip();
    let dataset = json!({"dataset_folder": folders, "dataset_weights": weights});
    let data = json!({"dataset": dataset, "num_loading_workers": 1, "seed": recipe.seed});
    let stage = json!({"name": "admire", "start_training_step": 1, "data": data});
    write(&recipe.title, &json!({"data_stages": [stage]}))
}
