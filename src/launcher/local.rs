//! Trials as subprocesses of this machine, each in a process group of its own.
//!
//! Whether a trial still runs must be known after a crash of `admire`, even one between the start of the process and
//! its entry in the journal. Its processes are known by their environment. Where those cannot be looked at (another
//! machine, another user's), its stdout tells: the child inherits it with an advisory lock, which belongs to the open
//! file, lives as long as anybody has it open, and cannot be confused by a reused process id.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tracing::warn;

use super::processes::{self, Live, ProcessMark, Standing, Tag};
use super::{Backend, BoxFuture, Description, End, Ending, Facts, Fate, Orphan, Running};
use crate::config::LauncherConfig;
use crate::files;
use crate::problem::Handle;

/// How often a process that is not our child is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Between two looks for who is left, while they are being ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long the kernel may take to end what was killed. What waits for a disk cannot be ended before it answers.
const STUBBORN: Duration = Duration::from_secs(10);

/// How long the parent of a process that has ended may take to notice: the init processes of some containers look every other
/// second.
const UNREAPED: Duration = Duration::from_secs(3);

/// Runs attempts as processes of this machine. Their handles are `ProcessMark`s; they need no names, as their environment
/// tells them from all others.
#[derive(Debug)]
pub struct Local {
    config: Arc<LauncherConfig>,
}

impl Local {
    /// With what `[launcher]` says.
    #[must_use]
    pub fn new(config: Arc<LauncherConfig>) -> Self {
        Self { config }
    }

    fn running(&self, process: Process) -> Fate {
        let LauncherConfig { timeout, grace, .. } = *self.config;
        Fate::Running(Box::new(Attempt { process, timeout, grace }))
    }
}

impl Backend for Local {
    fn reserve(&self, _: &str, _: &Facts) -> Option<String> {
        None
    }

    fn submit<'a>(&'a self, facts: &'a Facts, _: Option<&'a str>) -> BoxFuture<'a, io::Result<Fate>> {
        Box::pin(async {
            Ok(match Process::spawn(&self.config, facts) {
                Ok(process) => self.running(process),
                Err(e) => Fate::Over((End::NotStarted(e.to_string()), None)),
            })
        })
    }

    fn adopt<'a>(&'a self, left: &'a [Orphan]) -> BoxFuture<'a, io::Result<Vec<Fate>>> {
        Box::pin(async move {
            let mut fates = Vec::new();
            for Orphan { facts, launch, reported, age } in left {
                let process = launch.handle.as_ref().and_then(Handle::read);
                fates.push(match Process::adopt(facts, process, *reported, *age, self.config.grace).await? {
                    Ok(process) => self.running(process),
                    Err(end) => Fate::Over((end, duration_on_disk(facts))),
                });
            }
            Ok(fates)
        })
    }

    fn on_kill(&self) -> &'static str {
        "kill them"
    }
}

/// What can be shown of an attempt.
pub(super) fn describe(facts: &Facts, handle: &Handle) -> Description {
    let Some(process) = handle.read::<ProcessMark>() else { return Description::default() };
    Description { pid: Some(process.pid), job: None, alive: processes::alive(facts, &process) }
}

/// An attempt and what limits it.
#[derive(Debug)]
struct Attempt {
    process: Process,
    timeout: Option<Duration>,
    grace: Duration,
}

impl Running for Attempt {
    fn handle(&self) -> Option<Handle> {
        self.process.mark().map(|mark| Handle::of(&mark))
    }

    fn wait(self: Box<Self>, kill: watch::Receiver<bool>) -> BoxFuture<'static, io::Result<Ending>> {
        Box::pin(async move {
            let (end, duration) = self.process.wait(self.timeout, self.grace, kill).await?;
            Ok((end, Some(duration)))
        })
    }
}

/// A running trial, or another command.
#[derive(Debug)]
pub struct Process {
    kind: Kind,
    /// By what everything that belongs to it is recognized, beside its process group.
    tag: Option<Tag>,
    started: Instant,
}

#[derive(Debug)]
enum Kind {
    Child {
        child: Child,
        pid: u32,
    },
    /// Not our child.
    Adopted(ProcessMark),
    /// Out of reach: all that we have of it is its stdout.
    Elsewhere(File),
}

