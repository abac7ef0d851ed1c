//! A world without processes, files and time for the machine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::super::machine::{Adopted, Attempt, Audience, Command, Input, Machine, Question};
use super::super::{Ended, RunError};
use crate::advice::{self, Thought, Weighed, recommend, think};
use crate::config::StudyConfig;
use crate::launcher::mock::Mock;
use crate::launcher::{End, Launcher, News, Outcome};
use crate::optimizer::Outlook;
use crate::problem::{Completed, Handle, OnTheWay, Prediction, Progress, RunId};
use crate::study::{StopReason, Study};

pub(super) fn config(dir: &Path, launcher: &str, extra: &str) -> StudyConfig {
    let text = format!(
        "[study]\nname = \"t\"\nseed = 7\ndir = {dir:?}\n\
         [[domain]]\nname = \"a\"\n[[domain]]\nname = \"b\"\n[[domain]]\nname = \"c\"\n\
         [[fidelity]]\nname = \"small\"\nparams = 1e3\ntokens = 100\ncost = 1.0\n\
         [[fidelity]]\nname = \"large\"\nparams = 1e4\ntokens = 100\ncost = 4.0\n\
         [objective]\nmetric = \"loss\"\n[launcher]\ncommand = [\"train\"]\n{launcher}\n{extra}\n"
    );
    StudyConfig::parse(Path::new("study.toml"), &text, &[]).unwrap()
}

pub(super) fn study(launcher: &str, extra: &str) -> Study {
    Study::peek(config(Path::new("/nonexistent"), launcher, extra)).unwrap()
}

/// A backend whose attempts train by `train`, of which the journal says "mock".
pub(super) fn launcher(config: &StudyConfig, mock: Mock) -> (Launcher, mpsc::UnboundedReceiver<(u64, u32, Handle)>) {
    let (report, reports) = mpsc::unbounded_channel();
    (Launcher::with(config.launcher.clone().unwrap(), "mock", Arc::new(mock), report), reports)
}

/// Carries out what the machine commands, in memory: nothing happens unless a test says so.
pub(super) struct World<'a> {
    pub(super) machine: Machine<'a>,
    pub(super) now: Instant,
    pub(super) slots: usize,
    /// The entries of the journal: event, and trial where there is one.
    pub(super) journal: Vec<String>,
    /// Attempts that have been launched, or taken over, and have not ended.
    pub(super) running: Vec<(u64, u32)>,
    /// What it thinks about, with the trials that may be continued.
    pub(super) question: Option<(Box<Question>, Vec<OnTheWay>)>,
    pub(super) told: Vec<&'static str>,
    /// What of an earlier run is found.
    pub(super) left: Vec<Adopted>,
    pub(super) kills: usize,
    /// Running trials that are weighed.
    pub(super) weighing: Option<(Box<Question>, Vec<OnTheWay>)>,
    /// Trials whose attempts were asked to end.
    pub(super) ends_asked: Vec<u64>,
    pub(super) end: Option<Result<Ended, RunError>>,
}

impl<'a> World<'a> {
    /// Right after the beginning of the run.
    pub(super) fn new(study: &'a mut Study, left: Vec<Adopted>) -> Self {
        let (launcher, _) = launcher(study.config(), Mock::new(|_| unreachable!("nothing is submitted here")));
        let (now, slots) = (Instant::now(), launcher.config().slots);
        let machine = Machine::new(study, launcher, Path::new("/study"), now);
        let (journal, running, told) = (Vec::new(), Vec::new(), Vec::new());
        let (question, weighing, ends_asked) = (None, None, Vec::new());
        let mut world = Self {
            machine,
            now,
            slots,
            journal,
            running,
            question,
            told,
            left,
            kills: 0,
            weighing,
            ends_asked,
            end: None,
        };
        world.on(Input::Begun);
        world
    }

