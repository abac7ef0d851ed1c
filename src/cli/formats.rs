//! What formats are called on the command line, and what its help says of them.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::exchange::{ExportFormat, ImportFormat};

impl ValueEnum for ImportFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Regmix, Self::Admire, Self::Olmix, Self::Doremi, Self::Mlflow, Self::Wandb, Self::Wide, Self::Long]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Regmix => ("regmix", "RegMix: SIZE=MIXTURES.csv,LOSSES.csv for each size"),
            Self::Admire => ("admire", "ADMIRE-BayesOpt: the CSV of its published runs"),
            Self::Olmix => ("olmix", "olmix: SIZE=ratios.csv,metrics.csv"),
            Self::Doremi => ("doremi", "DoReMi: SIZE=FILE.json, with --metric"),
            Self::Mlflow => (
                "mlflow",
                "MLflow: its database `mlflow.db`, its folder `mlruns`, or the CSV of `mlflow experiments csv`",
            ),
            Self::Wandb => ("wandb", "Weights & Biases: its folder `wandb`, or the CSV of its table of runs"),
            Self::Wide => ("wide", "A CSV with one row per run; also what `admire export` writes"),
            Self::Long => ("long", "A CSV with one row per run and weight or metric, in columns `name` and `value`"),
        };
        // An older name, which scripts may use.
        Some(PossibleValue::new(name).help(help).aliases((*self == Self::Wide).then_some("runs")))
    }
}

impl ValueEnum for ExportFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Megatron,
            Self::MegatronArgs,
            Self::MegatronJson,
            Self::OlmoCore,
            Self::LlamaFactory,
            Self::Huggingface,
            Self::Streaming,
            Self::Nanotron,
            Self::Regmix,
            Self::Json,
            Self::Csv,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Megatron => ("megatron", "Megatron-LM: --data-path with weights and prefixes, for a command line"),
            Self::MegatronArgs => ("megatron-args", "Megatron-LM: the file of --data-args-path"),
            Self::MegatronJson => ("megatron-json", "Megatron-LM: the file of --per-split-data-args-path"),
            Self::OlmoCore => ("olmo-core", "OLMo-core: the YAML of a source mixture"),
            Self::LlamaFactory => ("llama-factory", "LLaMA-Factory: the keys of its YAML that mix datasets"),
            Self::Huggingface => ("huggingface", "Hugging Face: Python that calls interleave_datasets"),
            Self::Streaming => ("streaming", "MosaicML streaming: the YAML of streams, as LLM Foundry has it"),
            Self::Nanotron => ("nanotron", "nanotron: the YAML of a data stage"),
            Self::Regmix => ("regmix", "RegMix: the YAML of its trainer"),
            Self::Json => ("json", "All weights as JSON"),
            Self::Csv => ("csv", "All weights as CSV, one row per domain"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}
