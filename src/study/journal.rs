//! The append-only file of a study, and the lock that keeps it to one writer.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use super::chain::{self, Link};
pub use super::contents::{Contents, Line, parse, path};
use super::seal::{self, Evidence};
use super::{Entry, Event, FORMAT, StudyError, TrialId};
use crate::files;

/// A journal that is being written to replace another one.
pub(super) const NEW: &str = "journal.jsonl.new";

/// What is locked: not the journal itself, which may be replaced.
pub(super) const LOCK: &str = "lock";

/// Between two attempts at a lock that somebody else has.
const PAUSE: Duration = Duration::from_millis(20);

/// The time for which everybody waits for a lock. A process that is killed while it starts a program leaves its lock to a child,
/// which drops it only when that program begins. Without this, starting `admire` again at once would fail now and then.
const LINGER: Duration = Duration::from_secs(1);

/// Reads the journal in `dir`; `None` when there is none, or one without a complete first line, and nothing shows that
/// there has been one.
///
/// # Errors
/// [`StudyError::Damaged`] when the first line is no study header; [`StudyError::Format`] when a newer version wrote it;
/// [`StudyError::Lost`] when it is missing or empty and should not be.
pub fn read(dir: &Path) -> Result<Option<Contents>, StudyError> {
    let path = path(dir);
    loop {
        let evidence = Evidence::of(dir);
        let mut contents = match files::read(&path) {
            Ok(bytes) => parse(path.clone(), bytes)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(StudyError::io("read", &path, e)),
        };
        if contents.iter().flat_map(|c| &c.lines).any(|line| line.entry.is_err()) {
            return Ok(contents);
        }
        let lost = evidence.against(dir, contents.as_ref());
        match (lost, &mut contents) {
            (Some(_), _) if !evidence.stands(dir) => {}
            (Some(reason), None) => return Err(StudyError::Lost { path, reason }),
            (lost, found) => {
                found.iter_mut().for_each(|contents| contents.lost.clone_from(&lost));
                return Ok(contents);
            }
        }
    }
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
        fs::create_dir_all(dir).map_err(|e| StudyError::io("create", dir, e))?;
        let path = dir.join(LOCK);
        let open = files::open(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false));
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
    let holder = String::from_utf8(files::read(&path).ok()?).ok()?.trim().to_owned();
    let here = holder.contains(&format!(" on {}: ", hostname()));
    let locks = fs::read_to_string("/proc/locks").ok().filter(|_| here);
    let metadata = fs::metadata(&path).ok()?;
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
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A journal open for appending.
#[derive(Debug)]
pub struct Writer {
    file: File,
    dir: PathBuf,
    /// Whether it is of [`FORMAT`]; one of an older format becomes so before the first event is added.
    current: bool,
    /// What is in the file, by what was read and written: bytes, the last line, trials.
    length: u64,
    link: Link,
    trials: TrialId,
    /// Whether something was written, all of it without an error.
    written: bool,
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
        let length = contents.map_or(0, |c| c.length() as u64);
        let open = || -> io::Result<Option<File>> {
            let mut file = files::open(&path, OpenOptions::new().read(true).append(true).create(true))?;
            // What is cut off is what a crash tore, never an event that this machine was not shown.
            let mut rest = Vec::new();
            file.seek(SeekFrom::Start(length))?;
            file.read_to_end(&mut rest)?;
            let lines = rest.iter().rposition(|b| *b == b'\n').map_or(&[][..], |end| &rest[..end]);
            if !lines.trim_ascii().is_empty() || file.metadata()?.len() != length + rest.len() as u64 {
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
        Ok(Self {
            file,
            dir: dir.to_owned(),
            current: contents.is_none_or(|contents| contents.format == FORMAT),
            length,
            link: contents.map_or_else(Link::default, |c| c.link),
            trials: contents.map_or(0, Contents::trials),
            written: false,
            _lock: lock,
        })
    }

    /// Appends entries and returns once they are on disk.
    ///
    /// # Errors
    /// [`StudyError::Io`], [`StudyError::Outdated`] and [`StudyError::Displaced`]; the caller must not act on the events
    /// then.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StudyError> {
        let result = self.write(entries);
        self.written = result.is_ok();
        result
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), StudyError> {
        let path = path(&self.dir);
        let failed = |e: io::Error| StudyError::io("append to", &path, e);
        self.verify()?;
        if !self.current {
            self.raise().map_err(failed)?;
        }
        let (mut link, mut lines) = (self.link, Vec::new());
        for entry in entries {
            let text = serde_json::to_vec(entry).map_err(|e| failed(e.into()))?;
            link.append(chain::body(&text), &mut lines);
        }
        (&self.file).write_all(&lines).and_then(|()| self.file.sync_data()).map_err(failed)?;
        (self.link, self.length) = (link, self.length + lines.len() as u64);
        self.trials += entries.iter().filter(|e| matches!(e.event, Event::Suggested(_))).count() as TrialId;
        // Some file systems know only now where the file really ended.
        self.verify()
    }

