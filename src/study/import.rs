//! Runs from elsewhere: evidence that cost the study nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use super::state::observed;
use super::{Event, Imported, OpenStudy, Study, StudyError};
use crate::problem::{Objective, Observation};

/// More runs from elsewhere than this are refused: the model needs the covariances of all of them, and takes time that grows
/// with the third power of their number.
const MOST_RUNS: usize = 10_000;

impl OpenStudy {
    /// Takes runs from elsewhere into account and returns, once they are in the journal, how many were new.
    ///
    /// # Errors
    /// Those of [`Study::imports`], before anything is recorded, and of [`Self::record`].
    pub fn import(&mut self, runs: impl IntoIterator<Item = Imported>) -> Result<usize, StudyError> {
        let events = self.imports(runs)?;
        let new = events.len();
        self.record_all(events)?;
        Ok(new)
    }
}

impl Study {
    /// The events of those runs from elsewhere that are new. A run that was imported before is no error, and does not count
    /// twice; a run is known by its source and fidelity.
    ///
    /// # Errors
    /// [`StudyError::Unfit`] for a run of another space, fidelity or objective, for one that is known with other values, and
    /// for more than 10,000 in all.
    pub fn imports(&self, runs: impl IntoIterator<Item = Imported>) -> Result<Vec<Event>, StudyError> {
        let identity = |run: &Imported| (run.source.clone(), run.fidelity.clone());
        let known = self.state.imported.iter().map(|(run, observation)| (identity(run), observation.clone()));
        let mut known: HashMap<_, _> = known.collect();
        let mut events: Vec<Event> = Vec::new();
        for run in runs {
            let unfit = |reason| StudyError::Unfit { run: run.source.clone(), reason };
            let observation =
                observed(&self.config, self.state.next_import(), &run).map_err(|misfit| unfit(misfit.to_string()))?;
            match known.entry(identity(&run)) {
                Place::Occupied(known) if same(known.get(), &observation) => {}
                Place::Occupied(known) => {
                    let changes = changes(known.get(), &observation, &self.config.objective);
                    return Err(unfit(format!(
                        "a run of this name is known with other values ({changes}); if this is another run, give it another \
                         run_id or its file another name; if it is corrected, import it into a new study"
                    )));
                }
                Place::Vacant(_) if self.state.imported.len() + events.len() == MOST_RUNS => {
                    return Err(unfit(format!(
                        "a study learns from at most {MOST_RUNS} runs from elsewhere; import fewer"
                    )));
                }
                Place::Vacant(place) => {
                    place.insert(observation);
                    events.push(Event::Imported(run));
                }
            }
        }
        Ok(events)
    }

    /// The runs that were imported, oldest first.
    pub fn imported(&self) -> impl ExactSizeIterator<Item = &Imported> {
        self.state.imported.iter().map(|(run, _)| run)
    }
}

/// Whether two observations say the same, whatever their identities.
fn same(a: &Observation, b: &Observation) -> bool {
    *a == Observation { run: a.run, ..b.clone() }
}

/// In what two observations of a run differ.
fn changes(known: &Observation, new: &Observation, objective: &Objective) -> String {
    let values = objective.metrics.iter().zip(known.metrics.iter().zip(&new.metrics));
    let values = values.filter(|(_, (was, is))| was != is);
    let mut changes: Vec<String> = values.map(|(metric, (was, is))| format!("{} {was} → {is}", metric.name)).collect();
    if known.mixture != new.mixture {
        changes.push("other weights".into());
    }
    if known.se != new.se {
        changes.push("another standard error".into());
    }
    changes.join(", ")
}
