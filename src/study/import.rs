//! Runs from elsewhere: evidence that cost the study nothing.

use super::fold::observed;
use super::{Entry, Event, Imported, Study, StudyError};

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
            observed(&self.config, &run)
                .map_err(|misfit| StudyError::Unfit { run: run.source.clone(), reason: misfit.to_string() })?;
            entries.push(Entry::now(event));
        }
        self.record_all(&entries)?;
        Ok(entries.len())
    }

    /// The runs that were imported, oldest first.
    pub fn imported(&self) -> impl ExactSizeIterator<Item = &Imported> {
        self.state.imported.iter().map(|(run, _)| run)
    }
}
