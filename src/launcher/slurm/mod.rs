//! Trials as jobs of Slurm, one job an attempt.
//!
//! A job is known by its name from before it exists (the journal has the name first), so that one that was submitted
//! just before a crash, or seemed to be refused, is found again. Should there be two, the first to run takes the attempt and
//! the other one does nothing. All jobs are looked at together, by one `squeue`; `sacct` is asked for those that
//! have left the queue, but need not know them, or exist: the script notes its exit code beside the result.

mod attempt;
mod client;
mod script;
pub mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::{Backend, BoxFuture, Description, End, Ending, Facts, Fate, Orphan, Running};
use crate::config::LauncherConfig;
use crate::files;
use crate::problem::Handle;
use attempt::Attempt;
use client::Refusal;
use states::{Row, State, Traces};

pub use script::{job_name, script};

/// Between the first two looks after something has changed.
const SHORTEST: Duration = Duration::from_millis(500);

/// For how long a file system may hide from us what a job has written, and the accounts what has become of it: network
/// file systems trust what they have cached for up to a minute.
const LAG: Duration = Duration::from_secs(60);

/// How long a submission may still take that is to be given up. One that works takes less.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Slurm's queue, as far as our jobs are concerned. Clones share one poller, which lives as long as any of them.
#[derive(Clone, Debug)]
struct Queue {
    shared: Arc<Shared>,
    _poller: Arc<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Jobs to look at.
    watched: Mutex<BTreeMap<Key, Attempt>>,
    latest: watch::Sender<Look>,
    /// Something is new: look soon.
    hurry: Notify,
    longest: Duration,
    /// Whether submissions are given up.
    halt: watch::Sender<bool>,
}

/// Number and name of a job: a controller that has lost its state numbers from the beginning again.
type Key = (u64, String);

/// What was last seen of every job that was looked at.
type Look = BTreeMap<Key, Seen>;

/// What was seen of a job.
#[derive(Clone, Debug)]
struct Seen {
    /// `None` where Slurm does not know it any more.
    row: Option<Row>,
    /// The job that has its attempt, where that is another one.
    other: Option<u64>,
}

impl Seen {
    fn state(&self) -> Option<State> {
        self.row.as_ref().map(|row| row.state)
    }
}

/// A job that was submitted.
#[derive(Debug)]
struct Job {
    /// It is looked at as long as it is here.
    queue: Queue,
    id: u64,
    attempt: Attempt,
}

/// What the journal keeps of a job beside its name.
#[derive(Serialize, Deserialize)]
struct Submitted {
    /// Its number.
    id: u64,
}

/// Runs attempts as jobs of Slurm.
#[derive(Debug)]
pub struct Slurm {
    config: Arc<LauncherConfig>,
    queue: Queue,
}

impl Slurm {
    /// With what `[launcher]` says. Must be called inside a runtime.
    #[must_use]
    pub fn new(config: Arc<LauncherConfig>) -> Self {
        let queue = Queue::new(config.poll);
        Self { config, queue }
    }

    fn running(&self, job: Job) -> Fate {
        Fate::Running(Box::new(Watched { job, timeout: self.config.timeout }))
    }
}

impl Backend for Slurm {
    fn reserve(&self, study: &str, facts: &Facts) -> Option<String> {
        Some(job_name(study, facts.trial, facts.attempt))
    }

    fn submit<'a>(&'a self, facts: &'a Facts, name: Option<&'a str>) -> BoxFuture<'a, io::Result<Fate>> {
        Box::pin(async move {
            let name = name.ok_or_else(|| nameless(facts))?;
            let script = script(&self.config, name, facts)?;
            Ok(match self.queue.submit(name, facts, &script).await {
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

/// What can be shown of an attempt. Whether its job is alive is not asked: Slurm may take long to answer.
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
        Some(Handle::of(&Submitted { id: self.job.id }))
    }

    fn wait(self: Box<Self>, kill: watch::Receiver<bool>) -> BoxFuture<'static, io::Result<Ending>> {
        Box::pin(async move { Ok(self.job.wait(self.timeout, kill).await) })
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<Key, Attempt>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at all jobs; whether anything has changed.
    async fn look(&self) -> Result<bool, Refusal> {
        let watched = self.watched().clone();
        if watched.is_empty() {
            return Ok(false);
        }
        let names: BTreeSet<&str> = watched.keys().map(|(_, name)| name.as_str()).collect();
        let queue = client::squeue(&names.into_iter().collect::<Vec<_>>()).await?;
        // The latest record of a job counts.
        let find = |rows: &[Row], id: u64, attempt: &Attempt| {
            rows.iter().rfind(|row| row.id == id && attempt.owns(row)).cloned()
        };
        let gone = watched.iter().filter(|((id, _), attempt)| find(&queue, *id, attempt).is_none());
        let gone: Vec<u64> = gone.map(|((id, _), _)| *id).collect();
        let accounts = if gone.is_empty() { Vec::new() } else { client::sacct(&gone).await };
        let mut look = Look::new();
        for (key, attempt) in watched {
            // Accounts lag: what they take for active has left the queue all the same.
            let over = || find(&accounts, key.0, &attempt).filter(|row| row.state != State::Active);
            let row = find(&queue, key.0, &attempt).or_else(over);
            let other = keep_one(key.0, &attempt, &queue).await;
            look.insert(key, Seen { row, other });
        }
        let states = |look: &Look| -> Vec<(Key, Option<State>)> {
            look.iter().map(|(key, seen)| (key.clone(), seen.state())).collect()
        };
        let changed = states(&self.latest.borrow()) != states(&look);
        self.latest.send_replace(look);
        Ok(changed)
    }

    /// Looks again and again: soon after something has changed, then less and less often.
    async fn poll(&self) {
        let (mut pause, mut silent) = (SHORTEST, false);
        loop {
            if self.watched().is_empty() {
                self.hurry.notified().await;
                pause = SHORTEST;
                continue;
            }
            match self.look().await {
                Ok(changed) => {
                    pause = if changed { SHORTEST } else { pause * 2 };
                    if std::mem::take(&mut silent) {
                        info!("the jobs can be looked at again");
                    }
                }
                Err(refusal) => {
                    if !silent {
                        warn!("cannot look at the jobs ({refusal}); trying again, while they go on");
                    }
                    (pause, silent) = (pause * 2, true);
                }
            }
            pause = pause.min(self.longest);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.hurry.notified() => pause = SHORTEST,
            }
        }
    }

    /// Asks until there is an answer, warning once that there is none.
    async fn insist<T, F>(&self, what: &str, mut ask: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let mut pause = SHORTEST;
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(refusal) if pause == SHORTEST => warn!("cannot {what} ({refusal}); trying again"),
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.longest);
        }
    }
}

