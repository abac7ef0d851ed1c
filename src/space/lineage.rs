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

    /// The weight of a merged domain that an old mixture did not draw in the stated shares; 0 but for rounding.
    fn miss(&self, old: &BTreeMap<String, f64>) -> f64 {
        let Self::MergeOf(shares) = self else { return 0.0 };
        let sum = self.weight(old);
        let miss = |(domain, share): (&String, &f64)| (old.get(domain).unwrap_or(&0.0) - share * sum).abs();
        if shares.iter().map(miss).all(|miss| miss < ROUNDING) {
            0.0
        } else {
            0.5 * shares.iter().map(miss).sum::<f64>()
        }
    }
}

/// What the domains of a space were in an older study.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage {
    /// Those that state it, by name. Any other was the old domain of its name, or is new.
    pub relations: BTreeMap<String, Relation>,
    /// The domains whose data have changed since.
    pub revised: BTreeSet<String>,
}

/// What an old run drew that no run of the new study draws.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Its weights of domains that are gone, by their old names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone: BTreeMap<String, f64>,
    /// Of its weights of the new domains, those of data that these no longer have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changed: BTreeMap<String, f64>,
}

impl Drawn {
    /// Whether it is nothing: the run is one of the new study, too.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.gone.is_empty() && self.changed.is_empty()
    }

    /// The share of the run's data that was of the new domains.
    #[must_use]
    pub fn kept(&self) -> f64 {
        1.0 - self.gone.values().sum::<f64>()
    }
}

impl Lineage {
    /// What the new domain of this name was.
    #[must_use]
    pub fn relation(&self, domain: &str) -> Relation {
        self.relations.get(domain).cloned().unwrap_or_else(|| Relation::Was(domain.to_owned()))
    }

    /// The weight of the new domain of this name in an old mixture.
    #[must_use]
    pub fn weight(&self, domain: &str, old: &BTreeMap<String, f64>) -> f64 {
        self.relation(domain).weight(old)
    }

    /// The mixture of the new `domains` that an old run with these weights is, and what else it drew. `None` where it is no mixture of
    /// theirs at all.
    pub fn carried<'a>(
        &self,
        weights: &BTreeMap<String, f64>,
        drawn: &Drawn,
        domains: impl IntoIterator<Item = &'a str>,
    ) -> Option<(BTreeMap<String, f64>, Drawn)> {
        // As the run was made.
        let kept = weights.iter().map(|(name, weight)| (name.clone(), drawn.kept() * weight));
        let old: BTreeMap<String, f64> = kept.chain(drawn.gone.clone()).collect();
        let (mut new, mut other, mut known) = (BTreeMap::new(), Drawn::default(), BTreeSet::new());
        for name in domains {
            let relation = self.relation(name);
            let weight = relation.weight(&old);
            let changed = if self.revised.contains(name) {
                weight
            } else {
                relation.weight(&drawn.changed) + relation.miss(&old)
            };
            if changed > NO_WEIGHT {
                other.changed.insert(name.to_owned(), changed.min(weight));
            }
            new.insert(name.to_owned(), weight);
            known.extend(relation.old().into_iter().map(str::to_owned));
        }
        let gone: Vec<(String, f64)> = old.into_iter().filter(|(name, _)| !known.contains(name)).collect();
        let sum: f64 = new.values().sum();
        if sum <= NO_WEIGHT {
            return None;
        }
        if !gone.is_empty() {
            new.values_mut().for_each(|weight| *weight /= sum);
        }
        let gone = gone.into_iter().filter(|(_, weight)| *weight > NO_WEIGHT);
        other.gone = gone.map(|(name, weight)| (former(name, &new), weight)).collect();
        Some((new, other))
    }
}

