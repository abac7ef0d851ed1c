//! The commented config, with what the user has said put in.

use std::path::Path;

use clap::ValueEnum;

use crate::config::TEMPLATE;
use crate::problem::params_of;

/// Tokens of a run per parameter of its model, where nobody says how many: about compute-optimal (Hoffmann et al. 2022).
const TOKENS_PER_PARAMETER: f64 = 20.0;

/// Who trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Trainer {
    /// Hugging Face's Trainer
    Hf,
    /// PyTorch on all GPUs of this machine
    Torchrun,
    /// PyTorch, every trial a job of Slurm
    Slurm,
    /// PyTorch, every trial a job of Ray
    Ray,
    /// Megatron-LM on all GPUs of this machine
    Megatron,
}

impl Trainer {
    /// The training script.
    pub(super) const fn script(self) -> &'static str {
        match self {
            Self::Hf => include_str!("train_hf.py"),
            Self::Torchrun | Self::Slurm | Self::Ray => include_str!("train_torch.py"),
            Self::Megatron => include_str!("train_megatron.py"),
        }
    }

    /// The lines of `[launcher]` up to the command.
    fn launcher(self, script: &Path) -> String {
        let script = quoted(&script.display().to_string());
        match self {
            Self::Hf | Self::Megatron => format!("kind = \"local\"\ncommand = [\"python3\", {script}]\n"),
            Self::Torchrun => {
                format!(
                    "kind = \"local\"\ncommand = [\"torchrun\", \"--standalone\", \"--nproc_per_node=gpu\", {script}]\n"
                )
            }
            Self::Slurm => format!(
                "kind = \"slurm\"               # docs/slurm.md\n\
                 # partition = \"gpu\"\n\
                 time = \"4:00:00\"\n\
                 directives = [\"--ntasks=1\", \"--gres=gpu:1\"]\n\
                 command = [\"srun\", \"python3\", {script}]\n"
            ),
            Self::Ray => format!(
                "kind = \"ray\"                 # docs/ray.md\n\
                 address = \"http://localhost:8265\"\n\
                 entrypoint_num_gpus = 1\n\
                 # runtime_env = {{ pip = [\"torch\"] }}\n\
                 command = [\"python3\", {script}]\n"
            ),
        }
    }
}

/// A domain, and how many tokens there are of it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: String,
    tokens: Option<f64>,
}

impl Source {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, tokens) = text.split_once('=').map_or((text, None), |(name, tokens)| (name, Some(tokens)));
        if name.is_empty() {
            return Err("it has no name".into());
        }
        let tokens = tokens.map(|tokens| {
            let number = tokens.parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0);
            number.ok_or("a positive number of tokens follows the `=`, such as 60e9")
        });
        Ok(Self { name: name.into(), tokens: tokens.transpose()? })
    }
}

/// A size, and its parameters.
#[derive(Clone, Debug)]
pub(super) struct Size {
    name: String,
    params: f64,
}

impl Size {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let params = params_of(text).ok_or("a size ends with its parameters, such as 60M, 1.5B or llama-8B")?;
        Ok(Self { name: text.into(), params })
    }

    fn tokens(&self) -> f64 {
        TOKENS_PER_PARAMETER * self.params
    }
}

/// What a config is written from; empty lists leave what the commented config has.
pub(super) struct Draft<'a> {
    pub(super) domains: &'a [Source],
    pub(super) sizes: &'a [Size],
    /// The trainer, and where its script is.
    pub(super) trainer: Option<(Trainer, &'a Path)>,
}

