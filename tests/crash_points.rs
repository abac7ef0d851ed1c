//! `admire` killed at every point of a study, and resumed.
//!
//! A limit on the size of files makes the kernel kill `admire` while it appends to the journal, after exactly so many
//! bytes: between any two events, and within every one of them. Trainers live on, as they do after a crash.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use study::{Fixture, chained, code, stderr, until};

/// Notes every attempt, and two of one trial at the same time. The first attempt at trial 2 fails, that at trial 3
/// diverges.
const TRAINER: &str = r#"
mkdir "busy.$3" || echo "$3" >> overlaps
echo "$3 $4 $ADMIRE_ATTEMPT" >> ledger
case $3.$ADMIRE_ATTEMPT in
    2.1) rmdir "busy.$3"; exit 1 ;;
    3.1) loss=NaN ;;
    *) loss=$2 ;;
esac
printf '{"loss": %s}' "$loss" > "$1.tmp" && mv "$1.tmp" "$1"
rmdir "busy.$3"
"#;

/// Bytes between two crashes: the four kinds of [`Then`] by turns hit every line, the shortest of which has 91 bytes.
const STEP: u64 = 22;

fn fixture(slots: usize) -> Fixture {
    let launcher = format!("slots = {slots}\nretries = 1\nretry_diverged = 1");
    let extra = "[budget]\ntrials = 5\n[confirm]\nseeds = 1\n[optimizer]\ninitial = 3\n\
                 acquisition = \"expected-improvement\"";
    Fixture::new(TRAINER, &launcher, extra)
}

/// Runs the study until its journal, or another file, would grow beyond `limit` bytes.
fn run_until(f: &Fixture, limit: u64) -> ExitStatus {
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={limit}")).arg("--core=0").arg(env!("CARGO_BIN_EXE_admire"));
    command.args(["optimize", "-q", "--config"]).arg(f.path("study.toml")).current_dir(f.root.path());
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
}

fn journal(f: &Fixture) -> String {
    fs::read_to_string(f.path("run/journal.jsonl")).unwrap_or_default()
}

/// What has to be the same however often a study was disturbed: its trials, what they reported, the recommendation.
fn result(f: &Fixture) -> (Vec<Value>, Value) {
    let mut trials: Vec<Value> = Vec::new();
    for event in f.events() {
        let mut event = event;
        if event["event"] == "suggested" {
            event.as_object_mut().unwrap().retain(|key, _| !["time", "seq", "crc"].contains(&key.as_str()));
            trials.push(event);
        } else if event["event"] == "completed" {
            let trial = usize::try_from(event["trial"].as_u64().unwrap()).unwrap();
            assert_eq!(trials[trial - 1]["reported"].take(), Value::Null, "trial {trial} ended twice");
            trials[trial - 1]["reported"] = event["metrics"].take();
        }
    }
    let mut best = f.json("best", &[]);
    best["spent"].take();
    (trials, best)
}

