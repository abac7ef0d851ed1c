//! The loop as a state machine: inputs change its state and give commands, and that is all that happens here. No
//! processes, no files, no threads and no waiting: [`super::driver`] carries the commands out, in their order, and tells
//! what came of them. So an event is on disk before anything is done because of it, as [`Command::Journal`] comes before
//! the commands that follow from the event.
//!
//! # States
//!
//! | state | what is done | what ends it |
//! |---|---|---|
//! | adopting | attempts of an earlier run are taken over | that is done: *setting up*; an interruption: *over*, and they are left alone |
//! | setting up | `launcher.setup` runs, if anything will be launched | that is done: *searching*, or *stopping* where the search had stopped; an interruption: *interrupted* |
//! | searching | pending trials are launched while there are slots; the optimizer is asked for another one while a slot is free | a reason to stop: *stopping*; an interruption: *interrupted*; too many failures: *failing* |
//! | stopping | pending trials of the search are launched, unless the wall time is over; when nothing runs any more, a mixture is recommended and its confirmation launched | nothing is left to run: *over*; an interruption: *interrupted*; too many failures: *failing* |
//! | interrupted | nothing is launched; another interruption kills what runs | nothing runs: *over*, "interrupted" |
//! | failing | nothing is launched; an interruption kills what runs: *interrupted* | nothing runs: *over*, with the error |
//! | over | nothing | |
//!
//! With `optimizer.stop_early`, running trials are weighed while no slot is free and one of them has reported something new. One that
//! is hopeless is ended; the others are weighed again once it is over. With `launcher.resumable`, a trial that was ended may be what the
//! optimizer answers in place of a new one; it is pending then.
//!
//! While the optimizer thinks, or weighs, ends of attempts are held back, so that all that it knew is in the entries before its
//! answer. That costs nothing: a slot stays empty until then anyway. In *interrupted* and *failing* its answer does not
//! matter, and nothing is held back.
//!
//! # Reasons to stop
//!
//! The first reason that is found stays the reason. They are looked for in this order:
//!
//! | when | reason |
//! |---|---|
//! | at the end of *setting up* | the one with which an earlier run stopped, if it still holds: `patience`, `converged`, `exhausted` |
//! | at each answer of the optimizer | `converged` (`budget.regret`, `budget.gain`); `patience`; no trial is left: `trials` (every `max_trials`), `exhausted` |
//! | after every input | `wall_time` |
//! | nothing runs, is pending or thought about | `trials` (`budget.trials`, every `max_trials`); `budget` (`budget.cost`) |

use std::mem;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tracing::Level;

use super::backoff::Backoff;
use super::notice::{Notice, Remark};
use super::{Ended, RunError, View};
use crate::advice::{self, Thought, Weighed};
use crate::launcher::{End, Facts, Launcher, News, Outcome, Running, Started};
use crate::optimizer::{Optimizer, Recommendation};
use crate::problem::{Evidence, FidelityId, Launch, OnTheWay};
use crate::study::{Entry, Event, Resumed, StopReason, Study, TrialId};
use crate::text::counted;

/// What the machine is told.
#[derive(Debug)]
pub(super) enum Input {
    /// The run begins.
    Begun,
    /// What has become of the attempts that an earlier run left, in their order.
    Adopted(Vec<Adopted>),
    /// `launcher.setup` was successful, or killed because of an interruption.
    SetUp { interrupted: bool },
    /// An attempt runs, or is in a queue.
    Started(Started),
    /// What an attempt at a trial said on its way.
    Said(TrialId, u32, News),
    /// An attempt ended.
    Ended(Attempt),
    /// The optimizer's answer.
    Thought(Box<Thought>),
    /// Whether a running trial is to be ended.
    Weighed(Box<Weighed>),
    /// What is recommended at the end of the search.
    Recommended(Box<Recommendation>),
    /// A signal asks for an end.
    Interrupted,
    /// Time has passed.
    Tick,
}

/// An attempt of an earlier run.
#[derive(Debug)]
pub(super) enum Adopted {
    /// It runs.
    Running(Facts, Launch, Box<dyn Running>),
    /// It is over.
    Over(Attempt),
}

