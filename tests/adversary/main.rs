//! Whatever moment `admire` dies at, whatever call of the system fails: the study goes on as if nothing had been.
//!
//! Each test has a short form, which runs always, and a long one (`just adversary`), which tries every place instead of a sample;
//! docs/reliability.md says what was tried and what is promised.

#[path = "../common/journal.rs"]
mod journal;
#[path = "../common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use study::{Fixture, code, stderr};

/// Notes in a ledger when it begins and when it has its result.
const TRAINER: &str = r#"echo "start $ADMIRE_TRIAL_ID" >> ledger
sleep 0.02
printf '{"loss": %s}' "$2" > "$1.tmp" && mv "$1.tmp" "$1" && echo "end $ADMIRE_TRIAL_ID" >> ledger"#;

const TRIALS: usize = 7;

fn disturbed(slots: usize) -> Fixture {
    let extra = format!("[budget]\ntrials = {TRIALS}\n[optimizer]\ninitial = 4\n[confirm]\nseeds = 1");
    Fixture::new(TRAINER, &format!("slots = {slots}\nretries = 3"), &extra)
}

/// What was trained, and what came out: fidelity, weights, metrics of each trial.
fn trained(f: &Fixture) -> BTreeMap<u64, (Value, Value, Value)> {
    let number = |event: &Value| event["trial"].as_u64().unwrap();
    let metrics: BTreeMap<u64, Value> = f.of("completed").iter().map(|e| (number(e), e["metrics"].clone())).collect();
    let trial = |e: &Value| {
        let metrics = metrics.get(&number(e)).cloned().unwrap_or_default();
        (number(e), (e["fidelity"].clone(), e["weights"].clone(), metrics))
    };
    f.of("suggested").iter().map(trial).collect()
}

/// The study that nothing happened to, with one slot.
fn twin() -> &'static BTreeMap<u64, (Value, Value, Value)> {
    static TWIN: OnceLock<BTreeMap<u64, (Value, Value, Value)>> = OnceLock::new();
    TWIN.get_or_init(|| {
        let f = disturbed(1);
        f.json("optimize", &["-q"]);
        trained(&f)
    })
}

/// How often each trial has got as far as `what`.
fn times(f: &Fixture, what: &str) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    for line in f.lines("ledger") {
        if let Some(id) = line.strip_prefix(what) {
            *times.entry(id.trim().parse().unwrap()).or_default() += 1;
        }
    }
    times
}

/// Ends the study, which must be what its twin is, in a sound journal.
fn finish(f: &Fixture, context: &str) {
    let output = f.run("optimize", &["-q"]);
    assert_eq!(code(&output), Some(0), "{context}: {}", stderr(&output));
    let (found, sound) = journal::check(f);
    assert!(sound, "{context}: {found}");
}

fn same_as_twin(f: &Fixture, context: &str) {
    assert_eq!(&trained(f), twin(), "{context}");
}

// --- kills ---

/// Kills `admire` at moments that `rng` chooses, until it has come to its end, and looks at what became of it.
fn killed_again_and_again(rng: &mut ChaCha8Rng, slots: usize) -> usize {
    let f = disturbed(slots);
    let mut kills = 0;
    loop {
        let mut child = f.start("optimize");
        // Sooner and sooner later, so that there is an end.
        let patience = Duration::from_millis(rng.random_range(1..400) + 10 * kills as u64);
        std::thread::sleep(patience);
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0), "after {kills} kills");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    finish(&f, &format!("{kills} kills"));
    let ends = times(&f, "end");
    assert_eq!(ends.len(), f.of("suggested").len(), "{ends:?}");
    assert!(ends.values().all(|n| *n == 1), "trained twice: {ends:?}, {:?}", f.lines("ledger"));
    assert!(f.of("failed").is_empty(), "{:?}", f.of("failed"));
    if slots == 1 {
        same_as_twin(&f, "kills");
    }
    kills
}

fn kills(campaigns: u64) {
    let total: usize = (0..campaigns)
        .map(|seed| killed_again_and_again(&mut ChaCha8Rng::seed_from_u64(seed), 1 + seed as usize % 3))
        .sum();
    println!("{total} kills in {campaigns} studies");
    assert!(total > 0);
}

#[test]
fn kills_at_random_moments_lose_and_repeat_nothing() {
    kills(3);
}

#[test]
#[ignore = "long: `just adversary`"]
fn many_kills_at_random_moments_lose_and_repeat_nothing() {
    kills(200);
}

// --- calls of the system that fail, and cuts of the power ---

