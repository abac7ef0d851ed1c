//! Journals that live long: formats, imported runs, checks, compaction.

#[path = "common/journal.rs"]
mod journal;
#[path = "common/study.rs"]
mod study;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use admire::config::StudyConfig;
use admire::space::Drawn;
use admire::study::{self as study_of, Entry, Imported, OpenStudy, Study};
use std::process::Output;

use journal::{check, journal, limited, run, stdout};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use study::{Fixture, GOOD, body, chained, code, stderr};

/// The study of a committed journal of a format. It was written by the program of its time: with a trial that failed,
/// one that diverged, a search that was confirmed and continued, and a trial that is pending.
fn old(format: u32) -> Fixture {
    let f = Fixture { root: tempfile::TempDir::new().unwrap() };
    let fixture = |extension| fs::read_to_string(format!("tests/fixtures/journal-v{format}.{extension}")).unwrap();
    // Where there is no Slurm, a study goes on without.
    f.write("study.toml", &fixture("toml").replace("kind = \"slurm\"\npoll = \"100ms\"\n", ""));
    fs::create_dir(f.path("run")).unwrap();
    f.write("run/journal.jsonl", &fixture("jsonl"));
    f
}

/// Puts a copy from elsewhere in the journal's place.
fn put(f: &Fixture, text: &str) {
    let _ = fs::remove_file(f.path("run/journal.seal"));
    f.write("run/journal.jsonl", text);
}

fn config(f: &Fixture) -> StudyConfig {
    let mut config = StudyConfig::load(&f.path("study.toml"), &[]).unwrap();
    config.dir = f.path("run");
    config
}

/// All that a study says of itself, but for times.
fn told(f: &Fixture) -> Vec<String> {
    let mut status = f.json("status", &["--trials"]);
    status["latest"].take();
    for part in ["fidelities", "list"] {
        for entry in status[part].as_array_mut().unwrap() {
            entry.as_object_mut().unwrap().retain(|key, _| !["duration_s", "ended"].contains(&key.as_str()));
        }
    }
    let commands =
        [&["best", "--format", "json"][..], &["export"], &["suggest", "--dry-run", "-n", "2", "--format", "json"]];
    let tell = |arguments: &&[&str]| {
        let output = f.run(arguments[0], &arguments[1..]);
        assert_eq!(code(&output), Some(0), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    commands.iter().map(tell).chain([status.to_string()]).collect()
}

/// A run whose loss is the weight of `a`.
fn imported(i: usize) -> Imported {
    let a = (i as f64 * 0.618).fract();
    let weights = [("a", a), ("b", (1.0 - a) / 3.0), ("c", (1.0 - a) * 2.0 / 3.0)];
    Imported {
        source: format!("runs.csv, run {i}"),
        fidelity: "small".into(),
        weights: weights.into_iter().map(|(name, w)| (name.to_owned(), w)).collect(),
        metrics: BTreeMap::from([("loss".to_owned(), a), ("other".to_owned(), 1.0)]),
        se: BTreeMap::new(),
        past: Drawn::default(),
        tokens: None,
    }
}

/// Until a process that another test is starting has closed its copies, a lock that was let go may seem held.
const WAIT: Duration = Duration::from_secs(60);

fn open(f: &Fixture) -> OpenStudy {
    Study::open(config(f), WAIT).unwrap()
}

#[test]
fn a_run_that_counts_in_part_is_not_replaced_and_rounding_is_no_correction() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &[]);
    let part = Drawn { gone: BTreeMap::from([("d".to_owned(), 0.2)]), ..Drawn::default() };
    assert_eq!(open(&f).import([Imported { past: part, ..imported(1) }, imported(2)], None).unwrap().new, 2);
    let corrected = Imported { metrics: BTreeMap::from([("loss".to_owned(), 0.9)]), ..imported(1) };
    let error = open(&f).import([corrected], Some("other data")).unwrap_err().to_string();
    assert!(error.contains("counts in part only") && error.contains("fork anew"), "{error}");
    // As a fork may write it.
    let mut rounded = imported(2);
    rounded.weights.values_mut().for_each(|weight| *weight *= 1.0 + 1e-12);
    assert_eq!(open(&f).import([rounded], None).unwrap().new, 0);
}

