//! `launcher.setup`: what is run before anything is launched.

use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;
use tracing::info;

use super::driver::Driver;
use super::signals::Signals;
use super::{RunError, View, thread};
use crate::launcher::{End, Process, Tag, tail};
use crate::text::command_line;

/// Lines that are longer are broken.
const LONGEST: u64 = 1 << 16;

impl<F: FnMut(View<'_>)> Driver<'_, F> {
    /// Runs `launcher.setup`, once what an earlier run has left of it has ended; false when it was interrupted (and killed).
    pub(super) async fn set_up(&mut self, signals: &mut Signals) -> Result<bool, RunError> {
        let argv = self.launcher.config().setup.clone().unwrap_or_default();
        let Some((program, arguments)) = argv.split_first() else { return Ok(true) };
        let (tag, (name, value)) = Tag::setup(&self.root);
        if let Some(process) = Process::find(&tag) {
            let pid = process.mark().map_or(0, |mark| mark.pid);
            info!("waiting for launcher.setup of an earlier run, process {pid}, to end; interrupt to kill it");
            if self.await_command(program, process, signals).await? == End::Killed {
                return Ok(false);
            }
        }
        info!(event = "setup", study = self.study().config().name, "setting up: {}", command_line(&argv));
        let cannot = |e: io::Error| RunError::Setup(format!("cannot start `{program}`: {e}"));
        let (output, input) = io::pipe().map_err(cannot)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(&self.launcher.config().env).env(name, value).stdin(Stdio::null());
        command.stdout(input.try_clone().map_err(cannot)?).stderr(input);
        let said = thread::spawn(move || pass_on(output)).map_err(RunError::thread)?;
        let process = Process::start(&mut command).map_err(cannot)?;
        // Our ends of the pipe: it is to end with the process.
        drop(command);
        let end = self.await_command(program, process, signals).await?;
        // Whoever left its group lives on, and may keep the pipe.
        let said = tokio::time::timeout(Duration::from_secs(1), said).await;
        match end {
            End::Exited(Some(status)) if !status.success() => {
                let last = said.ok().and_then(Result::ok).filter(|line| !line.is_empty());
                let last = last.map_or_else(String::new, |line| format!(": {line}"));
                Err(RunError::Setup(format!("`{program}` ended with {status}{last}")))
            }
            end => Ok(end != End::Killed),
        }
    }

    /// Waits for the end of a command, or kills it when a signal asks for an end.
    async fn await_command(&self, program: &str, process: Process, signals: &mut Signals) -> Result<End, RunError> {
        let (kill, killed) = watch::channel(false);
        let mut end = pin!(process.wait(None, self.launcher.config().grace, killed));
        loop {
            tokio::select! {
                end = &mut end => return Ok(end.map_err(|e| RunError::Io(format!("wait for `{program}`"), e))?.0),
                () = signals.next() => drop(kill.send_replace(true)),
            }
        }
    }
}

/// Logs what is printed, line by line: stdout is for results. Returns the last line.
fn pass_on(output: PipeReader) -> String {
    let (mut output, mut line, mut last) = (BufReader::new(output), Vec::new(), String::new());
    while output.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = tail::plain(String::from_utf8_lossy(&line).trim_end_matches('\n'));
        info!(event = "setup", "{text}");
        if !text.is_empty() {
            last = text;
        }
        line.clear();
    }
    last
}