    /// Tells the machine what happens, until nothing follows at once.
    pub(super) fn on(&mut self, input: Input) {
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            let commands = self.machine.on(self.now, inputs.drain(..));
            let mut prepared = None;
            for command in commands {
                assert!(self.end.is_none(), "{command:?} after the end");
                match command {
                    Command::Adopt if self.left.is_empty() => inputs.push(Input::Adopted(Vec::new())),
                    Command::Adopt => {}
                    Command::SetUp => inputs.push(Input::SetUp { interrupted: false }),
                    Command::Recommend => inputs.push(Input::Recommended(Box::new(recommend(
                        self.machine.study,
                        &advice::optimizer(self.machine.study),
                    )))),
                    Command::Journal(entry) => {
                        let event = serde_json::to_value(&entry.event).unwrap();
                        let trial = event["trial"].as_u64().map_or_else(String::new, |trial| format!(" {trial}"));
                        self.journal.push(format!("{}{trial}", event["event"].as_str().unwrap()));
                    }
                    Command::Prepare { facts, .. } => prepared = Some(facts.trial),
                    Command::Launch(facts, name) => {
                        // The folder is made, then the launch is journalled, then the attempt begins.
                        assert_eq!(
                            (prepared.take(), name),
                            (Some(facts.trial), Some(format!("t-{}-{}", facts.trial, facts.attempt)))
                        );
                        assert_eq!(self.journal.last(), Some(&format!("launched {}", facts.trial)));
                        self.running.push((facts.trial, facts.attempt));
                        assert!(self.running.len() <= self.slots, "{:?}", self.running);
                    }
                    Command::Watch(facts, _) => self.running.push((facts.trial, facts.attempt)),
                    Command::Think(question, stopped) => {
                        assert!(self.question.replace((question, stopped)).is_none(), "one at a time");
                    }
                    Command::Weigh(question, running) => {
                        assert!(self.weighing.replace((question, running)).is_none(), "one at a time");
                    }
                    Command::End(trial) => self.ends_asked.push(trial),
                    Command::Kill => self.kills += 1,
                    Command::Tell(Audience::Log, _) | Command::Halt | Command::Say(_) | Command::Quote(_) => {}
                    Command::Tell(_, notice) => self.told.push(notice.event),
                    Command::Finish(result) => self.end = Some(result),
                }
            }
        }
    }

    /// The optimizer answers.
    pub(super) fn answer(&mut self) {
        let (question, stopped) = self.question.take().expect("it thinks");
        let Question { optimizer, evidence, fidelities, seed, next } = *question;
        self.on(Input::Thought(Box::new(think(optimizer, &evidence, fidelities, &stopped, (seed, next)))));
    }

    /// A trial reports the loss after so many of its 100 tokens.
    pub(super) fn reports(&mut self, trial: u64, tokens: f64, loss: f64) {
        let (_, attempt) = *self.running.iter().find(|(id, _)| *id == trial).expect("it runs");
        let progress = Progress { step: None, tokens: Some(tokens), metrics: [("loss".to_owned(), loss)].into() };
        self.on(Input::Said(trial, attempt, News { reports: vec![progress], odd: None }));
    }

    /// Running trials have been weighed; one of them may be hopeless.
    pub(super) fn weighs(&mut self, hopeless: Option<u64>) {
        let (question, running) = self.weighing.take().expect("trials are weighed");
        let hopeless = hopeless.map(|trial| outlook(trial, &running));
        self.on(Input::Weighed(Box::new(Weighed { optimizer: question.optimizer, hopeless })));
    }

    /// The optimizer answers that a trial is to be continued.
    pub(super) fn continues(&mut self, trial: u64) {
        let (question, stopped) = self.question.take().expect("it thinks");
        let Question { optimizer, evidence, fidelities, seed, next } = *question;
        let continued = Some(outlook(trial, &stopped));
        let thought = think(optimizer, &evidence, fidelities, &[], (seed, next));
        self.on(Input::Thought(Box::new(Thought { continued, ..thought })));
    }

    /// The optimizer answers until nothing more is asked.
    pub(super) fn answers(&mut self) {
        while self.question.is_some() {
            self.answer();
        }
    }

    /// The attempt at a trial ends.
    pub(super) fn ends(&mut self, trial: u64, end: End, report: Option<Result<Outcome, String>>) {
        let at = self.running.iter().position(|(id, _)| *id == trial).expect("it runs");
        let (trial, attempt) = self.running.remove(at);
        // What fails here fails at once.
        let duration = Some(if report.is_some() { 1.0 } else { 0.0 });
        self.on(Input::Ended(Attempt { trial, attempt, end, duration, news: News::default(), report }));
    }

    pub(super) fn completes(&mut self, trial: u64) {
        self.completes_at(trial, None);
    }

    pub(super) fn completes_at(&mut self, trial: u64, cost: Option<f64>) {
        let metrics = [("loss".to_owned(), trial as f64)].into();
        let outcome = Completed { metrics, cost, ..Completed::default() };
        self.ends(trial, End::Exited(None), Some(Ok(Outcome::Completed(outcome, Vec::new()))));
    }

    pub(super) fn fails(&mut self, trial: u64) {
        self.ends(trial, End::Failed("it broke".into()), None);
    }

    pub(super) fn passes(&mut self, time: Duration) {
        self.now += time;
        self.on(Input::Tick);
    }

    pub(super) fn count(&self, event: &str) -> usize {
        self.journal.iter().filter(|line| line.starts_with(event)).count()
    }

    pub(super) fn finished(&self) -> StopReason {
        match &self.end {
            Some(Ok(Ended::Finished(reason))) => *reason,
            other => panic!("not finished: {other:?}"),
        }
    }

    pub(super) fn was_interrupted(&self) -> bool {
        matches!(self.end, Some(Ok(Ended::Interrupted))) && self.journal.last().is_some_and(|line| line == "halted")
    }
}

/// What there might be to say of a trial among those that are looked at.
fn outlook(trial: u64, among: &[OnTheWay]) -> Outlook {
    let run = RunId::Trial(trial);
    Outlook {
        run,
        share_done: among.iter().find(|of| of.end.run == run).expect("it is looked at").share_done,
        end: Prediction { mean: 9.0, sd: 0.1, noise: None },
        best: 1.0,
        probability: 0.0,
        worth: 0.0,
        worth_of_new: 1.0,
    }
}
