//! A model as plain numbers: all that predictions at one fidelity depend on, for programs that predict without this one.

use serde::Serialize;

use super::hyper::Term;
use super::kernel::Component;
use super::metric::MetricModel;
use super::model::Surrogate;
use super::scale::Scale;
use crate::problem::{Aggregate, FidelityId, KernelKind, Warp};
use crate::space::Warped;

/// A model. Vectors over runs have length n, over domains D, over fidelities F. Further domains of older runs come last.
#[derive(Clone, Debug, Serialize)]
pub struct ModelTable {
    /// Geometry of the mixtures.
    pub warp: Warp,
    /// The warped mixtures of the runs (n × D).
    pub points: Vec<Vec<f64>>,
    /// Index of each run's fidelity (length n).
    pub fidelities: Vec<usize>,
    /// Unique data that runs draw from, by fidelity and domain, infinite where that is not known (F × D); where nothing is repeated, `None`.
    pub unique: Option<Vec<Vec<f64>>>,
    /// Index of the fidelity that is predicted.
    pub fidelity: usize,
    /// Factor on the objective's variance.
    pub inflation: f64,
    /// How the processes make the objective.
    pub aggregate: Aggregate,
    /// The warped mixture that the objective is compared with, if it is (length D).
    pub reference: Option<Vec<f64>>,
    /// One per metric, or one of the objective.
    pub processes: Vec<ProcessTable>,
}

/// One metric's process, in standardized units but for its unit.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessTable {
    /// Values of the runs (length n).
    pub y: Vec<f64>,
    /// Known noise variance of the runs (length n).
    pub known_noise: Vec<f64>,
    /// Prior standard deviations of the levels (length F).
    pub level_sd: Vec<f64>,
    /// Scale of the places `sign · (level + unit · y)`.
    pub scale: Scale,
    /// 1 where small values are good, −1 where large ones are.
    pub sign: f64,
    /// Weight in the objective, at least 0.
    pub weight: f64,
    /// Place of a standardized 0 at the fidelity that is predicted, times `sign`.
    pub level: f64,
    /// Unit of standardized values there.
    pub unit: f64,
    /// Draws of the hyperparameters, of equal weight.
    pub draws: Vec<DrawTable>,
}

/// Hyperparameters.
#[derive(Clone, Debug, Serialize)]
pub struct DrawTable {
    /// The terms of the covariance.
    pub terms: Vec<TermTable>,
    /// Noise variance of a run at each fidelity (length F).
    pub noise: Vec<f64>,
    /// Epochs in which the value of repeated data decays; where nothing is repeated, `None`.
    pub decay: Option<f64>,
}

/// One term of a covariance.
#[derive(Clone, Debug, Serialize)]
pub struct TermTable {
    /// Which function of the distance.
    pub kernel: KernelKind,
    /// Components of the kernel.
    pub components: Vec<Component>,
    /// Covariances between fidelities (F × F).
    pub sizes: Vec<Vec<f64>>,
}

impl TermTable {
    fn new(term: &Term) -> Self {
        Self { kernel: term.kernel.kind, components: term.kernel.components.clone(), sizes: term.sizes.clone() }
    }
}

impl ModelTable {
    /// Multiplications that it takes to condition the processes on their runs.
    #[must_use]
    pub fn work(&self) -> f64 {
        let draws: usize = self.processes.iter().map(|process| process.draws.len()).sum();
        draws as f64 * (self.points.len() as f64).powi(3) / 6.0
    }
}

impl Surrogate {
    /// The numbers behind predictions at fidelity `m`.
    #[must_use]
    pub fn table(&self, m: FidelityId) -> ModelTable {
        // All metrics have the same runs.
        let data = self.metrics.first().map(|metric| &metric.data);
        let points = data.map(|data| data.x.matrix().column_iter().map(|x| x.iter().copied().collect()).collect());
        let hyper = self.metrics.first().and_then(|metric| metric.process.hyperparameters().next());
        let saturation = hyper.and_then(|hyper| hyper.saturation.as_ref());
        let coordinates = |z: &Warped| z.matrix().iter().copied().collect();
        ModelTable {
            warp: self.warp,
            points: points.unwrap_or_default(),
            fidelities: data.map(|data| data.fidelity.clone()).unwrap_or_default(),
            unique: saturation.map(|saturation| saturation.unique.to_vec()),
            fidelity: m.index(),
            inflation: self.inflation[self.target.index()],
            aggregate: self.aggregate,
            reference: self.reference.as_ref().map(coordinates),
            processes: self.metrics.iter().map(|metric| metric.table(m.index())).collect(),
        }
    }
}

impl MetricModel {
    fn table(&self, m: usize) -> ProcessTable {
        let draws = self.process.hyperparameters().map(|hyper| DrawTable {
            terms: hyper.terms.iter().map(TermTable::new).collect(),
            noise: hyper.noise.clone(),
            decay: hyper.saturation.as_ref().map(|saturation| saturation.decay),
        });
        ProcessTable {
            y: self.data.y.as_slice().to_vec(),
            known_noise: self.data.known_noise.clone(),
            level_sd: self.data.level_sd.clone(),
            scale: self.scale(),
            sign: self.sign(),
            weight: self.weight(),
            level: self.standardization.level[m],
            unit: self.standardization.scale,
            draws: draws.collect(),
        }
    }
}
