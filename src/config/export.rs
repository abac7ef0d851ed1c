//! `[export]`, and what a `[[domain]]` says about its files: what trainers are told besides the weights.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Section;
use crate::problem::is_hidden;

/// What a trainer counts when it draws from its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Tokens, as `admire` does.
    Tokens,
    /// Documents.
    Documents,
    /// Sequences of a batch.
    Sequences,
}

impl Unit {
    /// The units by name.
    pub const NAMED: [(&str, Self); 3] =
        [("tokens", Self::Tokens), ("documents", Self::Documents), ("sequences", Self::Sequences)];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }
}

/// When a trainer that draws from several datasets stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stopping {
    /// When the first dataset is used up.
    FirstExhausted,
    /// When all are; those that end before are repeated.
    #[default]
    AllExhausted,
    /// When all are; none is repeated, so that the mixture drifts.
    AllExhaustedWithoutReplacement,
}

impl Stopping {
    /// The choices by the names that Hugging Face's `datasets` has for them.
    pub const NAMED: [(&str, Self); 3] = [
        ("first_exhausted", Self::FirstExhausted),
        ("all_exhausted", Self::AllExhausted),
        ("all_exhausted_without_replacement", Self::AllExhaustedWithoutReplacement),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, choice)| *choice == self).map_or("", |(name, _)| name)
    }
}

/// What a `[[domain]]` says about its files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DomainFiles {
    /// `path`: what the trainer calls them. Empty where the config does not say.
    pub paths: Vec<String>,
    /// `mean_length`: tokens of a mean document or sequence.
    pub mean_length: Option<f64>,
}

impl DomainFiles {
    /// `seen` has the paths of other domains.
    pub(super) fn read(section: &Section<'_>, seen: &mut BTreeSet<String>) -> Self {
        let paths = paths(section, "path");
        if let Some(twice) = paths.iter().find(|path| !seen.insert((*path).clone())) {
            section.report(Some("path"), format!("{twice:?} appears twice; its weight would be that of two domains"));
        }
        Self { paths, mean_length: section.positive("mean_length") }
    }
}

/// `[export]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportConfig {
    /// What weights are shares of; not stated: tokens.
    pub unit: Option<Unit>,
    /// Seed of the trainer's draws; `study.seed` if left out.
    pub seed: Option<u32>,
    /// When drawing ends.
    pub stopping: Stopping,
    /// Samples of an epoch.
    pub epoch_size: Option<usize>,
    /// Validation data.
    pub valid: Vec<String>,
    /// Test data.
    pub test: Vec<String>,
    /// What the domains say, by name.
    pub domains: BTreeMap<String, DomainFiles>,
}

pub(super) fn export(document: &Section<'_>, domains: BTreeMap<String, DomainFiles>) -> ExportConfig {
    let section = document.section("export");
    let seed = section.integer("seed", 0).and_then(|seed| {
        let small = u32::try_from(seed);
        small
            .map_err(|_| section.report(Some("seed"), format!("{seed} is above {}, the largest of NumPy", u32::MAX)))
            .ok()
    });
    let config = ExportConfig {
        unit: section.choice("unit", &Unit::NAMED),
        seed,
        stopping: section.choice("stopping_strategy", &Stopping::NAMED).unwrap_or_default(),
        epoch_size: section.count("epoch_size", 1),
        valid: paths(&section, "valid"),
        test: paths(&section, "test"),
        domains,
    };
    section.finish();
    config
}

/// One path or several, none with characters that cannot be seen or with blanks at its ends.
fn paths(section: &Section<'_>, key: &'static str) -> Vec<String> {
    let paths = section.one_or_more_texts(key).unwrap_or_default();
    let bad = |path: &String| path.is_empty() || path.trim() != path || path.chars().any(is_hidden);
    if let Some(path) = paths.iter().find(|path| bad(path)) {
        let reason = "is empty, begins or ends with a blank, or has a character in it that cannot be shown";
        section.report(Some(key), format!("{path:?} {reason}"));
    }
    paths
}
