//! The programs as a user runs them: a problem generated, optimized by `admire` through the trainer, and scored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mixing_law::Problem;
use serde_json::{Value, json};
use tempfile::TempDir;

fn mixing_law(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mixing-law")).args(arguments).current_dir(dir).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A problem of five domains in `p/`.
fn problem(dir: &Path) -> Problem {
    let output = mixing_law(&["generate", "p", "--domains", "5", "--seed", "1"], dir);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&fs::read_to_string(dir.join("p/problem.json")).unwrap()).unwrap()
}

fn score(weights: &Value, dir: &Path) -> Value {
    fs::write(dir.join("mixture.json"), json!({ "weights": weights }).to_string()).unwrap();
    let output = mixing_law(&["score", "p/problem.json", "mixture.json"], dir);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The program next to the one under test. Cargo builds only the binaries of the tested package by itself. Where ADMIRE_TEST_BUILT says
/// that this one was built in the same run, it is not built again: alone it has other features, which takes minutes.
fn admire() -> PathBuf {
    if std::env::var_os("ADMIRE_TEST_BUILT").is_none() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--package", "admire", "--bin", "admire"]);
        cargo.args((!cfg!(debug_assertions)).then_some("--release")).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().unwrap().success());
    }
    Path::new(env!("CARGO_BIN_EXE_mixing-law")).with_file_name(format!("admire{}", std::env::consts::EXE_SUFFIX))
}

#[test]
fn small_runs_alone_find_a_mixture_that_closes_most_of_the_gap() {
    let dir = TempDir::new().unwrap();
    let problem = problem(dir.path());
    let run = |seed: &str| {
        let mut command = Command::new(admire());
        command.args(["optimize", "--config", "p/study.toml", "--dir", seed, "--format", "json", "--quiet"]);
        command.args(["--set", &format!("study.seed={seed}"), "--set", "budget.cost=0.04"]);
        let output = command.current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let best = run("3");
    assert!(best["spent"]["cost"].as_f64().unwrap() <= 0.04 + 1e-9 && best["stopped"] == "budget", "{best}");
    let found = score(&best["weights"], dir.path());
    assert!(found["allowed"] == true, "{found}");
    // Forty runs at a thousandth of the target's cost, on a problem where that size ranks mixtures as the target does.
    // Of random mixtures the best of twenty, known without noise, closes half.
    assert!(found["share"].as_f64().unwrap() > 0.8, "{found}");
    // The trials are runs of this trainer and no other: their losses are those of the problem.
    let result = fs::read_to_string(dir.path().join("3/trials/0001/result.json")).unwrap();
    let result: Value = serde_json::from_str(&result).unwrap();
    let trial: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("3/trials/0001/mixture.json")).unwrap()).unwrap();
    let weights: BTreeMap<String, f64> = serde_json::from_value(trial["weights"].clone()).unwrap();
    let truth = problem.losses(&problem.sizes[0], &problem.weights(&weights).unwrap());
    for (metric, loss) in problem.metrics.iter().zip(truth) {
        assert!((result["metrics"][metric].as_f64().unwrap() - loss).abs() < 6.0 * problem.noise, "{metric}: {result}");
    }
    assert_eq!(run("3")["weights"], best["weights"]);
}

#[test]
fn the_optimum_scores_one_the_uniform_mixture_zero_and_a_broken_bound_is_said() {
    let dir = TempDir::new().unwrap();
    let problem = problem(dir.path());
    let named =
        |w: &[f64]| -> Value { problem.domains.iter().zip(w).map(|(d, w)| (d.name.clone(), json!(w))).collect() };
    let optimum = problem.optimum(problem.target()).unwrap();
    assert_eq!(score(&named(&optimum.weights), dir.path())["share"], 1.0);
    let uniform = problem.space().unwrap().uniform();
    let found = score(&named(uniform.weights()), dir.path());
    assert!(found["share"] == 0.0 && found["allowed"] == true, "{found}");
    assert_eq!(score(&json!({"domain00": 1.0}), dir.path())["allowed"], false);
}

#[test]
fn describe_says_what_is_known() {
    let dir = TempDir::new().unwrap();
    problem(dir.path());
    let output = mixing_law(&["describe", "p/problem.json"], dir.path());
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(facts["gap"].as_f64().unwrap() > 0.0 && facts["sizes"][0]["rank_correlation"].as_f64().unwrap() > 0.95);
    assert_eq!(facts["sizes"][2]["optimum_closes"], 1.0);
    assert!(facts["bounds_met"].to_string().contains("token cap"), "{facts}");
}

#[test]
fn what_cannot_be_trained_is_refused_without_a_result() {
    let dir = TempDir::new().unwrap();
    problem(dir.path());
    for (mixture, size, reason) in [
        (r#"{"weights": {"domain00": 1.0}}"#, "2M", "no size 2M"),
        (r#"{"weights": {"domain00": 0.9}}"#, "1M", "sum to 1, not 0.9"),
        (r#"{"weights": {"domain00": 1.5, "domain01": -0.5}}"#, "1M", "at least 0"),
        (r#"{"weights": {"web": 1.0}}"#, "1M", "a domain that the problem does not have"),
        (r#"{"domain00": 1.0}"#, "1M", "missing field `weights`"),
    ] {
        fs::write(dir.path().join("m.json"), mixture).unwrap();
        let arguments = ["--mixture", "m.json", "--size", size, "--seed", "1", "--result", "r.json"];
        let output = mixing_law(&[&["train", "--problem", "p/problem.json"], &arguments[..]].concat(), dir.path());
        assert!(!output.status.success() && stderr(&output).contains(reason), "{mixture}: {}", stderr(&output));
        assert!(!dir.path().join("r.json").exists());
    }
}