/// The library that makes calls fail; `None`, with a message, where there is no C compiler, or where it cannot be loaded.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.so");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&path).args(["tests/adversary/faults.c", "-ldl", "-lpthread"]);
        match cc.output() {
            Ok(output) if output.status.success() => Some(path),
            Ok(output) => panic!("faults.c does not compile: {}", stderr(&output)),
            Err(e) => {
                println!("skipped: there is no C compiler ({e})");
                None
            }
        }
    };
    LIBRARY.get_or_init(build).as_deref()
}

/// Runs `optimize` with a fault at call number `at`.
fn faulty(f: &Fixture, library: &Path, kind: &str, at: usize, error: i32) -> Output {
    let mut command = f.command("optimize");
    command.env("LD_PRELOAD", library).env("FAULT_KIND", kind).env("FAULT_DIR", f.path("run"));
    command.env("FAULT_AT", at.to_string()).env("FAULT_ERRNO", error.to_string());
    command.env("FAULT_COUNT", f.path("calls")).stdin(Stdio::null()).output().unwrap()
}

/// How many calls there are to fail.
fn calls(library: &Path) -> usize {
    let f = disturbed(1);
    let output = faulty(&f, library, "fail", 0, 0);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    f.lines("calls")[0].parse().unwrap()
}

/// The trials that the log says are complete.
fn said_complete(output: &Output) -> Vec<u64> {
    let said = stderr(output);
    let number = |line: &str| line.split("trial ").nth(1)?.split_once(" complete")?.0.parse().ok();
    said.lines().filter_map(number).collect()
}

/// Fails one call after the other, `step` apart, each in a study of its own.
fn failing_calls(step: usize) {
    let Some(library) = library() else { return };
    let calls = calls(library);
    let mut tried = 0;
    for (i, at) in (1..=calls).step_by(step).enumerate() {
        // EIO, ENOSPC, EMFILE, EAGAIN
        let error = [5, 28, 24, 11][i % 4];
        let f = disturbed(1);
        let output = faulty(&f, library, "fail", at, error);
        let context = format!("call {at} of {calls} fails with error {error}");
        let said = stderr(&output);
        assert!(matches!(code(&output), Some(0 | 1)), "{context}: {:?} {said}", output.status);
        assert!(!said.contains("panicked") && !said.contains("bug"), "{context}: {said}");
        finish(&f, &context);
        assert!(times(&f, "end").values().all(|n| *n == 1), "{context}: trained twice: {:?}", f.lines("ledger"));
        same_as_twin(&f, &context);
        tried += 1;
    }
    println!("{tried} of {calls} calls failed");
}

#[test]
fn a_call_that_fails_loses_and_repeats_nothing() {
    failing_calls(29);
}

#[test]
#[ignore = "long: `just adversary`"]
fn every_call_that_fails_loses_and_repeats_nothing() {
    failing_calls(1);
}

/// Cuts the power before one call after the other, `step` apart, each in a study of its own.
fn power_cuts(step: usize) {
    let Some(library) = library() else { return };
    let calls = calls(library);
    let mut tried = 0;
    for at in (1..=calls).step_by(step) {
        let f = disturbed(1);
        let output = faulty(&f, library, "cut", at, 0);
        let context = format!("the power is cut before call {at} of {calls}");
        assert_eq!(code(&output), None, "{context}: {}", stderr(&output));
        // The trainers are gone, too.
        let dir = f.path("run").canonicalize().unwrap_or_else(|_| f.path("run"));
        end_trainers(&dir);
        let complete = said_complete(&output);
        let ends = times(&f, "end");
        finish(&f, &context);
        same_as_twin(&f, &context);
        let after = times(&f, "end");
        for id in complete {
            assert_eq!(after[&id], ends[&id], "{context}: trial {id} was said to be complete, and trained again");
        }
        tried += 1;
    }
    println!("{tried} cuts of the power at {calls} calls");
}

/// Kills whatever belongs to a trial in a folder.
fn end_trainers(dir: &Path) {
    let mark = format!("ADMIRE_TRIAL_DIR={}", dir.display());
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let ours = environment.split(|b| *b == 0).any(|v| v.starts_with(mark.as_bytes()));
        if let (true, Some(pid)) = (ours, entry.file_name().to_str().and_then(|pid| pid.parse().ok())) {
            // An error says that it has ended.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_said() {
    power_cuts(31);
}

#[test]
#[ignore = "long: `just adversary`"]
fn every_power_cut_loses_nothing_that_was_said() {
    power_cuts(1);
}
