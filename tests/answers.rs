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
    let before = fs::read_to_string(f.path("study.toml")).unwrap();
    let domain = format!("name = \"{name}\"\n");
    for (from, to, section) in [
        (domain.as_str(), format!("{domain}max = {max}\n"), ""),
        // As many tokens as allow this share of the target's.
        (&domain, format!("{domain}tokens = {}\n", max * 1e9), "[limits]\ntarget_tokens = 1e9\nmax_epochs = 1\n"),
        ("[objective]\n", format!("[[group]]\nname = \"g\"\ndomains = [\"{name}\"]\nmax = {max}\n[objective]\n"), ""),
    ] {
        f.write("study.toml", &(before.clone() + section));
        f.edit(from, &to);
        let best = f.json("best", &[]);
        assert!(weight(&best, name) <= max + 1e-6, "{to}: {best}");
        let said = best["caveats"][0].as_str().unwrap();
        assert!(said.contains("breaks the present config") && said.contains("recommended anew"), "{said}");
        assert!(text(&f, "best", &[]).starts_with("Note: what was recommended when the search stopped breaks"));

        let out = f.path("mixture.json");
        assert!(text(&f, "export", &["--format", "json", "--out", out.to_str().unwrap()]).contains("recommended anew"));
        let exported: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
        assert!(weight(&exported, name) <= max + 1e-6, "{exported}");

        text(&f, "report", &[]);
        let page = fs::read_to_string(f.path("run/report.html")).unwrap();
        assert!(page.contains("this is recommended anew, within the bounds"));
        let status = f.json("status", &[]);
        assert!(status["stopped"] == "trials" && status["recommended"].is_null(), "{status}");
        assert!(text(&f, "status", &[]).contains("`admire best` recommends anew"));
    }
    f.write("study.toml", &before);
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
    assert!(said.contains("older than 2 runs; now it would be a=0.9"), "{said}");
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
    // The loss is luck: a number of the seed. Now and then luck looks like a difference.
    let luck = r#"awk -v s="$4" -v out="$1" 'BEGIN { printf "{\"loss\": %.4f}", 2 + s % 997 / 997 > out }'"#;
    let says_so = |seed: &u64| {
        let f = Fixture::new(luck, "", "[budget]\ntrials = 12\n[optimizer]\ninitial = 6");
        f.edit("seed = 7", &format!("seed = {seed}"));
        f.json("optimize", &["-q"]);
        let best = f.json("best", &[]);
        let caveats = best["caveats"].as_array().unwrap();
        let said = caveats.last().map_or("", |said| said.as_str().unwrap());
        let says_so = said.starts_with("these runs do not tell mixtures apart");
        assert!(!says_so || said.contains("would show smaller ones"), "{said}");
        text(&f, "report", &[]);
        let report = fs::read_to_string(f.path("run/report.html")).unwrap();
        for page in [text(&f, "best", &[]), report] {
            assert_eq!(page.contains("these runs do not tell mixtures apart"), says_so, "{page}");
        }
        says_so
    };
    assert!((1..6).filter(says_so).count() >= 4);
    // The loss is the weight of a domain, and there are as many runs.
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 24\n[optimizer]\ninitial = 6");
    f.json("optimize", &["-q"]);
    let best = f.json("best", &[]);
    assert!(!best["caveats"].to_string().contains("do not tell mixtures apart"), "{best}");
}

/// Two metrics at two sizes: one is the weight of `a`, the other falls with it. Nothing was suggested, so there is no recommendation of a
/// search that has ended.
fn imported() -> Fixture {
    let f = Fixture::new(GOOD, "", "[limits]\ntarget_tokens = 1e9");
    f.edit("metric = \"loss\"", "metrics = { loss = 2.0, other = 1.0 }");
    f.edit("name = \"b\"", "name = \"b\"\ntokens = 5e8\nmax = 0.8\nprior = 1.0");
    let row = |i: usize| {
        let (a, b) = (i as f64 / 13.0, (i * 5 % 14) as f64 / 13.0 * (1.0 - i as f64 / 13.0));
        let (size, level) = if i.is_multiple_of(2) { ("large", 1.0) } else { ("small", 2.0) };
        format!("{i},{size},{a},{b},{},{},{}\n", 1.0 - a - b, a + level, 3.0 - 0.5 * a)
    };
    let rows: String = (0..14).map(row).collect();
    f.write("runs.csv", &format!("run_id,fidelity,w:a,w:b,w:c,y:loss,y:other\n{rows}"));
    let import = f.command("import").args(["--from", "wide", "runs.csv"]).output().unwrap();
    assert_eq!(code(&import), Some(0), "{}", stderr(&import));
    f
}

