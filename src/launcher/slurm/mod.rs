//! Trials as jobs of Slurm, one job an attempt.
//!
//! A job is known by its name from before it exists (the journal has the name first), so that one that was submitted
//! just before a crash is found again. All jobs are looked at together, by one `squeue`; `sacct` is asked for those that
//! have left the queue, but need not know them, or exist: the script notes its exit code beside the result.

mod client;
mod script;
pub mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::warn;

use super::{End, Ending, Found, Left, Running};
use crate::study::Mark;
use client::{Accounts, Refusal};
use states::{Row, State, Traces};

pub use script::{job_name, quote, script};

/// Between the first two looks after something has changed.
const SHORTEST: Duration = Duration::from_millis(500);

/// For how long a file system may hide from us what a job has written, and the accounts what has become of it: network
/// file systems trust what they have cached for up to a minute.
const LAG: Duration = Duration::from_secs(60);

/// Slurm's queue, as far as our jobs are concerned. Clones share one poller.
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
    _poller: Arc<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Jobs to look at, with their names.
    watched: Mutex<BTreeMap<u64, String>>,
    latest: watch::Sender<Look>,
    /// Something is new: look soon.
    hurry: Notify,
    longest: Duration,
}

/// What was last seen of every job that was looked at; `None` for one that Slurm does not know any more.
type Look = BTreeMap<u64, Option<Row>>;

/// A job that was submitted.
#[derive(Debug)]
pub struct Job {
    shared: Arc<Shared>,
    id: u64,
    name: String,
    dir: PathBuf,
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch a job.
    fn job(self: &Arc<Self>, id: u64, name: &str, dir: &Path) -> Job {
        self.watched().insert(id, name.to_owned());
        self.hurry.notify_one();
        Job { shared: Arc::clone(self), id, name: name.to_owned(), dir: dir.to_owned() }
    }

