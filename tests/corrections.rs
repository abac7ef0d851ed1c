//! Results that turn out to be wrong, runs that are no evidence, trials that are not run: through the built binary.

#[path = "common/journal.rs"]
mod journal;
#[path = "common/study.rs"]
mod study;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use admire::study::journal::Lock;
use journal::{check, journal, limited, run, stdout};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use study::{Fixture, GOOD, code, stderr};

/// A study that has learned from twelve runs from elsewhere.
fn informed() -> Fixture {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 4\n[optimizer]\nacquisition = \"expected-improvement\"");
    f.write("runs.csv", &runs(|loss| loss));
    said(&f, "import", &["--from", "wide", "runs.csv"]);
    f
}

/// Runs as a CSV, with losses that are changed by `report`.
fn runs(report: impl Fn(f64) -> f64) -> String {
    let run = |i: usize| {
        let a = (i as f64 * 0.618).fract();
        format!("{i},large,{a},{},{},{}\n", (1.0 - a) / 3.0, (1.0 - a) * 2.0 / 3.0, report((a - 0.3).powi(2)))
    };
    "run_id,fidelity,w:a,w:b,w:c,y:loss\n".to_owned() + &(0..12).map(run).collect::<String>()
}

/// What is said on stderr by a command that must succeed.
fn said(f: &Fixture, command: &str, arguments: &[&str]) -> String {
    let output = f.run(command, arguments);
    assert_eq!(code(&output), Some(0), "{command} {arguments:?}: {}", stderr(&output));
    stderr(&output)
}

/// The row of a trial in the list of `status`.
fn trial(f: &Fixture, id: usize) -> Value {
    f.json("status", &["--trials"])["list"][id - 1].clone()
}

#[test]
fn a_corrected_result_counts_everywhere_and_stays_visible() {
    let f = informed();
    f.json("suggest", &["-n", "2", "--fidelity", "large"]);
    said(&f, "tell", &["--trial", "1", "--loss", "-9"]);
    f.json("suggest", &["--fidelity", "large"]);
    let (models, wrong) = (f.of("model").len(), f.json("best", &[]));
    assert_eq!(wrong["measured"]["loss"], -9.0, "{wrong}");

    assert_eq!(
        said(&f, "amend", &["--trial", "1", "--loss", "0.01", "--reason", "wrong split"]),
        "1 trial corrected\n"
    );
    let row = trial(&f, 1);
    assert_eq!((&row["objective"], &row["state"]), (&0.01.into(), &"complete".into()));
    let was = json!({"state": "complete", "objective": -9.0});
    assert_eq!((&row["corrected"]["reason"], &row["corrected"]["was"]), (&"wrong split".into(), &was));
    let note = "corrected, was −9: wrong split";
    assert!(stdout(&f.run("status", &["--trials"])).contains(note));
    assert!(stdout(&f.run("export", &[])).contains(&format!(",0.01,,\"{note}\"")), "{}", stdout(&f.run("export", &[])));
    said(&f, "report", &[]);
    assert!(fs::read_to_string(f.path("run/report.html")).unwrap().contains(note));
    let right = f.json("best", &[]);
    assert!(right["measured"]["loss"] == 0.01 && right["expected"]["mean"].as_f64() > Some(-0.1), "{right}");
    assert!(wrong["expected"]["mean"].as_f64() < Some(-0.5), "{wrong}");
    assert_eq!(f.of("completed")[0]["metrics"]["loss"], -9.0, "nothing is deleted");
    // The hyperparameters were fitted to what was wrong, or could have been.
    f.json("suggest", &["--fidelity", "large"]);
    assert_eq!(f.of("model").len(), models + 1);

    // The same again is no error, and no correction.
    let events = f.events().len();
    let again = said(&f, "amend", &["--trial", "1", "--loss", "0.01", "--reason", "again"]);
    assert!(again.contains("0 trials corrected; 1 had that result already") && f.events().len() == events, "{again}");
    assert!(
        said(&f, "amend", &["--trial", "1", "--loss", "nan", "--reason", "no loss"]).contains("counts as diverged")
    );
    assert_eq!((&trial(&f, 1)["state"], &trial(&f, 1)["corrected"]["was"]), (&"diverged".into(), &was));
    assert!(check(&f).1);
}

