//! An attempt and its jobs: mostly one, but a submission that seemed to fail may turn up in the queue beside the next.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::super::Facts;
use super::states::{Row, State, Traces};
use crate::files;

/// Bytes of the largest file that has a number in it.
const DIGITS: u64 = 100;

/// By what the jobs of an attempt are recognized, and what they write.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The name of its jobs.
    pub name: String,
    /// Its trial's folder.
    pub dir: PathBuf,
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
            claim: facts.claim_file(),
            exit: facts.exit_file(),
            result: facts.result_file(),
        }
    }

    /// Whether a job is one of this attempt. The name alone could be that of a colleague's study; old accounts do not know
    /// the folder.
    pub fn owns(&self, row: &Row) -> bool {
        let dir = Path::new(&row.dir);
        row.name == self.name
            && (row.dir.is_empty() || dir == self.dir || fs::canonicalize(dir).is_ok_and(|dir| dir == self.dir))
    }

    /// The job that has this attempt: the one that took it, else a running one, else the oldest that waits; `None` where
    /// none runs, waits, or has done anything.
    pub fn holder(&self, rows: &[Row]) -> Option<u64> {
        let claim = || number(&self.claim);
        let own = || rows.iter().filter(|row| self.owns(row));
        let active = || own().filter(|row| row.state == State::Active);
        let first = || active().max_by_key(|row| (row.elapsed, Reverse(row.id))).map(|row| row.id);
        // The scripts of earlier versions took nothing.
        let over = || own().map(|row| row.id).max().filter(|_| self.traces() != Traces::default());
        claim().or_else(first).or_else(over)
    }

    /// What a job has left.
    pub fn traces(&self) -> Traces {
        // Reading the directory has a network file system look at what is in it now.
        if let Ok(entries) = fs::read_dir(&self.dir) {
            entries.for_each(drop);
        }
        Traces { exit: number(&self.exit), result: self.result.exists() }
    }

    /// Whether a job has begun: Slurm creates the file before it runs the script.
    pub fn has_begun(&self) -> bool {
        self.dir.join("stdout.log").exists()
    }
}

/// The number in a file that a job has written.
fn number<T: FromStr>(path: &Path) -> Option<T> {
    String::from_utf8_lossy(&files::read_output(path, DIGITS).ok()?).trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::states::rows;
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
            attempt.holder(&rows(&[&elsewhere[..], &[&text.join("\n")]].concat().join("\n")))
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
}