    /// Looks at all jobs; whether anything has changed.
    async fn look(&self) -> Result<bool, Refusal> {
        let watched = self.watched().clone();
        let names: BTreeSet<&str> = watched.values().map(String::as_str).collect();
        let mut seen: BTreeMap<u64, Row> = BTreeMap::new();
        if !names.is_empty() {
            let rows = client::squeue(&names.into_iter().collect::<Vec<_>>()).await?;
            seen.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let gone: Vec<u64> = watched.keys().copied().filter(|id| !seen.contains_key(id)).collect();
        if !gone.is_empty() {
            let rows = client::sacct(Accounts::Numbers(&gone)).await;
            // Accounts lag: what they take for active has left the queue all the same.
            seen.extend(rows.into_iter().filter(|row| row.state != State::Active).map(|row| (row.id, row)));
        }
        let look: Look = watched.into_keys().map(|id| (id, seen.remove(&id))).collect();
        let states = |look: &Look| -> Vec<(u64, Option<State>)> {
            look.iter().map(|(id, row)| (*id, row.as_ref().map(|r| r.state))).collect()
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
                    silent = false;
                }
                Err(refusal) => {
                    if !silent {
                        warn!("cannot look at the jobs ({refusal}); trying again");
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
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        let longest = longest.max(SHORTEST);
        let (watched, latest, hurry) = (Mutex::default(), watch::Sender::default(), Notify::new());
        let shared = Arc::new(Shared { watched, latest, hurry, longest });
        let mut poller = JoinSet::new();
        let polled = Arc::clone(&shared);
        poller.spawn(async move { polled.poll().await });
        Self { shared, _poller: Arc::new(poller) }
    }

    /// Submits a script under `name` in a trial's directory.
    ///
    /// A submission that seems to have failed may be in the queue all the same, so it is looked for before it is tried
    /// again or given up. While Slurm is out of reach or full, that goes on until `kill` turns true.
    ///
    /// # Errors
    /// How the attempt has ended instead.
    pub async fn submit(
        &self,
        name: &str,
        dir: &Path,
        script: &str,
        mut kill: watch::Receiver<bool>,
    ) -> Result<Job, End> {
        fs::write(dir.join("job.sh"), script).map_err(|e| End::NotStarted(format!("cannot write job.sh: {e}")))?;
        let (names, mut pause) = ([name], SHORTEST);
        loop {
            let refusal = match client::sbatch(dir).await {
                Ok(id) => return Ok(self.shared.job(id, name, dir)),
                Err(Refusal::NotRun(why)) => return Err(End::NotStarted(why)),
                Err(refusal) => refusal,
            };
            let passing = matches!(refusal, Refusal::Passing(_));
            if passing && pause == SHORTEST {
                warn!("cannot submit {name} ({refusal}); trying again");
            }
            let look = async {
                if passing {
                    tokio::time::sleep(pause).await;
                }
                self.shared.insist("look for the job", || client::squeue(&names)).await
            };
            let rows = tokio::select! {
                rows = look => rows,
                true = async { kill.wait_for(|k| *k).await.is_ok() } => return Err(End::Unknown),
            };
            if let Some(row) = newest(&rows, name, dir) {
                return Ok(self.shared.job(row.id, name, dir));
            }
            if !passing {
                return Err(End::NotStarted(format!("cannot submit: {refusal}")));
            }
            pause = (pause * 2).min(self.shared.longest);
        }
    }

    /// What has become of the jobs among the attempts that were left running, in the same order. Waits until Slurm
    /// answers.
    pub async fn adopt(&self, left: &[Left]) -> Vec<Found> {
        let jobs: Vec<(&Left, &str, Option<u64>)> = left
            .iter()
            .filter_map(|left| match &left.mark {
                Some(Mark::Job { name, id }) => Some((left, name.as_str(), *id)),
                _ => None,
            })
            .collect();
        let unnumbered: Vec<&str> = jobs.iter().filter(|(_, _, id)| id.is_none()).map(|(_, name, _)| *name).collect();
        let mut rows = Vec::new();
        for (left, ..) in jobs.iter().filter(|(_, _, id)| id.is_none()) {
            while client::is_submitting(&left.facts.dir) {
                tokio::time::sleep(SHORTEST).await;
            }
        }
        if !unnumbered.is_empty() {
            // The accounts first: what both know, the queue knows better.
            let oldest = jobs.iter().map(|(left, ..)| left.age).max().unwrap_or_default();
            rows = client::sacct(Accounts::Names(&unnumbered, oldest + LAG)).await;
            rows.extend(self.shared.insist("look for jobs", || client::squeue(&unnumbered)).await);
        }
        let found: Vec<Option<Job>> = jobs
            .iter()
            .map(|(left, name, id)| {
                let dir = &left.facts.dir;
                let id = id.or_else(|| newest(&rows, name, dir).map(|row| row.id));
                id.map(|id| self.shared.job(id, name, dir))
            })
            .collect();
        self.shared.insist("look at the jobs", || self.shared.look()).await;
        let fate = |(job, (left, ..)): (Option<Job>, &(&Left, &str, Option<u64>))| match job {
            Some(job) => match job.settled() {
                Some(ending) => Found::Over(ending),
                None => Found::Running(Running::Job(job)),
            },
            // It never was in the queue, or is forgotten there: then what it has written decides.
            None => Found::Over((states::settle(None, traces(&left.facts.dir)).unwrap_or(End::Exited(None)), None)),
        };
        found.into_iter().zip(&jobs).map(fate).collect()
    }
}

impl Job {
    /// By what a later `admire` will recognize it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark::Job { name: self.name.clone(), id: Some(self.id) }
    }

    /// Its state, as last seen: `None` before it was looked at, `Some(None)` when Slurm does not know it.
    fn state(&self) -> Option<Option<State>> {
        self.shared.latest.borrow().get(&self.id).map(|row| row.as_ref().map(|r| r.state))
    }

    fn elapsed(&self) -> Option<Duration> {
        self.shared.latest.borrow().get(&self.id)?.as_ref()?.elapsed
    }

    /// How it ended, if it has, going by the last look at it.
    fn settled(&self) -> Option<Ending> {
        let state = self.state()?;
        let traces = if state == Some(State::Active) { Traces::default() } else { traces(&self.dir) };
        Some((states::settle(state, traces)?, self.elapsed()))
    }

    /// Waits for the end; cancels the job once it has run for `timeout`, or when `kill` turns true. The time it spends
    /// in the queue does not count.
    pub async fn wait(self, timeout: Option<Duration>, mut kill: watch::Receiver<bool>) -> Ending {
        let mut looks = self.shared.latest.subscribe();
        // Why we cancelled it, and since when it has been over without a trace.
        let (mut cancelled, mut silent): (Option<End>, Option<Instant>) = (None, None);
        loop {
            looks.mark_unchanged();
            let over = matches!(self.state(), Some(None | Some(State::Completed)));
            match (self.settled(), &cancelled) {
                // What it ended with is what was asked for.
                (Some((End::Failed(_), duration)), Some(end)) => return (end.clone(), duration),
                (Some(ending), _) => return ending,
                (None, Some(end)) if over => return (end.clone(), self.elapsed()),
                (None, None) if over && silent.get_or_insert_with(Instant::now).elapsed() >= LAG => {
                    let why = "the job left the queue without a result, and nothing says how it ended";
                    return (End::Failed(why.into()), self.elapsed());
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
                match client::scancel(self.id).await {
                    Ok(()) => {
                        cancelled = Some(end);
                        self.shared.hurry.notify_one();
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
        self.shared.watched().remove(&self.id);
    }
}

/// The latest job of a name that was submitted in `dir`. The name alone could be that of a colleague's study.
fn newest<'a>(rows: &'a [Row], name: &str, dir: &Path) -> Option<&'a Row> {
    let here = |row: &&Row| row.name == name && fs::canonicalize(&row.dir).is_ok_and(|d| d == dir);
    rows.iter().filter(here).max_by_key(|row| row.id)
}

/// What a job has left in its trial's directory.
fn traces(dir: &Path) -> Traces {
    // Reading the directory has a network file system look at what is in it now.
    if let Ok(entries) = fs::read_dir(dir) {
        entries.for_each(drop);
    }
    let exit = fs::read_to_string(dir.join("exit.txt")).ok().and_then(|text| text.trim().parse().ok());
    Traces { exit, result: dir.join("result.json").exists() }
}