fn mean(value: &Value) -> f64 {
    value["mean"].as_f64().unwrap()
}

fn sd(value: &Value) -> f64 {
    value["sd"].as_f64().unwrap()
}

/// Whether two numbers are the same, but for rounding.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * (1.0 + a.abs())
}

#[test]
fn predictions_agree_with_best_and_with_one_another() {
    let f = imported();
    let best = f.json("best", &[]);
    let predicted = f.json("predict", &[]);
    let recommended = &predicted["mixtures"][0];
    assert_eq!((&recommended["name"], &recommended["weights"]), (&"recommended".into(), &best["weights"]));
    let expected = &recommended["expected"]["objective"];
    for key in ["mean", "sd", "noise"] {
        assert_eq!(expected[key], best["expected"][key], "{key}");
    }
    let width = |interval: &str| expected[interval][1].as_f64().unwrap() - expected[interval][0].as_f64().unwrap();
    let run = sd(expected).hypot(expected["noise"].as_f64().unwrap());
    assert!(same(width("interval"), 2.0 * 1.644_853_626_951_473 * sd(expected)), "{expected}");
    assert!(same(width("run_interval"), 2.0 * 1.644_853_626_951_473 * run), "{expected}");
    assert!((recommended["epochs"]["b"].as_f64().unwrap() - 2.0 * weight(recommended, "b")).abs() < 1e-9);

    let arguments = ["a=0.5,b=0.5", "b=0.9,c=0.1", "--against", "uniform", "--format", "json"];
    let compared: Value = serde_json::from_slice(&f.run("predict", &arguments).stdout).unwrap();
    let uniform = f.json("predict", &["uniform"])["mixtures"][0]["expected"].clone();
    for mixture in compared["mixtures"].as_array().unwrap() {
        let (expected, gain, a) = (&mixture["expected"], &mixture["gain"], weight(mixture, "a"));
        let metric = |values: &Value, name: &str| mean(&values["metrics"][name]);
        let (loss, other) = (metric(expected, "loss"), metric(expected, "other"));
        assert!((loss - a - 1.0).abs() < 0.1 && (other - 3.0 + 0.5 * a).abs() < 0.1, "{mixture}");
        assert!(same((2.0 * loss + other) / 3.0, mean(&expected["objective"])), "{expected}");
        // What one of them is smaller by; on a logarithmic scale nearly so.
        let difference = mean(&uniform["objective"]) - mean(&expected["objective"]);
        assert!((mean(&gain["objective"]) - difference).abs() < 2e-3, "{gain}");
        assert!((metric(gain, "loss") + loss - metric(&uniform, "loss")).abs() < 2e-3, "{gain}");
        let better = gain["objective"]["probability"].as_f64().unwrap();
        assert!(if a < 0.1 { better > 0.99 } else { better < 0.01 }, "{mixture}");
    }
    let broken = |i: usize| compared["mixtures"][i]["breaks"].clone();
    assert_eq!((broken(0), broken(1)), (Value::from(vec![""; 0]), Value::from(vec!["`b` ≤ 0.8"])));

    // Nearly the same mixtures are uncertain for the same reasons.
    let near = f.json("predict", &["a=0.3,b=0.2,c=0.5", "--against", "a=0.3,b=0.21,c=0.49"])["mixtures"][0].clone();
    let (one, difference) = (sd(&near["expected"]["objective"]), sd(&near["gain"]["objective"]));
    assert!(difference < 0.5 * one, "{near}");

    let small = f.json("predict", &["a=0.5,b=0.5", "--fidelity", "small"]);
    assert!((mean(&small["mixtures"][0]["expected"]["metrics"]["loss"]) - 2.5).abs() < 0.1, "{small}");
    let table = text(&f, "predict", &["b=0.9,c=0.1", "--against", "prior"]);
    for said in
        ["Expected of b=0.9,c=0.1 at large", "epochs", "gain over prior", "better with", "\nother ", "`b` ≤ 0.8"]
    {
        assert!(table.contains(said), "{said} is missing in\n{table}");
    }
    assert_ne!(
        text(&f, "predict", &["prior"]),
        text(&f, "predict", &["prior", "--noise"]),
        "intervals of runs are wider"
    );
}

