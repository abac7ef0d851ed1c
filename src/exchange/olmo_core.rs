//! OLMo-core: the source mixture (`SourceMixtureList`) as YAML.

use serde_json::{Value, json};

use super::recipe::{ExportError, Recipe, Source};
use super::text::yaml as write;
use crate::config::Unit;

/// Writes one source per domain, with its share of the tokens whatever the unit of other exports. How often its data may be
/// repeated is what the config says of epochs, at least once; OLMo-core refuses a mixture that needs more.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let sources: Vec<Value> = recipe.sources(Unit::Tokens)?.iter().map(source).collect();
    write(&recipe.title, &json!({"sources": sources}))
}

fn source(source: &Source<'_>) -> Value {
    let mut entry = json!({
        "source_name": source.name,
        // Rounding must not make it more than all.
        "target_ratio": source.weight.min(1.0),
        "paths": source.paths,
    });
    if let Some(epochs) = source.epochs {
        // Rounded up, so that the mixture itself is never a repetition too many.
        entry["max_repetition_ratio"] = ((epochs * 1e4).ceil() / 1e4).max(1.0).into();
    }
    entry
}
