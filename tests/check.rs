//! What `check` says before anything is spent, and its trial for real.

#[path = "common/study.rs"]
mod study;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use study::{Fixture, GOOD, code, signal, stderr, until};

/// Names in the fixture's folder that are not the config or the trainer.
fn left(f: &Fixture) -> Vec<String> {
    let names = fs::read_dir(f.root.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n != "study.toml" && n != "train.sh").collect();
    names.sort();
    names
}

#[test]
fn the_region_says_what_limits_it_and_how_often_data_is_repeated() {
    let f = Fixture::new(GOOD, "", "");
    f.write("study.toml", admire::config::TEMPLATE);
    let checked = f.json("check", &[]);
    let books = &checked["domains"]["books"];
    assert_eq!((&books["limited_by"], &books["token_cap"]), (&json!(["token cap"]), &json!(0.8)));
    assert_eq!(books["epochs_at_most"], json!({"1M": 0.2, "60M": 1.0, "1B": 4.0}));
    assert_eq!(checked["domains"]["code"]["limited_by"], json!(["its max"]));
    let notes = checked["notes"].to_string();
    assert!(notes.contains("repeat books in the final run; runs at 1M, 60M see data less or more often"), "{notes}");

    let sets = ["domain.web.min=0.3", "group=[{name='g', domains=['code'], min=0.1}]", "domain.books.tokens=40e9"];
    let sets = sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>();
    let domains = &f.json("check", &sets)["domains"];
    assert_eq!(domains["books"]["limited_by"], json!(["min of web", "min of g"]));
    let notes = f.json("check", &["--set", "domain.books.tokens=0.2e9"])["notes"].to_string();
    assert!(notes.contains("the prior breaks the bounds") && notes.contains("books 0.100 → 0.040"), "{notes}");
}

#[test]
fn a_family_of_one_domain_is_named() {
    let f = Fixture::new(GOOD, "", "");
    for (domain, family) in [("a", "text"), ("b", "cod"), ("c", "text")] {
        f.edit(&format!("name = \"{domain}\"\n"), &format!("name = \"{domain}\"\nfamily = \"{family}\"\n"));
    }
    let checked = f.json("check", &[]);
    assert_eq!([&checked["domains"]["a"]["family"], &checked["domains"]["b"]["family"]], ["text", "cod"]);
    let notes = checked["notes"].to_string();
    assert!(notes.contains("family `cod` has one domain only, which learns from no other"), "{notes}");
    let notes = f.json("check", &["--set", "domain.b.family=\"text\""])["notes"].to_string();
    assert!(!notes.contains("family"), "{notes}");
}

#[test]
fn a_trial_is_told_how_often_it_repeats_data() {
    let f = Fixture::new(
        &format!("cp \"$ADMIRE_MIXTURE_FILE\" told.json; {GOOD}"),
        "",
        "[limits]\nmatch_repetition = true",
    );
    for (entry, tokens) in [("a", 1000), ("b", 4000), ("c", 505), ("small", 100), ("large", 1000)] {
        f.edit(&format!("name = \"{entry}\"\n"), &format!("name = \"{entry}\"\ntokens = {tokens}\n"));
    }
    f.edit("\"{seed}\"", "\"{seed}\", \"{epochs.a}\", \"{unique_tokens.c}\"");
    let checked = f.json("check", &["--trial", "-q"]);
    let told: Value = serde_json::from_str(&f.lines("told.json").concat()).unwrap();
    // A tenth of the target's tokens: a tenth of the data, in whole tokens.
    assert_eq!(told["unique_tokens"], json!({"a": 100, "b": 400, "c": 51}));
    for (name, unique) in [("a", 100.0), ("b", 400.0), ("c", 51.0)] {
        assert_eq!(told["epochs"][name], told["weights"][name].as_f64().unwrap() * 100.0 / unique);
    }
    let trial = &checked["trial"];
    assert_eq!(trial["command"][6], told["epochs"]["a"].to_string());
    assert_eq!(trial["command"][7], "51");
    assert_eq!(trial["environment"]["ADMIRE_UNIQUE_TOKENS"], "a=100,b=400,c=51");
    assert!(trial["environment"]["ADMIRE_EPOCHS"].as_str().unwrap().starts_with(&format!("a={}", told["epochs"]["a"])));
    assert_eq!(checked["first_trial"]["unique_tokens"], told["unique_tokens"]);
    assert_eq!(checked["domains"]["a"]["epochs_at_most"], json!({"small": 1.0, "large": 1.0}));
    assert!(!checked["notes"].to_string().contains("repeat"), "{checked}");

    // The final run is longer than the largest trial. No trial draws from more than there is.
    let large = |tokens: &str| {
        let set = format!("limits.target_tokens={tokens}");
        let asked = f.json("suggest", &["--dry-run", "--fidelity", "large", "--set", &set]);
        asked["trials"][0]["unique_tokens"].clone()
    };
    assert_eq!(large("4000"), json!({"a": 250, "b": 1000, "c": 126}));
    assert_eq!(large("500"), json!({"a": 1000, "b": 4000, "c": 505}));

    f.edit(", \"{epochs.a}\", \"{unique_tokens.c}\"", "");
    let checked = f.json("check", &["--trial", "-q", "--set", "limits.match_repetition=false"]);
    let told: Value = serde_json::from_str(&f.lines("told.json").concat()).unwrap();
    assert!(told.get("unique_tokens").is_none() && checked["first_trial"].get("epochs").is_none(), "{told}");
    assert_eq!(checked["trial"]["environment"]["ADMIRE_UNIQUE_TOKENS"], "");
    assert!(checked["notes"].to_string().contains("repeat c in the final run; runs at small see data"), "{checked}");
}

