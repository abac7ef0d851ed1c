//! What `[[domain]]` says of an older study: `was`, `split_of` with `share`, `merge_of`, `revised`.

use std::collections::BTreeMap;
use std::iter::successors;
use std::path::Path;

use super::error::{ConfigError, Origin, Problem};
use super::tree::Section;
use super::value::Value;
use crate::space::{Domain, Lineage, Relation};
use crate::text::{hint, number};

/// Stated shares may miss a sum of 1 by this.
const ROUNDING: f64 = 1e-3;

/// The keys that name old domains.
const KEYS: [&str; 3] = ["was", "split_of", "merge_of"];

/// What the domains were in an older study, and where that is stated.
#[derive(Clone, Debug, Default)]
pub struct Ancestry {
    /// The relations.
    pub lineage: Lineage,
    /// Every old domain that is named, with the place of its key in the file.
    places: Vec<(String, (Origin, String))>,
}

impl Ancestry {
    /// Checks that the old study has the domains that the config file at `path` names.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every name that it does not have.
    pub fn check(&self, path: &Path, old: &[String]) -> Result<(), ConfigError> {
        let unknown = self.places.iter().filter(|(name, _)| !old.contains(name));
        let problem = |(name, (origin, key)): &(String, (Origin, String))| {
            let hint = hint(name, old.iter().map(String::as_str));
            let message = format!("`{name}` is no domain of the study that is forked; {hint}");
            Problem { origin: origin.clone(), key: key.clone(), message }
        };
        let problems: Vec<Problem> = unknown.map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid { path: path.to_owned(), problems }) }
    }
}

/// A domain that states what it was.
struct Stated<'a> {
    section: &'a Section<'a>,
    domain: &'a Domain,
    /// Which key says it.
    key: &'static str,
    relation: Relation,
    /// `share`, where it is stated.
    share: Option<f64>,
}

/// Reads the relations of `domains`, one per section.
pub(super) fn read(sections: &[Section<'_>], domains: &[Domain]) -> Ancestry {
    let mut stated: Vec<Stated<'_>> = sections.iter().zip(domains).filter_map(|(s, d)| relation(s, d)).collect();
    claims(&stated, domains);
    circles(&stated);
    shares(&mut stated);
    let places = |s: &Stated<'_>| -> Vec<_> {
        s.relation.old().into_iter().map(|old| (old.to_owned(), s.section.place(Some(s.key)))).collect()
    };
    let named: Vec<&str> = stated.iter().map(|s| s.domain.name.as_str()).collect();
    let revised = sections.iter().zip(domains).filter(|(section, _)| section.bool("revised") == Some(true));
    let revised: Vec<(&Section<'_>, &Domain)> = revised.collect();
    let own = revised.iter().filter(|(_, domain)| !named.contains(&domain.name.as_str()));
    let own = own.map(|(section, domain)| (domain.name.clone(), section.place(Some("revised"))));
    let places = stated.iter().flat_map(places).chain(own).collect();
    let revised = revised.iter().map(|(_, domain)| domain.name.clone()).collect();
    let relations = stated.into_iter().map(|s| (s.domain.name.clone(), s.relation)).collect();
    Ancestry { lineage: Lineage { relations, revised }, places }
}

fn relation<'a>(section: &'a Section<'a>, domain: &'a Domain) -> Option<Stated<'a>> {
    let (was, split_of) = (section.text("was"), section.text("split_of"));
    let share = section.number("share", "a number above 0 and at most 1", |x| x > 0.0 && x <= 1.0);
    let positive = |value: &Value| value.number().filter(|x| *x > 0.0);
    let merge_of = section.entries("merge_of", "{ arxiv = 0.3, books = 0.7 }", "a number above 0", positive);
    let keys: Vec<&'static str> = KEYS.into_iter().filter(|key| section.node(key).is_some()).collect();
    if let [first, second, ..] = keys[..] {
        section.report(Some(second), format!("`{first}` and `{second}` exclude one another; keep one of them"));
        return None;
    }
    if split_of.is_none() && share.is_some() {
        section.report(Some("share"), "is the share of which old domain? Add `split_of`, or leave it out");
    }
    let relation = if let Some(domain) = split_of {
        Relation::SplitOf { domain, share: share.unwrap_or(0.0) }
    } else if let Some(shares) = merge_of {
        if shares.len() < 2 {
            section.report(Some("merge_of"), "needs at least two old domains; of one, say `was`");
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        Relation::MergeOf(shares.into_iter().map(|(name, share)| (name, share / sum)).collect())
    } else {
        Relation::Was(was?)
    };
    Some(Stated { section, domain, key: keys.first()?, relation, share })
}