impl Queue {
    /// A queue that is looked at at least every `longest` while there are jobs. Must be called inside a runtime.
    fn new(longest: Duration) -> Self {
        let longest = longest.max(SHORTEST);
        let (watched, latest, hurry) = (Mutex::default(), watch::Sender::default(), Notify::new());
        let shared = Arc::new(Shared { watched, latest, hurry, longest, halt: watch::Sender::new(false) });
        let mut poller = JoinSet::new();
        let polled = Arc::clone(&shared);
        poller.spawn(async move { polled.poll().await });
        Self { shared, _poller: Arc::new(poller) }
    }

    /// Begins to watch a job.
    fn watch(&self, id: u64, attempt: Attempt) -> Job {
        self.shared.watched().insert((id, attempt.name.clone()), attempt.clone());
        self.shared.hurry.notify_one();
        Job { queue: self.clone(), id, attempt }
    }

    /// Gives up every submission that Slurm does not answer soon, now and from now on.
    fn halt(&self) {
        self.shared.halt.send_replace(true);
    }

    /// Submits the script of an attempt under `name`, unless a job of it is there already: one of an earlier try that only
    /// seemed to fail.
    ///
    /// # Errors
    /// [`End::NotStarted`] whatever the reason, for none is known to be final: the job may be in the queue all the same, or
    /// get there the next time. [`End::Unknown`] after [`Self::halt`].
    async fn submit(&self, name: &str, facts: &Facts, script: &str) -> Result<Job, End> {
        let attempt = Attempt::new(name, facts);
        let submitted = async {
            let rows = client::squeue(&[name]).await.map_err(|e| format!("cannot look for its job: {e}"))?;
            if let Some(id) = attempt.holder(&rows) {
                return Ok(id);
            }
            files::write(&attempt.dir.join("job.sh"), script.as_bytes())
                .map_err(|e| format!("cannot write job.sh: {e}"))?;
            client::sbatch(&attempt.dir).await.map_err(|e| format!("cannot submit: {e}"))
        };
        let mut halt = self.shared.halt.subscribe();
        let halted = async {
            // The sender is ours, too.
            let _ = halt.wait_for(|halt| *halt).await;
            tokio::time::sleep(LAST_MOMENT).await;
        };
        let submitted: Result<u64, String> = tokio::select! {
            submitted = submitted => submitted,
            () = halted => {
                warn!("sbatch does not answer; the next run finds out whether {name} is in the queue");
                return Err(End::Unknown);
            }
        };
        submitted.map(|id| self.watch(id, attempt)).map_err(End::NotStarted)
    }

