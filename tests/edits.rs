//! Configs that change while their studies live, and studies that learn from others.

#[path = "common/journal.rs"]
mod journal;
#[path = "common/study.rs"]
mod study;

use std::fs;
use std::os::unix::process::ExitStatusExt;

use journal::{check, journal, limited, run, stdout};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use study::{Fixture, GOOD, code, stderr};

#[test]
fn what_may_change_is_recorded_and_said_once() {
    let f = Fixture::new(GOOD, "env = { TOKEN = \"hush-1\" }\ntimeout = \"1h\"", "[budget]\ntrials = 3");
    f.json("optimize", &["-q"]);
    for (from, to) in [
        ("name = \"b\"", "name = \"b\"\nmax = 0.9"),
        ("[objective]", "[[group]]\nname = \"g\"\ndomains = [\"a\", \"b\"]\nmax = 0.95\n[objective]"),
        ("trials = 3", "trials = 5\ncost = 100\n[optimizer]\ninitial = 4"),
        ("timeout = \"1h\"", "slots = 2"),
        ("TOKEN = \"hush-1\"", "TOKEN = \"hush-2\", OTHER = \"hush-3\""),
        ("cost = 1.0", "cost = 2.0\nmax_trials = 50"),
    ] {
        f.edit(from, to);
    }
    let before = f.events().len();
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let resumed = &f.events()[before];
    assert!(resumed["event"] == "resumed" && resumed["time"].as_f64() > Some(1e9), "{resumed}");
    let changes = json!({
        "budget.cost": {"from": null, "to": 100},
        "budget.trials": {"from": 3, "to": 5},
        "domain.b.max": {"from": null, "to": 0.9},
        "fidelity.small.cost": {"from": 1, "to": 2},
        "fidelity.small.max_trials": {"from": null, "to": 50},
        "group.g.domains": {"from": null, "to": ["a", "b"]},
        "group.g.max": {"from": null, "to": 0.95},
        "launcher.env.OTHER": {"from": null, "to": "set"},
        "launcher.slots": {"from": null, "to": 2},
        "launcher.timeout": {"from": "1h", "to": null},
        "optimizer.initial": {"from": null, "to": 4},
    });
    assert_eq!(resumed["changed"], changes);
    let said = stderr(&output);
    assert_eq!(said.matches("budget.trials 3 → 5").count(), 1, "{said}");
    assert!(said.contains("launcher.timeout \"1h\" → not set"), "{said}");
    assert!(!journal(&f).contains("hush"), "values of the environment are nobody's business");
    assert_eq!(f.json("status", &[])["trials"]["complete"], 5);

    let output = f.run("suggest", &[]);
    assert_eq!((code(&output), stderr(&output).as_str()), (Some(0), ""), "nothing has changed since");
    // Written differently, but the same.
    f.edit("params = 1e3", "params = 1000");
    let output = f.run("tell", &["--trial", "6", "--loss", "1", "--set", "budget.trials=9"]);
    assert!(stderr(&output).contains("budget.trials 5 → 9") && !stderr(&output).contains("params"));
    let (found, sound) = check(&f);
    assert!(sound, "{found}");
    assert_eq!(found["changes"].as_array().unwrap().len(), 2);
    assert_eq!((&found["changes"][0]["changed"], &found["changes"][0]["time"]), (&changes, &resumed["time"]));
    let shown = stdout(&run(&f, "check", &[]));
    assert!(shown.contains("Z: budget.trials 5 → 9\n") && shown.contains("config changed 20"), "{shown}");
}

