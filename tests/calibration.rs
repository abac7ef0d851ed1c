//! What was expected of trials before they ran is kept, and `best` and `report` say whether it came true.

#[path = "common/study.rs"]
mod study;

use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};
use study::{Fixture, code, stderr};

/// A loss of one domain's weight, with noise: a number of the seed.
const NOISY: &str = r#"awk -v a="$2" -v s="$4" -v out="$1" 'BEGIN {
  printf "{\"loss\": %.6f}", 2 + a + 0.2 * ((s % 1009) / 1009 - 0.5) > (out ".tmp") }'
mv "$1.tmp" "$1""#;

/// A study of 24 trials that has stopped. It is run once.
fn finished() -> Fixture {
    static JOURNAL: LazyLock<Vec<String>> = LazyLock::new(|| {
        let f = study();
        f.json("optimize", &["-q"]);
        f.lines("run/journal.jsonl")
    });
    let f = study();
    fs::create_dir(f.path("run")).unwrap();
    f.rewrite(JOURNAL.iter());
    f
}

fn study() -> Fixture {
    Fixture::new(NOISY, "", "[budget]\ntrials = 24\n[optimizer]\ninitial = 6")
}

fn page(f: &Fixture) -> String {
    let done = f.run("report", &[]);
    assert_eq!(code(&done), Some(0), "{}", stderr(&done));
    fs::read_to_string(f.path("run/report.html")).unwrap()
}

fn table(f: &Fixture) -> String {
    let done = f.run("best", &[]);
    assert_eq!(code(&done), Some(0), "{}", stderr(&done));
    String::from_utf8(done.stdout).unwrap()
}

/// Changes every event of the journal.
fn rewritten(f: &Fixture, change: impl Fn(&mut Value)) {
    let lines = f.events().into_iter().map(|mut event| {
        // They are numbered anew.
        for key in ["crc", "seq"] {
            event.as_object_mut().unwrap().shift_remove(key);
        }
        change(&mut event);
        event.to_string()
    });
    f.rewrite(lines.collect::<Vec<_>>());
}

/// Changes what was expected of every trial that was predicted.
fn expecting(f: &Fixture, change: impl Fn(&mut Value)) {
    rewritten(f, |event| {
        if event["expected"].is_object() {
            change(&mut event["expected"]);
        }
    });
}

fn scaled(f: &Fixture, factor: f64) {
    expecting(f, |expected| {
        for key in ["sd", "noise"] {
            expected[key] = json!(factor * expected[key].as_f64().unwrap());
        }
    });
}

#[test]
fn a_study_says_whether_what_it_expected_of_its_trials_came_true() {
    let f = finished();
    // The noise is journalled with what was expected, and the page is about trials that were predicted alone.
    let suggested = f.of("suggested");
    let predicted: Vec<&Value> = suggested.iter().filter(|e| e["expected"].is_object()).collect();
    assert!(predicted.len() >= 18, "{} of {} trials were predicted", predicted.len(), suggested.len());
    assert!(predicted.iter().all(|e| e["expected"]["noise"].as_f64().is_some_and(|noise| noise > 0.0)));
    let best = f.json("best", &[]);
    let calibration = &best["calibration"];
    assert_eq!(calibration["all"]["trials"], json!(predicted.len()));
    assert_eq!(calibration["model"], "right", "{calibration}");
    let by_size = calibration["fidelities"].as_array().unwrap();
    let trials: u64 = by_size.iter().filter_map(|size| size["trials"].as_u64()).sum();
    assert_eq!(trials as usize, predicted.len(), "{calibration}");
    // What is in order is not a note.
    assert!(!table(&f).contains("the model has been"), "{}", table(&f));
    let said = page(&f);
    assert!(said.contains("The model has been about as sure as it should be") && said.contains("Predicted at small"));

    // Without any noise in the model's view, and a twentieth of its uncertainty.
    scaled(&f, 0.05);
    let said = "he model has been too sure: ";
    assert!(table(&f).contains(&format!("Note: t{said}")), "{}", table(&f));
    assert_eq!(f.json("best", &[])["calibration"]["model"], "too_sure");
    // In the recommendation and in the part of its own.
    assert_eq!(page(&f).matches(said).count(), 2);

    scaled(&f, 20.0 * 20.0);
    let said = "he model has been too unsure: ";
    assert!(table(&f).contains(&format!("Note: t{said}")), "{}", table(&f));
    assert_eq!(page(&f).matches(said).count(), 2);
}

#[test]
fn trials_whose_noise_was_not_recorded_are_not_judged() {
    let f = finished();
    let predicted = f.of("suggested").iter().filter(|e| e["expected"].is_object()).count();
    expecting(&f, |expected| drop(expected.as_object_mut().unwrap().remove("noise")));
    let best = f.json("best", &[]);
    assert_eq!((&best["calibration"]["model"], &best["calibration"]["all"]), (&json!("unknown"), &Value::Null));
    let said = page(&f);
    assert!(said.contains(&format!("{predicted} trials of an earlier version of admire cannot be shown")), "{said}");
    assert!(said.contains("Too few trials to say"));
}

#[test]
fn the_error_that_a_trial_states_of_its_own_measurement_is_no_fault_of_the_model() {
    let f = finished();
    scaled(&f, 0.05);
    assert_eq!(f.json("best", &[])["calibration"]["model"], "too_sure");
    rewritten(&f, |event| {
        if event["event"] == "completed" {
            event["se"] = json!({"loss": 0.1});
        }
    });
    let calibration = &f.json("best", &[])["calibration"];
    assert_ne!(calibration["model"], "too_sure", "{calibration}");
}

#[test]
fn hyperparameters_that_an_earlier_version_fitted_in_other_units_are_fitted_anew() {
    let expected = |earlier: bool, moved: f64| {
        let f = finished();
        rewritten(&f, |event| {
            if event["event"] == "model" {
                let z = event["hyperparameters"][0][0].as_f64().unwrap();
                event["hyperparameters"][0][0] = json!(z + moved);
                if earlier {
                    event.as_object_mut().unwrap().remove("units");
                }
            }
        });
        f.json("best", &[])["expected"].clone()
    };
    assert_eq!(expected(true, 0.0), expected(true, 3.0));
    assert_ne!(expected(false, 0.0), expected(false, 3.0));
}
