//! Logged runs. What is accepted has mixtures for weights, reads the same after it was written again, and can be made
//! into a study and a pool, or is refused with a reason.

#![no_main]

use std::path::Path;

use admire::config::StudyConfig;
use admire::problem::Direction;
use admire::replay::{Pool, infer_config};
use admire::runs::{LogError, RunLog};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(log) = read(bytes) else { return };
    for run in &log.runs {
        assert!(run.weights.iter().all(|w| (0.0..=1.0).contains(w)), "{run:?}");
        assert!((run.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{run:?}");
        assert!(run.metrics.iter().all(|y| y.is_finite() || y.is_nan()), "{run:?}");
        assert!(run.cost.is_none_or(|c| c > 0.0 && c.is_finite()), "{run:?}");
        assert!(!run.fidelity.is_empty() && run.line > 1, "{run:?}");
    }
    let again = read(&written(&log)).expect("what was read can be written and read again");
    assert_eq!((&again.domains, &again.metrics), (&log.domains, &log.metrics));
    assert_eq!(again.runs.len(), log.runs.len());
    for (run, again) in log.runs.iter().zip(&again.runs) {
        assert_eq!((&run.id, &run.fidelity, run.params), (&again.id, &again.fidelity, again.params));
        assert!(run.metrics.iter().zip(&again.metrics).all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
    }
    let Ok((config, _)) = infer_config(&log, Direction::Minimize, true) else { return };
    let config = toml::to_string(&config).expect("a table");
    let Ok(study) = StudyConfig::parse(Path::new("runs.csv"), &config, &[]) else { return };
    let Ok(pool) = Pool::new(&log, &study.space, &study.fidelities, &study.objective, Some(4)) else { return };
    assert!(pool.sd > 0.0 && pool.sd.is_finite() && pool.best.is_finite());
    assert!((0..pool.candidates.len()).all(|c| pool.regret(c) >= 0.0) && !pool.blind_regret().is_nan());
});

fn read(bytes: &[u8]) -> Result<RunLog, LogError> {
    let mut log = RunLog::default();
    log.add(Path::new("runs.csv"), bytes).map(|()| log)
}

/// As `admire export` writes it.
fn written(log: &RunLog) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let fixed = ["run_id", "fidelity", "params", "tokens", "cost"].map(str::to_owned);
    let domains = log.domains.iter().map(|d| format!("w:{d}"));
    let metrics = log.metrics.iter().map(|m| format!("y:{m}"));
    csv.write_record(fixed.into_iter().chain(domains).chain(metrics)).unwrap();
    let text = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
    for run in &log.runs {
        let fixed = [run.id.clone(), run.fidelity.clone(), text(run.params), text(run.tokens), text(run.cost)];
        let numbers = run.weights.iter().chain(&run.metrics).map(f64::to_string);
        csv.write_record(fixed.into_iter().chain(numbers)).unwrap();
    }
    csv.into_inner().unwrap()
}
