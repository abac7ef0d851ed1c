//! `launcher.on_event`: a command that is told what happens, one event after the other, while the loop goes on.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::notice::Notice;
use super::signals::Signals;
use super::thread;
use crate::config::LauncherConfig;
use crate::files;
use crate::launcher::{End, Process, tail};
use crate::text::counted;

/// How long the command may take for one event.
const LIMIT: Duration = Duration::from_secs(30);

/// Between asking it to end and killing it.
const GRACE: Duration = Duration::from_secs(1);

/// How many events may wait for it.
const ROOM: usize = 1000;

/// How long it is waited for at the end before that is said.
const PATIENCE: Duration = Duration::from_secs(1);

/// The events on their way to the command.
#[derive(Debug)]
pub(super) struct Hook {
    queue: mpsc::Sender<Notice>,
    caller: JoinHandle<usize>,
    kill: watch::Sender<bool>,
    dropped: usize,
}

impl Hook {
    /// The hook of a config, if it has one; what the command prints goes to a file in `dir`. Must be called inside a runtime.
    pub(super) fn new(config: &LauncherConfig, dir: &Path) -> Option<Self> {
        let mut argv = config.on_event.clone()?.into_iter();
        let env = config.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let (program, log) = (argv.next()?, dir.join("on_event.log"));
        let call = Call { program, arguments: argv.collect(), env, log, limit: LIMIT };
        let (queue, events) = mpsc::channel(ROOM);
        let (kill, killed) = watch::channel(false);
        Some(Self { queue, caller: tokio::spawn(call.each(events, killed)), kill, dropped: 0 })
    }

    /// Hands over an event, without waiting for anything.
    pub(super) fn send(&mut self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            if self.dropped == 0 {
                warn!(
                    "launcher.on_event is too slow: {ROOM} events wait for it, further ones are dropped until it catches up"
                );
            }
            self.dropped += 1;
        }
    }

    /// Waits until the command has been told everything, until it hangs, or until a signal asks for an end.
    pub(super) async fn finish(self, signals: &mut Signals) {
        let Self { queue, mut caller, kill, dropped } = self;
        drop(queue);
        let untold = match tokio::time::timeout(PATIENCE, &mut caller).await {
            Ok(untold) => untold,
            Err(_) => {
                info!("waiting for launcher.on_event, which has not been told everything yet; interrupt to skip that");
                tokio::select! {
                    untold = &mut caller => untold,
                    () = signals.next() => {
                        kill.send_replace(true);
                        caller.await
                    }
                }
            }
        };
        let dropped = dropped + untold.unwrap_or_default();
        if dropped > 0 {
            warn!("launcher.on_event was not told {}", counted(dropped, "event"));
        }
    }
}

/// How the command is called.
struct Call {
    program: String,
    arguments: Vec<String>,
    env: Vec<(String, String)>,
    log: PathBuf,
    limit: Duration,
}

impl Call {
    /// Calls it for each event in turn; how many it was not told of because it was killed, or hung at the end.
    async fn each(self, mut events: mpsc::Receiver<Notice>, killed: watch::Receiver<bool>) -> usize {
        let mut failures = 0;
        while let Some(notice) = events.recv().await {
            if *killed.borrow() {
                return events.len() + 1;
            }
            if let Err(Failure { why, hung }) = self.once(&notice, killed.clone()).await {
                failures += 1;
                let event = notice.event;
                if failures == 1 {
                    warn!(
                        "launcher.on_event failed at {event}: {why}; -v shows further failures, the end their number"
                    );
                } else {
                    debug!("launcher.on_event failed at {event}: {why}");
                }
                // The study has ended, and what hangs would hold it up at every other event.
                if hung && events.is_closed() {
                    return events.len();
                }
            }
        }
        if failures > 1 {
            warn!("launcher.on_event failed {failures} times");
        }
        0
    }