#[test]
fn alternatives_are_within_noise_and_far_from_one_another() {
    let f = imported();
    let best = f.json("best", &["--alternatives", "3"]);
    let alternatives = best["alternatives"].as_array().unwrap();
    let distance = |one: &Value, other: &Value| {
        ["a", "b", "c"].iter().map(|name| (weight(one, name) - weight(other, name)).abs()).sum::<f64>() / 2.0
    };
    assert_eq!(alternatives.len(), 3, "{best}");
    for (i, alternative) in alternatives.iter().enumerate() {
        let lost = mean(&alternative["expected"]) - mean(&best["expected"]);
        assert!(lost < 1.01 * best["expected"]["noise"].as_f64().unwrap(), "{alternative}");
        assert!((mean(&alternative["gain"]) + lost).abs() < 1e-3 && weight(alternative, "b") < 0.8 + 1e-6);
        assert!((distance(alternative, &best) - alternative["distance"].as_f64().unwrap()).abs() < 1e-9);
        let first = distance(&alternatives[0], &best);
        assert!(first > 0.01 && distance(alternative, &best) <= first, "the farthest comes first: {best}");
        assert!(alternatives[..i].iter().all(|before| distance(before, alternative) > 0.005), "{best}");
    }
    assert!(text(&f, "best", &["--alternatives", "2"]).contains("Alternatives, worse by at most one run's noise"));
}

#[test]
fn mixtures_have_names_weights_or_files() {
    let f = imported();
    f.json("suggest", &[]);
    let trial = f.of("suggested")[0]["weights"].clone();
    f.write("weights.json", r#"{"a": 0.25, "c": 0.75}"#);
    f.write("object", &format!("{{\"trial\": 1, \"weights\": {trial}}}"));
    let all = ["trial:1", "@object", "weights.json", "a=0.25,c=0.751", "prior"];
    let predicted = f.json("predict", &all);
    let weights = |i: usize| predicted["mixtures"][i]["weights"].clone();
    let named: Vec<&Value> = predicted["mixtures"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
    assert_eq!(named, ["trial 1", "object", "weights", "a=0.25,c=0.751", "prior"]);
    assert_eq!(weights(1), weights(0));
    assert_eq!(weights(2), serde_json::json!({"a": 0.25, "b": 0.0, "c": 0.75}));
    assert!(
        (weights(3)["c"].as_f64().unwrap() - 0.751 / 1.001).abs() < 1e-12,
        "rounded weights are divided by their sum"
    );
    assert!((weights(4)["b"].as_f64().unwrap() - 0.8).abs() < 1e-6, "the prior within the bounds");
    for (mixture, said) in [
        ("a=0.5,bb=0.5", "`bb` is no domain of this study; did you mean \"b\"?"),
        ("a=0.5,b=0.3", "the weights sum to 0.8, not to 1; divided by their sum they are a=0.625,b=0.375"),
        ("a=0.5,b", "`b` has no weight"),
        ("a=1.5,b=-0.5", "weights are finite and not negative"),
        ("a=x", "`x` is no number"),
        ("a=0.5,a=0.5", "appears twice"),
        ("unifrom", "did you mean uniform? A mixture is recommended, uniform, prior, trial:N, weights like"),
        ("trial:9", "there is no trial 9"),
        ("trial:one", "expected the number of a trial"),
        ("@study.toml", "expected JSON like"),
    ] {
        for arguments in
            [&["predict", mixture][..], &["predict", "prior", "--against", mixture], &["report", "--compare", mixture]]
        {
            let output = f.run(arguments[0], &arguments[1..]);
            let error = stderr(&output);
            assert_eq!((code(&output), output.stdout.len()), (Some(2), 0), "{mixture}: {error}");
            assert!(error.contains(said), "{mixture}: {error}");
        }
    }
    assert_eq!(code(&f.run("predict", &["@nothing.json"])), Some(1));
}

#[test]
fn a_prediction_says_what_it_rests_on() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &["--fidelity", "small"]);
    let output = f.run("predict", &["uniform"]);
    assert_eq!((code(&output), output.stdout.len()), (Some(1), 0));
    assert!(stderr(&output).contains("no run of the study t is complete"), "{}", stderr(&output));
    text(&f, "tell", &["--trial", "1", "--loss", "1"]);
    assert!(text(&f, "predict", &["uniform"]).starts_with("Note: no run is complete at large"));
    assert!(text(&f, "predict", &["uniform", "--fidelity", "small"]).starts_with("Expected of uniform at small"));
    assert!(stderr(&f.run("predict", &["--fidelity", "smal"])).contains("no such fidelity; there are small, large"));
}

