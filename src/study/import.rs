//! Runs from elsewhere: evidence that cost the study nothing.

use super::state::Misfit;
use super::{Entry, Event, Imported, Observation, Study, StudyError};

impl Study {
    /// Takes runs from elsewhere into account and returns, once they are in the journal, how many were new. A run that
    /// was imported before is no error, and does not count twice.
    ///
    /// # Errors
    /// [`StudyError::Unfit`] for a run of another space, fidelity or objective, before anything is recorded; those of
    /// [`Self::record`].
    pub fn import(&mut self, runs: impl IntoIterator<Item = Imported>) -> Result<usize, StudyError> {
        let mut entries: Vec<Entry> = Vec::new();
        for run in runs {
            let event = Event::Imported(run.clone());
            if self.imported().any(|known| *known == run) || entries.iter().any(|e| e.event == event) {
                continue;
            }
            self.observed(&run)
                .map_err(|misfit| StudyError::Unfit { run: run.source.clone(), reason: misfit.to_string() })?;
            entries.push(Entry::now(event));
        }
        self.record_all(&entries)?;
        Ok(entries.len())
    }

    /// The runs that were imported, oldest first.
    pub fn imported(&self) -> impl ExactSizeIterator<Item = &Imported> {
        self.imported.iter().map(|(run, _)| run)
    }

    /// What an imported run says to the optimizer.
    pub(super) fn observed(&self, run: &Imported) -> Result<Observation, Misfit> {
        let fidelity = self.fidelity(&run.fidelity)?;
        let mixture = self.mixture(&run.weights)?;
        if !run.metrics.values().chain(run.se.values()).all(|x| x.is_finite()) {
            return Err(Misfit::Damage("a metric is not finite".into()));
        }
        let observation = self.observation(&mixture, fidelity, &run.metrics, &run.se);
        observation.ok_or_else(|| Misfit::Damage("it lacks a metric of the objective".into()))
    }
}
