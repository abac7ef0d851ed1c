//! A mixture on its way to a trainer.

use crate::config::{ExportConfig, Unit};

/// A mixture, and what a trainer's config needs besides.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// What it is, in one line.
    pub title: String,
    /// The domains in the config's order, those without weight included.
    pub domains: Vec<Domain<'a>>,
    /// `[export]`
    pub config: &'a ExportConfig,
    /// For the trainer's draws.
    pub seed: u64,
}

/// A domain of a [`Recipe`].
#[derive(Clone, Debug)]
pub struct Domain<'a> {
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
    /// Share in the unit of the export, above 0.
    pub weight: f64,
    pub epochs: Option<f64>,
}

/// Why a mixture cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Lengths are needed to convert shares of tokens.
    #[error(
        "export.unit = \"{unit}\" needs the mean_length of every domain in the mixture; missing for {}",
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
}

impl Recipe<'_> {
    /// The unit of the exported weights.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.config.unit.unwrap_or(Unit::Tokens)
    }

    /// All domains with their shares in the unit of the export. A domain of mean length `l` that has the share `w` of the
    /// tokens has a share proportional to `w/l` of the documents. Sequences of which no length is stated are packed: all
    /// have the same.
    pub(super) fn shares(&self) -> Result<Vec<(&str, f64)>, ExportError> {
        let length = |name: &str| self.config.domains.get(name).and_then(|files| files.mean_length);
        let present = || self.domains.iter().filter(|d| d.weight > 0.0);
        let missing: Vec<String> = present().filter(|d| length(d.name).is_none()).map(|d| d.name.to_owned()).collect();
        let packed = self.unit() == Unit::Sequences && missing.len() == present().count();
        if self.unit() == Unit::Tokens || packed {
            return Ok(self.domains.iter().map(|d| (d.name, d.weight)).collect());
        }
        if !missing.is_empty() {
            return Err(ExportError::Length { unit: self.unit().name(), domains: missing });
        }
        let counts = self.domains.iter().map(|d| (d.name, d.weight / length(d.name).unwrap_or(1.0)));
        let total: f64 = counts.clone().map(|(_, count)| count).sum();
        Ok(counts.map(|(name, count)| (name, count / total)).collect())
    }

    /// The domains that have a weight.
    pub(super) fn sources(&self) -> Result<Vec<Source<'_>>, ExportError> {
        let shares = self.shares()?.into_iter().zip(&self.domains).filter(|((_, share), _)| *share > 0.0);
        let source = |((name, weight), domain): ((_, _), &Domain<'_>)| {
            let paths: Vec<&str> = self.paths(name).iter().map(String::as_str).collect();
            Source { name, paths: if paths.is_empty() { vec![name] } else { paths }, weight, epochs: domain.epochs }
        };
        Ok(shares.map(source).collect())
    }

    /// Name, path and weight of each path; of a domain with several, all have the same.
    pub(super) fn datasets(&self) -> Result<Vec<(&str, &str, f64)>, ExportError> {
        let mut datasets = vec![];
        for source in self.sources()? {
            let share = source.weight / source.paths.len() as f64;
            datasets.extend(source.paths.into_iter().map(|path| (source.name, path, share)));
        }
        Ok(datasets)
    }

    fn paths(&self, name: &str) -> &[String] {
        self.config.domains.get(name).map_or(&[], |files| &files.paths)
    }
}
