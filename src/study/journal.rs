//! The append-only file of a study, and the lock that keeps it to one writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde::Serialize;

use super::{Entry, Event, FORMAT, StudyError};

/// A journal that is being written to replace another one.
pub(super) const NEW: &str = "journal.jsonl.new";

/// What is locked: not the journal itself, which may be replaced.
pub(super) const LOCK: &str = "lock";

/// Between two attempts at a lock that somebody else has.
const PAUSE: Duration = Duration::from_millis(20);

/// So long everybody waits: a process that is killed while it starts a program leaves its lock to a child that drops it
/// only when that program begins. Without this, starting `admire` again at once would fail now and then.
const LINGER: Duration = Duration::from_secs(1);

/// A journal, read without a lock: its complete lines.
#[derive(Debug)]
pub struct Contents {
    /// The entry in each line, or what is wrong with it.
    pub lines: Vec<Result<Entry, String>>,
    /// Whether a last line was torn (a crash while writing, or a writer at work) and left out.
    pub torn: bool,
    /// The format that the first line states.
    pub format: u32,
    /// All of the lines.
    pub(super) bytes: Vec<u8>,
    path: PathBuf,
}

impl Contents {
    /// The entries.
    ///
    /// # Errors
    /// [`StudyError::Damaged`] names the first line that is none.
    pub fn entries(&self) -> Result<Vec<&Entry>, StudyError> {
        let entry = |(i, line): (usize, &'_ Result<Entry, String>)| match line {
            Ok(_) => Ok(()),
            Err(reason) => Err(self.damaged(i + 1, reason.clone())),
        };
        self.lines.iter().enumerate().try_for_each(entry)?;
        Ok(self.lines.iter().flatten().collect())
    }

    /// An error about a line, counted from 1.
    pub(super) fn damaged(&self, line: usize, reason: String) -> StudyError {
        StudyError::Damaged { path: self.path.clone(), line, reason }
    }
}

/// The path of the journal in a study's directory.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join("journal.jsonl")
}

/// Reads the journal in `dir`; `None` when there is none, or one without a complete first line.
///
/// # Errors
/// [`StudyError::Damaged`] when the first line is no study header; [`StudyError::Format`] when a newer version wrote it.
pub fn read(dir: &Path) -> Result<Option<Contents>, StudyError> {
    let path = path(dir);
    match std::fs::read(&path) {
        Ok(bytes) => parse(path, bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StudyError::io("read", &path, e)),
    }
}

/// Like [`read`], with the content of the file given; `path` is for messages.
///
/// # Errors
/// Those of [`read`] but for files that cannot be read.
pub fn parse(path: PathBuf, mut bytes: Vec<u8>) -> Result<Option<Contents>, StudyError> {
    // A line counts once its newline is there; what follows the last newline was torn off by a crash.
    let length = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let torn = length < bytes.len();
    bytes.truncate(length);
    let mut contents = Contents { lines: Vec::new(), torn, format: FORMAT, bytes, path };
    let Some(first) = contents.bytes.split_inclusive(|b| *b == b'\n').next() else { return Ok(None) };
    contents.format = format(first).map_err(|reason| contents.damaged(1, reason)).and_then(|found| {
        let known = u32::try_from(found).ok().filter(|found| *found <= FORMAT);
        known.ok_or_else(|| StudyError::Format { path: contents.path.clone(), found })
    })?;
    let entry = |(i, text)| {
        let entry: Entry = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        let header = matches!(entry.event, Event::Study(_));
        if header == (i == 0) {
            Ok(entry)
        } else {
            Err("a study header belongs in the first line, and only there".into())
        }
    };
    contents.lines = contents.bytes.split_inclusive(|b| *b == b'\n').enumerate().map(entry).collect();
    match contents.lines.first() {
        Some(Err(reason)) => Err(contents.damaged(1, reason.clone())),
        _ => Ok(Some(contents)),
    }
}

/// The format that a first line states: looked at before anything else of it, which may be new.
fn format(line: &[u8]) -> Result<u64, String> {
    let value: serde_json::Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    format.ok_or_else(|| "the first line is not a study header".into())
}

/// The right to write to a study, held until dropped; the lock dies with its process, so it cannot be stale.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Creates `dir` where needed and takes its lock, waiting at most so long for whoever has it, and a second anyway.
    ///
    /// # Errors
    /// [`StudyError::Locked`] when another process has it, with what that process wrote about itself.
    pub fn take(dir: &Path, wait: Duration) -> Result<Self, StudyError> {
        std::fs::create_dir_all(dir).map_err(|e| StudyError::io("create", dir, e))?;
        let path = dir.join(LOCK);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| StudyError::io("open", &path, e))?;
        let (start, wait) = (Instant::now(), wait.max(LINGER));
        let locked = loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if start.elapsed() < wait => std::thread::sleep(PAUSE),
                locked => break locked,
            }
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder may be about to write this; without it the message is merely less helpful.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { "another process" } else { holder }.to_owned();
                return Err(StudyError::Locked { dir: dir.to_owned(), holder });
            }
            Err(TryLockError::Error(e)) => return Err(StudyError::io("lock", &path, e)),
        }
        // An override may be a secret (`launcher.env`), and files stay.
        let command = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
        let command: Vec<String> = command.take_while(|a| !a.starts_with("--set")).collect();
        let holder = format!("pid {} on {}: {}\n", std::process::id(), hostname(), command.join(" "));
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(holder.as_bytes()))
            .map_err(|e| StudyError::io("write", &path, e))?;
        Ok(Self { _file: file })
    }
}

/// Who writes to a study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Holder {
    /// What it wrote about itself.
    pub holder: String,
    /// Since when, in seconds since 1970.
    pub since: Option<f64>,
    /// Whether it does so now; `None` where it is on another machine, and that cannot be known.
    pub at_work: Option<bool>,
}

