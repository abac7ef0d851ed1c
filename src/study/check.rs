//! Looking a journal over: what is in it, and what is wrong with it.

use std::collections::BTreeMap;

use super::fold::Misfit;
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
        torn: contents.torn.then_some(contents.lines.len() + 1),
        problems: Vec::new(),
    };
    for (i, line) in contents.lines.iter().enumerate() {
        let entry = match line {
            Ok(entry) => entry,
            Err(reason) => {
                checked.problems.push((i + 1, format!("damaged: {reason}")));
                continue;
            }
        };
        *checked.events.entry(kind(&entry.event)).or_default() += 1;
        if let Event::Study(header) = &entry.event {
            checked.version.clone_from(&header.version);
        }
        match checked.study.state.apply(&checked.study.config, entry) {
            Ok(()) => {}
            Err(Misfit::Damage(reason)) => checked.problems.push((i + 1, reason)),
            Err(misfit @ Misfit::Changed(_)) => return Err(checked.study.error(misfit, i + 1)),
        }
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
