//! When the loop stops, what it tolerates, and what the commands around it print.

#[path = "common/study.rs"]
mod study;

use std::fs;
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use study::{Fixture, GOOD, alive, code, signal, stderr, until};

const FLAT: &str = r#"echo '{"loss": 1.0}' > "$1""#;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn wall_time_ends_the_search_after_the_running_trials() {
    let f = Fixture::new(&format!("sleep 0.1; {GOOD}"), "", "[budget]\nwall_time = \"350ms\"");
    assert_eq!(f.json("optimize", &["-q"])["stopped"], "wall_time");
    let trials = f.of("suggested").len();
    // What was launched is finished, also past the limit.
    assert!((1..=4).contains(&trials) && f.of("completed").len() == f.of("launched").len(), "{trials}");
    // The limit is of one run.
    f.json("optimize", &["-q"]);
    assert!(f.of("suggested").len() > trials);
}

#[test]
fn patience_survives_being_stopped_and_resumed() {
    let study = || Fixture::new(FLAT, "", "[budget]\npatience = 5");
    let (whole, parts) = (study(), study());
    assert_eq!(whole.json("optimize", &["-q", "--set", "budget.trials=40"])["stopped"], "patience");
    let trials = whole.of("suggested").len();
    assert!(trials < 20, "{trials}");
    for limit in 2..trials {
        parts.json("optimize", &["-q", "--set", &format!("budget.trials={limit}")]);
    }
    for _ in 0..2 {
        assert_eq!(parts.json("optimize", &["-q", "--set", "budget.trials=40"])["stopped"], "patience");
        assert_eq!(parts.of("suggested").len(), trials);
    }
    let longer = ["-q", "--set", "budget.patience=7"];
    assert_eq!(parts.json("optimize", &longer)["stopped"], "patience");
    assert_eq!(parts.of("suggested").len(), trials + 2);
}

#[test]
fn a_small_expected_regret_converges() {
    let f = Fixture::new(GOOD, "", "[budget]\nregret = 1000.0\ntrials = 12");
    assert_eq!(f.json("optimize", &["-q"])["stopped"], "converged");
    let trials = f.of("suggested").len();
    assert!(trials < 12, "{trials}");
    assert_eq!(f.json("optimize", &["-q"])["stopped"], "converged");
    assert_eq!(f.of("suggested").len(), trials);
    assert_eq!(f.json("optimize", &["-q", "--set", "budget.regret=1e-300"])["stopped"], "trials");
    assert_eq!(f.of("suggested").len(), 12);
}

#[test]
fn a_trial_that_is_not_worth_its_cost_ends_the_search() {
    let f = Fixture::new(GOOD, "", "[budget]\ngain = 1000.0\ntrials = 12");
    assert_eq!(f.json("optimize", &["-q"])["stopped"], "converged");
    let trials = f.of("suggested").len();
    assert!((1..12).contains(&trials), "{trials}");
    assert_eq!((&f.of("stopped")[0]["limit"], &f.of("stopped")[0]["gain"]), (&Value::Null, &1000.0.into()));
    // It stays stopped while as much is asked for, and goes on where less will do.
    assert_eq!(f.json("optimize", &["-q", "--set", "budget.gain=2000"])["stopped"], "converged");
    assert_eq!(f.of("suggested").len(), trials);
    assert_eq!(f.json("optimize", &["-q", "--set", "budget.gain=1e-300"])["stopped"], "trials");
    assert_eq!(f.of("suggested").len(), 12);
    let output = f.run("optimize", &["--set", "optimizer.acquisition=\"entropy\""]);
    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("budget.gain: needs optimizer.acquisition"), "{}", stderr(&output));
}

