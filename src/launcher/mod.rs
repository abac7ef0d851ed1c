//! Starts attempts at trials and learns how they ended.
//!
//! Where an attempt runs is up to a [`Backend`]; all that one can do is in that trait. What an attempt is told
//! ([`command`]) and how it reports ([`protocol`], [`Follower`]) is the same everywhere. A new backend is a file that implements
//! [`Backend`], a row of `BACKENDS` and a kind of [`LauncherKind`](crate::config::LauncherKind).
//!
//! ```
//! use std::path::Path;
//!
//! use admire::config::StudyConfig;
//! use admire::launcher::{End, Facts, Launcher, Outcome, command, prepare, protocol};
//! use tokio::sync::{mpsc, watch};
//!
//! let text = r#"
//!     study.name = "mix"
//!     domain = [{ name = "code" }, { name = "web" }]
//!     fidelity = [{ name = "1B" }]
//!     objective.metric = "loss"
//!     launcher.command = ["sh", "-c", 'echo "{{\"loss\": {w.code}}}" > {result_file}']
//! "#;
//! let config = StudyConfig::parse(Path::new("study.toml"), text, &[])?;
//! let folder = tempfile::tempdir()?;
//! let facts = Facts {
//!     weights: [("code".to_owned(), 0.25), ("web".to_owned(), 0.75)].into(),
//!     fidelity: "1B".into(),
//!     params: None,
//!     tokens: None,
//!     repetition: None,
//!     continue_from: None,
//!     seed: 1,
//!     trial: 1,
//!     dir: folder.path().join("trials/0001"),
//!     attempt: 1,
//!     result: command::result_name(1),
//! };
//! prepare(&facts, false)?;
//!
//! let (reports, _started) = mpsc::unbounded_channel();
//! let (_kill, killed) = watch::channel(false);
//! let launcher_config = config.launcher.ok_or("there is a launcher")?;
//! let run = async {
//!     let launcher = Launcher::new(launcher_config, reports)?;
//!     let name = launcher.reserve("mix", &facts).name;
//!     launcher.run(&facts, name.as_deref(), killed).await
//! };
//! let (end, _) = tokio::runtime::Runtime::new()?.block_on(run)?;
//! assert!(matches!(end, End::Exited(_)), "{end:?}");
//! let stdout = (&*facts.stdout_file(), protocol::Stdout::Last);
//! let outcome = protocol::read(&facts.result_file(), stdout, &config.objective)??;
//! assert!(matches!(outcome, Outcome::Completed(completed, _) if completed.metrics["loss"] == 0.25));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
pub mod command;
#[cfg(test)]
mod contract;
pub mod jobs;
mod local;
#[cfg(test)]
pub(crate) mod mock;
mod processes;
mod progress;
pub mod protocol;
pub mod queue;
pub mod ray;
pub mod slurm;
pub(crate) mod tail;

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::config::LauncherConfig;
use crate::problem::{Handle, Launch, TrialId};

pub use backend::{Backend, BoxFuture, Description, End, Ending, Fate, JobId, Orphan, Running};
pub use command::{Facts, Repetition, prepare};
pub use jobs::unique_name;
pub(crate) use local::Process;
pub(crate) use processes::Tag;
pub use progress::{Follower, News};
pub use protocol::Outcome;

/// A kind of backend.
struct Kind {
    /// Its name in the config and in the journal.
    name: &'static str,
    /// Makes one, inside a runtime; an error where the config does not say what it needs.
    make: fn(Arc<LauncherConfig>) -> io::Result<Arc<dyn Backend>>,
    /// What can be shown of one of its attempts.
    describe: fn(&Facts, &Handle) -> Description,
}

/// All kinds of backends: what the config or the journal names is chosen here, and nowhere else.
const BACKENDS: [Kind; 4] = [
    Kind { name: "local", make: |config| Ok(Arc::new(local::Local::new(config))), describe: local::describe },
    Kind { name: "slurm", make: |config| jobs(Ok(slurm::Slurm::new(&config)), &config), describe: jobs::describe },
    Kind { name: "ray", make: |config| jobs(ray::Ray::new(&config), &config), describe: jobs::describe },
    Kind { name: "queue", make: |config| jobs(queue::Programs::new(&config), &config), describe: jobs::describe },
];

fn jobs(client: io::Result<impl jobs::Client + 'static>, config: &LauncherConfig) -> io::Result<Arc<dyn Backend>> {
    Ok(Arc::new(jobs::Jobs::new(client?, config)))
}

fn kind(name: &str) -> Option<&'static Kind> {
    BACKENDS.iter().find(|kind| kind.name == name)
}

