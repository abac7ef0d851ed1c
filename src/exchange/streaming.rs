//! MosaicML streaming: the `streams` of a `StreamingDataset`, as LLM Foundry's YAML has them under `train_loader.dataset`.

use super::recipe::{ExportError, Recipe};
use super::text::{number, quote};

/// Writes a stream a path: with a scheme (`s3://…`) it is `remote`, else `local`.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let mut yaml = format!("# {}\nstreams:\n", recipe.title);
    let datasets = recipe.datasets()?;
    for (i, (name, path, weight)) in datasets.iter().enumerate() {
        let many = datasets.iter().filter(|(other, _, _)| other == name).count() > 1;
        let nth = 1 + datasets[..i].iter().filter(|(other, _, _)| other == name).count();
        let name = if many { format!("{name}/{nth}") } else { (*name).to_owned() };
        let place = if path.contains("://") { "remote" } else { "local" };
        yaml += &format!("  {}:\n    {place}: {}\n    proportion: {}\n", quote(&name), quote(path), number(*weight));
    }
    if let Some(size) = recipe.config.epoch_size {
        yaml += &format!("epoch_size: {size}\n");
    }
    yaml += &format!("shuffle_seed: {}\n", recipe.seed);
    Ok(yaml)
}
