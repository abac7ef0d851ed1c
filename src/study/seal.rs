//! What shows that there was once more in a journal than there is: the seal that its last writer left, and the files of
//! trials.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chain::{self, Chain, Link};
use super::journal::{self, Contents};
use super::{TrialId, files};

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
    let like = fs::symlink_metadata(journal::path(dir))?;
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
        let instead = match contents {
            None => "begin elsewhere with `--dir`",
            Some(_) => "to go on from an older copy on purpose, remove journal.seal",
        };
        let restore = format!("restore it from a backup, or, {instead}");
        let events = contents.map_or(0, |c| c.lines.len() as u64);
        if let Some(Seal { events: sealed, last }) = &self.seal {
            let known = contents.and_then(|c| c.crc(*sealed)).map(|crc| format!("{crc:08x}"));
            if events < *sealed {
                let tail = if events == 0 { "all of it is" } else { "its tail is" };
                return Some(format!("it ends at event {events}, but {sealed} were written: {tail} lost; {restore}"));
            }
            if known.as_ref() != Some(last) {
                return Some(format!("event {sealed} is not the one that was written: this is another copy; {restore}"));
            }
        }
        let known = contents.map_or(0, Contents::trials);
        let mut unknown = self.trials.iter().filter(|trial| **trial > known).map(|trial| format!("trials/{trial:04}"));
        let folder = unknown.find(|folder| fs::read_dir(dir.join(folder)).is_ok_and(|mut files| files.next().is_some()))?;
        Some(match contents {
            None => format!("it is missing or empty, but {folder} has files; {restore}"),
            Some(_) => format!(
                "it knows {known} trials, but {folder} has files: its tail is lost; restore it from a backup, or, to go on \
                 without later trials on purpose, move their folders away"
            ),
        })
    }
}

/// The seal, if it can be read and is as it was written.
fn seal(dir: &Path) -> Option<Seal> {
    let line = files::read(&dir.join(SEAL)).ok()?;
    Chain::default().follow(line.strip_suffix(b"\n")?).ok()?;
    serde_json::from_slice(&line).ok()
}
