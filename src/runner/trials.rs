//! One trial: how it is launched, watched, and judged when it ends.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::notice::Notice;
use super::signals::Signals;
use super::{Attempt, Draining, MIN_FINISHED, RunError, Runner, View, facts};
use crate::launcher::{self, End, Facts, Fate, Left, Outcome, Running, Started, prepare, protocol};
use crate::problem::{Handle, Launch, affordable};
use crate::study::{Cause, Event, Resumed, StopReason, Study, Trial, TrialId, TrialState};
use crate::text::{command_line, counted};

/// That a trial cannot be started is said at first, and again at every pause that is at least so long.
const REMINDED: Duration = Duration::from_secs(60);

/// From so many deaths in a row on that nobody saw, each counts as a failure: a trial may be what brings its machine down.
const UNSEEN_DEATHS: u32 = 3;

/// The attempts that an earlier run has not seen end.
pub(super) fn left(study: &Study, root: &Path) -> Result<Vec<Left>, RunError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let left = study.trials().iter().filter_map(|trial| {
        let TrialState::Running { launch, since, .. } = &trial.state else { return None };
        let age = Duration::try_from_secs_f64(now - since).unwrap_or_default();
        let facts = facts(study, trial, root);
        let reported = read(study, &facts).map(|result| result.is_ok());
        let cannot = |e| RunError::Io(format!("read the result of trial {}", trial.id), e);
        Some(reported.map_err(cannot).map(|reported| Left { facts, launch: launch.clone(), reported, age }))
    });
    left.collect()
}

/// The result of an attempt.
fn read(study: &Study, facts: &Facts) -> io::Result<Result<Outcome, String>> {
    protocol::read(&facts.result_file(), &facts.dir.join("stdout.log"), &study.config().objective)
}

