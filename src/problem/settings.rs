//! What the user may set about the optimizer: `[optimizer]` of the config.

use serde::{Deserialize, Serialize};

/// A coordinate-wise map from weights to the space in which distances are taken. Each maps weights from 0 to 1 onto
/// about the interval from 0 to 1, so that no two mixtures are farther apart than about √2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warp {
    /// `x = √(w + ε)`: up to the offset, the Euclidean distance of two warped mixtures is √2 times their Hellinger
    /// distance, so that going from 0 to 1 % counts as much as from 16 % to 25 %.
    #[default]
    Sqrt,
    /// `x = log(1 + w/δ) / log(1 + 1/δ)`: ratios count.
    Log,
    /// `x = w`.
    None,
}

impl Warp {
    /// Every warp with its name.
    pub const NAMED: [(&str, Self); 3] = [("sqrt", Self::Sqrt), ("log", Self::Log), ("none", Self::None)];
}

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
    /// One process per metric, or one in all.
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

/// What is fixed about the kind of model; what is not is chosen by evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelChoice {
    /// Covariance function and its number of components.
    pub kernel: Option<(KernelKind, usize)>,
    /// Geometry of the mixtures.
    pub warp: Option<Warp>,
    /// One process per metric, or one in all.
    pub structure: Option<Structure>,
    /// Prior standard deviation of the log length-scales.
    pub lengthscale_sd: Option<f64>,
}

impl From<ModelSpec> for ModelChoice {
    /// Nothing is left to choose.
    fn from(spec: ModelSpec) -> Self {
        Self {
            kernel: Some((spec.kernel, spec.components)),
            warp: Some(spec.warp),
            structure: Some(spec.structure),
            lengthscale_sd: Some(spec.lengthscale_sd),
        }
    }
}

impl ModelChoice {
    /// The kind to begin with: defaults where nothing is fixed.
    #[must_use]
    pub fn start(&self) -> ModelSpec {
        let default = ModelSpec::default();
        let (kernel, components) = self.kernel.unwrap_or((default.kernel, default.components));
        ModelSpec {
            kernel,
            components,
            warp: self.warp.unwrap_or(default.warp),
            structure: self.structure.unwrap_or(default.structure),
            lengthscale_sd: self.lengthscale_sd.unwrap_or(default.lengthscale_sd),
        }
    }

    /// Whether `spec` agrees with everything that is fixed.
    #[must_use]
    pub fn allows(&self, spec: &ModelSpec) -> bool {
        self.kernel.is_none_or(|kernel| kernel == (spec.kernel, spec.components))
            && self.warp.is_none_or(|warp| warp == spec.warp)
            && self.structure.is_none_or(|structure| structure == spec.structure)
            && self.lengthscale_sd.is_none_or(|sd| sd == spec.lengthscale_sd)
    }
}

/// What decides the next trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcquisitionKind {
    /// Expected improvement of the recommendation (knowledge gradient; Frazier et al. 2009), per unit cost.
    #[default]
    KnowledgeGradient,
    /// Max-value entropy in its GIBBON form (Moss et al. 2021), per unit cost.
    Entropy,
    /// Logarithm of the expected improvement (Ament et al. 2023) at the target.
    ExpectedImprovement,
    /// Lower confidence bound at the target.
    ConfidenceBound,
}

impl AcquisitionKind {
    /// Every acquisition function with its name.
    pub const NAMED: [(&str, Self); 4] = [
        ("knowledge-gradient", Self::KnowledgeGradient),
        ("entropy", Self::Entropy),
        ("expected-improvement", Self::ExpectedImprovement),
        ("confidence-bound", Self::ConfidenceBound),
    ];
}

/// What counts in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// The expected loss of a mixture.
    #[default]
    Mixture,
    /// The loss of a run, which includes its noise and is known once the run is there: in a replay, a logged run is what is
    /// recommended and scored.
    Run,
}

/// `[optimizer]` of the config.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerSettings {
    /// Kind of model, as far as it is not to be chosen by evidence.
    pub model: ModelChoice,
    /// Acquisition function.
    pub acquisition: AcquisitionKind,
    /// Runs of the initial design at the cheapest fidelity; `None` chooses by the number of domains.
    pub initial: Option<usize>,
    /// Two mixtures at the same fidelity closer than this (total variation) count as the same trial.
    pub tolerance: f64,
    /// Only the target fidelity is bought.
    pub target_only: bool,
    /// Whether running trials that are hopeless by their curves are ended.
    pub stop_early: bool,
    /// What counts in the end.
    pub goal: Goal,
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self {
            model: ModelChoice::default(),
            acquisition: AcquisitionKind::default(),
            initial: None,
            tolerance: 0.01,
            target_only: false,
            stop_early: false,
            goal: Goal::default(),
        }
    }
}
