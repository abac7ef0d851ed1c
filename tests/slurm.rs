//! The loop through a real Slurm of one node, see `tests/slurm/start.sh`. Without a Slurm that answers, every test here
//! says so and passes.

#[path = "common/study.rs"]
mod study;

use std::process::Command;

use study::{Fixture, GOOD, code, stderr};

/// A study whose trials are jobs; `None` where there is no Slurm.
fn fixture(script: &str, launcher: &str, extra: &str) -> Option<Fixture> {
    let ping = Command::new("scontrol").arg("ping").output();
    if !ping.is_ok_and(|ping| String::from_utf8_lossy(&ping.stdout).contains("is UP")) {
        eprintln!("skipped: no Slurm answers here; tests/slurm/start.sh starts one");
        return None;
    }
    let f = Fixture::new(script, launcher, extra);
    f.edit("kind = \"local\"\ngrace = \"1s\"\n", "kind = \"slurm\"\n");
    Some(f)
}

#[test]
fn a_study_completes_through_the_queue() {
    let Some(f) = fixture(GOOD, "slots = 3", "[budget]\ntrials = 6") else { return };
    let output = f.run("optimize", &["--format", "json"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    println!("{}", stderr(&output));
    assert_eq!((f.of("launched").len(), f.of("submitted").len(), f.of("completed").len()), (6, 6, 6));
}
