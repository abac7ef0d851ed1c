//! The optimizer: given what has been observed, what to train next and what to recommend. Pure, synchronous, seeded; it
//! does no I/O.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::space::{Fidelities, Mixture, SearchSpace};
use crate::study::{Objective, Observation};

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

/// What decides the next trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcquisitionKind {
    /// Max-value entropy in its GIBBON form (Moss et al. 2021), per unit cost.
    #[default]
    Entropy,
    /// Logarithm of the expected improvement (Ament et al. 2023) at the target.
    ExpectedImprovement,
    /// Lower confidence bound at the target.
    ConfidenceBound,
}

/// `[optimizer]` of the config.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerSettings {
    /// Covariance function.
    pub kernel: KernelKind,
    /// Components of the spectral mixture, 1–5.
    pub components: usize,
    /// Acquisition function.
    pub acquisition: AcquisitionKind,
    /// Runs of the initial design at the cheapest fidelity; `None` chooses by the number of domains.
    pub initial: Option<usize>,
    /// Two mixtures at the same fidelity closer than this (total variation) count as the same trial.
    pub tolerance: f64,
    /// Only the target fidelity is bought.
    pub target_only: bool,
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self {
            kernel: KernelKind::default(),
            components: 1,
            acquisition: AcquisitionKind::default(),
            initial: None,
            tolerance: 0.01,
            target_only: false,
        }
    }
}

/// A Gaussian prediction of the objective, in the user's orientation and unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior standard deviation (of the noise-free value).
    pub sd: f64,
}

/// Everything the optimizer may look at.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Finished trials, oldest first.
    pub observations: Vec<Observation>,
    /// Mixture and fidelity of trials that are running or handed out.
    pub pending: Vec<(Mixture, usize)>,
    /// Mixture and fidelity of trials that failed or diverged: not to be proposed again, but without a loss.
    pub failed: Vec<(Mixture, usize)>,
    /// Cost of one run at each fidelity (configured, or learned from durations), all positive.
    pub costs: Vec<f64>,
}

/// Where the next trial may lie.
#[derive(Clone, Copy, Debug)]
pub enum Candidates<'a> {
    /// Anywhere in the space, at these fidelities (indices).
    Space(&'a [usize]),
    /// One of these runs (mixture, fidelity): a replay's pool.
    Pool(&'a [(Mixture, usize)]),
}

/// The next trial.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// What to train on.
    pub mixture: Mixture,
    /// Index of the fidelity to train at.
    pub fidelity: usize,
    /// Index into the pool, when candidates were a pool.
    pub pool_index: Option<usize>,
    /// The objective that the model expects there, at that fidelity; `None` before there is a model.
    pub expected: Option<Prediction>,
    /// Something worth telling the user (a numerical fallback), if anything.
    pub warning: Option<String>,
}

/// The mixture to train at the target fidelity, as far as is known.
#[derive(Clone, Debug)]
pub struct Recommendation {
    /// The mixture.
    pub mixture: Mixture,
    /// Index into the candidates, when there were any.
    pub pool_index: Option<usize>,
    /// The objective expected at the target fidelity; `None` before anything was observed.
    pub expected: Option<Prediction>,
    /// Expected shortfall of the recommendation against the unknown optimum, `E[f(recommended) − min f]`, in the
    /// objective's unit, ≥ 0; `None` before there is a model.
    pub expected_regret: Option<f64>,
}

/// Fitted hyperparameters, as kept in the journal so that a resumed study continues exactly as an undisturbed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSnapshot {
    /// Number of observations at the last fit.
    pub observations: usize,
    /// Hyperparameters on their unconstrained scale, one vector a metric.
    pub hyperparameters: Vec<Vec<f64>>,
}

/// Suggests trials and recommends mixtures.
#[derive(Clone, Debug)]
pub struct Optimizer {
    space: SearchSpace,
    fidelities: Fidelities,
    objective: Objective,
    settings: OptimizerSettings,
    snapshot: Option<ModelSnapshot>,
}

impl Optimizer {
    /// An optimizer that has seen nothing yet.
    #[must_use]
    pub fn new(space: SearchSpace, fidelities: Fidelities, objective: Objective, settings: OptimizerSettings) -> Self {
        Self { space, fidelities, objective, settings, snapshot: None }
    }

    /// The hyperparameters of the last fit; journal them whenever they change.
    #[must_use]
    pub fn snapshot(&self) -> Option<&ModelSnapshot> {
        self.snapshot.as_ref()
    }

    /// Continues from journalled hyperparameters.
    pub fn restore(&mut self, snapshot: ModelSnapshot) {
        self.snapshot = Some(snapshot);
    }

    /// The next trial. Never fails: where the model cannot be fitted the suggestion is a space-filling one, with a
    /// warning. Returns `None` only when the candidates are empty.
    pub fn suggest(
        &mut self,
        evidence: &Evidence,
        candidates: Candidates<'_>,
        rng: &mut impl Rng,
    ) -> Option<Suggestion> {
        let _ = (&self.space, &self.fidelities, &self.objective, &self.settings, evidence, candidates, rng);
        todo!()
    }

    /// The mixture to train at the target: the best posterior mean over the space, or over `candidates` when given (not
    /// empty). Does not change the hyperparameters, so that asking never influences later suggestions.
    pub fn recommend(&self, evidence: &Evidence, candidates: Option<&[Mixture]>, rng: &mut impl Rng) -> Recommendation {
        let _ = (evidence, candidates, rng);
        todo!()
    }

    /// The objective expected at each of `points` (mixture, fidelity); `None` before there is a model.
    #[must_use]
    pub fn predict(&self, evidence: &Evidence, points: &[(Mixture, usize)]) -> Option<Vec<Prediction>> {
        let _ = (evidence, points);
        todo!()
    }
}