    /// Whether the open file is still the study's journal, and has in it what it should.
    fn verify(&self) -> Result<(), StudyError> {
        let path = path(&self.dir);
        let file = self.file.metadata().map_err(|e| StudyError::io("look at", &path, e))?;
        let how = match fs::symlink_metadata(&path) {
            Ok(named) if (named.dev(), named.ino()) == (file.dev(), file.ino()) => None,
            Ok(_) => Some("was replaced by another file"),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Some("was removed or moved away")
            }
            Err(e) => return Err(StudyError::io("look at", &path, e)),
        };
        match how {
            Some(how) => Err(StudyError::Displaced { path, how, events: self.link.seq, trials: self.trials }),
            None if file.len() != self.length => Err(StudyError::Outdated { path }),
            None => Ok(()),
        }
    }

    /// Rewrites a journal of an older format as one of [`FORMAT`], with the same events.
    fn raise(&mut self) -> io::Result<()> {
        let old = files::read(&path(&self.dir))?;
        let lines = old.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let (bytes, link) = chained(lines)?;
        (self.file, _) = replace(&self.dir, &bytes)?;
        (self.current, self.link, self.length) = (true, link, bytes.len() as u64);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.written && self.verify().is_ok() {
            // It may be missing.
            let _ = seal::write(&self.dir, self.link);
        }
    }
}

/// The lines of a journal of [`FORMAT`] that has these events, and where they leave the chain. What numbers and checksums
/// the lines have is no matter.
pub(super) fn chained<T: AsRef<[u8]>>(lines: impl IntoIterator<Item = T>) -> io::Result<(Vec<u8>, Link)> {
    let (mut link, mut bytes) = (Link::default(), Vec::new());
    for line in lines {
        let body = chain::body(line.as_ref());
        if link == Link::default() {
            let mut header: Value = serde_json::from_slice(&[body, b"}"].concat())?;
            header["format"] = FORMAT.into();
            link.append(chain::body(header.to_string().as_bytes()), &mut bytes);
        } else {
            link.append(body, &mut bytes);
        }
    }
    Ok((bytes, link))
}

/// Puts the first journal into `dir`, at once. The lock must be held.
pub(super) fn begin(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    files::write_new(&dir.join(NEW), bytes, None)?;
    put_new(dir)
}

/// Puts another journal into the place of the one in `dir`, at once, and opens it for appending; the old one stays as a
/// backup. The lock must be held.
pub(super) fn replace(dir: &Path, bytes: &[u8]) -> io::Result<(File, PathBuf)> {
    files::write_new(&dir.join(NEW), bytes, Some(&fs::symlink_metadata(path(dir))?))?;
    let backup = keep(dir)?;
    seal::remove(dir)?;
    put_new(dir)?;
    Ok((files::open(&path(dir), OpenOptions::new().append(true))?, backup))
}

fn put_new(dir: &Path) -> io::Result<()> {
    fs::rename(dir.join(NEW), path(dir))?;
    File::open(dir)?.sync_all()
}

/// Gives the journal in `dir` a second name, under which it stays when it is replaced: `journal.jsonl.<n>.bak` with the
/// first free number.
fn keep(dir: &Path) -> io::Result<PathBuf> {
    let mut n = 1;
    loop {
        let backup = dir.join(format!("journal.jsonl.{n}.bak"));
        match fs::hard_link(path(dir), &backup) {
            Ok(()) => return Ok(backup),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(e) => return Err(e),
        }
    }
}
