//! Trials as jobs of Slurm.
//!
//! All jobs are looked at together, by one `squeue`; `sacct` is asked for those that have left the queue, but need not know
//! them, or exist. Jobs are known by their names, and by the folders that they were submitted in.

pub mod rows;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;
use tracing::warn;

use super::jobs::{self, Attempt, Client, Refusal, Seen, State, Traces, programs};
use super::{BoxFuture, Facts, JobId};
use crate::config::{LauncherConfig, LauncherKind};
use crate::files;
use crate::problem::TrialId;
use rows::Row;

/// `admire-<study>-<trial>-<attempt>`, with the characters that lists of names cannot hold replaced.
#[must_use]
pub fn job_name(study: &str, trial: TrialId, attempt: u32) -> String {
    format!("admire-{}-{trial}-{attempt}", jobs::plain(study, "._-"))
}

/// The batch script of an attempt, to be submitted in the trial's directory: there its output goes, as paths in `#SBATCH`
/// lines would be up to Slurm's own rules of quoting and patterns.
///
/// # Errors
/// The working directory is not known, or its path is not UTF-8.
pub fn script(config: &LauncherConfig, name: &str, facts: &Facts) -> io::Result<String> {
    // A second job of the attempt must not empty the files of the first.
    let mut header = format!(
        "#SBATCH --job-name={name}\n#SBATCH --output=stdout.log\n#SBATCH --error=stderr.log\n#SBATCH --open-mode=append\n"
    );
    if let LauncherKind::Slurm { directives, fidelity } = &config.kind {
        // Of two lines for one option the later one counts.
        for directive in directives.iter().chain(fidelity.get(&facts.fidelity).into_iter().flatten()) {
            let _ = writeln!(header, "#SBATCH {directive}");
        }
    }
    let _ = write!(header, "\n{}", jobs::enter()?);
    Ok(jobs::script(config, facts, &header, "\"$SLURM_JOB_ID\""))
}

/// Slurm, as it is asked about jobs.
#[derive(Debug)]
pub(super) struct Slurm {
    config: Arc<LauncherConfig>,
}

impl Slurm {
    /// With what `[launcher]` says.
    pub fn new(config: &Arc<LauncherConfig>) -> Self {
        Self { config: Arc::clone(config) }
    }
}

impl Client for Slurm {
    fn name(&self, study: &str, facts: &Facts) -> String {
        job_name(study, facts.trial, facts.attempt)
    }

    fn submit<'a>(&'a self, attempt: &'a Attempt, facts: &'a Facts) -> BoxFuture<'a, Result<JobId, Refusal>> {
        Box::pin(async move {
            let refused = |e: io::Error| Refusal(format!("cannot write job.sh: {e}"));
            let script = script(&self.config, &attempt.name, facts).map_err(refused)?;
            files::write(&attempt.dir.join("job.sh"), script.as_bytes()).map_err(refused)?;
            sbatch(&attempt.dir).await.map(JobId::Number)
        })
    }

    fn is_submitting(&self, attempt: &Attempt) -> bool {
        programs::is_held(&attempt.dir.join("job.sh"))
    }

    fn find<'a>(&'a self, attempts: &'a [&'a Attempt]) -> BoxFuture<'a, Result<Vec<Option<JobId>>, Refusal>> {
        Box::pin(async move {
            let names: Vec<&str> = attempts.iter().map(|attempt| attempt.name.as_str()).collect();
            let rows = squeue(&names).await?;
            Ok(attempts.iter().map(|attempt| holder(attempt, &rows).map(JobId::Number)).collect())
        })
    }

    fn look<'a>(&'a self, jobs: &'a [(JobId, Attempt)]) -> BoxFuture<'a, Vec<Result<Seen, Refusal>>> {
        Box::pin(async move {
            match look(jobs).await {
                Ok(seen) => seen.into_iter().map(Ok).collect(),
                Err(refusal) => vec![Err(refusal); jobs.len()],
            }
        })
    }

    fn cancel<'a>(&'a self, id: &'a JobId, attempt: &'a Attempt) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(scancel(id, &attempt.name))
    }
}