#[test]
fn a_frozen_group_keeps_its_ratios_wherever_mixtures_come_from() {
    let freeze = "[[group]]\nname = \"ab\"\ndomains = [\"b\", \"a\"]\nmax = 0.8\nfreeze = { a = 3, b = 1 }\n[optimizer]\ninitial = 8";
    let f = Fixture::new(GOOD, "", freeze);
    let kept = |weights: &Value| {
        let [a, b] = ["a", "b"].map(|name| weights[name].as_f64().unwrap());
        assert!((a - 3.0 * b).abs() < 1e-12 && a + b <= 0.8 + 1e-12, "{weights}");
    };
    let checked = f.json("check", &[]);
    assert_eq!(checked["design"].as_array().unwrap().len(), 8);
    checked["design"].as_array().unwrap().iter().for_each(|trial| kept(&trial["weights"]));
    assert_eq!(checked["domains"]["b"]["limited_by"], json!(["freeze of ab"]));
    let b = &checked["domains"]["b"];
    assert!((b["max"].as_f64().unwrap() - 0.2).abs() < 1e-12 && b["min"].as_f64().unwrap().abs() < 1e-12, "{b}");
    let shown = String::from_utf8(f.run("check", &[]).stdout).unwrap();
    assert!(shown.contains("0.75 a, 0.25 b"), "{shown}");

    // The loss is the weight of `a`, which falls as far as the others' bounds let it.
    f.edit("name = \"c\"", "name = \"c\"\nmax = 0.6");
    let done = f.json("optimize", &["-q", "--set", "budget.trials=10"]);
    assert!((done["weights"]["a"].as_f64().unwrap() - 0.3).abs() < 0.03, "{done}");
    kept(&done["weights"]);
    f.of("suggested").iter().for_each(|trial| kept(&trial["weights"]));
    kept(&f.json("export", &[])["weights"]);
    let said = f.run("predict", &["a=0.2,b=0.2,c=0.6"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("group `ab` is frozen at a : b = 0.75 : 0.25"), "{said}");
}

#[test]
fn weights_that_can_be_used_are_shown_and_are_those_of_the_design() {
    let f = Fixture::new(GOOD, "", "[limits]\nsmallest_weight = 0.1\nstep = 0.05\n[optimizer]\ninitial = 12");
    let checked = f.json("check", &[]);
    assert_eq!(checked["limits"], json!({"smallest_weight": 0.1, "step": 0.05, "match_repetition": false}));
    let design = checked["design"].as_array().unwrap();
    assert_eq!(design.len(), 12);
    for weight in design.iter().flat_map(|trial| trial["weights"].as_object().unwrap().values()) {
        let steps = weight.as_f64().unwrap() * 20.0;
        assert!((steps == 0.0 || steps >= 2.0) && weight.to_string().len() <= "0.05".len(), "{weight}");
    }
    let shown = String::from_utf8(f.run("check", &[]).stdout).unwrap();
    let said = "each weight is 0 or at least 0.1 (limits.smallest_weight) and a multiple of 0.05 (limits.step)";
    assert!(shown.contains(said), "{shown}");
    let scarce = ["--set", "domain.b.tokens=5", "--set", "limits.target_tokens=100", "--set", "limits.max_epochs=1"];
    let notes = f.json("check", &scarce)["notes"].to_string();
    assert!(notes.contains("b gets no weight: its token cap is below the smallest weight, 0.1"), "{notes}");
}

#[test]
fn priors_that_sum_to_something_else_are_said_and_so_is_what_costs_are_counted_in() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 1");
    let notes = |f: &Fixture, sets: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        f.json("check", &sets)["notes"].to_string()
    };
    assert_eq!(notes(&f, &["domain.a.prior=0.25", "domain.b.prior=0.75"]), "[]");
    let said = notes(&f, &["domain.a.prior=1", "domain.b.prior=3"]);
    assert!(said.contains("the priors sum to 4, not to 1; the prior mixture has each divided by 4"), "{said}");
    let said = notes(&f, &["domain.a.min=0.5", "domain.a.max=0.5", "domain.b.max=0.2", "domain.c.max=0.3"]);
    assert!(said.contains("one mixture only"), "{said}");

    f.edit("cost = 1.0\n", "");
    f.edit("cost = 4.0\n", "");
    assert!(notes(&f, &[]).contains("a run costs the seconds that it takes in its slot, slot-seconds"));
    let text = |name: &str, arguments: &[&str]| String::from_utf8(f.run(name, arguments).stdout).unwrap();
    assert!(text("check", &["--set", "budget.cost=60"]).contains("budget: cost 60 slot-seconds, 1 trial,"));
    assert!(text("suggest", &["--dry-run"]).starts_with("trial 1 at small, seed "), "a guess is not shown as a cost");
    assert!(!text("suggest", &["--dry-run"]).contains("cost"));
    let output = f.run("optimize", &[]);
    let best = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(best.contains(" slot-seconds in 1 trial\n"), "{best}");
    assert!(stderr(&output).contains(" slot-seconds\n"), "{}", stderr(&output));
    let status = text("status", &["--set", "budget.cost=60"]);
    assert!(status.contains(" of 60 slot-seconds\n") && status.contains("takes  slot-seconds\n"), "{status}");
}