#[test]
fn a_what_if_is_answered_anew_and_changes_nothing() {
    // Another metric that is reported, but not in the objective: the more of `a`, the better.
    let script = r#"printf '{"metrics": {"loss": %s, "other": -%s}}' "$2" "$2" > "$1.tmp" && mv "$1.tmp" "$1""#;
    let f = Fixture::new(script, "", "[budget]\ntrials = 8\n[optimizer]\ninitial = 4");
    f.edit("name = \"a\"", "name = \"a\"\nmin = 0.2");
    f.json("optimize", &["-q"]);
    let journal = || fs::read_to_string(f.path("run/journal.jsonl")).unwrap();
    let (before, best) = (journal(), f.json("best", &[]));
    assert!(notes(&best).is_empty() && (weight(&best, "a") - 0.2).abs() < 0.1, "{best}");

    // What was recommended is still allowed, but there is better.
    let wider = ["--set", "domain.a.min=0.0"];
    let asked = f.json("best", &wider);
    assert!(weight(&asked, "a") < 0.1, "{asked}");
    assert_eq!(notes(&asked), ["this answers a what-if (domain.a.min 0.2 → 0) and changes nothing about the study"]);
    let uniform = [&wider[..], &["--set", "domain.a.max=0.1", "uniform"]].concat();
    assert!((weight(&f.json("predict", &uniform)["mixtures"][0], "a") - 0.1).abs() < 1e-6, "within other bounds");

    let other = ["--set", "objective.metric='other'"];
    let asked = f.json("best", &other);
    assert!(weight(&asked, "a") > 0.8 && mean(&asked["expected"]) < -0.4, "{asked}");
    let said = "objective.metrics.loss 1.0 → not set, objective.metrics.other not set → 1.0";
    assert!(notes(&asked)[0].contains(said) && asked["calibration"]["all"].is_null(), "{asked}");
    let predicted = f.json("predict", &[&other[..], &["a=0.6,b=0.4"]].concat());
    assert!((mean(&predicted["mixtures"][0]["expected"]["objective"]) + 0.6).abs() < 0.4, "{predicted}");
    text(&f, "report", &other);
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    assert!(page.contains("this answers a what-if") && page.contains("minimize other"));
    let unknown = f.run("best", &["--set", "objective.metric='nobody'"]);
    assert!(
        code(&unknown) == Some(1) && stderr(&unknown).contains("8 runs did not report all metrics"),
        "{}",
        stderr(&unknown)
    );

    // A guard on a metric that is not in the objective.
    let guard = ["--set", "guard=[{ metric = 'other', at_most = -0.5 }]"];
    let asked = f.json("predict", &[&guard[..], &["a=0.9,b=0.1", "a=0.2,b=0.8"]].concat());
    assert!(notes(&asked)[0].contains("what-if (guard not set → "), "{asked}");
    let holds = |i: usize| asked["mixtures"][i]["guards"][0]["probability"].as_f64().unwrap();
    assert!(holds(0) > holds(1) + 0.1, "{asked}");
    assert!(mean(&asked["mixtures"][0]["expected"]["metrics"]["other"]) < -0.4, "{asked}");
    assert!(text(&f, "predict", &[&guard[..], &["uniform"]].concat()).contains("guard  other at most −0.5: expected"));

    assert_eq!(journal(), before);
    assert_eq!(f.json("best", &[]), best, "the study is as it was");
    // A search can only go on under the objective that it began with; new bounds are what it has once it has gone on.
    assert_eq!(code(&f.run("optimize", &other)), Some(2));
    f.json("suggest", &wider);
    assert!(notes(&f.json("best", &wider)).is_empty());
}

