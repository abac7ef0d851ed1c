//! What is recommended keeps the rules of the config that it is asked with, and says what it rests on.

#[path = "common/study.rs"]
mod study;

use std::fs;

use serde_json::Value;
use study::{Fixture, GOOD, code, stderr, until};

/// A study that has stopped; the small sizes are as good as the large one.
fn stopped() -> Fixture {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 8\n[optimizer]\ninitial = 4");
    f.json("optimize", &["-q"]);
    f
}

fn text(f: &Fixture, command: &str, arguments: &[&str]) -> String {
    let output = f.run(command, arguments);
    assert_eq!(code(&output), Some(0), "{command}: {}", stderr(&output));
    String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
}

/// The notes of an answer, but for that its few runs do not tell mixtures apart.
fn notes(best: &Value) -> Vec<&str> {
    let notes = best["caveats"].as_array().unwrap().iter().filter_map(Value::as_str);
    notes.filter(|note| !note.contains("do not tell mixtures apart")).collect()
}

fn weight(object: &Value, domain: &str) -> f64 {
    object["weights"][domain].as_f64().unwrap()
}

/// The domain of the largest weight in the recommendation, and that weight.
fn largest(f: &Fixture) -> (&'static str, f64) {
    let best = f.json("best", &[]);
    let weights = ["a", "b", "c"].map(|name| (name, weight(&best, name)));
    weights.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

#[test]
fn no_answer_breaks_a_bound_that_came_later() {
    let f = stopped();
    let (name, before) = largest(&f);
    let max = before - 0.2;
    for rule in [
        format!("domain.{name}.max={max}"),
        format!("limits={{ target_tokens = 1e9, max_epochs = 1 }}\n{name}"),
        format!("group=[{{ name = \"g\", domains = [\"{name}\"], max = {max} }}]"),
    ] {
        let mut set = vec!["--set", rule.split('\n').next().unwrap()];
        // As many tokens as allow this share of the target's.
        let tokens = format!("domain.{name}.tokens={}", max * 1e9);
        if rule.contains('\n') {
            set.extend(["--set", &tokens]);
        }
        let best = f.json("best", &set);
        assert!(weight(&best, name) <= max + 1e-6, "{rule}: {best}");
        let said = best["caveats"][0].as_str().unwrap();
        assert!(said.contains("breaks the present config") && said.contains("recommended anew"), "{said}");
        assert!(text(&f, "best", &set).starts_with("Note: what was recommended when the search stopped breaks"));

        let out = f.path("mixture.json");
        let mut export = set.clone();
        export.extend(["--format", "json", "--out", out.to_str().unwrap()]);
        assert!(text(&f, "export", &export).contains("recommended anew"));
        let exported: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
        assert!(weight(&exported, name) <= max + 1e-6, "{exported}");

        text(&f, "report", &set);
        let page = fs::read_to_string(f.path("run/report.html")).unwrap();
        assert!(page.contains("this is recommended anew, within the bounds"));
        let status = f.json("status", &set);
        assert!(status["stopped"] == "trials" && status["recommended"].is_null(), "{status}");
        assert!(text(&f, "status", &set).contains("`admire best` recommends anew"));
    }
    // `optimize` settles it: what it recommends is journalled, and needs no note any more.
    let rule = format!("domain.{name}.max={max}");
    let set = ["--set", rule.as_str()];
    assert!(weight(&f.json("optimize", &[&["-q"], &set[..]].concat()), name) <= max + 1e-6);
    let best = f.json("best", &set);
    assert!(notes(&best).is_empty() && weight(&best, name) <= max + 1e-6, "{best}");
    assert_eq!(f.of("stopped").len(), 2);
    assert_eq!(f.of("suggested").len(), 8, "nothing was trained for it");
}

#[test]
fn what_is_not_recommended_any_more_is_not_confirmed() {
    let script = format!("while [ $3 -gt 8 ] && [ ! -e go ]; do sleep 0.02; done\n{GOOD}");
    let f = Fixture::new(&script, "", "[budget]\ntrials = 8\n[optimizer]\ninitial = 4\n[confirm]\nseeds = 2");
    let mut child = f.start("optimize");
    until("the confirmation", || f.of("started").len() == 9);
    child.kill().unwrap();
    child.wait().unwrap();
    // The run that was under way is not known to have ended, and ends as it was.
    f.write("go", "");
    let (name, before) = largest(&f);
    let rule = format!("domain.{name}.max={}", before - 0.2);
    let done = f.json("optimize", &["-q", "--set", &rule]);
    assert_eq!(done["confirm"]["difference"]["runs"], 2, "{done}");
    let confirmed = f.of("suggested").into_iter().filter(|t| t["purpose"] == "confirm_recommended");
    let launched = |t: &Value| f.of("launched").iter().any(|l| l["trial"] == t["trial"]);
    let outdated = confirmed.filter(|t| weight(t, name) > before - 0.1).filter(launched).count();
    assert_eq!(outdated, 1, "the second run of what is forbidden now was never started");
    assert_eq!(f.json("status", &["--set", &rule])["ended"], true);
}

#[test]
fn a_trial_outside_the_bounds_is_not_exported() {
    let f = stopped();
    let trial = f.of("suggested").into_iter().find(|t| weight(t, "a") > 0.4).expect("a trial of the design");
    let id = trial["trial"].to_string();
    let output = f.run("export", &["--format", "json", "--trial", &id, "--set", "domain.a.max=0.35"]);
    let said = stderr(&output);
    assert_eq!((code(&output), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains(&format!("trial {id}")) && said.contains("breaks the config: `a` ≤ 0.35"), "{said}");
    text(&f, "export", &["--format", "json", "--trial", &id]);
}

#[test]
fn what_is_measured_best_is_what_may_be_used() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 6\n[optimizer]\ninitial = 4");
    f.edit("[[fidelity]]\nname = \"small\"\nparams = 1e3\ncost = 1.0\n", "");
    f.json("optimize", &["-q"]);
    let best = f.json("best", &["--set", "domain.a.min=0.2"]);
    let id = best["measured"]["trial"].as_u64().unwrap();
    let trained = f.of("suggested").into_iter().find(|t| t["trial"] == id).unwrap();
    assert!(weight(&trained, "a") >= 0.2 - 1e-6, "{trained}");
    let loss = |event: &Value| event["metrics"]["loss"].as_f64().unwrap();
    assert!(f.of("completed").iter().any(|e| loss(e) < best["measured"]["loss"].as_f64().unwrap()));
}

#[test]
fn a_recommendation_says_that_runs_have_come_since() {
    let f = stopped();
    f.json("suggest", &["-n", "2"]);
    // Handing out trials goes on with the search; ending it again is up to `optimize`.
    for id in ["9", "10"] {
        text(&f, "tell", &["--trial", id, "--loss", "0.3"]);
    }
    f.json("optimize", &["-q"]);
    assert!(notes(&f.json("best", &[])).is_empty());
    let runs = "run_id,fidelity,w:a,w:b,w:c,y:loss\n1,large,0.98,0.01,0.01,-5\n2,large,0.97,0.02,0.01,-4.9\n";
    f.write("runs.csv", runs);
    let import = f.command("import").args(["--from", "wide", "runs.csv"]).output().unwrap();
    assert_eq!(code(&import), Some(0), "{}", stderr(&import));
    let best = f.json("best", &[]);
    let said = best["caveats"][0].as_str().unwrap();
    assert!(said.contains("older than 2 runs; with them it would be a=0.9"), "{said}");
    assert!(text(&f, "best", &[]).starts_with("Note: the recommendation is older than 2 runs"));
    assert!(text(&f, "export", &["--format", "json"]).contains("older than 2 runs"));
    text(&f, "report", &[]);
    assert!(fs::read_to_string(f.path("run/report.html")).unwrap().contains("older than 2 runs"));
    let taken_up = f.json("optimize", &["-q"]);
    assert!(weight(&taken_up, "a") > 0.9, "{taken_up}");
    assert!(notes(&f.json("best", &[])).is_empty());
}

#[test]
fn a_recommendation_without_a_run_at_the_target_says_so_first() {
    let f = Fixture::new(GOOD, "", "");
    for id in ["1", "2", "3"] {
        f.json("suggest", &["--fidelity", "small"]);
        text(&f, "tell", &["--trial", id, "--loss", id]);
    }
    let said = text(&f, "best", &[]);
    assert!(said.starts_with("Note: no run is complete at large"), "{said}");
    assert!(text(&f, "export", &["--format", "json"]).contains("no run is complete at large"));
    f.json("suggest", &["--fidelity", "large"]);
    text(&f, "tell", &["--trial", "4", "--loss", "2"]);
    assert!(!text(&f, "best", &[]).contains("no run is complete"));
}

#[test]
fn nothing_is_recommended_before_anything_is_known() {
    let f = Fixture::new("exit 1", "", "");
    f.json("suggest", &[]);
    for arguments in [&["best"][..], &["export", "--format", "json"], &["best", "--format", "json"]] {
        let output = f.run(arguments[0], &arguments[1..]);
        assert_eq!((code(&output), output.stdout.len()), (Some(1), 0), "{arguments:?}");
        assert!(stderr(&output).contains("no run of the study t is complete, so nothing is recommended"));
    }
    text(&f, "report", &[]);
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    assert!(page.contains("nothing is recommended") && !page.contains("on the mixture below"));
}

/// The model's hyperparameters are in the units of the runs that it was fitted to, whatever is imported before them.
#[test]
fn cheap_runs_that_are_imported_do_not_shift_what_is_expected_at_the_target() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 12\n[optimizer]\ninitial = 4");
    f.json("optimize", &["-q"]);
    let expected = |f: &Fixture| {
        let best = f.json("best", &[]);
        (best["expected"]["mean"].as_f64().unwrap(), best["expected"]["sd"].as_f64().unwrap())
    };
    let before = expected(&f);
    // The loss is the weight of `a`, as it is for the trainer.
    let row = |i: usize| {
        let a = 0.9 + 0.001 * i as f64;
        format!("r{i},small,{a},{},{},{a}\n", (1.0 - a) / 2.0, (1.0 - a) / 2.0)
    };
    let rows: String = (0..29).map(row).collect();
    f.write("runs.csv", &format!("run_id,fidelity,w:a,w:b,w:c,y:loss\n{rows}"));
    let import = f.command("import").args(["--from", "wide", "runs.csv"]).output().unwrap();
    assert_eq!(code(&import), Some(0), "{}", stderr(&import));
    let after = expected(&f);
    let moved = (after.0 - before.0).abs();
    assert!(moved <= 4.0 * before.1 && after.1 <= 2.0 * before.1, "{before:?} before the import, {after:?} after it");
}

#[test]
fn a_study_that_cannot_tell_mixtures_apart_says_so() {
    // The loss is luck: a number of the seed.
    let luck = "echo \"{\\\"loss\\\": 2.$(($4 % 97))}\" > \"$1\"";
    let f = Fixture::new(luck, "", "[budget]\ntrials = 12\n[optimizer]\ninitial = 6");
    f.json("optimize", &["-q"]);
    let best = f.json("best", &[]);
    let said = best["caveats"].as_array().unwrap().last().unwrap().as_str().unwrap();
    assert!(
        said.starts_with("these runs do not tell mixtures apart") && said.contains("would show smaller ones"),
        "{said}"
    );
    assert!(text(&f, "best", &[]).contains("Note: these runs do not tell mixtures apart"));
    text(&f, "report", &[]);
    assert!(fs::read_to_string(f.path("run/report.html")).unwrap().contains("these runs do not tell mixtures apart"));
    // The loss is the weight of a domain, and there are as many runs.
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 24\n[optimizer]\ninitial = 6");
    f.json("optimize", &["-q"]);
    assert!(f.json("best", &[])["caveats"].as_array().unwrap().is_empty());
}
