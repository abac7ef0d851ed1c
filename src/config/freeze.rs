//! `freeze` of a `[[group]]`: fixed ratios of its domains' weights.

use std::collections::BTreeMap;
use std::path::Path;

use super::Settings;
use super::tree::Section;
use super::value::Value;
use crate::space::{Domain, GroupSpec, Limits, Lineage, SearchSpace};
use crate::text::{hint, number};

/// Totals that miss each other by less meet.
const SAME: f64 = 1e-9;

/// What looks up the recommendation of the study in a folder: its weights by domain, or why there is none.
pub type Recommended<'a> = &'a dyn Fn(&Path) -> Result<BTreeMap<String, f64>, String>;

/// `freeze`, as it is written.
enum Written {
    Prior,
    /// Of the study in this folder.
    Recommended(String),
    Ratios(Vec<(String, f64)>),
}

/// What the ratios of a group are taken from.
pub(super) struct Sources<'a> {
    pub domains: &'a [Domain],
    pub lineage: &'a Lineage,
    pub limits: Option<Limits>,
    pub recommended: Recommended<'a>,
}

impl Sources<'_> {
    /// Reads the ratios of `group`, one per domain, and checks that its bounds and those of its domains allow them.
    pub fn read(&self, section: &Section<'_>, group: &GroupSpec) -> Option<Vec<f64>> {
        let expected = "\"prior\", \"recommended of DIR\" or a table of ratios such as { web = 3, code = 1 }";
        let written = section.value("freeze", expected, written)?;
        let members: Option<Vec<&Domain>> =
            group.domains.iter().map(|name| self.domains.iter().find(|domain| domain.name == *name)).collect();
        // Unknown domains are reported where they are named.
        let members = members.filter(|members| !members.is_empty())?;
        let ratios = self.ratios(&written, &members).and_then(|ratios| {
            let sum: f64 = ratios.iter().sum();
            let ratios: Vec<f64> = ratios.iter().map(|ratio| ratio / sum).collect();
            if sum > 0.0 { Ok(ratios) } else { Err("needs at least one ratio above 0".into()) }
        });
        let checked = ratios.and_then(|ratios| self.contradiction(group, &members, &ratios).map_or(Ok(ratios), Err));
        checked.map_err(|problem| section.report(Some("freeze"), problem)).ok()
    }

    fn ratios(&self, written: &Written, members: &[&Domain]) -> Result<Vec<f64>, String> {
        match written {
            Written::Prior => {
                let prior = |domain: &&Domain| {
                    let lacks = || format!("`{}` states no `prior`; state it, or give the ratios", domain.name);
                    domain.prior.ok_or_else(lacks)
                };
                members.iter().map(prior).collect()
            }
            Written::Recommended(dir) => {
                let remedy = "state the ratios instead; a study that has begun has them in its journal";
                let old = (self.recommended)(Path::new(dir)).map_err(|error| format!("{error}. Or {remedy}"))?;
                for domain in members {
                    let relation = self.lineage.relation(&domain.name);
                    if let Some(name) = relation.old().into_iter().find(|name| !old.contains_key(*name)) {
                        let hint = hint(name, old.keys().map(String::as_str));
                        return Err(format!("`{name}` is no domain of the study in {dir}; {hint}. Or {remedy}"));
                    }
                }
                Ok(members.iter().map(|domain| self.lineage.weight(&domain.name, &old)).collect())
            }
            Written::Ratios(ratios) => {
                let names = || members.iter().map(|domain| domain.name.as_str());
                if let Some((name, _)) = ratios.iter().find(|(name, _)| names().all(|known| known != name)) {
                    return Err(format!("`{name}` is no domain of this group; {}", hint(name, names())));
                }
                let ratio = |name: &str| {
                    let found = ratios.iter().find(|(known, _)| known == name).map(|(_, ratio)| *ratio);
                    found.ok_or_else(|| format!("`{name}` has no ratio; add one, or take it out of `domains`"))
                };
                names().map(ratio).collect()
            }
        }
    }

    /// Two bounds that no multiple of the ratios keeps, in words.
    fn contradiction(&self, group: &GroupSpec, members: &[&Domain], ratios: &[f64]) -> Option<String> {
        // The smallest and the largest total that each bound allows, in words.
        let mut least = vec![(group.min, format!("min = {} of the group", group.min))];
        let mut most = vec![(group.max, format!("max = {} of the group", group.max))];
        for (domain, ratio) in members.iter().zip(ratios) {
            let name = &domain.name;
            if *ratio == 0.0 && domain.min > 0.0 {
                return Some(format!("the ratio of `{name}` is 0, but its min is {}; change one of them", domain.min));
            }
            if *ratio > 0.0 {
                let largest = domain.largest(self.limits);
                let what = if largest < domain.max { "token cap" } else { "max" };
                least.push((domain.min / ratio, format!("min = {} of `{name}`", domain.min)));
                most.push((largest / ratio, format!("{what} = {} of `{name}`", number(largest, 4))));
            }
        }
        let (least, need) = least.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        let (most, allow) = most.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
        (least > most + SAME).then(|| {
            let (least, most) = (number(least, 4), number(most, 4));
            format!(
                "with these ratios {need} asks for a total of at least {least}, and {allow} for at most {most}; relax one of \
                 them, or change the ratios"
            )
        })
    }
}

/// The ratios of frozen groups, as settings.
pub(super) fn settings(space: &SearchSpace) -> Settings {
    let mut settings = Settings::new();
    for group in space.polytope().groups() {
        for (i, ratio) in group.domains.iter().zip(group.freeze.iter().flatten()) {
            settings.insert(format!("group.{}.freeze.{}", group.name, space.domains()[*i].name), (*ratio).into());
        }
    }
    settings
}

fn written(value: &Value) -> Option<Written> {
    match value {
        Value::Text(text) if text == "prior" => Some(Written::Prior),
        Value::Text(text) => {
            text.strip_prefix("recommended of ").map(|dir| Written::Recommended(dir.trim().to_owned()))
        }
        Value::Table(table) => {
            let ratio = |value: &Value| value.number().filter(|ratio| *ratio >= 0.0);
            let ratios = table.iter().map(|(name, node)| Some((name.clone(), ratio(&node.value)?)));
            ratios.collect::<Option<_>>().map(Written::Ratios)
        }
        _ => None,
    }
}
