//! Studies whose trials are jobs.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use super::study::{Fixture, code, stderr, until};

/// Notes that it runs, waits for the file `go`.
pub const WAITS: &str = r#"echo "$3 $4 $ADMIRE_ATTEMPT" >> ledger; while [ ! -e go ]; do sleep 0.05; done; "#;

/// `squeue` as of a cluster that forgets jobs as soon as they are over.
pub const FORGETFUL: &str = r#"squeue "$@" | grep -E '\|(PENDING|RUNNING|COMPLETING)\|' || true"#;

/// The scripts that stand in for Slurm's programs. They keep their jobs in the folder `queue`.
const STUB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm/stub");

/// A study, and the PATH to the programs of its Slurm. What its tests left in the queue is cancelled.
pub struct Queued(pub Fixture, String);

impl Drop for Queued {
    fn drop(&mut self) {
        let submitted = self.0.of("submitted").into_iter().map(|event| event["id"].to_string().replace('"', ""));
        let entries = fs::read_dir(self.0.path("queue")).into_iter().flatten().flatten();
        let stubs = entries.map(|entry| entry.file_name().display().to_string());
        for id in submitted.chain(stubs) {
            let mut scancel = Command::new("sh");
            scancel.args(["-c", "scancel \"$0\"", &id]).env("PATH", &self.1).env("QUEUE", self.0.path("queue"));
            let _ = scancel.stderr(Stdio::null()).status();
        }
    }
}

impl Queued {
    /// With the Slurm of this machine.
    pub fn real(script: &str, launcher: &str, extra: &str) -> Self {
        Self::new(script, launcher, extra, std::env::var("PATH").unwrap())
    }

    /// With scripts in place of Slurm.
    pub fn stub(script: &str, launcher: &str, extra: &str) -> Self {
        let q = Self::new(script, launcher, extra, format!("{STUB}:{}", std::env::var("PATH").unwrap()));
        fs::create_dir(q.0.path("queue")).unwrap();
        q
    }

    fn new(script: &str, launcher: &str, extra: &str, path: String) -> Self {
        let f = Fixture::new(script, launcher, extra);
        f.edit("kind = \"local\"\ngrace = \"1s\"\n", "kind = \"slurm\"\n");
        fs::create_dir(f.path("bin")).unwrap();
        Self(f, path)
    }

    /// The same through programs that the config states, in keys of `[launcher]` that end with the table of states.
    pub fn stated(self, programs: &str) -> Self {
        self.0.edit("kind = \"slurm\"\n", "kind = \"queue\"\n");
        self.0.edit("\n[budget]", &format!("\n{programs}\n[budget]"));
        self
    }

    /// Puts a shell script of this name in front of the program, which it can call by its name.
    pub fn fake(&self, name: &str, script: &str) {
        let file = self.0.path("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\nPATH='{}'\n{script}\n", self.1)).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn unfake(&self, name: &str) {
        fs::remove_file(self.0.path("bin").join(name)).unwrap();
    }

    /// `admire optimize`, with the fakes.
    pub fn command(&self) -> Command {
        let mut command = self.0.command("optimize");
        command.env("PATH", format!("{}:{}", self.0.path("bin").display(), self.1));
        command.env("QUEUE", self.0.path("queue"));
        // What users have in their environment changes nothing.
        if fs::read_to_string(self.0.path("study.toml")).unwrap().contains("kind = \"slurm\"") {
            command.env("SBATCH_JOB_NAME", "mine").env("SBATCH_OUTPUT", "mine.log").env("SQUEUE_PARTITION", "nowhere");
        }
        command
    }

    pub fn run(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts a command; what it says is in the file `log`.
    pub fn spawn(&self, mut command: Command) -> Child {
        let log = fs::File::create(self.0.path("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    pub fn start(&self) -> Child {
        self.spawn(self.command())
    }

    /// Runs the study to its end, and what it said.
    pub fn finish(&self) -> String {
        self.end(0)
    }

    /// Likewise where there is no complete run.
    pub fn end_in_vain(&self) -> String {
        self.end(1)
    }

    fn end(&self, expected: i32) -> String {
        let output = self.run();
        assert_eq!(code(&output), Some(expected), "{}", stderr(&output));
        stderr(&output)
    }

    /// Waits for the end of a study that was started.
    pub fn wait(&self, mut child: Child, expected: i32) {
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{:#?}", self.0.lines("log"));
    }

    /// The number of a trial's first job.
    pub fn job(&self, trial: u64) -> String {
        self.0.of("submitted").into_iter().find(|e| e["trial"] == trial).unwrap()["id"].to_string()
    }

    pub fn count(&self, event: &str) -> usize {
        self.0.of(event).len()
    }

    /// `admire` was killed when trainers of all trials were at work.
    pub fn orphan(&self, trials: usize) {
        let mut child = self.start();
        until("the jobs", || self.count("submitted") == trials && self.0.lines("ledger").len() == trials);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