#[test]
fn the_design_is_what_suggest_would_hand_out() {
    let f = Fixture::new(GOOD, "slots = 2", "[budget]\ncost = 12\n[optimizer]\ninitial = 6\n[confirm]\nseeds = 2");
    let checked = f.json("check", &[]);
    assert!(left(&f).is_empty(), "checking writes nothing");
    let design = checked["design"].as_array().unwrap();
    let asked = f.json("suggest", &["-n", "7", "--dry-run"]);
    let asked = asked["trials"].as_array().unwrap();
    assert_eq!(design.len(), 6);
    for (planned, asked) in design.iter().zip(asked) {
        for key in ["trial", "fidelity", "weights", "seed"] {
            assert_eq!(planned[key], asked[key]);
        }
    }
    let expected = &checked["expected"];
    assert_eq!((&expected["design_cost"], &expected["cost"]), (&json!(6.0), &json!([12.0, 12.0])));
    assert_eq!((&expected["confirm"], &expected["duration"]), (&json!({"runs": 4, "cost": 16.0}), &Value::Null));
    // A study that has begun: what is left of it.
    assert_eq!(code(&f.run("suggest", &["-n", "4"])), Some(0));
    assert_eq!(code(&f.run("tell", &["--trial", "1", "--loss", "1"])), Some(0));
    let later = f.json("check", &[]);
    assert_eq!((&later["design"], &later["first_trial"]), (&json!(design[4..]), &checked["first_trial"]));
    assert_eq!(later["expected"]["cost"], json!([11.0, 11.0]));
    // Budgets that are no good.
    let notes = |set: &str| f.json("check", &["--dir", "elsewhere", "--set", set])["notes"].to_string();
    assert!(notes("budget.cost=6").contains("takes the whole budget"));
    assert!(notes("budget.cost=3").contains("no run at large"));
    assert_eq!(notes("budget.cost=12"), "[]");
}

