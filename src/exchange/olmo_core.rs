//! OLMo-core: the source mixture (`SourceMixtureList`) as YAML.

use super::recipe::{ExportError, Recipe};
use super::text::{list, number, quote};

/// Writes a source a domain. How often its data may be repeated is what the config says of epochs, at least once; OLMo-core
/// refuses a mixture that needs more.
pub(super) fn yaml(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let mut yaml = format!("# {}\nsources:\n", recipe.title);
    for source in recipe.sources()? {
        yaml += &format!("- source_name: {}\n", quote(source.name));
        yaml += &format!("  target_ratio: {}\n", number(source.weight.min(1.0)));
        if let Some(epochs) = source.epochs {
            // Rounded up, so that the mixture itself is never a repetition too many.
            yaml += &format!("  max_repetition_ratio: {}\n", number(((epochs * 1e4).ceil() / 1e4).max(1.0)));
        }
        yaml += &format!("  paths: {}\n", list(source.paths.into_iter().map(quote)));
    }
    Ok(yaml)
}
