//! What can go wrong on one machine, done for real: memory, disks, commands, signals, terminals.

#[path = "common/study.rs"]
mod study;

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use study::{Fixture, GOOD, code, signal, stderr, until};

/// Runs until the file `go` is there, then reports.
const WAITS: &str = "while [ ! -e go ]; do sleep 0.02; done; ";

/// A memory cgroup with room for 16 MiB, removed when dropped; `None` where none can be made.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Option<Self> {
        let name = format!("admire-test-{}", std::process::id());
        for (root, limit) in [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")] {
            // Only a cgroup has the file already; elsewhere nothing would be limited.
            let group = Self(PathBuf::from(root).join(&name));
            let made = fs::create_dir(&group.0).is_ok();
            let limit = OpenOptions::new().write(true).open(group.0.join(limit));
            if made && limit.and_then(|mut file| file.write_all(b"16777216")).is_ok() {
                return Some(group);
            }
        }
        None
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn running_out_of_memory_is_a_failure_with_a_hint() {
    let Some(group) = Cgroup::new() else {
        eprintln!("skipped: no memory cgroup can be made here");
        return;
    };
    // `tail` keeps what it cannot yet show: without end, all of it. Should the group not hold it, the other limit does.
    let script = format!(
        "[ $ADMIRE_ATTEMPT = 1 ] || {{ {GOOD}; exit 0; }}; ulimit -v 1000000; echo $$ > {:?} && exec tail /dev/zero",
        group.0.join("cgroup.procs")
    );
    let f = Fixture::new(&script, "retries = 1", "[budget]\ntrials = 1");
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    let failed = f.of("failed");
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["reason"].as_str().unwrap().contains("out of memory?"), "{failed:?}");
    assert_eq!(f.of("completed").len(), 1);
}

#[test]
fn a_command_that_cannot_be_started_is_named_and_can_be_repaired() {
    let f = Fixture::new(GOOD, "retries = 0", "[budget]\ntrials = 2");
    f.write("plain.sh", "#!/bin/sh\n");
    for (command, directory, why) in
        [("./missing", "run1", "No such file"), ("./plain.sh", "run2", "Permission denied")]
    {
        let log = fs::File::create(f.path("log")).unwrap();
        let mut admire = f.command("optimize");
        admire.args(["--dir", directory, "--set", &format!("launcher.command=['{command}']")]);
        let mut child = admire.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let named = |line: &String| line.contains(&format!("cannot start `{command}`")) && line.contains(why);
        until("it to be named", || f.lines("log").iter().any(named));
        f.write(command, "#!/bin/sh\necho '{\"loss\": 1}' > \"$ADMIRE_RESULT_FILE\"\n");
        fs::set_permissions(f.path(command), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(child.wait().unwrap().success(), "{:?}", f.lines("log"));
        let journal = fs::read_to_string(f.path(directory).join("journal.jsonl")).unwrap();
        assert_eq!((journal.matches("\"completed\"").count(), journal.matches("\"failed\"").count()), (2, 0));
    }
}

/// A file system of `size`, mounted at `path`; `None` where that is not allowed.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mounted = Self::call("mount", &["-t", "tmpfs", "-o", size, "none"], &path);
        mounted.then_some(Self(path))
    }

    fn resize(&self, size: &str) {
        assert!(Self::call("mount", &["-o", &format!("remount,{size}")], &self.0));
    }

    fn call(program: &str, arguments: &[&str], path: &PathBuf) -> bool {
        Command::new(program).args(arguments).arg(path).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Self::call("umount", &["--lazy"], &self.0);
    }
}