#[test]
fn no_more_is_under_way_than_has_finished() {
    let script = format!(r#"until [ -e "$(dirname "$0")/go" ]; do sleep 0.01; done; {GOOD}"#);
    let f = Fixture::new(&script, "slots = 6", "[budget]\ntrials = 30");
    let log = fs::File::create(f.path("log")).unwrap();
    let mut child = f.command("optimize").stdout(Stdio::null()).stderr(log).spawn().unwrap();
    // A sixth slot is free, but nothing has finished.
    until("a trial to wait", || f.lines("log").iter().any(|line| line.contains("the next trial waits for a result")));
    assert_eq!(f.of("suggested").len(), 5);
    f.write("go", "");
    assert!(child.wait().unwrap().success(), "{:?}", f.lines("log"));
    let (mut under_way, mut finished) = (0.0, 0.0);
    let mut running: Vec<(u64, f64)> = Vec::new();
    for event in f.events() {
        let trial = || event["trial"].as_u64().unwrap();
        match event["event"].as_str().unwrap() {
            "suggested" => {
                let cost = if event["fidelity"] == "small" { 1.0 } else { 4.0 };
                // The design, of five trials, waits for nothing.
                let allowed = running.is_empty() || trial() <= 5 || under_way + cost <= finished;
                assert!(allowed, "trial {}: {under_way} under way, {finished} finished", trial());
                under_way += cost;
                running.push((trial(), cost));
            }
            "completed" => {
                let (_, cost) = running.swap_remove(running.iter().position(|(id, _)| *id == trial()).unwrap());
                (under_way, finished) = (under_way - cost, finished + cost);
            }
            _ => {}
        }
    }
    assert!(running.is_empty() && finished >= 30.0, "{running:?}");
}

#[test]
fn max_trials_closes_a_fidelity() {
    let f = Fixture::new(GOOD, "", "");
    f.edit("cost = 1.0\n", "cost = 1.0\nmax_trials = 3\n");
    f.edit("cost = 4.0\n", "cost = 4.0\nmax_trials = 2\n");
    assert_eq!(f.json("optimize", &["-q"])["stopped"], "trials");
    let at = |name: &str| f.of("suggested").iter().filter(|e| e["fidelity"] == name).count();
    assert_eq!((at("small"), at("large")), (3, 2));
    let output = f.run("suggest", &[]);
    assert_eq!(code(&output), Some(1));
    assert!(stderr(&output).contains("max_trials"), "{}", stderr(&output));
}

#[test]
fn costs_that_nobody_states_are_the_measured_seconds() {
    let f = Fixture::new(&format!("sleep 0.1; {GOOD}"), "", "[budget]\ncost = 1.0");
    f.edit("cost = 1.0\n[[", "[[");
    f.edit("cost = 4.0\n", "");
    let result = f.json("optimize", &["-q"]);
    let cost = result["spent"]["cost"].as_f64().unwrap();
    let measured: f64 = f.of("completed").iter().map(|e| e["duration"].as_f64().unwrap()).sum();
    assert!(cost > 0.3 && (cost - measured).abs() < 1e-9, "{cost} {measured}");
    assert_eq!(result["stopped"], "budget");
}

#[test]
fn set_up_runs_once_before_trials_and_its_failure_is_an_error() {
    let f = Fixture::new(GOOD, "setup = [\"sh\", \"-c\", \"echo out; echo x >> setups\"]", "[budget]\ntrials = 2");
    for _ in 0..2 {
        // What the set-up prints must not get into the document.
        f.json("optimize", &[]);
    }
    assert_eq!(f.lines("setups").len(), 1, "a finished study needs none");
    f.json("optimize", &["--set", "budget.trials=3"]);
    assert_eq!(f.lines("setups").len(), 2);
    let broken = f.run("optimize", &["--set", "budget.trials=4", "--set", "launcher.setup=['false']"]);
    assert_eq!(code(&broken), Some(1));
    assert!(stderr(&broken).contains("launcher.setup failed"), "{}", stderr(&broken));
    assert_eq!(f.of("suggested").len(), 3);
}

#[test]
fn a_signal_during_set_up_ends_it() {
    let setup = "setup = [\"sh\", \"-c\", \"echo $$ > pid; sleep 1000 & wait\"]";
    let f = Fixture::new(GOOD, setup, "[budget]\ntrials = 2");
    let mut child = f.start("optimize");
    until("the set-up", || !f.lines("pid").is_empty());
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!alive(&f.lines("pid")[0]));
    assert!(f.of("suggested").is_empty());
}

#[test]
fn sigterm_drains_like_ctrl_c_even_when_everything_fails() {
    let script = "while [ ! -e go ]; do sleep 0.02; done; exit 1";
    let f = Fixture::new(script, "slots = 5\nretries = 0\nmax_failure_rate = 0.0", "[budget]\ntrials = 50");
    let mut child = f.start("optimize");
    until("all slots in use", || f.of("started").len() == 5);
    signal(&child, Signal::SIGTERM);
    f.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(f.of("failed").len(), 5);
}