/// What can be shown of a running attempt; nothing as long as its handle is not journalled.
#[must_use]
pub fn describe(facts: &Facts, launch: &Launch) -> Description {
    let known = kind(&launch.backend).zip(launch.handle.as_ref());
    known.map_or_else(Description::default, |(kind, handle)| (kind.describe)(facts, handle))
}

/// That an attempt runs, or is in a queue, and by what it is recognized; to be journalled.
pub type Started = (TrialId, u32, Handle);

/// Starts attempts with the backend of the config, and finds them again whichever backend started them.
#[derive(Clone, Debug)]
pub struct Launcher {
    config: Arc<LauncherConfig>,
    name: &'static str,
    backend: Arc<dyn Backend>,
    reports: mpsc::UnboundedSender<Started>,
}

impl Launcher {
    /// A launcher with the backend of `config` that talks to `reports`. Must be called inside a runtime.
    ///
    /// # Errors
    /// No backend is called as the config says, or the config does not say what it needs.
    pub fn new(config: LauncherConfig, reports: mpsc::UnboundedSender<Started>) -> io::Result<Self> {
        let config = Arc::new(config);
        let kind = kind(config.kind.name()).ok_or_else(|| unknown(config.kind.name()))?;
        let backend = (kind.make)(Arc::clone(&config))?;
        Ok(Self { config, name: kind.name, backend, reports })
    }

    /// A launcher with any backend, which the journal calls `name`.
    #[must_use]
    pub fn with(
        config: LauncherConfig,
        name: &'static str,
        backend: Arc<dyn Backend>,
        reports: mpsc::UnboundedSender<Started>,
    ) -> Self {
        Self { config: Arc::new(config), name, backend, reports }
    }

    /// Its config.
    #[must_use]
    pub fn config(&self) -> &LauncherConfig {
        &self.config
    }

    /// What the journal has to know of an attempt of the study `study` before it is launched.
    #[must_use]
    pub fn reserve(&self, study: &str, facts: &Facts) -> Launch {
        Launch { backend: self.name.into(), name: self.backend.reserve(study, facts), handle: None }
    }

    /// Gives up what is about to be submitted to a queue that does not answer; the next run finds out what came of it.
    pub fn halt(&self) {
        self.backend.halt();
    }

    /// What a second interruption would do to attempts, in words.
    #[must_use]
    pub fn on_kill(&self) -> &'static str {
        self.backend.on_kill()
    }

    /// Submits an attempt in a prepared directory under the `name` that was reserved for it, reports its handle, and waits for
    /// its end, or until `kill` turns true and it is ended.
    ///
    /// # Errors
    /// Whatever the system says; that the attempt cannot be started is [`End::NotStarted`].
    pub async fn run(&self, facts: &Facts, name: Option<&str>, kill: watch::Receiver<bool>) -> io::Result<Ending> {
        match self.backend.submit(facts, name).await? {
            Fate::Running(running) => {
                if let Some(handle) = running.handle() {
                    // Nobody listens any more once the runner is gone.
                    let _ = self.reports.send((facts.trial, facts.attempt, handle));
                }
                running.wait(kill).await
            }
            Fate::Over(ending) => Ok(ending),
        }
    }

    /// What has become of attempts that were left running, in the same order.
    ///
    /// # Errors
    /// A file of a trial cannot be opened, or an attempt was launched by a backend that is not known here.
    pub async fn adopt(&self, left: Vec<Orphan>) -> io::Result<Vec<Fate>> {
        let mut names: Vec<String> = left.iter().map(|left| left.launch.backend.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let mut left: Vec<(usize, Orphan)> = left.into_iter().enumerate().collect();
        let mut fates = Vec::new();
        for name in names {
            let backend = match kind(&name) {
                _ if name == self.name => Arc::clone(&self.backend),
                Some(kind) => (kind.make)(Arc::clone(&self.config))?,
                None => return Err(unknown(&name)),
            };
            let theirs: Vec<(usize, Orphan)> = left.extract_if(.., |(_, left)| left.launch.backend == name).collect();
            let (places, theirs): (Vec<usize>, Vec<Orphan>) = theirs.into_iter().unzip();
            fates.extend(places.into_iter().zip(backend.adopt(&theirs).await?));
        }
        fates.sort_unstable_by_key(|(place, _)| *place);
        Ok(fates.into_iter().map(|(_, fate)| fate).collect())
    }
}

fn unknown(name: &str) -> io::Error {
    io::Error::other(format!("this version of admire has no backend called {name}; use a newer one"))
}