impl<F: FnMut(View<'_>)> Runner<'_, F> {
    /// What a crashed run left behind: what is still at work is waited for, a result is taken, the rest starts again.
    /// False when that was interrupted.
    pub(super) async fn adopt(&mut self, signals: &mut Signals) -> Result<bool, RunError> {
        if !self.study.trials().is_empty() {
            self.study.record(Event::Resumed(Resumed::unchanged()))?;
        }
        let left = left(self.study, &self.root)?;
        let launcher = self.launcher.clone();
        let mut adopting = pin!(launcher.adopt(left.clone()));
        let found = loop {
            tokio::select! {
                found = &mut adopting => break found.map_err(|e| RunError::Io("look after running trials".into(), e))?,
                Some(report) = self.reports.recv() => self.reported(report)?,
                () = signals.next() => return Ok(false),
            }
        };
        for (Left { facts, launch, .. }, found) in left.iter().zip(found) {
            match found {
                Fate::Running(running) => {
                    // We died before its handle could be journalled.
                    if let Some(found) = running.handle().filter(|found| launch.handle.as_ref() != Some(found)) {
                        self.started(facts.trial, facts.attempt, found)?;
                    }
                    self.watch(facts.trial, facts.attempt, running);
                    let words = "is still running; waiting for it";
                    self.tell(Notice::trial("trial_adopted", self.study, facts.trial, words));
                }
                Fate::Over((end, duration)) => self.judge(facts.trial, facts.attempt, end, duration)?,
            }
        }
        Ok(true)
    }

    fn watch(&mut self, trial: TrialId, attempt: u32, running: Box<dyn Running>) {
        let kill = self.kill.subscribe();
        self.jobs.spawn(async move { (trial, attempt, running.wait(kill).await) });
    }

    pub(super) fn reported(&mut self, (id, attempt, handle): Started) -> Result<(), RunError> {
        self.backoff = Backoff::default();
        self.started(id, attempt, handle)?;
        let trial = self.study.trial(id)?;
        let facts = facts(self.study, trial, &self.root);
        let TrialState::Running { launch, .. } = &trial.state else { return Ok(()) };
        let how = launcher::describe(&facts, launch);
        let words = format!("{how} at {}, attempt {attempt}", facts.fidelity);
        self.tell(Notice::trial("trial_started", self.study, id, words));
        let command: Vec<String> = self.launcher.config().command.iter().map(|a| facts.render(a)).collect();
        debug!(trial = id, "trial {id} runs {} with its files in {}", command_line(&command), facts.dir.display());
        Ok(())
    }

    /// Journals by what a running attempt is recognized.
    fn started(&mut self, id: TrialId, attempt: u32, handle: Handle) -> Result<(), RunError> {
        let named = matches!(&self.study.trial(id)?.state, TrialState::Running { launch, .. } if launch.name.is_some());
        let event = match named {
            true => Event::Submitted { trial: id, attempt, handle },
            false => Event::Started { trial: id, attempt, handle },
        };
        Ok(self.study.record(event)?)
    }

    /// Launches pending trials while there are slots; of the confirmation only once the search has to `stop`, of the
    /// search not when its time is over. Says whether anything runs, or waits to be tried again.
    pub(super) fn launch_pending(&mut self, stop: Option<StopReason>) -> Result<bool, RunError> {
        let due = |t: &&Trial| if t.searching() { stop != Some(StopReason::WallTime) } else { stop.is_some() };
        let pending = self.study.trials().iter().filter(|t| matches!(t.state, TrialState::Pending)).filter(due);
        let pending: Vec<_> = pending.cloned().collect();
        if !self.backoff.over() {
            return Ok(!self.jobs.is_empty() || !pending.is_empty());
        }
        for trial in pending {
            if self.jobs.len() >= self.launcher.config().slots {
                break;
            }
            let facts = facts(self.study, &trial, &self.root);
            let attempt = facts.attempt;
            let tried = trial.not_started.is_some();
            prepare(&facts, tried).map_err(|e| RunError::Io(format!("prepare {}", facts.dir.display()), e))?;
            let Launch { backend, name, .. } = self.launcher.reserve(&self.study.config().name, &facts);
            let (backend, job, result) = (Some(backend), name.clone(), Some(facts.result.clone()));
            self.study.record(Event::Launched { trial: trial.id, attempt, backend, job, result })?;
            let (launcher, kill) = (self.launcher.clone(), self.kill.subscribe());
            self.jobs.spawn(async move {
                let ending = launcher.run(&facts, name.as_deref(), kill).await;
                (facts.trial, attempt, ending)
            });
        }
        Ok(!self.jobs.is_empty())
    }

    pub(super) fn attempt_ended(&mut self, (trial, attempt, ending): Attempt) -> Result<(), RunError> {
        let (end, duration) = ending.map_err(|e| RunError::Io(format!("wait for trial {trial}"), e))?;
        self.waiting = false;
        // That it had started comes before that it has ended.
        while let Ok(report) = self.reports.try_recv() {
            self.reported(report)?;
        }
        self.judge(trial, attempt, end, duration)
    }

    /// Records how an attempt ended.
    fn judge(&mut self, id: TrialId, attempt: u32, end: End, duration: Option<Duration>) -> Result<(), RunError> {
        let duration = duration.map(|d| d.as_secs_f64());
        let trial = self.study.trial(id)?;
        match end {
            End::Unknown => return Ok(()),
            End::Killed => return self.interrupted(id, attempt, Cause::Killed, None),
            End::Lost(why) => return self.interrupted(id, attempt, Cause::Lost, Some(why)),
            End::NotStarted(why) => return self.interrupted(id, attempt, Cause::NotStarted, Some(why)),
            End::Failed(why) => return self.fail(id, attempt, why, duration, false),
            End::TimedOut => {
                let limit = self.launcher.config().timeout.unwrap_or_default().as_secs_f64();
                return self.fail(id, attempt, format!("timed out after {limit} s"), duration, false);
            }
            End::Exited(Some(status)) if !status.success() => {
                // Not by us: then it mostly was the kernel.
                let memory = status.signal() == Some(Signal::SIGKILL as i32);
                let hint = if memory { "; out of memory?" } else { "" };
                return self.fail(id, attempt, format!("the command ended with {status}{hint}"), duration, false);
            }
            End::Exited(_) => {}
        }
        let read = read(self.study, &facts(self.study, trial, &self.root));
        // It is there, and stays: the next run takes it.
        let read = read.map_err(|e| RunError::Io(format!("read the result of trial {id}"), e))?;
        let notice = match read {
            Ok(Outcome::Completed(mut outcome, oddities)) => {
                outcome.duration = duration;
                let known = self.study.outliers();
                let fidelity = trial.fidelity;
                self.study.record(Event::Completed { trial: id, outcome: outcome.clone() })?;
                for outlier in self.study.outliers_since(&known) {
                    warn!(study = self.study.config().name, "{outlier}");
                }
                self.lost[fidelity] = 0.0;
                for oddity in oddities {
                    warn!(study = self.study.config().name, trial = id, "trial {id}: {oddity}");
                }
                Notice::complete(self.study, self.study.trial(id)?, &outcome)
            }
            Ok(Outcome::Diverged(why)) => {
                let last = trial.divergences >= self.launcher.config().retry_diverged;
                self.study.record(Event::Diverged { trial: id, attempt, last, duration })?;
                let (event, again) = if last { ("trial_diverged", "") } else { ("trial_retried", "; it starts again") };
                self.tell(Notice::ended(event, self.study, id, duration, format!("diverged: {why}{again}")));
                return self.came_to_nothing(id, "it diverged");
            }
            // Nobody saw how it ended, and it left nothing: it died with the machine or with us.
            Err(_) if matches!(end, End::Exited(None)) => {
                if trial.unseen + 1 < UNSEEN_DEATHS {
                    return self.interrupted(id, attempt, Cause::Unseen, None);
                }
                let why = format!("it died while nobody watched, {} times in a row", trial.unseen + 1);
                return self.fail(id, attempt, why, duration, true);
            }
            Err(reason) => return self.fail(id, attempt, reason, duration, false),
        };
        self.tell(notice);
        Ok(())
    }

    /// Records that an attempt came to nothing through no fault of its own.
    fn interrupted(
        &mut self,
        trial: TrialId,
        attempt: u32,
        cause: Cause,
        reason: Option<String>,
    ) -> Result<(), RunError> {
        self.study.record(Event::Interrupted { trial, attempt, cause: Some(cause), reason: reason.clone() })?;
        let why = reason.clone().unwrap_or_default();
        let (event, words) = match cause {
            Cause::Killed => ("trial_interrupted", "was killed; it starts again on resume".to_owned()),
            Cause::Lost => ("trial_retried", format!("was lost ({why}); it starts again")),
            Cause::Unseen => ("trial_retried", "died unseen; it starts again".to_owned()),
            Cause::NotStarted => {
                let first = !self.backoff.active();
                let pause = self.backoff.grow();
                if !first && pause < REMINDED {
                    self.refresh();
                    return Ok(());
                }
                let again = "that costs nothing, and is tried again after growing pauses, until you interrupt it";
                ("trial_not_started", format!("could not be started: {why}; {again}"))
            }
        };
        let notice = Notice::trial(event, self.study, trial, words);
        self.tell(Notice { reason, ..notice });
        Ok(())
    }

    fn fail(
        &mut self,
        id: TrialId,
        attempt: u32,
        reason: String,
        duration: Option<f64>,
        unseen: bool,
    ) -> Result<(), RunError> {
        let last = self.study.trial(id)?.failures >= self.launcher.config().retries;
        self.study.record(Event::Failed { trial: id, attempt, reason: reason.clone(), last, duration, unseen })?;
        // Looked at whenever a trial fails: a study that is resumed after a repair gets the chance to go on.
        if last {
            self.judge_failures(id, &reason);
        }
        let (event, again) = if last { ("trial_failed", "") } else { ("trial_retried", "; it starts again") };
        let words = format!("failed: {reason}{again}");
        self.tell(Notice::ended(event, self.study, id, duration, words).because(reason.clone()));
        let facts = facts(self.study, self.study.trial(id)?, &self.root);
        self.quoted.log(&facts, attempt);
        self.came_to_nothing(id, &reason)
    }

    /// Ends the study where too many of its trials have failed.
    fn judge_failures(&mut self, trial: TrialId, reason: &str) {
        let (failed, finished) = self.failures();
        let allowed = self.launcher.config().max_failure_rate * finished as f64;
        if finished >= MIN_FINISHED && failed as f64 > allowed {
            let (reason, dir) = (reason.to_owned(), self.dir(trial));
            self.fail_study(RunError::FailureRate { failed, finished, reason, dir });
        }
    }

    /// Counts an attempt that failed or diverged. What dies at once costs next to nothing, and must not go on for ever.
    fn came_to_nothing(&mut self, trial: TrialId, reason: &str) -> Result<(), RunError> {
        let m = self.study.trial(trial)?.fidelity;
        self.lost[m] += self.study.costs()[m];
        if self.study.config().budget.cost.is_some_and(|limit| !affordable(self.lost[m], limit)) {
            let fidelity = self.study.config().fidelities[m].name.clone();
            let (lost, reason, dir) = (self.lost[m], reason.to_owned(), self.dir(trial));
            self.fail_study(RunError::Fruitless { fidelity, lost, reason, dir });
        }
        Ok(())
    }

    fn fail_study(&mut self, error: RunError) {
        if self.draining.is_some() {
            return;
        }
        self.draining = Some(Draining::Failing(error));
        if !self.jobs.is_empty() {
            let n = self.jobs.len();
            warn!("too many failures; waiting for {}, interrupt to kill them", counted(n, "running trial"));
        }
    }

    /// The folder of a trial.
    fn dir(&self, trial: TrialId) -> PathBuf {
        self.root.join("trials").join(format!("{trial:04}"))
    }
}
