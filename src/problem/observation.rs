//! What a finished trial reported.

use super::{FidelityId, Mixture};

/// Which training run: what the study did with it may change, its identity does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunId {
    /// A run from elsewhere, numbered from 1 as they were imported.
    Imported(u64),
    /// A trial of the study, by its number.
    Trial(u64),
}

/// The metrics that one training run reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which run it was.
    pub run: RunId,
    /// What was trained on.
    pub mixture: Mixture,
    /// The fidelity that it was trained at.
    pub fidelity: FidelityId,
    /// Finite values, one per metric of the [`Objective`](super::Objective), in its order and the user's orientation.
    pub metrics: Vec<f64>,
    /// Standard error of each metric's measurement, where the training command reported one.
    pub se: Vec<Option<f64>>,
    /// What it drew that no run of this study draws.
    pub past: Past,
}

impl Observation {
    /// What was measured, of what and where; `None` of a run that is not one of its mixture in this study.
    #[must_use]
    pub fn measurement(&self) -> Option<(&Mixture, FidelityId, &Vec<f64>)> {
        self.past.is_none().then_some((&self.mixture, self.fidelity, &self.metrics))
    }
}

/// What a run of an older study drew that no run of this study draws: domains that are gone, and data that domains no longer have. To a
/// model these are further domains, which have no weight from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The share of its data that was of domains that this study has. Their weights were those of the mixture times this.
    pub kept: f64,
    /// The weights of the further domains. All observations that a model sees have the same ones.
    pub columns: Vec<f64>,
}

impl Default for Past {
    fn default() -> Self {
        Self::none(0)
    }
}

impl Past {
    /// Nothing, where other runs have so many further domains.
    #[must_use]
    pub fn none(columns: usize) -> Self {
        Self { kept: 1.0, columns: vec![0.0; columns] }
    }

    /// Whether the run is one of its mixture in this study.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.columns.iter().all(|weight| *weight == 0.0)
    }

    /// Whether it drew data that the study's own domains no longer have.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.columns.iter().sum::<f64>() > 1.0 - self.kept + 1e-9
    }
}
