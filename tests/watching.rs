//! Watching a study: its log, `launcher.on_event`, `status` and `status --watch`.

#[path = "common/study.rs"]
mod study;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use study::{Fixture, GOOD, alive, code, signal, stderr, until};

/// Trial 2 fails once, trial 3 for good, trial 4 diverges; stdout and stderr are full of colours.
const FAULTY: &str = r#"
printf 'step 1\r\033[31mstep 2 of trial %s\033[0m\n' "$3" >&2
case "$3 $ADMIRE_ATTEMPT" in
    "2 1"|"3 "*) printf 'Traceback:\n\n  RuntimeError: out of memory\n' >&2; exit 7 ;;
    4*) echo '{"loss": NaN}' > "$1"; exit 0 ;;
esac
printf '{"loss": %s}' "$2" > "$1.tmp" && mv "$1.tmp" "$1"
"#;

/// A trainer whose first trial is quick; the others wait for a file named `go`.
const WAITING: &str = r#"
[ "$3" = 1 ] || while [ ! -e go ]; do sleep 0.02; done
printf '{"loss": %s}' "$2" > "$1.tmp" && mv "$1.tmp" "$1"
"#;

/// The lines of a log, each of which has to be a JSON object.
fn log(output: &Output) -> Vec<Value> {
    stderr(output).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

/// What happened, to which trial, in which attempt.
fn what(events: &[Value]) -> Vec<Value> {
    events.iter().map(|e| json!([e["event"], e["trial"], e["attempt"]])).collect()
}

#[test]
fn a_log_as_json_has_a_line_an_event_and_the_hook_is_told_each_once() {
    let launcher = r#"retries = 1
        setup = ["printf", "prepare\n\u001b[1mdata\n"]
        on_event = ["sh", "-c", "cat >> told"]"#;
    let f = Fixture::new(FAULTY, launcher, "[budget]\ntrials = 6");
    let output = f.run("optimize", &["--log-format", "json", "--format", "json", "-v"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let lines = log(&output);
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{lines:?}");
    assert!(lines.iter().any(|line| line["event"] == "setup" && line["message"] == "data"), "what a command prints");

    let mut events: Vec<Value> = lines.into_iter().filter(|line| line["study"] == "t").collect();
    events.retain(|line| line["event"].is_string() && line["event"] != "setup");
    let of = |name: &str| events.iter().filter(|e| e["event"] == name).cloned().collect::<Vec<_>>();
    assert_eq!(of("trial_suggested").len(), 6);
    assert_eq!(of("trial_started").len(), f.of("launched").len());
    assert_eq!(what(&of("trial_retried")), [json!(["trial_retried", 2, 1]), json!(["trial_retried", 3, 1])]);
    assert_eq!(what(&of("trial_failed")), [json!(["trial_failed", 3, 2])]);
    assert_eq!(what(&of("trial_diverged")), [json!(["trial_diverged", 4, 1])]);
    assert_eq!(of("trial_complete").len(), 4);
    assert_eq!(of("trial_failed")[0]["reason"], "the command ended with exit status: 7");
    for event in events.iter().filter(|e| e["event"].as_str().unwrap().starts_with("trial_")) {
        assert!(event["fidelity"].is_string() && event["cost"].as_f64().unwrap() > 0.0, "{event}");
    }

    let told: Vec<Value> = f.lines("told").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    events.retain(|e| e["event"] != "trial_suggested");
    assert_eq!(what(&told), what(&events));
    let (first, last) = (&told[0], told.last().unwrap());
    assert_eq!((&first["event"], &last["event"]), (&json!("study_started"), &json!("study_stopped")));
    assert_eq!((&last["reason"], &last["spent"]["trials"]), (&json!("trials"), &json!(6)));
    let best: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(last["weights"], best["weights"]);
}

#[test]
fn errors_are_json_too_and_quiet_leaves_only_them() {
    let f = Fixture::new("exit 7", "retries = 0\non_event = [\"sh\", \"-c\", \"cat >> told\"]", "[budget]\ntrials = 9");
    let output = f.run("optimize", &["--log-format", "json", "-q"]);
    assert_eq!(code(&output), Some(4));
    let lines = log(&output);
    assert_eq!((lines.len(), &lines[0]["level"]), (1, &json!("ERROR")), "{lines:?}");
    assert!(f.lines("told").last().unwrap().contains("\"event\":\"study_failed\""), "the hook is told of the end");
    f.edit("[budget]", "[budgets]");
    let lines = log(&f.run("status", &["--log-format", "json"]));
    assert!(lines[0]["message"].as_str().unwrap().contains("budgets"), "{lines:?}");
}

#[test]
fn a_hook_that_fails_changes_nothing() {
    let study = |hook: &str| {
        let f = Fixture::new(GOOD, hook, "[budget]\ntrials = 4");
        let output = f.run("optimize", &["--format", "json"]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
    };
    let (best, said) = study("");
    let year = said.split('-').next().unwrap();
    assert!(year.parse::<u32>().is_ok_and(|year| year > 2000), "a log that is kept says when: {said}");
    for (hook, why) in [
        (r#"on_event = ["sh", "-c", "echo no network; exit 3"]"#, "`sh` ended with exit status: 3: no network"),
        (r#"on_event = ["./missing"]"#, "cannot start `./missing`: No such file"),
    ] {
        let (same, said) = study(hook);
        assert_eq!(same, best);
        assert_eq!(said.matches("launcher.on_event failed at study_started: ").count(), 1, "{said}");
        assert!(said.contains(why) && said.contains("launcher.on_event failed 1"), "{said}");
    }
}

#[test]
fn a_hook_that_hangs_holds_nothing_up() {
    let hook = r#"on_event = ["sh", "-c", "echo $$ >> hooks; exec sleep 1000"]"#;
    let f = Fixture::new(GOOD, hook, "[budget]\ntrials = 4");
    let child = f.command("optimize").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the end of the search", || !f.of("stopped").is_empty());
    // Then it waits for the hook, until that is interrupted.
    until("the hook", || !f.lines("hooks").is_empty());
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Recommended mixture"));
    assert!(stderr(&output).contains("launcher.on_event was not told"), "{}", stderr(&output));
    assert_eq!(f.lines("hooks").len(), 1, "one at a time");
    assert!(!alive(&f.lines("hooks")[0]), "it does not outlive the study");
}

#[test]
fn status_says_what_runs_since_when_and_until_when() {
    let f = Fixture::new(WAITING, "slots = 1", "[budget]\ntrials = 3");
    let mut child = f.start("optimize");
    until("the second trial", || f.of("started").len() == 2);
    let status = f.json("status", &[]);
    let (launched, took) = (&f.of("launched")[1], &f.of("completed")[0]["duration"]);
    let running = &status["running"][0];
    assert_eq!((&running["trial"], &running["attempt"], &running["alive"]), (&json!(2), &json!(1), &json!(true)));
    assert_eq!((&running["since"], &running["pid"]), (&launched["time"], &f.of("started")[1]["pid"]));
    assert_eq!(running["fidelity"], f.of("suggested")[0]["fidelity"], "both are of the initial design");
    let end = running["since"].as_f64().unwrap() + took.as_f64().unwrap();
    assert!((running["expected_end"].as_f64().unwrap() - end).abs() < 1e-6, "{running}");
    assert!(status["writer"]["holder"].as_str().unwrap().starts_with(&format!("pid {} on ", child.id())), "{status}");
    assert_eq!(status["writer"]["at_work"], true);
    assert!(status["expected_end"].is_f64() && status["ended"] == false, "{status}");
    let text = String::from_utf8(f.run("status", &[]).stdout).unwrap();
    for part in ["1 of 3", "writer  pid", "expected end", "trial 2", "end     about"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // Whether anybody is at work is found out, not believed; the trainer lives on.
    child.kill().unwrap();
    child.wait().unwrap();
    let status = f.json("status", &[]);
    assert_eq!((&status["writer"], &status["running"][0]["alive"]), (&Value::Null, &json!(true)), "{status}");
    let text = String::from_utf8(f.run("status", &[]).stdout).unwrap();
    assert!(text.contains("nobody is at work on it") && text.contains("of work"), "{text}");
    let mut child =
        f.command("optimize").args(["--log-format", "json"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut log = BufReader::new(child.as_mut().unwrap().stderr.take().unwrap()).lines().map(Result::unwrap);
    let adopted = log.find(|line| line.contains("trial_adopted")).unwrap();
    assert_eq!(what(&[serde_json::from_str(&adopted).unwrap()]), [json!(["trial_adopted", 2, 1])]);
    f.write("go", "");
    assert!(log.last().unwrap().contains("study_stopped"));
    assert_eq!(child.unwrap().wait().unwrap().code(), Some(0));
    let text = String::from_utf8(f.run("status", &["--trials"]).stdout).unwrap();
    assert!(text.contains("stopped (trials: 3 trials have finished)") && text.contains("recommended"), "{text}");
    assert_eq!(text.matches("  complete  ").count(), 3 + 1, "every trial, and a title: {text}");
}

#[test]
fn the_time_left_is_that_of_all_limits_and_of_the_confirmation() {
    let f = Fixture::new(WAITING, "slots = 1\nsetup = [\"sh\", \"-c\", \"sleep 0.3\"]", "[budget]\ntrials = 3");
    let mut child = f.start("optimize");
    until("the second trial", || f.of("started").len() == 2);
    let writer = &f.json("status", &[])["writer"];
    let begun = f.of("study")[0]["time"].as_f64().unwrap();
    assert!((writer["since"].as_f64().unwrap() - begun).abs() < 5.0, "{writer}");
    child.kill().unwrap();
    child.wait().unwrap();

    // One trial has ended, at a quarter of the target's cost.
    let took = f.of("completed")[0]["duration"].as_f64().unwrap();
    let left = |sets: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        f.json("status", &sets)["left_s"].as_f64().unwrap() / took
    };
    let near = |sets: &[&str], expected: f64| assert!((left(sets) - expected).abs() < 1e-6, "{sets:?}: {}", left(sets));
    near(&[], 2.0);
    near(&["budget.cost=2.5"], 1.5);
    near(&["confirm.seeds=2"], 2.0 + 4.0 * 4.0);
    near(&["confirm.seeds=2", "confirm.against=['uniform', { a = 1 }]"], 2.0 + 6.0 * 4.0);
    near(&[&format!("budget.wall_time={took}")], 1.0);
    near(&[&format!("budget.wall_time={took}"), "confirm.seeds=1", "launcher.slots=2"], 1.0 + 4.0);
    // The trainer has to see this before the folder is removed.
    f.write("go", "");
    until("the trainer's end", || !alive(&f.of("started")[1]["pid"].to_string()));
}

#[test]
fn the_log_quotes_stderr_once_for_all_attempts_that_fail_alike() {
    let script = r#"
        case "$3" in
            1) echo "pid $$: no corpus" >&2; exit 3 ;;
            2) echo "out of memory" >&2; exit 3 ;;
        esac
        printf '{"loss": %s}' "$2" > "$1.tmp" && mv "$1.tmp" "$1""#;
    let f = Fixture::new(script, "retries = 3", "[budget]\ntrials = 3");
    let output = f.run("optimize", &["--log-format", "json"]);
    let quoted: Vec<Value> = log(&output).into_iter().filter(|line| line["event"] == "stderr").collect();
    let seen: Vec<Value> = quoted.iter().map(|e| json!([e["trial"], e["attempt"]])).collect();
    assert_eq!(seen, [json!([1, 1]), json!([2, 1])], "{quoted:?}");
    assert!(quoted[0]["message"].as_str().unwrap().ends_with(": no corpus"), "{quoted:?}");
    assert_eq!(quoted[1]["message"], "  │ out of memory");
    assert_eq!(f.of("failed").len(), 8);
}

/// A file of the zone database for a zone without summer time: version 2, whose rule is in its last line.
fn zone(rule: &str) -> Vec<u8> {
    let mut header = [b"TZif2".as_slice(), &[0; 15]].concat();
    // No leap seconds or transitions, one type of local time, four bytes of its name.
    [0_u32, 0, 0, 0, 1, 4].iter().for_each(|n| header.extend(n.to_be_bytes()));
    let body = [[0; 6].as_slice(), b"UTC\0"].concat();
    [&header, &body, &header, &body, format!("\n{rule}\n").as_bytes()].concat()
}

#[test]
fn times_are_those_of_the_zone_or_say_that_they_are_not() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 1");
    f.run("optimize", &["-q"]);
    fs::create_dir(f.path("Area")).unwrap();
    fs::write(f.path("Area/City"), zone("<+0530>-5:30")).unwrap();
    let latest = |zone: &str| {
        let output = f.command("status").env("TZ", zone).env("TZDIR", f.root.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("latest  ")).unwrap().to_owned()
    };
    assert_eq!(latest("Area/City"), latest("<+0530>-5:30"));
    assert_ne!(latest("Area/City"), latest("UTC0"));
    assert_eq!(latest("No/Where"), format!("{}Z", latest("UTC0")));
    let output = f.command("optimize").env("TZ", "No/Where").output().unwrap();
    assert_eq!(stderr(&output).as_bytes()[19], b'Z', "{}", stderr(&output));
}

#[test]
fn status_shows_how_trials_failed() {
    let f = Fixture::new(FAULTY, "retries = 1", "[budget]\ntrials = 6");
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    let status = f.json("status", &[]);
    assert_eq!(status["failed_attempts"], 4);
    let failures = status["failures"].as_array().unwrap();
    let seen: Vec<Value> = failures.iter().map(|e| json!([e["trial"], e["attempt"], e["state"]])).collect();
    assert_eq!(seen, [json!([4, 1, "diverged"]), json!([3, 2, "failed"])], "trial 2 has recovered");
    let expected = ["step 2 of trial 3", "Traceback:", "  RuntimeError: out of memory"];
    assert_eq!(failures[1]["stderr"], json!(expected));
    let file = failures[1]["stderr_file"].as_str().unwrap();
    assert!(fs::read_to_string(file).unwrap().contains("\u{1b}[31mstep 2 of trial 3"), "as it was written: {file}");
    let text = String::from_utf8(f.run("status", &[]).stdout).unwrap();
    assert!(text.contains("  │   RuntimeError: out of memory\n") && text.contains(file), "{text}");
}

#[test]
fn watching_ends_with_the_study_and_stops_nobody() {
    let f = Fixture::new(WAITING, "slots = 1", "[budget]\ntrials = 3\n[confirm]\nseeds = 1");
    f.json("suggest", &[]);
    let watch = |arguments: &[&str]| {
        let mut command = f.command("status");
        command.args(["--watch=50ms"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (json, table) = (watch(&["--format", "json"]), watch(&[]));
    let mut study = f.start("optimize");
    until("the second trial", || f.of("started").len() == 2);
    f.write("go", "");
    assert_eq!(study.wait().unwrap().code(), Some(0), "nobody but the writer has the lock");
    let (json, table) = (json.wait_with_output().unwrap(), table.wait_with_output().unwrap());
    assert_eq!((code(&json), code(&table)), (Some(0), Some(0)), "{}{}", stderr(&json), stderr(&table));
    let text = String::from_utf8(json.stdout).unwrap();
    let seen: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = seen.last().unwrap();
    assert!(seen.len() > 1 && seen[..seen.len() - 1].iter().all(|s| s["ended"] == false), "{text}");
    assert_eq!((&last["ended"], &last["stopped"], &last["running"]), (&json!(true), &json!("trials"), &json!([])));
    assert_eq!(f.of("completed").len(), 5, "the confirmation belongs to the study");
    assert!(String::from_utf8(table.stdout).unwrap().contains("stopped (trials: 3 trials have finished)"));
}

#[test]
fn watching_ends_with_its_reader() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &[]);
    let mut child =
        f.command("status").args(["--watch=50ms", "--format", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"pending\":1"), "{line}");
    f.json("suggest", &[]);
    until("the end of the watching", || child.try_wait().unwrap().is_some());
}

/// What a command prints on a terminal of so many columns.
fn on_terminal(f: &Fixture, columns: usize, arguments: &str) -> String {
    let command = format!("stty cols {columns} rows 60; {} {arguments}", env!("CARGO_BIN_EXE_admire"));
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(f.root.path()).stdin(Stdio::null());
    let text = String::from_utf8(script.output().unwrap().stdout).unwrap().replace('\r', "");
    console::strip_ansi_codes(&text).into_owned()
}

#[test]
fn lines_break_between_words_on_terminals_of_any_width() {
    let f = Fixture::new(FAULTY, "retries = 0", "[budget]\ntrials = 6\n[confirm]\nseeds = 2");
    f.edit(f.path("").to_str().unwrap(), "./");
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    let config = "--config study.toml";
    for command in [
        "optimize --help",
        "export -h",
        &format!("check {config}"),
        &format!("status {config}"),
        &format!("best {config}"),
        "check --config study.toml --set domain.a.mx=1 --set domain.b.mn=1",
    ] {
        let piped = on_terminal(&f, 60, &format!("{command} 2>&1 | cat"));
        let words: Vec<&str> = piped.split_whitespace().collect();
        for columns in [60, 80, 160] {
            let text = on_terminal(&f, columns, command);
            for line in text.lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}\n{text}");
            }
            let broken =
                text.split_whitespace().filter(|word| word.is_ascii() && *word != "\\" && !words.contains(word));
            let broken: Vec<&str> = broken.collect();
            assert!(broken.is_empty(), "{columns}: {broken:?}\n{text}");
        }
    }
}

#[test]
fn a_narrow_terminal_is_enough() {
    let f = Fixture::new(FAULTY, "retries = 0", "[budget]\ntrials = 4");
    f.run("optimize", &["-q"]);
    let text = on_terminal(&f, 40, "status --trials --config study.toml");
    let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
    assert!(widths.len() > 20 && widths.iter().all(|width| *width <= 40), "{text}");
    assert!(text.contains('…') && text.contains('█'), "{text}");
}
