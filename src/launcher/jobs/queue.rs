//! The jobs that are watched, and how they end.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::super::{End, Ending, Facts, JobId};
use super::attempt::Attempt;
use super::states::{self, State, Traces};
use super::{Client, Refusal, Seen};

/// Between the first two looks after something has changed.
const SHORTEST: Duration = Duration::from_millis(500);

/// For how long a file system may hide from us what a job has written, and the accounts what has become of it: network
/// file systems trust what they have cached for up to a minute.
const LAG: Duration = Duration::from_secs(60);

/// How long a submission may still take that is to be given up. One that works takes less.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// A queue, as far as our jobs are concerned. Clones share one poller, which lives as long as any of them.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    _poller: Arc<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    client: Arc<dyn Client>,
    /// Jobs to look at.
    watched: Mutex<BTreeMap<Key, Attempt>>,
    latest: watch::Sender<Look>,
    /// Something is new: look soon.
    hurry: Notify,
    longest: Duration,
    /// Whether submissions are given up.
    halt: watch::Sender<bool>,
}

/// Id and name of a job: a queue that has lost its state numbers from the beginning again.
type Key = (JobId, String);

/// What was last seen of every job that was looked at.
type Look = BTreeMap<Key, Seen>;

/// A job that was submitted.
#[derive(Debug)]
pub(super) struct Job {
    /// It is looked at as long as it is here.
    queue: Queue,
    pub id: JobId,
    attempt: Attempt,
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<Key, Attempt>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at all jobs; whether anything has changed. Of a job that cannot be looked at, the last look stays.
    ///
    /// # Errors
    /// Why there is one.
    async fn look(&self) -> Result<bool, Refusal> {
        let jobs: Vec<(JobId, Attempt)> =
            self.watched().iter().map(|((id, _), attempt)| (id.clone(), attempt.clone())).collect();
        if jobs.is_empty() {
            return Ok(false);
        }
        let seen = self.client.look(&jobs).await;
        let (mut changed, mut refused) = (false, None);
        self.latest.send_modify(|look| {
            let watched = self.watched();
            look.retain(|key, _| watched.contains_key(key));
            for ((id, attempt), seen) in jobs.into_iter().zip(seen) {
                match seen {
                    Ok(seen) => {
                        let state = seen.state.clone();
                        let last = look.insert((id, attempt.name), seen);
                        changed |= last.is_none_or(|last| last.state != state);
                    }
                    Err(refusal) => refused = Some(refusal),
                }
            }
        });
        refused.map_or(Ok(changed), Err)
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

    /// The jobs of attempts ([`Client::find`]); asks until there is an answer, warning once that there is none.
    async fn insist(&self, attempts: &[&Attempt]) -> Vec<Option<JobId>> {
        let mut pause = SHORTEST;
        loop {
            match self.client.find(attempts).await {
                Ok(found) => return found,
                Err(refusal) if pause == SHORTEST => warn!("cannot look for jobs ({refusal}); trying again"),
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.longest);
        }
    }
}

impl Queue {
    /// A queue that is looked at at least every `longest` while there are jobs. Must be called inside a runtime.
    pub fn new(client: Arc<dyn Client>, longest: Duration) -> Self {
        let longest = longest.max(SHORTEST);
        let (watched, latest, hurry) = (Mutex::default(), watch::Sender::default(), Notify::new());
        let shared = Arc::new(Shared { client, watched, latest, hurry, longest, halt: watch::Sender::new(false) });
        let mut poller = JoinSet::new();
        let polled = Arc::clone(&shared);
        poller.spawn(async move { polled.poll().await });
        Self { shared, _poller: Arc::new(poller) }
    }

    /// What it is asked through.
    pub fn client(&self) -> &dyn Client {
        &*self.shared.client
    }

    /// Begins to watch a job.
    fn watch(&self, id: JobId, attempt: Attempt) -> Job {
        self.shared.watched().insert((id.clone(), attempt.name.clone()), attempt.clone());
        self.shared.hurry.notify_one();
        Job { queue: self.clone(), id, attempt }
    }

    /// Gives up every submission that is not answered soon, now and from now on.
    pub fn halt(&self) {
        self.shared.halt.send_replace(true);
    }

