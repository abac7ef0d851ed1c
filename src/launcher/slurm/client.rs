//! The commands of Slurm, each run once.

use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;

use super::states::{self, Row};

/// They give up by themselves, well before this, when Slurm does not answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether a variable of the user's environment would override what `admire` relies on: what the script says of these,
/// and which jobs are shown.
fn overrides(name: &str) -> bool {
    const SCRIPT: [&str; 6] = ["ARRAY_INX", "CLUSTERS", "ERROR", "JOB_NAME", "OUTPUT", "WAIT"];
    const QUERIES: [&str; 3] = ["SQUEUE_", "SACCT_", "SCANCEL_"];
    name.strip_prefix("SBATCH_").is_some_and(|option| SCRIPT.contains(&option))
        || QUERIES.iter().any(|prefix| name.starts_with(prefix))
}

/// Runs a command to its end; its output where it succeeded, else what it said.
async fn output(program: &str, arguments: &[&str]) -> Result<String, Refusal> {
    finish(Command::new(program).args(arguments).stdin(Stdio::null())).await
}

async fn finish(command: &mut Command) -> Result<String, Refusal> {
    let program = command.as_std().get_program().display().to_string();
    // Ctrl-C is for `admire` alone to act on.
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(overrides)) {
        command.env_remove(name);
    }
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

/// Why a command of Slurm did not do what it was asked to, in its words. It may work later, or even have worked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(String);

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

/// Submits `job.sh` of a trial's directory. Whether that is going on can be seen by [`is_submitting`], also after a crash.
pub(super) async fn sbatch(dir: &Path) -> Result<u64, Refusal> {
    // `sbatch` does not read it, but keeps the lock for as long as it lives.
    let held = OpenOptions::new().read(true).write(true).open(dir.join("job.sh"));
    let held = held.map_err(|e| Refusal(format!("cannot open job.sh: {e}")))?;
    // Where there are no locks, only a crash at this very moment remains undetected.
    let _ = held.try_lock();
    let mut command = Command::new("sbatch");
    command.args(["--parsable", "job.sh"]).stdin(Stdio::from(held)).current_dir(dir).env("PWD", dir);
    let text = finish(&mut command).await?;
    states::job_id(&text).ok_or_else(|| Refusal(format!("sbatch printed no job number: {}", text.trim())))
}

/// Whether an `sbatch` of an earlier `admire` is still at work in a trial's directory.
pub(super) fn is_submitting(dir: &Path) -> bool {
    let file = OpenOptions::new().read(true).write(true).open(dir.join("job.sh"));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// All jobs of these names that Slurm remembers, over or not.
pub(super) async fn squeue(names: &[&str]) -> Result<Vec<Row>, Refusal> {
    let names = format!("--name={}", names.join(","));
    let format = "--format=%i|%T|%M|%j|%Z";
    output("squeue", &["--noheader", "--states=all", &names, format]).await.map(|text| states::rows(&text))
}

/// What the accounts know about jobs of these numbers; nothing where there are none.
pub(super) async fn sacct(ids: &[u64]) -> Vec<Row> {
    let ids = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let format = "--format=JobIDRaw,State,Elapsed,JobName,WorkDir";
    let arguments = ["--noheader", "--parsable2", "--allocations", format, &format!("--jobs={ids}")];
    output("sacct", &arguments).await.map(|text| states::rows(&text)).unwrap_or_default()
}

/// Cancels a job, unless its number has become that of a job with another name; that it is over already is no error.
pub(super) async fn scancel(id: u64, name: &str) -> Result<(), Refusal> {
    match output("scancel", &[&id.to_string(), &format!("--name={name}")]).await {
        Err(Refusal(text)) if text.contains("already") || text.contains("Invalid job id") => Ok(()),
        other => other.map(drop),
    }
}