#[test]
fn imported_runs_are_evidence_that_cost_nothing() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 3");
    f.json("suggest", &[]);
    let before = journal(&f);
    assert_eq!(open(&f).import((0..20).map(imported), None).unwrap().new, 20);
    assert_eq!(open(&f).import((10..21).map(imported), None).unwrap().new, 1, "the others are known");
    assert!(before.contains("\"format\":11") && journal(&f).starts_with(&before));

    let status = f.json("status", &[]);
    assert_eq!(status["imported"], 21);
    assert_eq!(status["spent"], json!({"cost": 0.0, "trials": 0, "confirmation": {"cost": 0.0, "trials": 0}}));
    // The initial design is over, and the model knows that `a` is bad.
    let trials = f.json("suggest", &["-n", "2", "--dry-run"]);
    assert!(trials["trials"][1]["expected"]["mean"].is_number(), "{trials}");
    assert!(f.json("best", &[])["weights"]["a"].as_f64().unwrap() < 0.05);
    // Nor do they use up what may be trained.
    f.json("suggest", &["--dry-run", "--fidelity", "small", "--set", "fidelity.small.max_trials=2"]);
    // The third trial is one at the target.
    let result = f.json("optimize", &["-q", "--wait", "--set", "fidelity.small.max_trials=2"]);
    assert_eq!((&result["stopped"], &result["spent"]["trials"]), (&"trials".into(), &3.into()));

    let csv = String::from_utf8(f.run("export", &[]).stdout).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "run_id,fidelity,params,tokens,cost,w:a,w:b,w:c,y:loss,y:other,source");
    assert_eq!(rows.len(), 1 + 3 + 21);
    assert!(rows[4].starts_with("imported-1,small,1000,,1,0,0.333"), "{}", rows[4]);
    assert!(rows[5].ends_with(",0.618,1,\"runs.csv, run 1\""), "{}", rows[5]);
    f.write("runs.csv", &csv);
    let replay =
        f.run("replay", &["--runs", f.path("runs.csv").to_str().unwrap(), "--seeds", "1", "--strategy", "random"]);
    assert_eq!(code(&replay), Some(0), "{}", stderr(&replay));
}

#[test]
fn runs_that_do_not_fit_are_not_imported() {
    let f = Fixture::new(GOOD, "", "");
    let mut study = open(&f);
    let before = journal(&f);
    let good = imported(1);
    for (run, reason) in [
        (Imported { fidelity: "huge".into(), ..good.clone() }, "fidelity `huge`"),
        (Imported { weights: BTreeMap::from([("a".to_owned(), 1.0)]), ..good.clone() }, "not a mixture"),
        (Imported { metrics: BTreeMap::from([("loss".to_owned(), f64::NAN)]), ..good.clone() }, "not finite"),
        (Imported { metrics: BTreeMap::from([("other".to_owned(), 1.0)]), ..good.clone() }, "lacks a metric"),
    ] {
        let error = study.import([good.clone(), run], None).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("runs.csv, run 1"), "{error}");
    }
    assert_eq!(journal(&f), before);
}