async fn look(jobs: &[(JobId, Attempt)]) -> Result<Vec<Seen>, Refusal> {
    let names: BTreeSet<&str> = jobs.iter().map(|(_, attempt)| attempt.name.as_str()).collect();
    let queue = squeue(&names.into_iter().collect::<Vec<_>>()).await?;
    // The latest record of a job counts.
    let find = |rows: &[Row], id: &JobId, attempt: &Attempt| {
        rows.iter().rfind(|row| JobId::Number(row.id) == *id && owns(attempt, row)).cloned()
    };
    let gone: Vec<&JobId> =
        jobs.iter().filter(|(id, attempt)| find(&queue, id, attempt).is_none()).map(|(id, _)| id).collect();
    let accounts = if gone.is_empty() { Vec::new() } else { sacct(&gone).await };
    let mut all = Vec::new();
    for (id, attempt) in jobs {
        // Accounts lag: what they take for active has left the queue all the same.
        let over = || find(&accounts, id, attempt).filter(|row| row.state != State::Active);
        let row = find(&queue, id, attempt).or_else(over);
        let elapsed = row.as_ref().and_then(|row| row.elapsed);
        all.push(Seen { state: row.map(|row| row.state), elapsed, other: keep_one(id, attempt, &queue).await });
    }
    Ok(all)
}

/// Whether a job is one of an attempt. The name alone could be that of a colleague's study; old accounts do not know the
/// folder.
fn owns(attempt: &Attempt, row: &Row) -> bool {
    let dir = Path::new(&row.dir);
    row.name == attempt.name
        && (row.dir.is_empty() || dir == attempt.dir || fs::canonicalize(dir).is_ok_and(|dir| dir == attempt.dir))
}

/// The job that has an attempt: the one that took it, else a running one, else the oldest that waits; `None` where none
/// runs, waits, or has done anything.
fn holder(attempt: &Attempt, rows: &[Row]) -> Option<u64> {
    let own = || rows.iter().filter(|row| owns(attempt, row));
    let active = || own().filter(|row| row.state == State::Active);
    let first = || active().max_by_key(|row| (row.elapsed, Reverse(row.id))).map(|row| row.id);
    // The scripts of earlier versions took nothing.
    let over = || own().map(|row| row.id).max().filter(|_| attempt.traces() != Traces::default());
    attempt.claim().or_else(first).or_else(over)
}

/// Cancels all jobs of an attempt but the one that has it. Which one that is, where it is not job `id`.
async fn keep_one(id: &JobId, attempt: &Attempt, queue: &[Row]) -> Option<JobId> {
    let active = || queue.iter().filter(|row| row.state == State::Active && owns(attempt, row));
    if active().all(|row| JobId::Number(row.id) == *id) {
        return None;
    }
    let kept = holder(attempt, queue)?;
    for row in active().filter(|row| row.id != kept) {
        warn!("cancelling job {}: job {kept} has the same attempt", row.id);
        if let Err(refusal) = scancel(&JobId::Number(row.id), &attempt.name).await {
            warn!("cannot cancel job {} ({refusal})", row.id);
        }
    }
    Some(JobId::Number(kept)).filter(|kept| kept != id)
}

/// Whether a variable of the user's environment would override what `admire` relies on: what the script says of these,
/// and which jobs are shown.
fn overrides(name: &str) -> bool {
    const SCRIPT: [&str; 6] = ["ARRAY_INX", "CLUSTERS", "ERROR", "JOB_NAME", "OUTPUT", "WAIT"];
    const QUERIES: [&str; 3] = ["SQUEUE_", "SACCT_", "SCANCEL_"];
    name.strip_prefix("SBATCH_").is_some_and(|option| SCRIPT.contains(&option))
        || QUERIES.iter().any(|prefix| name.starts_with(prefix))
}

/// Runs a command of Slurm to its end; what it printed.
async fn output(program: &str, arguments: &[&str]) -> Result<String, Refusal> {
    finish(Command::new(program).args(arguments).stdin(Stdio::null())).await
}

