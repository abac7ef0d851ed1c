//! One trial: how it is taken over, launched, and judged when it ends.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tracing::Level;

use super::backoff::Backoff;
use super::facts;
use super::machine::{Adopted, Attempt, Command, Machine, State};
use super::notice::{Notice, Remark};
use super::{MIN_FINISHED, RunError};
use crate::launcher::{self, End, Facts, News, Outcome, Started};
use crate::problem::{Completed, Handle, Launch, affordable};
use crate::study::{Cause, Event, StopReason, Trial, TrialId, TrialState};
use crate::text::{command_line, percent};

/// That a trial cannot be started is said at first, and again at every pause that is at least so long.
const REMINDED: Duration = Duration::from_secs(60);

/// From so many deaths in a row on that nobody saw, each counts as a failure: a trial may be what brings its machine down.
const UNSEEN_DEATHS: u32 = 3;

impl Machine<'_> {
    /// What a crashed run left behind: what is still at work is waited for, a result is taken, the rest starts again.
    pub(super) fn adopted(&mut self, attempts: Vec<Adopted>) -> Result<(), RunError> {
        for attempt in attempts {
            match attempt {
                Adopted::Running(facts, launch, running) => {
                    let trial = facts.trial;
                    // We died before its handle could be journalled.
                    if let Some(found) = running.handle().filter(|found| launch.handle.as_ref() != Some(found)) {
                        self.recognized(trial, facts.attempt, found)?;
                    }
                    self.running += 1;
                    self.command(Command::Watch(facts, running));
                    if self.study.trial(trial)?.ending.is_some() {
                        self.command(Command::End(trial));
                    }
                    let words = "is still running; waiting for it";
                    self.tell(Notice::trial("trial_adopted", self.study, trial, words));
                }
                Adopted::Over(attempt) => self.judge(attempt)?,
            }
        }
        if matches!(self.state, State::Adopting) {
            self.state = State::SettingUp;
        }
        if self.unfinished_business() {
            self.command(Command::SetUp);
        } else {
            self.open();
        }
        Ok(())
    }

    /// Whether anything will be launched, so that `launcher.setup` is worth running.
    fn unfinished_business(&self) -> bool {
        self.study.trials().iter().any(|t| matches!(t.state, TrialState::Pending))
            || self.settled().or(self.exhausted()).is_none()
            || self.study.stopped().is_none()
    }

    pub(super) fn started(&mut self, (id, attempt, handle): Started) -> Result<(), RunError> {
        self.backoff = Backoff::default();
        self.recognized(id, attempt, handle)?;
        let trial = self.study.trial(id)?;
        let facts = facts(self.study, trial, &self.root);
        let TrialState::Running { launch, .. } = &trial.state else { return Ok(()) };
        let words = format!("{} at {}, attempt {attempt}", launcher::describe(&facts, launch), facts.fidelity);
        self.tell(Notice::trial("trial_started", self.study, id, words));
        let command: Vec<String> = self.launcher.config().command.iter().map(|a| facts.render(a)).collect();
        let text = format!("trial {id} runs {} with its files in {}", command_line(&command), facts.dir.display());
        self.command(Command::Say(Remark { level: Level::DEBUG, trial: Some(id), text }));
        Ok(())
    }

    /// Journals by what a running attempt is recognized.
    fn recognized(&mut self, id: TrialId, attempt: u32, handle: Handle) -> Result<(), RunError> {
        let named = matches!(&self.study.trial(id)?.state, TrialState::Running { launch, .. } if launch.name.is_some());
        self.journal(match named {
            true => Event::Submitted { trial: id, attempt, handle },
            false => Event::Started { trial: id, attempt, handle },
        })
    }

    /// Journals what an attempt said on its way. Somebody may have told the trial's end meanwhile, and an attempt that was taken over
    /// says again what is known.
    pub(super) fn said(&mut self, id: TrialId, attempt: u32, News { reports, odd }: News) -> Result<(), RunError> {
        for progress in reports {
            let trial = self.study.trial(id)?;
            if !trial.finished() && trial.is_news(attempt, &progress) {
                self.journal(Event::Progress { trial: id, attempt, progress })?;
                self.heard = true;
            }
        }
        if let Some(why) = odd {
            let text = format!("trial {id}: a report on the way does not count, and others like it: {why}");
            self.command(Command::Say(Remark { level: Level::WARN, trial: Some(id), text }));
        }
        Ok(())
    }

    /// Launches pending trials while there are slots; of the confirmation only once the search stops, of the search not when
    /// its time is over. Says whether anything runs, or waits to be tried again.
    pub(super) fn launch_pending(&mut self) -> Result<bool, RunError> {
        let stop = self.stopping();
        let due = |t: &&Trial| if t.searching() { stop != Some(StopReason::WallTime) } else { stop.is_some() };
        let pending = self.study.trials().iter().filter(|t| matches!(t.state, TrialState::Pending)).filter(due);
        let pending: Vec<_> = pending.cloned().collect();
        if !self.backoff.over(self.now) {
            return Ok(self.running > 0 || !pending.is_empty());
        }
        for trial in pending {
            if self.running >= self.launcher.config().slots {
                break;
            }
            let facts = facts(self.study, &trial, &self.root);
            self.command(Command::Prepare { facts: facts.clone(), tried: trial.not_started.is_some() });
            let Launch { backend, name, .. } = self.launcher.reserve(&self.study.config().name, &facts);
            self.journal(Event::Launched {
                trial: trial.id,
                attempt: facts.attempt,
                backend: Some(backend),
                job: name.clone(),
                result: Some(facts.result.clone()),
            })?;
            self.running += 1;
            self.command(Command::Launch(facts, name));
        }
        Ok(self.running > 0)
    }

    /// Takes the end of an attempt that was running into account.
    pub(super) fn ended(&mut self, attempt: Attempt) -> Result<(), RunError> {
        self.running -= 1;
        self.waiting = false;
        self.judge(attempt)
    }

    /// Records how an attempt ended.
    pub(super) fn judge(&mut self, ended: Attempt) -> Result<(), RunError> {
        let Attempt { trial: id, attempt, end, duration, news, report } = ended;
        self.said(id, attempt, news)?;
        let reported = matches!((&end, &report), (End::Exited(_), Some(Ok(_))));
        if self.study.trial(id)?.ending.is_some() && !reported && end != End::Unknown {
            return self.ended_early(id, duration);
        }
        match (end, report) {
            (End::Unknown, _) => Ok(()),
            (End::Killed, _) => self.interrupted(id, attempt, Cause::Killed, None),
            (End::Lost(why), _) => self.interrupted(id, attempt, Cause::Lost, Some(why)),
            (End::NotStarted(why), _) => self.interrupted(id, attempt, Cause::NotStarted, Some(why)),
            (End::Failed(why), _) => self.failed(id, attempt, why, duration, false),
            (End::TimedOut, _) => {
                let limit = self.launcher.config().timeout.unwrap_or_default().as_secs_f64();
                self.failed(id, attempt, format!("timed out after {limit} s"), duration, false)
            }
            (End::Exited(Some(status)), _) if !status.success() => {
                // Not by us: then it mostly was the kernel.
                let memory = status.signal() == Some(Signal::SIGKILL as i32);
                let hint = if memory { "; out of memory?" } else { "" };
                self.failed(id, attempt, format!("the command ended with {status}{hint}"), duration, false)
            }
            (End::Exited(_), Some(Ok(Outcome::Completed(outcome, oddities)))) => {
                self.completed(id, Completed { duration, ..outcome }, oddities)
            }
            (End::Exited(_), Some(Ok(Outcome::Diverged(why)))) => self.diverged(id, attempt, &why, duration),
            // Nobody saw how it ended, and it left nothing: it died with the machine or with us.
            (End::Exited(None), None | Some(Err(_))) => {
                let deaths = self.study.trial(id)?.unseen + 1;
                if deaths < UNSEEN_DEATHS {
                    return self.interrupted(id, attempt, Cause::Unseen, None);
                }
                let why = format!("it died while nobody watched, {deaths} times in a row");
                self.failed(id, attempt, why, duration, true)
            }
            (End::Exited(Some(_)), report) => {
                let reason = report.and_then(Result::err).unwrap_or_default();
                self.failed(id, attempt, reason, duration, false)
            }
        }
    }

    fn completed(&mut self, id: TrialId, outcome: Completed, oddities: Vec<String>) -> Result<(), RunError> {
        let known = self.study.outliers();
        self.journal(Event::Completed { trial: id, outcome: outcome.clone() })?;
        for outlier in self.study.outliers_since(&known) {
            self.say(Level::WARN, outlier.to_string());
        }
        let fidelity = self.study.trial(id)?.fidelity;
        self.lost[fidelity] = 0.0;
        for oddity in oddities {
            let text = format!("trial {id}: {oddity}");
            self.command(Command::Say(Remark { level: Level::WARN, trial: Some(id), text }));
        }
        self.tell(Notice::complete(self.study, self.study.trial(id)?, &outcome));
        Ok(())
    }

    /// Records that an attempt has ended that was to be ended.
    fn ended_early(&mut self, id: TrialId, duration: Option<f64>) -> Result<(), RunError> {
        let trial = self.study.trial(id)?;
        // It may have reported once more.
        let decided = trial.ending.as_ref().map_or(1.0, |ending| ending.share);
        let share = self.study.share_done(trial).unwrap_or(decided);
        self.journal(Event::TrialStopped { trial: id, share, duration })?;
        let words = format!("was ended early, after {} of its tokens", percent(share));
        self.tell(Notice::ended("trial_stopped", self.study, id, duration, words));
        Ok(())
    }

    fn diverged(&mut self, id: TrialId, attempt: u32, why: &str, duration: Option<f64>) -> Result<(), RunError> {
        let last = self.study.trial(id)?.divergences >= self.launcher.config().retry_diverged;
        self.journal(Event::Diverged { trial: id, attempt, last, duration })?;
        let (event, again) = if last { ("trial_diverged", "") } else { ("trial_retried", "; it starts again") };
        self.tell(Notice::ended(event, self.study, id, duration, format!("diverged: {why}{again}")));
        self.came_to_nothing(id, "it diverged")
    }

    /// Records that an attempt came to nothing through no fault of its own.
    fn interrupted(
        &mut self,
        trial: TrialId,
        attempt: u32,
        cause: Cause,
        reason: Option<String>,
    ) -> Result<(), RunError> {
        self.journal(Event::Interrupted { trial, attempt, cause: Some(cause), reason: reason.clone() })?;
        let why = reason.clone().unwrap_or_default();
        let (event, words) = match cause {
            Cause::Killed => ("trial_interrupted", "was killed; it starts again on resume".to_owned()),
            Cause::Lost => ("trial_retried", format!("was lost ({why}); it starts again")),
            Cause::Unseen => ("trial_retried", "died unseen; it starts again".to_owned()),
            Cause::NotStarted => {
                let first = !self.backoff.active();
                let pause = self.backoff.grow(self.now);
                if !first && pause < REMINDED {
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

    fn failed(
        &mut self,
        id: TrialId,
        attempt: u32,
        reason: String,
        duration: Option<f64>,
        unseen: bool,
    ) -> Result<(), RunError> {
        let last = self.study.trial(id)?.failures >= self.launcher.config().retries;
        self.journal(Event::Failed { trial: id, attempt, reason: reason.clone(), last, duration, unseen })?;
        // Looked at whenever a trial fails: a study that is resumed after a repair gets the chance to go on.
        if last {
            self.judge_failures(id, &reason);
        }
        let (event, again) = if last { ("trial_failed", "") } else { ("trial_retried", "; it starts again") };
        let words = format!("failed: {reason}{again}");
        self.tell(Notice::ended(event, self.study, id, duration, words).because(reason.clone()));
        let facts = Facts { attempt, ..facts(self.study, self.study.trial(id)?, &self.root) };
        self.command(Command::Quote(facts));
        self.came_to_nothing(id, &reason)
    }

    /// Ends the study where too many of its trials have failed since the launcher was last changed.
    fn judge_failures(&mut self, trial: TrialId, reason: &str) {
        let counted = || self.study.trials().iter().filter(|t| t.counts() && !t.outdated);
        let finished = counted().count();
        let failed = counted().filter(|t| matches!(t.state, TrialState::Failed { .. })).count();
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

    /// The folder of a trial.
    fn dir(&self, trial: TrialId) -> PathBuf {
        self.root.join("trials").join(format!("{trial:04}"))
    }
}