impl Draft<'_> {
    /// The text of the config.
    pub(super) fn text(&self) -> String {
        let mut text = TEMPLATE.to_owned();
        if !self.domains.is_empty() {
            replace(&mut text, "[[domain]]", "# Bounds on the sum", &(self.domain_tables() + "\n"));
            if self.domains.iter().all(|domain| domain.tokens.is_none()) {
                // It would cap nothing.
                replace(&mut text, "max_epochs", "# smallest_weight", "# max_epochs = 4\n");
            }
        }
        if !self.sizes.is_empty() {
            let largest = self.sizes.iter().map(Size::tokens).fold(0.0, f64::max);
            replace(&mut text, "target_tokens = 20e9", "\n", &format!("target_tokens = {largest:e}"));
            replace(&mut text, "[[fidelity]]", "# What the training command reports", &(self.size_tables() + "\n"));
        }
        if let Some((trainer, script)) = self.trainer {
            let names: Vec<&str> = match self.domains {
                [] => vec!["web", "code", "books"],
                domains => domains.iter().map(|domain| domain.name.as_str()).collect(),
            };
            let metrics: Vec<String> = names.iter().map(|name| format!("{} = 1.0", quoted(name))).collect();
            replace(&mut text, "metric = \"loss\"", "# metrics", &format!("metrics = {{ {} }}\n", metrics.join(", ")));
            replace(&mut text, "kind = \"local\"", "slots", &trainer.launcher(script));
        }
        text
    }

    fn domain_tables(&self) -> String {
        let table = |Source { name, tokens }: &Source| {
            let tokens = match tokens {
                Some(tokens) => format!("tokens = {tokens:e}"),
                None => "# tokens = 50e9".into(),
            };
            format!("[[domain]]\nname = {}\n{tokens}\n", quoted(name))
        };
        self.domains.iter().map(table).collect::<Vec<_>>().join("\n")
    }

    /// The cost of a run is proportional to parameters times tokens, and that of the target is 1.
    fn size_tables(&self) -> String {
        let largest = self.sizes.iter().map(|size| size.params).fold(0.0, f64::max);
        let table = |size: &Size| {
            let cost: f64 = format!("{:.2e}", (size.params / largest).powi(2)).parse().unwrap_or(1.0);
            let (params, tokens) = (size.params, size.tokens());
            let target = if size.params == largest { "target = true\n" } else { "" };
            format!(
                "[[fidelity]]\nname = {}\nparams = {params:e}\ntokens = {tokens:e}\ncost = {cost:?}\n{target}",
                quoted(&size.name)
            )
        };
        self.sizes.iter().map(table).collect::<Vec<_>>().join("\n")
    }
}

/// Puts other text in the place of what is from the first `from` up to the next `to`.
fn replace(text: &mut String, from: &str, to: &str, by: &str) {
    let start = text.find(from).unwrap_or_default();
    let end = start + text[start..].find(to).unwrap_or_default();
    text.replace_range(start..end, by);
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StudyConfig;

    fn written(domains: &[&str], sizes: &[&str], trainer: Option<Trainer>) -> StudyConfig {
        let domains: Vec<Source> = domains.iter().map(|text| Source::parse(text).unwrap()).collect();
        let sizes: Vec<Size> = sizes.iter().map(|text| Size::parse(text).unwrap()).collect();
        let trainer = trainer.map(|trainer| (trainer, Path::new("train.py")));
        let text = Draft { domains: &domains, sizes: &sizes, trainer }.text();
        StudyConfig::parse(Path::new("study.toml"), &text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn nothing_said_leaves_the_commented_config() {
        assert_eq!(Draft { domains: &[], sizes: &[], trainer: None }.text(), TEMPLATE);
    }

    #[test]
    fn domains_and_sizes_are_those_that_were_said() {
        let config = written(&["web=400e9", "c++ \"code\"=60e9", "books"], &["60M", "1B"], None);
        let tokens: Vec<_> = config.space.domains().iter().map(|d| (d.name.as_str(), d.tokens)).collect();
        assert_eq!(tokens, [("books", None), ("c++ \"code\"", Some(60e9)), ("web", Some(400e9))]);
        let sizes: Vec<_> =
            config.fidelities.list().iter().map(|f| (f.name.as_str(), f.params, f.tokens, f.cost)).collect();
        assert_eq!(sizes, [("60M", Some(60e6), Some(1.2e9), Some(0.0036)), ("1B", Some(1e9), Some(20e9), Some(1.0))]);
        assert_eq!(config.fidelities[config.fidelities.target()].name, "1B");
    }

    #[test]
    fn every_trainer_has_a_config_with_its_command_and_a_loss_per_domain() {
        for trainer in Trainer::value_variants() {
            for domains in [&["web", "code=1e9"][..], &["web", "code"], &[]] {
                let config = written(domains, &[], Some(*trainer));
                let launcher = config.launcher.unwrap();
                assert_eq!(launcher.command.last().map(String::as_str), Some("train.py"), "{trainer:?}");
                assert_eq!(config.objective.metrics.len(), config.space.dim());
            }
        }
    }

    #[test]
    fn what_is_neither_a_domain_nor_a_size_is_refused() {
        for text in ["=5e9", "web=", "web=many", "web=-1", "web=inf"] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
        for text in ["", "large", "1e9", "B"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }
}
