//! Whose processes and files are whose: what an attempt leaves, what another study's are, what nobody may touch.

#[path = "common/study.rs"]
mod study;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use study::{Fixture, GOOD, alive, code, signal, stderr, until};

/// Notes its process, waits for the file `go`.
const WAITS: &str = "echo $$ >> ledger; until [ -e go ]; do sleep 0.02; done; ";

/// A worker in a session of its own that does not end when it is asked to; goes on once its process is noted in `worker`.
const WORKER: &str = r#"
setsid sh -c 'trap "" TERM; echo $$ > noted; mv noted worker; while :; do sleep 0.05; done' &
until [ -e worker ]; do sleep 0.01; done
"#;

/// Without the variables by which the processes of an attempt are recognized.
const UNTAGGED: &str = "env -u ADMIRE_TRIAL_DIR -u ADMIRE_ATTEMPT setsid";

const ONE: &str = "[budget]\ntrials = 1";

/// `admire optimize`, killed once its only trial has noted its process, and that process.
fn orphaned(f: &Fixture) -> String {
    let mut child = f.start("optimize");
    until("a trial", || !f.of("started").is_empty() && !f.lines("ledger").is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    f.lines("ledger")[0].clone()
}

/// Rewrites the journal after `edit`.
fn rewrite(f: &Fixture, edit: impl Fn(&mut Vec<Value>)) {
    let mut events = f.events();
    edit(&mut events);
    f.rewrite(events.iter().map(Value::to_string));
}

fn end(pid: &str) {
    let _ = kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL);
}

