//! A mixture as people state it, in a config or on the command line.

use std::fmt;

use super::value::Value;
use crate::problem::Mixture;
use crate::space::{Domain, SearchSpace};
use crate::text::hint;

/// A mixture as it is stated: by a word, or by its weights.
#[derive(Clone, Debug, PartialEq)]
pub enum StatedMixture {
    /// `uniform`: the feasible mixture nearest to equal weights.
    Uniform,
    /// `prior`: the feasible mixture nearest to the priors of the domains.
    Prior,
    /// Weights by domain. They may break bounds.
    Weights(Vec<(String, f64)>),
}

impl StatedMixture {
    /// The mixture that a word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "uniform" => Some(Self::Uniform),
            "prior" => Some(Self::Prior),
            _ => None,
        }
    }

    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Text(word) => Self::of_word(word),
            Value::Table(table) => {
                let weight = |value: &Value| value.number().filter(|weight| *weight >= 0.0);
                let weights = table.iter().map(|(name, node)| Some((name.clone(), weight(&node.value)?)));
                weights.collect::<Option<_>>().map(Self::Weights)
            }
            _ => None,
        }
    }

    /// What is wrong with it, in words, given the domains of the study.
    #[must_use]
    pub fn problem(&self, domains: &[Domain]) -> Option<String> {
        let unknown = |(name, _): &&(String, f64)| domains.iter().all(|domain| domain.name != *name);
        match self {
            Self::Prior if domains.iter().all(|domain| domain.prior.is_none_or(|prior| prior == 0.0)) => {
                Some("no domain states a `prior`: state priors, or leave \"prior\" out".into())
            }
            Self::Weights(weights) => match weights.iter().find(unknown) {
                Some((name, _)) => {
                    let hint = hint(name, domains.iter().map(|domain| domain.name.as_str()));
                    Some(format!("`{name}` is no domain of this study; {hint}"))
                }
                None if weights.iter().all(|(_, weight)| *weight == 0.0) => {
                    Some("a mixture needs at least one weight above 0".into())
                }
                None => None,
            },
            Self::Uniform | Self::Prior => None,
        }
    }

    /// The mixture; weights are divided by their sum.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn mixture(&self, space: &SearchSpace) -> Result<Mixture, String> {
        match (self.problem(space.domains()), self) {
            (Some(problem), _) => Err(problem),
            (None, Self::Uniform) => Ok(space.uniform()),
            (None, Self::Prior) => space.prior().ok_or_else(|| "no domain states a `prior`".into()),
            (None, Self::Weights(weights)) => {
                let weights = weights.iter().map(|(name, weight)| (name, *weight));
                space.mixture(weights).map_err(|e| e.to_string())
            }
        }
    }
}

/// As it is stated on the command line.
impl fmt::Display for StatedMixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Prior => f.write_str("prior"),
            Self::Weights(weights) => {
                let weights: Vec<String> = weights.iter().map(|(name, weight)| format!("{name}={weight}")).collect();
                f.write_str(&weights.join(","))
            }
        }
    }
}
