//! An attempt, and what its jobs leave in the folder of its trial.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::super::Facts;
use super::states::Traces;
use crate::files;

/// Bytes of the largest file that has a number in it.
const DIGITS: u64 = 100;

/// By what the jobs of an attempt are recognized, and what they write.
#[derive(Clone, Debug)]
pub(in super::super) struct Attempt {
    /// The name of its jobs.
    pub name: String,
    /// Its trial's folder.
    pub dir: PathBuf,
    /// Where its submissions are, for queues that are told by programs.
    pub submissions: PathBuf,
    claim: PathBuf,
    exit: PathBuf,
    result: PathBuf,
}

impl Attempt {
    /// An attempt whose jobs are called `name`.
    pub fn new(name: &str, facts: &Facts) -> Self {
        Self {
            name: name.to_owned(),
            dir: facts.dir.clone(),
            submissions: facts.submissions(),
            claim: facts.claim_file(),
            exit: facts.exit_file(),
            result: facts.result_file(),
        }
    }

    /// What a job has left.
    pub fn traces(&self) -> Traces {
        // Reading the directory has a network file system look at what is in it now.
        if let Ok(entries) = fs::read_dir(&self.dir) {
            entries.for_each(drop);
        }
        Traces { exit: number(&self.exit), result: self.result.exists() }
    }

    /// What the job noted that took the attempt: its number, or that of its submission.
    pub fn claim<T: FromStr>(&self) -> Option<T> {
        number(&self.claim)
    }

    /// For how long the attempt has run since its job was last started, or ran until its end, going by the times of files;
    /// `None` before.
    pub fn ran(&self) -> Option<Duration> {
        let written = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        let end = written(&self.exit).unwrap_or_else(SystemTime::now);
        end.duration_since(written(&self.claim)?).ok()
    }

    /// Whether a job has begun: its output is there before its script runs.
    pub fn has_begun(&self) -> bool {
        self.dir.join("stdout.log").exists()
    }
}

/// The number in a file that a job has written.
fn number<T: FromStr>(path: &Path) -> Option<T> {
    String::from_utf8_lossy(&files::read_output(path, DIGITS).ok()?).trim().parse().ok()
}
