//! What a model expects.

use serde::{Deserialize, Serialize};

/// A Gaussian prediction of the objective, in the user's orientation and unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior standard deviation (of the noise-free value).
    pub sd: f64,
}
