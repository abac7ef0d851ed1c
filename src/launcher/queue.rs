//! Trials as jobs of any queue, which the config says how to use: by programs that submit a job, print its state and cancel
//! it.
//!
//! A queue may know jobs by their names, which are ours, or by ids, which it makes up. An id is printed into a file beside
//! the script, so that it is found there after a crash. Every submission has a script of its own, which notes the number of
//! the submission where it takes the attempt: of two jobs only one trains.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Command;
use tracing::warn;

use super::command::fill;
use super::jobs::{self, Attempt, Client, Refusal, Seen, State, Traces, programs};
use super::{BoxFuture, Facts, JobId};
use crate::config::{JobState, LauncherConfig, LauncherKind, QueuePrograms};
use crate::files;
use crate::text::quoted;

/// Bytes of what is read of the output of `submit`.
const OUTPUT: u64 = 64 << 10;

/// The script of a submission of an attempt.
///
/// # Errors
/// The working directory is not known, or its path is not UTF-8.
pub fn script(config: &LauncherConfig, facts: &Facts, submission: usize) -> io::Result<String> {
    let log = |name: &str| quoted(&facts.dir.join(name).display().to_string());
    let header = format!("exec >>{} 2>>{}\n{}", log("stdout.log"), log("stderr.log"), jobs::enter()?);
    Ok(jobs::script(config, facts, &header, &submission.to_string()))
}

/// The arguments that submit `script` as the job `name`.
#[must_use]
pub fn arguments(queue: &QueuePrograms, name: &str, facts: &Facts, script: &Path) -> Vec<String> {
    let script = script.display().to_string();
    let value = |placeholder: &str| match placeholder {
        "job" => Some(name.to_owned()),
        "command" => Some(format!("sh {}", quoted(&script))),
        "script" => Some(script.clone()),
        "dir" => Some(facts.dir.display().to_string()),
        _ => None,
    };
    let filled = |argument: &String| match argument.as_str() {
        "{options}" => queue.fidelity.get(&facts.fidelity).cloned().unwrap_or_default(),
        _ => vec![fill(argument, value)],
    };
    queue.submit.iter().flat_map(filled).collect()
}

/// The script of a submission, in the folder of its attempt ([`Facts::submissions`]).
#[must_use]
pub fn script_file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.sh"))
}

/// A queue, as it is asked about jobs.
#[derive(Debug)]
pub(super) struct Programs {
    config: Arc<LauncherConfig>,
    queue: QueuePrograms,
    /// Jobs of which `status` has printed what the config does not explain.
    unexplained: Mutex<BTreeSet<JobId>>,
}

/// The job that has taken an attempt.
enum Taker {
    /// None has, or any of the name.
    None,
    /// This one.
    Known(JobId),
    /// One whose submission seemed to fail, so that its id was not read.
    Unknown,
}

/// A submission of an attempt.
struct Submission {
    script: PathBuf,
    /// Where its job's id is.
    printed: PathBuf,
}

impl Submission {
    fn new(attempt: &Attempt, number: usize) -> Self {
        let folder = &attempt.submissions;
        Self { script: script_file(folder, number), printed: folder.join(format!("{number}.out")) }
    }

    /// The id of its job: the last word that `submit` printed, if it has printed any. It becomes part of commands, so that it
    /// may have no characters that a shell would take for its own.
    ///
    /// # Errors
    /// That word is no id: there is a job, and it must not be submitted again.
    fn id(&self) -> Result<Option<JobId>, Refusal> {
        let printed = files::read_output(&self.printed, OUTPUT).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@+-".contains(c);
        match printed.split_whitespace().next_back() {
            Some(word) if !word.chars().all(plain) => Err(self.without_id(printed.trim())),
            word => Ok(word.map(|word| JobId::Word(word.into()))),
        }
    }

    fn without_id(&self, printed: &str) -> Refusal {
        Refusal(format!(
            "launcher.submit has submitted a job, but the last word of what it printed is no id: `{printed}`; correct it, \
             cancel the job and remove {}",
            self.printed.display()
        ))
    }
}

/// All submissions of an attempt.
fn submissions(attempt: &Attempt) -> Vec<Submission> {
    (1..).map(|number| Submission::new(attempt, number)).take_while(|submission| submission.script.exists()).collect()
}

impl Programs {
    /// With what `[launcher]` says.
    ///
    /// # Errors
    /// It says nothing of a queue.
    pub fn new(config: &Arc<LauncherConfig>) -> io::Result<Self> {
        let LauncherKind::Queue(queue) = config.kind.clone() else {
            let message = "trials run as jobs of a queue whose programs the config has no more: set launcher.kind = \
                           \"queue\" and its keys again, at least until they have ended";
            return Err(io::Error::other(message));
        };
        Ok(Self { config: Arc::clone(config), queue, unexplained: Mutex::default() })
    }