/// The digits behind the point of the longest weight, as JSON has them.
fn decimals(object: &Value) -> usize {
    let weights = object["weights"].as_object().unwrap().values().map(Value::to_string);
    weights.map(|weight| weight.split_once('.').map_or(0, |(_, decimals)| decimals.len())).max().unwrap()
}

#[test]
fn weights_that_can_be_used_are_asked_for_like_any_bound() {
    let f = imported();
    let limits = ["--set", "limits.smallest_weight=0.15", "--set", "limits.step=0.05"];
    let with = |arguments: &[&'static str]| [arguments, &limits].concat();
    let best = f.json("best", &with(&["--alternatives", "3"]));
    let alternatives = best["alternatives"].as_array().unwrap();
    for object in alternatives.iter().chain([&best]) {
        assert!(decimals(object) <= 2, "{object}");
        assert!(
            ["a", "b", "c"].iter().all(|name| weight(object, name) == 0.0 || weight(object, name) >= 0.15),
            "{object}"
        );
    }
    assert!(!alternatives.is_empty());
    assert!(notes(&best)[0].contains("what-if (limits.smallest_weight not set → 0.15, limits.step not set → 0.05)"));
    // As binary numbers, 0.7, 0.2 and 0.1 do not sum to exactly 1.
    let pinned = ["--set", "domain.a.min=0.7", "--set", "domain.b.min=0.2", "--set", "domain.c.min=0.1"];
    let exported = text(&f, "export", &[&["--format", "json", "--set", "limits.step=0.05"][..], &pinned].concat());
    assert!(
        exported.contains("\"a\": 0.7,") && exported.contains("\"b\": 0.2,") && exported.contains("\"c\": 0.1"),
        "{exported}"
    );
    // The user's own mixtures stay what they are; what they break is said.
    let own = with(&["--mixture", "a=0.02,b=0.48,c=0.5", "--fidelity", "small", "--dry-run"]);
    let (said, predicted) = (text(&f, "suggest", &own), text(&f, "predict", &with(&["a=0.02,b=0.48,c=0.5"])));
    for broken in ["`a` = 0 or `a` ≥ 0.15 (limits.smallest_weight)", "weights are multiples of 0.05 (limits.step)"] {
        assert!(said.contains(&format!("breaks {broken}")), "{said}");
        assert!(predicted.contains(&format!("breaks the bound  {broken}")), "{predicted}");
    }
    assert!(said.contains("0.0200"), "{said}");
    let exact = with(&["--mixture", "a=0.15,b=0.35,c=0.5", "--fidelity", "small", "--dry-run"]);
    assert_eq!(decimals(&f.json("suggest", &exact)["trials"][0]), 2, "as stated");
}

#[test]
fn a_space_of_few_round_mixtures_is_exhausted_by_them() {
    let f = Fixture::new(GOOD, "", "[limits]\nstep = 0.5\n[optimizer]\ninitial = 9");
    let output = f.run("suggest", &["-n", "9", "--fidelity", "small", "--format", "jsonl"]);
    let trials: Vec<Value> = String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut mixtures: Vec<String> = trials.iter().map(|trial| trial["weights"].to_string()).collect();
    mixtures.sort();
    mixtures.dedup();
    assert_eq!((trials.len(), mixtures.len()), (6, 6), "{}", stderr(&output));
    assert!(stderr(&output).contains("limits.step"), "{}", stderr(&output));
}
