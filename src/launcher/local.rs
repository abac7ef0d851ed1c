//! Trials as subprocesses of this machine, each in a process group of its own.
//!
//! Whether a trial still runs must be known after a crash of `admire`, even one between the start of the process and
//! its entry in the journal. So the child inherits, as its stdout, a file on which an advisory lock is held: the lock
//! belongs to the open file, lives as long as anybody has it open, and cannot be confused by a reused process id. Where
//! the process was journalled and its id means something here, that decides: a trainer may close or delete its stdout.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, SysconfVar, sysconf};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::{End, Facts};
use crate::config::LauncherConfig;
use crate::study::ProcessMark;

/// How often a process that is not our child is looked at.
const POLL: Duration = Duration::from_millis(100);

/// A running trial.
#[derive(Debug)]
pub struct Process {
    kind: Kind,
    started: Instant,
}

#[derive(Debug)]
enum Kind {
    Child { child: Child, pid: u32 },
    Adopted(Adopted),
}

/// A process that is not our child.
#[derive(Debug)]
struct Adopted {
    dir: PathBuf,
    attempt: u32,
    /// Where it still exists.
    stdout: Option<File>,
    /// Where it can be looked up by us.
    leader: Option<ProcessMark>,
}

impl Adopted {
    /// Whether it still runs: its leader is alive, or, where we cannot look it up, somebody has its stdout.
    fn alive(&self) -> io::Result<bool> {
        if let Some((pid, start)) = self.leader.as_ref().and_then(|leader| Some((leader.pid, leader.start_time?))) {
            return Ok(start_time(pid) == Some(start));
        }
        let Some(stdout) = &self.stdout else { return Ok(false) };
        match stdout.try_lock() {
            Ok(()) => stdout.unlock().map(|()| false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// Signals the group. A leader that is gone may have left its id to somebody else: then only a group is signalled that
    /// has a process of this attempt.
    fn signal(&self, signal: Signal) {
        let Some(leader) = &self.leader else { return };
        if self.alive().unwrap_or(false) || attempts(&self.dir, self.attempt).any(|(_, group, _)| group == leader.pid) {
            signal_group(leader.pid, signal);
        }
    }
}

impl Process {
    /// Starts an attempt in a prepared directory.
    ///
    /// # Errors
    /// The command cannot be started, or its files cannot be opened.
    pub fn spawn(config: &LauncherConfig, facts: &Facts, attempt: u32) -> io::Result<Self> {
        let argv: Vec<String> = config.command.iter().map(|a| facts.render(a)).collect();
        let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("launcher.command is empty"))?;
        let stdout = File::create(facts.dir.join("stdout.log"))?;
        stdout.lock()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(&config.env)
            .envs(facts.environment(attempt))
            .stdin(Stdio::null())
            .stdout(Stdio::from(stdout))
            .stderr(Stdio::from(File::create(facts.dir.join("stderr.log"))?));
        Self::start(&mut command).map_err(|e| io::Error::new(e.kind(), format!("cannot start `{program}`: {e}")))
    }

    /// Starts any command as the leader of a process group.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self { kind: Kind::Child { child, pid }, started: Instant::now() })
    }

    /// Takes over the process of an attempt that an earlier `admire` started; `None` when it has ended. Where its identity
    /// was not journalled, it is looked for. `age` is how long ago it was launched by the clock on the wall, for want of
    /// anything better. What is left of the group of a leader that has ended is killed, as in [`Self::wait`].
    ///
    /// # Errors
    /// Its stdout file cannot be opened, other than because it does not exist.
    pub fn adopt(dir: &Path, attempt: u32, process: Option<ProcessMark>, age: Duration) -> io::Result<Option<Self>> {
        let stdout = match OpenOptions::new().read(true).open(dir.join("stdout.log")) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let leader = match process {
            Some(process) => Some(process).filter(is_here),
            None => find(dir, attempt),
        };
        let age = leader.as_ref().and_then(|l| since_boot()?.checked_sub(ticks(l.start_time?)?)).unwrap_or(age);
        let now = Instant::now();
        let adopted = Adopted { dir: dir.to_owned(), attempt, stdout, leader };
        if !adopted.alive()? {
            adopted.signal(Signal::SIGKILL);
            return Ok(None);
        }
        Ok(Some(Self { kind: Kind::Adopted(adopted), started: now.checked_sub(age).unwrap_or(now) }))
    }

    /// By what it is recognized, for the journal; `None` where it is out of reach.
    #[must_use]
    pub fn mark(&self) -> Option<ProcessMark> {
        match &self.kind {
            Kind::Child { pid, .. } => Some(mark(*pid)),
            Kind::Adopted(adopted) => adopted.leader.clone(),
        }
    }

    /// Waits for the end, at most until `timeout` after the start or until `kill` turns true; then asks the whole group
    /// to end and kills it after `grace`. Whatever the leader leaves behind is killed. Returns the time it ran. What is out
    /// of reach has no time-out, and is left alone when it ought to be killed.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn wait(
        mut self,
        timeout: Option<Duration>,
        grace: Duration,
        mut kill: watch::Receiver<bool>,
    ) -> io::Result<(End, Duration)> {
        let started = self.started;
        let reachable = self.mark().is_some();
        let timeout = timeout.filter(|_| reachable);
        let left = timeout.map(|t| t.saturating_sub(started.elapsed()));
        let late = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            status = self.ended() => End::Exited(status?),
            () = late => End::TimedOut,
            // The sender lives as long as the runner; were it gone, nobody could ask.
            true = async { kill.wait_for(|k| *k).await.is_ok() } => End::Killed,
        };
        if end == End::Killed && !reachable {
            return Ok((End::Unknown, started.elapsed()));
        }
        if !matches!(end, End::Exited(_)) {
            self.signal(Signal::SIGTERM);
            if tokio::time::timeout(grace, self.ended()).await.is_err() {
                self.signal(Signal::SIGKILL);
                self.ended().await?;
            }
        }
        self.signal(Signal::SIGKILL);
        Ok((end, started.elapsed()))
    }

    async fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        match &mut self.kind {
            Kind::Child { child, .. } => child.wait().await.map(Some),
            Kind::Adopted(adopted) => {
                while adopted.alive()? {
                    tokio::time::sleep(POLL).await;
                }
                Ok(None)
            }
        }
    }

    /// Signals the group.
    fn signal(&self, signal: Signal) {
        match &self.kind {
            Kind::Child { pid, .. } => signal_group(*pid, signal),
            Kind::Adopted(adopted) => adopted.signal(signal),
        }
    }
}