#[test]
fn journals_of_every_format_are_read_and_gone_on_with() {
    // Of the cost, failed attempts have their share of a run: all of it where they took as long.
    for (format, complete, cost, imported) in [
        (1, 17, 3.362212700718986, 0),
        (2, 16, 4.3, 0),
        (3, 17, 9.953191010047243, 17),
        (4, 18, 4.3, 0),
        (5, 19, 5.2, 0),
        (6, 18, 3.3438147920399968, 2),
        (7, 18, 3.3960746516852165, 2),
        (8, 18, 3.4000000000000004, 2),
    ] {
        let f = old(format);
        let before = journal(&f);
        let (found, sound) = check(&f);
        assert!(sound && found["format"] == format, "{found}");
        let status = f.json("status", &[]);
        let states = ["complete", "running", "pending", "failed", "diverged", "withdrawn"];
        assert_eq!(states.map(|state| &status["trials"][state]), [14, 0, 1, 0, 0, 0], "{status}");
        assert!((status["spent"]["cost"].as_f64().unwrap() - cost).abs() < 1e-9, "{status}");
        assert!(f.json("best", &[])["expected"]["sd"].as_f64().unwrap() > 0.0);
        assert_eq!(stdout(&f.run("export", &[])).lines().count(), 1 + complete + imported);
        assert_eq!(status["imported"], imported);
        assert_eq!(journal(&f), before, "reading writes nothing");

        let output = f.run("optimize", &["--set", "budget.trials=17"]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        // An older journal is rewritten when it is first written to, and kept.
        let raised = chained(before.replace(&format!("\"format\":{format}"), "\"format\":11").lines());
        assert!(journal(&f).starts_with(&raised), "the old events stay as they are");
        let backup = fs::read_to_string(f.path("run/journal.jsonl.1.bak")).ok();
        assert_eq!(backup, (format < 11).then_some(before.clone()));
        assert!(!f.path("run/journal.jsonl.2.bak").exists());
        let lines = before.lines().count();
        let later: Vec<Value> = f.events().split_off(lines);
        let launched = later.iter().filter(|e| e["event"] == "launched").map(|e| e["trial"].as_u64().unwrap());
        let pending = before.lines().filter(|line| line.contains("\"event\":\"suggested\"")).count() as u64;
        // The pending trial, two of the search, and the confirmation of a new recommendation.
        assert!(launched.clone().next() == Some(pending) && launched.clone().all(|trial| trial >= pending));
        assert!(launched.count() >= 3);
        assert_eq!(f.json("status", &[])["trials"]["complete"], 17);
        let (found, sound) = check(&f);
        assert!(sound && found["format"] == 11, "{found}");
        if format < 3 {
            // From now on it is known what changes.
            assert_eq!(later[0]["settings"]["budget.trials"], 17, "{}", later[0]);
            assert_eq!(found["changes"], json!([]));
        } else {
            assert_eq!(later[0]["changed"]["budget.trials"], json!({"from": 14, "to": 17}), "{}", later[0]);
        }
    }
}

#[test]
fn what_older_journals_expected_is_in_the_unit_of_shares() {
    // The weights of its objective sum to 3, and so does that of what it expected.
    let f = old(6);
    let journalled = |trial: u64| {
        let suggested = f.of("suggested").into_iter().find(|event| event["trial"] == trial).unwrap();
        suggested["expected"]["mean"].as_f64()
    };
    let study = Study::read(config(&f)).unwrap();
    let mut compared = 0;
    for trial in study.trials().iter().filter(|trial| trial.searching()) {
        let Some((now, then)) = trial.expected.zip(journalled(trial.id)) else { continue };
        assert!((3.0 * now.mean - then).abs() < 1e-9, "{trial:?}");
        assert!(study.measured(trial).is_none_or(|measured| (measured - now.mean).abs() < 0.5), "{trial:?}");
        compared += 1;
    }
    assert!(compared > 5);
    // What is added later is in the journal's unit.
    let told = &f.json("suggest", &[])["trials"][0];
    let now = told["expected"]["mean"].as_f64().unwrap();
    let then = journalled(told["trial"].as_u64().unwrap()).unwrap();
    assert!(now < 2.0 && (3.0 * now - then).abs() < 1e-9, "{told}");
}

#[test]
fn the_documented_events_are_those_of_the_program() {
    let text = fs::read_to_string("docs/journal.md").unwrap();
    let lines = text.lines().filter(|l| l.starts_with("{\"time\"") && !l.starts_with("{\"time\":…"));
    let mut documented = BTreeSet::new();
    for line in lines {
        let entry: Entry = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let (said, again): (Value, Value) =
            (serde_json::from_str(line).unwrap(), serde_json::to_value(&entry).unwrap());
        let chain = |key: &String| ["seq", "crc"].contains(&key.as_str());
        let keys = |event: &Value| -> BTreeSet<String> {
            event.as_object().unwrap().keys().filter(|key| !chain(key)).cloned().collect()
        };
        assert_eq!(keys(&said), keys(&again), "{line}");
        documented.insert(said["event"].as_str().unwrap().to_owned());
    }
    let written: BTreeSet<String> = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        .iter()
        .flat_map(|format| old(*format).events())
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(documented, written, "every kind is documented, and in a committed journal");
}

#[test]
fn a_newer_journal_is_refused_and_left_alone() {
    let f = old(1);
    let newer =
        journal(&f).replace("\"format\":1", "\"format\":12").replace("\"event\":\"model\"", "\"event\":\"new\"");
    f.write("run/journal.jsonl", &newer);
    let commands = ["status", "best", "report", "export", "optimize", "suggest", "tell --trial 18 --failed", "check"];
    let mut outputs: Vec<Output> = commands
        .iter()
        .map(|command| {
            let words: Vec<&str> = command.split(' ').collect();
            f.run(words[0], &words[1..])
        })
        .collect();
    outputs.extend(["check", "compact", "export"].map(|name| run(&f, name, &[])));
    for output in outputs {
        let said = stderr(&output);
        assert!(code(&output) == Some(1) && output.stdout.is_empty(), "{said}");
        assert!(said.contains("journal.jsonl has format 12") && said.contains("use a newer one"), "{said}");
    }
    assert_eq!(journal(&f), newer);
    assert!(!f.path("run/trials").exists());
}

#[test]
fn check_names_every_line_that_is_wrong() {
    let f = old(1);
    let good = journal(&f);
    let lines: Vec<&str> = good.lines().collect();
    let find = |start: usize, what: &str| start + lines[start..].iter().position(|l| l.contains(what)).unwrap();
    let with = |i: usize, text: Option<&str>| {
        let mut lines = lines.clone();
        match text {
            Some(text) => lines[i] = text,
            None => drop(lines.remove(i)),
        }
        lines.join("\n") + "\n"
    };
    let launched = find(40, "\"launched\"");
    let unknown = lines[launched].replace("\"trial\":", "\"trial\":100");
    let completed = find(30, "\"completed\"");
    let last = find(0, "\"suggested\",\"trial\":18");
    for (text, line, problem) in [
        (with(20, Some("oops")), 21, "damaged: expected value at column 1"),
        (with(20, Some("{\"time\":1,\"event\":\"new\"}")), 21, "unknown variant `new`"),
        (with(launched, Some(&unknown)), launched + 1, "was never suggested"),
        (with(completed + 1, Some(lines[completed])), completed + 2, "had already finished"),
        (with(last, Some(lines[1])), last + 1, "trial 1 where trial 18 was due"),
        (with(last, Some(&lines[last].replace("\"code\":0.", "\"code\":1."))), last + 1, "not a mixture"),
        (with(5, Some(lines[0])), 6, "a study header belongs in the first line"),
    ] {
        f.write("run/journal.jsonl", &text);
        let (found, sound) = check(&f);
        let first = &found["problems"][0];
        assert!(!sound && first["line"] == line, "{found}");
        assert!(first["problem"].as_str().unwrap().contains(problem), "{first}");
        let shown = stdout(&run(&f, "check", &[]));
        assert!(shown.contains(&format!("\nline {line}: ")) && shown.contains("restore the file"), "{shown}");
        assert_eq!(journal(&f), text, "nothing is changed");
        // Everybody else stops there.
        assert!(stderr(&f.run("status", &[])).contains(&format!("line {line}")));
    }

    put(&f, &(good.clone() + "{\"time\": 1, \"ev"));
    let holder = open(&f);
    let (found, sound) = check(&f);
    assert!(sound, "a writer at work is no damage, and does not keep anybody from looking");
    drop(holder);
    assert_eq!(found["torn"], Value::Null, "it has cut off the rest");
    put(&f, &(good.clone() + "{\"time\": 1, \"ev"));
    let (found, sound) = check(&f);
    assert!(sound && found["torn"] == lines.len() + 1, "{found}");
    assert_eq!(found["events"]["completed"], 17);
    assert_eq!(found["trials"], f.json("status", &[])["trials"]);
    assert!(stdout(&run(&f, "check", &[])).contains(&format!("line {} is torn", lines.len() + 1)));

    f.write("run/journal.jsonl", "no journal\n");
    assert!(stderr(&run(&f, "check", &[])).contains("line 1"));
    fs::remove_file(f.path("run/journal.jsonl")).unwrap();
    assert!(stderr(&run(&f, "check", &[])).contains("no study in"));
}

#[test]
fn export_writes_every_event() {
    let f = old(2);
    let events = f.events();
    let lines = stdout(&run(&f, "export", &[]));
    let exported: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(exported.len(), events.len());
    for (exported, event) in exported.iter().zip(&events) {
        for (key, value) in event.as_object().unwrap() {
            assert_eq!(&exported[key], value, "{event}");
        }
    }
    assert!(run(&f, "export", &["--format", "json", "--out", "events.json"]).stdout.is_empty());
    let array: Value = serde_json::from_str(&fs::read_to_string(f.path("events.json")).unwrap()).unwrap();
    assert_eq!(array, Value::Array(exported));
}

#[test]
fn a_compacted_journal_is_the_same_study() {
    for format in [1, 2] {
        let (f, undisturbed) = (old(format), old(format));
        // An attempt that has not been seen to end, a changed config and imported runs are in it too.
        let mut text = journal(&f);
        text += "{\"time\":1795583100.5,\"event\":\"launched\",\"trial\":18,\"attempt\":1}\n";
        text = text.replace("\"trial\":18", &format!("\"trial\":{}", if format == 1 { 18 } else { 17 }));
        for f in [&f, &undisturbed] {
            f.write("run/journal.jsonl", &text);
            f.edit("trials = 14", "trials = 15");
            let mut run = imported(3);
            run.fidelity = "1M".into();
            run.weights =
                BTreeMap::from([("code", 0.25), ("papers", 0.25), ("web", 0.5)].map(|(n, w)| (n.to_owned(), w)));
            run.metrics = BTreeMap::from([("arxiv", 1.5), ("github", 1.5)].map(|(n, y)| (n.to_owned(), y)));
            drop(open(f));
            f.edit("trials = 15", "trials = 16");
            assert_eq!(open(f).import([run], None).unwrap().new, 1);
        }
        let (before, known) = (journal(&f), told(&f));
        let output = run(&f, "compact", &["--wait"]);
        assert!(code(&output) == Some(0) && stderr(&output).contains("lines kept"), "{}", stderr(&output));
        let after = journal(&f);
        assert!(after.len() < before.len() * 3 / 4, "{} of {}", after.len(), before.len());
        // The first one is the journal of the old format.
        assert_eq!(fs::read_to_string(f.path("run/journal.jsonl.2.bak")).unwrap(), before);
        let all: BTreeSet<&str> = before.lines().map(body).collect();
        assert!(after.lines().all(|line| all.contains(body(line))), "events stay as they are");
        assert_eq!(after, chained(after.lines()));
        assert_eq!(told(&f), known);
        let (found, sound) = check(&f);
        assert!(sound && found["changes"][0]["changed"]["budget.trials"] == json!({"from": 15, "to": 16}), "{found}");
        assert_eq!((&found["imported"], &found["events"]["model"]), (&1.into(), &1.into()));

        assert!(stderr(&run(&f, "compact", &[])).contains("nothing can be left out"));
        assert!(!f.path("run/journal.jsonl.3.bak").exists() && journal(&f) == after);
        // It goes on as if nothing had happened.
        for f in [&f, &undisturbed] {
            let output = f.run("optimize", &["-q", "--wait", "--set", "launcher.slots=1"]);
            assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        }
        let suggested =
            |f: &Fixture| f.of("suggested").into_iter().map(|e| (e["weights"].clone(), e["expected"].clone()));
        assert!(suggested(&f).eq(suggested(&undisturbed)));
        // But for what failed attempts cost: their share of the usual duration, which the runs just made have changed.
        let costs = |f: &Fixture| f.json("status", &[])["spent"]["cost"].to_string();
        let told = |f: &Fixture| told(f).into_iter().map(|part| part.replace(&costs(f), "cost")).collect::<Vec<_>>();
        assert_eq!(told(&f), told(&undisturbed));
        assert_eq!(code(&run(&f, "compact", &["-q"])), Some(0));
        assert!(f.path("run/journal.jsonl.3.bak").exists());
    }
}

#[test]
fn every_beginning_of_a_journal_can_be_compacted() {
    for format in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] {
        let f = old(format);
        let text = journal(&f);
        let lines: Vec<&str> = text.lines().collect();
        for n in 1..=lines.len() {
            put(&f, &(lines[..n].join("\n") + "\n"));
            let before = Study::read(config(&f)).unwrap();
            let done = study_of::compact(config(&f), WAIT).unwrap();
            assert!(done.lines.0 == n && done.lines.1 == journal(&f).lines().count(), "{done:?}");
            let after = Study::read(config(&f)).unwrap();
            assert_eq!(after.trials(), before.trials());
            assert_eq!((after.model(), after.stopped()), (before.model(), before.stopped()));
            assert_eq!((after.stagnation(None), after.spent()), (before.stagnation(None), before.spent()));
            assert_eq!(format!("{:?}", after.evidence()), format!("{:?}", before.evidence()));
        }
    }
}

