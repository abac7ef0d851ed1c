//! What `squeue`, `sacct` and `sbatch` print. A job ends only for a word that is known to mean that.

#![no_main]

use admire::launcher::{
    End,
    jobs::states::{State, Traces, settle},
    slurm::rows::{job_id, rows, state_of},
};
use libfuzzer_sys::fuzz_target;

/// The states after which a job does not run again.
const OVER: [&str; 12] = [
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "DEADLINE",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "NODE_FAIL",
    "BOOT_FAIL",
    "LAUNCH_FAILED",
    "RECONFIG_FAIL",
    "REVOKED",
];

fuzz_target!(|text: &str| {
    let rows = rows(text);
    assert!(rows.len() <= text.lines().count());
    for row in &rows {
        assert!(text.contains(&format!("|{}|{}", row.name, row.dir)), "{row:?}");
        for exit in [None, Some(0), Some(3)] {
            let end = settle(Some(&row.state), Traces { exit, result: true });
            assert_eq!(end.is_none(), row.state == State::Active, "{row:?}");
            assert!(!(matches!(end, Some(End::Exited(_))) && exit == Some(3)), "{row:?}");
        }
    }
    for line in text.lines() {
        let state = state_of(line);
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        let known = match word.strip_suffix('+') {
            Some(start) => OVER.iter().any(|name| name.starts_with(start)),
            None => OVER.contains(&word),
        };
        assert!(state == State::Active || known, "{line}");
        assert!(state != State::Active || !OVER.contains(&word), "{line}");
    }
    if let Some(id) = job_id(text) {
        assert!(text.contains(&id.to_string()));
    }
});