#[test]
fn the_same_corrections_give_the_same_suggestions_in_however_many_steps() {
    let study = |corrections: &[&[&str]]| {
        let f = informed();
        f.json("suggest", &["-n", "3"]);
        for (id, loss) in [("1", "0.5"), ("2", "0.6"), ("3", "0.7")] {
            said(&f, "tell", &["--trial", id, "--loss", loss]);
        }
        f.json("suggest", &[]);
        f.write("results.csv", "trial,loss,note\n3,0.1,x\n1,0.05,\n");
        for correction in corrections {
            said(&f, "amend", &[correction, &["--reason", "wrong split"][..]].concat());
        }
        assert_eq!(code(&run(&f, "compact", &["-q"])), Some(0));
        f.json("suggest", &[])
    };
    let at_once = study(&[&["--results", "results.csv"], &["--trial", "2", "--invalid"]]);
    let steps: [&[&str]; 4] = [
        &["--trial", "2", "--invalid"],
        &["--trial", "1", "--loss", "7"],
        &["--trial", "1", "--loss", "0.05"],
        &["--trial", "3", "--loss", "0.1"],
    ];
    assert_eq!(at_once, study(&steps));
    assert_ne!(at_once["trials"][0]["weights"], study(&[])["trials"][0]["weights"]);
}

