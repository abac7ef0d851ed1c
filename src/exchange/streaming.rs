//! MosaicML streaming: the `streams` of a `StreamingDataset`, as LLM Foundry's YAML has them under `train_loader.dataset`.

use serde_json::{Map, Value, json};

use super::recipe::{ExportError, Recipe};
use super::text::yaml as write;

/// Writes one stream per path: with a scheme (`s3://…`) it is `remote`, else `local`.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let mut streams = Map::new();
    for source in recipe.sources(recipe.unit())? {
        let count = source.paths.len();
        for (i, path) in source.paths.into_iter().enumerate() {
            let name = if count == 1 { source.name.to_owned() } else { format!("{}/{}", source.name, i + 1) };
            let place = if path.contains("://") { "remote" } else { "local" };
            let stream = Map::from_iter([
                (place.to_owned(), Value::from(path)),
                ("proportion".to_owned(), Value::from(source.weight / count as f64)),
            ]);
            if streams.insert(name.clone(), stream.into()).is_some() {
                return Err(ExportError::Path {
                    path: name,
                    reason: "two streams would have this name; rename the domain",
                });
            }
        }
    }
    let mut document = json!({"streams": streams});
    if let Some(size) = recipe.config.epoch_size {
        document["epoch_size"] = size.into();
    }
    write(&recipe.title, &document)
}
