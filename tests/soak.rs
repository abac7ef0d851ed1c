//! A long study of instant trainers, with faults and restarts at random: nothing is lost or repeated, and what it took.
//!
//! `just soak` runs 2,000 trials and prints the figures of docs/performance.md; the ordinary tests run a short one.

#[path = "common/study.rs"]
mod study;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use study::{Fixture, signal};

/// Notes every attempt. Of a hundred, ten fail in one of several ways, three diverge, one hangs; the others report a smooth
/// function of the weights with some noise.
const TRAINER: &str = r#"
echo "$3 $ADMIRE_ATTEMPT" >> ledger
case $((($4 + ADMIRE_ATTEMPT) % 100)) in
    0|1|2|3) echo "cannot read shard $3" >&2; exit 1 ;;
    4|5|6) echo garbage > "$1"; exit 0 ;;
    7|8) kill -SEGV $$ ;;
    9) kill -KILL $$ ;;
    10|11|12) loss=NaN ;;
    13) exec sleep 1000 ;;
    *) loss=$(awk -v a="$2" -v b="$5" -v s="$4" 'BEGIN { print 2 + (a - 0.3)^2 + (b - 0.2)^2 + s % 1000 / 1e6 }') ;;
esac
printf '{"loss": %s}' "$loss" > "$1.tmp" && mv "$1.tmp" "$1"
"#;

fn fixture(trials: u64) -> Fixture {
    let domains: String = ["d", "e", "f", "g", "h"].map(|name| format!("[[domain]]\nname = \"{name}\"\n")).concat();
    let f = Fixture::new(
        TRAINER,
        "slots = 4\nretries = 1\ntimeout = \"3s\"",
        &format!("[budget]\ntrials = {trials}\n{domains}"),
    );
    f.edit("\"{seed}\"]", "\"{seed}\", \"{w.b}\"]");
    f
}

/// What the journal says so far, read as it grows.
#[derive(Default)]
struct Follower {
    read: u64,
    /// How often every trial has ended.
    ended: BTreeMap<u64, u32>,
    suggested: BTreeSet<u64>,
    /// When the last trial was suggested, in this run of `admire`.
    latest: Option<f64>,
    /// Seconds between two suggestions, by the number of trials that had ended.
    pauses: Vec<(usize, f64)>,
}

impl Follower {
    fn follow(&mut self, f: &Fixture) {
        let Ok(mut file) = File::open(f.path("run/journal.jsonl")) else { return };
        let mut text = String::new();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        text[..whole].lines().for_each(|line| self.take(&serde_json::from_str(line).unwrap()));
    }

    fn take(&mut self, event: &Value) {
        let trial = event["trial"].as_u64();
        match event["event"].as_str().unwrap() {
            "resumed" => self.latest = None,
            "suggested" => {
                assert!(self.suggested.insert(trial.unwrap()), "suggested twice: {event}");
                let now = event["time"].as_f64().unwrap();
                self.pauses.extend(self.latest.map(|then| (self.ended.len(), now - then)));
                self.latest = Some(now);
            }
            "completed" => *self.ended.entry(trial.unwrap()).or_default() += 1,
            "failed" | "diverged" if event["final"] == true => *self.ended.entry(trial.unwrap()).or_default() += 1,
            _ => {}
        }
    }

    /// Median and maximum of the pauses of the last eighth of `trials`, in seconds.
    fn pause(&self, trials: u64) -> (f64, f64) {
        let from = self.ended.len().saturating_sub(trials as usize / 8);
        let mut pauses: Vec<f64> = self.pauses.iter().filter(|(n, _)| *n >= from).map(|(_, s)| *s).collect();
        pauses.sort_by(f64::total_cmp);
        (pauses.get(pauses.len() / 2).copied().unwrap_or(0.0), pauses.last().copied().unwrap_or(0.0))
    }
}

