//! Carries out what the machine commands, and tells it what comes of that.
//!
//! One task owns the study and takes every event in turn, so that the journal is a linear account: attempts, the
//! optimizer (on a thread of its own) and signals report to it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, sleep, sleep_until};

use super::hook::Hook;
use super::machine::{Adopted, Attempt, Audience, Command, Input, Machine, Question};
use super::notice::Notice;
use super::signals::Signals;
use super::stderr::Quoted;
use super::{Ended, RunError, View, facts, thread};
use crate::advice::{self, recommend, think, weigh};
use crate::launcher::protocol::{self, Stdout};
use crate::launcher::{End, Ending, Facts, Fate, Follower, Launcher, News, Orphan, Outcome, Started, prepare};
use crate::problem::{Objective, TrialId};
use crate::study::{OpenStudy, Study, TrialState, journal};

/// How often somebody who watches is shown the time.
const TICK: Duration = Duration::from_secs(1);

/// Between two looks for what an attempt has said on its way.
const LOOK: Duration = Duration::from_secs(1);

/// The machine and all that it works with.
pub(super) struct Driver<'a, F> {
    machine: Machine<'a>,
    journal: &'a mut journal::Writer,
    show: F,
    hook: Option<Hook>,
    pub(super) launcher: Launcher,
    pub(super) root: PathBuf,
    reports: mpsc::UnboundedReceiver<Started>,
    attempts: JoinSet<Result<Attempt, RunError>>,
    /// Where attempts say what they said on their way, and where that is heard.
    say: mpsc::UnboundedSender<(TrialId, u32, News)>,
    said: mpsc::UnboundedReceiver<(TrialId, u32, News)>,
    /// Where each running attempt hears that it is to be ended.
    kill: BTreeMap<TrialId, watch::Sender<bool>>,
    /// At most one, with what it answers.
    thinking: JoinSet<Result<Input, RecvError>>,
    /// What the log has of the stderr of failed attempts.
    quoted: Quoted,
}

/// What a list of commands leads to.
enum Lookahead {
    /// Inputs, if something came of the commands at once.
    On(Vec<Input>),
    /// The run is over.
    Over(Result<Ended, RunError>),
}