fn signal_group(group: u32, signal: Signal) {
    if let Ok(group) = i32::try_from(group) {
        // An error says that nobody is left to signal.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// How long an attempt took that ended while nobody watched: from the last thing written before it was started to the
/// last thing it reported. Both times are the file system's, so that clocks of several machines do not matter.
#[must_use]
pub fn duration_on_disk(facts: &Facts) -> Option<Duration> {
    let written = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let end = written(&facts.result_file()).or_else(|| written(&facts.dir.join("stdout.log")))?;
    end.duration_since(written(&facts.mixture_file())?).ok()
}

fn mark(pid: u32) -> ProcessMark {
    ProcessMark { pid, start_time: start_time(pid), place: place() }
}

/// Whether a process id of back then can be looked up by us.
fn is_here(process: &ProcessMark) -> bool {
    process.place.is_none() || process.place == place()
}

/// Whether a process still runs; `None` where it cannot be looked up by us.
#[must_use]
pub fn alive(process: &ProcessMark) -> Option<bool> {
    let start = process.start_time.filter(|_| process.place.is_some() && is_here(process))?;
    Some(start_time(process.pid) == Some(start))
}

/// This boot of this machine, and our namespace of process ids.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// Time since boot, whatever the clock on the wall did.
fn since_boot() -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(uptime.split_ascii_whitespace().next()?.parse().ok()?).ok()
}

/// Clock ticks as a time.
fn ticks(n: u64) -> Option<Duration> {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    Duration::try_from_secs_f64(n as f64 / per_second as f64).ok()
}

/// Start time of a live process in clock ticks since boot; `None` for one that has ended.
fn start_time(pid: u32) -> Option<u64> {
    stat(pid).map(|(_, start)| start)
}

/// Process group and start time of a live process; `None` for one that has ended (a zombie has).
fn stat(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command, in parentheses, may contain anything; fields are counted from the last one: state, parent, group, …
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let live = *fields.first()? != "Z";
    live.then(|| Some((fields.get(2)?.parse().ok()?, fields.get(19)?.parse().ok()?)))?
}

/// The process of an attempt: the oldest leader of a group among those that belong to it.
fn find(dir: &Path, attempt: u32) -> Option<ProcessMark> {
    let leaders = attempts(dir, attempt).filter(|(pid, group, _)| pid == group);
    leaders.min_by_key(|(pid, _, start)| (*start, *pid)).map(|(pid, ..)| mark(pid))
}

/// The live processes of an attempt, by what their environment says: those that have the trial's directory and the
/// attempt's number. Process id, group and start time of each.
fn attempts(dir: &Path, attempt: u32) -> impl Iterator<Item = (u32, u32, u64)> {
    let marks =
        [[b"ADMIRE_TRIAL_DIR=", dir.as_os_str().as_bytes()].concat(), format!("ADMIRE_ATTEMPT={attempt}").into()];
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter_map(move |pid: u32| {
        let (group, start) = stat(pid)?;
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let has = |mark: &Vec<u8>| environment.split(|b| *b == 0).any(|variable| variable == mark);
        marks.iter().all(has).then_some((pid, group, start))
    })
}