    /// Submits an attempt, unless a job of it is there already: one of an earlier try that only seemed to fail.
    ///
    /// # Errors
    /// [`End::NotStarted`] whatever the reason, for none is known to be final: the job may be in the queue all the same, or
    /// get there the next time. [`End::Unknown`] after [`Self::halt`].
    pub async fn submit(&self, attempt: Attempt, facts: &Facts) -> Result<Job, End> {
        let submitted = async {
            let found = self.client().find(&[&attempt]).await.map_err(|e| format!("cannot look for its job: {e}"))?;
            match found.into_iter().next().flatten() {
                Some(id) => Ok(id),
                None => self.client().submit(&attempt, facts).await.map_err(|e| format!("cannot submit: {e}")),
            }
        };
        let mut halt = self.shared.halt.subscribe();
        let halted = async {
            // The sender is ours, too.
            let _ = halt.wait_for(|halt| *halt).await;
            tokio::time::sleep(LAST_MOMENT).await;
        };
        let submitted: Result<JobId, String> = tokio::select! {
            submitted = submitted => submitted,
            () = halted => {
                let name = &attempt.name;
                warn!("the submission is not answered; the next run finds out whether {name} is in the queue");
                return Err(End::Unknown);
            }
        };
        submitted.map(|id| self.watch(id, attempt)).map_err(End::NotStarted)
    }

    /// What has become of jobs that were left in the queue, in the same order; those whose id is not known are looked for.
    /// Waits until the queue answers where they are.
    pub async fn adopt(&self, jobs: &[(Attempt, Option<JobId>)]) -> Vec<Result<Job, Ending>> {
        let unknown: Vec<&Attempt> = jobs.iter().filter(|(_, id)| id.is_none()).map(|(attempt, _)| attempt).collect();
        for attempt in &unknown {
            if self.client().is_submitting(attempt) {
                info!("waiting for the submission of {}, which an earlier run has started", attempt.name);
            }
            while self.client().is_submitting(attempt) {
                tokio::time::sleep(SHORTEST).await;
            }
        }
        let found = if unknown.is_empty() { Vec::new() } else { self.shared.insist(&unknown).await };
        let mut found = found.into_iter();
        let job = |(attempt, id): &(Attempt, Option<JobId>)| {
            let id = id.clone().or_else(|| found.next().flatten());
            id.map(|id| self.watch(id, attempt.clone()))
        };
        let found: Vec<Option<Job>> = jobs.iter().map(job).collect();
        // Where the queue does not say, they go on, and it is asked again and again.
        let _ = self.shared.look().await;
        let fate = |(job, (attempt, _)): (Option<Job>, &(Attempt, Option<JobId>))| match job {
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
        (self.id.clone(), self.attempt.name.clone())
    }

    /// The last look at it; `None` before the first.
    fn seen(&self) -> Option<Seen> {
        self.queue.shared.latest.borrow().get(&self.key()).cloned()
    }

    fn elapsed(&self) -> Option<Duration> {
        self.seen()?.elapsed
    }

    /// How it ended, if it has, going by the last look at it.
    fn settled(&self) -> Option<Ending> {
        let seen = self.seen()?;
        if let Some(other) = seen.other {
            // The next try finds that one.
            return Some((End::NotStarted(format!("job {other} has the same attempt already")), None));
        }
        let traces = if seen.state == Some(State::Active) { Traces::default() } else { self.attempt.traces() };
        Some((states::settle(seen.state.as_ref(), traces)?, seen.elapsed))
    }

    /// Waits for the end; cancels the job once it has run for `timeout`, or when `kill` turns true. The time it spends
    /// in the queue does not count.
    pub async fn wait(self, timeout: Option<Duration>, mut kill: watch::Receiver<bool>) -> Ending {
        let mut looks = self.queue.shared.latest.subscribe();
        // Why we cancelled it, and since when it has been over without a trace.
        let (mut cancelled, mut silent): (Option<End>, Option<Instant>) = (None, None);
        loop {
            looks.mark_unchanged();
            let state = self.seen().map(|seen| seen.state);
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
                match self.queue.client().cancel(&self.id, &self.attempt).await {
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

/// The end of an attempt that no job was found of and that has no result.
fn unsubmitted(attempt: &Attempt) -> End {
    if attempt.has_begun() { End::Exited(None) } else { End::NotStarted("it was never submitted".into()) }
}
