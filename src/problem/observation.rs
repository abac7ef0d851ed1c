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
}

impl Observation {
    /// What was measured, of what and where.
    #[must_use]
    pub fn measurement(&self) -> (&Mixture, FidelityId, &Vec<f64>) {
        (&self.mixture, self.fidelity, &self.metrics)
    }
}
