//! The mixture file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::corpus::Corpus;
use crate::model::WINDOW;

/// Shares of the domains in the training data.
#[derive(Debug, Deserialize)]
pub struct Mixture {
    weights: BTreeMap<String, f64>,
    /// Bytes of each domain to draw from, from its start; all of it where there is no entry.
    #[serde(default)]
    unique_tokens: BTreeMap<String, f64>,
}

impl Mixture {
    /// Reads `{"weights": {domain: share, …}, "unique_tokens": {domain: bytes, …}}`; other keys are ignored.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read the mixture {}", path.display()))?;
        let mixture: Self = serde_json::from_str(&text).with_context(|| {
            format!("{}: expected JSON like {{\"weights\": {{\"rust\": 0.5, \"docs\": 0.5}}}}", path.display())
        })?;
        mixture.validate().with_context(|| format!("{}", path.display()))?;
        Ok(mixture)
    }

    fn validate(&self) -> Result<()> {
        for (name, &weight) in &self.weights {
            ensure!(weight.is_finite() && weight >= 0.0, "weights.{name} is {weight}: it must be at least 0");
        }
        let sum: f64 = self.weights.values().sum();
        ensure!((sum - 1.0).abs() <= 1e-3, "the weights sum to {sum:.4}: they must sum to 1");
        Ok(())
    }

    /// Leaves the first `unique_tokens` bytes of each domain's training text. A shorter prefix is part of a longer one, so that
    /// a small run sees the beginning of what a large one sees.
    ///
    /// # Errors
    /// A domain that has not so many, or so few that no window fits.
    pub fn cut(&self, corpus: &mut Corpus) -> Result<()> {
        for domain in &mut corpus.domains {
            let Some(&unique) = self.unique_tokens.get(&domain.name) else { continue };
            let (name, all) = (&domain.name, domain.train.len());
            ensure!(
                (WINDOW as f64..=all as f64).contains(&unique),
                "unique_tokens.{name} is {unique}: there are {all} bytes of {name}, and a window has {WINDOW}"
            );
            domain.train.truncate(unique as usize);
        }
        Ok(())
    }

    /// The weights in the order of the corpus' domains.
    ///
    /// # Errors
    /// Every domain must be named, and no other.
    pub fn weights_for(&self, corpus: &Corpus) -> Result<Vec<f64>> {
        let known = || corpus.domains.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(", ");
        for name in self.weights.keys() {
            ensure!(
                corpus.domains.iter().any(|d| d.name == *name),
                "weights.{name}: there is no such domain; the corpus has {}",
                known()
            );
        }
        corpus
            .domains
            .iter()
            .map(|d| {
                let weight = self.weights.get(&d.name).copied();
                weight.with_context(|| {
                    format!("weights.{} is missing; give every domain of {} a weight", d.name, known())
                })
            })
            .collect()
    }
}
