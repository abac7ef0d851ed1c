//! Starts training runs and learns how they ended: as processes of this machine, or as jobs in Slurm's queue.

pub mod command;
pub mod local;
mod processes;
pub mod protocol;
pub mod slurm;
pub mod tail;

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::config::{LauncherConfig, LauncherKind};
use crate::study::{Mark, TrialId};

pub use command::{Facts, prepare};
pub use local::Process;
pub use processes::{Tag, alive};
pub use protocol::Outcome;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself; the status is unknown where nobody saw it.
    Exited(Option<ExitStatus>),
    /// It ran too long and was killed.
    TimedOut,
    /// We were asked to kill it.
    Killed,
    /// It could not be started: nothing ran, nothing is owed. It is tried again, later.
    NotStarted(String),
    /// It was ended for a reason that counts against it.
    Failed(String),
    /// It was ended for a reason that does not count against it: it starts again.
    Lost(String),
    /// Nobody knows whether it still runs; the next run of `admire` finds out.
    Unknown,
}

/// How an attempt ended, and for how long it ran where that is known.
pub type Ending = (End, Option<Duration>);

/// That an attempt runs, or is in the queue; to be journalled.
pub type Started = (TrialId, u32, Mark);

/// A running attempt.
#[derive(Debug)]
pub enum Running {
    /// On this machine.
    Process(Process),
    /// In Slurm's queue, perhaps not at work yet.
    Job(slurm::Job),
}

impl Running {
    /// By what a later `admire` will recognize it.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        match self {
            Self::Process(process) => process.mark().map(Mark::Process),
            Self::Job(job) => Some(job.mark()),
        }
    }
}

/// An attempt that an earlier `admire` launched and did not see end.
#[derive(Clone, Debug)]
pub struct Left {
    /// The facts it was told.
    pub facts: Facts,
    /// By what it is recognized.
    pub mark: Option<Mark>,
    /// Whether there is a readable result.
    pub reported: bool,
    /// How long ago it was launched.
    pub age: Duration,
}

/// What has become of it.
#[derive(Debug)]
pub enum Found {
    /// It still runs.
    Running(Running),
    /// It is over.
    Over(Ending),
}

/// Starts attempts where the config says, and finds them again wherever they were started.
#[derive(Clone, Debug)]
pub struct Launcher {
    config: Arc<LauncherConfig>,
    queue: slurm::Queue,
    reports: mpsc::UnboundedSender<Started>,
}

impl Launcher {
    /// A launcher that talks to `reports`. Must be called inside a runtime.
    #[must_use]
    pub fn new(config: LauncherConfig, reports: mpsc::UnboundedSender<Started>) -> Self {
        let queue = slurm::Queue::new(config.poll);
        Self { config: Arc::new(config), queue, reports }
    }

    /// Its config.
    #[must_use]
    pub fn config(&self) -> &LauncherConfig {
        &self.config
    }

    /// The name of the job that an attempt will be; `None` for a process.
    #[must_use]
    pub fn job_name(&self, study: &str, trial: TrialId, attempt: u32) -> Option<String> {
        match self.config.kind {
            LauncherKind::Local => None,
            LauncherKind::Slurm { .. } => Some(slurm::job_name(study, trial, attempt)),
        }
    }

    /// Gives up what is about to be submitted to a queue that does not answer; the next run finds out what came of it.
    pub fn halt(&self) {
        self.queue.halt();
    }

    /// Starts an attempt in a prepared directory and waits for its end, or until `kill` turns true and it is killed.
    /// `job` is its name in the queue, [`Self::job_name`].
    ///
    /// # Errors
    /// Whatever the system says while it is waited for; that it cannot be started is [`End::NotStarted`].
    pub async fn run(&self, facts: &Facts, job: Option<&str>, kill: watch::Receiver<bool>) -> io::Result<Ending> {
        let running = match (&self.config.kind, job) {
            (LauncherKind::Slurm { .. }, Some(name)) => {
                let script = slurm::script(&self.config, name, facts)?;
                self.queue.submit(name, facts, &script).await.map(Running::Job)
            }
            _ => Process::spawn(&self.config, facts).map(Running::Process).map_err(|e| End::NotStarted(e.to_string())),
        };
        match running {
            Ok(running) => {
                if let Some(mark) = running.mark() {
                    // Nobody listens any more once the runner is gone.
                    let _ = self.reports.send((facts.trial, facts.attempt, mark));
                }
                self.wait(running, kill).await
            }
            Err(end) => Ok((end, None)),
        }
    }

    /// Waits for the end, at most `launcher.timeout` or until `kill` turns true; then ends it.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn wait(&self, running: Running, kill: watch::Receiver<bool>) -> io::Result<Ending> {
        let (timeout, grace) = (self.config.timeout, self.config.grace);
        match running {
            Running::Process(process) => {
                process.wait(timeout, grace, kill).await.map(|(end, duration)| (end, Some(duration)))
            }
            Running::Job(job) => Ok(job.wait(timeout, kill).await),
        }
    }

    /// What has become of attempts that were left running, in the same order.
    ///
    /// # Errors
    /// A file of a trial cannot be opened.
    pub async fn adopt(&self, left: &[Left]) -> io::Result<Vec<Found>> {
        let mut jobs = self.queue.adopt(left).await.into_iter();
        let mut found = Vec::new();
        for Left { facts, mark, reported, age } in left {
            let process = match mark {
                Some(Mark::Job { .. }) => {
                    found.push(jobs.next().unwrap_or(Found::Over((End::Unknown, None))));
                    continue;
                }
                Some(Mark::Process(process)) => Some(process.clone()),
                None => None,
            };
            found.push(match Process::adopt(facts, process, *reported, *age, self.config.grace).await? {
                Ok(process) => Found::Running(Running::Process(process)),
                Err(end) => Found::Over((end, local::duration_on_disk(facts))),
            });
        }
        Ok(found)
    }
}
