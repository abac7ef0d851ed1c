//! Several people and programs at one study.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;

use study::{Fixture, GOOD, chained, code, stderr, until};

#[test]
fn readers_see_whole_events_and_never_wait() {
    let f =
        Fixture::new(GOOD, "slots = 2", "[budget]\ntrials = 30\n[optimizer]\nacquisition = \"expected-improvement\"");
    f.json("suggest", &["-q"]);
    // There is something to recommend from the beginning.
    assert_eq!(code(&f.run("tell", &["--trial", "1", "--loss", "1"])), Some(0));
    let mut child = f.start("optimize");
    let looks: Vec<usize> = thread::scope(|scope| {
        let readers: Vec<_> = [["status"].as_slice(), &["best"], &["suggest", "--dry-run"], &["export"]]
            .into_iter()
            .map(|reader| {
                let f = &f;
                scope.spawn(move || {
                    let (mut looks, mut known) = (0, 0);
                    loop {
                        let last = f.of("stopped").len() == 1;
                        let output = f.run(reader[0], &reader[1..]);
                        assert!(
                            code(&output) == Some(0) && output.stderr.is_empty(),
                            "{reader:?}: {}",
                            stderr(&output)
                        );
                        // The lines of `export` only become more.
                        let lines = output.stdout.iter().filter(|b| **b == b'\n').count();
                        assert!(lines >= known || reader[0] != "export");
                        (looks, known) = (looks + 1, lines);
                        if last {
                            return looks;
                        }
                    }
                })
            })
            .collect();
        readers.into_iter().map(|r| r.join().unwrap()).collect()
    });
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(looks.iter().all(|n| *n > 3), "{looks:?}");
    assert_eq!(f.of("completed").len(), 30);
}

#[test]
fn two_hundred_tells_from_twenty_processes_lose_nothing() {
    for wait in [true, false] {
        let f = Fixture::new(GOOD, "", "[optimizer]\ninitial = 200");
        f.json("suggest", &["-n", "200"]);
        thread::scope(|scope| {
            for person in 0..20 {
                let f = &f;
                scope.spawn(move || {
                    for trial in (1..=200).filter(|trial| trial % 20 == person) {
                        let (trial, loss) = (trial.to_string(), format!("{trial}.5"));
                        let mut arguments = vec!["--trial", &trial, "--loss", &loss];
                        arguments.extend(wait.then_some("--wait"));
                        // Without waiting, some are turned away and come again.
                        until("its turn", || {
                            let output = f.run("tell", &arguments);
                            let turned_away = code(&output) == Some(5) && !wait;
                            assert!(code(&output) == Some(0) || turned_away, "{}", stderr(&output));
                            !turned_away
                        });
                    }
                });
            }
        });
        let told = f.of("completed").into_iter().map(|e| (e["trial"].as_u64().unwrap(), e["metrics"]["loss"].clone()));
        let told: BTreeMap<_, _> = told.collect();
        assert_eq!(f.of("completed").len(), 200);
        assert_eq!(told, (1..=200).map(|trial| (trial, (trial as f64 + 0.5).into())).collect());
        assert_eq!(f.json("status", &[])["trials"]["complete"], 200);
    }
}

#[test]
fn a_second_writer_is_turned_away_or_waits() {
    let f = Fixture::new(&format!("while [ ! -e go ]; do sleep 0.02; done; {GOOD}"), "", "[budget]\ntrials = 2");
    f.json("suggest", &["-n", "2"]);
    let mut child = f.start("optimize");
    until("a trial", || !f.of("started").is_empty());
    let holder = format!("pid {} on ", child.id());
    for arguments in [
        ["optimize", "-q"].as_slice(),
        &["suggest", "--wait=50ms"],
        &["tell", "--trial", "2", "--loss", "1", "--wait=50ms"],
    ] {
        let output = f.run(arguments[0], &arguments[1..]);
        let said = stderr(&output);
        assert!(code(&output) == Some(5) && said.contains(&holder) && said.contains("optimize"), "{said}");
    }
    assert_eq!(code(&f.run("tell", &["--trial", "2", "--loss", "1", "--wait=soon"])), Some(2));
    let waiting = f.command("suggest").args(["--format", "json", "--wait=10m"]).stdout(Stdio::piped()).spawn().unwrap();
    f.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(0));
    let suggested: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(suggested["trials"][0]["trial"], 3);
}

/// As when a second machine writes that was shown an outdated file, or does not see the lock.
#[test]
fn what_another_writer_wrote_stops_the_study_and_stays() {
    let f = Fixture::new(&format!("while [ ! -e go ]; do sleep 0.02; done; {GOOD}"), "", "[budget]\ntrials = 2");
    let mut child = f.command("optimize").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    until("a trial", || !f.of("started").is_empty());
    let journal = f.path("run/journal.jsonl");
    let mut lines = f.lines("run/journal.jsonl");
    lines.push(f.of("suggested")[0].to_string().replace("\"trial\":1", "\"trial\":2"));
    let foreign = chained(&lines).lines().last().unwrap().to_owned() + "\n";
    std::fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(foreign.as_bytes()).unwrap();
    let before = std::fs::read(&journal).unwrap();
    f.write("go", "");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("something else writes there"), "{said}");
    assert_eq!(std::fs::read(&journal).unwrap(), before);
    // Those who come later read it all; the trial that ran meanwhile is taken as it is.
    let output = f.run("optimize", &["-q"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!((f.of("launched").len(), f.of("completed").len()), (2, 2));
}

/// A killed process may leave its lock, for a moment, to a child that it was about to start.
#[test]
fn a_lock_that_is_let_go_at_once_turns_nobody_away() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &["-q"]);
    let lock = std::fs::File::open(f.path("run/lock")).unwrap();
    lock.lock().unwrap();
    let mut child = f.command("suggest").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (files, path) = (format!("/proc/{}/fd", child.id()), f.path("run/lock").canonicalize().unwrap());
    let looks = || {
        std::fs::read_dir(&files)
            .is_ok_and(|fds| fds.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == path)))
    };
    until("it asks for the lock", || looks() || child.try_wait().unwrap().is_some());
    lock.unlock().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
