//! The loop that keeps the slots full.
//!
//! One task owns the study and takes every event in turn, so that the journal is a linear account: processes, the
//! optimizer (on a blocking thread) and signals report to it, and nothing is acted on before it is on disk.

mod backoff;
mod facts;
mod hook;
mod notice;
mod search;
mod setup;
mod signals;
mod stderr;
mod thread;
mod trials;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::info;

use crate::advice::{self, Thought};
use crate::launcher::{End, Ending, Fate, Launcher, Started};
use crate::optimizer::{Optimizer, Recommendation};
use crate::study::{Event, OpenStudy, StopReason, Study, StudyError, TrialId, TrialState};
use crate::text::counted;

use backoff::Backoff;
pub use facts::facts;
use hook::Hook;
use notice::Notice;
use signals::Signals;
use stderr::Quoted;

/// Failure rates of fewer trials say nothing.
const MIN_FINISHED: usize = 5;

/// How a run of the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The search is over, and the confirmation too.
    Finished(StopReason),
    /// By a signal; everything is saved.
    Interrupted,
}

/// Why the loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal cannot be written, or does not fit.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// There is no training command.
    #[error("the config has no [launcher]; add one, or use `admire suggest` and `admire tell`")]
    NoLauncher,
    /// `launcher.setup` did not succeed.
    #[error("launcher.setup failed: {0}")]
    Setup(String),
    /// Too many trials fail.
    #[error(
        "{failed} of {finished} trials failed, more than launcher.max_failure_rate allows; the last one because: \
         {reason}\nIts files are in {}", dir.display()
    )]
    FailureRate {
        /// Failed since the launcher was last changed.
        failed: usize,
        /// Finished since then.
        finished: usize,
        /// Why the last one failed.
        reason: String,
        /// Where its logs are.
        dir: PathBuf,
    },
    /// The search is over, and nothing is known.
    #[error(
        "the search has ended ({reason}) without one complete run, so nothing is recommended{}",
        last.as_ref().map_or_else(String::new, |last| format!("; the last attempt failed: {last}"))
    )]
    NothingComplete {
        /// Why the search ended.
        reason: StopReason,
        /// Why the last attempt failed.
        last: Option<String>,
    },
    /// Attempts fail so soon that they would go on for ever.
    #[error(
        "attempts at {fidelity} have failed or diverged that would have cost {lost} as whole runs, which is more than \
         budget.cost; none was complete meanwhile; the last one because: {reason}\nIts files are in {}", dir.display()
    )]
    Fruitless {
        /// Where.
        fidelity: String,
        /// What as many runs would have cost.
        lost: f64,
        /// Why the last one failed.
        reason: String,
        /// Where its logs are.
        dir: PathBuf,
    },
    /// The system refused something that every trial needs.
    #[error("cannot {0}")]
    Io(String, #[source] io::Error),
    /// A task of the loop itself died.
    #[error("a task of the loop died; this is a bug")]
    Task(#[from] JoinError),
    /// A thread of the loop itself died.
    #[error("a thread of the loop died; this is a bug")]
    Thread(#[from] RecvError),
}

impl RunError {
    /// A thread could not be started.
    fn thread(error: io::Error) -> Self {
        Self::Io("start a thread".into(), error)
    }
}

/// What can be shown at any moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The study.
    pub study: &'a Study,
    /// The latest recommendation.
    pub recommendation: Option<&'a Recommendation>,
    /// When this run began.
    pub began: Instant,
}

type Attempt = (TrialId, u32, io::Result<Ending>);

struct Runner<'a, F> {
    study: &'a mut OpenStudy,
    show: F,
    hook: Option<Hook>,
    launcher: Launcher,
    reports: mpsc::UnboundedReceiver<Started>,
    root: PathBuf,
    began: Instant,
    jobs: JoinSet<Attempt>,
    kill: watch::Sender<bool>,
    draining: Option<Draining>,
    /// By fidelity, what the attempts would have cost as whole runs that failed or diverged since a trial there was complete.
    lost: Vec<f64>,
    optimizer: Option<Optimizer>,
    /// At most one.
    thinking: JoinSet<Result<Thought, RecvError>>,
    /// After a trial could not be started.
    backoff: Backoff,
    /// Whether the next trial is to wait for the end of one that is running.
    waiting: bool,
    recommendation: Option<Recommendation>,
    /// What the log has of the stderr of failed attempts.
    quoted: Quoted,
}