impl<'a, F: FnMut(View<'_>)> Driver<'a, F> {
    /// At the beginning of a run, whose files are in `root`. Must be called inside a runtime.
    pub(super) fn new(
        study: &'a mut OpenStudy,
        launcher: Launcher,
        reports: mpsc::UnboundedReceiver<Started>,
        root: &Path,
        show: F,
    ) -> Self {
        let (study, journal) = study.split();
        let (say, said) = mpsc::unbounded_channel();
        Self {
            hook: Hook::new(launcher.config(), root),
            machine: Machine::new(study, launcher.clone(), root, Instant::now()),
            journal,
            show,
            launcher,
            root: root.to_owned(),
            reports,
            attempts: JoinSet::new(),
            say,
            said,
            kill: BTreeMap::new(),
            thinking: JoinSet::new(),
            quoted: Quoted::default(),
        }
    }

    pub(super) fn study(&self) -> &Study {
        self.machine.view().study
    }

    /// Runs the study to its end, and waits until everybody knows.
    pub(super) async fn run(mut self, signals: &mut Signals) -> Result<Ended, RunError> {
        let mut tick = interval(TICK);
        let mut commands = self.machine.on(Instant::now(), [Input::Begun]);
        let result = loop {
            let inputs = match self.perform(commands, signals).await {
                Lookahead::Over(result) => break result,
                Lookahead::On(inputs) if inputs.is_empty() => self.next(signals, &mut tick).await,
                Lookahead::On(inputs) => Ok(inputs),
            };
            commands = match inputs {
                Ok(inputs) => self.machine.on(Instant::now(), inputs),
                Err(error) => self.machine.fail(error),
            };
        };
        if let Some(hook) = self.hook.take() {
            hook.finish(signals).await;
        }
        result
    }

    /// Waits for whatever happens next.
    async fn next(&mut self, signals: &mut Signals, tick: &mut Interval) -> Result<Vec<Input>, RunError> {
        let wakes = self.machine.wakes();
        let wake = async {
            match wakes {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let mut inputs = Vec::new();
        tokio::select! {
            // In this order: whoever asks for an end is heard before anything is made of what ends because of that.
            biased;
            () = signals.next() => inputs.push(Input::Interrupted),
            Some(attempt) = self.attempts.join_next() => {
                // Jobs are seen to end in batches: the optimizer is to know all of one.
                let mut ended = vec![attempt??];
                while let Some(more) = self.attempts.try_join_next() {
                    ended.push(more??);
                }
                // That they had started, and what they said, comes before that they have ended.
                while let Ok(started) = self.reports.try_recv() {
                    inputs.push(Input::Started(started));
                }
                while let Ok((trial, attempt, news)) = self.said.try_recv() {
                    inputs.push(Input::Said(trial, attempt, news));
                }
                for attempt in ended {
                    self.kill.remove(&attempt.trial);
                    inputs.push(Input::Ended(attempt));
                }
            }
            Some(started) = self.reports.recv() => inputs.push(Input::Started(started)),
            Some((trial, attempt, news)) = self.said.recv() => inputs.push(Input::Said(trial, attempt, news)),
            Some(answer) = self.thinking.join_next() => inputs.push(answer??),
            () = wake => inputs.push(Input::Tick),
            _ = tick.tick() => inputs.push(Input::Tick),
        }
        Ok(inputs)
    }

    /// Carries commands out, up to the first that fails.
    async fn perform(&mut self, commands: Vec<Command>, signals: &mut Signals) -> Lookahead {
        let mut inputs = Vec::new();
        let mut commands = VecDeque::from(commands);
        while let Some(command) = commands.pop_front() {
            match command {
                Command::Finish(result) => return Lookahead::Over(result),
                command => match self.execute(command, signals).await {
                    Ok(input) => inputs.extend(input),
                    // The first error is the one that counts.
                    Err(_) if commands.iter().any(|command| matches!(command, Command::Finish(Err(_)))) => {}
                    Err(error) => commands = self.machine.fail(error).into(),
                },
            }
        }
        (self.show)(self.machine.view());
        Lookahead::On(inputs)
    }

    async fn execute(&mut self, command: Command, signals: &mut Signals) -> Result<Option<Input>, RunError> {
        match command {
            Command::Adopt => return self.adopt(signals).await.map(Some),
            Command::SetUp => {
                let interrupted = !self.set_up(signals).await?;
                return Ok(Some(Input::SetUp { interrupted }));
            }
            Command::Journal(entry) => self.journal.append(&[entry])?,
            Command::Prepare { facts, tried } => {
                prepare(&facts, tried).map_err(|e| RunError::Io(format!("prepare {}", facts.dir.display()), e))?;
            }
            Command::Launch(facts, name) => {
                let launcher = self.launcher.clone();
                self.attend(facts, |facts, kill| async move { launcher.run(&facts, name.as_deref(), kill).await });
            }
            Command::Watch(facts, running) => {
                self.attend(facts, |_, kill| running.wait(kill));
            }
            Command::Think(question, stopped) => {
                let Question { optimizer, evidence, fidelities, seed, next } = *question;
                self.answer(move || {
                    Input::Thought(Box::new(think(optimizer, &evidence, fidelities, &stopped, (seed, next))))
                })?;
            }
            Command::Weigh(question, running) => {
                let Question { optimizer, evidence, fidelities, seed, next } = *question;
                self.answer(move || {
                    Input::Weighed(Box::new(weigh(optimizer, &evidence, &running, &fidelities, (seed, next))))
                })?;
            }
            Command::Recommend => {
                return Ok(Some(Input::Recommended(Box::new(recommend(
                    self.study(),
                    &advice::optimizer(self.study()),
                )))));
            }
            Command::Halt => self.launcher.halt(),
            Command::End(trial) => self.end(|running| running == trial),
            Command::Kill => self.end(|_| true),
            Command::Tell(audience, notice) => self.tell(audience, *notice),
            Command::Say(remark) => remark.log(&self.study().config().name),
            Command::Quote(facts) => self.quoted.log(&facts),
            Command::Finish(_) => {}
        }
        Ok(None)
    }

    /// Waits for the end of an attempt, and listens to it, beside everything else.
    fn attend<W>(&mut self, facts: Facts, wait: impl FnOnce(Facts, watch::Receiver<bool>) -> W)
    where
        W: Future<Output = io::Result<Ending>> + Send + 'static,
    {
        let (kill, killed) = watch::channel(false);
        self.kill.insert(facts.trial, kill);
        let (objective, ending) = (self.study().config().objective.clone(), wait(facts.clone(), killed.clone()));
        let (say, mut follower) = (self.say.clone(), Follower::new(&facts, &objective));
        self.attempts.spawn(async move {
            let mut ending = pin!(ending);
            let ending = loop {
                tokio::select! {
                    ending = &mut ending => break ending,
                    () = sleep(LOOK) => {}
                }
                let news = follower.look(false);
                if news != News::default() {
                    // Nobody listens any more once the run is over.
                    let _ = say.send((facts.trial, facts.attempt, news));
                }
            };
            let asked = *killed.borrow();
            attempt(&facts, ending, asked, follower, &objective)
        });
    }

    /// Ends the attempts at these trials that run.
    fn end(&self, which: impl Fn(TrialId) -> bool) {
        for (_, kill) in self.kill.iter().filter(|(trial, _)| which(**trial)) {
            kill.send_replace(true);
        }
    }

    /// Has the optimizer answer, on a thread of its own.
    fn answer(&mut self, answer: impl FnOnce() -> Input + Send + 'static) -> Result<(), RunError> {
        self.thinking.spawn(thread::spawn(answer).map_err(RunError::thread)?);
        Ok(())
    }

    fn tell(&mut self, audience: Audience, notice: Notice) {
        if audience != Audience::Hook {
            notice.log();
        }
        if let Some(hook) = self.hook.as_mut().filter(|_| audience != Audience::Log) {
            hook.send(notice);
        }
    }

    /// Finds out what has become of the attempts that an earlier run left.
    async fn adopt(&mut self, signals: &mut Signals) -> Result<Input, RunError> {
        let study = self.study();
        let left = left(study, &self.root)?;
        let fates = tokio::select! {
            fates = self.launcher.adopt(left.clone()) => fates.map_err(RunError::adoption)?,
            () = signals.next() => return Ok(Input::Interrupted),
        };
        let objective = &study.config().objective;
        let adopted = left.into_iter().zip(fates).map(|(Orphan { facts, launch, .. }, fate)| match fate {
            Fate::Running(running) => Ok(Adopted::Running(facts, launch, running)),
            Fate::Over(ending) => {
                let follower = Follower::new(&facts, objective);
                attempt(&facts, Ok(ending), false, follower, objective).map(Adopted::Over)
            }
        });
        Ok(Input::Adopted(adopted.collect::<Result<_, RunError>>()?))
    }
}

/// The attempts that an earlier run has not seen end.
pub(super) fn left(study: &Study, root: &Path) -> Result<Vec<Orphan>, RunError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let left = study.trials().iter().filter_map(|trial| {
        let TrialState::Running { launch, since, .. } = &trial.state else { return None };
        let age = Duration::try_from_secs_f64(now - since).unwrap_or_default();
        let facts = facts(study, trial, root);
        let reported = report(&facts, Stdout::LastOfAnEnd, &study.config().objective).map(|result| result.is_ok());
        Some(reported.map(|reported| Orphan { facts, launch: launch.clone(), reported, age }))
    });
    left.collect()
}

