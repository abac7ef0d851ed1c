//! `[confirm]`: which mixtures are trained once the search has stopped.

use super::tree::Section;
use super::value::Value;
use super::{Confirm, Reference};
use crate::problem::Mixture;
use crate::space::{Domain, SearchSpace};

/// A mixture that something is compared with: an entry of `confirm.against`, or what a guard is about.
pub(super) enum Against {
    Uniform,
    Prior,
    Weights(Vec<(String, f64)>),
}

impl Against {
    /// `"uniform"`, `"prior"` or a table of weights.
    pub fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Text(word) if word == "uniform" => Some(Self::Uniform),
            Value::Text(word) if word == "prior" => Some(Self::Prior),
            Value::Table(table) => {
                let weight = |value: &Value| value.number().filter(|weight| *weight >= 0.0);
                let weights = table.iter().map(|(name, node)| Some((name.clone(), weight(&node.value)?)));
                weights.collect::<Option<_>>().map(Self::Weights)
            }
            _ => None,
        }
    }

    /// What is wrong with it, in words, given the domains of the study.
    pub fn problem(&self, domains: &[Domain]) -> Option<String> {
        let unknown = |(name, _): &&(String, f64)| domains.iter().all(|domain| domain.name != *name);
        match self {
            Self::Prior if domains.iter().all(|domain| domain.prior.is_none_or(|prior| prior == 0.0)) => {
                Some("no domain states a `prior`: state priors, or leave \"prior\" out".into())
            }
            Self::Weights(weights) => match weights.iter().find(unknown) {
                Some((name, _)) => Some(format!("`{name}` is no domain of this study")),
                None if weights.iter().all(|(_, weight)| *weight == 0.0) => {
                    Some("a mixture needs at least one weight above 0".into())
                }
                None => None,
            },
            Self::Uniform | Self::Prior => None,
        }
    }

    /// The mixture that [`Self::problem`] has found no fault with, and its name if it has one.
    pub fn mixture(self, space: &SearchSpace) -> Option<(Option<String>, Mixture)> {
        match self {
            Self::Uniform => Some((Some("uniform".into()), space.uniform())),
            Self::Prior => Some((Some("prior".into()), space.prior()?)),
            Self::Weights(weights) => Some((None, space.mixture(weights).ok()?)),
        }
    }
}

/// The section, and what the recommendation is compared with: by default the uniform mixture and, where one is stated, the prior.
pub(super) fn read(document: &Section<'_>, domains: &[Domain]) -> (Option<Confirm>, Vec<Against>) {
    let section = document.section("confirm");
    let seeds = section.count("seeds", 1).unwrap_or(1);
    let entry = "\"uniform\", \"prior\" or a table of weights such as { web = 0.6, code = 0.4 }";
    let against = section.items("against", &format!("an array of {entry}"), entry, Against::read);
    if against.as_ref().is_some_and(Vec::is_empty) {
        section.report(Some("against"), "is empty; leave it out for the default, or leave [confirm] out");
    }
    for problem in against.iter().flatten().filter_map(|entry| entry.problem(domains)) {
        section.report(Some("against"), problem);
    }
    let confirm = section.present().then_some(Confirm { seeds });
    section.finish();
    let prior = Some(Against::Prior).filter(|prior| prior.problem(domains).is_none());
    (confirm, against.unwrap_or_else(|| [Against::Uniform].into_iter().chain(prior).collect()))
}

/// The mixtures that [`read`] has found no fault with, each once: those within `tolerance` of an earlier one are left out.
pub(super) fn references(against: Vec<Against>, space: &SearchSpace, tolerance: f64) -> Vec<Reference> {
    let (mut references, mut tables): (Vec<Reference>, usize) = (Vec::new(), 0);
    for entry in against {
        tables += usize::from(matches!(entry, Against::Weights(_)));
        let Some((name, mixture)) = entry.mixture(space) else { continue };
        if references.iter().all(|known| known.mixture.distance(&mixture) >= tolerance) {
            references.push(Reference { name: name.unwrap_or_else(|| format!("mixture #{tables}")), mixture });
        }
    }
    references
}
