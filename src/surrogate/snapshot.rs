//! What a fit leaves behind.

use serde::{Deserialize, Serialize};

use crate::problem::{MOST_COMPONENTS, ModelSpec};

/// Fitted hyperparameters, as kept in the journal so that a resumed study continues exactly as an undisturbed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSnapshot {
    /// Number of observations at the last fit.
    pub observations: usize,
    /// Hyperparameters on their unconstrained scale, one vector a process.
    pub hyperparameters: Vec<Vec<f64>>,
    /// Kind of model they belong to.
    #[serde(default)]
    pub spec: ModelSpec,
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
}