#[test]
fn repetition_may_change_and_is_recorded() {
    let f = Fixture::new(GOOD, "", "");
    for (entry, tokens) in [("a", 1000), ("b", 4000), ("c", 500), ("small", 100), ("large", 1000)] {
        f.edit(&format!("name = \"{entry}\"\n"), &format!("name = \"{entry}\"\ntokens = {tokens}\n"));
    }
    assert!(f.json("suggest", &[])["trials"][0].get("unique_tokens").is_none());
    let output = f.run("suggest", &["--set", "limits.match_repetition=true", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["trials"][0]["unique_tokens"]["b"], 400.0);
    assert!(stderr(&output).contains("limits.match_repetition not set → true"), "{}", stderr(&output));
}

#[test]
fn fidelities_come_and_only_untrained_ones_go() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 8\n[optimizer]\ninitial = 6");
    f.edit("[objective]", "[[fidelity]]\nname = \"unused\"\ncost = 3.0\nparams = 5e3\n[objective]");
    f.json("optimize", &["-q"]);
    assert!(!f.of("model").is_empty());
    f.edit("name = \"unused\"\ncost = 3.0\nparams = 5e3", "name = \"medium\"\ncost = 2.0\nparams = 3e3");
    let output = f.run("suggest", &["--fidelity", "medium"]);
    assert!(
        code(&output) == Some(0) && stderr(&output).contains("fidelity.medium.cost not set → 2"),
        "{}",
        stderr(&output)
    );
    assert_eq!(f.of("suggested").last().unwrap()["fidelity"], "medium");
    assert!(f.json("best", &[])["expected"]["sd"].is_number());
    assert_eq!(f.json("optimize", &["-q", "--set", "budget.trials=10"])["spent"]["trials"], 10);
    let before = journal(&f);
    f.edit("name = \"medium\"", "name = \"tiny\"");
    refused(&f, "fidelity `medium` has runs, but is not in the config");
    assert_eq!(journal(&f), before);
    // A larger size would be the target by default.
    f.edit("name = \"tiny\"\ncost = 2.0", "name = \"medium\"\ncost = 9.0");
    refused(&f, "target fidelity (`target = true`): the journal has large, the config medium");
    f.edit("cost = 4.0", "cost = 4.0\ntarget = true");
    f.json("suggest", &["-q"]);
}

/// Nobody works with this config, and everybody says why and what to do.
fn refused(f: &Fixture, why: &str) {
    for command in ["status", "best", "optimize", "suggest", "tell --trial 1 --loss 1"] {
        let words: Vec<&str> = command.split(' ').collect();
        let output = f.run(words[0], &words[1..]);
        let said = stderr(&output);
        assert!(code(&output) == Some(2) && output.stdout.is_empty(), "{command}: {said}");
        let fork = format!("--fork {}", f.path("run").display());
        assert!(said.contains(why) && said.contains("study.toml contradicts") && said.contains(&fork), "{said}");
    }
}

#[test]
fn another_question_is_another_study() {
    let f = Fixture::new(GOOD, "", "");
    f.json("suggest", &["-n", "2"]);
    f.run("tell", &["--trial", "1", "--loss", "1.5"]);
    let (text, before) = (fs::read_to_string(f.path("study.toml")).unwrap(), journal(&f));
    for (from, to, why) in [
        (
            "name = \"b\"",
            "name = \"d\"",
            "domain `b` is in the journal, but not in the config (with max = 0 it gets no weight",
        ),
        ("name = \"b\"", "name = \"d\"", "domain `d` is in the config, but not in the journal"),
        ("[[domain]]\nname = \"c\"\n", "", "domain `c` is in the journal"),
        ("[[fidelity]]\nname = \"small\"", "[[domain]]\nname = \"e\"\n[[fidelity]]\nname = \"small\"", "domain `e`"),
        ("metric = \"loss\"", "metric = \"other\"", "metric `loss` of the objective is in the journal, but not"),
        (
            "metric = \"loss\"",
            "metrics = { loss = -1 }",
            "weight of the metric `loss`: the journal has 1, the config -1",
        ),
        ("metric = \"loss\"", "aggregate = \"worst\"", "objective.aggregate: the journal has mean, the config worst"),
        ("metric = \"loss\"", "direction = \"maximize\"", "objective.direction: the journal has minimize"),
        ("seed = 7", "seed = 8", "study.seed: the journal has 7, the config 8"),
        ("name = \"small\"", "name = \"tiny\"", "fidelity `small` has runs"),
    ] {
        f.edit(from, to);
        refused(&f, why);
        f.write("study.toml", &text);
    }
    assert_eq!(journal(&f), before);
}

