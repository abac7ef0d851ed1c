//! One trial: how it is launched, watched, and judged when it ends.

use std::io;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::process::Command;
use tokio::sync::watch;

use super::{Attempt, Draining, MIN_FINISHED, Notice, RunError, Runner, Signals, View};
use crate::launcher::{End, Facts, Outcome, Process, local, protocol};
use crate::study::{Event, StopReason, Trial, TrialId, TrialState};

impl<F: FnMut(View<'_>, Notice)> Runner<'_, F> {
    /// What a crashed run left behind: a process still at work is waited for, a result is taken, the rest starts again.
    pub(super) fn adopt(&mut self) -> Result<(), RunError> {
        if !self.study.trials().is_empty() {
            self.study.record(Event::Resumed { version: env!("CARGO_PKG_VERSION").into(), sizes: None })?;
        }
        for trial in self.study.trials().to_vec() {
            let TrialState::Running { process, since } = trial.state else { continue };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let age = Duration::try_from_secs_f64(now - since).unwrap_or_default();
            let facts = Facts::new(self.study, &trial, &self.root);
            let adopted = Process::adopt(&facts.dir, trial.attempts, process, age);
            let adopted = adopted.map_err(|e| RunError::Io(format!("look after trial {}", trial.id), e))?;
            match adopted {
                Some(adopted) => {
                    // We died before its process could be journalled.
                    if let (None, Some((pid, start_time))) = (process, adopted.identity()) {
                        let attempt = trial.attempts;
                        self.study.record(Event::Started { trial: trial.id, attempt, pid, start_time })?;
                    }
                    self.watch(trial.id, trial.attempts, adopted);
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
    pub(super) fn unfinished_business(&self) -> bool {
        self.study.trials().iter().any(|t| matches!(t.state, TrialState::Pending))
            || self.settled().or(self.exhausted()).is_none()
            || self.study.stopped().is_none()
    }

    /// Runs `launcher.setup`; false when it was interrupted (and killed).
    pub(super) async fn set_up(&mut self, signals: &mut Signals) -> Result<bool, RunError> {
        let argv = self.launcher.setup.clone().unwrap_or_default();
        let Some((program, arguments)) = argv.split_first() else { return Ok(true) };
        self.tell(Notice::Note(format!("setting up: {}", argv.join(" "))));
        // Stdout is for results: what the set-up prints goes where progress goes.
        let mut command = Command::new(program);
        command.args(arguments).envs(&self.launcher.env).stdin(Stdio::null()).stdout(io::stderr());
        let process =
            Process::start(&mut command).map_err(|e| RunError::Setup(format!("cannot start `{program}`: {e}")))?;
        let (kill, killed) = watch::channel(false);
        let mut end = pin!(process.wait(None, self.launcher.grace, killed));
        loop {
            tokio::select! {
                end = &mut end => return match end.map_err(|e| RunError::Io(format!("wait for `{program}`"), e))?.0 {
                    End::Exited(Some(status)) if !status.success() => {
                        Err(RunError::Setup(format!("`{program}` ended with {status}")))
                    }
                    end => Ok(!matches!(end, End::Killed)),
                },
                () = signals.next() => drop(kill.send_replace(true)),
            }
        }
    }

    /// Launches pending trials while there are slots; of the confirmation only once the search has to `stop`, of the
    /// search not when its time is over. Says whether anything runs.
    pub(super) fn launch_pending(&mut self, stop: Option<StopReason>) -> Result<bool, RunError> {
        let due = |t: &&Trial| if t.searching() { stop != Some(StopReason::WallTime) } else { stop.is_some() };
        let pending = self.study.trials().iter().filter(|t| matches!(t.state, TrialState::Pending)).filter(due);
        let pending: Vec<_> = pending.cloned().collect();
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

    pub(super) fn attempt_ended(&mut self, (trial, attempt, end): Attempt) -> Result<(), RunError> {
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
            Ok(Outcome::Completed(mut outcome, oddities)) => {
                outcome.duration = duration;
                self.study.record(Event::Completed { trial: id, outcome })?;
                for oddity in oddities {
                    self.tell(Notice::Warning(format!("trial {id}: {oddity}")));
                }
            }
            Ok(Outcome::Diverged) => {
                let last = trial.divergences >= self.launcher.retry_diverged;
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
        let (failed, finished) = self.failures();
        // Looked at whenever a trial fails: a study that is resumed after a repair gets the chance to go on.
        if last && finished >= MIN_FINISHED && failed as f64 > self.launcher.max_failure_rate * finished as f64 {
            self.draining.get_or_insert(Draining::Failures(id, reason));
        }
        self.tell(Notice::Ended(id));
        if matches!(self.draining, Some(Draining::Failures(last, _)) if last == id) && !self.jobs.is_empty() {
            let n = self.jobs.len();
            self.tell(Notice::Warning(format!(
                "too many failures; waiting for {n} running trial(s), interrupt to kill them"
            )));
        }
        Ok(())
    }
}
