//! A backend without processes, for tests. Its attempts are tasks of the runtime, which outlive the `admire` that submitted
//! them as long as the runtime lives.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Backend, BoxFuture, End, Ending, Facts, Fate, Orphan, Running};
use crate::problem::Handle;

/// What an attempt does, and how it ends.
type Train = dyn Fn(Facts) -> BoxFuture<'static, End> + Send + Sync;

/// Attempts by their names.
type Jobs = BTreeMap<String, Job>;

#[derive(Clone)]
pub(crate) struct Mock {
    train: Arc<Train>,
    jobs: Arc<Mutex<Jobs>>,
}

#[derive(Clone, Debug)]
struct Job {
    name: String,
    end: watch::Sender<Option<End>>,
    task: AbortHandle,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    mock: String,
}

impl Mock {
    pub(crate) fn new(train: impl Fn(Facts) -> BoxFuture<'static, End> + Send + Sync + 'static) -> Self {
        Self { train: Arc::new(train), jobs: Arc::default() }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap()
    }

    fn fate(job: &Job) -> Fate {
        match job.end.borrow().clone() {
            Some(end) => Fate::Over((end, None)),
            None => Fate::Running(Box::new(job.clone())),
        }
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jobs().fmt(f)
    }
}

impl Backend for Mock {
    fn reserve(&self, study: &str, facts: &Facts) -> Option<String> {
        Some(format!("{study}-{}-{}", facts.trial, facts.attempt))
    }

    fn submit<'a>(&'a self, facts: &'a Facts, name: Option<&'a str>) -> BoxFuture<'a, io::Result<Fate>> {
        let name = name.expect("a name was reserved").to_owned();
        let mut jobs = self.jobs();
        let job = jobs.entry(name.clone()).or_insert_with(|| {
            let (end, training) = (watch::Sender::new(None), (self.train)(facts.clone()));
            let ended = end.clone();
            let task = tokio::spawn(async move { drop(ended.send_replace(Some(training.await))) });
            Job { name, end, task: task.abort_handle() }
        });
        let fate = Self::fate(job);
        Box::pin(async { Ok(fate) })
    }

    fn adopt<'a>(&'a self, left: &'a [Orphan]) -> BoxFuture<'a, io::Result<Vec<Fate>>> {
        let fate = |left: &Orphan| {
            let known = left.launch.handle.as_ref().and_then(Handle::read::<Mark>).map(|mark| mark.mock);
            let name = known.or(left.launch.name.clone()).expect("a name was reserved");
            let never = || Fate::Over((End::NotStarted("it was never submitted".into()), None));
            self.jobs().get(&name).map_or_else(never, Self::fate)
        };
        let fates = left.iter().map(fate).collect();
        Box::pin(async { Ok(fates) })
    }

    fn on_kill(&self) -> &'static str {
        "kill them"
    }
}

impl Running for Job {
    fn handle(&self) -> Option<Handle> {
        Some(Handle::of(&Mark { mock: self.name.clone() }))
    }

    fn wait(self: Box<Self>, mut kill: watch::Receiver<bool>) -> BoxFuture<'static, io::Result<Ending>> {
        Box::pin(async move {
            let mut ended = self.end.subscribe();
            let end = tokio::select! {
                end = ended.wait_for(Option::is_some) => end.ok().and_then(|end| end.clone()),
                true = async { kill.wait_for(|k| *k).await.is_ok() } => {
                    self.task.abort();
                    Some(End::Killed)
                }
            };
            self.end.send_replace(end.clone());
            Ok((end.unwrap_or(End::Unknown), None))
        })
    }
}
