//! `launcher.on_event`: a command that is told what happens, one event after the other, while the loop goes on.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use super::notice::Notice;
use super::signals::Signals;
use crate::config::LauncherConfig;
use crate::launcher::{End, Process, tail};

/// How long the command may take for one event.
const LIMIT: Duration = Duration::from_secs(30);

/// Between asking it to end and killing it.
const GRACE: Duration = Duration::from_secs(1);

/// How many events may wait for it.
const ROOM: usize = 1000;

/// How long it is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let call = Call { program: argv.next()?, arguments: argv.collect(), env, log: dir.join("on_event.log") };
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

    /// Waits until the command has been told everything, but not for ever, nor when a signal asks for an end.
    pub(super) async fn finish(self, signals: &mut Signals) {
        let Self { queue, mut caller, kill, mut dropped } = self;
        drop(queue);
        tokio::select! {
            _ = &mut caller => {}
            () = async { tokio::select! { () = tokio::time::sleep(PATIENCE) => {} () = signals.next() => {} } } => {
                kill.send_replace(true);
                dropped += caller.await.unwrap_or_default();
            }
        }
        if dropped > 0 {
            warn!("launcher.on_event was not told {dropped} events");
        }
    }
}

/// How the command is called.
struct Call {
    program: String,
    arguments: Vec<String>,
    env: Vec<(String, String)>,
    log: PathBuf,
}

impl Call {
    /// Calls it for each event in turn; how many it was not told of because it was killed.
    async fn each(self, mut events: mpsc::Receiver<Notice>, killed: watch::Receiver<bool>) -> usize {
        let mut failures = 0;
        while let Some(notice) = events.recv().await {
            if *killed.borrow() {
                return events.len() + 1;
            }
            if let Err(why) = self.once(&notice, killed.clone()).await {
                failures += 1;
                if failures == 1 {
                    warn!("launcher.on_event failed at {}: {why}; further failures are only counted", notice.event);
                }
            }
        }
        if failures > 1 {
            warn!("launcher.on_event failed {failures} times");
        }
        0
    }

    async fn once(&self, notice: &Notice, killed: watch::Receiver<bool>) -> Result<(), String> {
        let program = &self.program;
        let start = || -> io::Result<Process> {
            let (stdin, mut event) = io::pipe()?;
            let output = File::create(&self.log)?;
            let mut command = Command::new(program);
            command.args(&self.arguments).envs(self.env.iter().map(|(name, value)| (name, value)));
            command.env("ADMIRE_EVENT", notice.event).env("ADMIRE_STUDY", &notice.study);
            // Not ADMIRE_TRIAL_DIR and ADMIRE_ATTEMPT: by these the processes of a trial are recognized.
            command.envs(notice.trial.map(|id| ("ADMIRE_TRIAL_ID", id.to_string())));
            command.stdin(stdin).stdout(output.try_clone()?).stderr(output);
            let process = Process::start(&mut command)?;
            let text = serde_json::to_vec(notice)?;
            // It may never read it; then this ends with the process.
            tokio::task::spawn_blocking(move || event.write_all(&text));
            Ok(process)
        };
        let process = start().map_err(|e| format!("cannot start `{program}`: {e}"))?;
        let how = match process.wait(Some(LIMIT), GRACE, killed).await {
            Ok((End::Exited(Some(status)), _)) if status.success() => return Ok(()),
            Ok((End::Exited(Some(status)), _)) => format!("ended with {status}"),
            Ok((End::TimedOut, _)) => format!("took longer than {} s", LIMIT.as_secs()),
            Ok((end, _)) => format!("{end:?}").to_lowercase(),
            Err(e) => e.to_string(),
        };
        let said = tail::last_lines(&self.log, 1).concat();
        Err(format!("`{program}` {how}{}{said}", if said.is_empty() { "" } else { ": " }))
    }
}