    async fn once(&self, notice: &Notice, killed: watch::Receiver<bool>) -> Result<(), Failure> {
        let program = &self.program;
        let start = || -> io::Result<Process> {
            let (stdin, mut event) = io::pipe()?;
            // It is to be told of a full disk, too.
            let output = files::create(&self.log).and_then(|file| Ok((file.try_clone()?.into(), file.into())));
            let (stdout, stderr) = output.unwrap_or_else(|_| (Stdio::null(), Stdio::null()));
            let mut command = Command::new(program);
            command.args(&self.arguments).envs(self.env.iter().map(|(name, value)| (name, value)));
            command.env("ADMIRE_EVENT", notice.event).env("ADMIRE_STUDY", &notice.study);
            // It may have anything in it, but a variable cannot.
            command.env("ADMIRE_MESSAGE", tail::plain(&notice.message));
            // Not ADMIRE_TRIAL_DIR and ADMIRE_ATTEMPT: by these the processes of a trial are recognized.
            command.envs(notice.trial.map(|id| ("ADMIRE_TRIAL_ID", id.to_string())));
            command.envs(notice.fidelity.as_ref().map(|name| ("ADMIRE_FIDELITY", name)));
            command.stdin(stdin).stdout(stdout).stderr(stderr);
            let mut text = serde_json::to_vec(notice)?;
            text.push(b'\n');
            // It may never read it; then this ends with the process.
            drop(thread::spawn(move || event.write_all(&text))?);
            Process::start(&mut command)
        };
        let process = start().map_err(|e| Failure { why: format!("cannot start `{program}`: {e}"), hung: false })?;
        let ended = process.wait(Some(self.limit), GRACE, killed).await;
        let hung = matches!(ended, Ok((End::TimedOut, _)));
        let how = match ended {
            Ok((End::Exited(Some(status)), _)) if status.success() => return Ok(()),
            Ok((End::Exited(Some(status)), _)) => format!("ended with {status}"),
            Ok((End::TimedOut, _)) => format!("took longer than {} s", self.limit.as_secs_f64()),
            Ok((end, _)) => format!("{end:?}").to_lowercase(),
            Err(e) => e.to_string(),
        };
        let said = tail::last_lines(&self.log, 1).concat();
        let why = format!("`{program}` {how}{}{said}", if said.is_empty() { "" } else { ": " });
        Err(Failure { why, hung })
    }
}

/// Why the command was not told of an event.
struct Failure {
    why: String,
    /// It took longer than it may.
    hung: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Confirmed, Spent};

    /// A call of `sh -c script`, with 0.2 s for it.
    fn shell(script: &str, dir: &Path) -> Call {
        let arguments = vec!["-c".into(), script.into()];
        let (log, limit) = (dir.join("on_event.log"), Duration::from_millis(200));
        Call { program: "sh".into(), arguments, env: vec![], log, limit }
    }

    fn notice(dir: &Path) -> Notice {
        Notice {
            timestamp: String::new(),
            event: "trial_failed",
            message: "a\0b\nc".into(),
            study: "t".into(),
            dir: dir.into(),
            spent: Spent { cost: 1.0, trials: 1, confirmation: Confirmed { cost: 0.0, trials: 0 } },
            trial: Some(7),
            attempt: Some(1),
            fidelity: Some("1M".into()),
            cost: None,
            objective: None,
            expected: None,
            duration_s: None,
            reason: None,
            weights: None,
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// What calling `sh -c script` for an event says.
    fn call(script: &str) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let told = run(shell(script, dir.path()).once(&notice(dir.path()), watch::channel(false).1));
        told.map_err(|failure| failure.why)
    }

    /// How many of four events `sh -c script` is not told of when the study has ended.
    fn untold(script: &str) -> usize {
        let dir = tempfile::tempdir().unwrap();
        let (queue, events) = mpsc::channel(4);
        (0..4).for_each(|_| queue.try_send(notice(dir.path())).unwrap());
        drop(queue);
        run(shell(script, dir.path()).each(events, watch::channel(false).1))
    }

    #[test]
    fn at_the_end_it_is_told_everything_unless_it_hangs() {
        assert_eq!(["sleep 0.1", "exit 3", "exec sleep 1000"].map(untold), [0, 0, 3]);
    }

    #[test]
    fn facts_are_in_the_environment_and_on_stdin() {
        let test = r#"[ "$ADMIRE_EVENT $ADMIRE_STUDY $ADMIRE_TRIAL_ID $ADMIRE_FIDELITY" = "trial_failed t 7 1M" ]"#;
        assert_eq!(
            call(&format!(r#"{test} && read line && case "$line" in *'"trial":7'*) ;; *) exit 9 ;; esac"#)),
            Ok(())
        );
    }

    #[test]
    fn failures_say_why() {
        assert_eq!(call("echo no network >&2; exit 3").unwrap_err(), "`sh` ended with exit status: 3: no network");
        assert_eq!(call("exec 0<&-; echo hm; sleep 1000").unwrap_err(), "`sh` took longer than 0.2 s: hm");
    }
}
