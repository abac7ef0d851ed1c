//! Trials as subprocesses of this machine, each in a process group of its own.
//!
//! Whether a trial still runs must be known after a crash of `admire`, even one between the start of the process and
//! its entry in the journal. So the child inherits, as its stdout, a file on which an advisory lock is held: the lock
//! belongs to the open file, lives as long as anybody has it open, and cannot be confused by a reused process id.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::{End, Facts};
use crate::config::LauncherConfig;

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
    Adopted { stdout: File, process: Option<(u32, Option<u64>)> },
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

    /// Takes over the process of an attempt that an earlier `admire` started `age` ago; `None` when it has ended. Where
    /// its identity was not journalled, it is looked for.
    ///
    /// # Errors
    /// Its stdout file cannot be opened, other than because it never existed.
    pub fn adopt(
        dir: &Path,
        attempt: u32,
        process: Option<(u32, Option<u64>)>,
        age: Duration,
    ) -> io::Result<Option<Self>> {
        let stdout = match OpenOptions::new().read(true).open(dir.join("stdout.log")) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let process = process.or_else(|| find(dir, attempt));
        let now = Instant::now();
        let adopted = Self { kind: Kind::Adopted { stdout, process }, started: now.checked_sub(age).unwrap_or(now) };
        Ok(adopted.alive()?.then_some(adopted))
    }

    /// Its process id and start time, for the journal.
    #[must_use]
    pub fn identity(&self) -> Option<(u32, Option<u64>)> {
        match &self.kind {
            Kind::Child { pid, .. } => Some((*pid, start_time(*pid))),
            Kind::Adopted { process, .. } => *process,
        }
    }

    /// Whether an adopted process still runs: somebody has its stdout, and its leader, where known, is alive.
    fn alive(&self) -> io::Result<bool> {
        let Kind::Adopted { stdout, process } = &self.kind else { return Ok(true) };
        match stdout.try_lock() {
            Ok(()) => {
                stdout.unlock()?;
                Ok(false)
            }
            // What is left of the group once its leader has ended does not count, as in `wait`.
            Err(TryLockError::WouldBlock) => {
                Ok(process.is_none_or(|(pid, start)| start.is_none() || start_time(pid) == start))
            }
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// Waits for the end, at most until `timeout` after the start or until `kill` turns true; then asks the whole group
    /// to end and kills it after `grace`. Whatever the leader leaves behind is killed. Returns the time it ran.
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
        if let Kind::Child { child, .. } = &mut self.kind {
            return child.wait().await.map(Some);
        }
        while self.alive()? {
            tokio::time::sleep(POLL).await;
        }
        Ok(None)
    }

    /// Signals the group. An adopted leader that is gone may have left its id to somebody else: then nothing is sent.
    fn signal(&self, signal: Signal) {
        let pid = match &self.kind {
            Kind::Child { pid, .. } => *pid,
            Kind::Adopted { process: Some((pid, Some(start))), .. } if start_time(*pid) == Some(*start) => *pid,
            Kind::Adopted { .. } => return,
        };
        if let Ok(pid) = i32::try_from(pid) {
            // An error says that nobody is left to signal.
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }
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

/// The process of an attempt, by what its environment says: the oldest leader of a group that has the trial's directory
/// and the attempt's number.
fn find(dir: &Path, attempt: u32) -> Option<(u32, Option<u64>)> {
    let marks =
        [[b"ADMIRE_TRIAL_DIR=", dir.as_os_str().as_bytes()].concat(), format!("ADMIRE_ATTEMPT={attempt}").into()];
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let leaders = processes.filter_map(|pid: u32| {
        let (group, start) = stat(pid).filter(|(group, _)| *group == pid)?;
        let environment = fs::read(format!("/proc/{group}/environ")).ok()?;
        let has = |mark: &Vec<u8>| environment.split(|b| *b == 0).any(|variable| variable == mark);
        marks.iter().all(has).then_some((start, pid))
    });
    leaders.min().map(|(start, pid)| (pid, Some(start)))
}
