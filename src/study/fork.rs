//! A new study that learns from the runs of another one.

use crate::problem::RunId;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::state::observed;
use super::{
    Amendment, Completed, Entry, Event, Forked, Header, Imported, OpenStudy, Purpose, Resumed, Sizes, Study,
    StudyError, Suggested, TrialId, TrialResult, journal,
};
use crate::config::StudyConfig;
use crate::space::{Drawn, Lineage, Relation};

impl Study {
    /// Begins a study with the completed runs of the one in `from`, as far as they fit the config, as imported ones. Waits at
    /// most so long for whoever else is about to begin a study there.
    ///
    /// # Errors
    /// [`StudyError::Occupied`] unless `config.dir` is empty or missing; [`StudyError::Missing`] and whatever else may be
    /// wrong with the journal in `from`; old domains that it does not have; those of [`Self::open`].
    pub fn fork(config: StudyConfig, from: &Path, wait: Duration) -> Result<OpenStudy, StudyError> {
        let dir = config.dir.clone();
        let events = events(&config, from)?;
        // Looked at twice: a mistake must not leave a lock behind, and somebody may have been faster.
        vacant(&dir)?;
        let lock = journal::Lock::take(&dir, wait)?;
        vacant(&dir)?;
        let write = || {
            let lines = events.into_iter().map(|event| serde_json::to_vec(&Entry::now(event)));
            journal::begin(&dir, &journal::chained(lines.collect::<Result<Vec<_>, _>>()?)?.0)
        };
        write().map_err(|e| StudyError::io("write", &journal::path(&dir), e))?;
        Self::locked(config, lock)
    }

    /// What [`Self::fork`] would begin, in memory alone.
    ///
    /// # Errors
    /// Those of [`Self::fork`].
    pub fn forked(config: StudyConfig, from: &Path) -> Result<Self, StudyError> {
        vacant(&config.dir)?;
        let events = events(&config, from)?;
        let mut study = Self::empty(config);
        events.into_iter().try_for_each(|event| study.assume(event))?;
        Ok(study)
    }
}

/// What the study in `dir` recommended when its search ended: weights by domain.
///
/// # Errors
/// [`StudyError::Missing`], a journal that cannot be read, and [`StudyError::Undecided`] where the search has not ended.
pub fn recommended(dir: &Path) -> Result<BTreeMap<String, f64>, StudyError> {
    let contents = journal::read(dir)?.ok_or_else(|| StudyError::Missing { dir: dir.to_owned() })?;
    let mut last = None;
    for entry in contents.entries()? {
        match &entry.event {
            Event::Stopped { recommended, .. } => last = Some(recommended.clone()),
            // As for the study itself, a search that goes on has no recommendation yet.
            Event::Suggested(trial) if trial.purpose == Purpose::Search => last = None,
            _ => {}
        }
    }
    last.ok_or_else(|| StudyError::Undecided { dir: dir.to_owned() })
}

/// The events that a study begins with which learns from the one in `from`.
fn events(config: &StudyConfig, from: &Path) -> Result<Vec<Event>, StudyError> {
    let missing = || StudyError::Missing { dir: from.to_owned() };
    let contents = journal::read(from)?.ok_or_else(missing)?;
    let old = Old::new(from, &contents.entries()?).ok_or_else(missing)?;
    config.ancestry.check(&config.path, &old.domains)?;
    let (mut runs, mut partly, mut dropped) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for run in old.runs {
        match translated(config, &old.sizes, run) {
            Ok(run) => {
                if let Some(reason) = in_part(config, &run.past) {
                    *partly.entry(reason).or_default() += 1;
                }
                runs.push(Event::Imported(run));
            }
            Err(reason) => *dropped.entry(reason).or_default() += 1,
        }
    }
    let Lineage { relations, revised } = config.ancestry.lineage.clone();
    let origin = Forked { from: old.dir, name: old.name, imported: runs.len(), partly, dropped, relations, revised };
    let origin = Event::Forked(origin);
    Ok([Event::Study(Header::new(config)), origin].into_iter().chain(runs).collect())
}

/// Nothing but what a fork that was cut short leaves behind.
fn vacant(dir: &Path) -> Result<(), StudyError> {
    let mut files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let ours = |name: &std::ffi::OsStr| name == journal::LOCK || name == journal::NEW;
    if files.all(|file| ours(&file.file_name())) { Ok(()) } else { Err(StudyError::Occupied { dir: dir.to_owned() }) }
}

