//! The loop on real processes: outcomes, signals, journals.

#[path = "common/study.rs"]
mod study;

use std::fs::{self, OpenOptions};
use std::io::Write;

use nix::sys::signal::Signal;
use study::{Fixture, GOOD, alive, body, code, signal, stderr, until};

/// The one trial of a study whose trainer does `script`: its state, and what `status` counts.
fn outcome(script: &str, launcher: &str) -> (Fixture, String) {
    let f = Fixture::new(script, launcher, "[budget]\ntrials = 1");
    let output = f.run("optimize", &["-q"]);
    let last = f.events().into_iter().rev().find(|e| e["final"] == true || e["event"] == "completed").unwrap();
    let expected = if last["event"] == "completed" { 0 } else { 1 };
    assert_eq!(code(&output), Some(expected), "{}", stderr(&output));
    let text = last["reason"].as_str().map_or_else(|| last["event"].as_str().unwrap().to_owned(), str::to_owned);
    (f, text)
}

#[test]
fn every_way_to_end_is_an_outcome() {
    for (script, expected) in [
        (GOOD, "completed"),
        ("exit 3", "exit status: 3"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("kill -KILL $$", "SIGKILL); out of memory?"),
        (r#"rm -r "$ADMIRE_TRIAL_DIR""#, "cannot read"),
        ("rm -r \"$ADMIRE_TRIAL_DIR\"; exit 4", "exit status: 4"),
        ("echo garbage", "no result"),
        (r#"printf '{"loss": 1' > "$1""#, "unreadable result"),
        (r#"echo '{"metrics": {"other": 1}}' > "$1""#, "the result lacks loss; it reports other"),
        (r#"echo '{"loss": 1}' > "$1"; exit 1"#, "exit status: 1"),
        (r#"echo '{"loss": NaN}' > "$1""#, "diverged"),
        (r#"echo '{"metrics": {"loss": -Infinity}}' > "$1""#, "diverged"),
        (r#"echo '{"loss": 1, "cost": -1, "se": "much", "metrics": {"note": "x"}}' > "$1""#, "completed"),
        (r#"echo '{"loss": "low"}' > "$1""#, "no number"),
        (r#"echo noise; echo 'admire: {"loss": 2.5, "note": "NaN \" Infinity"}'"#, "completed"),
    ] {
        let (_, text) = outcome(script, "");
        assert!(text.contains(expected), "{script}: {text}");
    }
}

#[test]
fn a_time_out_kills_the_whole_group_even_one_that_ignores_sigterm() {
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' & echo $! > \"$1.pid\"; \
                  while :; do sleep 0.05; done";
    let (f, text) = outcome(script, "timeout = \"300ms\"");
    assert!(text.contains("timed out"), "{text}");
    let pid = fs::read_to_string(f.path("run/trials/0001/result.json.pid")).unwrap();
    until("the child's death", || !alive(&pid));
}

#[test]
fn a_child_left_in_the_background_does_not_hold_the_trial_up() {
    let (_, text) = outcome(&format!("sleep 1000 & {GOOD}"), "");
    assert_eq!(text, "completed");
}

#[test]
fn retries_keep_the_seed_and_the_logs() {
    let script = format!("echo $ADMIRE_ATTEMPT $4 >> ledger; [ $ADMIRE_ATTEMPT = 3 ] || exit 1; {GOOD}");
    let (f, text) = outcome(&script, "retries = 2");
    assert_eq!(text, "completed");
    let ledger = fs::read_to_string(f.path("ledger")).unwrap();
    let seeds: Vec<&str> = ledger.lines().map(|l| l.split_once(' ').unwrap().1).collect();
    assert!(seeds.len() == 3 && seeds.iter().all(|s| *s == seeds[0]), "{ledger}");
    assert!(f.path("run/trials/0001/stdout.2.log").exists());
}

#[test]
fn too_many_failures_end_the_study() {
    let f = Fixture::new("exit 1", "max_failure_rate = 0.5", "[budget]\ntrials = 50");
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(4), "{}", stderr(&output));
    assert_eq!(f.of("failed").iter().filter(|e| e["final"] == true).count(), 5);
}

#[test]
fn results_have_the_documented_shape_and_a_finished_study_stays_finished() {
    let f = Fixture::new(GOOD, "slots = 2", "[budget]\ncost = 12.0\n[confirm]\nseeds = 2");
    let result = f.json("optimize", &["-q"]);
    assert_eq!(result["stopped"], "budget");
    assert_eq!(result["fidelity"], "large");
    assert!(result["spent"]["cost"].as_f64().unwrap() <= 12.0);
    assert!(result["confirm"]["difference"]["mean"].is_number(), "{result}");
    let events = f.events().len();
    assert_eq!(f.json("optimize", &["-q"])["weights"], result["weights"]);
    assert_eq!(f.of("launched").len(), f.of("completed").len());
    assert!(f.events().len() <= events + 1, "only `resumed` may be added");
    let best = f.json("best", &[]);
    assert!(best.get("measured").is_some() && best["expected"]["sd"].is_number(), "{best}");
    assert_eq!(f.json("status", &[])["trials"]["failed"], 0);
    let csv = String::from_utf8(f.run("export", &[]).stdout).unwrap();
    assert!(csv.starts_with("run_id,fidelity,params,tokens,cost,w:a,w:b,w:c,y:loss\n"), "{csv}");
    let more = f.json("optimize", &["-q", "--set", "budget.cost=14.0"]);
    assert!(more["spent"]["trials"].as_u64() > result["spent"]["trials"].as_u64());
}

#[test]
fn ask_and_tell() {
    let f = Fixture::new(GOOD, "", "");
    let dry = f.json("suggest", &["-n", "2", "--dry-run"]);
    let asked = f.json("suggest", &["-n", "2"]);
    assert_eq!(dry, asked);
    assert_eq!(asked["trials"][1]["trial"], 2);
    assert_ne!(asked["trials"][0]["weights"], asked["trials"][1]["weights"]);
    for _ in 0..2 {
        assert_eq!(code(&f.run("tell", &["--trial", "1", "--loss", "2.5"])), Some(0));
    }
    assert_eq!(code(&f.run("tell", &["--trial", "1", "--loss", "2.6"])), Some(1));
    assert_eq!(code(&f.run("tell", &["--trial", "9", "--failed"])), Some(2));
    assert_eq!(code(&f.run("tell", &["--trial", "2", "--diverged"])), Some(0));
    let trials = &f.json("status", &[])["trials"];
    assert_eq!((&trials["complete"], &trials["diverged"]), (&1.into(), &1.into()));
    assert_eq!(code(&f.run("suggest", &["--fidelity", "huge"])), Some(2));
}

#[test]
fn torn_lines_are_dropped_and_damage_is_named() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 3");
    f.json("suggest", &["-n", "2"]);
    let journal = f.path("run/journal.jsonl");
    OpenOptions::new().append(true).open(&journal).unwrap().write_all(b"{\"time\": 1, \"ev").unwrap();
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("torn"));
    assert_eq!(f.of("completed").len(), 3);
    let text = fs::read_to_string(&journal).unwrap();
    let damaged: Vec<&str> = text.lines().enumerate().map(|(i, l)| if i == 2 { "oops" } else { l }).collect();
    fs::write(&journal, damaged.join("\n") + "\n").unwrap();
    let output = f.run("status", &[]);
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("line 3"), "{}", stderr(&output));
}

#[test]
fn older_journals_are_read_and_newer_ones_refused() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 2");
    f.json("optimize", &["-q"]);
    let text = fs::read_to_string(f.path("run/journal.jsonl")).unwrap();
    assert!(text.contains("\"format\":11"));
    let old: String = text.lines().map(|line| format!("{}}}\n", body(line))).collect();
    fs::remove_file(f.path("run/journal.seal")).unwrap();
    f.write("run/journal.jsonl", &old.replace("\"format\":11", "\"format\":1"));
    assert_eq!(f.json("optimize", &["-q", "--set", "budget.trials=3"])["spent"]["trials"], 3);
    f.rewrite(text.replace("\"format\":11", "\"format\":99").lines());
    assert!(stderr(&f.run("status", &[])).contains("use a newer one"));
}

#[test]
fn a_changed_study_is_refused() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &[]);
    let output = f.run("status", &["--set", "study.seed=8"]);
    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("study.seed"), "{}", stderr(&output));
    assert_eq!(code(&f.run("status", &["--set", "budget.trials=99"])), Some(0));
}

#[test]
fn one_writer_and_an_interruption_that_drains() {
    let f = Fixture::new(&format!("while [ ! -e go ]; do sleep 0.02; done; {GOOD}"), "", "[budget]\ntrials = 9");
    let mut child = f.start("optimize");
    until("a trial", || !f.of("started").is_empty());
    let second = f.run("suggest", &[]);
    assert_eq!(code(&second), Some(5));
    assert!(stderr(&second).contains(&format!("pid {}", child.id())), "{}", stderr(&second));
    assert_eq!(f.json("status", &[])["trials"]["running"], 1);
    signal(&child, Signal::SIGINT);
    fs::write(f.path("go"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((f.of("launched").len(), f.of("completed").len()), (1, 1));
}

#[test]
fn interrupting_twice_kills_and_the_trial_starts_again() {
    let f = Fixture::new(&format!("[ -e go ] || sleep 1000; {GOOD}"), "", "[budget]\ntrials = 2");
    let mut child = f.start("optimize");
    until("a trial", || !f.of("started").is_empty());
    // Two signals of one kind may merge into one while pending: repeat until it is over.
    until("the end", || {
        signal(&child, Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(f.of("interrupted").len(), 1);
    fs::write(f.path("go"), "").unwrap();
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    assert_eq!((f.of("suggested").len(), f.of("completed").len()), (2, 2));
}

#[test]
fn resuming_changes_no_suggestion() {
    let weights = |f: &Fixture| f.of("suggested").into_iter().map(|e| e["weights"].clone()).collect::<Vec<_>>();
    let (whole, parts) = (Fixture::new(GOOD, "", ""), Fixture::new(GOOD, "", ""));
    whole.json("optimize", &["-q", "--set", "budget.trials=16"]);
    for trials in [3, 9, 13, 16] {
        parts.json("optimize", &["-q", "--set", &format!("budget.trials={trials}")]);
    }
    assert_eq!(weights(&whole).len(), 16);
    assert_eq!(weights(&whole), weights(&parts));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 3");
    f.json("optimize", &["-q"]);
    for command in ["status", "best", "check"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = f.command(command).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{command}");
    }
}
