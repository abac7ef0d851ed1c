//! What kind of model the surrogate is: everything about it that is chosen rather than fitted.

use serde::{Deserialize, Serialize};

use crate::space::Warp;

/// Covariance function over warped mixtures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelKind {
    /// Spectral mixture (Wilson & Adams 2013).
    #[default]
    SpectralMixture,
    /// Matérn with smoothness 5/2.
    Matern52,
    /// Squared exponential.
    Rbf,
}

impl KernelKind {
    /// Every kind with its name.
    pub const NAMED: [(&str, Self); 3] =
        [("spectral-mixture", Self::SpectralMixture), ("matern52", Self::Matern52), ("rbf", Self::Rbf)];
}

/// What has a Gaussian process of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// Every metric; the objective's posterior is their weighted sum.
    #[default]
    PerMetric,
    /// The objective alone.
    Objective,
}

impl Structure {
    /// Every structure with its name.
    pub const NAMED: [(&str, Self); 2] = [("per-metric", Self::PerMetric), ("objective", Self::Objective)];
}

/// The most components of a spectral mixture; more only fit noise.
pub const MOST_COMPONENTS: usize = 5;

/// A kind of model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Covariance function.
    pub kernel: KernelKind,
    /// Components of a spectral mixture, from 1 to [`MOST_COMPONENTS`]; other kernels have one.
    pub components: usize,
    /// Geometry of the mixtures.
    pub warp: Warp,
    /// One process a metric, or one in all.
    pub structure: Structure,
    /// How far single length-scales may stray from their common mean: the prior standard deviation of their logarithms.
    pub lengthscale_sd: f64,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            kernel: KernelKind::default(),
            components: 1,
            warp: Warp::default(),
            structure: Structure::default(),
            lengthscale_sd: 0.6,
        }
    }
}

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