/// Reports old domains of which two new ones claim the data. Only its parts may.
fn claims(stated: &[Stated<'_>], domains: &[Domain]) {
    let is_part = |s: &Stated<'_>| matches!(s.relation, Relation::SplitOf { .. });
    for (i, s) in stated.iter().enumerate() {
        for old in s.relation.old() {
            let rival = |other: &&Stated<'_>| other.relation.old().contains(&old) && !(is_part(other) && is_part(s));
            let unrelated = |d: &Domain| d.name == old && stated.iter().all(|other| other.domain.name != d.name);
            if let Some(other) = stated[..i].iter().find(rival) {
                let message = format!(
                    "`{old}` has become `{}` already; only parts (`split_of`) share an old domain",
                    other.domain.name
                );
                s.section.report(Some(s.key), message);
            } else if domains.iter().any(unrelated) {
                let remedy = "say there what it was (`split_of`, if it is the rest), or rename it, if it is new";
                s.section.report(Some(s.key), format!("`{old}` is a domain of this config itself; {remedy}"));
            }
        }
    }
}

/// Reports renames in a circle, each once.
fn circles(stated: &[Stated<'_>]) {
    let next = |i: &usize| {
        let Relation::Was(old) = &stated[*i].relation else { return None };
        stated.iter().position(|s| s.domain.name == *old)
    };
    for (first, s) in stated.iter().enumerate() {
        let path: Vec<usize> = successors(next(&first), next).take(stated.len()).collect();
        let Some(end) = path.iter().position(|i| *i == first) else { continue };
        if path[..end].iter().any(|i| *i < first) {
            continue;
        }
        let message = if end == 0 {
            "is the name that it has; leave it out".into()
        } else {
            let names: Vec<&str> = path[..=end].iter().map(|i| stated[*i].domain.name.as_str()).collect();
            let remedy = "if names were swapped, give one of these domains a name that neither study has";
            format!("{} were renamed in a circle; {remedy}", names.join(", "))
        };
        s.section.report(Some(s.key), message);
    }
}

/// Gives every part its share, so that those of an old domain sum to 1: as stated, or by tokens.
fn shares(stated: &mut [Stated<'_>]) {
    let mut parts: BTreeMap<String, Vec<&mut Stated<'_>>> = BTreeMap::new();
    for s in stated {
        if let Relation::SplitOf { domain, .. } = &s.relation {
            parts.entry(domain.clone()).or_default().push(s);
        }
    }
    for (old, mut parts) in parts {
        let any = parts.iter().any(|s| s.share.is_some());
        let share = |s: &&mut Stated<'_>| if any { s.share } else { s.domain.tokens };
        if let Some(s) = parts.iter().find(|s| share(s).is_none()) {
            let remedy = format!("state `share` for all parts of `{old}`, or for none and `tokens` for all");
            s.section.report(Some("split_of"), format!("the share of `{}` is not known; {remedy}", s.domain.name));
            continue;
        }
        let shares: Vec<f64> = parts.iter().filter_map(share).collect();
        let sum: f64 = shares.iter().sum();
        if any && (sum - 1.0).abs() > ROUNDING {
            let remedy = "what is no longer used is a part too, of a domain with max = 0";
            let message = format!("the shares of the parts of `{old}` sum to {}, not to 1; {remedy}", number(sum, 4));
            parts[0].section.report(Some("share"), message);
        }
        for (s, own) in parts.iter_mut().zip(shares) {
            s.relation = Relation::SplitOf { domain: old.clone(), share: own / sum };
        }
    }
}