#[test]
fn the_failure_rate_is_of_the_study_and_a_repaired_one_goes_on() {
    let script = format!("[ -e repaired ] || exit 1; {GOOD}");
    let f = Fixture::new(&script, "retries = 0\nmax_failure_rate = 0.5", "[budget]\ntrials = 8");
    let limited = f.run("optimize", &["-q", "--set", "budget.trials=3"]);
    assert_eq!(code(&limited), Some(1), "three say nothing of a rate, but none is complete: {}", stderr(&limited));
    let output = f.run("optimize", &["-q"]);
    assert_eq!(code(&output), Some(4));
    assert!(stderr(&output).contains("5 of 5 trials failed"), "{}", stderr(&output));
    f.write("repaired", "");
    let result = f.json("optimize", &["-q"]);
    assert_eq!((&result["stopped"], &result["spent"]["trials"]), (&"trials".into(), &8.into()));
}

#[test]
fn a_diverged_trial_is_tried_again_where_configured() {
    let script = format!("[ $ADMIRE_ATTEMPT = 1 ] && echo '{{\"loss\": NaN}}' > \"$1\" && exit 0; {GOOD}");
    let f = Fixture::new(&script, "retry_diverged = 1", "[budget]\ntrials = 1");
    let result = f.json("optimize", &["-q"]);
    assert_eq!((f.of("diverged").len(), f.of("completed").len()), (1, 1));
    let cost = result["spent"]["cost"].as_f64().unwrap();
    assert!(cost > 1.0 && cost <= 2.0, "the diverged attempt is paid for as far as it got: {cost}");
}

#[test]
fn much_output_is_no_problem() {
    let script = "head -c 1073741824 /dev/zero; echo; echo 'admire: {\"loss\": 1.5}'; echo done";
    let f = Fixture::new(script, "", "[budget]\ntrials = 1");
    assert_eq!(f.json("optimize", &["-q"])["measured"], Value::Null, "measured is at the target");
    assert_eq!(f.of("completed")[0]["metrics"]["loss"], 1.5);
}

#[test]
fn what_is_odd_about_a_result_is_said() {
    let f = Fixture::new(r#"echo '{"loss": 1, "cost": -1, "se": NaN}' > "$1""#, "", "[budget]\ntrials = 1");
    let output = f.run("optimize", &[]);
    let text = stderr(&output);
    assert!(text.contains("warning: trial 1: ignored cost -1") && text.contains("ignored se"), "{text}");
}

#[test]
fn changed_sizes_are_journalled_with_a_warning() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &[]);
    f.edit("params = 1e3", "params = 2e3");
    let output = f.run("status", &[]);
    assert!(code(&output) == Some(0) && stderr(&output).contains("params"), "{}", stderr(&output));
    assert!(f.of("resumed").is_empty());
    f.json("suggest", &[]);
    assert_eq!(f.of("resumed")[0]["sizes"]["small"]["params"], 2000.0);
    assert_eq!(stderr(&f.run("suggest", &[])), "");
}

