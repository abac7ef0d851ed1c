//! Ablations: the same replay with one choice of the optimizer after another, all combinations.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::error::ReplayError;
use super::summary::{StrategySummary, Target};
use crate::problem::{AcquisitionKind, KernelKind, OptimizerSettings, Structure, Warp};
use crate::text::hint;

/// A choice that an ablation varies. What it does not vary stays as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// Covariance function: spectral mixtures of 1–3 components, Matérn-5/2, RBF.
    Kernel,
    /// Geometry of the mixtures.
    Warp,
    /// One process per metric, or one of the objective.
    Structure,
    /// How far length-scales may stray from their common mean.
    Shrinkage,
    /// Acquisition function.
    Acquisition,
}

impl Factor {
    /// Every factor, in the order of the table's columns.
    pub const ALL: [Self; 5] = [Self::Kernel, Self::Warp, Self::Structure, Self::Shrinkage, Self::Acquisition];

    /// Name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Warp => "warp",
            Self::Structure => "structure",
            Self::Shrinkage => "shrinkage",
            Self::Acquisition => "acquisition",
        }
    }

    /// Names of the levels with what each does to the settings.
    fn levels(self) -> Vec<(String, Change)> {
        fn level(name: impl Into<String>, change: impl Fn(&mut OptimizerSettings) + 'static) -> (String, Change) {
            (name.into(), Box::new(change))
        }
        match self {
            Self::Kernel => [
                ("spectral-mixture", KernelKind::SpectralMixture, 1),
                ("spectral-mixture × 2", KernelKind::SpectralMixture, 2),
                ("spectral-mixture × 3", KernelKind::SpectralMixture, 3),
                ("matern52", KernelKind::Matern52, 1),
                ("rbf", KernelKind::Rbf, 1),
            ]
            .map(|(name, kernel, components)| level(name, move |s| s.model.kernel = Some((kernel, components))))
            .into(),
            Self::Warp => Warp::NAMED.map(|(name, warp)| level(name, move |s| s.model.warp = Some(warp))).into(),
            Self::Structure => Structure::NAMED
                .map(|(name, structure)| level(name, move |s| s.model.structure = Some(structure)))
                .into(),
            Self::Shrinkage => {
                [0.3, 0.6, 1.2].map(|sd| level(sd.to_string(), move |s| s.model.lengthscale_sd = Some(sd))).into()
            }
            Self::Acquisition => AcquisitionKind::NAMED
                .map(|(name, acquisition)| level(name, move |s| s.acquisition = acquisition))
                .into(),
        }
    }
}

/// What a level does to the settings.
type Change = Box<dyn Fn(&mut OptimizerSettings)>;

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Factor {
    type Err = ReplayError;

    fn from_str(name: &str) -> Result<Self, ReplayError> {
        Self::ALL.into_iter().find(|factor| factor.name() == name).ok_or_else(|| ReplayError::UnknownFactor {
            name: name.to_owned(),
            hint: hint(name, Self::ALL.map(Self::name)),
        })
    }
}

/// One cell of the grid: the level of every factor, and the settings they make.
#[derive(Clone, Debug)]
pub struct Variant {
    /// One name a factor.
    pub levels: Vec<String>,
    /// What to play with.
    pub settings: OptimizerSettings,
}

/// Every combination of the levels of `factors`, the last factor varying fastest.
#[must_use]
pub fn grid(settings: &OptimizerSettings, factors: &[Factor]) -> Vec<Variant> {
    let start = Variant { levels: Vec::new(), settings: settings.clone() };
    factors.iter().fold(vec![start], |variants, factor| {
        let levels = factor.levels();
        variants
            .iter()
            .flat_map(|variant| {
                levels.iter().map(|(name, change)| {
                    let mut variant = variant.clone();
                    variant.levels.push(name.clone());
                    change(&mut variant.settings);
                    variant
                })
            })
            .collect()
    })
}

/// The result of an ablation, as printed with `--format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Ablation {
    /// What was to be found.
    pub target: Target,
    /// What was varied.
    pub factors: Vec<Factor>,
    /// One row a variant.
    pub rows: Vec<AblationRow>,
}

/// How one variant did.
#[derive(Clone, Debug, Serialize)]
pub struct AblationRow {
    /// One per factor.
    pub levels: Vec<String>,
    /// What `admire` did with it.
    pub result: StrategySummary,
}
