//! The loop after crashes: nothing lost, nothing repeated, the same suggestions.

#[path = "common/study.rs"]
mod study;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use admire::advice;
use admire::config::StudyConfig;
use admire::problem::seed_of;
use admire::study::{Event, Purpose, Study, TrialState, journal};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};
use study::{Fixture, GOOD, alive, code, signal, stderr, until};

/// Notes that it runs, waits for the file `go`, reports.
const WAITS: &str = r#"echo "$3 $4 $$" >> ledger; while [ ! -e go ]; do sleep 0.02; done; "#;

/// A study with one trial whose trainer runs and waits, and whose `admire` was killed.
fn orphaned(extra: &str) -> (Fixture, String) {
    let f = Fixture::new(&format!("{WAITS}{GOOD}"), "", &format!("[budget]\ntrials = 1\n{extra}"));
    let mut child = f.start("optimize");
    until("a trial", || !f.of("started").is_empty() && f.lines("ledger").len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let pid = f.lines("ledger")[0].rsplit_once(' ').unwrap().1.to_owned();
    assert!(alive(&pid));
    (f, pid)
}

#[test]
fn the_journal_reproduces_every_suggestion() {
    let script = format!("sleep 0.0$(($3 % 4 * 2)); {GOOD}");
    let f = Fixture::new(&script, "slots = 2", "[budget]\ntrials = 20\ncost = 40.0");
    // Learned costs depend on the order in which trials end.
    f.edit("cost = 1.0\n", "");
    f.edit("cost = 4.0\n", "");
    let mut child = f.start("optimize");
    until("seven trials", || f.of("completed").len() >= 7);
    child.kill().unwrap();
    child.wait().unwrap();
    f.json("optimize", &["-q"]);

    let mut config = StudyConfig::load(&f.path("study.toml"), &[]).unwrap();
    let contents = journal::read(&config.dir).unwrap().unwrap();
    let entries = contents.entries().unwrap();
    let lines = f.lines("run/journal.jsonl");
    config.dir = f.path("prefix");
    fs::create_dir(&config.dir).unwrap();
    let mut asked = 0;
    for (i, entry) in entries.iter().enumerate() {
        let Event::Suggested(suggested) = &entry.event else { continue };
        assert_eq!(suggested.purpose, Purpose::Search);
        let mut ends = vec![i];
        // A crash between the hyperparameters and the suggestion changes nothing, one before both neither.
        ends.extend(matches!(entries[i - 1].event, Event::Model(_)).then_some(i - 1));
        for end in ends {
            fs::write(journal::path(&config.dir), lines[..end].join("\n") + "\n").unwrap();
            let study = Study::read(config.clone()).unwrap();
            let offered: Vec<_> = suggested.offered.iter().map(|name| config.fidelities.find(name).unwrap()).collect();
            let (id, evidence) = (study.next_id(), study.evidence());
            let mut optimizer = advice::optimizer(&study);
            let again = advice::suggest(&mut optimizer, &evidence, &offered, config.seed, id).unwrap();
            assert_eq!(study.named(&again.mixture), suggested.weights, "trial {id}");
            assert_eq!(config.fidelities[again.fidelity].name, suggested.fidelity, "trial {id}");
            assert_eq!(again.expected, suggested.expected, "trial {id}");
            assert_eq!(seed_of(config.seed, id), suggested.seed);
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}

#[test]
fn killed_at_ten_moments_nothing_is_lost_or_repeated() {
    let script = format!("sleep 0.08; echo \"$3 $2\" >> ledger; {GOOD}");
    let f = Fixture::new(&script, "slots = 2", "[budget]\ntrials = 14");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut while_running = 0;
    for _ in 0..10 {
        let more = f.events().len() + rng.random_range(1..=7);
        let mut child = f.start("optimize");
        until("the journal to grow", || f.events().len() >= more || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        child.wait().unwrap();
        while_running += usize::from(f.json("status", &[])["trials"]["running"] != 0);
    }
    assert!(while_running > 2, "{while_running}");
    let output = f.run("optimize", &["-q"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let mut ran: Vec<u64> = f.lines("ledger").iter().map(|l| l.split_once(' ').unwrap().0.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (1..=14).collect::<Vec<u64>>());
    assert_eq!(f.of("completed").len(), 14);
}

#[test]
fn a_trial_that_still_runs_is_taken_over() {
    let (f, _) = orphaned("");
    let mut child = f.start("optimize");
    until("the next run", || !f.of("resumed").is_empty());
    f.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!((f.lines("ledger").len(), f.of("launched").len(), f.of("completed").len()), (1, 1, 1));
    assert!(f.of("completed")[0]["duration"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_trial_that_ended_meanwhile_is_taken_as_it_is() {
    let (f, pid) = orphaned("");
    f.write("go", "");
    until("the trainer's end", || !alive(&pid));
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    assert_eq!((f.lines("ledger").len(), f.of("launched").len(), f.of("completed").len()), (1, 1, 1));
    // Its files say how long it took.
    assert!(f.of("completed")[0]["duration"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_trial_that_died_meanwhile_starts_again_with_its_seed() {
    let (f, pid) = orphaned("");
    killpg(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    until("the trainer's end", || !alive(&pid));
    f.write("go", "");
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    let ran = f.lines("ledger");
    let seed = |line: &str| line.rsplit_once(' ').unwrap().0.to_owned();
    assert_eq!((ran.len(), seed(&ran[0])), (2, seed(&ran[1])));
    assert_eq!((f.of("interrupted").len(), f.of("failed").len(), f.of("completed").len()), (1, 0, 1));
}

#[test]
fn a_process_that_was_never_journalled_is_found_and_can_be_killed() {
    let (f, pid) = orphaned("");
    let journal = f.lines("run/journal.jsonl");
    let kept: Vec<&String> = journal.iter().filter(|line| !line.contains("\"started\"")).collect();
    f.rewrite(kept);
    let mut child = f.start("optimize");
    until("the process to be found", || !f.of("started").is_empty());
    assert_eq!(f.of("started")[0]["pid"].to_string(), pid);
    until("the end", || {
        signal(&child, Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!alive(&pid));
    assert_eq!((f.of("interrupted").len(), f.of("launched").len()), (1, 1));
}

/// `admire optimize`, once it says that it waits for a trial that still runs; and the rest of what it says.
fn waiting(f: &Fixture, arguments: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut command = f.command("optimize");
    let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("still running")));
    (child, said)
}

#[test]
fn a_clock_that_jumps_makes_no_trial_late() {
    for jump in [-86400.0, 86400.0] {
        let (f, _) = orphaned("");
        let shifted = f.lines("run/journal.jsonl").into_iter().map(|line| {
            let mut event: serde_json::Value = serde_json::from_str(&line).unwrap();
            event["time"] = (event["time"].as_f64().unwrap() + jump).into();
            event.to_string()
        });
        f.rewrite(shifted);
        let (mut child, _said) = waiting(&f, &["--set", "launcher.timeout='1h'"]);
        f.write("go", "");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!((f.lines("ledger").len(), f.of("completed").len()), (1, 1));
        let duration = f.of("completed")[0]["duration"].as_f64().unwrap();
        assert!(duration > 0.0 && duration < 3600.0, "{duration}");
        f.json("status", &[]);
    }
}

#[test]
fn the_time_out_of_a_trial_taken_over_counts_from_its_start() {
    let (f, pid) = orphaned("");
    let output = f.run("optimize", &["-q", "--set", "launcher.timeout='10ms'", "--set", "launcher.retries=0"]);
    assert_eq!(code(&output), Some(1), "its one trial came to nothing: {}", stderr(&output));
    assert!(!alive(&pid));
    assert!(f.of("failed")[0]["reason"].as_str().unwrap().contains("timed out"));
}

#[test]
fn a_trial_without_stdout_or_directory_is_known_by_its_process() {
    for gone in ["exec > elsewhere", "rm -r \"$ADMIRE_TRIAL_DIR\""] {
        let f = Fixture::new(&format!("[ $ADMIRE_ATTEMPT = 1 ] && {gone}; {WAITS}{GOOD}"), "", "[budget]\ntrials = 1");
        let mut child = f.start("optimize");
        until("a trial", || !f.of("started").is_empty() && f.lines("ledger").len() == 1);
        child.kill().unwrap();
        child.wait().unwrap();
        let (mut child, said) = waiting(&f, &[]);
        assert_eq!(f.lines("ledger").len(), 1);
        f.write("go", "");
        said.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(f.of("completed").len(), 1);
    }
}

#[test]
fn what_a_dead_trial_left_running_is_killed_before_it_starts_again() {
    let script = format!("[ $ADMIRE_ATTEMPT = 1 ] && {{ sleep 1000 & echo $! > worker; }}; {WAITS}{GOOD}");
    let f = Fixture::new(&script, "", "[budget]\ntrials = 1");
    let mut child = f.start("optimize");
    until("a trial", || !f.of("started").is_empty() && f.lines("ledger").len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let leader = f.of("started")[0]["pid"].to_string();
    kill(Pid::from_raw(leader.parse().unwrap()), Signal::SIGKILL).unwrap();
    until("the leader's death", || !alive(&leader));
    let worker = f.lines("worker")[0].clone();
    assert!(alive(&worker));
    f.write("go", "");
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    until("the worker's death", || !alive(&worker));
    assert_eq!((f.of("interrupted").len(), f.of("completed").len()), (1, 1));
}

#[test]
fn a_trial_of_another_machine_is_waited_for_but_not_killed() {
    let (f, pid) = orphaned("");
    let journal = fs::read_to_string(f.path("run/journal.jsonl")).unwrap();
    let place = f.of("started")[0]["place"].as_str().unwrap().to_owned();
    f.rewrite(journal.replace(&place, "elsewhere").replace(&format!("\"pid\":{pid}"), "\"pid\":1").lines());
    let (mut child, _said) = waiting(&f, &["--set", "launcher.timeout='10ms'"]);
    until("the end", || {
        signal(&child, Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(alive(&pid));
    let (mut child, _said) = waiting(&f, &[]);
    f.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!((f.lines("ledger").len(), f.of("launched").len(), f.of("completed").len()), (1, 1, 1));
}

#[test]
fn a_confirmation_goes_on_after_a_crash() {
    let script = format!("sleep 0.1; echo \"$3\" >> ledger; {GOOD}");
    let f = Fixture::new(&script, "", "[budget]\ntrials = 3\n[confirm]\nseeds = 2");
    let mut child = f.start("optimize");
    until("a confirmation run", || f.of("started").len() == 5);
    child.kill().unwrap();
    child.wait().unwrap();
    let result = f.json("optimize", &["-q"]);
    assert_eq!((&result["stopped"], &result["confirm"]["difference"]["runs"]), (&"trials".into(), &2.into()));
    assert_eq!((f.of("stopped").len(), f.of("suggested").len()), (1, 7));
    let mut ran = f.lines("ledger");
    ran.sort();
    assert_eq!(ran, (1..=7).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// Has the journal say that another launcher launched.
fn launched_by(f: &Fixture, known: &str, backend: &str) {
    let (known, backend) = (format!("\"backend\":{known:?}"), format!("\"backend\":{backend:?}"));
    f.rewrite(f.lines("run/journal.jsonl").into_iter().map(|line| line.replace(&known, &backend)));
}

#[test]
fn an_attempt_of_a_launcher_that_is_not_known_stops_the_study_and_is_left_alone() {
    let (f, pid) = orphaned("");
    launched_by(&f, "local", "nomad");
    let running = f.json("status", &[])["running"][0].clone();
    assert_eq!((&running["trial"], &running["pid"], &running["alive"]), (&1.into(), &Value::Null, &Value::Null));
    let output = f.run("optimize", &[]);
    assert!(stderr(&output).contains("this version of admire has no backend called nomad"), "{}", stderr(&output));
    assert_eq!(code(&output), Some(1));
    assert!(alive(&pid) && f.of("interrupted").is_empty());
    launched_by(&f, "nomad", "local");
    f.write("go", "");
    f.json("optimize", &["-q"]);
    assert_eq!((f.of("completed").len(), f.of("launched").len()), (1, 1));
}

#[test]
fn the_journal_keeps_of_an_attempt_what_its_launcher_says_and_nothing_else() {
    let (f, pid) = orphaned("");
    let config = StudyConfig::load(&f.path("study.toml"), &[]).unwrap();
    let study = Study::read(config).unwrap();
    let TrialState::Running { launch, .. } = &study.trials()[0].state else { panic!("it runs") };
    let handle: Map<String, Value> = launch.handle.as_ref().unwrap().read().unwrap();
    assert_eq!(handle.keys().collect::<Vec<_>>(), ["pid", "start_time", "place"]);
    assert_eq!((launch.backend.as_str(), handle["pid"].to_string()), ("local", pid));
    // Whatever it says, it is found again as it is.
    let more = |line: String| line.replace("\"pid\":", "\"color\":\"red\",\"pid\":");
    f.rewrite(f.lines("run/journal.jsonl").into_iter().map(more));
    f.write("go", "");
    f.json("optimize", &["-q"]);
    assert_eq!(f.of("launched").len(), 1);
}

#[test]
fn an_event_that_says_nothing_of_an_attempt_is_damage() {
    let (f, pid) = orphaned("");
    let lines = f.lines("run/journal.jsonl").into_iter();
    let bare = |line: String| match line.find(",\"pid\":") {
        Some(at) => format!("{}}}", &line[..at]),
        None => line,
    };
    f.rewrite(lines.map(bare));
    let output = f.run("optimize", &[]);
    assert!(
        stderr(&output).contains("line 4: damaged journal: nothing says by what the attempt is recognized"),
        "{}",
        stderr(&output)
    );
    assert!(code(&output) == Some(1) && alive(&pid));
    f.write("go", "");
    until("its end", || !alive(&pid));
}