#[test]
fn a_fork_learns_from_the_old_runs() {
    let f = Fixture::new(
        r#"printf '{"metrics": {"loss": %s, "other": 2.5}, "se": 0.01}' "$2" > "$1.tmp" && mv "$1.tmp" "$1""#,
        "",
        "[budget]\ntrials = 9\n[confirm]\n[optimizer]\ninitial = 7",
    );
    f.edit("name = \"c\"", "name = \"c\"\nmax = 0.0");
    f.json("optimize", &["-q", "--set", "budget.trials=4"]);
    f.edit("max = 0.0", "max = 0.3");
    f.json("optimize", &["-q"]);
    f.json("suggest", &[]);
    let old = journal(&f);
    let weights: Vec<Value> =
        f.of("suggested").into_iter().take(f.of("completed").len()).map(|e| e["weights"].clone()).collect();
    let kept = weights.iter().filter(|w| w["c"].as_f64().unwrap() <= 1e-9).count();
    let runs = weights.len();
    assert!(kept >= 4 && kept < runs, "{weights:?}");

    // Without `c`, with `d`, and for another metric too.
    f.edit("[[domain]]\nname = \"c\"\nmax = 0.3\n", "[[domain]]\nname = \"d\"\n");
    f.edit("metric = \"loss\"", "metrics = { loss = 1, other = 1 }");
    let (from, new) = (f.path("run"), f.path("new"));
    let fork = |command: &str, dir: &std::path::Path, more: &[&str]| {
        let mut arguments = vec!["--fork", from.to_str().unwrap(), "--dir", dir.to_str().unwrap()];
        arguments.extend(more);
        f.run(command, &arguments)
    };
    let output = fork("suggest", &from, &[]);
    assert!(code(&output) == Some(2) && stderr(&output).contains("is not empty"), "{}", stderr(&output));
    let status = limited(&f, 500, &["suggest", "--fork", "run", "--dir", "new"]);
    assert_eq!(status.signal(), Some(Signal::SIGXFSZ as i32), "cut short");
    assert_eq!(code(&fork("suggest", &new, &["--dry-run"])), Some(2));

    let output = fork("suggest", &new, &["--format", "json", "--wait"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let said = format!(
        "forked: {runs} runs of t in {} imported; {} of them count in part, on domains that are gone: c",
        from.display(),
        runs - kept
    );
    assert!(stderr(&output).contains(&said), "{}", stderr(&output));
    let text = fs::read_to_string(new.join("journal.jsonl")).unwrap();
    let events: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        (&events[0]["format"], &events[1]["event"], &events[1]["name"]),
        (&11.into(), &"forked".into(), &"t".into())
    );
    let imported: Vec<&Value> = events.iter().filter(|e| e["event"] == "imported").collect();
    assert_eq!(imported.len(), runs);
    for run in imported {
        let source = run["source"].as_str().unwrap();
        let trial: usize = source.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(source.starts_with(from.to_str().unwrap()) && run["weights"]["d"] == 0.0, "{run}");
        // What it drew from `c` is kept apart; the rest is a mixture of its own.
        let [a, c] = ["a", "c"].map(|name| weights[trial - 1][name].as_f64().unwrap());
        assert!((run["past"]["gone"]["c"].as_f64().unwrap_or(0.0) - c).abs() < 1e-9, "{run}");
        assert!((run["weights"]["a"].as_f64().unwrap() - a / (1.0 - c)).abs() < 1e-9, "{run}");
        assert_eq!((&run["metrics"]["other"], &run["se"]["loss"]), (&2.5.into(), &0.01.into()));
    }
    assert_eq!(journal(&f), old, "the old study is as it was");

    let dir = ["--dir", new.to_str().unwrap()];
    let status = f.json("status", &dir);
    assert_eq!((&status["imported"], &status["spent"]["cost"]), (&runs.into(), &0.0.into()));
    let output = fork("optimize", &new, &[]);
    assert!(code(&output) == Some(2) && stderr(&output).contains("leave `--fork` out"), "{}", stderr(&output));
    assert_eq!(f.json("optimize", &[&dir[..], &["-q", "--set", "budget.trials=2"]].concat())["spent"]["trials"], 2);
    let shown = stdout(&run(&f, "check", &dir));
    assert!(shown.contains(&said) && shown.contains("format 11") && shown.ends_with("sound\n"), "{shown}");
    assert!(stdout(&f.run("status", &dir)).contains(&format!("imported runs: {runs}")));

    // With `c` at zero, the others are runs of the new study, too.
    f.edit("[[domain]]\nname = \"d\"\n", "[[domain]]\nname = \"d\"\n[[domain]]\nname = \"c\"\nmax = 0.0\n");
    let output = fork("suggest", &f.path("kept"), &[]);
    let all = format!("forked: {runs} runs of t in {} imported\n", from.display());
    assert!(stderr(&output).contains(&all), "{}", stderr(&output));
    f.edit("[[domain]]\nname = \"c\"\nmax = 0.0\n", "");

    // A fork of the fork has its runs and those that it began with, under their own names.
    let again = f.path("again");
    f.edit("params = 1e4", "params = 2e4");
    let output = f.run("suggest", &["--fork", new.to_str().unwrap(), "--dir", again.to_str().unwrap()]);
    assert!(stderr(&output).contains("of a fidelity whose params or tokens have changed"), "{}", stderr(&output));
    let text = fs::read_to_string(again.join("journal.jsonl")).unwrap();
    assert!(text.contains(&format!("\"source\":\"{}, trial ", from.display())));
    let output = f.run("suggest", &["--fork", "nowhere", "--dir", "never"]);
    let nowhere = format!("no study in {}", f.path("nowhere").display());
    assert!(code(&output) == Some(1) && stderr(&output).contains(&nowhere), "{}", stderr(&output));
    assert!(!f.path("never").exists());
}

/// Three domains in place of the fixture's `[[domain]]` entries.
fn with_domains(f: &Fixture, dir: &str, domains: &str) {
    let text = fs::read_to_string(f.path("study.toml")).unwrap();
    let (head, rest) = text.split_once("[[domain]]").unwrap();
    let rest = &rest[rest.find("[[fidelity]]").unwrap()..];
    let head = head.replace(&format!("{:?}", f.path("run")), &format!("{:?}", f.path(dir)));
    let rest = rest.split("[launcher]").next().unwrap();
    f.write(&format!("{dir}.toml"), &format!("{head}{domains}\n{rest}"));
}

#[test]
fn a_fork_follows_domains_that_were_renamed_split_and_merged() {
    let f = Fixture::new(GOOD, "", "");
    let rows: String =
        (1..=6).map(|i| format!("r{i},small,0.{i},0.2,{:.1},2.{i}\n", 0.8 - 0.1 * f64::from(i))).collect();
    f.write("runs.csv", &format!("run_id,fidelity,w:a,w:b,w:c,y:loss\n{rows}"));
    let admire = |command: &str, config: &str, more: &[&str]| {
        let mut admire = std::process::Command::new(env!("CARGO_BIN_EXE_admire"));
        admire.args([command, "--config", config]).args(more).current_dir(f.root.path()).output().unwrap()
    };
    let import = |config: &str, log: &str| {
        let output = admire("import", config, &["--from", "wide", log]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    };
    import("study.toml", "runs.csv");
    let json = |output: std::process::Output| -> Value {
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };

    // Renamed, and split by tokens; a name that the old study does not have is found out.
    let split = "[[domain]]\nname = \"docs\"\nwas = \"a\"\n[[domain]]\nname = \"b\"\nsplit_of = \"b\"\ntokens = 3e9\n\
                 [[domain]]\nname = \"forums\"\nsplit_of = \"b\"\ntokens = 1e9\n[[domain]]\nname = \"c\"";
    with_domains(&f, "split", &split.replace("was = \"a\"", "was = \"aa\""));
    for command in ["check", "suggest"] {
        let output = admire(command, "split.toml", &["--fork", "run"]);
        let wrong =
            "split.toml: line 7: domain[0].was: `aa` is no domain of the study that is forked; did you mean \"a\"?";
        assert!(code(&output) == Some(2) && stderr(&output).contains(wrong), "{}", stderr(&output));
    }
    with_domains(&f, "split", split);
    let shown = stdout(&admire("check", "split.toml", &["--fork", "run"]));
    assert!(shown.contains(&format!("runs of t in {}\n  6 count fully\n", f.path("run").display())), "{shown}");
    let forked = json(admire("check", "split.toml", &["--fork", "run", "--format", "json"]))["forked"].clone();
    let part = |share: f64| json!({"split_of": {"domain": "b", "share": share}});
    assert_eq!(forked["relations"], json!({"docs": {"was": "a"}, "b": part(0.75), "forums": part(0.25)}));
    assert!(!f.path("split").exists(), "nothing was begun");
    json(admire("suggest", "split.toml", &["--fork", "run", "--format", "json"]));
    let events = fs::read_to_string(f.path("split/journal.jsonl")).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let weights = |run: &Value, of: [&str; 4]| of.map(|name| run["weights"][name].as_f64().unwrap());
    assert_eq!(events[1]["relations"], forked["relations"]);
    let [docs, b, forums, c] = weights(&events[4], ["docs", "b", "forums", "c"]);
    assert!([docs - 0.3, b - 0.15, forums - 0.05, c - 0.5].iter().all(|x| x.abs() < 1e-12), "{}", events[4]);

    // The study goes on without --fork, and its keys may stay. One of its own runs draws the parts as nature does, one does not.
    f.write(
        "more.csv",
        "run_id,fidelity,w:docs,w:b,w:forums,w:c,y:loss\nm,small,0.6,0.3,0.1,0,2\nn,small,0.7,0,0.3,0,2\n",
    );
    import("split.toml", "more.csv");
    let merged = "[[domain]]\nname = \"a\"\nwas = \"docs\"\n[[domain]]\nname = \"b\"\nmerge_of = { b = 3, forums = 1 }\n\
                  [[domain]]\nname = \"c\"";
    with_domains(&f, "merged", merged);
    let output = admire("suggest", "merged.toml", &["--fork", "split"]);
    let said = "forked: 8 runs of t in";
    let why = "1 of them count in part, with other shares than merge_of states: b";
    assert!(stderr(&output).contains(said) && stderr(&output).contains(why), "{}", stderr(&output));
    let events = fs::read_to_string(f.path("merged/journal.jsonl")).unwrap();
    let runs: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let runs: Vec<&Value> = runs.iter().filter(|event| event["event"] == "imported").collect();
    assert_eq!(runs.iter().filter(|run| !run["past"].is_null()).count(), 1);
    assert!((runs[7]["past"]["changed"]["b"].as_f64().unwrap() - 0.225).abs() < 1e-12, "{}", runs[7]);
    for (run, old) in runs.iter().zip(f.of("imported")) {
        let same = |name: &str| (run["weights"][name].as_f64().unwrap() - old["weights"][name].as_f64().unwrap()).abs();
        assert!(["a", "b", "c"].iter().all(|name| same(name) < 1e-12), "{run} {old}");
        assert_eq!((&run["metrics"], &run["source"]), (&old["metrics"], &old["source"]));
    }
}

#[test]
fn a_group_is_frozen_in_the_ratios_that_another_study_recommends() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 3\n[optimizer]\ninitial = 3");
    f.json("suggest", &[]);
    let frozen = "[[domain]]\nname = \"bb\"\nwas = \"b\"\n[[domain]]\nname = \"c\"\n[[domain]]\nname = \"new\"\n\
                  [[group]]\nname = \"old\"\ndomains = [\"bb\", \"c\"]\nfreeze = \"recommended of run\"";
    with_domains(&f, "new", frozen);
    let admire = |command: &str, more: &[&str]| {
        let mut admire = std::process::Command::new(env!("CARGO_BIN_EXE_admire"));
        admire.args([command, "--config", "new.toml"]).args(more).current_dir(f.root.path()).output().unwrap()
    };
    let output = admire("check", &[]);
    let why = "group[0].freeze: the search in run has not ended, so it recommends nothing for good";
    assert!(code(&output) == Some(2) && stderr(&output).contains(why), "{}", stderr(&output));
    let recommended = f.json("optimize", &["-q"])["weights"].clone();
    let [b, c] = ["b", "c"].map(|name| recommended[name].as_f64().unwrap());
    // A misspelled name is not a domain that drew nothing.
    let right = fs::read_to_string(f.path("new.toml")).unwrap();
    f.write("new.toml", &right.replace("was = \"b\"", "was = \"bee\""));
    let said = stderr(&admire("check", &[]));
    f.write("new.toml", &right);
    assert!(said.contains("group[0].freeze: `bee` is no domain of the study in run"), "{said}");
    let output = admire("suggest", &["--fork", "run", "-n", "2", "--format", "json"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let events = fs::read_to_string(f.path("new/journal.jsonl")).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ratio = events[0]["settings"]["group.old.freeze.bb"].as_f64().unwrap();
    assert!((ratio - b / (b + c)).abs() < 1e-12, "{ratio} {recommended}");
    for trial in events.iter().filter(|event| event["event"] == "suggested") {
        let [bb, c] = ["bb", "c"].map(|name| trial["weights"][name].as_f64().unwrap());
        assert!((bb - ratio * (bb + c)).abs() < 1e-12, "{trial}");
    }
    // What it recommends by then is another matter.
    f.json("suggest", &[]);
    let said = stderr(&admire("status", &[]));
    assert!(
        said.contains("has not ended") && said.contains("a study that has begun has them in its journal"),
        "{said}"
    );
}

#[test]
fn old_runs_with_changed_or_lost_data_teach_about_the_rest() {
    // The loss is `a` squared, half of what `b` was, and twice what `c` was.
    let f = Fixture::new(GOOD, "", "[optimizer]\ninitial = 4");
    let row = |i: usize| {
        let (a, b) = (i as f64 / 16.0, (i * 7 % 16) as f64 / 16.0 * (1.0 - i as f64 / 16.0));
        let c = 1.0 - a - b;
        format!("{i},large,{a},{b},{c},{:.4}\n", 2.0 + a * a + 0.5 * b + 2.0 * c)
    };
    f.write("runs.csv", &format!("run_id,fidelity,w:a,w:b,w:c,y:loss\n{}", (0..16).map(row).collect::<String>()));
    let admire = |command: &str, config: &str, more: &[&str]| {
        let mut admire = std::process::Command::new(env!("CARGO_BIN_EXE_admire"));
        admire.args([command, "--config", config]).args(more).current_dir(f.root.path()).output().unwrap()
    };
    let json = |output: std::process::Output| -> Value {
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(code(&admire("import", "study.toml", &["--from", "wide", "runs.csv"])), Some(0));

    // `c` is gone, and `b` has other data.
    with_domains(
        &f,
        "new",
        "[[domain]]\nname = \"a\"\n[[domain]]\nname = \"b\"\nrevised = true\n[[domain]]\nname = \"d\"\n",
    );
    let checked = json(admire("check", "new.toml", &["--fork", "run", "--format", "json"]));
    let partly = checked["forked"]["partly"].as_object().unwrap();
    assert!(
        partly.keys().any(|reason| reason == "on domains that are gone: c; on data from before a revision: b"),
        "{partly:?}"
    );
    assert_eq!((&checked["forked"]["imported"], &checked["forked"]["revised"]), (&15.into(), &json!(["b"])));
    assert_eq!(checked["forked"]["dropped"], json!({"with all weight on domains that are gone": 1}));
    json(admire("suggest", "new.toml", &["--fork", "run", "--format", "json", "--fidelity", "large"]));
    let predicted = |config: &str, mixture: &str| -> (f64, f64) {
        let said = json(admire("predict", config, &[mixture, "--format", "json"]));
        let objective = &said["mixtures"][0]["expected"]["objective"];
        (objective["mean"].as_f64().unwrap(), objective["sd"].as_f64().unwrap())
    };
    let (mean, sd) = predicted("new.toml", "a=1");
    assert!((mean - 3.0).abs() < 0.3, "{mean} ± {sd}");
    // Of `b` as it is now little is known: less than of `a`, and than of `b` as it was.
    let (_, unsure) = predicted("new.toml", "a=0.3,b=0.7");
    let (_, sure) = predicted("study.toml", "a=0.3,b=0.7,c=0");
    assert!(unsure > 1.5 * sd.max(sure), "{unsure} {sd} {sure}");
    // Runs that are not of this study's mixtures are not exported as such.
    let output = admire("export", "new.toml", &[]);
    assert!(stderr(&output).contains("imported runs left out, which drew data that this study no longer has"));
    let resumed = json(admire("status", "new.toml", &["--format", "json"]));
    assert_eq!(resumed["imported"], 15);
}