/// Who writes to the study in `dir`, without a look that could get into its way; `None` where nobody does.
#[must_use]
pub fn holder(dir: &Path) -> Option<Holder> {
    let path = dir.join(LOCK);
    let holder = std::fs::read_to_string(&path).ok()?.trim().to_owned();
    let here = holder.contains(&format!(" on {}: ", hostname()));
    let locks = std::fs::read_to_string("/proc/locks").ok().filter(|_| here);
    let metadata = std::fs::metadata(&path).ok()?;
    // Written once, when the lock was taken.
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let inode = format!(":{}", metadata.ino());
    // Lines like `5: FLOCK  ADVISORY  WRITE 4711 08:01:262146 0 EOF`; one with `->` waits.
    let is_ours = |line: &str| !line.contains("->") && line.split_whitespace().any(|word| word.ends_with(&inode));
    let at_work = locks.map(|locks| locks.lines().any(is_ours));
    let since = since.map(|time| time.as_secs_f64());
    let written = !holder.is_empty() && at_work != Some(false);
    written.then_some(Holder { holder, since, at_work })
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A journal open for appending.
#[derive(Debug)]
pub struct Writer {
    file: File,
    dir: PathBuf,
    /// The format that the first line states; a new journal's first line is yet to come.
    format: u32,
    /// Of the file, in bytes, by what was read and written.
    length: u64,
    _lock: Lock,
}

impl Writer {
    /// Opens (or creates) the journal in `dir`, cutting off a torn last line. `contents` is what [`read`] said after
    /// `lock` was taken.
    ///
    /// # Errors
    /// [`StudyError::Io`]; [`StudyError::Outdated`] where the file has more lines than that.
    pub fn open(dir: &Path, lock: Lock, contents: Option<&Contents>) -> Result<Self, StudyError> {
        let path = path(dir);
        let length = contents.map_or(0, |c| c.bytes.len() as u64);
        let open = || -> io::Result<Option<File>> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
            // What is cut off is what a crash tore, never an event that this machine was not shown.
            let mut rest = Vec::new();
            file.seek(SeekFrom::Start(length))?;
            file.read_to_end(&mut rest)?;
            if rest.contains(&b'\n') || file.metadata()?.len() != length + rest.len() as u64 {
                return Ok(None);
            }
            if !rest.is_empty() {
                file.set_len(length)?;
            }
            file.sync_all()?;
            // A new file survives a power cut only once its directory does.
            File::open(dir)?.sync_all()?;
            Ok(Some(file))
        };
        let file = open().map_err(|e| StudyError::io("open", &path, e))?.ok_or(StudyError::Outdated { path })?;
        let format = contents.map_or(FORMAT, |c| c.format);
        Ok(Self { file, dir: dir.to_owned(), format, length, _lock: lock })
    }

    /// Appends entries and returns once they are on disk.
    ///
    /// # Errors
    /// [`StudyError::Io`] and [`StudyError::Outdated`]; the caller must not act on the events then.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StudyError> {
        let path = path(&self.dir);
        let mut write = || -> io::Result<bool> {
            let mut lines = Vec::new();
            for entry in entries {
                match &entry.event {
                    Event::Study(header) => self.format = header.format,
                    event if event.since() > self.format && !self.raise(event.since())? => return Ok(false),
                    _ => {}
                }
                serde_json::to_writer(&mut lines, entry)?;
                lines.push(b'\n');
            }
            if self.file.metadata()?.len() != self.length {
                return Ok(false);
            }
            (&self.file).write_all(&lines)?;
            self.file.sync_data()?;
            self.length += lines.len() as u64;
            // Some file systems know only now where the file really ended.
            Ok(self.file.metadata()?.len() == self.length)
        };
        match write() {
            Ok(true) => Ok(()),
            Ok(false) => Err(StudyError::Outdated { path }),
            Err(e) => Err(StudyError::io("append to", &path, e)),
        }
    }

    /// Rewrites the first line, so that older programs say that they are too old, instead of taking an event that they
    /// do not know for damage. Says `false` and does nothing where the journal is not as this writer left it.
    fn raise(&mut self, format: u32) -> io::Result<bool> {
        let bytes = std::fs::read(path(&self.dir))?;
        if bytes.len() as u64 != self.length {
            return Ok(false);
        }
        let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
        let mut header: serde_json::Value = serde_json::from_slice(&bytes[..end])?;
        header["format"] = format.into();
        let raised = [header.to_string().as_bytes(), &bytes[end..]].concat();
        write_new(&self.dir, &raised)?;
        self.file = put_new(&self.dir)?;
        (self.format, self.length) = (format, raised.len() as u64);
        Ok(true)
    }
}

/// Writes a journal that is to replace the one in `dir`, if any. The lock must be held.
pub(super) fn write_new(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(dir.join(NEW))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts what [`write_new`] wrote into its place, at once, and opens it for appending.
pub(super) fn put_new(dir: &Path) -> io::Result<File> {
    std::fs::rename(dir.join(NEW), path(dir))?;
    File::open(dir)?.sync_all()?;
    OpenOptions::new().append(true).open(path(dir))
}

/// Gives the journal in `dir` a second name, under which it stays when it is replaced: `journal.jsonl.<n>.bak` with the
/// first free number. The lock must be held.
pub(super) fn keep(dir: &Path) -> io::Result<PathBuf> {
    let mut n = 1;
    loop {
        let backup = dir.join(format!("journal.jsonl.{n}.bak"));
        match std::fs::hard_link(path(dir), &backup) {
            Ok(()) => return Ok(backup),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(e) => return Err(e),
        }
    }
}