#[test]
fn a_trial_for_real_leaves_nothing_behind() {
    let script = format!("echo told $ADMIRE_FIDELITY >> \"$ADMIRE_TRIAL_DIR/../../../told\"; {GOOD}");
    let f = Fixture::new(&script, "", "[budget]\ncost = 12");
    assert_eq!(code(&f.run("suggest", &["-n", "2"])), Some(0));
    let before = fs::read(f.path("run/journal.jsonl")).unwrap();
    let checked = f.json("check", &["--trial", "-q"]);
    assert_eq!((left(&f), f.lines("told")), (vec!["run".into(), "told".into()], vec!["told small".into()]));
    assert_eq!(fs::read(f.path("run/journal.jsonl")).unwrap(), before, "the study knows nothing of it");
    let trial = &checked["trial"];
    assert_eq!((&trial["state"], &trial["result"], &trial["dir"]), (&json!("complete"), &json!("file"), &Value::Null));
    assert_eq!((&trial["objective"], &trial["fidelity"]), (&trial["weights"]["a"], &json!("small")));
    let result = trial["command"][2].as_str().unwrap();
    assert_eq!(trial["environment"]["ADMIRE_RESULT_FILE"], result);
    let duration = checked["expected"]["duration"].as_array().unwrap();
    let seconds = trial["duration"].as_f64().unwrap() * 12.0;
    assert!((duration[1].as_f64().unwrap() - seconds).abs() < 1e-6 * seconds, "{checked}");
}

#[test]
fn a_trial_that_breaks_the_contract_is_kept_and_named() {
    let extra = r#"echo 'admire: {"metrics": {"loss": 1, "other": 2}}'"#;
    let talkative = "echo 'RuntimeError: no such corpus' >&2; exit 3";
    for (script, set, expected, state, reason) in [
        (talkative, "", 1, "failed", "exit status: 3"),
        (extra, "", 0, "complete", ""),
        ("exit 3", "", 1, "failed", "exit status: 3"),
        ("true", "", 1, "failed", "no result"),
        (extra, "objective.metric=\"ppl\"", 1, "failed", "the result lacks ppl; it reports loss, other"),
        ("echo 'admire: {\"loss\": NaN}'", "", 1, "diverged", "NaN"),
        (extra, "launcher.command=[\"no/such/program\"]", 1, "failed", "no/such/program"),
    ] {
        let f = Fixture::new(script, "retries = 5", "");
        let set = if set.is_empty() { "study.seed=7" } else { set };
        let output = f.run("check", &["--trial", "-q", "--format", "json", "--set", set]);
        let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
        let trial = &checked["trial"];
        assert_eq!((code(&output), &trial["state"]), (Some(expected), &json!(state)), "{checked}");
        assert!(trial["reason"].as_str().unwrap_or_default().contains(reason), "{trial}");
        if expected == 0 {
            assert_eq!((&trial["not_in_objective"], &trial["result"]), (&json!(["other"]), &json!("stdout")));
            assert!(left(&f).is_empty());
            let text = String::from_utf8(f.run("check", &["--trial"]).stdout).unwrap();
            assert!(text.contains("exported   ADMIRE_TRIAL_ID=1") && text.ends_with("the contract holds\n"), "{text}");
        } else {
            assert_eq!(left(&f), ["run.check-1"]);
            assert!(f.path("run.check-1/trials/0001/stderr.log").exists());
            if script == talkative {
                assert_eq!(trial["stderr"], json!(["RuntimeError: no such corpus"]));
                let output = f.run("check", &["--trial"]);
                let text = String::from_utf8(output.stdout.clone()).unwrap();
                assert!(text.contains("exit status: 3\n  │ RuntimeError: no such corpus\n"), "{text}");
                assert!(stderr(&output).contains("  │ RuntimeError: no such corpus\n"), "{}", stderr(&output));
            }
        }
    }
    let f = Fixture::new(GOOD, "", "");
    let toml = fs::read_to_string(f.path("study.toml")).unwrap();
    f.write("study.toml", toml.split("[launcher]").next().unwrap());
    let output = f.run("check", &["--trial"]);
    assert!(code(&output) == Some(2) && stderr(&output).contains("no [launcher]"), "{}", stderr(&output));
}

#[test]
fn an_interrupted_trial_says_so() {
    let f = Fixture::new(&format!("while [ ! -e go ]; do sleep 0.02; done; {GOOD}"), "", "");
    let said = fs::File::create(f.path("said")).unwrap();
    let child = f.command("check").args(["--trial", "--format", "json"]).stdout(Stdio::piped()).stderr(said).spawn();
    let child = child.unwrap();
    until("the trial", || f.lines("said").iter().any(|line| line.contains("trial 1 started")));
    signal(&child, Signal::SIGINT);
    until("its notice", || f.lines("said").iter().any(|line| line.contains("waiting for 1 running trial")));
    f.write("go", "");
    let output = child.wait_with_output().unwrap();
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &checked["trial"]["state"]), (Some(130), &json!("interrupted")));
    assert_eq!(left(&f), ["go", "run.check-1", "said"]);
}

