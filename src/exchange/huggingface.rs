//! Hugging Face `datasets`: a piece of Python that calls `interleave_datasets`.

use super::recipe::{ExportError, Recipe};
use super::text::{list, number, quote};

/// The loader of files by what their names end in; compressed ones too.
const LOADERS: [(&str, &str); 5] =
    [(".jsonl", "json"), (".json", "json"), (".parquet", "parquet"), (".csv", "csv"), (".txt", "text")];

/// Writes a module whose `mixture` is the dataset. A path that names no files is a dataset of the Hub, or a folder.
pub(super) fn python(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let datasets = recipe.datasets()?;
    let mut python =
        format!("# {}\nfrom datasets import interleave_datasets, load_dataset\n\nsources = [\n", recipe.title);
    for (name, path, _) in &datasets {
        let plain = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
        let arguments = match LOADERS.iter().find(|(end, _)| plain.ends_with(end)) {
            Some((_, loader)) => format!("\"{loader}\", data_files={}", quote(path)),
            None => quote(path),
        };
        python += &format!("    load_dataset({arguments}, split=\"train\", streaming=True),  # {}\n", quote(name));
    }
    python += &format!(
        "]\nmixture = interleave_datasets(\n    sources,\n    probabilities={},\n    seed={},\n    stopping_strategy=\"{}\",\n)\n",
        list(datasets.iter().map(|(_, _, weight)| number(*weight))),
        recipe.seed,
        recipe.config.stopping.name(),
    );
    Ok(python)
}
