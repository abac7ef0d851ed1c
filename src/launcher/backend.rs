//! What a backend does, and what it says.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Facts;
use crate::problem::{Handle, Launch};

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

/// An attempt that an earlier `admire` launched and did not see end.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The facts it was told.
    pub facts: Facts,
    /// What the journal knows of its launch.
    pub launch: Launch,
    /// Whether there is a readable result.
    pub reported: bool,
    /// How long ago it was launched.
    pub age: Duration,
}

/// What has become of an attempt.
#[derive(Debug)]
pub enum Fate {
    /// It runs, or waits in a queue.
    Running(Box<dyn Running>),
    /// It is over.
    Over(Ending),
}

/// By what a queue knows a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JobId {
    /// Slurm's are numbers.
    Number(u64),
    /// Those of other queues are words.
    Word(String),
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// What can be shown of a running attempt. What is not known, or does not exist there, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The id of its process.
    pub pid: Option<u32>,
    /// The id of its job.
    pub job: Option<JobId>,
    /// Whether it is alive, where that can be seen at once.
    pub alive: Option<bool>,
}

/// How it was started, in words.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.job {
            Some(job) => write!(f, "submitted as job {job}"),
            None => f.write_str("started"),
        }
    }
}

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place where attempts run.
///
/// An attempt is in the journal before anything of it exists: the runner asks for its name with [`Self::reserve`],
/// journals the launch, and only then calls [`Self::submit`]. What is known only afterwards is
/// [`Running::handle`], which the runner journals at once. After a crash at any moment, [`Self::adopt`] gets what the
/// journal has, with or without a handle. Whatever happens, at most one process trains for a reservation.
pub trait Backend: fmt::Debug + Send + Sync {
    /// The name under which an attempt of the study `study` will be submitted, the same whenever it is asked for; `None`
    /// where attempts have no names.
    fn reserve(&self, study: &str, facts: &Facts) -> Option<String>;

    /// Starts an attempt in its prepared directory, or takes the one that is there already under its name. That this is not
    /// possible now is [`End::NotStarted`].
    ///
    /// # Errors
    /// What no further try will mend.
    fn submit<'a>(&'a self, facts: &'a Facts, name: Option<&'a str>) -> BoxFuture<'a, io::Result<Fate>>;

    /// What has become of attempts of this backend that were left running, in the same order.
    ///
    /// # Errors
    /// It cannot be found out.
    fn adopt<'a>(&'a self, left: &'a [Orphan]) -> BoxFuture<'a, io::Result<Vec<Fate>>>;

    /// Gives up submissions that are not answered soon, now and from now on. They end as [`End::Unknown`].
    fn halt(&self) {}

    /// What `kill` does to attempts ([`Running::wait`]), in words that follow "interrupt again to".
    fn on_kill(&self) -> &'static str;
}

/// An attempt that runs, or waits in a queue.
pub trait Running: fmt::Debug + Send {
    /// By what a later `admire` recognizes it; `None` where it is out of reach.
    fn handle(&self) -> Option<Handle>;

    /// Waits for its end. Ends it once it has run for `launcher.timeout`, or when `kill` turns true.
    ///
    /// # Errors
    /// Whatever the system says.
    fn wait(self: Box<Self>, kill: watch::Receiver<bool>) -> BoxFuture<'static, io::Result<Ending>>;
}
