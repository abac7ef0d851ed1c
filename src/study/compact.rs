//! A smaller journal of the same study.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Cause, Entry, Event, Resumed, Study, StudyError, Trial, TrialId, TrialState, journal, seal};
use crate::config::StudyConfig;

/// What compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Lines before and after.
    pub lines: (usize, usize),
    /// Bytes before and after.
    pub bytes: (usize, usize),
    /// The journal as it was; `None` where nothing could be left out, and nothing was done.
    pub backup: Option<PathBuf>,
}

/// Leaves out what has been overtaken. The events that stay are the same, in the same order. The old journal stays beside the
/// new one. Waits at most so long for another writer.
///
/// # Errors
/// [`StudyError::Locked`], [`StudyError::Missing`], a journal that cannot be read or written, or a config that contradicts
/// it.
pub fn compact(config: StudyConfig, wait: Duration) -> Result<Compacted, StudyError> {
    let dir = config.dir.clone();
    if journal::read(&dir)?.is_none() {
        return Err(StudyError::Missing { dir });
    }
    let _lock = journal::Lock::take(&dir, wait)?;
    let contents = journal::read(&dir)?.ok_or_else(|| StudyError::Missing { dir: dir.clone() })?;
    let mut study = Study::empty(config);
    study.replay(&contents)?;

    let entries = contents.entries()?;
    let needed = needed(&entries, study.trials(), study.halted().is_some());
    let lines = contents.texts().zip(&needed).filter(|(_, needed)| **needed).map(|(line, _)| line);
    let failed = |e| StudyError::io("replace", &journal::path(&dir), e);
    let (bytes, link) = journal::chained(lines).map_err(failed)?;
    let mut compacted = Compacted {
        lines: (needed.len(), needed.iter().filter(|needed| **needed).count()),
        bytes: (contents.length(), bytes.len()),
        backup: None,
    };
    if compacted.lines.0 == compacted.lines.1 {
        return Ok(compacted);
    }
    // What is needed is known above by the kinds of events; here it has to prove true.
    let mut again = Study::empty(study.config.clone());
    if let Some(contents) = journal::parse(journal::path(&dir), bytes.clone())? {
        again.replay(&contents)?;
    }
    if again.state != study.state {
        return Err(StudyError::Compaction { dir });
    }
    let (_, backup) = journal::replace(&dir, &bytes).map_err(failed)?;
    // It may be missing.
    let _ = seal::write(&dir, link);
    compacted.backup = Some(backup);
    Ok(compacted)
}

/// Which entries say what no later one has made void. `trials` is what all of them add up to, `halted` whether the last halt
/// still stands.
fn needed(entries: &[&Entry], trials: &[Trial], halted: bool) -> Vec<bool> {
    let last = |is: fn(&Event) -> bool| entries.iter().rposition(|e| is(&e.event));
    let model = last(|e| matches!(e, Event::Model(_)));
    let stopped = last(|e| matches!(e, Event::Stopped { .. }));
    let last_halt = last(|e| matches!(e, Event::Halted { .. }));
    let mut launched: BTreeMap<TrialId, usize> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if let Event::Launched { trial, .. } = entry.event {
            launched.insert(trial, i);
        }
    }
    // About the last attempt: what came of earlier ones is in the events that end them.
    let latest = |trial: &TrialId, i: usize| launched.get(trial).is_some_and(|last| i >= *last);
    let state =
        |trial: &TrialId| usize::try_from(*trial).ok().and_then(|t| trials.get(t.checked_sub(1)?)).map(|t| &t.state);
    let needs = |(i, entry): (usize, &&Entry)| match &entry.event {
        Event::Model(_) => model == Some(i),
        Event::Stopped { .. } => stopped == Some(i),
        Event::Halted { .. } => halted && last_halt == Some(i),
        Event::Resumed(Resumed { sizes, settings, changed, .. }) => {
            sizes.is_some() || settings.is_some() || !changed.is_empty()
        }
        Event::Launched { trial, .. } => latest(trial, i),
        Event::Started { trial, .. } | Event::Submitted { trial, .. } => {
            latest(trial, i) && matches!(state(trial), Some(TrialState::Running { .. }))
        }
        // How often in a row nobody saw a trial die is counted as long as it has not finished; a trial is cancelled while it
        // waits; an attempt that could not be started gives its number back.
        Event::Interrupted { trial, cause, .. } => {
            matches!(state(trial), Some(TrialState::Pending | TrialState::Running { .. } | TrialState::Cancelled))
                || *cause == Some(Cause::NotStarted) && latest(trial, i)
        }
        Event::Study(_)
        | Event::Forked(_)
        | Event::Suggested(_)
        | Event::Progress { .. }
        | Event::TrialStopping { .. }
        | Event::TrialStopped { .. }
        | Event::TrialContinued { .. }
        | Event::Imported(_)
        | Event::Cancelled { .. }
        | Event::Amended { .. }
        | Event::Withdrawn { .. }
        | Event::Completed { .. }
        | Event::Failed { .. }
        | Event::Diverged { .. } => true,
    };
    entries.iter().enumerate().map(needs).collect()
}
