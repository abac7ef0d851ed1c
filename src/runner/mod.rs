//! The loop that keeps the slots full.
//!
//! One task owns the study and takes every event in turn, so that the journal is a linear account: processes, the
//! optimizer (on a blocking thread) and signals report to it, and nothing is acted on before it is on disk.

mod think;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::config::LauncherConfig;
use crate::launcher::{End, Facts, Outcome, Process, local, protocol};
use crate::optimizer::{Optimizer, Recommendation};
use crate::space::Mixture;
use crate::study::{Event, Purpose, StopReason, Study, StudyError, TrialId, TrialState};

use think::{Thought, think};
pub use think::{optimizer, recommend, suggest};

/// Failure rates of fewer trials say nothing.
const MIN_FINISHED: usize = 5;
/// Confirmation runs take their seeds from here on, far from any trial's number.
const CONFIRM_SEEDS: u64 = 1 << 32;

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
        /// Failed in this run.
        failed: usize,
        /// Finished in this run.
        finished: usize,
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
}

/// What just happened, for whoever shows it.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Something to say.
    Note(String),
    /// A process was started (or taken over).
    Launched(TrialId),
    /// An attempt ended; the trial's state says how.
    Ended(TrialId),
    /// A second passed.
    Tick,
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

type Attempt = (TrialId, u32, io::Result<(End, Duration)>);

struct Runner<'a, F> {
    study: &'a mut Study,
    show: F,
    launcher: LauncherConfig,
    root: PathBuf,
    began: Instant,
    jobs: JoinSet<Attempt>,
    kill: watch::Sender<bool>,
    draining: bool,
    optimizer: Option<Optimizer>,
    thinking: Option<JoinHandle<Thought>>,
    recommendation: Option<Recommendation>,
    /// Completed trials in a row that left the recommendation's value where it was, that value, and how many trials
    /// were complete then.
    calm: (usize, Option<f64>, usize),
    finished: usize,
    failed: Vec<(TrialId, String)>,
}

