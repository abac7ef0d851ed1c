//! What shows that there was once more in a journal than there is: the seal that its last writer left, and the files of
//! trials.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TrialId;
use super::chain::{self, Chain, Link};
use super::contents::{self, Contents};
use crate::files;
use crate::text::{agreeing, counted};

const SEAL: &str = "journal.seal";

/// How many events had been written when a writer closed the journal in order. In its file it is one line, chained like
/// the first line of a journal, so that a seal that is damaged says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    events: u64,
    /// The checksum of the last one.
    last: String,
}

/// Says in `dir` how far the journal goes. The lock must be held.
pub(super) fn write(dir: &Path, link: Link) -> io::Result<()> {
    let text = serde_json::to_vec(&Seal { events: link.seq, last: format!("{:08x}", link.crc) })?;
    let mut line = Vec::new();
    Link::default().append(chain::body(&text), &mut line);
    let (path, new) = (dir.join(SEAL), dir.join("journal.seal.new"));
    let like = fs::symlink_metadata(contents::path(dir))?;
    files::write_new(&new, &line, Some(&like))?;
    fs::rename(new, path)
}

/// Before the events get other numbers or checksums.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    files::remove(&dir.join(SEAL))
}

/// What to hold against a journal. To be looked at before the journal, to which everything is written first.
#[derive(Debug)]
pub(super) struct Evidence {
    seal: Option<Seal>,
    /// The numbers of folders in `trials`.
    trials: Vec<TrialId>,
}

impl Evidence {
    pub fn of(dir: &Path) -> Self {
        let trials = fs::read_dir(dir.join("trials")).into_iter().flatten().flatten();
        let trials = trials.filter_map(|trial| trial.file_name().to_str()?.parse().ok()).collect();
        Self { seal: seal(dir), trials }
    }

    /// Whether the seal in `dir` is still the same: `compact` renews it.
    pub fn stands(&self, dir: &Path) -> bool {
        self.seal == seal(dir)
    }

    /// What is missing at the end of a sound journal, or of one that is not there.
    pub fn against(&self, dir: &Path, contents: Option<&Contents>) -> Option<String> {
        let Some(contents) = contents else { return self.against_none(dir) };
        let restore = "restore it from a backup, or, to go on from an older copy on purpose, remove journal.seal";
        let events = contents.lines.len();
        if let Some(Seal { events: sealed, last }) = &self.seal {
            if (events as u64) < *sealed {
                return Some(format!(
                    "it ends at event {events}, but {sealed} were written: its tail is lost; {restore}"
                ));
            }
            if contents.crc(*sealed).is_none_or(|crc| format!("{crc:08x}") != *last) {
                return Some(format!(
                    "event {sealed} is not the one that was written: this is another copy; {restore}"
                ));
            }
        }
        let known = contents.trials();
        self.unknown_trial(dir, known).map(|folder| {
            format!(
                "it knows {}, but {folder} has files: its tail is lost; restore it from a backup, or, to go on \
                 without later trials on purpose, move their folders away",
                counted(known as usize, "trial")
            )
        })
    }

    fn against_none(&self, dir: &Path) -> Option<String> {
        let sealed = self.seal.as_ref().map(|seal| {
            let events = seal.events as usize;
            format!("{} {} written", counted(events, "event"), agreeing(events, "was", "were"))
        });
        let what = sealed.or_else(|| Some(format!("{} has files", self.unknown_trial(dir, 0)?)))?;
        Some(format!("it is missing or empty, but {what}; restore it from a backup, or begin elsewhere with `--dir`"))
    }

    /// The folder of a trial with a number beyond `known` that is not empty.
    fn unknown_trial(&self, dir: &Path, known: TrialId) -> Option<String> {
        let unknown = self.trials.iter().filter(|trial| **trial > known);
        let mut folders = unknown.map(|trial| format!("trials/{trial:04}"));
        folders.find(|folder| fs::read_dir(dir.join(folder)).is_ok_and(|mut files| files.next().is_some()))
    }
}

/// The seal, if it can be read and is as it was written.
fn seal(dir: &Path) -> Option<Seal> {
    let line = files::read(&dir.join(SEAL)).ok()?;
    Chain::default().follow(line.strip_suffix(b"\n")?).ok()?;
    serde_json::from_slice(&line).ok()
}