/// `admire optimize`, with what it says in the file `log`.
fn logged(f: &Fixture, arguments: &[&str]) -> Child {
    let log = File::create(f.path("log")).unwrap();
    f.command("optimize").args(arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn said(f: &Fixture, text: &str) -> bool {
    f.lines("log").iter().any(|line| line.contains(text))
}

fn succeeded(output: &Output) {
    assert_eq!(code(output), Some(0), "{}", stderr(output));
}

#[test]
fn a_time_out_ends_workers_in_sessions_of_their_own() {
    let f = Fixture::new(&format!("{WORKER}sleep 1000"), "timeout = \"2s\"\nretries = 0", ONE);
    f.run("optimize", &["--set", "launcher.grace='50ms'"]);
    assert!(f.of("failed")[0]["reason"].as_str().unwrap().contains("timed out"));
    assert!(!alive(&f.lines("worker")[0]));
}

#[test]
fn what_a_trial_killed_from_outside_leaves_is_gone_before_it_starts_again() {
    let script = format!(
        "if [ $ADMIRE_ATTEMPT = 1 ]; then {WORKER}kill -KILL $$; fi; cat /proc/$(cat worker)/stat > seen; {GOOD}"
    );
    let f = Fixture::new(&script, "retries = 1", ONE);
    succeeded(&f.run("optimize", &["--set", "launcher.grace='50ms'"]));
    assert_eq!((f.of("failed").len(), f.of("completed").len()), (1, 1));
    assert!(f.lines("seen").iter().all(|stat| stat.contains(") Z ")), "{:?}", f.lines("seen"));
}

#[test]
fn a_finished_trial_leaves_only_what_has_unset_the_two_variables() {
    let script = format!(
        "setsid sh -c 'echo $$ > noted; mv noted daemon; exec sleep 1000' &
        until [ -e daemon ]; do sleep 0.01; done
        {UNTAGGED} sh -c 'echo $$ > noted; mv noted service; exec sleep 1000' &
        until [ -e service ]; do sleep 0.01; done
        {GOOD}"
    );
    let f = Fixture::new(&script, "", ONE);
    let began = Instant::now();
    succeeded(&f.run("optimize", &["--set", "launcher.grace='1h'"]));
    assert!(began.elapsed() < Duration::from_secs(60), "what ends when it is asked to is not waited for");
    assert_eq!(f.of("completed").len(), 1);
    assert!(!alive(&f.lines("daemon")[0]));
    assert!(alive(&f.lines("service")[0]));
    end(&f.lines("service")[0]);
}

#[test]
fn a_late_result_of_an_earlier_attempt_goes_nowhere() {
    let script = format!(
        r#"if [ $ADMIRE_ATTEMPT = 1 ]; then
            {UNTAGGED} sh -c 'echo > waits; until [ -e go ]; do sleep 0.01; done
                echo "admire: {{\"loss\": 111}}"; echo "{{\"loss\": 111}}" > "$1"; echo > written' sh "$1" &
            until [ -e waits ]; do sleep 0.01; done
            exit 1
        fi
        echo 'admire: {{"loss": 5}}'; echo > go; until [ -e written ]; do sleep 0.01; done"#
    );
    let f = Fixture::new(&script, "retries = 1", ONE);
    succeeded(&f.run("optimize", &[]));
    assert_eq!(f.of("completed")[0]["metrics"], json!({"loss": 5.0}));
    let results: Vec<Value> = f.of("launched").iter().map(|event| event["result"].clone()).collect();
    assert_eq!(results, ["result.json", "result.2.json"]);
    for (log, loss) in [("stdout.1.log", "111"), ("stdout.log", "5"), ("result.json", "111")] {
        assert!(f.lines(&format!("run/trials/0001/{log}")).concat().contains(loss), "{log}");
    }
}

#[test]
fn a_result_is_looked_for_where_the_launch_says() {
    for (named, file) in [(true, "result.2.json"), (false, "result.json")] {
        let f = Fixture::new(&format!("[ $ADMIRE_ATTEMPT = 1 ] && exit 1; {WAITS}{GOOD}"), "retries = 1", ONE);
        let pid = orphaned(&f);
        end(&pid);
        until("the trainer's end", || !alive(&pid));
        if !named {
            rewrite(&f, |events| {
                events.iter_mut().for_each(|event| drop(event.as_object_mut().unwrap().remove("result")));
            });
        }
        f.write(&format!("run/trials/0001/{file}"), r#"{"loss": 4}"#);
        succeeded(&f.run("optimize", &[]));
        assert_eq!(f.of("completed")[0]["metrics"], json!({"loss": 4.0}), "{file}");
        assert_eq!(f.of("launched").len(), 2);
    }
    let f = Fixture::new(GOOD, "", ONE);
    f.json("optimize", &["-q"]);
    rewrite(&f, |events| {
        let launched = events.iter_mut().find(|event| event["event"] == "launched").unwrap();
        launched["result"] = "../0002/result.json".into();
    });
    let output = f.run("status", &[]);
    assert!(code(&output) == Some(1) && stderr(&output).contains("is not in the trial's directory"));
}

#[test]
fn a_copied_folder_neither_waits_for_the_originals_trial_nor_ends_it() {
    let f = Fixture::new(&format!("{WAITS}{GOOD}"), "", ONE);
    let pid = orphaned(&f);
    succeeded(&Command::new("cp").args(["-r", "run", "copy"]).current_dir(f.root.path()).output().unwrap());
    let mut child = logged(&f, &["--dir", "copy"]);
    until("a trial of the copy", || f.lines("ledger").len() == 2);
    assert!(alive(&pid) && said(&f, "died unseen"), "{:?}", f.lines("log"));
    f.write("go", "");
    assert!(child.wait().unwrap().success());
    until("the original's end", || !alive(&pid));
    succeeded(&f.run("optimize", &[]));
    assert_eq!(f.of("launched").len(), 1);
}

#[test]
fn a_trial_of_a_moved_folder_is_waited_for() {
    let f = Fixture::new(&format!("{WAITS}{GOOD}"), "", ONE);
    let pid = orphaned(&f);
    fs::rename(f.path("run"), f.path("moved")).unwrap();
    let mut child = logged(&f, &["--dir", "moved"]);
    until("it to wait", || said(&f, "still running"));
    assert!(alive(&pid));
    // Its result goes where it was told.
    fs::create_dir_all(f.path("run/trials")).unwrap();
    symlink(f.path("moved/trials/0001"), f.path("run/trials/0001")).unwrap();
    f.write("go", "");
    assert!(child.wait().unwrap().success());
    assert_eq!(f.lines("ledger").len(), 1);
}

#[test]
fn a_process_that_a_hostile_journal_names_is_left_alone() {
    let mut stranger = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    let pid = stranger.id();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let f = Fixture::new(&format!("echo $$ >> ledger; {GOOD}"), "retries = 0", ONE);
    f.json("suggest", &["-q"]);
    rewrite(&f, |events| {
        events.push(json!({"time": 1.0, "event": "launched", "trial": 1, "attempt": 1}));
        events
            .push(json!({"time": 1.0, "event": "started", "trial": 1, "attempt": 1, "pid": pid, "start_time": start}));
    });
    succeeded(&f.run("optimize", &["--set", "launcher.timeout='1h'", "--set", "launcher.grace='0s'"]));
    assert_eq!((f.lines("ledger").len(), f.of("completed").len()), (1, 1));
    assert!(alive(&pid.to_string()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_result_in_time_counts_though_admire_slept_past_the_time_out() {
    let f = Fixture::new(&format!("{WAITS}{GOOD}"), "timeout = \"2s\"\nretries = 0", ONE);
    let mut child = f.start("optimize");
    until("a trial", || !f.of("started").is_empty() && !f.lines("ledger").is_empty());
    let began = Instant::now();
    signal(&child, Signal::SIGSTOP);
    f.write("go", "");
    until("its end", || !alive(&f.lines("ledger")[0]));
    until("the time-out", || began.elapsed() > Duration::from_millis(2100));
    signal(&child, Signal::SIGCONT);
    assert!(child.wait().unwrap().success());
    assert_eq!((f.of("failed").len(), f.of("completed").len()), (0, 1));
}

#[test]
fn a_result_counts_at_once_whatever_daemon_lives() {
    for redirected in ["", "exec > /dev/null 2>&1; "] {
        let script = format!("setsid sh -c '{redirected}echo $$ > daemon; sleep 1000' & {WAITS}{GOOD}");
        let f = Fixture::new(&script, "retries = 0", ONE);
        let pid = orphaned(&f);
        f.write("go", "");
        until("the trainer's end", || !alive(&pid) && !f.lines("daemon").is_empty());
        // As if `admire` had died before it could note the process.
        rewrite(&f, |events| events.retain(|event| event["event"] != "started"));
        succeeded(&f.run("optimize", &[]));
        assert_eq!((f.of("launched").len(), f.of("completed").len()), (1, 1));
        assert!(!alive(&f.lines("daemon")[0]));
    }
}

#[test]
fn a_result_that_cannot_be_read_stops_the_study_and_is_read_later() {
    // Reading it is an error of the system, as of a failing disk.
    let f = Fixture::new("ln -s /proc/self/mem \"$1\"", "", ONE);
    for _ in 0..2 {
        let output = f.run("optimize", &[]);
        assert_eq!(code(&output), Some(1));
        assert!(stderr(&output).contains("cannot read the result of trial 1: "), "{}", stderr(&output));
    }
    assert_eq!((f.of("launched").len(), f.of("failed").len() + f.of("interrupted").len()), (1, 0));
    fs::remove_file(f.path("run/trials/0001/result.json")).unwrap();
    f.write("run/trials/0001/result.json", r#"{"loss": 4}"#);
    succeeded(&f.run("optimize", &[]));
    assert_eq!((f.of("launched").len(), f.of("completed").len()), (1, 1));
}

#[test]
fn setup_never_runs_twice_at_once() {
    let setup = "setup = [\"sh\", \"-c\", \"echo begin >> steps; until [ -e go ]; do sleep 0.02; done; rm -f begun; \
                 setsid sh -c 'echo $$ >> services; echo > begun; exec sleep 1000' & \
                 until [ -e begun ]; do sleep 0.01; done; echo end >> steps\"]";
    let f = Fixture::new(GOOD, setup, ONE);
    let mut child = f.start("optimize");
    until("the setup", || f.lines("steps").len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = logged(&f, &[]);
    until("it to wait", || said(&f, "waiting for launcher.setup of an earlier run"));
    assert_eq!(f.lines("steps"), ["begin"]);
    f.write("go", "");
    assert!(child.wait().unwrap().success());
    assert_eq!(f.lines("steps"), ["begin", "end", "begin", "end"]);
    // Services are its business: they live on, and are not waited for.
    assert_eq!(code(&f.run("optimize", &["--set", "budget.trials=2"])), Some(0));
    let services = f.lines("services");
    assert!(services.len() == 3 && services.iter().all(|pid| alive(pid)));
    services.iter().for_each(|pid| end(pid));
}

#[test]
fn a_setup_that_is_waited_for_can_be_killed() {
    let f = Fixture::new(GOOD, "setup = [\"sh\", \"-c\", \"echo $$ >> ledger; sleep 1000\"]", ONE);
    let mut child = f.start("optimize");
    until("the setup", || f.lines("ledger").len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = logged(&f, &[]);
    until("it to wait", || said(&f, "waiting for launcher.setup of an earlier run"));
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!alive(&f.lines("ledger")[0]));
}

#[test]
fn what_a_killed_check_leaves_is_ended_and_removed_by_the_next() {
    let f = Fixture::new(&format!("echo $$ >> ledger; [ $(wc -l < ledger) -gt 1 ] || sleep 1000; {GOOD}"), "", ONE);
    let mut child = f.command("check").arg("--trial").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the trial", || f.lines("ledger").len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let pid = f.lines("ledger")[0].clone();
    assert!(alive(&pid) && f.path("run.check-1").exists());
    // Not a check, although it looks like one.
    succeeded(&f.run("suggest", &["--dir", "run.check-2"]));
    succeeded(&f.run("check", &["--trial"]));
    assert!(!alive(&pid) && !f.path("run.check-1").exists() && f.path("run.check-2").exists());
}

#[test]
fn a_check_does_not_insist_on_a_program_that_is_missing() {
    let f = Fixture::new(GOOD, "", ONE);
    let output = f.run("check", &["--trial", "--format", "json", "--set", "launcher.command=['./missing']"]);
    let trial = &serde_json::from_slice::<Value>(&output.stdout).unwrap()["trial"];
    assert_eq!((code(&output), &trial["state"]), (Some(1), &json!("failed")));
    assert!(trial["reason"].as_str().unwrap().contains("cannot start `./missing`"), "{trial}");
}

#[test]
fn logs_of_an_attempt_survive_another_one_that_could_not_be_started() {
    let f = Fixture::new(GOOD, "retries = 1", ONE);
    let program = |text: &str| {
        f.write("program", text);
        fs::set_permissions(f.path("program"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("#!/bin/sh\nrm program; echo why >&2; exit 1");
    let mut child = logged(&f, &["--set", "launcher.command=['./program']"]);
    until("it to be missed", || said(&f, "could not be started"));
    program("#!/bin/sh\necho '{\"loss\": 1}' > \"$ADMIRE_RESULT_FILE\"");
    assert!(child.wait().unwrap().success(), "{:?}", f.lines("log"));
    assert_eq!(f.lines("run/trials/0001/stderr.1.log"), ["why"]);
}

/// Whether tests may become other users; says so where they may not.
fn is_root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        eprintln!("skipped: only root can become another user");
    }
    root
}

/// A study that other users may write to.
fn shared(script: &str, launcher: &str) -> Fixture {
    let f = Fixture::new(script, launcher, ONE);
    fs::set_permissions(f.root.path(), fs::Permissions::from_mode(0o777)).unwrap();
    f
}

/// `admire`, as the user `id`. What a shell does `before`, nobody else sees.
fn as_user(f: &Fixture, id: u32, before: &str, arguments: &str) -> Command {
    let user = format!("setpriv --reuid={id} --regid=65534 --clear-groups");
    let admire = env!("CARGO_BIN_EXE_admire");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("umask 0; {before} exec {user} {admire} {arguments}")]);
    command.current_dir(f.root.path()).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[test]
fn too_few_threads_are_an_error_that_says_so() {
    if !is_root() {
        return;
    }
    let f = shared(GOOD, "");
    f.json("suggest", &["-q", "--dir", "other"]);
    // One is the program itself; with two, the model has a thread, and the search has none.
    for (threads, commands) in [(1, &["optimize", "suggest", "check", "best --dir other"][..]), (2, &["optimize"])] {
        for arguments in commands {
            let before = format!("export RAYON_NUM_THREADS=1; prlimit --pid $$ --nproc={threads}:{threads};");
            let arguments = format!("{arguments} -c study.toml");
            let output = as_user(&f, 60_000 + threads, &before, &arguments).output().unwrap();
            let said = stderr(&output);
            assert!(
                code(&output) == Some(1) && said.contains("cannot start a thread"),
                "{threads} {arguments}: {said}"
            );
        }
    }
}

#[test]
fn a_trial_that_proc_hides_is_waited_for_and_left_alone() {
    if !is_root() {
        return;
    }
    let f = shared(&format!("{WAITS}{GOOD}"), "");
    let mut child = as_user(&f, 60_011, "", "optimize -q -c study.toml").spawn().unwrap();
    until("a trial", || !f.of("started").is_empty() && !f.lines("ledger").is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    let pid = f.lines("ledger")[0].clone();
    for hidden in ["mount -t proc -o hidepid=2 proc /proc || exit 9;", ""] {
        let waiting = || {
            let log = File::create(f.path("log")).unwrap();
            let child = as_user(&f, 60_012, hidden, "optimize -c study.toml").stderr(log).spawn().unwrap();
            until("it to wait", || said(&f, "still running"));
            child
        };
        let mut child = waiting();
        until("the end", || {
            signal(&child, Signal::SIGINT);
            child.try_wait().unwrap().is_some()
        });
        assert!(said(&f, "is left running") && alive(&pid), "{:?}", f.lines("log"));
    }
    let hidden = "mount -t proc -o hidepid=2 proc /proc || exit 9;";
    let mut child = as_user(&f, 60_012, hidden, "optimize -q -c study.toml").spawn().unwrap();
    until("the next run", || f.of("resumed").len() == 3);
    f.write("go", "");
    assert!(child.wait().unwrap().success());
    assert_eq!((f.of("launched").len(), f.of("completed").len()), (1, 1));
}