#[test]
fn a_compaction_that_is_cut_short_loses_nothing() {
    let f = old(1);
    let before = journal(&f);
    let known = told(&f);
    for limit in [600, 1000, 4000, 8000] {
        let status = limited(&f, limit, &["journal", "compact", "-q"]);
        assert_eq!(status.signal(), Some(Signal::SIGXFSZ as i32), "{status} at {limit}");
        assert_eq!(journal(&f), before);
        assert_eq!(told(&f), known);
    }
    let holder = open(&f);
    let output = run(&f, "compact", &[]);
    assert!(code(&output) == Some(5) && stderr(&output).contains("locked by"), "{}", stderr(&output));
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&f, "compact", &["--wait=1m"]));
        drop(holder);
        waiting.join().unwrap()
    });
    assert_eq!(code(&waiting), Some(0), "{}", stderr(&waiting));
    assert_eq!(told(&f), known);
}

#[test]
fn an_old_journal_whose_rewriting_is_cut_short_goes_on() {
    let f = old(1);
    let before = journal(&f);
    let raised = chained(before.replace("\"format\":1", "\"format\":11").lines());
    let known = told(&f);
    for limit in [600, 8000, before.len()] {
        let status = limited(&f, limit, &["suggest", "-q"]);
        assert_eq!(status.signal(), Some(Signal::SIGXFSZ as i32), "{status} at {limit}");
        assert!(journal(&f) == before && !f.path("run/journal.jsonl.1.bak").exists());
    }
    // It is rewritten, and then the first event is not written, or torn.
    for limit in [raised.len(), raised.len() + 40] {
        put(&f, &before);
        let status = limited(&f, limit, &["suggest", "-q"]);
        assert_eq!(status.signal(), Some(Signal::SIGXFSZ as i32), "{status} at {limit}");
        assert_eq!(journal(&f).len(), limit);
        assert!(journal(&f).starts_with(&raised));
        assert_eq!(told(&f), known);
    }
    let backups = fs::read_dir(f.path("run")).unwrap().flatten();
    let backups = backups.filter(|file| file.path().extension().is_some_and(|extension| extension == "bak")).count();
    assert_eq!(backups, 2);
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    let (found, sound) = check(&f);
    assert!(sound && found["format"] == 11, "{found}");
}