/// Resumes to the end and checks what must hold after any crash; `before` is what was in the journal then.
fn resume(f: &Fixture, before: &str) {
    let output = f.run("optimize", &["-q"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(journal(f).starts_with(before), "what was recorded is still there");
    assert_eq!(f.lines("overlaps"), Vec::<String>::new(), "two attempts at one trial ran at the same time");
    let (ran, launched) = (f.lines("ledger"), f.of("launched"));
    assert_eq!(ran.iter().collect::<BTreeSet<_>>().len(), ran.len(), "an attempt ran twice: {ran:?}");
    assert!(ran.len() <= launched.len());
    // Whatever has been recorded as complete is not launched again.
    let mut complete = BTreeSet::new();
    for event in f.events() {
        let trial = event["trial"].as_u64();
        assert!(event["event"] != "launched" || !complete.contains(&trial), "{event}");
        if event["event"] == "completed" {
            complete.insert(trial);
        }
    }
}

/// Trainers that outlived `admire` have ended: their stdout is locked until then.
fn trainers_ended(f: &Fixture) {
    let dirs = fs::read_dir(f.path("run/trials")).into_iter().flatten();
    for log in dirs.filter_map(|dir| File::open(dir.unwrap().path().join("stdout.log")).ok()) {
        until("a trainer's end", || log.try_lock().is_ok());
    }
}

/// What is done to the files after the kill.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// Nothing: the last line is torn.
    Torn,
    /// Nothing of the last line had reached the disk.
    Clean,
    /// All of it had, but nothing was done because of it.
    Whole,
    /// The machine died: the trainer has left nothing, either.
    Lost,
}

/// One crash and what follows; whether it was killed.
fn crash(limit: u64, then: Then, reference: &[&str]) -> Option<Fixture> {
    let f = fixture(1);
    let status = run_until(&f, limit);
    if status.success() {
        return None;
    }
    assert_eq!(status.signal(), Some(Signal::SIGXFSZ as i32), "{status} at {limit}");
    let text = journal(&f);
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut before = text[..whole].to_owned();
    match then {
        Then::Torn => {}
        Then::Clean if text.is_empty() => {}
        Then::Clean => f.write("run/journal.jsonl", &before),
        Then::Whole => {
            let next = reference.get(before.lines().count())?;
            // Which process was started only it could know.
            if !next.contains("\"started\"") && f.path("run").exists() {
                before = chained(before.lines().chain([*next]));
                f.write("run/journal.jsonl", &before);
            }
        }
        Then::Lost => {
            trainers_ended(&f);
            for trial in f.of("suggested").iter().map(|e| e["trial"].as_u64().unwrap()) {
                if !f.of("completed").iter().any(|e| e["trial"] == trial) {
                    let files = fs::read_dir(f.path(&format!("run/trials/{trial:04}"))).into_iter().flatten();
                    let results = files.map(|file| file.unwrap().path());
                    let results =
                        results.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("result."));
                    results.for_each(|path| fs::remove_file(path).unwrap());
                }
            }
        }
    }
    resume(&f, &before);
    Some(f)
}

#[test]
fn killed_at_every_point_a_study_ends_as_if_nothing_had_happened() {
    let undisturbed = fixture(1);
    resume(&undisturbed, "");
    let expected = result(&undisturbed);
    let ran = undisturbed.lines("ledger");
    assert_eq!((expected.0.len(), ran.len()), (7, 9));
    let reference = journal(&undisturbed);
    let lines: Vec<&str> = reference.lines().collect();
    let points = reference.len() as u64 / STEP;
    let (next, killed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let point = next.fetch_add(1, Ordering::Relaxed) as u64;
                    if point >= points {
                        break;
                    }
                    let then = [Then::Torn, Then::Clean, Then::Whole, Then::Lost][point as usize % 4];
                    let Some(f) = crash(point * STEP, then, &lines) else { continue };
                    killed.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(result(&f), expected, "killed at {}, {then:?}", point * STEP);
                    if matches!(then, Then::Torn | Then::Clean) {
                        assert_eq!(f.lines("ledger"), ran, "killed at {}, {then:?}", point * STEP);
                    }
                }
            });
        }
    });
    let killed = killed.into_inner();
    assert!(killed as u64 > points * 9 / 10, "{killed} of {points}");
}

#[test]
fn killed_again_and_again_with_several_slots_nothing_is_lost_or_repeated() {
    let f = fixture(3);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut crashes = 0;
    let mut before = String::new();
    loop {
        let text = journal(&f);
        assert!(text.starts_with(&before));
        before = text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned();
        // Now and then by more than the longest line, the first one, which would never be written otherwise.
        if run_until(&f, before.len() as u64 + rng.random_range(1..900)).success() {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 10, "{crashes}");
    resume(&f, &before);
    assert_eq!(f.of("completed").len(), 7);
}