    /// What has become of jobs that were left in the queue, in the same order; of those whose number is not known, their names
    /// are looked for. Waits until Slurm answers.
    async fn adopt(&self, jobs: &[(Attempt, Option<u64>)]) -> Vec<Result<Job, Ending>> {
        let unnumbered = || jobs.iter().filter(|(_, id)| id.is_none()).map(|(attempt, _)| attempt);
        for attempt in unnumbered() {
            if client::is_submitting(&attempt.dir) {
                info!("waiting for the sbatch of {}, which an earlier run has started", attempt.name);
            }
            while client::is_submitting(&attempt.dir) {
                tokio::time::sleep(SHORTEST).await;
            }
        }
        let names: Vec<&str> = unnumbered().map(|attempt| attempt.name.as_str()).collect();
        let rows = match names[..] {
            [] => Vec::new(),
            _ => self.shared.insist("look for jobs", || client::squeue(&names)).await,
        };
        let job = |(attempt, id): &(Attempt, Option<u64>)| {
            let id = id.or_else(|| attempt.holder(&rows));
            id.map(|id| self.watch(id, attempt.clone()))
        };
        let found: Vec<Option<Job>> = jobs.iter().map(job).collect();
        self.shared.insist("look at the jobs", || self.shared.look()).await;
        let fate = |(job, (attempt, _)): (Option<Job>, &(Attempt, Option<u64>))| match job {
            Some(job) => match job.settled() {
                Some(ending) => Err(ending),
                None => Ok(job),
            },
            // It never was in the queue, or is forgotten there: then what it has written decides.
            None => Err((states::settle(None, attempt.traces()).unwrap_or_else(|| unsubmitted(attempt)), None)),
        };
        found.into_iter().zip(jobs).map(fate).collect()
    }
}

impl Job {
    fn key(&self) -> Key {
        (self.id, self.attempt.name.clone())
    }

    /// The last look at it; `None` before the first.
    fn seen(&self) -> Option<Seen> {
        self.queue.shared.latest.borrow().get(&self.key()).cloned()
    }

    fn elapsed(&self) -> Option<Duration> {
        self.seen()?.row?.elapsed
    }

    /// How it ended, if it has, going by the last look at it.
    fn settled(&self) -> Option<Ending> {
        let seen = self.seen()?;
        if let Some(other) = seen.other {
            // The next try finds that one.
            return Some((End::NotStarted(format!("job {other} has the same attempt already")), None));
        }
        let state = seen.state();
        let traces = if state == Some(State::Active) { Traces::default() } else { self.attempt.traces() };
        Some((states::settle(state, traces)?, self.elapsed()))
    }

    /// Waits for the end; cancels the job once it has run for `timeout`, or when `kill` turns true. The time it spends
    /// in the queue does not count.
    async fn wait(self, timeout: Option<Duration>, mut kill: watch::Receiver<bool>) -> Ending {
        let mut looks = self.queue.shared.latest.subscribe();
        // Why we cancelled it, and since when it has been over without a trace.
        let (mut cancelled, mut silent): (Option<End>, Option<Instant>) = (None, None);
        loop {
            looks.mark_unchanged();
            let state = self.seen().map(|seen| seen.state());
            let over = matches!(state, Some(None | Some(State::Completed)));
            match (self.settled(), &cancelled) {
                // What it ended with is what was asked for.
                (Some((End::Failed(_), duration)), Some(end)) => return (end.clone(), duration),
                (Some(ending), _) => return ending,
                (None, Some(end)) if over => return (end.clone(), self.elapsed()),
                (None, None) if over && silent.get_or_insert_with(Instant::now).elapsed() >= LAG => {
                    warn!("job {} has left the queue, and nothing says how it ended", self.id);
                    let status = (state == Some(Some(State::Completed))).then(ExitStatus::default);
                    return (End::Exited(status), self.elapsed());
                }
                _ if !over => silent = None,
                _ => {}
            }
            let late = !over && timeout.is_some_and(|limit| self.elapsed().is_some_and(|elapsed| elapsed >= limit));
            let mut end = (late && cancelled.is_none()).then_some(End::TimedOut);
            if end.is_none() {
                tokio::select! {
                    // The sender is ours, too.
                    _ = looks.changed() => {}
                    // The other sender lives as long as the runner; were it gone, nobody could ask.
                    true = async { kill.wait_for(|k| *k).await.is_ok() }, if cancelled.is_none() => end = Some(End::Killed),
                }
            }
            if let Some(end) = end {
                match client::scancel(self.id, &self.attempt.name).await {
                    Ok(()) => {
                        cancelled = Some(end);
                        self.queue.shared.hurry.notify_one();
                    }
                    Err(refusal) => {
                        warn!("cannot cancel job {} ({refusal})", self.id);
                        if end == End::Killed {
                            return (End::Unknown, None);
                        }
                        // The next look finds it late again.
                        let _ = looks.changed().await;
                    }
                }
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.queue.shared.watched().remove(&self.key());
    }
}

/// Cancels all jobs of an attempt but the one that has it. Which one that is, where it is not job `id`.
async fn keep_one(id: u64, attempt: &Attempt, queue: &[Row]) -> Option<u64> {
    let active = || queue.iter().filter(|row| row.state == State::Active && attempt.owns(row));
    if active().all(|row| row.id == id) {
        return None;
    }
    let kept = attempt.holder(queue)?;
    for row in active().filter(|row| row.id != kept) {
        warn!("cancelling job {}: job {kept} has the same attempt", row.id);
        if let Err(refusal) = client::scancel(row.id, &attempt.name).await {
            warn!("cannot cancel job {} ({refusal})", row.id);
        }
    }
    Some(kept).filter(|kept| *kept != id)
}

/// The end of an attempt that no job was found of and that has no result.
fn unsubmitted(attempt: &Attempt) -> End {
    if attempt.has_begun() { End::Exited(None) } else { End::NotStarted("it was never submitted".into()) }
}
