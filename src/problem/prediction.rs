//! What a model expects.

use serde::{Deserialize, Serialize};

/// A Gaussian prediction of the objective, in the user's orientation and unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior standard deviation (of the noise-free value).
    pub sd: f64,
    /// Standard deviation of the noise of one run there. Journals of earlier versions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
}

impl Prediction {
    /// The prediction of `factor` (above 0) times the value.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { mean: self.mean * factor, sd: self.sd * factor, noise: self.noise.map(|noise| noise * factor) }
    }

    /// Standard deviation of what one run is expected to measure, noise included; `None` where the noise is not known.
    #[must_use]
    pub fn run_sd(self) -> Option<f64> {
        Some(self.sd.hypot(self.noise?))
    }
}
