//! What is in a journal: its lines, and what each of them says.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chain::{self, Chain, Link};
use super::{CHAINED, Entry, Event, FORMAT, StudyError, TrialId};

/// A journal, read without a lock: its complete lines.
#[derive(Debug)]
pub struct Contents {
    /// The lines that say something.
    pub lines: Vec<Line>,
    /// The numbers of the lines of white space.
    pub blank: Vec<usize>,
    /// The number of a last line that was torn (a crash while writing, or a writer at work) and left out.
    pub torn: Option<usize>,
    /// The format that the first line states.
    pub format: u32,
    /// What is missing at the end, if that can be seen.
    pub lost: Option<String>,
    /// All complete lines.
    bytes: Vec<u8>,
    /// Where the last line leaves the chain.
    pub(super) link: Link,
    path: PathBuf,
}

/// A line of a journal.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1, in the file.
    pub number: usize,
    /// What it says, or what is wrong with it.
    pub entry: Result<Entry, String>,
    /// Its checksum, where it is chained and sound.
    crc: Option<u32>,
    span: Range<usize>,
}

impl Contents {
    /// The entries, one per line.
    ///
    /// # Errors
    /// [`StudyError::Damaged`] names the first line that is none; [`StudyError::Lost`] says what is missing at the end.
    pub fn entries(&self) -> Result<Vec<&Entry>, StudyError> {
        let entry = |line: &'_ Line| match &line.entry {
            Ok(_) => Ok(()),
            Err(reason) => Err(self.damaged(line.number, reason.clone())),
        };
        self.lines.iter().try_for_each(entry)?;
        match &self.lost {
            Some(reason) => Err(StudyError::Lost { path: self.path.clone(), reason: reason.clone() }),
            None => Ok(self.lines.iter().flat_map(|line| &line.entry).collect()),
        }
    }

    /// Whether lines have numbers and checksums.
    #[must_use]
    pub fn chained(&self) -> bool {
        self.format >= CHAINED
    }

    /// The checksum of the event of this number, counted from 1.
    pub(super) fn crc(&self, event: u64) -> Option<u32> {
        self.lines.get(usize::try_from(event).ok()?.checked_sub(1)?)?.crc
    }

    /// How many trials there are.
    pub(super) fn trials(&self) -> TrialId {
        let suggested = |line: &&Line| matches!(&line.entry, Ok(Entry { event: Event::Suggested(_), .. }));
        self.lines.iter().filter(suggested).count() as TrialId
    }

    /// The lines as they are in the file.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| &self.bytes[line.span.clone()])
    }

    /// Length of the lines in bytes.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// An error about a line, counted from 1.
    fn damaged(&self, line: usize, reason: String) -> StudyError {
        StudyError::Damaged { path: self.path.clone(), line, reason }
    }
}

/// The path of the journal in a study's directory.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join("journal.jsonl")
}

/// What is in a journal of these `bytes`; `None` without a complete first line. `path` is for messages.
///
/// # Errors
/// [`StudyError::Damaged`] when the first line is no study header; [`StudyError::Format`] when a newer version wrote it.
pub fn parse(path: PathBuf, mut bytes: Vec<u8>) -> Result<Option<Contents>, StudyError> {
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let (rest, mut torn) = (whole < bytes.len(), None);
    if is_torn(&bytes[whole..]) {
        bytes.truncate(whole);
        torn = rest.then(|| bytes.split_inclusive(|b| *b == b'\n').count() + 1);
    }
    let (lines, blank) = (Vec::new(), Vec::new());
    let mut contents = Contents { lines, blank, torn, format: FORMAT, lost: None, bytes, link: Link::default(), path };
    let (mut chain, mut end) = (Chain::default(), 0);
    for (i, text) in contents.bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let (number, start) = (i + 1, end);
        end += text.len();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if text.trim_ascii().is_empty() {
            contents.blank.push(number);
            continue;
        }
        let first = contents.lines.is_empty();
        let chained = if first { chain::is_chained(text) } else { contents.format >= CHAINED };
        let sound = if chained { chain.follow(text) } else { Ok(()) };
        if first {
            sound.clone().map_err(|reason| contents.damaged(number, reason))?;
            contents.format =
                format(text, chained).map_err(|reason| contents.damaged(number, reason)).and_then(|found| {
                    let known = u32::try_from(found).ok().filter(|found| *found <= FORMAT);
                    known.ok_or_else(|| StudyError::Format { path: contents.path.clone(), found })
                })?;
        }
        let entry = sound.and_then(|()| match chained {
            // Events that keep whatever fields there are must not keep the line's own.
            true => entry(&[chain::body(text), b"}"].concat(), first),
            false => entry(text, first),
        });
        if let (true, Err(reason)) = (first, &entry) {
            return Err(contents.damaged(number, reason.clone()));
        }
        let crc = (chained && entry.is_ok()).then_some(chain.link.crc);
        contents.lines.push(Line { number, entry, crc, span: start..start + text.len() });
    }
    contents.link = chain.link;
    Ok(Some(contents).filter(|contents| !contents.lines.is_empty()))
}

/// Whether what follows the last newline can be the beginning of a line. Some file systems leave zeros after a power cut.
fn is_torn(rest: &[u8]) -> bool {
    let end = rest.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    serde_json::from_slice::<Value>(&rest[..end]).map_or_else(|e| e.is_eof(), |_| true)
}

/// The format that a first line states: looked at before anything else of it, which may be new.
fn format(line: &[u8], chained: bool) -> Result<u64, String> {
    let value: Value = serde_json::from_slice(line).map_err(said)?;
    let format = value.get("format").and_then(Value::as_u64).filter(|format| *format > 0);
    match format.ok_or("the first line is not a study header")? {
        format if format > FORMAT.into() || chained == (format >= CHAINED.into()) => Ok(format),
        format if chained => Err(format!("it has `seq` and `crc`, which format {format} does not have")),
        format => Err(format!("it does not end with `seq` and `crc`, which format {format} has")),
    }
}

fn entry(line: &[u8], first: bool) -> Result<Entry, String> {
    let entry: Entry = serde_json::from_slice(line).map_err(said)?;
    let header = matches!(entry.event, Event::Study(_));
    let placed = header == first;
    placed.then_some(entry).ok_or_else(|| "a study header belongs in the first line, and only there".into())
}

/// An error in a line, whose number in the file is said elsewhere.
fn said(error: serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}
