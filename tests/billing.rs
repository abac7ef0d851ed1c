//! What is charged, and what becomes of trials that fail, or never start.

#[path = "common/study.rs"]
mod study;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use admire::config::StudyConfig;
use admire::study::Study;
use nix::sys::signal::Signal;
use serde_json::Value;
use study::{Fixture, GOOD, code, signal, stderr, until};

fn status(f: &Fixture) -> String {
    String::from_utf8(f.run("status", &[]).stdout).unwrap()
}

fn spent(f: &Fixture) -> f64 {
    f.json("status", &[])["spent"]["cost"].as_f64().unwrap()
}

/// A study with this journal after its first line, in which trial 1 takes a second at `small`.
fn with_journal(lines: &[&str]) -> Fixture {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &["--fidelity", "small"]);
    let written = fs::read_to_string(f.path("run/journal.jsonl")).unwrap();
    let mut header: Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    let header = header.as_object_mut().unwrap();
    header.insert("format".into(), 2.into());
    header.remove("crc");
    header.remove("seq");
    let suggested = |trial: u64, fidelity: &str| {
        format!(
            r#"{{"time":1.0,"event":"suggested","trial":{trial},"fidelity":"{fidelity}","weights":{{"a":0.2,"b":0.3,"c":0.5}},"seed":1,"purpose":"search","expected":null}}"#
        )
    };
    let mut text = serde_json::to_string(header).unwrap() + "\n";
    text += &format!("{}\n{}\n{}\n", suggested(1, "small"), suggested(2, "small"), suggested(3, "large"));
    for line in lines {
        text += &format!("{line}\n");
    }
    fs::remove_file(f.path("run/journal.seal")).unwrap();
    fs::write(f.path("run/journal.jsonl"), text).unwrap();
    f
}

const COMPLETED: &str =
    r#"{"time":2.0,"event":"completed","trial":1,"metrics":{"loss":1.0},"cost":null,"duration":10.0}"#;

fn failed(trial: u64, duration: &str) -> String {
    format!(
        r#"{{"time":2.0,"event":"failed","trial":{trial},"attempt":1,"reason":"x","final":false,"duration":{duration}}}"#
    )
}

