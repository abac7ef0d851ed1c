//! Runs from elsewhere: evidence that cost the study nothing.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, HashSet};

use super::state::observed;
use super::{Event, Imported, ImportedRun, OpenStudy, Study, StudyError};
use crate::problem::{Objective, Observation, RunId};

/// More runs from elsewhere than this are refused: the model needs the covariances of all of them, and takes time that grows
/// with the third power of their number.
const MOST_RUNS: usize = 10_000;

/// What an import has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Runs that were not known, or had other values.
    pub new: usize,
    /// Those that had other values.
    pub replaced: usize,
}

impl OpenStudy {
    /// Takes runs from elsewhere into account and returns, once they are in the journal, what that has changed.
    ///
    /// # Errors
    /// Those of [`Study::imports`], before anything is recorded, and of [`Self::record`].
    pub fn import(
        &mut self,
        runs: impl IntoIterator<Item = Imported>,
        replacing: Option<&str>,
    ) -> Result<Learned, StudyError> {
        let events = self.imports(runs, replacing)?;
        let mut learned = Learned { new: 0, replaced: 0 };
        for event in &events {
            match event {
                Event::Withdrawn { runs, .. } => learned.replaced += runs.iter().count(),
                _ => learned.new += 1,
            }
        }
        self.record_all(events)?;
        Ok(learned)
    }
}

impl Study {
    /// The events of those runs from elsewhere that are new. A run that was imported before is no error, and does not count
    /// twice; a run is known by its source and fidelity. One that is known with other values takes the place of the known one if
    /// there is a reason for `replacing` it: that one is withdrawn.
    ///
    /// # Errors
    /// [`StudyError::Unfit`] for a run of another space, fidelity or objective, for one that is known with other values and does not
    /// replace them, and for more than 10,000 in all.
    pub fn imports(
        &self,
        runs: impl IntoIterator<Item = Imported>,
        replacing: Option<&str>,
    ) -> Result<Vec<Event>, StudyError> {
        let next = RunId::Imported(self.state.next_import());
        let mut known: HashMap<_, _> =
            self.imported().map(|known| (known.run.id(), known.observation.clone())).collect();
        let room = MOST_RUNS.saturating_sub(known.len());
        let (mut events, mut replaced): (Vec<Event>, Vec<RunId>) = (Vec::new(), Vec::new());
        let partly: HashSet<_> =
            self.imported().filter(|known| !known.run.past.is_none()).map(|known| known.run.id()).collect();
        for run in runs {
            let unfit = |reason| StudyError::Unfit { run: run.source.clone(), reason };
            let observation = observed(&self.config, next, &run).map_err(|misfit| unfit(misfit.to_string()))?;
            match known.entry(run.id()) {
                Place::Occupied(known) if same(known.get(), &observation) => continue,
                // What it drew besides would be forgotten.
                Place::Occupied(_) if replacing.is_some() && partly.contains(&run.id()) => {
                    return Err(unfit(
                        "this run counts in part only, as one of an older study; correct it there and fork anew, or withdraw it"
                            .into(),
                    ));
                }
                Place::Occupied(mut known) if replacing.is_some() && known.get().run != next => {
                    replaced.push(known.insert(observation).run);
                }
                Place::Occupied(known) => {
                    let changes = changes(known.get(), &observation, &self.config.objective);
                    let corrected = if known.get().run == next { "" } else { "; if it is corrected, add --replace" };
                    return Err(unfit(format!(
                        "a run of this name is known with other values ({changes}); if this is another run, give it another \
                         run_id or its file another name{corrected}"
                    )));
                }
                Place::Vacant(_) if events.len() - replaced.len() == room => {
                    return Err(unfit(format!(
                        "a study learns from at most {MOST_RUNS} runs from elsewhere; import fewer"
                    )));
                }
                Place::Vacant(place) => drop(place.insert(observation)),
            }
            events.push(Event::Imported(run));
        }
        if let (Some(reason), false) = (replacing, replaced.is_empty()) {
            let runs = replaced.into_iter().collect();
            events.insert(0, Event::Withdrawn { reason: reason.to_owned(), runs });
        }
        Ok(events)
    }

    /// The runs that were imported and not withdrawn, oldest first.
    pub fn imported(&self) -> impl Iterator<Item = &ImportedRun> {
        self.state.imported.iter().filter(|imported| imported.withdrawn.is_none())
    }

    /// The runs that were imported and withdrawn, oldest first.
    pub fn withdrawn(&self) -> impl Iterator<Item = &ImportedRun> {
        self.state.imported.iter().filter(|imported| imported.withdrawn.is_some())
    }

    /// The imported run of this number, also if it was withdrawn.
    ///
    /// # Errors
    /// [`StudyError::NoImport`]
    pub fn imported_run(&self, number: u64) -> Result<&ImportedRun, StudyError> {
        let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        let run = index.and_then(|i| self.state.imported.get(i));
        run.ok_or_else(|| StudyError::NoImport(format!("imported-{number}")))
    }

    /// The imported runs that these are, whatever values they have. Those that were withdrawn are left out.
    ///
    /// # Errors
    /// [`StudyError::NoImport`]
    pub fn known(&self, runs: &[Imported]) -> Result<Vec<RunId>, StudyError> {
        let mut latest: HashMap<_, &ImportedRun> = HashMap::new();
        latest.extend(self.state.imported.iter().map(|known| (known.run.id(), known)));
        let missing = |run: &Imported| StudyError::NoImport(run.source.clone());
        let find = |run: &Imported| latest.get(&run.id()).copied().ok_or_else(|| missing(run));
        let found = runs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().filter(|run| run.withdrawn.is_none()).map(|run| run.observation.run).collect())
    }
}

impl Imported {
    /// By what a run is recognized when it is imported again.
    fn id(&self) -> (String, String, Option<u64>) {
        (self.source.clone(), self.fidelity.clone(), self.tokens.map(f64::to_bits))
    }
}

/// Whether two observations say the same, whatever their identities. A fork may have rounded weights.
fn same(a: &Observation, b: &Observation) -> bool {
    a.mixture.is(&b.mixture) && *a == Observation { run: a.run, mixture: a.mixture.clone(), ..b.clone() }
}

/// In what two observations of a run differ.
fn changes(known: &Observation, new: &Observation, objective: &Objective) -> String {
    let values = objective.metrics.iter().zip(known.metrics.iter().zip(&new.metrics));
    let values = values.filter(|(_, (was, is))| was != is);
    let mut changes: Vec<String> = values.map(|(metric, (was, is))| format!("{} {was} → {is}", metric.name)).collect();
    if !known.mixture.is(&new.mixture) {
        changes.push("other weights".into());
    }
    if known.se != new.se {
        changes.push("another standard error".into());
    }
    changes.join(", ")
}
