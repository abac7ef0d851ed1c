//! `[confirm]`: what is trained once the search has stopped, what that says, and what the study learns from it.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use study::{Fixture, GOOD, code, stderr, until};

/// A trainer whose loss is the weight of `a`, larger by 7 at the target, with noise that differs from trial to trial.
const NOISY: &str = r#"awk -v a="$2" -v trial="$3" -v size="$ADMIRE_FIDELITY" 'BEGIN {
    printf "{\"loss\": %.6f}", a + (size == "large" ? 7 : 0) + 0.004 * ((trial * 7) % 5 - 2)
}' > "$1.tmp" && mv "$1.tmp" "$1""#;

/// A study whose search trains eight mixtures at the small size, and so knows nothing about the large one.
fn small_search(script: &str, confirm: &str) -> Fixture {
    Fixture::new(
        script,
        "",
        &format!("[budget]\ntrials = 8\n[optimizer]\ninitial = 8\n[confirm]\nseeds = 2\n{confirm}"),
    )
}

fn state_priors(f: &Fixture, priors: [f64; 3]) {
    for (name, prior) in ["a", "b", "c"].iter().zip(priors) {
        f.edit(&format!("name = \"{name}\"\n"), &format!("name = \"{name}\"\nprior = {prior}\n"));
    }
}