#[test]
fn telling_takes_result_files_and_refuses_contradictions() {
    let f = Fixture::new(GOOD, "", "");
    let lines = stdout(&f.run("suggest", &["-n", "4", "--format", "jsonl"]));
    let trials: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(trials.iter().map(|t| t["trial"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    f.write("good.json", r#"{"metrics": {"loss": 1.5, "other": 2}, "se": 0.1, "cost": 3}"#);
    f.write("bad.json", r#"{"metrics": {"other": 2}}"#);
    f.write("nan.json", r#"{"loss": NaN}"#);
    let tell = |arguments: &[&str]| code(&f.run("tell", arguments));
    for _ in 0..2 {
        assert_eq!(tell(&["--trial", "1", "--result", "good.json"]), Some(0));
        assert_eq!(tell(&["--trial", "2", "--result", "nan.json"]), Some(0));
        assert_eq!(tell(&["--trial", "3", "--failed"]), Some(0));
    }
    assert_eq!(f.of("completed").len() + f.of("diverged").len() + f.of("failed").len(), 3);
    for contradiction in [
        ["--trial", "1", "--loss", "9"].as_slice(),
        &["--trial", "1", "--failed"],
        &["--trial", "2", "--result", "good.json"],
        &["--trial", "3", "--diverged"],
        &["--trial", "4", "--result", "bad.json"],
        &["--trial", "4", "--result", "missing.json"],
    ] {
        assert_eq!(tell(contradiction), Some(1), "{contradiction:?}");
    }
    assert_eq!(tell(&["--trial", "4", "--loss", "1", "--failed"]), Some(2));
    assert_eq!(tell(&["--trial", "4"]), Some(2));
    let spent = &f.json("status", &[])["spent"];
    assert_eq!((&spent["trials"], &spent["cost"]), (&3.into(), &5.0.into()));
}

#[test]
fn a_mixture_of_the_users_becomes_trials_with_seeds_of_their_own() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 4\n[optimizer]\ninitial = 2");
    for (arguments, exit, reason) in [
        (&["--mixture", "a=0.5,d=0.5", "--fidelity", "small"][..], 2, "--mixture a=0.5,d=0.5: "),
        (&["--mixture", "uniform"], 2, "--fidelity"),
        (&["--seeds", "2"], 2, "--mixture"),
        (&["--mixture", "uniform", "--fidelity", "smal"], 2, "small"),
        (&["--mixture", "trial:1", "--fidelity", "small"], 2, "there is no trial 1"),
    ] {
        let output = f.run("suggest", arguments);
        assert!(code(&output) == Some(exit) && stderr(&output).contains(reason), "{}", stderr(&output));
    }
    assert!(!f.path("run").exists(), "a mistake begins no study");

    let weights = serde_json::json!({"a": 0.25, "b": 0.75, "c": 0.0});
    let ours = f.json("suggest", &["--mixture", "a=0.25,b=0.75", "--fidelity", "small", "-n", "2"])["trials"].clone();
    assert!(
        ours[0]["weights"] == weights && ours[1]["weights"] == weights && ours[0]["seed"] != ours[1]["seed"],
        "{ours}"
    );
    assert_eq!(code(&f.run("tell", &["--trial", "1", "--loss", "0.25"])), Some(0));
    let set = ["--set", "fidelity.large.max_trials=1", "--set", "domain.a.max=0.2", "--set", "budget.cost=5"];
    let again = ["--mixture", "trial:1", "--fidelity", "large", "--seeds", "2"];
    let output = f.run("suggest", &[&again[..], &set].concat());
    let said = stderr(&output);
    assert!(code(&output) == Some(1) && said.contains("max_trials is reached"), "{said}");
    assert!(said.contains("--mixture trial:1 breaks `a` ≤ 0.2"), "{said}");
    assert!(said.contains("the search comes to a cost of 6, more than budget.cost = 5"), "{said}");
    assert_eq!((f.of("suggested").len(), &f.of("suggested")[2]["weights"]), (3, &weights));
    // They are trained with the others, and predicted once there is a model.
    assert_eq!(f.json("optimize", &["-q"])["spent"]["trials"], 4);
    assert_eq!(f.of("launched").iter().filter_map(|e| e["trial"].as_u64()).collect::<Vec<_>>(), [2, 3, 4]);
    let output = f.run("suggest", &["--mixture", "uniform", "--fidelity", "small", "--dry-run", "--format", "json"]);
    assert!(stderr(&output).contains("comes to 5 trials, more than budget.trials = 4"), "{}", stderr(&output));
    assert!(stdout(&output).contains("\"expected\":{\"mean\":"), "{}", stdout(&output));
}

#[test]
fn streams_are_kept_apart() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 2");
    let output = f.command("optimize").args(["--format", "json", "-v"]).env("NO_COLOR", "1").output().unwrap();
    // Exactly one document, whatever is said on stderr.
    let _: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = stderr(&output);
    assert!(said.contains("train.sh") && said.contains("trials/0001") && said.contains("a="), "{said}");
    assert!(!said.contains(['\x1b', '\r']), "{said:?}");
    assert_eq!(stderr(&f.run("optimize", &["-q", "--set", "budget.trials=3"])), "");
    for command in ["status", "best", "check", "suggest"] {
        let output = f.run(command, &["-q"]);
        assert!(code(&output) == Some(0) && stderr(&output).is_empty() && !output.stdout.contains(&0x1b), "{command}");
        f.json(command, &["-q"]);
    }
}

#[test]
fn check_shows_the_command_of_the_first_trial() {
    let f = Fixture::new(GOOD, "", "");
    let checked = f.json("check", &[]);
    let text = stdout(&f.run("check", &[]));
    assert!(!f.path("run").exists(), "checking writes nothing");
    let asked = &f.json("suggest", &[])["trials"][0];
    let first = &checked["first_trial"];
    assert_eq!((&first["weights"], &first["seed"]), (&asked["weights"], &asked["seed"]));
    let result = f.path("run/trials/0001/result.json").display().to_string();
    assert_eq!(first["command"][2], result.as_str());
    assert_eq!(first["command"][5], asked["seed"].to_string());
    assert!(text.contains(&result), "{text}");
    assert_eq!(f.json("check", &[])["first_trial"], *first);
    let toml = fs::read_to_string(f.path("study.toml")).unwrap();
    f.write("study.toml", toml.split("[launcher]").next().unwrap());
    assert_eq!(f.json("check", &[])["first_trial"]["command"], Value::Null);
}
