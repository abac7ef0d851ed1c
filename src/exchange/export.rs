//! From a mixture to a trainer's files.

use serde_json::{Map, json};

use super::recipe::{ExportError, Recipe};
use super::text::csv;
use super::{huggingface, llama_factory, megatron, nanotron, olmo_core, regmix, streaming};

/// For whom. `cli/formats.rs` has the names and the help of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Megatron-LM: --data-path with weights and prefixes, for a command line.
    Megatron,
    /// Megatron-LM: the file of --data-args-path.
    MegatronArgs,
    /// Megatron-LM: the file of --per-split-data-args-path.
    MegatronJson,
    /// OLMo-core: the YAML of a source mixture.
    OlmoCore,
    /// LLaMA-Factory: the keys of its YAML that mix datasets.
    LlamaFactory,
    /// Hugging Face: Python that calls interleave_datasets.
    Huggingface,
    /// MosaicML streaming: the YAML of streams, as LLM Foundry has it.
    Streaming,
    /// nanotron: the YAML of a data stage.
    Nanotron,
    /// RegMix: the YAML of its trainer.
    Regmix,
    /// All weights as JSON.
    Json,
    /// All weights as CSV, one row per domain.
    Csv,
}

impl ExportFormat {
    /// Writes the mixture; a trainer is only told of domains that have a weight.
    ///
    /// # Errors
    /// Shares that cannot be converted, paths that cannot be written.
    pub fn write(self, recipe: &Recipe<'_>) -> Result<String, ExportError> {
        match self {
            Self::Megatron => megatron::arguments(recipe),
            Self::MegatronArgs => megatron::file(recipe),
            Self::MegatronJson => megatron::splits(recipe),
            Self::OlmoCore => olmo_core::yaml(recipe),
            Self::LlamaFactory => llama_factory::yaml(recipe),
            Self::Huggingface => huggingface::python(recipe),
            Self::Streaming => streaming::yaml(recipe),
            Self::Nanotron => nanotron::yaml(recipe),
            Self::Regmix => regmix::yaml(recipe),
            Self::Json => json(recipe),
            Self::Csv => {
                let header = vec!["domain".to_owned(), "weight".to_owned()];
                let rows = recipe
                    .shares(recipe.unit())?
                    .into_iter()
                    .map(|(name, weight)| vec![name.to_owned(), weight.to_string()]);
                csv([header].into_iter().chain(rows))
            }
        }
    }

    /// What the user should know before training with it: weights in a unit that the trainer does not count in, paths that
    /// are missing, weights that were divided.
    #[must_use]
    pub fn warnings(self, recipe: &Recipe<'_>) -> Vec<String> {
        let mut warnings = Vec::new();
        let examples = matches!(self, Self::LlamaFactory | Self::Huggingface | Self::Streaming);
        if examples && recipe.config.unit.is_none() {
            warnings.push(
                "this trainer draws examples, but the weights are shares of tokens; state export.unit (\"documents\" with \
                 each domain's mean_length, or \"tokens\" where all examples have the same length)"
                    .into(),
            );
        }
        let names = |wanted: &dyn Fn(&[String]) -> bool| -> String {
            let wanted = recipe.present().filter(|domain| wanted(recipe.paths(domain.name)));
            wanted.map(|domain| domain.name).collect::<Vec<_>>().join(", ")
        };
        let (nameless, divided) = (names(&|paths| paths.is_empty()), names(&|paths| self.divides(paths)));
        let by_name = matches!(self, Self::LlamaFactory | Self::Regmix | Self::Json | Self::Csv);
        if !by_name && !nameless.is_empty() {
            warnings.push(format!("no `path` in the config for {nameless}; the name stands for it"));
        }
        if !divided.is_empty() {
            warnings.push(format!("the weight of {divided} is divided equally among its paths"));
        }
        warnings
    }

    /// Whether these paths of a domain get a weight each.
    fn divides(self, paths: &[String]) -> bool {
        let together = match self {
            Self::OlmoCore | Self::Json | Self::Csv => true,
            Self::Huggingface => huggingface::loader(paths).is_some(),
            _ => false,
        };
        paths.len() > 1 && !together
    }
}

fn json(recipe: &Recipe<'_>) -> Result<String, ExportError> {
    let weights: Map<_, _> =
        recipe.shares(recipe.unit())?.into_iter().map(|(name, weight)| (name.to_owned(), weight.into())).collect();
    let document = json!({"title": recipe.title, "unit": recipe.unit().name(), "weights": weights});
    Ok(format!("{document:#}\n"))
}
