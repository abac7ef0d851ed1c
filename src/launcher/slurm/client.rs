//! The commands of Slurm, each run once.

use std::fs::{OpenOptions, TryLockError};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

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
    command.process_group(0).kill_on_drop(true);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(overrides)) {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(output) => output.map_err(|e| Refusal::NotRun(format!("cannot run {program}: {e}")))?,
        Err(_) => return Err(Refusal::Passing(format!("{program} does not answer"))),
    };
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr).trim().replace('\n', "; ");
    let text = if said.is_empty() { format!("{program} ended with {status}") } else { said };
    Err(if states::passing(&text) { Refusal::Passing(text) } else { Refusal::Lasting(text) })
}

/// Why a command of Slurm did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It could not be started.
    #[error("{0}")]
    NotRun(String),
    /// Slurm is out of reach or full: it may work later, or even have worked.
    #[error("{0}")]
    Passing(String),
    /// Slurm does not want to.
    #[error("{0}")]
    Lasting(String),
}

/// Submits `job.sh` of a trial's directory. Whether that is going on can be seen by [`is_submitting`], also after a crash.
pub(super) async fn sbatch(dir: &Path) -> Result<u64, Refusal> {
    // `sbatch` does not read it, but keeps the lock for as long as it lives.
    let held = OpenOptions::new().read(true).write(true).open(dir.join("job.sh"));
    let held = held.map_err(|e| Refusal::NotRun(format!("cannot open job.sh: {e}")))?;
    // Where there are no locks, only a crash at this very moment remains undetected.
    let _ = held.try_lock();
    let mut command = Command::new("sbatch");
    command.args(["--parsable", "job.sh"]).stdin(Stdio::from(held)).current_dir(dir).env("PWD", dir);
    let text = finish(&mut command).await?;
    states::job_id(&text).ok_or_else(|| Refusal::Passing(format!("sbatch printed no job number: {}", text.trim())))
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

/// Which jobs to look up in the accounts.
pub(super) enum Accounts<'a> {
    Numbers(&'a [u64]),
    /// By name, of those not older than this.
    Names(&'a [&'a str], Duration),
}

/// What the accounts know; nothing where there are none.
pub(super) async fn sacct(jobs: Accounts<'_>) -> Vec<Row> {
    let which = match jobs {
        Accounts::Numbers(ids) => {
            vec![format!("--jobs={}", ids.iter().map(u64::to_string).collect::<Vec<_>>().join(","))]
        }
        Accounts::Names(names, age) => {
            vec![format!("--name={}", names.join(",")), format!("--starttime=now-{}seconds", age.as_secs())]
        }
    };
    let format = "--format=JobIDRaw,State,Elapsed,JobName,WorkDir";
    let mut arguments = vec!["--noheader", "--parsable2", "--allocations", format];
    arguments.extend(which.iter().map(String::as_str));
    output("sacct", &arguments).await.map(|text| states::rows(&text)).unwrap_or_default()
}

/// Cancels a job; that it is over already is no error.
pub(super) async fn scancel(id: u64) -> Result<(), Refusal> {
    match output("scancel", &[&id.to_string()]).await {
        Err(Refusal::Lasting(text)) if text.contains("already") || text.contains("Invalid job id") => Ok(()),
        other => other.map(drop),
    }
}
