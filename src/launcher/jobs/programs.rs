//! The programs of a queue, each run once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;

use super::Refusal;

/// Those of Slurm give up by themselves, well before this, when it does not answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a program to its end: what it printed, where its stdout is not set to go elsewhere, else what it said.
pub async fn finish(command: &mut Command) -> Result<String, Refusal> {
    let program = command.as_std().get_program().display().to_string();
    // Ctrl-C is for `admire` alone to act on.
    command.process_group(0).stderr(Stdio::piped());
    let failed = |e: io::Error| Refusal(format!("cannot run {program}: {e}"));
    let child = command.spawn().map_err(failed)?;
    let mut abandoned = Abandoned(child.id());
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.map_err(|_| Refusal(format!("{program} does not answer")))?;
    abandoned.0 = None;
    let Output { status, stdout, stderr } = output.map_err(failed)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr).trim().replace('\n', "; ");
    let text = if said.is_empty() { format!("{program} ended with {status}") } else { said };
    Err(Refusal(text))
}

/// Kills the process group of a command that is not waited for any more.
struct Abandoned(Option<u32>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // An error says that nobody is left to signal.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// Opens a script to be the stdin of the program that submits it, which keeps it locked for as long as it lives: so
/// [`is_held`] sees it at work, also after a crash.
pub fn hold(script: &Path) -> Result<File, Refusal> {
    let held = OpenOptions::new().read(true).write(true).open(script);
    let held = held.map_err(|e| Refusal(format!("cannot open {}: {e}", script.display())))?;
    // Where there are no locks, only a crash at this very moment remains undetected.
    let _ = held.try_lock();
    Ok(held)
}

/// Whether a script is being submitted.
pub fn is_held(script: &Path) -> bool {
    let file = OpenOptions::new().read(true).write(true).open(script);
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
