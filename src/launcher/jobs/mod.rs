//! Attempts as jobs of a queue, one job an attempt; what is the same for all queues.
//!
//! A job is known by its name from before it exists (the journal has the name first), so that one that was submitted
//! just before a crash, or seemed to be refused, is found again. Should there be two, the first to run takes the attempt and
//! the other one does nothing. What a queue is asked is a `Client`; it may forget a job that is over, for the script notes
//! its exit code beside the result.

mod attempt;
pub(super) mod programs;
mod queue;
mod script;
pub mod states;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Backend, BoxFuture, Description, Ending, Facts, Fate, JobId, Orphan, Running};
use crate::config::LauncherConfig;
use crate::problem::Handle;
use queue::{Job, Queue};

pub(super) use attempt::Attempt;
pub use script::unique_name;
pub(super) use script::{enter, plain, script};
pub(super) use states::{State, Traces};

/// Why a queue did not do what it was asked to, in its words. It may do it later, or even have done it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(pub String);

/// What was seen of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// `None` where the queue does not know it any more.
    pub state: Option<State>,
    /// For how long it has run since it was last started.
    pub elapsed: Option<Duration>,
    /// The job that has its attempt, where that is another one.
    pub other: Option<JobId>,
}

/// What a queue is asked.
pub(super) trait Client: fmt::Debug + Send + Sync {
    /// The name of the job of an attempt, the same whenever it is asked for.
    fn name(&self, study: &str, facts: &Facts) -> String;

    /// Submits an attempt.
    ///
    /// # Errors
    /// Whatever the reason, none is known to be final: the job may be in the queue all the same.
    fn submit<'a>(&'a self, attempt: &'a Attempt, facts: &'a Facts) -> BoxFuture<'a, Result<JobId, Refusal>>;

    /// Whether an earlier `admire` is still submitting an attempt.
    fn is_submitting(&self, attempt: &Attempt) -> bool;

    /// The jobs that have these attempts, in the same order; `None` for an attempt that no job runs, will run or has run.
    ///
    /// # Errors
    /// The queue does not say.
    fn find<'a>(&'a self, attempts: &'a [&'a Attempt]) -> BoxFuture<'a, Result<Vec<Option<JobId>>, Refusal>>;

    /// What is to be seen of jobs, in the same order.
    fn look<'a>(&'a self, jobs: &'a [(JobId, Attempt)]) -> BoxFuture<'a, Vec<Result<Seen, Refusal>>>;

    /// Cancels the job of an attempt; that it is over already is no error.
    ///
    /// # Errors
    /// It may still run.
    fn cancel<'a>(&'a self, id: &'a JobId, attempt: &'a Attempt) -> BoxFuture<'a, Result<(), Refusal>>;
}

/// Runs attempts as jobs of a queue.
#[derive(Debug)]
pub(super) struct Jobs {
    queue: Queue,
    timeout: Option<Duration>,
}

impl Jobs {
    /// Jobs of the queue that `client` asks, with what `[launcher]` says. Must be called inside a runtime.
    pub fn new(client: impl Client + 'static, config: &LauncherConfig) -> Self {
        Self { queue: Queue::new(Arc::new(client), config.poll), timeout: config.timeout }
    }

    fn running(&self, job: Job) -> Fate {
        Fate::Running(Box::new(Watched { job, timeout: self.timeout }))
    }
}

impl Backend for Jobs {
    fn reserve(&self, study: &str, facts: &Facts) -> Option<String> {
        Some(self.queue.client().name(study, facts))
    }

    fn submit<'a>(&'a self, facts: &'a Facts, name: Option<&'a str>) -> BoxFuture<'a, io::Result<Fate>> {
        Box::pin(async move {
            let name = name.ok_or_else(|| nameless(facts))?;
            Ok(match self.queue.submit(Attempt::new(name, facts), facts).await {
                Ok(job) => self.running(job),
                Err(end) => Fate::Over((end, None)),
            })
        })
    }

    fn adopt<'a>(&'a self, left: &'a [Orphan]) -> BoxFuture<'a, io::Result<Vec<Fate>>> {
        Box::pin(async move {
            let job = |Orphan { facts, launch, .. }: &Orphan| {
                let name = launch.name.as_deref().ok_or_else(|| nameless(facts))?;
                let submitted = launch.handle.as_ref().and_then(Handle::read::<Submitted>);
                Ok((Attempt::new(name, facts), submitted.map(|job| job.id)))
            };
            let jobs = left.iter().map(job).collect::<io::Result<Vec<_>>>()?;
            let fate = |found| match found {
                Ok(job) => self.running(job),
                Err(ending) => Fate::Over(ending),
            };
            Ok(self.queue.adopt(&jobs).await.into_iter().map(fate).collect())
        })
    }

    fn halt(&self) {
        self.queue.halt();
    }

    fn on_kill(&self) -> &'static str {
        "cancel them, Ctrl-\\ leaves them in the queue"
    }
}

fn nameless(facts: &Facts) -> io::Error {
    io::Error::other(format!("the job of trial {} has no name", facts.trial))
}

/// What the journal keeps of a job beside its name.
#[derive(Serialize, Deserialize)]
struct Submitted {
    id: JobId,
}

/// What can be shown of an attempt. Whether its job is alive is not asked: a queue may take long to answer.
pub(super) fn describe(_: &Facts, handle: &Handle) -> Description {
    Description { job: handle.read::<Submitted>().map(|job| job.id), ..Description::default() }
}

/// A job and what limits it.
#[derive(Debug)]
struct Watched {
    job: Job,
    timeout: Option<Duration>,
}

impl Running for Watched {
    fn handle(&self) -> Option<Handle> {
        Some(Handle::of(&Submitted { id: self.job.id.clone() }))
    }

    fn wait(self: Box<Self>, kill: watch::Receiver<bool>) -> BoxFuture<'static, io::Result<Ending>> {
        Box::pin(async move { Ok(self.job.wait(self.timeout, kill).await) })
    }
}
