//! Numbers and text that others wrote: spellings, byte-order marks, extremes, placeholders; and spaces with nothing left.

#[path = "common/study.rs"]
mod study;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Output};

use serde_json::Value;
use study::{Fixture, GOOD, code, stderr, until};

/// Reports line `trial` of the file `losses`.
const LISTED: &str = r#"printf '{"loss": %s}' "$(sed -n "$3p" losses)" > "$1""#;

fn admire(f: &Fixture, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_admire")).current_dir(f.root.path()).args(arguments).output().unwrap()
}

/// Narrows the space to within so much of one mixture.
fn narrow(f: &Fixture, width: f64) {
    f.edit("name = \"a\"\n", &format!("name = \"a\"\nmin = 0.5\nmax = {}\n", 0.5 + width));
    f.edit("name = \"b\"\n", &format!("name = \"b\"\nmin = 0.2\nmax = {}\n", 0.2 + width));
}

#[test]
fn nan_and_infinity_mean_diverged_however_they_are_spelled_and_wherever() {
    let spellings = ["nan", "NaN", "NAN", "-nan", "inf", "-Inf", "+inf", "Infinity", "-INFINITY", "1e999", "1e60"];
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &["-n", "40"]);
    let mut trial = 0;
    let mut tell = |arguments: &[&str]| {
        trial += 1;
        let output = f.run("tell", &[&["--trial", &trial.to_string()], arguments].concat());
        assert_eq!(code(&output), Some(0), "{arguments:?}: {}", stderr(&output));
    };
    let mut csv = "run_id,fidelity,params,cost,w:a,w:b,w:c,y:loss\nx,small,1e3,1,0.2,0.3,0.5,2.5\n".to_owned();
    for spelling in spellings {
        tell(&["--loss", spelling]);
        for value in [spelling.to_owned(), format!("\"{spelling}\"")] {
            f.write("result.json", &format!("{{\"metrics\": {{\"loss\": {value}}}}}"));
            tell(&["--result", "result.json"]);
        }
        csv += &format!("{spelling},small,1e3,1,0.2,0.3,0.5,{spelling}\n");
    }
    assert_eq!(f.json("status", &[])["trials"]["diverged"], 3 * spellings.len());
    f.write("runs.csv", &csv);
    let output = f.run("import", &["--from", "wide", "runs.csv"]);
    assert!(
        stderr(&output).contains("1 run imported") && stderr(&output).contains("11 left out"),
        "{}",
        stderr(&output)
    );

    f.write("weights.json", r#"{"train_domain_weights": {"a": 0.5, "b": 0.25, "c": 0.25}}"#);
    for spelling in spellings {
        let metric = format!("loss={spelling}");
        let output =
            admire(&f, &["import", "--from", "doremi", "1M=weights.json", "--cost", "1M=1", "--metric", &metric]);
        let rows = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(code(&output) == Some(0) && rows.ends_with(",\n"), "{metric}: {rows} {}", stderr(&output));
    }

    // A trainer's run that diverged is not trained again.
    let f = Fixture::new(r#"echo '{"loss": "nan"}' > "$1""#, "retries = 3", "[budget]\ntrials = 1");
    assert!(stderr(&f.run("optimize", &[])).contains("diverged: metric loss is nan;"));
    assert_eq!((f.of("launched").len(), f.of("diverged").len()), (1, 1));
}

#[test]
fn byte_order_marks_are_skipped_everywhere_and_utf_16_is_named() {
    let f = Fixture::new(GOOD, "", "");
    let marked = |name: &str, text: &str| f.write(name, &format!("\u{feff}{text}"));
    marked("study.toml", &fs::read_to_string(f.path("study.toml")).unwrap());
    marked("result.json", "{\"loss\": 2.5}");
    marked("mixture.json", "{\"a\": 0.2, \"b\": 0.3, \"c\": 0.5}");
    marked("runs.csv", "run_id,fidelity,cost,w:a,w:b,w:c,y:loss\nx,small,1,0.2,0.3,0.5,2.5\n");
    f.json("suggest", &["-n", "2"]);
    let done = |output: Output| assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    done(f.run("tell", &["--trial", "1", "--result", "result.json"]));
    done(f.run("import", &["--from", "wide", "runs.csv"]));
    done(f.run("report", &["--compare", "mixture.json", "--out", "report.html"]));

    // What Excel and PowerShell write, with a mark and without.
    let utf16 = |name: &str, text: &str, mark: &str| {
        let units = [mark, text].concat().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        fs::write(f.path(name), units).unwrap();
    };
    for mark in ["\u{feff}", ""] {
        utf16("wide.json", "{\"loss\": 2.5}", mark);
        utf16("wide.csv", "run_id,fidelity,cost,w:a,w:b,w:c,y:loss\n", mark);
        utf16("wide.toml", "[study]\n", mark);
        for arguments in [
            &["tell", "--config", "study.toml", "--trial", "2", "--result", "wide.json"][..],
            &["import", "--from", "wide", "wide.csv"],
            &["replay", "--runs", "wide.csv"],
            &["check", "--config", "wide.toml"],
            &["report", "--config", "study.toml", "--compare", "wide.json"],
        ] {
            let output = admire(&f, arguments);
            let said = stderr(&output);
            assert_ne!(code(&output), Some(0));
            assert!(
                said.contains("this is UTF-16; save it as UTF-8") && said.contains("wide."),
                "{arguments:?}: {said}"
            );
        }
    }
}

#[test]
fn what_cost_nothing_can_be_exported_and_replayed() {
    let f = Fixture::new(r#"printf '{"loss": %s, "cost": 0}' "$2" > "$1""#, "", "[budget]\ntrials = 9");
    assert_eq!(f.json("optimize", &["-q", "--set", "optimizer.target_only=true"])["spent"]["cost"], 0.0);
    assert_eq!(code(&f.run("export", &["--out", "runs.csv"])), Some(0));
    for arguments in [
        &["replay", "--runs", "runs.csv", "--seeds", "1", "--strategy", "random"][..],
        &["import", "--from", "wide", "runs.csv"],
    ] {
        let output = admire(&f, arguments);
        assert_eq!(code(&output), Some(0), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn what_is_told_otherwise_is_refused_with_what_differs() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &[]);
    let tell = |result: &str| {
        f.write("result.json", result);
        let output = f.run("tell", &["--trial", "1", "--result", "result.json"]);
        (code(&output), stderr(&output))
    };
    let first = r#"{"loss": 2.5, "cost": 3.5, "se": 0.1}"#;
    assert_eq!(tell(first).0, Some(0));
    assert_eq!(tell(first).0, Some(0), "the same twice is no error");
    for (told, differing) in [
        (r#"{"loss": 2.5, "cost": 9.5, "se": 0.1}"#, &["cost 3.5 (told: 9.5)"][..]),
        (r#"{"loss": 2.5, "se": 0.1}"#, &["cost 3.5 (told: none)"]),
        (r#"{"loss": 2.5}"#, &["cost 3.5 (told: none)", "standard error (se) of loss 0.1 (told: none)"]),
        (r#"{"loss": 2.5, "cost": 3.5, "se": 0.2}"#, &["standard error (se) of loss 0.1 (told: 0.2)"]),
        (r#"{"loss": 2.6, "cost": 3.5, "se": 0.1}"#, &["completed, with loss 2.5 (told: 2.6);"]),
        (r#"{"metrics": {"loss": 2.5, "x": 1}, "cost": 3.5, "se": 0.1}"#, &["x none (told: 1)"]),
    ] {
        let (code, said) = tell(told);
        assert!(code == Some(1) && differing.iter().all(|what| said.contains(what)), "{told}: {said}");
    }
    assert_eq!(f.json("status", &[])["spent"]["cost"], 3.5);
}

#[test]
fn what_is_told_is_read_before_the_lock_is_taken_and_has_at_most_16_mib() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &["-n", "2"]);
    fs::write(f.path("big.json"), format!("{{\"loss\": 2.5, \"log\": \"{}\"}}", "x".repeat(17 << 20))).unwrap();
    for file in ["big.json", "/dev/zero"] {
        let output = f.run("tell", &["--trial", "1", "--result", file]);
        assert!(code(&output) == Some(1) && stderr(&output).contains("more than 16 MiB"), "{}", stderr(&output));
    }
    let pipe = f.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut writer = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut teller = f.command("tell").args(["--trial", "1", "--result", "pipe"]).spawn().unwrap();
    until("the pipe to be read", || {
        let open = fs::read_dir(format!("/proc/{}/fd", teller.id())).unwrap();
        open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file.ends_with("pipe")))
    });
    let other = f.run("tell", &["--trial", "2", "--failed"]);
    assert_eq!(code(&other), Some(0), "{}", stderr(&other));
    writer.write_all(b"{\"loss\": 2.5}").unwrap();
    drop(writer);
    assert!(teller.wait().unwrap().success());
    assert_eq!(f.of("completed")[0]["metrics"]["loss"], 2.5);
}

/// The name of the study's folder is made up, and may be anything.
fn without_folder(f: &Fixture, text: &str) -> String {
    text.replace(&f.root.path().display().to_string(), "")
}

/// Has every command that shows a study show it: they end, and show nothing that is no number.
fn all_is_shown(f: &Fixture) {
    for arguments in [
        &["best"][..],
        &["best", "--format", "json"],
        &["status"],
        &["status", "--trials"],
        &["report", "--out", "report.html"],
        &["export", "--out", "runs.csv"],
        &["suggest", "--dry-run"],
    ] {
        let output = f.run(arguments[0], &arguments[1..]);
        let said = [String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output)].concat();
        assert_eq!(code(&output), Some(0), "{arguments:?}: {said}");
        let said = without_folder(f, &said);
        assert!(!said.contains("NaN") && !said.contains("numerically"), "{arguments:?}: {said}");
    }
    // But for the script that sorts tables.
    let page = fs::read_to_string(f.path("report.html")).unwrap().replace("Number.isNaN", "");
    assert!(!without_folder(f, &page).contains("NaN"));
}

#[test]
fn no_loss_and_no_cost_is_beyond_reckoning() {
    for (losses, complete) in [
        (["1e-300", "3e-300", "-2e-300", "5e-324", "0", "4e-300"], 6),
        (["9e200", "2.5", "-9e307", "2.6", "2.7", "1e51"], 3),
        (["9e49", "-9e49", "8e49", "1", "-1e40", "3e49"], 6),
        (["1e-200", "2e49", "-1e-160", "1e-160", "2e-160", "1e-300"], 6),
    ] {
        let f = Fixture::new(LISTED, "", "[budget]\ntrials = 6");
        f.write("losses", &losses.join("\n"));
        let output = f.run("optimize", &[]);
        assert!(
            code(&output) == Some(0) && !stderr(&output).contains("numerically"),
            "{losses:?}: {}",
            stderr(&output)
        );
        assert_eq!(f.of("completed").len(), complete, "{losses:?}");
        assert_eq!(stderr(&output).matches("beyond 1e50 a number counts as infinite").count(), 6 - complete);
        all_is_shown(&f);
    }
}

#[test]
fn a_cost_beyond_reckoning_is_ignored() {
    for (cost, ignored) in [("1e308", true), ("9e49", false)] {
        let script = format!(r#"printf '{{"loss": %s, "cost": {cost}, "se": 1e40}}' "$2" > "$1""#);
        let f = Fixture::new(&script, "", "[budget]\ntrials = 4");
        let output = f.run("optimize", &[]);
        assert_eq!(code(&output), Some(0));
        assert_eq!(stderr(&output).contains("ignored cost 1e308"), ignored, "{}", stderr(&output));
        all_is_shown(&f);
    }
}

#[test]
fn journals_that_have_extreme_numbers_can_still_be_read() {
    let fixture =
        |name: &str| fs::read_to_string(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let f = Fixture::new(GOOD, "", "");
    f.write("study.toml", &fixture("journal-v2.toml"));
    let (mut edited, mut lines) = (0, Vec::new());
    for line in fixture("journal-v2.jsonl").lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        if event["event"] == "completed" {
            edited += 1;
            for metric in event["metrics"].as_object_mut().unwrap().values_mut() {
                *metric = if edited % 2 == 0 { -1e300 } else { 9e307 }.into();
            }
            event["cost"] = 1e308.into();
        }
        lines.push(event.to_string());
    }
    fs::create_dir(f.path("run")).unwrap();
    f.write("run/journal.jsonl", &(lines.join("\n") + "\n"));
    for command in ["best", "status", "report"] {
        let mut arguments = vec![command, "--config", "study.toml", "--dir", "run"];
        arguments.extend(["--out", "report.html"].iter().filter(|_| command == "report"));
        let output = admire(&f, &arguments);
        assert_eq!(code(&output), Some(0), "{command}: {}", stderr(&output));
        assert!(!without_folder(&f, &String::from_utf8_lossy(&output.stdout)).contains("NaN"));
    }
    assert!(edited > 3);
}

#[test]
fn a_placeholder_among_losses_is_said_once() {
    let said = |output: &Output| stderr(output).matches("is that a placeholder?").count();
    let f = Fixture::new(LISTED, "", "[budget]\ntrials = 8\n[optimizer]\ntarget_only = true");
    f.write("losses", "2.1\n2.2\n1e9\n2.4\n2.3\n2.9\n2.5\n2.2\n");
    let output = f.run("optimize", &[]);
    // Only with the fourth run can be told which is odd.
    let expected = "trial 3 reports 1e9, the others at large 2.1 to 2.4: is that a placeholder?";
    assert!(stderr(&output).contains(expected) && said(&output) == 1, "{}", stderr(&output));

    f.json("suggest", &["-n", "2"]);
    let told = |trial: &str, loss: &str| f.run("tell", &["--trial", trial, "--loss", loss]);
    assert_eq!(said(&told("9", "12.5")), 0, "poor, but a measurement");
    let output = told("10", "-1e10");
    assert!(stderr(&output).contains("trial 10 reports -1e10, the others at large 2.1 to 12.5"), "{}", stderr(&output));

    f.write(
        "runs.csv",
        "run_id,fidelity,cost,w:a,w:b,w:c,y:loss\nx,large,1,0.2,0.3,0.5,2.5\ny,large,1,0.3,0.3,0.4,1e8\n",
    );
    let output = f.run("import", &["--from", "wide", "runs.csv"]);
    assert!(stderr(&output).contains("runs.csv, run y reports 1e8") && said(&output) == 1, "{}", stderr(&output));
}

#[test]
fn an_exhausted_space_ends_the_search() {
    for width in [0.0, 0.002] {
        let f = Fixture::new(GOOD, "setup = [\"sh\", \"-c\", \"echo x >> setups\"]", "[budget]\ntrials = 12");
        narrow(&f, width);
        assert_eq!(code(&f.run("check", &[])), Some(0));
        let output = f.run("optimize", &[]);
        let said = stderr(&output);
        assert!(code(&output) == Some(0) && said.contains("exhausted: ") && !said.contains("numerically"), "{said}");
        // One mixture at each size.
        assert_eq!(f.of("suggested").len(), 2, "{said}");
        assert_eq!(f.of("stopped")[0]["reason"], "exhausted");
        let again = f.json("optimize", &["-q"]);
        assert_eq!((&again["stopped"], f.of("suggested").len(), f.lines("setups").len()), (&"exhausted".into(), 2, 1));
        let suggested = f.run("suggest", &[]);
        assert!(code(&suggested) == Some(1) && stderr(&suggested).contains("exhausted: "), "{}", stderr(&suggested));
    }
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 6");
    narrow(&f, 0.002);
    f.run("optimize", &["-q"]);
    // With another idea of what is the same there is more to train.
    let finer = f.json("optimize", &["-q", "--set", "optimizer.tolerance=0.00001"]);
    assert_eq!((&finer["stopped"], f.of("suggested").len()), (&"trials".into(), 6));
}

#[test]
fn trials_handed_out_before_the_space_is_exhausted_are_shown() {
    let f = Fixture::new(GOOD, "", "");
    narrow(&f, 0.0);
    let output = f.run("suggest", &["-n", "5", "--fidelity", "small", "--format", "json"]);
    assert!(code(&output) == Some(1) && stderr(&output).contains("exhausted: "), "{}", stderr(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((shown["trials"].as_array().unwrap().len(), f.of("suggested").len()), (1, 1));
}

#[test]
fn results_are_found_behind_what_launchers_write() {
    for (line, expected) in [
        (r#"100%%|####|\radmire: {"loss": 2.5}\n"#, "completed"),
        (r#"[rank0]: admire: {"loss": 2.5}\n"#, "completed"),
        (r#"\033[0madmire: {"loss": 2.5}\033[0m\n"#, "completed"),
        (r#"admire: {"loss": 2.5}\nadmire: done\n"#, "completed"),
        (r#"admire: {"loss": 2.5} saved\n"#, "a line of stdout contains `admire: {`, but what follows is no JSON"),
    ] {
        let f = Fixture::new(&format!("printf '{line}'"), "retries = 0", "[budget]\ntrials = 1");
        f.run("optimize", &["-q"]);
        let events = f.events().iter().map(Value::to_string).collect::<String>();
        assert!(events.contains(expected), "{line}: {events}");
    }
}
