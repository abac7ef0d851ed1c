//! Looking a journal over: what is in it, and what is wrong with it.

use std::collections::BTreeMap;

use super::state::Misfit;
use super::{Changes, Event, Forked, Study, StudyError, journal};
use crate::config::StudyConfig;

/// What a journal has in it.
#[derive(Debug)]
pub struct Checked {
    /// The study, as far as its journal is sound.
    pub study: Study,
    /// The format that the first line states.
    pub format: u32,
    /// The version of `admire` that began it.
    pub version: String,
    /// How many events there are of each kind.
    pub events: BTreeMap<String, usize>,
    /// The number of a torn last line (a crash while writing, or a writer at work), which the next writer drops.
    pub torn: Option<usize>,
    /// The numbers of the lines of white space, which say nothing.
    pub blank: Vec<usize>,
    /// What is wrong, with the number of the line.
    pub problems: Vec<(usize, String)>,
}

/// Reads all of the journal of a study, and goes on where it is damaged. Takes no lock and writes nothing.
///
/// # Errors
/// [`StudyError::Missing`], a journal that cannot be read at all or is of a newer format, or a config that contradicts it.
pub fn check(config: StudyConfig) -> Result<Checked, StudyError> {
    let contents = journal::read(&config.dir)?.ok_or_else(|| StudyError::Missing { dir: config.dir.clone() })?;
    let mut checked = Checked {
        study: Study::empty(config),
        format: contents.format,
        version: String::new(),
        events: BTreeMap::new(),
        torn: contents.torn,
        blank: contents.blank.clone(),
        problems: Vec::new(),
    };
    for line in &contents.lines {
        let entry = match &line.entry {
            Ok(entry) => entry,
            Err(reason) => {
                checked.problems.push((line.number, format!("damaged: {reason}")));
                continue;
            }
        };
        *checked.events.entry(kind(&entry.event)).or_default() += 1;
        if let Event::Study(header) = &entry.event {
            checked.version.clone_from(&header.version);
        }
        match checked.study.state.apply(&checked.study.config, entry) {
            Ok(()) => {}
            // The line is as it was written: what it follows is not.
            Err(Misfit::Damage(_)) if contents.chained() && !checked.problems.is_empty() => {}
            Err(Misfit::Damage(reason)) => checked.problems.push((line.number, reason)),
            Err(misfit @ Misfit::Changed(_)) => return Err(checked.study.error(misfit, line.number)),
        }
    }
    if let Some(reason) = contents.lost {
        let end = contents.lines.last().map_or(0, |line| line.number) + 1;
        checked.problems.push((end, reason));
    }
    Ok(checked)
}

/// The name of a kind of event, as journals have it.
fn kind(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    value["event"].as_str().unwrap_or_default().to_owned()
}

impl Study {
    /// The study that it learns from, if any.
    #[must_use]
    pub fn origin(&self) -> Option<&Forked> {
        self.state.origin.as_ref()
    }

    /// How the settings have changed, and when (seconds since 1970).
    #[must_use]
    pub fn changes(&self) -> &[(f64, Changes)] {
        &self.state.changes
    }
}