/// How many trials the journal has for each purpose.
fn purposes(f: &Fixture) -> BTreeMap<String, usize> {
    let mut purposes = BTreeMap::new();
    for trial in f.of("suggested") {
        *purposes.entry(trial["purpose"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    purposes.remove("search");
    purposes
}

fn names(confirm: &Value) -> Vec<&str> {
    confirm["against"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect()
}

fn table(f: &Fixture, command: &str) -> String {
    let output = f.run(command, &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_recommendation_is_confirmed_against_uniform_prior_and_every_mixture_that_is_named() {
    let f = small_search(NOISY, "against = [\"uniform\", \"prior\", { a = 9, b = 1 }]");
    state_priors(&f, [0.5, 0.3, 0.2]);
    assert_eq!(f.json("check", &[])["expected"]["confirm"], json!({"runs": 8, "cost": 32.0}));
    let done = f.json("optimize", &["-q"]);
    let expected = [("confirm_recommended", 2), ("confirm_reference", 4), ("confirm_uniform", 2)];
    assert_eq!(purposes(&f), expected.map(|(name, n)| (name.to_owned(), n)).into());
    let confirm = &done["confirm"];
    assert_eq!(names(confirm), ["uniform", "prior", "mixture #1"], "{confirm}");
    assert_eq!(confirm["against"][2]["weights"], json!({"a": 0.9, "b": 0.1, "c": 0.0}));
    assert_eq!(confirm["noise"]["freedom"], 4, "four mixtures with two seeds: {confirm}");
    for against in confirm["against"].as_array().unwrap() {
        let difference = &against["difference"];
        assert_eq!((&against["verdict"], &difference["runs"]), (&"better".into(), &2.into()), "{against}");
        let (se, sd) = (difference["se"].as_f64().unwrap(), confirm["noise"]["sd"].as_f64().unwrap());
        assert!((se - sd).abs() < 1e-12, "the mean of two seeds, of two runs each: {confirm}");
    }
    // The keys of earlier versions are about the uniform mixture.
    for key in ["difference", "verdict"] {
        assert_eq!(confirm[key], confirm["against"][0][key]);
    }
    assert_eq!(confirm["uniform"], confirm["against"][0]["measured"]);

    let shown = table(&f, "optimize");
    assert!(
        shown.contains("\nconfirmed           recommended ") && shown.matches(": better\n").count() == 3,
        "{shown}"
    );
    assert!(shown.contains("\n                    recommended ") && shown.contains(", mixture #1 7.89"), "{shown}");
    table(&f, "report");
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    assert_eq!(page.matches("Confirmed: recommended").count(), 3);
    assert!(page.contains("confirm reference"));
}

#[test]
fn the_prior_is_confirmed_against_by_default_where_one_is_stated() {
    let f = small_search(NOISY, "");
    let runs = |f: &Fixture| f.json("check", &[])["expected"]["confirm"]["runs"].clone();
    assert_eq!(runs(&f), 4);
    state_priors(&f, [0.5, 0.3, 0.2]);
    assert_eq!(runs(&f), 6);
    let done = f.json("optimize", &["-q"]);
    assert_eq!(names(&done["confirm"]), ["uniform", "prior"]);
    // What was trained is shown without the section, too.
    f.edit("[confirm]\nseeds = 2\n", "");
    assert_eq!(f.json("optimize", &["-q"])["confirm"], done["confirm"]);
    assert_eq!(f.of("suggested").len(), 8 + 6);
}

#[test]
fn a_difference_without_an_error_has_a_minus_not_a_hyphen() {
    let f = small_search(GOOD, "");
    f.edit("seeds = 2", "seeds = 1");
    let shown = table(&f, "optimize");
    assert!(shown.contains("difference −0.3") && shown.contains("not judged: one seed"), "{shown}");
}

#[test]
fn equal_mixtures_are_not_confirmed_against_each_other() {
    // The prior is the uniform mixture.
    let f = small_search(NOISY, "");
    state_priors(&f, [2.0, 2.0, 2.0]);
    let done = f.json("optimize", &["-q"]);
    assert_eq!((names(&done["confirm"]), f.of("suggested").len()), (vec!["uniform"], 8 + 4));

    // The prior is what is recommended: no `a`, and all that is left to choose.
    let f = small_search(GOOD, "");
    state_priors(&f, [0.0, 0.3, 0.7]);
    f.edit("name = \"b\"\n", "name = \"b\"\nmin = 0.3\nmax = 0.3\n");
    let done = f.json("optimize", &["-q"]);
    assert!(done["weights"]["a"].as_f64().unwrap() < 0.005, "{done}");
    assert_eq!((names(&done["confirm"]), f.of("suggested").len()), (vec!["uniform"], 8 + 4));
    // And where that is all to compare with, there is nothing to confirm.
    let done = f.json("optimize", &["-q", "--dir", "other", "--set", "confirm.against=['prior']"]);
    assert_eq!(done["confirm"], Value::Null);
    assert_eq!(f.json("status", &["--dir", "other", "--set", "confirm.against=['prior']"])["ended"], true);
}

#[test]
fn what_is_compared_no_more_is_not_trained() {
    let f = small_search(&format!("while [ $3 -gt 8 ] && [ ! -e go ]; do sleep 0.02; done\n{GOOD}"), "");
    state_priors(&f, [0.5, 0.3, 0.2]);
    let mut child = f.start("optimize");
    until("the confirmation", || f.of("started").len() == 9);
    child.kill().unwrap();
    child.wait().unwrap();
    f.write("go", "");
    let set = ["--set", "confirm.against=['uniform']"];
    let done = f.json("optimize", &[&["-q"], &set[..]].concat());
    assert_eq!(names(&done["confirm"]), ["uniform"]);
    let given_up = f.of("failed");
    assert_eq!((given_up.len(), f.of("completed").len()), (2, 8 + 4));
    assert!(given_up.iter().all(|event| event["reason"] == "its mixture is not to be confirmed any more"));
    let status = f.json("status", &set);
    assert_eq!((&status["ended"], &status["spent"]["confirmation"]["trials"]), (&true.into(), &4.into()), "{status}");
    // It can be taken up again.
    let done = f.json("optimize", &["-q"]);
    assert_eq!((names(&done["confirm"]), f.of("completed").len()), (vec!["uniform", "prior"], 8 + 6));
}

#[test]
fn confirmation_runs_are_evidence_and_change_neither_recommendation_nor_verdict() {
    let f = small_search(NOISY, "");
    let unconfirmed = f.json("optimize", &["-q", "--dir", "other", "--set", "confirm.seeds=1"]);
    let done = f.json("optimize", &["-q"]);
    assert_eq!(done["weights"], f.of("stopped")[0]["recommended"]);
    assert_eq!(done["weights"], unconfirmed["weights"]);
    assert_eq!(done["caveats"], json!([]), "there are runs at the target now");
    // What is expected is what was measured.
    let (expected, measured) = (&done["expected"], &done["confirm"]["recommended"]);
    let (mean, sd) = (expected["mean"].as_f64().unwrap(), expected["sd"].as_f64().unwrap());
    assert!((mean - measured["mean"].as_f64().unwrap()).abs() < 0.02 && sd < 0.1, "{expected}, {measured}");
    assert!(done["measured"]["trial"].as_u64().unwrap() > 8 && done["measured"]["loss"].as_f64().unwrap() < 7.1);
    // They are paid for, beyond the budget.
    let spent = json!({"cost": 8.0, "trials": 8, "confirmation": {"cost": 16.0, "trials": 4}});
    assert_eq!((&done["spent"], &f.json("status", &[])["spent"]), (&spent, &spent));
    assert!(table(&f, "best").contains("spent               cost 8 in 8 trials; confirmation: cost 16 in 4 trials\n"));
    assert!(table(&f, "status").contains("confirm cost 16 in 4 trials, beyond the budget\n"));

    // Neither time nor another limit makes it a matter of discussion.
    for limits in [&[][..], &["--set", "budget.cost=8.5", "--set", "budget.trials=9"]] {
        let again = f.json("optimize", &[&["-q"], limits].concat());
        for key in ["weights", "caveats", "expected", "confirm", "spent"] {
            assert_eq!(again[key], done[key], "{limits:?}");
        }
    }
    assert_eq!((f.of("suggested").len(), f.of("stopped").len()), (8 + 4, 2));
}

#[test]
fn a_search_that_goes_on_learns_from_the_confirmation() {
    let f = small_search(NOISY, "");
    let done = f.json("optimize", &["-q"]);
    // The runs of a confirmation are not of the search: they count towards no limit.
    let set = ["--set", "fidelity.large.max_trials=1", "--set", "fidelity.large.initial=0"];
    let next = f.json("suggest", &[&["--fidelity", "large"], &set[..]].concat());
    let trial = &next["trials"][0];
    let expected = trial["expected"]["mean"].as_f64().unwrap();
    assert!((expected - 7.0 - trial["weights"]["a"].as_f64().unwrap()).abs() < 0.2, "{trial}");
    let distance = |other: &Value| -> f64 {
        let weight = |mixture: &Value, name: &str| mixture[name].as_f64().unwrap();
        ["a", "b", "c"].iter().map(|name| (weight(&trial["weights"], name) - weight(other, name)).abs() / 2.0).sum()
    };
    for known in [&done["weights"], &json!({"a": 1.0 / 3.0, "b": 1.0 / 3.0, "c": 1.0 / 3.0})] {
        assert!(distance(known) > 0.01, "{trial} has been trained there");
    }
}

/// A trainer that also measures `code`, which is the weight of `a`, and `speed`, which is 1.
const MEASURED: &str = r#"awk -v a="$2" -v trial="$3" 'BEGIN {
    noise = 0.004 * ((trial * 7) % 5 - 2)
    printf "{\"metrics\": {\"loss\": %.6f, \"code\": %.6f, \"speed\": %.6f}}", a + noise, a + noise, 1 + noise
}' > "$1.tmp" && mv "$1.tmp" "$1""#;

#[test]
fn guards_are_tested_by_the_confirmation_runs() {
    let guards = [
        "metric = \"code\"\nat_most = 0.9",
        "metric = \"speed\"\nat_most = 0.5",
        "metric = \"speed\"\nno_worse_than = { a = 1 }\ntolerance = 5.0",
        "metric = \"code\"\nno_worse_than = { a = 0.2, b = 0.8 }\ntolerance = 0.9",
    ];
    let guards: String = guards.iter().map(|guard| format!("\n[[guard]]\n{guard}\n")).collect();
    let f = small_search(MEASURED, &format!("against = [{{ a = 0.2, b = 0.8 }}]{guards}"));
    let done = f.json("optimize", &["-q"]);
    let tests = done["confirm"]["guards"].as_array().unwrap();
    let verdicts: Vec<&str> = tests.iter().map(|test| test["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts[..2], ["kept", "broken"], "{done}");
    assert!(verdicts[2].starts_with("not tested") && tests[2]["slack"].is_null(), "{done}");
    // Four runs of two mixtures: two degrees of freedom; the two runs of a seed are compared.
    let (slack, weight) = (&tests[3]["slack"], done["weights"]["a"].as_f64().unwrap());
    assert!((slack["mean"].as_f64().unwrap() - (0.9 + 0.2 - weight)).abs() < 0.03, "{done}");
    assert_eq!(slack["se"], done["confirm"]["against"][0]["difference"]["se"], "the noise of code is that of the loss");
    let shown = table(&f, "optimize");
    assert!(shown.contains("guard speed at most 0.5: measured 0.99") && shown.contains(": broken"), "{shown}");
    let status = table(&f, "status");
    assert!(status.contains("\nguards  code at most 0.9: expected "), "{status}");
    assert_eq!(f.json("status", &[])["guards"].as_array().unwrap().len(), 4);
}

#[test]
fn a_guard_that_is_added_reopens_a_study_that_has_stopped() {
    let f = Fixture::new(MEASURED, "", "[budget]\ntrials = 8\n[optimizer]\ninitial = 8\n");
    let before = f.json("optimize", &["-q"]);
    assert!(before["weights"]["a"].as_f64().unwrap() < 0.1, "{before}");
    let guard = "metric = \"code\"\ndirection = \"maximize\"\nno_worse_than = { a = 0.5, b = 0.5 }\ntolerance = 0.05";
    f.edit("[budget]", &format!("[[guard]]\n{guard}\n[budget]"));
    f.json("optimize", &["-q"]);
    let after = f.json("best", &[]);
    assert!(after["weights"]["a"].as_f64().unwrap() > 0.35, "{after}");
    let stops = f.of("stopped");
    assert_eq!(stops.len(), 2, "{stops:?}");
    // A guard that asks for less keeps what was recommended allowed, and is taken up all the same.
    f.edit("tolerance = 0.05", "tolerance = 0.3");
    let asked = f.json("best", &["--set", "budget.trials=8"]);
    assert_eq!(asked["weights"], after["weights"], "not before `optimize` takes it up: {asked}");
    f.json("optimize", &["-q"]);
    assert_eq!(f.of("stopped").len(), 3);
    assert!(f.json("best", &[])["weights"]["a"].as_f64().unwrap() < 0.35, "{after}");
}