/// The notes of `check` with these overrides.
fn notes(f: &Fixture, sets: &[&str]) -> Vec<String> {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    serde_json::from_value(f.json("check", &sets)["notes"].clone()).unwrap()
}

#[test]
fn programs_that_are_not_there_are_named() {
    let f = Fixture::new(GOOD, "", "");
    assert_eq!(notes(&f, &[]), [""; 0]);
    let missing = notes(
        &f,
        &["launcher.command=['pyhton', '{weights}']", "launcher.setup=['./data.sh']", "launcher.on_event=['sh']"],
    );
    assert_eq!(
        missing,
        [
            "launcher.command: pyhton is not on PATH on this machine",
            "launcher.setup: ./data.sh is no program on this machine"
        ]
    );
    // The command's own PATH counts, and what a job finds elsewhere is not known here.
    f.write("pyhton", "");
    fs::set_permissions(f.path("pyhton"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("launcher.env={{ PATH = {:?} }}", f.root.path());
    assert_eq!(notes(&f, &["launcher.command=['pyhton', '{weights}']", &path]), [""; 0]);
    f.edit("grace = \"1s\"\n", "");
    assert_eq!(notes(&f, &["launcher.command=['train', '{weights}']", "launcher.kind='slurm'"]), [""; 0]);
    // Those of a queue are started here.
    let queue = ["launcher.kind='queue'", "launcher.submit=['qsbu', '{script}']", "launcher.status=['sh', '{id}']"];
    let queue = [&queue[..], &["launcher.cancel=['sh', '{id}']", "launcher.states={ r = 'running' }"]].concat();
    assert_eq!(notes(&f, &queue), ["launcher.submit: qsbu is not on PATH on this machine"]);
}

#[test]
fn a_command_that_cannot_know_its_mixture_is_doubted() {
    let f = Fixture::new("echo 1", "", "");
    let script = f.path("train.sh");
    let doubts = |command: &str| {
        let notes = notes(&f, &[&format!("launcher.command={command}")]);
        notes.iter().any(|note| note.contains("does it know its mixture? {mixture_file}"))
    };
    assert!(doubts(&format!("['sh', {script:?}]")) && doubts("['sh', '-c', '{{}}']"));
    assert!(!doubts(&format!("['sh', {script:?}, '{{w.a}}']")));
    assert!(!doubts("['sh', '-c', 'train $ADMIRE_MIXTURE_FILE']"));
    f.write("train.sh", "import admire");
    assert!(!doubts(&format!("['sh', {script:?}]")));
}

#[test]
fn token_counts_that_lack_an_exponent_are_doubted() {
    let f = Fixture::new(GOOD, "", "");
    for (entry, tokens) in [("a", "400e9"), ("b", "3e5"), ("c", "5e5"), ("small", "2000"), ("large", "1e7")] {
        f.edit(&format!("name = \"{entry}\"\n"), &format!("name = \"{entry}\"\ntokens = {tokens}\n"));
    }
    let doubts = |sets: &[&str]| -> Vec<String> {
        notes(&f, sets).into_iter().filter(|note| note.ends_with("does that lack an exponent?")).collect()
    };
    let domain = "the domain b has 300000 tokens, where another has 4e11: does that lack an exponent?";
    assert_eq!(doubts(&[]), [domain]);
    // Not fine-tuning of a model of 7 billion parameters on 10 million tokens.
    assert_eq!(doubts(&["fidelity.large.params=7e9"]), [domain]);
    let size = "large trains 7e11 parameters on 1e7 tokens: does that lack an exponent?";
    assert_eq!(doubts(&["fidelity.large.params=7e11"]), [size, domain]);
}

#[test]
fn the_quickstart_is_explained() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["check", "-v", "--config", "configs/quickstart.toml"]);
    let dir = tempfile::tempdir().unwrap();
    let output = command.arg("--dir").arg(dir.path().join("run")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("initial design: 12 at 30k, 5 at 140k, 3 at 600k, cost 5.77\n"), "{text}");
    assert!(
        text.contains("beyond the budget: 4 runs at 600k, cost 4\n") && text.contains("  trial 20 at 600k: "),
        "{text}"
    );
}
