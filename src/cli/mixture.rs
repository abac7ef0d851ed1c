//! A mixture as users name it on the command line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::UsageError;
use crate::advice::{self, Caveat};
use crate::config::StatedMixture;
use crate::input;
use crate::optimizer::Optimizer;
use crate::problem::Mixture;
use crate::runs::SUM_TOLERANCE;
use crate::study::Study;
use crate::text::{nearest, number};

/// Words that are mixtures by themselves.
const WORDS: [&str; 3] = ["recommended", "uniform", "prior"];
/// What can be named.
const FORMS: &str = "recommended, uniform, prior, trial:N, weights like web=0.5,code=0.5, or @FILE with JSON weights";

/// A mixture that the user names.
pub(super) struct NamedMixture {
    /// What it is called.
    pub name: String,
    /// The mixture. One that is stated by its weights, or of a trial, may break bounds.
    pub mixture: Mixture,
    /// What has to be said of the choice, if it is the study's own.
    pub caveats: Vec<Caveat>,
}

/// A file with a mixture: what trials get and `best` and `suggest` print, or the weights alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum MixtureFile {
    Object { weights: BTreeMap<String, f64> },
    Weights(BTreeMap<String, f64>),
}

/// The mixture that `text`, the value of `option`, names.
pub(super) fn named(study: &Study, optimizer: &Optimizer, option: &str, text: &str) -> anyhow::Result<NamedMixture> {
    let wrong = |reason: String| UsageError(format!("{option} {text}: {reason}"));
    let named = |name: &str, mixture| NamedMixture { name: name.to_owned(), mixture, caveats: Vec::new() };
    let stated = |stated: StatedMixture| stated.mixture(&study.config().space).map_err(wrong);
    if text == "recommended" {
        let advice::Answer { mixture, caveats } = advice::choice(study, optimizer)?;
        return Ok(NamedMixture { caveats, ..named(text, mixture) });
    }
    if let Some(word) = StatedMixture::of_word(text) {
        return Ok(named(text, stated(word)?));
    }
    if let Some(id) = text.strip_prefix("trial:") {
        let id = id.parse().map_err(|_| wrong("expected the number of a trial, as in trial:7".into()))?;
        return Ok(named(&format!("trial {id}"), study.trial(id)?.mixture.clone()));
    }
    let file = text.strip_prefix('@').or_else(|| text.ends_with(".json").then_some(text)).map(Path::new);
    let (name, weights) = match file {
        Some(path) => {
            let json = input::read(path).with_context(|| format!("{option}: cannot read {}", path.display()))?;
            let (MixtureFile::Object { weights } | MixtureFile::Weights(weights)) = serde_json::from_str(&json)
                .map_err(|_| wrong("expected JSON like {\"weights\": {\"web\": 0.6, \"code\": 0.4}}".into()))?;
            (path.file_stem().unwrap_or_default().to_string_lossy(), weights.into_iter().collect())
        }
        None => (text.into(), listed(text).map_err(wrong)?),
    };
    let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let mixture = stated(StatedMixture::Weights(weights))?;
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        let shares = study.named(&mixture).into_iter().filter(|(_, weight)| *weight > 0.0);
        let shares: Vec<String> = shares.map(|(name, weight)| format!("{name}={}", number(weight, 4))).collect();
        let (sum, shares) = (number(sum, 4), shares.join(","));
        return Err(wrong(format!("the weights sum to {sum}, not to 1; divided by their sum they are {shares}")).into());
    }
    Ok(named(&name, mixture))
}

/// The weights of a list like `web=0.5,code=0.5`.
fn listed(text: &str) -> Result<Vec<(String, f64)>, String> {
    if !text.contains('=') {
        let meant = nearest(text, WORDS.into_iter()).map_or_else(String::new, |word| format!("did you mean {word}? "));
        return Err(format!("{meant}A mixture is {FORMS}"));
    }
    let weight = |item: &str| {
        let (name, weight) = item.split_once('=').ok_or_else(|| format!("`{item}` has no weight, as in web=0.5"))?;
        let weight = input::number(weight).ok_or_else(|| format!("`{weight}` is no number"))?;
        Ok((name.trim().to_owned(), weight))
    };
    text.split(',').map(weight).collect()
}