/// Runs the study to its end, launching trials, and keeps `show` informed.
///
/// # Errors
/// [`RunError`]; the study is saved, and trials that were running have ended or are taken over by the next run.
pub async fn run(study: &mut Study, show: impl FnMut(View<'_>, Notice)) -> Result<Ended, RunError> {
    let launcher = study.config().launcher.clone().ok_or(RunError::NoLauncher)?;
    let dir = &study.config().dir;
    let root = dir.canonicalize().map_err(|e| RunError::Io(format!("find {}", dir.display()), e))?;
    let optimizer = Some(think::optimizer(study));
    let mut runner = Runner {
        study,
        show,
        launcher,
        root,
        began: Instant::now(),
        jobs: JoinSet::new(),
        kill: watch::channel(false).0,
        draining: false,
        optimizer,
        thinking: None,
        recommendation: None,
        calm: (0, None, 0),
        finished: 0,
        failed: Vec::new(),
    };
    runner.run().await
}

impl<F: FnMut(View<'_>, Notice)> Runner<'_, F> {
    async fn run(&mut self) -> Result<Ended, RunError> {
        self.adopt()?;
        let open = |kind, name| signal(kind).map_err(|e| RunError::Io(format!("listen to {name}"), e));
        let (mut int, mut term) = (open(SignalKind::interrupt(), "SIGINT")?, open(SignalKind::terminate(), "SIGTERM")?);
        if self.unfinished_business() {
            self.set_up().await?;
        }
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut stop = self.settled();
        loop {
            if !self.draining {
                self.launch_pending(stop.is_some())?;
                if self.jobs.is_empty() && self.thinking.is_none() && stop.is_none() {
                    stop = self.exhausted();
                }
                match stop {
                    None if self.jobs.len() < self.launcher.slots => self.start_thinking(),
                    Some(reason) if self.jobs.is_empty() && self.thinking.is_none() => {
                        self.conclude(reason)?;
                        if !self.launch_pending(true)? {
                            return Ok(Ended::Finished(reason));
                        }
                    }
                    _ => {}
                }
            }
            if self.draining && self.jobs.is_empty() {
                return self.drained();
            }
            tokio::select! {
                Some(attempt) = self.jobs.join_next() => self.attempt_ended(attempt?)?,
                thought = async { self.thinking.as_mut().expect("guarded").await }, if self.thinking.is_some() => {
                    self.thinking = None;
                    stop = self.thought(thought?)?.or(stop);
                }
                _ = int.recv() => self.interrupt(),
                _ = term.recv() => self.interrupt(),
                _ = tick.tick() => self.tell(Notice::Tick),
            }
            let late = self.study.config().budget.wall_time.is_some_and(|limit| self.began.elapsed() >= limit);
            stop = stop.or(late.then_some(StopReason::WallTime));
        }
    }

    fn tell(&mut self, notice: Notice) {
        let view = View { study: self.study, recommendation: self.recommendation.as_ref(), began: self.began };
        (self.show)(view, notice);
    }

    fn drained(&self) -> Result<Ended, RunError> {
        match self.failed.last() {
            Some((trial, reason)) if self.too_many_failures() => Err(RunError::FailureRate {
                failed: self.failed.len(),
                finished: self.finished,
                reason: reason.clone(),
                dir: self.root.join("trials").join(format!("{trial:04}")),
            }),
            _ => Ok(Ended::Interrupted),
        }
    }

    fn too_many_failures(&self) -> bool {
        self.finished >= MIN_FINISHED
            && self.failed.len() as f64 > self.launcher.max_failure_rate * self.finished as f64
    }

    /// Stops launching; the second time kills what runs.
    fn interrupt(&mut self) {
        if self.draining {
            self.kill.send_replace(true);
            self.tell(Notice::Note("killing the running trials; they start again on resume".into()));
        } else {
            self.draining = true;
            let n = self.jobs.len();
            self.tell(Notice::Note(format!("waiting for {n} running trial(s) to end; interrupt again to kill them")));
        }
    }

    /// What a crashed run left behind: a process still at work is waited for, a result is taken, the rest starts again.
    fn adopt(&mut self) -> Result<(), RunError> {
        if !self.study.trials().is_empty() {
            self.study.record(Event::Resumed { version: env!("CARGO_PKG_VERSION").into() })?;
        }
        let running: Vec<_> = self.study.trials().iter().cloned().collect();
        for trial in running {
            let TrialState::Running { process, since } = trial.state else { continue };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let age = Duration::try_from_secs_f64(now - since).unwrap_or_default();
            let facts = Facts::new(self.study, &trial, &self.root);
            let adopted = Process::adopt(&facts.dir, process, age);
            let adopted = adopted.map_err(|e| RunError::Io(format!("look after trial {}", trial.id), e))?;
            match adopted {
                Some(process) => {
                    self.watch(trial.id, trial.attempts, process);
                    self.tell(Notice::Note(format!("trial {} is still running; waiting for it", trial.id)));
                }
                None => self.judge(trial.id, trial.attempts, End::Exited(None), None)?,
            }
        }
        Ok(())
    }

    fn watch(&mut self, trial: TrialId, attempt: u32, process: Process) {
        let (timeout, grace, kill) = (self.launcher.timeout, self.launcher.grace, self.kill.subscribe());
        self.jobs.spawn(async move { (trial, attempt, process.wait(timeout, grace, kill).await) });
    }

    /// Whether anything will be launched, so that `setup` is worth running.
    fn unfinished_business(&self) -> bool {
        self.study.trials().iter().any(|t| matches!(t.state, TrialState::Pending))
            || self.settled().or(self.exhausted()).is_none()
            || self.study.stopped().is_none()
    }

    async fn set_up(&mut self) -> Result<(), RunError> {
        let Some((program, arguments)) = self.launcher.setup.as_ref().and_then(|argv| argv.split_first()) else {
            return Ok(());
        };
        // Stdout is for results: what the set-up prints goes where progress goes.
        let mut command = Command::new(program);
        command.args(arguments).envs(&self.launcher.env).stdin(Stdio::null()).stdout(io::stderr());
        let status = command.status().await.map_err(|e| RunError::Setup(format!("cannot start `{program}`: {e}")))?;
        if status.success() { Ok(()) } else { Err(RunError::Setup(format!("`{program}` ended with {status}"))) }
    }

    /// Launches pending trials while there are slots; of the confirmation only once the search has `ended`. Says whether
    /// anything runs.
    fn launch_pending(&mut self, ended: bool) -> Result<bool, RunError> {
        let pending = |t: &&crate::study::Trial| matches!(t.state, TrialState::Pending) && (ended || t.searching());
        let pending: Vec<_> = self.study.trials().iter().filter(pending).cloned().collect();
        for trial in pending {
            if self.jobs.len() >= self.launcher.slots {
                break;
            }
            let facts = Facts::new(self.study, &trial, &self.root);
            let attempt = trial.attempts + 1;
            local::prepare(&facts, trial.attempts)
                .map_err(|e| RunError::Io(format!("prepare {}", facts.dir.display()), e))?;
            self.study.record(Event::Launched { trial: trial.id, attempt })?;
            match Process::spawn(&self.launcher, &facts, attempt) {
                Ok(process) => {
                    if let Some((pid, start_time)) = process.identity() {
                        self.study.record(Event::Started { trial: trial.id, attempt, pid, start_time })?;
                    }
                    self.watch(trial.id, attempt, process);
                    self.tell(Notice::Launched(trial.id));
                }
                Err(e) => self.fail(trial.id, attempt, e.to_string(), None)?,
            }
        }
        Ok(!self.jobs.is_empty())
    }

    fn attempt_ended(&mut self, (trial, attempt, end): Attempt) -> Result<(), RunError> {
        let (end, duration) = end.map_err(|e| RunError::Io(format!("wait for trial {trial}"), e))?;
        self.judge(trial, attempt, end, Some(duration.as_secs_f64()))
    }

    /// Records how an attempt ended.
    fn judge(&mut self, id: TrialId, attempt: u32, end: End, duration: Option<f64>) -> Result<(), RunError> {
        let trial = self.study.trial(id)?;
        let facts = Facts::new(self.study, trial, &self.root);
        let read = || {
            let stdout = facts.dir.join("stdout.log");
            protocol::read(&facts.result_file(), &stdout, &self.study.config().objective)
        };
        match end {
            End::Killed => return self.lost(id, attempt),
            End::TimedOut => {
                let limit = self.launcher.timeout.unwrap_or_default().as_secs_f64();
                return self.fail(id, attempt, format!("timed out after {limit} s"), duration);
            }
            End::Exited(Some(status)) if !status.success() => {
                return self.fail(id, attempt, format!("the command ended with {status}"), duration);
            }
            End::Exited(_) => {}
        }
        match read() {
            Ok(Outcome::Completed(mut outcome)) => {
                outcome.duration = duration;
                self.study.record(Event::Completed { trial: id, outcome })?;
                self.finished += 1;
            }
            Ok(Outcome::Diverged) => {
                let last = trial.divergences >= self.launcher.retry_diverged;
                self.finished += usize::from(last);
                self.study.record(Event::Diverged { trial: id, attempt, last, duration })?;
            }
            // Nobody saw how it ended, and it left nothing: it died with the machine or with us.
            Err(_) if matches!(end, End::Exited(None)) => return self.lost(id, attempt),
            Err(reason) => return self.fail(id, attempt, reason, duration),
        }
        self.tell(Notice::Ended(id));
        Ok(())
    }

    fn lost(&mut self, trial: TrialId, attempt: u32) -> Result<(), RunError> {
        self.study.record(Event::Interrupted { trial, attempt })?;
        Ok(())
    }

    fn fail(&mut self, id: TrialId, attempt: u32, reason: String, duration: Option<f64>) -> Result<(), RunError> {
        let last = self.study.trial(id)?.failures >= self.launcher.retries;
        self.study.record(Event::Failed { trial: id, attempt, reason: reason.clone(), last, duration })?;
        if last {
            self.finished += 1;
            self.failed.push((id, reason));
            self.draining |= self.too_many_failures();
        }
        self.tell(Notice::Ended(id));
        Ok(())
    }

    /// A search that ended for a reason which this run cannot look at again.
    fn settled(&self) -> Option<StopReason> {
        let budget = &self.study.config().budget;
        self.study.stopped().map(|(reason, _)| reason).filter(|reason| match reason {
            StopReason::Patience => budget.patience.is_some(),
            StopReason::Converged => budget.regret.is_some(),
            StopReason::Budget | StopReason::Trials | StopReason::WallTime => false,
        })
    }

    /// Fidelities at which another trial fits into the budget, or why there is none.
    fn affordable(&self) -> Result<Vec<usize>, StopReason> {
        let budget = &self.study.config().budget;
        let (counts, spent, costs) = (self.study.counts(), self.study.spent(), self.study.costs());
        let open = self.study.open_fidelities();
        let begun = spent.trials + counts.running + counts.pending;
        if open.is_empty() || budget.trials.is_some_and(|limit| begun >= limit) {
            return Err(StopReason::Trials);
        }
        let unfinished = self.study.trials().iter().filter(|t| t.searching() && !t.finished());
        let committed: f64 = spent.cost + unfinished.map(|t| costs[t.fidelity]).sum::<f64>();
        // Sums of decimal fractions: 0.1 + 0.2 must fit into 0.3.
        let fits = |i: &usize| budget.cost.is_none_or(|limit| committed + costs[*i] <= limit * (1.0 + 1e-9));
        let fitting: Vec<usize> = open.into_iter().filter(fits).collect();
        if fitting.is_empty() { Err(StopReason::Budget) } else { Ok(fitting) }
    }

    fn exhausted(&self) -> Option<StopReason> {
        self.affordable().err()
    }

    fn start_thinking(&mut self) {
        if let (None, Ok(fidelities)) = (&self.thinking, self.affordable())
            && let Some(optimizer) = self.optimizer.take()
        {
            let (evidence, seed, next) = (self.study.evidence(), self.study.config().seed, self.study.next_id());
            self.thinking =
                Some(tokio::task::spawn_blocking(move || think(optimizer, &evidence, &fidelities, seed, next)));
        }
    }

    /// Takes the optimizer's answer: journals the trial, or says why the search is over.
    fn thought(&mut self, thought: Thought) -> Result<Option<StopReason>, RunError> {
        let snapshot = thought.optimizer.snapshot().filter(|s| self.study.model() != Some(s)).cloned();
        self.optimizer = Some(thought.optimizer);
        if self.draining {
            return Ok(None);
        }
        if let Some(snapshot) = snapshot {
            self.study.record(Event::Model(snapshot))?;
        }
        let stop = self.calmed(&thought.recommendation);
        self.recommendation = Some(thought.recommendation);
        if stop.is_some() {
            return Ok(stop);
        }
        let Some(suggestion) = thought.suggestion else { return Ok(Some(StopReason::Trials)) };
        if let Some(warning) = suggestion.warning {
            self.tell(Notice::Note(format!("warning: {warning}")));
        }
        let id = self.study.next_id();
        self.study.suggest(&suggestion.mixture, suggestion.fidelity, Purpose::Search, id, suggestion.expected)?;
        Ok(None)
    }

    /// The patience and regret rules.
    fn calmed(&mut self, recommendation: &Recommendation) -> Option<StopReason> {
        let budget = &self.study.config().budget;
        let complete = self.study.counts().complete;
        if let (Some(limit), Some(regret)) = (budget.regret, recommendation.expected_regret)
            && regret <= limit
        {
            return Some(StopReason::Converged);
        }
        let expected = recommendation.expected?;
        let (calm, before, seen) = self.calm;
        let still = before.is_some_and(|b| (b - expected.mean).abs() <= expected.sd);
        let calm = if still { calm + complete.saturating_sub(seen) } else { 0 };
        // The value is kept while it holds, so that a slow drift is a change too.
        self.calm = (calm, if still { before } else { Some(expected.mean) }, complete);
        budget.patience.filter(|patience| calm >= *patience).map(|_| StopReason::Patience)
    }

    /// Records the end of the search and what is still to be confirmed.
    fn conclude(&mut self, reason: StopReason) -> Result<(), RunError> {
        let recommended = match self.study.stopped() {
            Some((known, mixture)) if known == reason => mixture.clone(),
            _ => {
                let recommendation = recommend(self.study);
                let mixture = recommendation.mixture.clone();
                self.recommendation = Some(recommendation);
                self.study.record(Event::Stopped { reason, recommended: self.study.named(&mixture) })?;
                mixture
            }
        };
        let Some(confirm) = self.study.config().confirm.clone() else { return Ok(()) };
        let (target, uniform) = (self.study.config().fidelities.target(), self.study.config().space.uniform());
        for (purpose, mixture) in [(Purpose::ConfirmRecommended, recommended), (Purpose::ConfirmUniform, uniform)] {
            let have: HashSet<u32> = confirmations(self.study, purpose, &mixture).map(|t| t.seed).collect();
            for index in (0..confirm.seeds as u64).map(|i| CONFIRM_SEEDS + i) {
                if !have.contains(&crate::study::seed_of(self.study.config().seed, index)) {
                    self.study.suggest(&mixture, target, purpose, index, None)?;
                }
            }
        }
        Ok(())
    }
}

/// The confirmation runs of a mixture.
pub fn confirmations<'a>(
    study: &'a Study,
    purpose: Purpose,
    mixture: &'a Mixture,
) -> impl Iterator<Item = &'a crate::study::Trial> {
    study.trials().iter().filter(move |t| t.purpose == purpose && t.mixture == *mixture)
}