/// An attempt that has ended.
#[derive(Debug)]
pub(super) struct Attempt {
    pub trial: TrialId,
    pub attempt: u32,
    pub end: End,
    /// Seconds that it ran.
    pub duration: Option<f64>,
    /// What it said on its way and nobody has heard yet.
    pub news: News,
    /// The result that it left, or what is wrong with it; looked for where it may have come to its end by itself.
    pub report: Option<Result<Outcome, String>>,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub(super) enum Command {
    /// Find out what has become of the attempts that an earlier run left: [`Input::Adopted`].
    Adopt,
    /// Run `launcher.setup`: [`Input::SetUp`].
    SetUp,
    /// Write an entry of the journal, which the study has taken into account.
    Journal(Entry),
    /// Make the folder of an attempt ready.
    Prepare { facts: Facts, tried: bool },
    /// Submit an attempt under its name: [`Input::Started`], [`Input::Ended`].
    Launch(Facts, Option<String>),
    /// Watch an attempt of an earlier run: [`Input::Ended`].
    Watch(Facts, Box<dyn Running>),
    /// Ask the optimizer for another trial, or which of these, which were ended early, is to be continued in its place: [`Input::Thought`].
    Think(Box<Question>, Vec<OnTheWay>),
    /// Ask the optimizer whether one of these running trials is to be ended: [`Input::Weighed`].
    Weigh(Box<Question>, Vec<OnTheWay>),
    /// Find out what is recommended: [`Input::Recommended`].
    Recommend,
    /// Give up submissions that are not answered.
    Halt,
    /// End the attempt at a trial that runs: [`Input::Ended`].
    End(TrialId),
    /// End the attempts that run.
    Kill,
    /// Tell what has happened.
    Tell(Audience, Box<Notice>),
    /// Say something in the log.
    Say(Remark),
    /// Quote the stderr of an attempt that failed.
    Quote(Facts),
    /// The run is over.
    Finish(Result<Ended, RunError>),
}

/// Who is told of something that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The log and `launcher.on_event`.
    Everybody,
    /// The log alone.
    Log,
    /// `launcher.on_event` alone: the log has it from elsewhere.
    Hook,
}

/// What the optimizer is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub optimizer: Optimizer,
    pub evidence: Evidence,
    pub fidelities: Vec<FidelityId>,
    pub seed: u64,
    pub next: TrialId,
}

/// The state of the loop; the table above says what it means.
#[derive(Debug)]
pub(super) enum State {
    Adopting,
    SettingUp,
    Searching,
    Stopping(StopReason),
    Interrupted,
    Failing(RunError),
    Over,
}

/// The loop, between two inputs.
pub(super) struct Machine<'a> {
    pub(super) study: &'a mut Study,
    /// Only asked: for its config, and for names.
    pub(super) launcher: Launcher,
    pub(super) root: PathBuf,
    pub(super) state: State,
    /// How many attempts run whose end has not been taken into account.
    pub(super) running: usize,
    /// Ends that are held back while the optimizer thinks.
    held: Vec<Attempt>,
    /// Not here while it thinks, and gone once the search has stopped.
    pub(super) optimizer: Option<Optimizer>,
    pub(super) thinking: bool,
    /// Whether the next trial is to wait for the end of one that is running.
    pub(super) waiting: bool,
    /// Whether running trials have reported since they were last weighed.
    pub(super) heard: bool,
    /// After a trial could not be started.
    pub(super) backoff: Backoff,
    /// By fidelity, what the attempts would have cost as whole runs that failed or diverged since a trial there was complete.
    pub(super) lost: Vec<f64>,
    pub(super) recommendation: Option<Recommendation>,
    began: Instant,
    pub(super) now: Instant,
    commands: Vec<Command>,
}

