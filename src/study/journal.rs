//! The append-only file of a study, and the lock that keeps it to one writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Entry, Event, FORMAT, StudyError};

/// Between two attempts at a lock that somebody else has.
const PAUSE: Duration = Duration::from_millis(20);

/// The entries of a journal, read without a lock.
#[derive(Debug)]
pub struct Contents {
    /// Every complete entry.
    pub entries: Vec<Entry>,
    /// Whether the last line was torn (a crash while writing, or a writer at work) and left out.
    pub torn: bool,
    /// Bytes up to the end of the last complete entry.
    length: u64,
}

/// The path of the journal in a study's directory.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join("journal.jsonl")
}

/// Reads the journal in `dir`; `None` when there is none, or one without a complete first line.
///
/// # Errors
/// Those of [`parse`]; [`StudyError::Io`].
pub fn read(dir: &Path) -> Result<Option<Contents>, StudyError> {
    let path = path(dir);
    match std::fs::read(&path) {
        Ok(bytes) => parse(&path, &bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StudyError::io("read", &path, e)),
    }
}

/// Like [`read`], with the content of the file given; `path` is for messages.
///
/// # Errors
/// [`StudyError::Damaged`] names the line that is not an entry; [`StudyError::Format`] when a newer version wrote it.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Option<Contents>, StudyError> {
    // A line counts once its newline is there; what follows the last newline was torn off by a crash.
    let length = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let torn = length < bytes.len();
    let mut entries = Vec::new();
    let lines = bytes[..length].split_inclusive(|b| *b == b'\n');
    for (line, text) in lines.enumerate().map(|(i, text)| (i + 1, text)) {
        let damaged = |reason: String| StudyError::Damaged { path: path.to_owned(), line, reason };
        let value: serde_json::Value = serde_json::from_slice(text).map_err(|e| damaged(e.to_string()))?;
        if line == 1 {
            let format = value.get("format").and_then(serde_json::Value::as_u64);
            match format {
                Some(found) if found > u64::from(FORMAT) => {
                    return Err(StudyError::Format { path: path.to_owned(), found });
                }
                Some(_) => {}
                None => return Err(damaged("the first line is not a study header".into())),
            }
        }
        let entry: Entry = serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
        if (line == 1) != matches!(entry.event, Event::Study(_)) {
            return Err(damaged("a study header belongs in the first line, and only there".into()));
        }
        entries.push(entry);
    }
    Ok((!entries.is_empty()).then_some(Contents { entries, torn, length: length as u64 }))
}

/// The right to write to a study, held until dropped; the lock dies with its process, so it cannot be stale.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Creates `dir` where needed and takes its lock, waiting at most so long for whoever has it.
    ///
    /// # Errors
    /// [`StudyError::Locked`] when another process has it, with what that process wrote about itself.
    pub fn take(dir: &Path, wait: Duration) -> Result<Self, StudyError> {
        std::fs::create_dir_all(dir).map_err(|e| StudyError::io("create", dir, e))?;
        let path = dir.join("lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| StudyError::io("open", &path, e))?;
        let start = Instant::now();
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
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        // An override may be a secret (`launcher.env`), and files stay.
        let command = std::env::args_os().map(|a| a.to_string_lossy().into_owned());
        let command: Vec<String> = command.take_while(|a| !a.starts_with("--set")).collect();
        let holder = format!("pid {} on {}: {}\n", std::process::id(), host.trim(), command.join(" "));
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(holder.as_bytes()))
            .map_err(|e| StudyError::io("write", &path, e))?;
        Ok(Self { _file: file })
    }
}

/// A journal open for appending.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    _lock: Lock,
}

impl Writer {
    /// Opens (or creates) the journal in `dir`, cutting off a torn last line. `contents` is what [`read`] said after
    /// `lock` was taken.
    ///
    /// # Errors
    /// [`StudyError::Io`]
    pub fn open(dir: &Path, lock: Lock, contents: Option<&Contents>) -> Result<Self, StudyError> {
        let path = path(dir);
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().append(true).create(true).open(&path)?;
            file.set_len(contents.map_or(0, |c| c.length))?;
            file.sync_all()?;
            // A new file survives a power cut only once its directory does.
            File::open(dir)?.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(|e| StudyError::io("open", &path, e))?;
        Ok(Self { file, path, _lock: lock })
    }

    /// Appends one entry and returns once it is on disk.
    ///
    /// # Errors
    /// [`StudyError::Io`]; the caller must not act on the event then.
    pub fn append(&mut self, entry: &Entry) -> Result<(), StudyError> {
        let write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(entry)?;
            line.push(b'\n');
            (&self.file).write_all(&line)?;
            self.file.sync_data()
        };
        write().map_err(|e| StudyError::io("append to", &self.path, e))
    }
}
