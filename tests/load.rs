//! Studies and logs that are larger than usual: what is limited is said, and the answer is right all the same.

#[path = "common/study.rs"]
mod study;

use admire::problem::{FidelityId, Observation, Past, RunId};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use admire::surrogate::{MOST_KNOWN, known};
use serde_json::json;
use study::{Fixture, GOOD, code};

/// Runs beyond the most that a model knows.
const BEYOND: usize = 40;

/// A journal of more runs than a model knows, a tenth of them at the target; the loss is least at (0.2, 0.3, 0.5).
fn large() -> Fixture {
    let f = Fixture::new(GOOD, "", "");
    let header = json!({
        "time": 1.0, "event": "study", "format": 2, "version": "0.1.0", "name": "t", "seed": 7, "domains": ["a", "b", "c"],
        "fidelities": ["large", "small"], "target": "large", "metrics": {"loss": 1.0}, "maximize": false,
    });
    let mut journal = format!("{header}\n");
    for trial in 1..=MOST_KNOWN + BEYOND {
        let fidelity = if trial % 10 == 0 { "large" } else { "small" };
        // Evenly over the simplex: two coordinates of a sequence of low discrepancy, folded.
        let (mut a, mut b) = ((trial as f64 * 0.754_877_666).fract(), (trial as f64 * 0.569_840_291).fract());
        if a + b > 1.0 {
            (a, b) = (1.0 - a, 1.0 - b);
        }
        let loss = (a - 0.2).powi(2) + (b - 0.3).powi(2) + 0.01 * ((trial as f64 * 0.618).fract() - 0.5);
        let weights = json!({"a": a, "b": b, "c": 1.0 - a - b});
        let suggested = json!({
            "time": 1.0, "event": "suggested", "trial": trial, "fidelity": fidelity, "weights": weights, "seed": trial,
            "purpose": "search", "expected": null,
        });
        let completed = json!({
            "time": 1.0, "event": "completed", "trial": trial, "metrics": {"loss": loss}, "cost": null, "duration": 1.0,
        });
        let _ = write!(journal, "{suggested}\n{completed}\n");
    }
    fs::create_dir(f.path("run")).unwrap();
    f.write("run/journal.jsonl", &journal);
    f
}

#[test]
fn of_very_many_runs_the_model_knows_some_and_the_answer_says_so() {
    let f = large();
    let best = f.json("best", &[]);
    let said = format!("the model knows {MOST_KNOWN} of the {} runs", MOST_KNOWN + BEYOND);
    assert!(best["caveats"][0].as_str().unwrap().contains(&said), "{best}");
    for (domain, weight) in [("a", 0.2), ("b", 0.3), ("c", 0.5)] {
        assert!((best["weights"][domain].as_f64().unwrap() - weight).abs() < 0.05, "{best}");
    }
}

#[test]
fn what_a_model_knows_does_not_depend_on_results_and_leaves_no_dear_run_out() {
    let mixture = admire::problem::Mixture::new(vec![0.5, 0.5]);
    let run = |i: usize| Observation {
        mixture: mixture.clone(),
        run: RunId::Trial(i as u64),
        fidelity: FidelityId::new(usize::from(i.is_multiple_of(10))),
        metrics: vec![i as f64],
        se: vec![None],
        past: Past::default(),
    };
    let runs: Vec<Observation> = (0..3 * MOST_KNOWN).map(run).collect();
    assert!(known(&runs[..MOST_KNOWN]).into_iter().eq(0..MOST_KNOWN));
    let kept = known(&runs);
    assert_eq!(kept.len(), MOST_KNOWN);
    assert_eq!(kept.iter().filter(|i| runs[**i].fidelity == FidelityId::new(1)).count(), 3 * MOST_KNOWN / 10);
    let others: Vec<Observation> = runs.iter().map(|r| Observation { metrics: vec![0.0], ..r.clone() }).collect();
    assert_eq!(kept, known(&others));
}

/// A replay that takes far longer than a test, with its stderr in a pipe.
fn long_replay(dir: &std::path::Path, arguments: &[&str]) -> std::process::Child {
    let mut log = "run_id,fidelity,params,cost,w:a,w:b,y:loss\n".to_owned();
    for i in 0..40 {
        let a = f64::from(i) / 40.0;
        let size = if i % 2 == 0 { "small,1e6,0.1" } else { "large,1e9,1" };
        let _ = writeln!(log, "{i},{size},{a},{},{}", 1.0 - a, (a - 0.3).powi(2));
    }
    fs::write(dir.join("runs.csv"), log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
    command.args(["replay", "--runs", "runs.csv", "--seeds", "100000", "--budget", "20"]).args(arguments);
    command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_replay_says_how_far_it_is_where_there_is_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut quiet = long_replay(dir.path(), &["-q"]);
    let mut loud = long_replay(dir.path(), &[]);
    let lines = BufReader::new(loud.stderr.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.contains("of the replay done")).unwrap();
    assert!(line.contains(" of 100000: cost ") && line.contains(" of 20; ") && line.ends_with(" left"), "{line}");
    for process in [&mut quiet, &mut loud] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let mut said = String::new();
    quiet.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_short_replay_says_nothing() {
    let f = Fixture::new(GOOD, "", "");
    f.write("runs.csv", "run_id,fidelity,params,cost,w:a,w:b,y:loss\n1,s,1,1,0.5,0.5,1\n2,s,1,1,0.4,0.6,2\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
    let output = command.args(["replay", "--runs"]).arg(f.path("runs.csv")).args(["--seeds", "1"]).output().unwrap();
    assert_eq!((code(&output), output.stderr.is_empty()), (Some(0), true));
}
