//! Hugging Face `datasets`: a piece of Python that calls `interleave_datasets`.

use super::recipe::{ExportError, Recipe, Source};
use super::text::{number, python as literal};

/// The loader of files by what their names end in; compressed ones too.
const LOADERS: [(&str, &str); 5] =
    [(".jsonl", "json"), (".json", "json"), (".parquet", "parquet"), (".csv", "csv"), (".txt", "text")];

/// The loader that takes all of these paths together; `None` where one is no file, or of another kind.
pub(super) fn loader(paths: &[impl AsRef<str>]) -> Option<&'static str> {
    let of = |path: &str| {
        let plain = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
        LOADERS.iter().find(|(end, _)| plain.ends_with(end)).map(|(_, loader)| *loader)
    };
    let first = of(paths.first()?.as_ref())?;
    paths.iter().all(|path| of(path.as_ref()) == Some(first)).then_some(first)
}

/// Writes a module whose `mixture` is the dataset. A path that is no file is a dataset of the Hub, or a folder.
pub(super) fn python(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let (mut sources, mut weights) = (String::new(), vec![]);
    for source in recipe.sources(recipe.unit())? {
        let calls = calls(&source);
        for call in &calls {
            let name = literal(source.name);
            sources += &format!("    load_dataset({call}, split=\"train\", streaming=True),  # {name}\n");
            weights.push(number(source.weight / calls.len() as f64));
        }
    }
    let Recipe { title, seed, config, .. } = recipe;
    let (weights, stopping) = (weights.join(", "), config.stopping.name());
    Ok(format!(
        "# {title}\nfrom datasets import interleave_datasets, load_dataset\n\nsources = [\n{sources}]\n\
         mixture = interleave_datasets(\n    sources,\n    probabilities=[{weights}],\n    seed={seed},\n    \
         stopping_strategy=\"{stopping}\",\n)\n"
    ))
}

/// The arguments that load a source: once where its paths go together, else once a path.
fn calls(source: &Source<'_>) -> Vec<String> {
    let files = |loader: &str, paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|path| literal(path)).collect();
        format!("\"{loader}\", data_files=[{}]", paths.join(", "))
    };
    if let Some(loader) = loader(&source.paths) {
        return vec![files(loader, &source.paths)];
    }
    let call = |path: &&str| loader(&[path]).map_or_else(|| literal(path), |loader| files(loader, &[path]));
    source.paths.iter().map(call).collect()
}