async fn finish(command: &mut Command) -> Result<String, Refusal> {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(overrides)) {
        command.env_remove(name);
    }
    programs::finish(command.stdout(Stdio::piped())).await
}

/// Submits `job.sh` of a trial's directory, which `sbatch` reads by its name.
async fn sbatch(dir: &Path) -> Result<u64, Refusal> {
    let held = programs::hold(&dir.join("job.sh"))?;
    let mut command = Command::new("sbatch");
    command.args(["--parsable", "job.sh"]).stdin(Stdio::from(held)).current_dir(dir).env("PWD", dir);
    let text = finish(&mut command).await?;
    rows::job_id(&text).ok_or_else(|| Refusal(format!("sbatch printed no job number: {}", text.trim())))
}

/// All jobs of these names that Slurm remembers, over or not.
async fn squeue(names: &[&str]) -> Result<Vec<Row>, Refusal> {
    let names = format!("--name={}", names.join(","));
    let format = "--format=%i|%T|%M|%j|%Z";
    output("squeue", &["--noheader", "--states=all", &names, format]).await.map(|text| rows::rows(&text))
}

/// What the accounts know about jobs of these numbers; nothing where there are none.
async fn sacct(ids: &[&JobId]) -> Vec<Row> {
    let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let format = "--format=JobIDRaw,State,Elapsed,JobName,WorkDir";
    let arguments = ["--noheader", "--parsable2", "--allocations", format, &format!("--jobs={ids}")];
    output("sacct", &arguments).await.map(|text| rows::rows(&text)).unwrap_or_default()
}

/// Cancels a job, unless its number has become that of a job with another name; that it is over already is no error.
async fn scancel(id: &JobId, name: &str) -> Result<(), Refusal> {
    match output("scancel", &[&id.to_string(), &format!("--name={name}")]).await {
        Err(Refusal(text)) if text.contains("already") || text.contains("Invalid job id") => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::rows::rows;
    use super::*;

    #[test]
    fn an_attempt_belongs_to_the_job_that_took_it_else_to_the_one_ahead() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().canonicalize().unwrap();
        let facts = Facts {
            weights: BTreeMap::new(),
            fidelity: "1M".into(),
            params: None,
            tokens: None,
            repetition: None,
            continue_from: None,
            seed: 1,
            trial: 1,
            dir: dir.clone(),
            attempt: 1,
            result: "result.json".into(),
        };
        let attempt = Attempt::new("n", &facts);
        let holder = |jobs: &[&str]| {
            let text: Vec<String> = jobs.iter().map(|job| format!("{job}|n|{}", dir.display())).collect();
            let elsewhere = ["1|RUNNING|9:00|n|/", "2|RUNNING|9:00|other|/"];
            holder(&attempt, &rows(&[&elsewhere[..], &[&text.join("\n")]].concat().join("\n")))
        };
        assert_eq!(holder(&[]), None);
        assert_eq!(
            holder(&["7|COMPLETED|1:00"]),
            None,
            "of an earlier study in this folder, or cancelled in the queue"
        );
        assert_eq!(holder(&["7|COMPLETED|1:00", "9|PENDING|0:00", "8|PENDING|0:00"]), Some(8));
        assert_eq!(holder(&["8|PENDING|0:00", "9|RUNNING|0:05"]), Some(9));
        fs::write(dir.join("exit.txt"), "0\n").unwrap();
        assert_eq!(holder(&["7|COMPLETED|1:00", "6|FAILED|1:00"]), Some(7));
        fs::write(dir.join("job.1.txt"), "6\n").unwrap();
        assert_eq!(holder(&["7|RUNNING|1:00"]), Some(6), "also when the queue has forgotten it");
    }

    #[test]
    fn names_of_jobs_are_one_plain_word() {
        assert_eq!(job_name("pretrain", 7, 2), "admire-pretrain-7-2");
        assert_eq!(job_name("a, b|c%j\nä'", 1, 1), "admire-a__b_c_j___-1-1");
    }
}