/// Why nothing is launched any more.
#[derive(Debug)]
enum Draining {
    Interrupted,
    /// Too much fails.
    Failing(RunError),
}

/// Runs the study to its end, launching trials. Whenever something has happened, and every second, `show` is called.
///
/// # Errors
/// [`RunError`]; the study is saved, and trials that were running have ended or are taken over by the next run.
pub async fn run(study: &mut OpenStudy, show: impl FnMut(View<'_>)) -> Result<Ended, RunError> {
    let mut signals = Signals::listen().map_err(|e| RunError::Io("listen to signals".into(), e))?;
    let (report, reports) = mpsc::unbounded_channel();
    let launcher = launcher(study, report)?;
    let dir = &study.config().dir;
    let root = dir.canonicalize().map_err(|e| RunError::Io(format!("find {}", dir.display()), e))?;
    // Commands get it as text, and Slurm prints it in lines.
    if root.to_str().is_none_or(|path| path.contains(char::is_control)) {
        let reason =
            io::Error::other("its path is not UTF-8, or has control characters in it; choose another study.dir");
        return Err(RunError::Io(format!("use {}", dir.display()), reason));
    }
    let optimizer = Some(advice::optimizer(study));
    let lost = vec![0.0; study.config().fidelities.len()];
    let mut runner = Runner {
        study,
        show,
        hook: Hook::new(launcher.config(), &root),
        launcher,
        reports,
        root,
        began: Instant::now(),
        jobs: JoinSet::new(),
        kill: watch::channel(false).0,
        draining: None,
        lost,
        optimizer,
        thinking: JoinSet::new(),
        backoff: Backoff::default(),
        waiting: false,
        recommendation: None,
        quoted: Quoted::default(),
    };
    let result = runner.run(&mut signals).await;
    let result = runner.halted(result);
    runner.ended(&result);
    if let Some(hook) = runner.hook.take() {
        hook.finish(&mut signals).await;
    }
    result
}

fn launcher(study: &Study, report: mpsc::UnboundedSender<Started>) -> Result<Launcher, RunError> {
    let config = study.config().launcher.clone().ok_or(RunError::NoLauncher)?;
    Launcher::new(config, report).map_err(|e| RunError::Io("launch trials".into(), e))
}

/// Ends what an earlier run of the loop has left at work; false where some of it is out of reach.
///
/// # Errors
/// [`RunError`]
pub async fn end_orphans(study: &Study) -> Result<bool, RunError> {
    let (report, _reports) = mpsc::unbounded_channel();
    let launcher = launcher(study, report)?;
    let cannot = |e| RunError::Io("look after running trials".into(), e);
    let root = study.config().dir.canonicalize().map_err(cannot)?;
    let (_kill, killed) = watch::channel(true);
    let mut ended = true;
    for found in launcher.adopt(trials::left(study, &root)?).await.map_err(cannot)? {
        let end = match found {
            Fate::Running(running) => running.wait(killed.clone()).await.map_err(cannot)?.0,
            Fate::Over((end, _)) => end,
        };
        ended &= end != End::Unknown;
    }
    Ok(ended)
}

impl<F: FnMut(View<'_>)> Runner<'_, F> {
    async fn run(&mut self, signals: &mut Signals) -> Result<Ended, RunError> {
        let (name, n) = (&self.study.config().name, self.study.trials().len());
        let words = format!("study {name} in {}: {} so far", self.root.display(), counted(n, "trial"));
        self.tell(Notice::study("study_started", self.study, words));
        if !self.adopt(signals).await? {
            return Ok(Ended::Interrupted);
        }
        if self.unfinished_business() && !self.set_up(signals).await? {
            self.interrupt();
        }
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut stop = self.settled();
        loop {
            if self.draining.is_none() {
                let at_work = self.launch_pending(stop)? || !self.thinking.is_empty();
                if !at_work && stop.is_none() {
                    stop = self.exhausted();
                }
                match stop {
                    None if self.has_room() => self.start_thinking()?,
                    Some(reason) if !at_work => {
                        self.conclude(reason)?;
                        if !self.launch_pending(stop)? {
                            return Ok(Ended::Finished(reason));
                        }
                    }
                    _ => {}
                }
            }
            if self.draining.is_some() && self.jobs.is_empty() {
                return self.drained();
            }
            // What ends while the optimizer thinks is journalled after its answer, so that all that it knew is in the
            // entries before the answer. That costs nothing: a slot stays empty until then anyway.
            let listening = self.thinking.is_empty() || self.draining.is_some();
            tokio::select! {
                // In this order: whoever asks for an end is heard before anything is made of what ends because of that.
                biased;
                () = signals.next() => self.interrupt(),
                Some(attempt) = self.jobs.join_next(), if listening => {
                    self.attempt_ended(attempt?)?;
                    // Jobs are seen to end in batches: the optimizer is to know all of one.
                    while let Some(more) = self.jobs.try_join_next() {
                        self.attempt_ended(more?)?;
                    }
                }
                Some(report) = self.reports.recv() => self.reported(report)?,
                Some(thought) = self.thinking.join_next() => stop = self.thought(thought??, stop)?,
                () = self.backoff.wait(), if self.draining.is_none() => {}
                _ = tick.tick() => self.refresh(),
            }
            let late = self.study.config().budget.wall_time.is_some_and(|limit| self.began.elapsed() >= limit);
            stop = stop.or(late.then_some(StopReason::WallTime));
        }
    }

    /// Whether a slot is free for a trial that is yet to be decided on.
    fn has_room(&self) -> bool {
        self.jobs.len() < self.launcher.config().slots && !self.waiting && !self.backoff.active()
    }

    /// Tells everybody what has happened.
    fn tell(&mut self, notice: Notice) {
        notice.log();
        if let Some(hook) = &mut self.hook {
            hook.send(notice);
        }
        self.refresh();
    }

    fn refresh(&mut self) {
        let recommendation = self.recommendation.as_ref();
        (self.show)(View { study: self.study, recommendation, began: self.began });
    }

    /// Journals why the search has not ended, if it has not. Where that cannot be journalled, nothing is said to be saved.
    fn halted(&mut self, result: Result<Ended, RunError>) -> Result<Ended, RunError> {
        let reason = match &result {
            // The journal itself is what is wrong.
            Ok(Ended::Finished(_)) | Err(RunError::Study(_)) => return result,
            Ok(Ended::Interrupted) => "it was interrupted".to_owned(),
            Err(error) => error.to_string(),
        };
        match (self.study.record(Event::Halted { reason }), result) {
            (Err(error), Ok(_)) => Err(error.into()),
            (_, result) => result,
        }
    }

    /// Tells how it all ended.
    fn ended(&mut self, result: &Result<Ended, RunError>) {
        match result {
            Ok(Ended::Finished(reason)) => {
                let weights = self.study.stopped().map(|stopped| self.study.named(&stopped.mixture));
                let expected = self.recommendation.as_ref().and_then(|r| r.expected);
                let notice = Notice::study(
                    "study_stopped",
                    self.study,
                    format!("the study has stopped ({reason}): {}", advice::explained(self.study, *reason)),
                );
                self.tell(Notice { weights, expected, ..notice.because(reason.to_string()) });
            }
            Ok(Ended::Interrupted) => {
                self.tell(Notice::study("study_interrupted", self.study, "interrupted; everything is saved"));
            }
            // Whoever called says it.
            Err(error) => {
                let notice = Notice::study("study_failed", self.study, error.to_string());
                if let Some(hook) = &mut self.hook {
                    hook.send(notice.because(error.to_string()));
                }
            }
        }
    }

    fn drained(&mut self) -> Result<Ended, RunError> {
        match self.draining.take() {
            Some(Draining::Failing(error)) => Err(error),
            _ => Ok(Ended::Interrupted),
        }
    }

    /// How many trials failed, of how many that finished, since the launcher was last changed.
    fn failures(&self) -> (usize, usize) {
        let finished = || self.study.trials().iter().filter(|t| t.finished() && !t.outdated);
        (finished().filter(|t| matches!(t.state, TrialState::Failed { .. })).count(), finished().count())
    }

    /// Stops launching; the second time kills what runs.
    fn interrupt(&mut self) {
        let again = self.draining.replace(Draining::Interrupted).is_some();
        self.launcher.halt();
        let n = self.jobs.len();
        if again {
            self.kill.send_replace(true);
            info!("killing the running trials; they start again on resume");
        } else if n > 0 {
            let (n, kill) = (counted(n, "running trial"), self.launcher.on_kill());
            info!("waiting for {n} to end; interrupt again to {kill}");
        }
    }
}
