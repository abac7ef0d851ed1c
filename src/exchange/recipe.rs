//! A mixture on its way to a trainer.

use crate::config::{DomainFiles, ExportConfig, Unit};

/// A weight that is no more than this is what rounding leaves of none.
const NO_WEIGHT: f64 = 1e-9;

/// A mixture, and what a trainer's config needs besides.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// What it is, in one line.
    pub title: String,
    /// The domains in the config's order, those without weight included.
    pub domains: Vec<Ingredient<'a>>,
    /// `[export]`
    pub config: &'a ExportConfig,
    /// For the trainer's draws.
    pub seed: u32,
}

/// A domain of a [`Recipe`].
#[derive(Clone, Debug)]
pub struct Ingredient<'a> {
    /// Its name.
    pub name: &'a str,
    /// Share of the tokens.
    pub weight: f64,
    /// How often the target run may see its data, where the config says so.
    pub epochs: Option<f64>,
}

/// A domain that a trainer draws from.
#[derive(Clone, Debug)]
pub(super) struct Source<'a> {
    pub name: &'a str,
    /// At least one; where the config has none, the domain's name.
    pub paths: Vec<&'a str>,
    /// Its share, above 0.
    pub weight: f64,
    pub epochs: Option<f64>,
}

/// What a trainer draws from at one path.
#[derive(Clone, Debug)]
pub(super) struct Dataset<'a> {
    pub path: &'a str,
    pub weight: f64,
}

/// Why a mixture cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Lengths are needed to convert shares of tokens.
    #[error(
        "export.unit = \"{unit}\" needs the mean_length of every domain in the mixture; it is missing for {}",
        domains.join(", ")
    )]
    Length {
        /// `export.unit`
        unit: &'static str,
        /// Those without.
        domains: Vec<String>,
    },
    /// A path that the format has no way to write.
    #[error("\"{path}\" cannot be written in this format: {reason}")]
    Path {
        /// The path, or the name that stands for it.
        path: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// What a serializer says.
    #[error("the mixture cannot be written: {0}")]
    Text(String),
}

impl<'a> Recipe<'a> {
    /// The unit of the exported weights.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.config.unit.unwrap_or(Unit::Tokens)
    }

    /// The paths that the config gives a domain.
    pub(super) fn paths(&self, domain: &str) -> &'a [String] {
        self.files(domain).map_or(&[], |files| &files.paths)
    }

    /// The domains that have a weight.
    pub(super) fn present(&self) -> impl Iterator<Item = &Ingredient<'a>> {
        self.domains.iter().filter(|domain| domain.weight > NO_WEIGHT)
    }

    /// All domains with their shares in a unit. A domain of mean length `l` that has the share `w` of the
    /// tokens has a share proportional to `w/l` of the documents. Sequences of which no length is stated are packed: all
    /// have the same.
    pub(super) fn shares(&self, unit: Unit) -> Result<Vec<(&'a str, f64)>, ExportError> {
        let length = |name: &str| self.files(name).and_then(|files| files.mean_length);
        let missing: Vec<String> =
            self.present().filter(|d| length(d.name).is_none()).map(|d| d.name.to_owned()).collect();
        let packed = unit == Unit::Sequences && missing.len() == self.present().count();
        let alike = unit == Unit::Tokens || packed;
        if !alike && !missing.is_empty() {
            return Err(ExportError::Length { unit: unit.name(), domains: missing });
        }
        let share = |domain: &Ingredient<'_>| match length(domain.name) {
            _ if domain.weight <= NO_WEIGHT => 0.0,
            Some(length) if !alike => domain.weight / length,
            _ => domain.weight,
        };
        // Shares of tokens stay exactly what they are.
        let total: f64 = if alike { 1.0 } else { self.domains.iter().map(share).sum() };
        Ok(self.domains.iter().map(|domain| (domain.name, share(domain) / total)).collect())
    }

    /// The domains that have a weight in a unit, with what the trainer calls them.
    pub(super) fn sources(&self, unit: Unit) -> Result<Vec<Source<'a>>, ExportError> {
        let shares = self.shares(unit)?.into_iter().zip(&self.domains).filter(|((_, share), _)| *share > 0.0);
        let source = |((name, weight), domain): ((&'a str, f64), &Ingredient<'_>)| {
            let paths: Vec<&str> = self.paths(name).iter().map(String::as_str).collect();
            Source { name, paths: if paths.is_empty() { vec![name] } else { paths }, weight, epochs: domain.epochs }
        };
        Ok(shares.map(source).collect())
    }

    /// The paths of the domains that have a weight, in the unit of the export; several of one domain share its weight equally.
    pub(super) fn datasets(&self) -> Result<Vec<Dataset<'a>>, ExportError> {
        let mut datasets = vec![];
        for source in self.sources(self.unit())? {
            let weight = source.weight / source.paths.len() as f64;
            datasets.extend(source.paths.into_iter().map(|path| Dataset { path, weight }));
        }
        Ok(datasets)
    }

    fn files(&self, domain: &str) -> Option<&'a DomainFiles> {
        self.config.domains.get(domain)
    }
}