#[test]
fn what_a_corrected_trial_has_cost_stays_spent() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &["-n", "4", "--fidelity", "small"]);
    f.write("dear.json", r#"{"loss": 2, "cost": 2.5}"#);
    said(&f, "tell", &["--trial", "1", "--result", "dear.json"]);
    said(&f, "tell", &["--trial", "2", "--failed"]);
    let amend = |arguments: &[&str]| said(&f, "amend", &[arguments, &["--reason", "x"]].concat());
    let spent = || {
        let status = f.json("status", &[]);
        [&status["spent"]["cost"], &status["spent"]["trials"], &status["failed_attempts"]].map(Value::clone)
    };
    assert_eq!(spent(), [json!(3.5), json!(2), json!(1)]);
    for how in [&["--loss", "3"][..], &["--invalid"], &["--invalid"], &["--loss", "nan"], &["--loss", "4"]] {
        amend(&[&["--trial", "1"], how].concat());
        assert_eq!(spent(), [json!(3.5), json!(2), json!(1)], "{how:?}");
    }
    // What was told as failed is one run with a result, not two.
    for how in [&["--invalid"][..], &["--loss", "3"], &["--invalid"], &["--loss", "3"]] {
        amend(&[&["--trial", "2"], how].concat());
        assert_eq!(spent()[..2], [json!(3.5), json!(2)], "{how:?}");
    }
    assert_eq!(spent()[2], 0);
    f.write("cheap.json", r#"{"loss": 2, "cost": 0.5}"#);
    amend(&["--trial", "1", "--result", "cheap.json"]);
    assert_eq!(spent()[0], 1.5, "a cost can be corrected");
    amend(&["--trial", "1", "--invalid"]);
    let status = f.json("status", &[]);
    assert_eq!((&status["trials"]["withdrawn"], &status["trials"]["complete"]), (&1.into(), &1.into()));
    assert_eq!(stdout(&f.run("export", &[])).lines().count(), 2, "what is withdrawn is no evidence");
}

#[test]
fn corrections_that_make_no_sense_change_nothing() {
    let f = Fixture::new(GOOD, "", "");
    assert!(stderr(&f.run("amend", &["--trial", "1", "--invalid", "--reason", "x"])).contains("no study in"));
    assert!(!f.path("run").exists());
    f.json("suggest", &["-n", "3"]);
    said(&f, "tell", &["--trial", "1", "--loss", "1"]);
    said(&f, "tell", &["--trial", "2", "--loss", "1"]);
    let before = journal(&f);
    for (table, exit, reason) in [
        ("trial,loss\n1,2\n3,2\n", 1, "trial 3 has not finished; `admire tell` reports how a trial ends"),
        ("trial,loss\n1,2\n4,2\n", 2, "there is no trial 4"),
        ("trial,loss\n1,2\n\n2,\n", 2, "results.csv, line 4: the result lacks loss; it reports no metric"),
        ("trial,loss\n1,low\n", 2, "results.csv, line 2: metric loss is \"low\", which is no number"),
        ("trial,loss\nx,1\n", 2, "results.csv, line 2: \"x\" is no number of a trial"),
        ("trial,loss\n1,2\n1,3\n", 2, "results.csv, line 3: trial 1 is on line 2 already"),
        ("run,loss\n1,2\n", 2, "results.csv, line 1: there is no column `trial`"),
        ("trial,loss\n", 2, "results.csv, line 1: there are no rows below the header"),
    ] {
        f.write("results.csv", table);
        let output = f.run("amend", &["--results", "results.csv", "--reason", "x"]);
        assert!(code(&output) == Some(exit) && stderr(&output).contains(reason), "{}", stderr(&output));
    }
    for usage in [
        &["--trial", "1", "--loss", "2"][..],
        &["--trial", "1", "--loss", "2", "--reason", ""],
        &["--trial", "1", "--reason", "x"],
        &["--trial", "1", "--loss", "2", "--invalid", "--reason", "x"],
        &["--trial", "1", "--results", "results.csv", "--reason", "x"],
        &["--loss", "2", "--reason", "x"],
    ] {
        assert_eq!(code(&f.run("amend", usage)), Some(2), "{usage:?}");
    }
    let holder = Lock::take(&f.path("run"), Duration::from_secs(60)).unwrap();
    let output = f.run("amend", &["--trial", "1", "--loss", "2", "--reason", "x"]);
    assert!(code(&output) == Some(5) && stderr(&output).contains("locked by"), "{}", stderr(&output));
    drop(holder);
    // Killed while it writes, wherever: all of it is recorded, or nothing.
    f.write("results.csv", "trial,loss\n1,2\n2,3\n");
    for more in [1, 60, 150] {
        let arguments = ["amend", "-q", "--wait", "--results", "results.csv", "--reason", "x"];
        let status = limited(&f, before.len() + more, &arguments);
        assert_eq!(status.signal(), Some(Signal::SIGXFSZ as i32), "{status} at {more}");
        assert_eq!([trial(&f, 1), trial(&f, 2)].map(|row| row["objective"].clone()), [1.0, 1.0]);
    }
    assert!(journal(&f).starts_with(&before));
    assert!(said(&f, "amend", &["--wait", "--results", "results.csv", "--reason", "x"]).contains("2 trials corrected"));
}

#[test]
fn a_cancelled_trial_is_free_and_its_mixture_comes_again() {
    let f = Fixture::new(GOOD, "retries = 0", "[budget]\ntrials = 2");
    // There is one mixture to train.
    f.edit("name = \"c\"\n", "name = \"c\"\nmin = 1.0\n");
    f.json("suggest", &["-n", "2"]);
    assert!(stderr(&f.run("suggest", &[])).contains("exhausted"));
    // It was begun, and interrupted.
    let mut lines = f.lines("run/journal.jsonl");
    lines.push(r#"{"time":1,"event":"launched","trial":1,"attempt":1}"#.into());
    f.rewrite(&lines);
    let output = f.run("tell", &["--trial", "1", "--cancel"]);
    assert!(code(&output) == Some(1) && stderr(&output).contains("trial 1 is under way"), "{}", stderr(&output));
    lines.push(r#"{"time":2,"event":"interrupted","trial":1,"attempt":1,"cause":"unseen"}"#.into());
    f.rewrite(&lines);
    for _ in 0..2 {
        assert_eq!(said(&f, "tell", &["--trial", "1", "--cancel"]), "");
    }
    assert_eq!(f.of("cancelled").len(), 1);
    let status = f.json("status", &["--trials"]);
    let expected = json!({"complete": 0, "running": 0, "pending": 1, "failed": 0, "diverged": 0, "stopped": 0, "withdrawn": 0,
                          "cancelled": 1});
    assert_eq!((&status["trials"], &status["list"][0]["state"]), (&expected, &"cancelled".into()));
    assert_eq!((&status["spent"]["cost"], &status["spent"]["trials"]), (&0.0.into(), &0.into()));
    assert_eq!((&status["failed_attempts"], &status["failures"]), (&0.into(), &json!([])));
    let told = stderr(&f.run("tell", &["--trial", "1", "--loss", "1"]));
    assert!(told.contains("trial 1 already is cancelled") && told.contains("`admire amend --trial 1`"), "{told}");
    assert_eq!(code(&run(&f, "compact", &["-q", "--wait"])), Some(0));
    assert_eq!(f.json("suggest", &["--fidelity", "small"])["trials"][0]["trial"], 3);
    // It is not launched, and takes no place in the budget.
    assert_eq!(f.json("optimize", &["-q"])["spent"]["trials"], 2);
    let launched = f.of("launched").into_iter().filter(|e| e["time"].as_f64() > Some(9.0));
    assert_eq!(launched.map(|e| e["trial"].clone()).collect::<Vec<_>>(), [2, 3]);
    // It was trained after all.
    said(&f, "amend", &["--trial", "1", "--loss", "0", "--reason", "somebody had trained it"]);
    assert_eq!(f.json("status", &[])["spent"]["trials"], 3);
}

#[test]
fn a_recommendation_is_older_than_corrections_until_the_search_goes_on() {
    let f =
        Fixture::new(GOOD, "", "[budget]\ntrials = 12\npatience = 3\n[optimizer]\ninitial = 4\n[confirm]\nseeds = 2");
    let stopped = f.json("optimize", &["-q"]);
    assert_eq!(stopped["stopped"], "patience", "{stopped}");
    let lines = f.events().len();
    let confirmation = f.of("suggested").into_iter().find(|t| t["purpose"] == "confirm_uniform").unwrap();
    let amend = |id: &str, how: &[&str], reason: &str| {
        said(&f, "amend", &[&["--trial", id], how, &["--reason", reason]].concat())
    };
    // What confirms it does not make it older, but the verdict follows.
    amend(&confirmation["trial"].to_string(), &["--loss", "-50"], "swapped");
    let done = f.json("optimize", &["-q"]);
    assert!(done["confirm"]["uniform"]["mean"].as_f64() < Some(-20.0), "{done}");
    assert!(f.events().len() == lines + 2 && !done["caveats"].to_string().contains("older"), "{done}");

    let best = f.json("best", &[])["weights"].clone();
    amend("1", &["--loss", "-3"], "wrong split");
    amend("2", &["--invalid"], "wrong split");
    let note = "older than 2 corrections (wrong split)";
    let caveat = f.json("best", &[])["caveats"][0].as_str().unwrap().to_owned();
    assert!(caveat.contains(note) && caveat.contains("; now it would be a="), "{caveat}");
    assert_eq!(f.json("best", &[])["weights"], best, "it stays what was confirmed");
    assert!(stdout(&f.run("status", &[])).contains(note));
    assert!(said(&f, "export", &["--format", "json"]).contains(note));
    // Patience was lost on wrong evidence.
    let suggested = f.of("suggested").len();
    let on = f.json("optimize", &["-q"]);
    assert!(f.of("stopped").len() == 2 && f.of("suggested").len() > suggested, "{on}");
    assert!(!on["caveats"].to_string().contains("older"), "{on}");
}

#[test]
fn imported_runs_are_replaced_and_withdrawn() {
    let f = informed();
    f.write("runs.csv", &runs(|loss| if loss > 0.2 { loss + 1.0 } else { loss }));
    let import = |more: &[&str]| f.run("import", &[&["--from", "wide", "runs.csv"], more].concat());
    let refused = import(&[]);
    let reason = "if it is corrected, add --replace";
    assert!(code(&refused) == Some(2) && stderr(&refused).contains(reason), "{}", stderr(&refused));
    let replaced = stderr(&import(&["--replace", "--reason", "wrong split"]));
    assert!(
        replaced.contains("3 runs imported into the study t, 3 of them in place of others; 9 were there already"),
        "{replaced}"
    );
    assert_eq!(
        (f.json("status", &[])["imported"].clone(), f.of("withdrawn")[0]["reason"].clone()),
        (12.into(), "wrong split".into())
    );
    assert!(stderr(&import(&["--replace"])).contains("0 runs imported"));
    said(&f, "report", &[]);
    assert!(fs::read_to_string(f.path("run/report.html")).unwrap().contains("runs.csv, run 3; withdrawn: wrong split"));

    assert!(said(&f, "import", &["--withdraw", "imported-1", "imported-13"]).contains("2 runs withdrawn"));
    let output = f.run("import", &["--withdraw", "imported-99"]);
    assert!(
        code(&output) == Some(2) && stderr(&output).contains("imported-99 was never imported"),
        "{}",
        stderr(&output)
    );
    assert_eq!(code(&f.run("import", &["--withdraw", "runs.csv"])), Some(2), "a file needs --from");
    assert!(!stdout(&f.run("export", &[])).contains("imported-13"));
    assert!(stderr(&import(&["--withdraw"])).contains("10 runs withdrawn"));
    f.write("other.csv", &runs(|loss| loss));
    let output = f.run("import", &["--from", "wide", "other.csv", "--withdraw"]);
    assert!(
        code(&output) == Some(2) && stderr(&output).contains("other.csv, run 0 was never imported"),
        "{}",
        stderr(&output)
    );
    assert_eq!(f.json("status", &[])["imported"], 0);
    assert!(stderr(&import(&[])).contains("12 runs imported"), "what was taken back may come again");
    assert!(check(&f).1);
}

#[test]
fn a_fork_has_runs_as_they_are_corrected() {
    let f = informed();
    f.json("suggest", &["-n", "3"]);
    said(&f, "tell", &["--trial", "1", "--loss", "1"]);
    said(&f, "tell", &["--trial", "2", "--failed"]);
    said(&f, "tell", &["--trial", "3", "--loss", "3"]);
    f.write("results.csv", "trial,loss\n1,1.5\n2,2.5\n");
    said(&f, "amend", &["--results", "results.csv", "--reason", "x"]);
    said(&f, "amend", &["--trial", "3", "--invalid", "--reason", "x"]);
    said(&f, "import", &["--withdraw", "imported-12"]);
    said(&f, "suggest", &["--fork", "run", "--dir", "new"]);
    let text = fs::read_to_string(f.path("new/journal.jsonl")).unwrap();
    let events: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let imported: Vec<&Value> = events.iter().filter(|e| e["event"] == "imported").collect();
    let losses: Vec<&Value> = imported.iter().skip(11).map(|run| &run["metrics"]["loss"]).collect();
    assert_eq!((imported.len(), losses), (13, vec![&json!(1.5), &json!(2.5)]));
}