#[test]
fn a_full_disk_stops_the_study_and_loses_nothing() {
    let f = Fixture::new(GOOD, "retries = 1\nslots = 2", "[budget]\ntrials = 16\n[optimizer]\ninitial = 100");
    let Some(disk) = Tmpfs::mount(f.path("run"), "size=96k") else {
        eprintln!("skipped: only root can mount a small disk");
        return;
    };
    let journal = || fs::read_to_string(f.path("run/journal.jsonl")).unwrap();
    let full = |name: &str, arguments: &[&str]| {
        let before = journal();
        let before = before[..before.rfind('\n').unwrap() + 1].to_owned();
        let output = f.run(name, arguments);
        let said = stderr(&output);
        assert!(code(&output) == Some(1) && said.contains("No space left"), "{name}: {:?} {said}", code(&output));
        assert!(journal().starts_with(&before), "{name}");
    };
    // The disk fills up with the files of trials.
    f.json("suggest", &["-q"]);
    full("optimize", &["-q"]);
    full("optimize", &["-q"]);
    let complete = f.json("status", &[])["trials"]["complete"].as_u64().unwrap();
    assert!((1..16).contains(&complete), "{complete}");
    // With a little more room the journal itself fills it up, mostly in the middle of a line.
    disk.resize("size=120k");
    full("suggest", &["-q", "-n", "300"]);
    full("suggest", &["-q", "-n", "300"]);
    full("optimize", &["-q", "--set", "budget.trials=300"]);
    let suggested = f.of("suggested").len();
    disk.resize("size=16m");
    assert_eq!(f.json("suggest", &["-q"])["trials"][0]["trial"], suggested + 1);
    let arguments = ["-q", "--set", &format!("budget.trials={}", suggested + 1)];
    assert_eq!(code(&f.run("optimize", &arguments)), Some(0));
    let trials = f.json("status", &[])["trials"].clone();
    assert_eq!((&trials["complete"], &trials["failed"]), (&(suggested + 1).into(), &0.into()));
    assert_eq!(f.of("completed").len(), suggested + 1);
}

#[test]
fn a_thousand_trials() {
    // Most diverge, so that the model stays small.
    let script = format!("[ $(($3 % 50)) = 0 ] || {{ echo '{{\"loss\": NaN}}' > \"$1\"; exit 0; }}; {GOOD}");
    let f = Fixture::new(
        &script,
        "slots = 4",
        "[budget]\ntrials = 1000\n[optimizer]\nacquisition = \"expected-improvement\"",
    );
    f.json("optimize", &["-q"]);
    let trials = &f.json("status", &[])["trials"];
    assert_eq!((&trials["complete"], &trials["diverged"]), (&20.into(), &980.into()));
    assert!(f.path("run/trials/1000/result.json").exists());
}

#[test]
fn signals_that_come_together_are_one_request() {
    let f = Fixture::new(&format!("{WAITS}{GOOD}"), "", "[budget]\ntrials = 9");
    let mut command = f.command("optimize");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("a trial", || !f.of("started").is_empty());
    // While it is stopped all of them arrive.
    signal(&child, Signal::SIGSTOP);
    until("it to stop", || stopped(child.id()));
    for each in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGINT] {
        signal(&child, each);
    }
    signal(&child, Signal::SIGCONT);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("waiting for 1 running trial")));
    f.write("go", "");
    assert!(!said.any(|line| line.contains("killing")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((f.of("interrupted").len(), f.of("completed").len()), (0, 1));
}

fn stopped(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ")
}

#[test]
fn a_closed_terminal_ends_the_study_in_order() {
    let f = Fixture::new(&format!("{WAITS}{GOOD}"), "", "[budget]\ntrials = 9");
    let mut command = Command::new("env");
    // Whoever runs the tests may have it ignored.
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_admire"), "optimize", "--config"]);
    command.arg(f.path("study.toml")).current_dir(f.root.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("a trial", || !f.of("started").is_empty());
    // Nobody reads what it says any more.
    drop(child.stderr.take());
    signal(&child, Signal::SIGHUP);
    f.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((f.of("launched").len(), f.of("completed").len()), (1, 1));
}

#[test]
fn nohup_is_respected() {
    let f = Fixture::new(&format!("{WAITS}{GOOD}"), "", "[budget]\ntrials = 3");
    let mut command = Command::new("env");
    command.args(["--ignore-signal=HUP", env!("CARGO_BIN_EXE_admire"), "optimize", "-q", "--config"]);
    command.arg(f.path("study.toml")).current_dir(f.root.path());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    until("a trial", || !f.of("started").is_empty());
    signal(&child, Signal::SIGHUP);
    f.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(f.of("completed").len(), 3);
}
