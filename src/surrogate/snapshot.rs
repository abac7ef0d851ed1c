//! What a fit leaves behind.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::scale::Scale;
use super::task::MOST_KNOWN;
use crate::problem::{MOST_COMPONENTS, ModelSpec, Observation, RunSet};

/// Runs that are appended one after another, at most: more than come between two fits of a search. Of all of them anew takes
/// less time then.
const MOST_APPENDED: usize = 256;

/// How values are standardized ([`super::standardize`]): another number where it changes.
pub(super) const UNITS: u32 = 2;

/// Fitted hyperparameters, as kept in the journal so that a resumed study continues exactly as an undisturbed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSnapshot {
    /// Number of observations at the last fit.
    pub observations: usize,
    /// Which runs these were: hyperparameters are in their units. Journals of earlier versions do not say.
    #[serde(default)]
    pub runs: RunSet,
    /// Hyperparameters on their unconstrained scale, one vector per process.
    pub hyperparameters: Vec<Vec<f64>>,
    /// Scale of each process's values; as they are where it does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scales: Vec<Scale>,
    /// Kind of model they belong to.
    #[serde(default)]
    pub spec: ModelSpec,
    /// The units that they are in; journals of earlier versions do not say.
    #[serde(default)]
    pub units: u32,
    /// Number of observations when kinds of models were last compared; 0 before.
    #[serde(default)]
    pub compared: usize,
}

impl ModelSnapshot {
    /// Whether a fit can have made it: of one from a file nothing else is known.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let spread = self.spec.lengthscale_sd;
        (1..=MOST_COMPONENTS).contains(&self.spec.components)
            && spread > 0.0
            && spread.is_finite()
            && self.hyperparameters.iter().flatten().all(|z| z.is_finite())
    }

    /// Whether they are in the units of this version.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.units == UNITS
    }

    /// `observations` with those that it was fitted to first; their order is kept otherwise.
    #[must_use]
    pub fn first<'a>(&self, observations: &'a [Observation]) -> Cow<'a, [Observation]> {
        let known = |o: &Observation| self.runs.contains(o.run);
        if observations.is_sorted_by_key(|o| !known(o)) {
            return Cow::Borrowed(observations);
        }
        let (fitted, later): (Vec<Observation>, Vec<Observation>) = observations.iter().cloned().partition(known);
        Cow::Owned([fitted, later].concat())
    }

    /// Whether a model of `observations`, which begin with those that it was fitted to, is that of these with the others appended
    /// one after another.
    #[must_use]
    pub fn appends(&self, observations: &[Observation]) -> bool {
        let n = observations.len();
        n <= MOST_KNOWN && n - self.fitted(observations) <= MOST_APPENDED
    }

    /// How many of `observations`, which begin with those that it was fitted to, these are; where none of them is left, all.
    pub(super) fn fitted(&self, observations: &[Observation]) -> usize {
        match observations.iter().take_while(|o| self.runs.contains(o.run)).count() {
            0 => observations.len(),
            fitted => fitted,
        }
    }
}