/// A name for a domain that is gone, whose own name another one of `domains` may have by now.
fn former(mut name: String, domains: &BTreeMap<String, f64>) -> String {
    while domains.contains_key(&name) {
        name = format!("former {name}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture(weights: &[(&str, f64)]) -> BTreeMap<String, f64> {
        weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
    }

    fn near(a: &BTreeMap<String, f64>, b: &[(&str, f64)]) -> bool {
        a.len() == b.len() && b.iter().all(|(name, weight)| (a[*name] - weight).abs() < 1e-12)
    }

    #[test]
    fn the_name_of_a_domain_that_is_gone_may_be_given_to_another_one() {
        let renamed =
            Lineage { relations: [("news".to_owned(), Relation::Was("pdfs".into()))].into(), revised: BTreeSet::new() };
        let old = mixture(&[("web", 0.5), ("pdfs", 0.3), ("news", 0.2)]);
        let (new, drawn) = renamed.carried(&old, &Drawn::default(), ["web", "news"]).unwrap();
        assert!(
            near(&new, &[("web", 0.625), ("news", 0.375)]) && near(&drawn.gone, &[("former news", 0.2)]),
            "{drawn:?}"
        );
        // A fork of this fork knows both.
        let (later, drawn) = Lineage::default().carried(&new, &drawn, ["web", "news"]).unwrap();
        assert!(
            near(&later, &[("web", 0.625), ("news", 0.375)]) && near(&drawn.gone, &[("former news", 0.2)]),
            "{drawn:?}"
        );
    }

    const DOMAINS: [&str; 6] = ["code", "docs", "forums", "texts", "web", "fresh"];

    fn lineage() -> Lineage {
        let split = |share| Relation::SplitOf { domain: "web".into(), share };
        let merge = Relation::MergeOf(mixture(&[("arxiv", 0.25), ("books", 0.75)]));
        let relations =
            [("docs", Relation::Was("pdfs".into())), ("web", split(0.4)), ("forums", split(0.6)), ("texts", merge)];
        let relations = relations.map(|(name, relation)| (name.to_owned(), relation)).into();
        Lineage { relations, revised: ["code".to_owned()].into() }
    }

    fn carried(weights: &[(&str, f64)]) -> (BTreeMap<String, f64>, Drawn) {
        lineage().carried(&mixture(weights), &Drawn::default(), DOMAINS).unwrap()
    }

    #[test]
    fn renames_splits_and_merges_are_affine() {
        let (new, drawn) = carried(&[("pdfs", 0.3), ("web", 0.5), ("arxiv", 0.05), ("books", 0.15)]);
        let expected = [("code", 0.0), ("docs", 0.3), ("forums", 0.3), ("fresh", 0.0), ("texts", 0.2), ("web", 0.2)];
        assert!(drawn.is_none() && near(&new, &expected), "{new:?} {drawn:?}");
        // Weights of three decimals.
        assert!(carried(&[("web", 0.877), ("arxiv", 0.031), ("books", 0.092)]).1.is_none());
        // What was called like the old one of another is no longer meant.
        assert!(lineage().carried(&mixture(&[("docs", 1.0)]), &Drawn::default(), DOMAINS).is_none());
    }

    #[test]
    fn what_no_new_run_draws_is_kept_apart() {
        let (new, drawn) = carried(&[("code", 0.2), ("arxiv", 0.2), ("books", 0.2), ("news", 0.4), ("mail", 0.0)]);
        assert!(
            near(&drawn.gone, &[("news", 0.4)]) && near(&drawn.changed, &[("code", 0.2), ("texts", 0.1)]),
            "{drawn:?}"
        );
        assert!((new["code"] - 1.0 / 3.0).abs() < 1e-12 && (new["texts"] - 2.0 / 3.0).abs() < 1e-12, "{new:?}");
        assert!((drawn.kept() - 0.6).abs() < 1e-12);

        // A later fork knows it again, also under other names; a domain that has come back is no longer gone.
        let later = Lineage {
            relations: [("scripts".to_owned(), Relation::Was("code".into()))].into(),
            revised: BTreeSet::new(),
        };
        let (again, other) = later.carried(&new, &drawn, ["scripts", "docs", "forums", "texts", "news"]).unwrap();
        assert!(other.gone.is_empty() && near(&other.changed, &[("scripts", 0.2), ("texts", 0.1)]), "{other:?}");
        assert!(
            near(&again, &[("scripts", 0.2), ("docs", 0.0), ("forums", 0.0), ("texts", 0.4), ("news", 0.4)]),
            "{again:?}"
        );
    }
}
