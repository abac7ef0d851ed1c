//! What the domains of a space were in an older study, and what old mixtures are in the new domains.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A weight that is no more than this is what rounding leaves of none.
const NO_WEIGHT: f64 = 1e-9;
/// Weights that differ by less are the same but for their rounding to three decimals.
const ROUNDING: f64 = 1e-3;

/// What a domain was in an older study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The domain of this name.
    Was(String),
    /// A part of a domain.
    SplitOf {
        /// Its name.
        domain: String,
        /// The part's share of it, in `(0, 1]`. The shares of all parts sum to 1.
        share: f64,
    },
    /// Several domains, by name, with the shares in which the new one draws from them. They sum to 1.
    MergeOf(BTreeMap<String, f64>),
}

impl Relation {
    /// The names of the old domains.
    #[must_use]
    pub fn old(&self) -> Vec<&str> {
        match self {
            Self::Was(domain) | Self::SplitOf { domain, .. } => vec![domain],
            Self::MergeOf(shares) => shares.keys().map(String::as_str).collect(),
        }
    }

    /// The new domain's weight in an old mixture.
    fn weight(&self, old: &BTreeMap<String, f64>) -> f64 {
        let of = |domain: &String| old.get(domain).copied().unwrap_or(0.0);
        match self {
            Self::Was(domain) => of(domain),
            Self::SplitOf { domain, share } => share * of(domain),
            Self::MergeOf(shares) => shares.keys().map(of).sum(),
        }
    }

    /// Whether a run of the old mixture used the same data as a run of the new one.
    fn exact(&self, old: &BTreeMap<String, f64>) -> bool {
        let Self::MergeOf(shares) = self else { return true };
        let sum = self.weight(old);
        shares.iter().all(|(domain, share)| (old.get(domain).unwrap_or(&0.0) - share * sum).abs() < ROUNDING)
    }
}

/// The domains of a space that state what they were in an older study, by name. Any other was the old domain of its name, or is new.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage(pub BTreeMap<String, Relation>);

/// What an old mixture is in the new domains.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// Weights by new domain, a mixture.
    pub weights: BTreeMap<String, f64>,
    /// The merged domains that the old mixture did not draw in the stated shares.
    pub unnatural: Vec<String>,
}

impl Lineage {
    /// What the new domain of this name was.
    fn relation(&self, domain: &str) -> Relation {
        self.0.get(domain).cloned().unwrap_or_else(|| Relation::Was(domain.to_owned()))
    }

    /// The weight of the new domain of this name in an old mixture.
    #[must_use]
    pub fn weight(&self, domain: &str, old: &BTreeMap<String, f64>) -> f64 {
        self.relation(domain).weight(old)
    }

    /// What the weights of an old mixture are in the new `domains`.
    ///
    /// # Errors
    /// The old domains that have weight and have become none of the new ones.
    pub fn carried<'a>(
        &self,
        old: &BTreeMap<String, f64>,
        domains: impl IntoIterator<Item = &'a str>,
    ) -> Result<Carried, Vec<String>> {
        let (mut weights, mut unnatural, mut known) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        for name in domains {
            let relation = self.relation(name);
            if !relation.exact(old) {
                unnatural.push(name.to_owned());
            }
            weights.insert(name.to_owned(), relation.weight(old));
            known.extend(relation.old().into_iter().map(str::to_owned));
        }
        let gone: Vec<(&String, &f64)> = old.iter().filter(|(name, _)| !known.contains(*name)).collect();
        if gone.iter().map(|(_, weight)| *weight).sum::<f64>() > NO_WEIGHT {
            return Err(gone.into_iter().map(|(name, _)| name.clone()).collect());
        }
        if !gone.is_empty() {
            let sum: f64 = weights.values().sum();
            weights.values_mut().for_each(|weight| *weight /= sum);
        }
        Ok(Carried { weights, unnatural })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture(weights: &[(&str, f64)]) -> BTreeMap<String, f64> {
        weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
    }

    #[test]
    fn renames_splits_and_merges_are_affine() {
        let split = |share| Relation::SplitOf { domain: "web".into(), share };
        let merge = Relation::MergeOf(mixture(&[("arxiv", 0.25), ("books", 0.75)]));
        let lineage = Lineage(
            [("docs", Relation::Was("pdfs".into())), ("web", split(0.4)), ("forums", split(0.6)), ("texts", merge)]
                .map(|(name, relation)| (name.to_owned(), relation))
                .into(),
        );
        let domains = ["code", "docs", "forums", "texts", "web", "fresh"];
        let old = mixture(&[("code", 0.1), ("pdfs", 0.2), ("web", 0.5), ("arxiv", 0.05), ("books", 0.15)]);
        let Carried { weights, unnatural } = lineage.carried(&old, domains).unwrap();
        let new =
            mixture(&[("code", 0.1), ("docs", 0.2), ("web", 0.2), ("forums", 0.3), ("texts", 0.2), ("fresh", 0.0)]);
        assert!(unnatural.is_empty() && weights.iter().all(|(name, w)| (w - new[name]).abs() < 1e-12), "{weights:?}");

        let old = mixture(&[("code", 0.8), ("arxiv", 0.1), ("books", 0.1)]);
        assert_eq!(lineage.carried(&old, domains).unwrap().unnatural, ["texts"]);
        // Weights of three decimals.
        let old = mixture(&[("code", 0.877), ("arxiv", 0.031), ("books", 0.092)]);
        assert!(lineage.carried(&old, domains).unwrap().unnatural.is_empty());
        let old = mixture(&[("code", 0.8), ("news", 0.2), ("mail", 0.0)]);
        assert_eq!(lineage.carried(&old, domains).unwrap_err(), ["mail", "news"]);
        // What was called like the old one of another is no longer meant.
        assert_eq!(lineage.carried(&mixture(&[("docs", 1.0)]), domains).unwrap_err(), ["docs"]);
    }
}
