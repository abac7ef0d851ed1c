//! When the model is fitted anew, and how it keeps up with the runs in between.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::Optimizer;
use super::policy::constants::{COMPARED_FROM, MOST_EXPECTED, MOST_INTEGRATED, REFIT_GROWTH};
use crate::problem::{Evidence, FidelityId, Goal, ModelSpec, Observation, Structure};
use crate::surrogate::{FitError, ModelSnapshot, Surrogate, Task};

/// A model with what it was conditioned on.
#[derive(Clone, Debug)]
pub(super) struct Conditioned {
    /// Those that the snapshot was fitted to first.
    observations: Vec<Observation>,
    /// `None`: fitted to just these observations, before there was a snapshot.
    snapshot: Option<ModelSnapshot>,
    surrogate: Arc<Surrogate>,
}

/// The last models conditioned: a recommendation and the next suggestion see the same observations.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    most_probable: Option<Conditioned>,
    integrated: Option<Conditioned>,
}

/// What a model makes of its hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hyperparameters {
    /// It has the most probable ones.
    MostProbable,
    /// It integrates over them.
    Integrated,
}

impl Cache {
    fn of(&mut self, hyperparameters: Hyperparameters) -> &mut Option<Conditioned> {
        match hyperparameters {
            Hyperparameters::MostProbable => &mut self.most_probable,
            Hyperparameters::Integrated => &mut self.integrated,
        }
    }
}

impl Optimizer {
    /// The kind of model in use: what was chosen last, unless the settings have changed since.
    pub(super) fn spec(&self) -> ModelSpec {
        let chosen = self.snapshot.as_ref().map(|s| s.spec).filter(|spec| self.settings.model.allows(spec));
        chosen.unwrap_or_else(|| self.settings.model.start())
    }

    pub(super) fn task<'a>(&'a self, observations: &'a [Observation]) -> Task<'a> {
        Task {
            objective: &self.objective,
            fidelities: &self.fidelities,
            spec: self.spec(),
            families: self.space.families(),
            repetition: self.repetition.as_ref(),
            curves: self.curves,
            observations,
        }
    }

    /// Whether enough has been observed since the last fit, at any fidelity, for the hyperparameters to be fitted anew; or the
    /// settings do not allow the kind of model that was fitted.
    fn due(&self, observations: &[Observation]) -> bool {
        let Some(last) = &self.snapshot else { return true };
        let grown = |m: FidelityId| {
            let at = |fitted: bool| {
                let at = observations.iter().filter(|o| o.fidelity == m);
                at.filter(|o| last.runs.contains(o.run) == fitted).count() as f64
            };
            at(false) >= (REFIT_GROWTH * at(true)).max(1.0)
        };
        // A guard may be about a metric that was not modelled until now, and families may have been stated since.
        let processes = match last.spec.structure {
            Structure::PerMetric => self.objective.metrics.len(),
            Structure::Objective => 1,
        };
        let layout = self.task(observations).layout().len();
        let other = last.hyperparameters.len() != processes
            || last.hyperparameters.iter().any(|z| z.len() != layout)
            || !self.settings.model.allows(&last.spec);
        other || self.fidelities.ids().any(grown)
    }

    /// Fits the hyperparameters anew if that is due. [`Self::suggest`] does; who asks about runs without it begins with this.
    pub fn learn(&mut self, evidence: &Evidence) {
        let observations = &evidence.observations;
        if observations.is_empty() || !self.due(observations) {
            return;
        }
        // Of no use any more, and as large as what comes in its place.
        *self.cache() = Cache::default();
        let mut task = self.task(observations);
        let mut compared = self.snapshot.as_ref().map_or(0, |s| s.compared);
        if observations.len() >= COMPARED_FROM.max(2 * compared) {
            task.spec = self.settings.model.select(&task);
            compared = observations.len();
        }
        // What cannot be fitted is conditioned at the last hyperparameters; where there are none, [`Self::condition`] says why.
        if let Ok((surrogate, snapshot)) = Surrogate::fit(&task, self.snapshot.as_ref()) {
            let snapshot = ModelSnapshot { compared, ..snapshot };
            self.snapshot = Some(snapshot.clone());
            self.cache().most_probable = Some(Conditioned {
                observations: observations.clone(),
                snapshot: Some(snapshot),
                surrogate: Arc::new(surrogate),
            });
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model of these observations at the last fit's hyperparameters, or, before any, freshly fitted.
    pub(super) fn condition(&self, observations: &[Observation]) -> Result<Arc<Surrogate>, FitError> {
        self.model(observations, Hyperparameters::MostProbable)
    }

    /// The model of these observations for what is said of mixtures: with its hyperparameters integrated over, unless there are too many
    /// runs for that ([`MOST_INTEGRATED`]). A replay scores runs, and shows nothing that is said.
    pub(super) fn integrated(&self, observations: &[Observation]) -> Result<Arc<Surrogate>, FitError> {
        let processes = match self.spec().structure {
            Structure::PerMetric => self.objective.metrics.len(),
            Structure::Objective => 1,
        };
        let few = processes * observations.len().pow(2) <= MOST_INTEGRATED;
        let integrates = self.settings.goal == Goal::Mixture && few;
        self.model(observations, if integrates { Hyperparameters::Integrated } else { Hyperparameters::MostProbable })
    }

    /// The model of these observations for what the search expects of its trials, which it asks for at every step: as
    /// [`Self::integrated`], but of up to [`MOST_EXPECTED`] runs only.
    pub(super) fn expecting(&self, observations: &[Observation]) -> Result<Arc<Surrogate>, FitError> {
        if observations.len() <= MOST_EXPECTED { self.integrated(observations) } else { self.condition(observations) }
    }

    fn model(&self, observations: &[Observation], over: Hyperparameters) -> Result<Arc<Surrogate>, FitError> {
        if observations.is_empty() {
            return Err(FitError::Empty);
        }
        let snapshot = self.snapshot.as_ref();
        let observations = snapshot.map_or(observations.into(), |snapshot| snapshot.first(observations));
        let task = self.task(&observations);
        let kept = self.cache().of(over).clone();
        let kept = kept.filter(|k| k.snapshot.as_ref() == snapshot && observations.starts_with(&k.observations));
        let made = |snapshot: &ModelSnapshot| match over {
            Hyperparameters::MostProbable => Surrogate::condition(&task, snapshot),
            Hyperparameters::Integrated => Surrogate::integrated(&task, snapshot),
        };
        let surrogate = match (kept, snapshot) {
            (Some(kept), _) if kept.observations.len() == observations.len() => return Ok(kept.surrogate),
            (Some(kept), Some(snapshot)) if snapshot.appends(&observations) => {
                kept.surrogate.extend(&self.task(&observations[kept.observations.len()..]))
            }
            (_, Some(snapshot)) => made(snapshot),
            (_, None) => Err(FitError::OtherKind),
        };
        let fitted = || {
            let (surrogate, snapshot) = Surrogate::fit(&task, None)?;
            if over == Hyperparameters::Integrated { made(&snapshot) } else { Ok(surrogate) }
        };
        let surrogate = Arc::new(surrogate.or_else(|_| fitted())?);
        *self.cache().of(over) = Some(Conditioned {
            observations: observations.to_vec(),
            snapshot: snapshot.cloned(),
            surrogate: Arc::clone(&surrogate),
        });
        Ok(surrogate)
    }
}