#[test]
fn a_trial_that_is_continued_costs_what_it_used_before_and_after() {
    let stopped = [
        r#"{"time":2.0,"event":"trial_stopping","trial":2,"share":0.4,"probability":0.01,"reason":"x"}"#,
        r#"{"time":2.0,"event":"trial_stopped","trial":2,"share":0.4,"duration":4.0}"#,
    ];
    let continued = r#"{"time":3.0,"event":"trial_continued","trial":2,"reason":"x"}"#;
    let completed = |cost: &str| {
        COMPLETED.replace("\"trial\":1", "\"trial\":2").replace("\"cost\":null", &format!("\"cost\":{cost}"))
    };
    let study = |events: &[&str]| with_journal(&[&[COMPLETED], &stopped[..], events].concat());
    let again = stopped.map(|event| event.replace("0.4", "0.7"));
    for (events, cost, committed) in [
        (vec![], 1.4, 5.4),
        (vec![continued.to_owned()], 1.4, 6.0),
        (vec![continued.to_owned(), completed("null")], 2.0, 6.0),
        (vec![continued.to_owned(), completed("0.5")], 1.9, 5.9),
        (vec![continued.to_owned(), failed(2, "3.0")], 1.7, 6.3),
        ([vec![continued.to_owned()], again.to_vec()].concat(), 1.7, 5.7),
        // What is no evidence any more was paid for.
        (vec![r#"{"time":3.0,"event":"withdrawn","reason":"x","runs":["t2"]}"#.to_owned()], 1.4, 5.4),
        // It began anew, and was ended before it came as far again.
        ([vec![continued.to_owned()], stopped.map(|event| event.replace("0.4", "0.3")).to_vec()].concat(), 1.4, 5.4),
    ] {
        let f = study(&events.iter().map(String::as_str).collect::<Vec<_>>());
        let study = Study::read(StudyConfig::load(&f.path("study.toml"), &[]).unwrap()).unwrap();
        let found = (study.spent().cost, study.committed().0);
        assert!((found.0 - cost).abs() < 1e-9 && (found.1 - committed).abs() < 1e-9, "{events:?}: {found:?}");
    }
    // Where runs cost their seconds, a part of one is no measure of a run.
    let f = study(&[continued, &completed("null").replace("10.0", "6.0")]);
    f.edit("params = 1e3\ncost = 1.0", "params = 1e3");
    f.edit("params = 1e4\ncost = 4.0", "params = 1e4");
    assert_eq!(spent(&f), 10.0 + 0.4 * 10.0 + 6.0);
    // It is continued only where it was ended.
    assert_eq!(code(&with_journal(&[COMPLETED, &continued.replace("2,", "1,")]).run("status", &[])), Some(1));
}

#[test]
fn a_failed_attempt_costs_its_share_of_a_run() {
    // A run at `small` takes 10 s and costs 1, one at `large` costs 4 and so is taken to last 40 s.
    for (attempts, cost) in [
        (vec![failed(2, "1.0")], 1.1),
        (vec![failed(2, "1.0"), failed(2, "5.0")], 1.6),
        (vec![failed(2, "500.0")], 2.0),
        (vec![failed(2, "null")], 2.0),
        (vec![failed(3, "10.0")], 2.0),
        (vec![failed(3, "0.0")], 1.0),
        (vec![r#"{"time":2.0,"event":"diverged","trial":2,"attempt":1,"final":true,"duration":2.5}"#.into()], 1.25),
    ] {
        let mut lines: Vec<&str> = attempts.iter().map(String::as_str).collect();
        lines.push(COMPLETED);
        let f = with_journal(&lines);
        assert!((spent(&f) - cost).abs() < 1e-9, "{attempts:?}: {} instead of {cost}", spent(&f));
    }
    // Before any run is complete there is nothing to measure by.
    assert_eq!(spent(&with_journal(&[&failed(2, "3600.0")])), 0.0);
}

#[test]
fn every_command_and_the_report_show_the_same_cost() {
    // Trial 2 has failed once, and is tried again.
    let f = with_journal(&[&failed(2, "1.0"), COMPLETED]);
    assert!((f.json("best", &[])["spent"]["cost"].as_f64().unwrap() - 1.1).abs() < 1e-9);
    assert!(status(&f).contains("1.1"), "{}", status(&f));
    assert!(f.run("report", &[]).status.success());
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    for said in ["cost 1.1 in 1 trial", ">All</th><td class=\"number\">1.1</td>", "data-v=\"0.1\">0.1</td>"] {
        assert!(page.contains(said), "{said} is missing in {page}");
    }
}

#[test]
fn interruptions_cost_nothing() {
    for cause in ["killed", "lost", "unseen", "not_started"] {
        let launched = r#"{"time":1.0,"event":"launched","trial":2,"attempt":1}"#;
        let interrupted = format!(r#"{{"time":2.0,"event":"interrupted","trial":2,"attempt":1,"cause":"{cause}"}}"#);
        assert_eq!(spent(&with_journal(&[COMPLETED, launched, &interrupted])), 1.0, "{cause}");
    }
}

#[test]
fn a_search_without_one_complete_run_fails_and_recommends_nothing() {
    let f = Fixture::new("exit 3", "", "[budget]\ntrials = 2\n[confirm]\nseeds = 2");
    let output = f.run("optimize", &[]);
    let said = stderr(&output);
    assert_eq!((code(&output), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("without one complete run, so nothing is recommended"), "{said}");
    assert!(said.contains("the command ended with exit status: 3"), "{said}");
    assert!(f.of("stopped").is_empty() && f.of("suggested").len() == 2, "nothing is confirmed, either");
    assert_eq!(spent(&f), 0.0);
    let shown = status(&f);
    assert!(shown.contains("halted  the search has ended (trials) without one complete run"), "{shown}");
}

#[test]
fn after_a_repair_the_budget_is_there_and_the_design_comes_again() {
    let extra = "[budget]\ntrials = 4\n[optimizer]\ninitial = 3";
    let f = Fixture::new("exit 3", "retries = 0", extra);
    assert_eq!(code(&f.run("optimize", &[])), Some(1));
    let before: Vec<Value> = f.of("suggested");
    // The script is repaired, and called in another way.
    f.write("train.sh", GOOD);
    f.edit("command = [\"sh\", ", "command = [\"sh\", \"-e\", ");
    assert_eq!(f.json("optimize", &["-q"])["spent"]["trials"], 4);
    let after: Vec<Value> = f.of("suggested").split_off(before.len());
    assert_eq!(after.len(), 4);
    for i in 0..3 {
        let what = |t: &Value| (t["fidelity"].clone(), t["weights"].clone());
        assert_eq!(what(&before[i]), what(&after[i]), "trial {} of the design", i + 1);
    }
}

#[test]
fn the_failure_rate_starts_anew_after_a_repair() {
    let f = Fixture::new("exit 3", "retries = 0", "[budget]\ntrials = 12");
    assert_eq!(code(&f.run("optimize", &[])), Some(4), "five of five");
    assert!(status(&f).contains("halted  5 of 5 trials failed"), "{}", status(&f));
    // One of the first five fails again. All trials counted, that would be six of ten.
    f.write("train.sh", &format!("[ \"$3\" = 10 ] && exit 3\n{GOOD}"));
    f.edit("command = [\"sh\", ", "command = [\"sh\", \"-e\", ");
    let output = f.run("optimize", &["-q"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(f.of("failed").len(), 6);
    assert!(status(&f).contains("stopped (trials: 12 trials have finished)"), "{}", status(&f));
}

#[test]
fn what_fails_at_once_does_not_go_on_for_ever() {
    let launcher = "max_failure_rate = 1.0\nretries = 0";
    // The large size never works; no rate of failures is too high; and what fails at once costs next to nothing.
    let script = format!("[ \"$ADMIRE_FIDELITY\" = large ] && exit 9\nsleep 0.3\n{GOOD}");
    let f = Fixture::new(&script, launcher, "[budget]\ncost = 20.0\n[optimizer]\ninitial = 2");
    f.edit("params = 1e4\ncost = 4.0", "params = 1e4\ncost = 4.0\ninitial = 8");
    let output = f.run("optimize", &[]);
    let said = stderr(&output);
    assert_eq!(code(&output), Some(4), "{said}");
    assert!(said.contains("attempts at large have failed or diverged that would have cost 24 as whole runs"), "{said}");
    assert_eq!(f.of("failed").len(), 6);
    assert!(spent(&f) < 20.0, "{}", spent(&f));
}

#[test]
fn a_missing_program_costs_nothing_and_is_waited_for() {
    let f = Fixture::new(GOOD, "retries = 0", "[budget]\ntrials = 2");
    let program = f.path("later.sh");
    f.edit("command = [\"sh\", ", &format!("command = [{program:?}, "));
    let mut child = f.command("optimize").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("three attempts", || f.of("interrupted").len() >= 3);
    assert!(f.of("interrupted").iter().all(|e| e["cause"] == "not_started" && e["attempt"] == 1));
    assert!(f.of("interrupted")[0]["reason"].as_str().unwrap().contains("No such file"));
    assert_eq!(f.of("suggested").len(), 1, "no further trial is decided on meanwhile");
    assert_eq!(spent(&f), 0.0);
    assert!(
        status(&f).contains("waits   no trial can be started, which costs nothing: cannot start"),
        "{}",
        status(&f)
    );
    fs::write(&program, "#!/bin/sh\nexec sh \"$@\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(child.wait().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.matches("trial 1 could not be started").count(), 1, "{said}");
    assert_eq!(f.json("status", &[])["not_started"], Value::Null);
    assert!(f.of("failed").is_empty());
    assert_eq!((f.of("completed").len(), spent(&f)), (2, 2.0));
    assert!(!f.path("run/trials/0001/stdout.1.log").exists(), "it was the first attempt");
}

#[test]
fn a_trial_that_never_starts_can_be_interrupted() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 2");
    f.edit("command = [\"sh\", ", "command = [\"/nowhere/python\", ");
    let mut child = f.start("optimize");
    until("an attempt", || !f.of("interrupted").is_empty());
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(status(&f).contains("halted  it was interrupted"), "{}", status(&f));
    f.edit("command = [\"/nowhere/python\", ", "command = [\"sh\", ");
    assert_eq!(f.json("optimize", &["-q"])["spent"]["cost"], 2.0);
}

/// Kills what has started it, and itself, at trial 2.
const DEADLY: &str = r#"[ "$3" = 2 ] && { echo x >> deaths; sleep 0.05; kill -9 $PPID $$; }
printf '{"loss": %s}' "$2" > "$1""#;

#[test]
fn deaths_that_nobody_sees_count_from_the_third_in_a_row() {
    let f = Fixture::new(DEADLY, "retries = 1", "[budget]\ntrials = 3");
    let mut starts = 0;
    while f.run("optimize", &["-q"]).status.code().is_none() {
        starts += 1;
        assert!(starts < 10, "no end in sight");
    }
    // Two are free, then one attempt and its retry.
    assert_eq!((starts, f.lines("deaths").len()), (4, 4));
    let failed = f.of("failed");
    assert_eq!((failed.len(), &failed[0]["final"], &failed[1]["final"]), (2, &false.into(), &true.into()));
    assert!(failed[0]["reason"].as_str().unwrap().contains("nobody watched, 3 times in a row"), "{failed:?}");
    assert_eq!(f.of("completed").len(), 2);
}

#[test]
fn the_uniform_mixture_is_not_confirmed_against_itself() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 1\n[confirm]\nseeds = 2");
    f.edit("name = \"c\"\n", "name = \"c\"\nmin = 1.0\n");
    let done = f.json("optimize", &["-q"]);
    assert_eq!((&done["confirm"], f.of("suggested").len()), (&Value::Null, 1), "{done}");
    assert_eq!(f.json("status", &[])["ended"], true);
}