/// A study as its journal alone tells of it: its config may have changed, or be gone.
struct Old {
    dir: String,
    name: String,
    domains: Vec<String>,
    sizes: Sizes,
    runs: Vec<Imported>,
}

impl Old {
    /// `None` without a header.
    fn new(dir: &Path, entries: &[&Entry]) -> Option<Self> {
        let Some(Event::Study(header)) = entries.first().map(|entry| &entry.event) else { return None };
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).display().to_string();
        let mut sizes = header.sizes.clone();
        let mut suggested: BTreeMap<TrialId, &Suggested> = BTreeMap::new();
        let mut runs: Vec<(RunId, Imported)> = Vec::new();
        let mut imported = 0;
        for entry in entries {
            match &entry.event {
                Event::Resumed(Resumed { sizes: Some(now), .. }) => sizes.clone_from(now),
                Event::Suggested(trial) => drop(suggested.insert(trial.trial, trial)),
                Event::Imported(run) => {
                    imported += 1;
                    runs.push((RunId::Imported(imported), run.clone()));
                }
                Event::Completed { trial, outcome } => {
                    runs.extend(suggested.get(trial).map(|suggested| completed(&dir, suggested, outcome)));
                }
                Event::Amended { results, .. } => {
                    for Amendment { trial, result } in results {
                        runs.retain(|(run, _)| *run != RunId::Trial(*trial));
                        if let (TrialResult::Complete(outcome), Some(suggested)) = (result, suggested.get(trial)) {
                            runs.push(completed(&dir, suggested, outcome));
                        }
                    }
                }
                Event::Withdrawn { runs: withdrawn, .. } => runs.retain(|(run, _)| !withdrawn.contains(*run)),
                _ => {}
            }
        }
        let runs = runs.into_iter().map(|(_, run)| run).collect();
        Some(Self { dir, name: header.name.clone(), domains: header.domains.clone(), sizes, runs })
    }
}

/// A trial that completed in the study in `dir`, as an imported run.
fn completed(dir: &str, trial: &Suggested, outcome: &Completed) -> (RunId, Imported) {
    let run = Imported {
        source: format!("{dir}, trial {}", trial.trial),
        fidelity: trial.fidelity.clone(),
        weights: trial.weights.clone(),
        metrics: outcome.metrics.clone(),
        se: outcome.se.clone(),
        past: Drawn::default(),
        tokens: None,
    };
    (RunId::Trial(trial.trial), run)
}

/// A run of a study with these `sizes` as one of the new study, or why it cannot be one.
fn translated(config: &StudyConfig, sizes: &Sizes, mut run: Imported) -> Result<Imported, String> {
    let now = config.fidelities.find(&run.fidelity).map(|m| &config.fidelities[m]);
    let now = now.ok_or("of a fidelity that is gone")?;
    let differs = |was: Option<f64>, is: Option<f64>| was.zip(is).is_some_and(|(was, is)| was != is);
    if sizes.get(&run.fidelity).is_some_and(|was| differs(was.params, now.params) || differs(was.tokens, now.tokens)) {
        return Err("of a fidelity whose params or tokens have changed".into());
    }
    let domains = config.space.domains().iter().map(|domain| domain.name.as_str());
    let carried = config.ancestry.lineage.carried(&run.weights, &run.past, domains);
    (run.weights, run.past) = carried.ok_or("with all weight on domains that are gone")?;
    observed(config, RunId::Imported(0), &run).map(|_| run).map_err(|_| "without a metric of the objective".into())
}

/// Why a run counts in part only: what it drew that no run of the new study draws.
fn in_part(config: &StudyConfig, past: &Drawn) -> Option<String> {
    let Lineage { relations, revised } = &config.ancestry.lineage;
    let gone: Vec<&str> = past.gone.keys().map(String::as_str).collect();
    let changed = |of: &dyn Fn(&String) -> bool| -> Vec<&str> {
        past.changed.keys().filter(|name| of(name)).map(String::as_str).collect()
    };
    let merged = |name: &String| matches!(relations.get(name), Some(Relation::MergeOf(_)));
    let reasons = [
        ("on domains that are gone: ", gone),
        ("on data from before a revision: ", changed(&|name| revised.contains(name) || !merged(name))),
        ("with other shares than merge_of states: ", changed(&|name| merged(name) && !revised.contains(name))),
    ];
    let reasons = reasons.into_iter().filter(|(_, names)| !names.is_empty());
    let reasons: Vec<String> = reasons.map(|(what, names)| format!("{what}{}", names.join(", "))).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