impl Process {
    /// Starts an attempt in a prepared directory.
    ///
    /// # Errors
    /// The command cannot be started, or its files cannot be made.
    fn spawn(config: &LauncherConfig, facts: &Facts) -> io::Result<Self> {
        let argv: Vec<String> = config.command.iter().map(|a| facts.render(a)).collect();
        let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("launcher.command is empty"))?;
        let logs = ["stdout.log", "stderr.log"].map(|name| facts.dir.join(name));
        let create = |log: &PathBuf| {
            files::create(log).map_err(|e| io::Error::new(e.kind(), format!("cannot create {}: {e}", log.display())))
        };
        let start = || {
            let (stdout, stderr) = (create(&logs[0])?, create(&logs[1])?);
            stdout.lock()?;
            let mut command = Command::new(program);
            command.args(arguments).envs(&config.env).envs(facts.environment());
            command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
            let started = Self::start(&mut command);
            started.map_err(|e| io::Error::new(e.kind(), format!("cannot start `{program}`: {e}")))
        };
        Ok(Self { tag: Some(Tag::attempt(facts)), ..start()? })
    }

    /// Starts any command as the leader of a process group.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self { kind: Kind::Child { child, pid }, tag: None, started: Instant::now() })
    }

    /// Finds the command that an earlier `admire` started with this tag, if it still runs.
    #[must_use]
    pub fn find(tag: &Tag) -> Option<Self> {
        tag.leader().map(|leader| Self { kind: Kind::Adopted(leader), tag: None, started: Instant::now() })
    }

    /// Takes over an attempt that an earlier `admire` started. Where its process was not journalled, it is looked for. `age`
    /// is how long ago it was launched by the clock on the wall, for want of anything better. What an attempt that has
    /// ended left running is ended.
    ///
    /// While somebody out of reach has its stdout, it may be at work: it is waited for, unless no process of it is known
    /// and it has `reported`.
    ///
    /// # Errors
    /// How it has ended.
    async fn adopt(
        facts: &Facts,
        process: Option<ProcessMark>,
        reported: bool,
        age: Duration,
        grace: Duration,
    ) -> io::Result<Result<Self, End>> {
        let (tag, now) = (Tag::attempt(facts), Instant::now());
        let found = match process {
            Some(process) => Some((tag.standing(&process), process)),
            None => tag.leader().map(|leader| (Standing::Ours, leader)),
        };
        let started = |age: Duration| now.checked_sub(age).unwrap_or(now);
        let mut waited_for = true;
        match found {
            Some((Standing::Ours, leader)) => {
                let age = leader.start_time.and_then(processes::age).unwrap_or(age);
                return Ok(Ok(Self { kind: Kind::Adopted(leader), tag: Some(tag), started: started(age) }));
            }
            Some((Standing::Hidden, _)) => {}
            Some((Standing::Gone, _)) | None => {
                let left = end_all(Some(&tag), None, grace).await;
                if !left.is_empty() && !reported {
                    return Ok(Err(End::Unknown));
                }
                waited_for = !reported;
            }
        }
        let stdout = match files::open_output(&facts.stdout_file()) {
            Ok(stdout) => Some(stdout),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => None,
            Err(e) => return Err(e),
        };
        Ok(match stdout {
            Some(stdout) if waited_for && is_locked(&stdout)? => {
                Ok(Self { kind: Kind::Elsewhere(stdout), tag: Some(tag), started: started(age) })
            }
            _ => Err(End::Exited(None)),
        })
    }

    /// By what it is recognized; `None` where it is out of reach.
    #[must_use]
    pub fn mark(&self) -> Option<ProcessMark> {
        match &self.kind {
            Kind::Child { pid, .. } => Some(processes::mark(*pid)),
            Kind::Adopted(leader) => Some(leader.clone()),
            Kind::Elsewhere(_) => None,
        }
    }

    /// Waits for the end, at most until `timeout` after the start or until `kill` turns true. Then everything that belongs
    /// to it is asked to end, and killed after `grace`, also what the leader leaves behind when it ends by itself. Returns
    /// the time until then. What is out of reach has no time-out, and is left alone when it ought to be killed.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn wait(
        mut self,
        timeout: Option<Duration>,
        grace: Duration,
        mut kill: watch::Receiver<bool>,
    ) -> io::Result<(End, Duration)> {
        let out_of_reach = matches!(self.kind, Kind::Elsewhere(_));
        let left = timeout.filter(|_| !out_of_reach).map(|t| t.saturating_sub(self.started.elapsed()));
        let late = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            ended = self.ended() => {
                ended?;
                End::Exited(None)
            }
            () = late => End::TimedOut,
            // The sender lives as long as the runner; were it gone, nobody could ask.
            true = async { kill.wait_for(|k| *k).await.is_ok() } => End::Killed,
        };
        // The clock may have gone on while `admire` was stopped, and the process may have ended meanwhile.
        let end = self.over()?.map_or(end, End::Exited);
        let ran = self.started.elapsed();
        let group = match &self.kind {
            Kind::Child { pid, .. } => Some(*pid),
            // Once it has ended, its id may be that of another group.
            Kind::Adopted(leader) => Some(leader.pid).filter(|_| !matches!(end, End::Exited(_))),
            Kind::Elsewhere(_) => None,
        };
        if out_of_reach && end == End::Killed {
            warn!("a trial is left running: its processes are another user's, or on another machine");
            return Ok((End::Unknown, ran));
        }
        if end_all(self.tag.as_ref(), group, grace).await.is_empty() {
            // Nobody else would wait for our child.
            self.ended().await?;
        } else if !matches!(end, End::Exited(Some(status)) if status.success()) {
            // No other attempt must begin beside them.
            return Ok((End::Unknown, ran));
        }
        Ok((end, ran))
    }

    async fn ended(&mut self) -> io::Result<()> {
        if let Kind::Child { child, .. } = &mut self.kind {
            return child.wait().await.map(drop);
        }
        while self.over()?.is_none() {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Whether it has ended, and with which status where that is known.
    fn over(&mut self) -> io::Result<Option<Option<ExitStatus>>> {
        let alive = match &mut self.kind {
            Kind::Child { child, .. } => return child.try_wait().map(|status| status.map(Some)),
            Kind::Adopted(leader) => processes::live(leader.pid)
                .is_some_and(|live| leader.start_time.is_none_or(|start| start == live.start)),
            Kind::Elsewhere(stdout) => is_locked(stdout)?,
        };
        Ok((!alive).then_some(None))
    }
}

/// Whether somebody has a file open that it inherited locked.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Ends all processes of a group or with a tag: asks them, and kills after `grace` who is left, and who has come since,
/// until a look finds nobody. Returns who cannot be ended.
async fn end_all(tag: Option<&Tag>, group: Option<u32>, grace: Duration) -> Vec<Live> {
    let mut known: Vec<Live> = Vec::new();
    let began = Instant::now();
    for look in 0.. {
        // Whoever belonged to it belongs to it, wherever it moves.
        let is_known = |p: &Live| known.iter().any(|k| (k.pid, k.start) == (p.pid, p.start));
        let belongs = |p: &Live| group == Some(p.group) || tag.is_some_and(|tag| tag.marks(p));
        let left: Vec<Live> = processes::all().filter(|p| is_known(p) || belongs(p)).collect();
        let late = began.elapsed().checked_sub(grace);
        if left.is_empty() {
            gone(&known).await;
            break;
        } else if late.is_some_and(|late| late >= STUBBORN) {
            let pids: Vec<String> = left.iter().map(|p| p.pid.to_string()).collect();
            warn!("cannot end process {}, which belongs to an attempt that is over", pids.join(", "));
            return left;
        } else if look == 0 {
            // Only once: what they start to end in order is not to be disturbed.
            left.iter().for_each(|p| processes::signal(p, Signal::SIGTERM));
        } else if late.is_some() {
            left.iter().for_each(|p| processes::signal(p, Signal::SIGKILL));
        }
        known = left;
        tokio::time::sleep(LOOK).await;
    }
    Vec::new()
}

/// Waits until processes that have ended are gone for whoever looks for them, too: until then a script that sends signal 0
/// takes them for alive. Where nobody takes note of their end, that is given up.
async fn gone(processes: &[Live]) {
    let began = Instant::now();
    while began.elapsed() < UNREAPED && processes.iter().any(processes::is_unreaped) {
        tokio::time::sleep(LOOK).await;
    }
}

/// How long an attempt took that ended while nobody watched: from the last thing written before it was started to the
/// last thing it reported. Both times are the file system's, so that clocks of several machines do not matter.
#[must_use]
fn duration_on_disk(facts: &Facts) -> Option<Duration> {
    let written = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let end = written(&facts.result_file()).or_else(|| written(&facts.stdout_file()))?;
    end.duration_since(written(&facts.mixture_file())?).ok()
}
