//! When the model is fitted anew, and how it keeps up with the runs in between.

use std::sync::{Arc, PoisonError};

use super::Optimizer;
use super::policy::constants::{COMPARED_FROM, MOST_INTEGRATED, REFIT_GROWTH};
use crate::problem::{Evidence, FidelityId, ModelSpec, Observation};
use crate::surrogate::{FitError, ModelSnapshot, Surrogate, Task};

/// A model with what it was conditioned on.
#[derive(Clone, Debug)]
pub(super) struct Conditioned {
    /// Those that the snapshot was fitted to first.
    observations: Vec<Observation>,
    /// `None`: fitted to just these observations, before there was a snapshot.
    snapshot: Option<ModelSnapshot>,
    surrogate: Arc<Surrogate>,
    /// The same with its hyperparameters integrated over, once it was asked for.
    integrated: Option<Arc<Surrogate>>,
}

impl Optimizer {
    /// The kind of model in use: what was chosen last, unless the settings have changed since.
    pub(super) fn spec(&self) -> ModelSpec {
        let chosen = self.snapshot.as_ref().map(|s| s.spec).filter(|spec| self.settings.model.allows(spec));
        chosen.unwrap_or_else(|| self.settings.model.start())
    }

    pub(super) fn task<'a>(&'a self, observations: &'a [Observation]) -> Task<'a> {
        Task { objective: &self.objective, fidelities: &self.fidelities, spec: self.spec(), observations }
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
        !self.settings.model.allows(&last.spec) || self.fidelities.ids().any(grown)
    }

    /// Fits the hyperparameters anew if that is due. [`Self::suggest`] does; who asks about runs without it begins with this.
    pub fn learn(&mut self, evidence: &Evidence) {
        let observations = &evidence.observations;
        if observations.is_empty() || !self.due(observations) {
            return;
        }
        // Of no use any more, and as large as what comes in its place.
        self.keep(None);
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
            self.keep(Some(Conditioned {
                observations: observations.clone(),
                snapshot: Some(snapshot),
                surrogate: Arc::new(surrogate),
                integrated: None,
            }));
        }
    }

    fn keep(&self, model: Option<Conditioned>) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = model;
    }

    /// The model of these observations at the last fit's hyperparameters, or, before any, freshly fitted.
    pub(super) fn condition(&self, observations: &[Observation]) -> Result<Arc<Surrogate>, FitError> {
        if observations.is_empty() {
            return Err(FitError::Empty);
        }
        let snapshot = self.snapshot.as_ref();
        let observations = snapshot.map_or(observations.into(), |snapshot| snapshot.first(observations));
        let task = self.task(&observations);
        let kept = self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kept = kept.filter(|k| k.snapshot.as_ref() == snapshot && observations.starts_with(&k.observations));
        let surrogate = match (kept, snapshot) {
            (Some(kept), _) if kept.observations.len() == observations.len() => return Ok(kept.surrogate),
            (Some(kept), Some(snapshot)) if snapshot.appends(&observations) => {
                kept.surrogate.extend(&self.task(&observations[kept.observations.len()..]))
            }
            (_, Some(snapshot)) => Surrogate::condition(&task, snapshot),
            (_, None) => Err(FitError::OtherKind),
        };
        let fitted = || Surrogate::fit(&task, None).map(|(surrogate, _)| surrogate);
        let surrogate = Arc::new(surrogate.or_else(|_| fitted())?);
        self.keep(Some(Conditioned {
            observations: observations.to_vec(),
            snapshot: snapshot.cloned(),
            surrogate: Arc::clone(&surrogate),
            integrated: None,
        }));
        Ok(surrogate)
    }

    /// The model of these observations for what is said and recommended: of up to [`MOST_INTEGRATED`] runs with its hyperparameters
    /// integrated over.
    pub(super) fn integrated(&self, observations: &[Observation]) -> Result<Arc<Surrogate>, FitError> {
        let surrogate = self.condition(observations)?;
        if observations.len() > MOST_INTEGRATED {
            return Ok(surrogate);
        }
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let kept =
            cache().as_ref().filter(|kept| Arc::ptr_eq(&kept.surrogate, &surrogate)).and_then(|k| k.integrated.clone());
        if let Some(integrated) = kept {
            return Ok(integrated);
        }
        let integrated = Arc::new(surrogate.integrated()?);
        if let Some(kept) = cache().as_mut().filter(|kept| Arc::ptr_eq(&kept.surrogate, &surrogate)) {
            kept.integrated = Some(Arc::clone(&integrated));
        }
        Ok(integrated)
    }
}