    /// Runs `status` or `cancel`; what it printed.
    async fn ask(&self, argv: &[String], id: &JobId, name: &str) -> Result<String, Refusal> {
        let value = |placeholder: &str| match placeholder {
            "id" => Some(id.to_string()),
            "job" => Some(name.to_owned()),
            _ => None,
        };
        let argv: Vec<String> = argv.iter().map(|argument| fill(argument, value)).collect();
        programs::finish(Command::new(&argv[0]).args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::piped())).await
    }

    /// The state of a job; `None` where the queue does not know it.
    async fn state(&self, id: &JobId, name: &str) -> Result<Option<State>, Refusal> {
        let printed = self.ask(&self.queue.status, id, name).await?;
        let known = printed.split_whitespace().filter_map(|word| Some((*self.queue.states.get(word)?, word)));
        Ok(match known.min() {
            Some((JobState::Running | JobState::Queued, _)) => Some(State::Active),
            Some((JobState::Done, _)) => Some(State::Completed),
            Some((JobState::Failed, _)) => Some(State::Failed),
            Some((JobState::Lost, word)) => Some(State::Lost(format!("the job was lost ({word})").into())),
            None if printed.trim().is_empty() => None,
            None => {
                if self.unexplained.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
                    let line = printed.trim().lines().next().unwrap_or_default();
                    warn!(
                        "launcher.status prints `{line}`, of which launcher.states has no word; taken for \"running\""
                    );
                }
                Some(State::Active)
            }
        })
    }

    /// Which job has taken an attempt, in a queue that knows jobs by their ids.
    fn taker(&self, attempt: &Attempt) -> Taker {
        let Some(number) = attempt.claim::<usize>().filter(|_| !self.queue.by_name) else { return Taker::None };
        let id = Submission::new(attempt, number).id().ok().flatten();
        id.map_or(Taker::Unknown, Taker::Known)
    }

    /// The job that has an attempt; `None` where none is known to run, to wait or to have begun.
    async fn holder(&self, attempt: &Attempt) -> Result<Option<JobId>, Refusal> {
        let name = JobId::Word(attempt.name.clone());
        if self.queue.by_name {
            let begun = attempt.claim::<usize>().is_some() || attempt.traces() != Traces::default();
            let known = self.state(&name, &attempt.name).await? == Some(State::Active) || begun;
            return Ok(known.then_some(name));
        }
        match self.taker(attempt) {
            Taker::Known(id) => Ok(Some(id)),
            Taker::Unknown => Ok(Some(name)),
            Taker::None => submissions(attempt).iter().rev().find_map(|job| job.id().transpose()).transpose(),
        }
    }

    async fn seen(&self, id: &JobId, attempt: &Attempt) -> Result<Seen, Refusal> {
        let elapsed = attempt.ran();
        let ended = || attempt.traces().exit.is_some();
        match self.taker(attempt) {
            Taker::Known(other) if other != *id => return Ok(Seen { state: None, elapsed, other: Some(other) }),
            Taker::Unknown => return Ok(Seen { state: (!ended()).then_some(State::Active), elapsed, other: None }),
            _ => {}
        }
        let state = match self.state(id, &attempt.name).await {
            // The queue need not tell what the job has written.
            Err(_) if ended() => None,
            state => state?,
        };
        Ok(Seen { state, elapsed, other: None })
    }

    async fn submit(&self, attempt: &Attempt, facts: &Facts) -> Result<JobId, Refusal> {
        let number = submissions(attempt).len() + 1;
        let submission = Submission::new(attempt, number);
        let refused = |e: io::Error| Refusal(format!("cannot write {}: {e}", submission.script.display()));
        fs::create_dir_all(&attempt.submissions).map_err(refused)?;
        let script = script(&self.config, facts, number).map_err(refused)?;
        files::write(&submission.script, script.as_bytes()).map_err(refused)?;
        let printed = files::create(&submission.printed).map_err(refused)?;
        let argv = arguments(&self.queue, &attempt.name, facts, &submission.script);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).stdin(programs::hold(&submission.script)?).stdout(printed);
        if let Err(refusal) = programs::finish(&mut command).await {
            // Whatever it printed is no id.
            let _ = fs::remove_file(&submission.printed);
            return Err(refusal);
        }
        if self.queue.by_name {
            return Ok(JobId::Word(attempt.name.clone()));
        }
        if let Some(id) = submission.id()? {
            return Ok(id);
        }
        // What the next try finds, so that it submits no second job.
        let nothing = "(nothing)";
        files::write(&submission.printed, nothing.as_bytes()).map_err(refused)?;
        Err(submission.without_id(nothing))
    }
}

impl Client for Programs {
    fn name(&self, study: &str, facts: &Facts) -> String {
        jobs::unique_name(study, facts)
    }

    fn submit<'a>(&'a self, attempt: &'a Attempt, facts: &'a Facts) -> BoxFuture<'a, Result<JobId, Refusal>> {
        Box::pin(self.submit(attempt, facts))
    }

    fn is_submitting(&self, attempt: &Attempt) -> bool {
        submissions(attempt).iter().any(|submission| programs::is_held(&submission.script))
    }

    fn find<'a>(&'a self, attempts: &'a [&'a Attempt]) -> BoxFuture<'a, Result<Vec<Option<JobId>>, Refusal>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for attempt in attempts {
                found.push(self.holder(attempt).await?);
            }
            Ok(found)
        })
    }

    fn look<'a>(&'a self, jobs: &'a [(JobId, Attempt)]) -> BoxFuture<'a, Vec<Result<Seen, Refusal>>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for (id, attempt) in jobs {
                all.push(self.seen(id, attempt).await);
            }
            all
        })
    }

    fn cancel<'a>(&'a self, id: &'a JobId, attempt: &'a Attempt) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            if matches!(self.taker(attempt), Taker::Unknown) {
                let message = "its submission seemed to fail, so its id is not known; cancel it by hand";
                return Err(Refusal(message.into()));
            }
            match self.ask(&self.queue.cancel, id, &attempt.name).await {
                // One that is over cannot be cancelled.
                Err(refusal) if !matches!(self.state(id, &attempt.name).await, Ok(state) if state != Some(State::Active)) => {
                    Err(refusal)
                }
                _ => Ok(()),
            }
        })
    }
}