/// An attempt that has ended, with the result that it left where it may have come to its end by itself. Where it was `asked` to end, what
/// it said last may have been on its way.
fn attempt(
    facts: &Facts,
    ending: io::Result<Ending>,
    asked: bool,
    mut follower: Follower,
    objective: &Objective,
) -> Result<Attempt, RunError> {
    let (end, duration) = ending.map_err(|e| RunError::Io(format!("wait for trial {}", facts.trial), e))?;
    let stdout = match end {
        End::Exited(Some(status)) if status.success() && !asked => Some(Stdout::Last),
        End::Exited(status) if status.is_none_or(|status| status.success()) => Some(Stdout::LastOfAnEnd),
        _ => None,
    };
    Ok(Attempt {
        trial: facts.trial,
        attempt: facts.attempt,
        duration: duration.map(|d| d.as_secs_f64()),
        news: follower.look(true),
        // Where it cannot be read, it is there and stays: the next run takes it.
        report: stdout.map(|stdout| report(facts, stdout, objective)).transpose()?,
        end,
    })
}

/// The result of an attempt, or what is wrong with it.
fn report(facts: &Facts, counts: Stdout, objective: &Objective) -> Result<Result<Outcome, String>, RunError> {
    let report = protocol::read(&facts.result_file(), (&facts.stdout_file(), counts), objective);
    report.map_err(|e| RunError::Io(format!("read the result of trial {}", facts.trial), e))
}