/// A figure of `/proc/<pid>/status`, in MiB; 0 once the process is gone.
fn usage(child: &Child, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Runs the study to its end: through about eight restarts, by turns killed and asked to end, in the first half, and without
/// any in the second. Returns the resident memory of `admire` after every eighth of the trials, in MiB.
fn soak(trials: u64) -> Vec<f64> {
    let (f, mut journal, mut rng) = (fixture(trials), Follower::default(), ChaCha8Rng::seed_from_u64(trials));
    let (begun, mut resident, mut restarts) = (Instant::now(), Vec::new(), 0);
    eprintln!("trials  RSS MiB  peak MiB  journal KiB  status ms  suggestion ms: median  max  minutes");
    loop {
        let mut child = f.command("optimize").arg("-q").stdout(Stdio::null()).spawn().unwrap();
        let until = journal.ended.len() as u64 + rng.random_range(trials / 20..=trials / 12);
        let until = if until > trials / 2 { u64::MAX } else { until };
        let mut memory = (0.0, 0.0);
        let status = loop {
            let status = child.try_wait().unwrap();
            journal.follow(&f);
            let ended = journal.ended.len() as u64;
            // What has ended has none.
            memory = Some((usage(&child, "VmRSS"), usage(&child, "VmHWM"))).filter(|m| m.0 > 0.0).unwrap_or(memory);
            if ended >= (resident.len() as u64 + 1) * trials / 8 {
                resident.push(memory.0);
                let (median, max) = journal.pause(trials);
                eprintln!(
                    "{ended:6}  {:7.1}  {:8.1}  {:11.0}  {:9.0}  {:21.0}  {:3.0}  {:7.1}",
                    memory.0,
                    memory.1,
                    journal.read as f64 / 1024.0,
                    status_takes(&f).as_secs_f64() * 1e3,
                    median * 1e3,
                    max * 1e3,
                    begun.elapsed().as_secs_f64() / 60.0
                );
            }
            if let Some(status) = status {
                break status;
            }
            if ended >= until {
                signal(&child, if restarts % 2 == 0 { Signal::SIGKILL } else { Signal::SIGTERM });
                break child.wait().unwrap();
            }
            sleep(Duration::from_millis(20));
        };
        if status.success() {
            break;
        }
        assert!(status.signal() == Some(9) || status.code() == Some(130), "{status}");
        restarts += 1;
    }
    journal.follow(&f);
    let takes = status_takes(&f);
    eprintln!("{restarts} restarts; `status` of the whole study: {:.0} ms", takes.as_secs_f64() * 1e3);
    assert!(restarts > 4, "{restarts}");
    assert!(takes < Duration::from_secs(1), "the journal is read in {takes:?}");
    let (median, _) = journal.pause(trials);
    assert!(median < 10.0, "a suggestion takes {median} s");
    check(&f, &journal, trials);
    resident
}

/// How long it takes to read the journal and say what is in it.
fn status_takes(f: &Fixture) -> Duration {
    let start = Instant::now();
    f.json("status", &[]);
    start.elapsed()
}

/// Nothing lost, nothing twice.
fn check(f: &Fixture, journal: &Follower, trials: u64) {
    let all: BTreeSet<u64> = (1..=trials).collect();
    assert_eq!(journal.suggested, all);
    assert_eq!(journal.ended, all.iter().map(|trial| (*trial, 1)).collect());
    let counts = &f.json("status", &[])["trials"];
    let count = |state: &str| counts[state].as_u64().unwrap();
    assert_eq!(count("complete") + count("failed") + count("diverged"), trials, "{counts}");
    assert!(count("complete") > trials * 8 / 10 && count("diverged") > 0, "{counts}");
    let ran = f.lines("ledger");
    assert_eq!(ran.iter().collect::<BTreeSet<_>>().len(), ran.len(), "an attempt ran twice");
    let trainers = Command::new("pgrep").arg("-f").arg(f.path("train.sh")).output().unwrap();
    assert!(trainers.stdout.is_empty(), "trainers are left: {}", String::from_utf8_lossy(&trainers.stdout));
}

#[test]
fn a_short_study_with_faults_and_restarts() {
    let resident = soak(60);
    assert!(resident.iter().all(|mib| *mib < 100.0), "{resident:?}");
}

#[test]
#[ignore = "ten minutes; `just soak`"]
fn two_thousand_trials() {
    let resident = soak(2000);
    // A matrix of all runs has 31 MiB, and there is room for one.
    assert!(resident.iter().all(|mib| *mib < 100.0), "{resident:?}");
}
