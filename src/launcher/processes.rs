//! Processes of this machine, as `/proc` shows them.
//!
//! A process belongs to an attempt where its environment says so, in whatever group or session it is. Its id and its
//! start time alone could be those of a stranger: a journal may be that of a copied folder, or a hostile one.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

use super::Facts;

/// The variable by which `launcher.setup` of a study is recognized.
const SETUP: &str = "ADMIRE_SETUP_DIR";

/// What tells a process from all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMark {
    /// Its id, which is also its process group's.
    pub pid: u32,
    /// Its start time from `/proc/<pid>/stat`, in clock ticks since boot, which tells a reused id from this one.
    #[serde(default)]
    pub start_time: Option<u64>,
    /// The boot of a machine, and the namespace there, that these two are about. Older journals do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// A live process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub pid: u32,
    pub group: u32,
    pub session: u32,
    /// In clock ticks since boot.
    pub start: u64,
}

/// What a process that was noted is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Alive, and what it was noted as.
    Ours,
    /// Ended, or somebody else's.
    Gone,
    /// On another machine, or not to be looked into: somebody else's, perhaps.
    Hidden,
}

/// Variables in the environment of all processes of an attempt, or of `launcher.setup`.
#[derive(Clone, Debug)]
pub struct Tag(Vec<Vec<u8>>);

impl Tag {
    /// That of an attempt.
    #[must_use]
    pub fn attempt(facts: &Facts) -> Self {
        let dir = [b"ADMIRE_TRIAL_DIR=", facts.dir.as_os_str().as_bytes()].concat();
        Self(vec![dir, format!("ADMIRE_ATTEMPT={}", facts.attempt).into()])
    }

    /// That of `launcher.setup`, and the variable that it is.
    #[must_use]
    pub fn setup(root: &Path) -> (Self, (&'static str, &Path)) {
        (Self(vec![[SETUP.as_bytes(), b"=", root.as_os_str().as_bytes()].concat()]), (SETUP, root))
    }

    /// Whether a process has it; `None` where we may not look.
    fn is_on(&self, pid: u32) -> Option<bool> {
        match fs::read(format!("/proc/{pid}/environ")) {
            Ok(environment) => {
                let has = |variable: &Vec<u8>| environment.split(|b| *b == 0).any(|v| v == variable);
                Some(self.0.iter().all(has))
            }
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => None,
            Err(_) => Some(false),
        }
    }

    /// Whether a live process has it. That `admire` itself was started inside of a trial makes it no part of it.
    pub(super) fn marks(&self, process: &Live) -> bool {
        process.pid != std::process::id() && self.is_on(process.pid) == Some(true)
    }

    /// The process that `admire` started: the oldest leader of a group, but of no session. It was made the leader of its
    /// group, so that it cannot begin a session; a daemon mostly has one of its own.
    pub(super) fn leader(&self) -> Option<ProcessMark> {
        let leaders = all().filter(|p| p.pid == p.group && p.pid != p.session && self.marks(p));
        leaders.min_by_key(|p| (p.start, p.pid)).map(|p| mark(p.pid))
    }

    /// What has become of a process that was noted.
    pub(super) fn standing(&self, process: &ProcessMark) -> Standing {
        if process.place.is_some() && process.place != place() {
            return Standing::Hidden;
        }
        match live(process.pid) {
            Some(live) if process.start_time.is_none_or(|start| start == live.start) => match self.is_on(live.pid) {
                Some(true) => Standing::Ours,
                Some(false) => Standing::Gone,
                None => Standing::Hidden,
            },
            Some(_) => Standing::Gone,
            // With `hidepid`, `/proc` does not show the processes of others.
            None if pid(process.pid).is_some_and(|pid| kill(pid, None) == Err(Errno::EPERM)) => Standing::Hidden,
            None => Standing::Gone,
        }
    }
}

/// Whether the process of a running attempt is alive; `None` where that cannot be known from here.
pub(super) fn alive(facts: &Facts, process: &ProcessMark) -> Option<bool> {
    match Tag::attempt(facts).standing(process) {
        Standing::Ours => Some(true),
        Standing::Gone => process.place.is_some().then_some(false),
        Standing::Hidden => None,
    }
}

/// By what a process of this machine is recognized.
pub(super) fn mark(pid: u32) -> ProcessMark {
    ProcessMark { pid, start_time: live(pid).map(|process| process.start), place: place() }
}

/// All live processes that we are shown.
pub(super) fn all() -> impl Iterator<Item = Live> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| live(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

/// What `/proc` says of a process, from its state on: state, parent, group, session, …
fn stat(pid: u32) -> Option<Vec<String>> {
    // The command, in parentheses, may contain anything, also half a character; fields are counted from the last one.
    let stat = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}

/// A live process; `None` for one that has ended (a zombie has).
pub(super) fn live(pid: u32) -> Option<Live> {
    let fields = stat(pid)?;
    let field = |i: usize| fields.get(i)?.parse().ok();
    let (group, session, start) = (field(2)?, field(3)?, fields.get(19)?.parse().ok()?);
    (*fields.first()? != "Z").then_some(Live { pid, group, session, start })
}

/// Whether a process has ended whose parent, mostly init, has not taken note of that yet. Our own children are none of these.
pub(super) fn is_unreaped(process: &Live) -> bool {
    let Some(fields) = stat(process.pid) else { return false };
    let field = |i: usize| fields.get(i).map(String::as_str);
    let here = std::process::id().to_string();
    field(0) == Some("Z") && field(1) != Some(&here) && field(19) == Some(&process.start.to_string())
}

/// Sends a signal. An error says that the process is gone, or not ours to signal: the next look tells.
pub(super) fn signal(process: &Live, signal: Signal) {
    if let Some(pid) = pid(process.pid) {
        let _ = kill(pid, signal);
    }
}

/// 0 and negative numbers stand for groups.
fn pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 0).map(Pid::from_raw)
}

/// This boot of this machine, and our namespace of process ids.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// For how long a process has run, whatever the clock on the wall did.
pub(super) fn age(start: u64) -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let since_boot = Duration::try_from_secs_f64(uptime.split_ascii_whitespace().next()?.parse().ok()?).ok()?;
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    since_boot.checked_sub(Duration::try_from_secs_f64(start as f64 / ticks_per_second as f64).ok()?)
}
