//! Journals that live long: formats, imported runs, checks, compaction, configs that change.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use admire::config::StudyConfig;
use admire::study::{Imported, Study};
use study::{Fixture, GOOD, code, stderr};

fn journal(f: &Fixture) -> String {
    fs::read_to_string(f.path("run/journal.jsonl")).unwrap()
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
    }
}

fn open(f: &Fixture) -> Study {
    Study::open(StudyConfig::load(&f.path("study.toml"), &[]).unwrap(), Duration::ZERO).unwrap()
}

#[test]
fn imported_runs_are_evidence_that_cost_nothing() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 3");
    f.json("suggest", &[]);
    let before = journal(&f);
    assert_eq!(open(&f).import((0..20).map(imported)).unwrap(), 20);
    assert_eq!(open(&f).import((10..21).map(imported)).unwrap(), 1, "the others are known");
    // Programs that do not know the event are told so.
    assert!(before.contains("\"format\":2") && journal(&f).contains("\"format\":3"));
    assert!(journal(&f).replace("\"format\":3", "\"format\":2").starts_with(&before));

    let status = f.json("status", &[]);
    assert_eq!(status["imported"], 21);
    assert_eq!(status["spent"], serde_json::json!({"cost": 0.0, "trials": 0}));
    // The initial design is over, and the model knows that `a` is bad.
    let trials = f.json("suggest", &["-n", "2", "--dry-run"]);
    assert!(trials["trials"][1]["expected"]["mean"].is_number(), "{trials}");
    assert!(f.json("best", &[])["weights"]["a"].as_f64().unwrap() < 0.05);
    let result = f.json("optimize", &["-q"]);
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
        (Imported { fidelity: "huge".into(), ..good.clone() }, "unknown fidelity `huge`"),
        (Imported { weights: BTreeMap::from([("a".to_owned(), 1.0)]), ..good.clone() }, "not a mixture"),
        (Imported { metrics: BTreeMap::from([("loss".to_owned(), f64::NAN)]), ..good.clone() }, "not finite"),
        (Imported { metrics: BTreeMap::from([("other".to_owned(), 1.0)]), ..good.clone() }, "lacks a metric"),
    ] {
        let error = study.import([good.clone(), run]).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("runs.csv, run 1"), "{error}");
    }
    assert_eq!(journal(&f), before);
}