impl<'a> Machine<'a> {
    /// At the beginning of a run, whose files are in `root`.
    pub(super) fn new(study: &'a mut Study, launcher: Launcher, root: &Path, now: Instant) -> Self {
        Self {
            optimizer: Some(advice::optimizer(study)),
            lost: vec![0.0; study.config().fidelities.len()],
            study,
            launcher,
            root: root.to_owned(),
            state: State::Adopting,
            running: 0,
            held: Vec::new(),
            thinking: false,
            waiting: false,
            heard: false,
            backoff: Backoff::default(),
            recommendation: None,
            began: now,
            now,
            commands: Vec::new(),
        }
    }

    /// What follows from inputs that come together.
    pub(super) fn on(&mut self, now: Instant, inputs: impl IntoIterator<Item = Input>) -> Vec<Command> {
        self.now = now;
        if let Err(error) = self.step(inputs) {
            self.finish(Err(error));
        }
        mem::take(&mut self.commands)
    }

    /// When the machine wants to be told the time, at the latest.
    pub(super) fn wakes(&self) -> Option<Instant> {
        let at_work = matches!(self.state, State::Searching | State::Stopping(_));
        self.backoff.until().filter(|until| at_work && *until > self.now)
    }

    pub(super) fn view(&self) -> View<'_> {
        View { study: self.study, recommendation: self.recommendation.as_ref(), began: self.began }
    }

    fn step(&mut self, inputs: impl IntoIterator<Item = Input>) -> Result<(), RunError> {
        let searching = matches!(self.state, State::Searching);
        for input in inputs {
            self.take(input)?;
        }
        loop {
            let late = self.study.config().budget.wall_time.is_some_and(|limit| self.now - self.began >= limit);
            if searching && late {
                self.stop(StopReason::WallTime);
            }
            self.advance()?;
            if self.held.is_empty() || !self.listens() {
                return Ok(());
            }
            for attempt in mem::take(&mut self.held) {
                self.ended(attempt)?;
            }
        }
    }

    /// Whether ends of attempts are taken into account at once.
    fn listens(&self) -> bool {
        !self.thinking || matches!(self.state, State::Interrupted | State::Failing(_))
    }

    fn take(&mut self, input: Input) -> Result<(), RunError> {
        match input {
            Input::Begun => self.begin(),
            Input::Adopted(attempts) => self.adopted(attempts),
            Input::SetUp { interrupted } => {
                if interrupted {
                    self.interrupt();
                } else {
                    self.open();
                }
                Ok(())
            }
            Input::Started(started) => self.started(started),
            Input::Said(trial, attempt, news) => self.said(trial, attempt, news),
            Input::Ended(attempt) if self.listens() => self.ended(attempt),
            Input::Ended(attempt) => {
                self.held.push(attempt);
                Ok(())
            }
            Input::Thought(thought) => self.thought(*thought),
            Input::Weighed(weighed) => self.weighed(*weighed),
            Input::Recommended(recommendation) => self.recommended(*recommendation),
            Input::Interrupted => {
                self.interrupt();
                Ok(())
            }
            Input::Tick => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), RunError> {
        let (name, n) = (&self.study.config().name, self.study.trials().len());
        let words = format!("study {name} in {}: {} so far", self.root.display(), counted(n, "trial"));
        self.tell(Notice::study("study_started", self.study, words));
        if n > 0 {
            self.journal(Event::Resumed(Resumed::unchanged()))?;
        }
        self.commands.push(Command::Adopt);
        Ok(())
    }

    /// Ends *setting up*, unless something else has.
    pub(super) fn open(&mut self) {
        if matches!(self.state, State::SettingUp) {
            self.state = self.settled().map_or(State::Searching, State::Stopping);
        }
    }

    /// Stops the search, unless it has a reason already.
    pub(super) fn stop(&mut self, reason: StopReason) {
        if matches!(self.state, State::Searching) {
            self.state = State::Stopping(reason);
        }
    }

    /// The reason for which the search stops, if it does.
    pub(super) fn stopping(&self) -> Option<StopReason> {
        if let State::Stopping(reason) = self.state { Some(reason) } else { None }
    }

    /// Does what is possible now.
    fn advance(&mut self) -> Result<(), RunError> {
        match self.state {
            State::Searching | State::Stopping(_) => self.go_on()?,
            State::Interrupted if self.running == 0 => self.finish(Ok(Ended::Interrupted)),
            State::Failing(_) if self.running == 0 => {
                if let State::Failing(error) = mem::replace(&mut self.state, State::Over) {
                    self.finish(Err(error));
                }
            }
            State::Adopting | State::SettingUp | State::Interrupted | State::Failing(_) | State::Over => {}
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), RunError> {
        let at_work = self.launch_pending()? || self.thinking;
        if !at_work && let Some(reason) = self.exhausted() {
            self.stop(reason);
        }
        match self.stopping() {
            None if self.has_room() => self.think(),
            None => self.weigh(),
            Some(reason) if !at_work => self.conclude(reason)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether a slot is free for a trial that is yet to be decided on.
    fn has_room(&self) -> bool {
        self.running < self.launcher.config().slots && !self.waiting && !self.backoff.active()
    }

    /// Stops launching; the second time ends what runs. What has not been taken over yet is left alone.
    fn interrupt(&mut self) {
        let again = matches!(self.state, State::Interrupted | State::Failing(_));
        self.state = State::Interrupted;
        self.commands.push(Command::Halt);
        if again {
            self.commands.push(Command::Kill);
            self.say(Level::INFO, "killing the running trials; they start again on resume");
        } else if self.running > 0 {
            let (n, kill) = (counted(self.running, "running trial"), self.launcher.on_kill());
            self.say(Level::INFO, format!("waiting for {n} to end; interrupt again to {kill}"));
        }
    }

    /// Ends the study with an error, once what runs has ended.
    pub(super) fn fail_study(&mut self, error: RunError) {
        if matches!(self.state, State::Interrupted | State::Failing(_)) {
            return;
        }
        self.state = State::Failing(error);
        if self.running > 0 {
            let n = counted(self.running, "running trial");
            self.say(Level::WARN, format!("too many failures; waiting for {n}, interrupt to kill them"));
        }
    }

    /// What follows from an error of a command.
    pub(super) fn fail(&mut self, error: RunError) -> Vec<Command> {
        self.finish(Err(error));
        mem::take(&mut self.commands)
    }

    /// Ends the run: journals why the search has not ended, if it has not, and tells how it all ended.
    pub(super) fn finish(&mut self, result: Result<Ended, RunError>) {
        self.state = State::Over;
        let halted = match &result {
            // The journal itself is what is wrong.
            Ok(Ended::Finished(_)) | Err(RunError::Study(_)) => None,
            Ok(Ended::Interrupted) => Some("it was interrupted".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = halted {
            // This event follows any other.
            let _ = self.journal(Event::Halted { reason });
        }
        match &result {
            Ok(Ended::Finished(reason)) => {
                let weights = self.study.stopped().map(|stopped| self.study.named(&stopped.mixture));
                let expected = self.recommendation.as_ref().and_then(|r| r.expected);
                let words = format!("the study has stopped ({reason}): {}", advice::explained(self.study, *reason));
                let notice = Notice::study("study_stopped", self.study, words).because(reason.to_string());
                self.tell(Notice { weights, expected, ..notice });
            }
            Ok(Ended::Interrupted) => {
                self.tell(Notice::study("study_interrupted", self.study, "interrupted; everything is saved"));
            }
            Err(error) => {
                let text = error.to_string();
                let notice = Notice::study("study_failed", self.study, text.clone()).because(text);
                self.commands.push(Command::Tell(Audience::Hook, Box::new(notice)));
            }
        }
        self.commands.push(Command::Finish(result));
    }

    /// Takes an event into account that is to be journalled.
    pub(super) fn journal(&mut self, event: Event) -> Result<(), RunError> {
        let entry = Entry::now(event);
        self.study.take(&entry)?;
        self.commands.push(Command::Journal(entry));
        Ok(())
    }

    pub(super) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(super) fn tell(&mut self, notice: Notice) {
        self.commands.push(Command::Tell(Audience::Everybody, Box::new(notice)));
    }

    pub(super) fn say(&mut self, level: Level, text: impl Into<String>) {
        self.commands.push(Command::Say(Remark { level, trial: None, text: text.into() }));
    }
}
