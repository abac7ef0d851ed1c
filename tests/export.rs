//! `admire export` of a mixture: what trainers read is the mixture, whatever their paths are called.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use study::{Fixture, GOOD, code, stderr};
use yaml_rust2::{Yaml, YamlLoader};

/// Share by path.
type Shares = BTreeMap<String, f64>;

/// What no format may stumble over.
const HOSTILE: [&str; 3] = ["/data/it's \"so\" \\n $(x) {a}: #1", "yes", "s3://bucket/混合, [é] & *x"];

/// A study whose domains `a`, `b` and `c` have these paths, and one that has no weight; `extra` is TOML at the end. Its
/// first trial is handed out.
fn fixture(paths: [&str; 3], extra: &str) -> Fixture {
    let f = Fixture::new(GOOD, "", &format!("[[domain]]\nname = \"none\"\nmax = 0.0\n{extra}"));
    for (name, path) in ["a", "b", "c"].into_iter().zip(paths) {
        let domain = format!("name = \"{name}\"\n");
        f.edit(&domain, &format!("{domain}path = {}\n", toml::Value::from(path)));
    }
    // A mixture whose weights all differ.
    f.edit("name = \"a\"\n", "name = \"a\"\nmin = 0.5\nmax = 0.5\n");
    f.edit("name = \"b\"\n", "name = \"b\"\nmin = 0.3\nmax = 0.3\n");
    f.json("suggest", &["-q"]);
    told(&f);
    f
}

/// There is a recommendation once something is known.
fn told(f: &Fixture) {
    assert_eq!(code(&f.run("tell", &["--trial", "1", "--loss", "1"])), Some(0));
}

fn plain() -> Fixture {
    fixture(["/data/a", "/data/b", "/data/c"], "")
}

fn expected(paths: [&str; 3]) -> Shares {
    paths.map(str::to_owned).into_iter().zip([0.5, 0.3, 0.2]).collect()
}

fn assert_close(got: &Shares, expected: &Shares, tolerance: f64) {
    assert!(got.keys().eq(expected.keys()), "{got:?}");
    assert!(got.iter().all(|(path, share)| (share - expected[path]).abs() <= tolerance), "{got:?}, not {expected:?}");
}

/// What an export that must succeed writes, and says.
fn export(f: &Fixture, format: &str, arguments: &[&str]) -> (String, String) {
    let output = f.run("export", &[&["--format", format], arguments].concat());
    assert_eq!(code(&output), Some(0), "{format}: {}", stderr(&output));
    (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
}

fn refused(f: &Fixture, arguments: &[&str]) -> String {
    let output = f.run("export", arguments);
    assert_eq!(code(&output), Some(2), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    stderr(&output)
}

fn pairs<'a>(words: impl IntoIterator<Item = &'a str>) -> Shares {
    let words: Vec<&str> = words.into_iter().collect();
    words.chunks(2).map(|pair| (pair[1].to_owned(), pair[0].parse().unwrap())).collect()
}

fn number(yaml: &Yaml) -> f64 {
    yaml.as_f64().unwrap_or_else(|| panic!("{yaml:?} is no float"))
}

fn text(yaml: &Yaml) -> String {
    yaml.as_str().unwrap_or_else(|| panic!("{yaml:?} is no string")).to_owned()
}

/// The shares in a document of YAML or JSON.
fn shares(format: &str, document: &str) -> Shares {
    let documents = YamlLoader::load_from_str(document).unwrap();
    let [yaml] = documents.as_slice() else { panic!("{document}") };
    match format {
        "megatron-json" => {
            let words: Vec<String> = yaml["train"].as_vec().unwrap().iter().map(text).collect();
            pairs(words.iter().map(String::as_str))
        }
        "olmo-core" => {
            let source = |source: &Yaml| (text(&source["paths"][0]), number(&source["target_ratio"]));
            yaml["sources"].as_vec().unwrap().iter().map(source).collect()
        }
        "llama-factory" => {
            let weights = text(&yaml["interleave_probs"]);
            let names = text(&yaml["dataset"]);
            names.split(',').map(str::to_owned).zip(weights.split(',').map(|w| w.parse().unwrap())).collect()
        }
        "streaming" => {
            let stream = |stream: &Yaml| {
                let place = ["local", "remote"].into_iter().find(|place| !stream[*place].is_badvalue()).unwrap();
                assert_eq!(text(&stream[place]).contains("://"), place == "remote");
                (text(&stream[place]), number(&stream["proportion"]))
            };
            yaml["streams"].as_hash().unwrap().values().map(stream).collect()
        }
        "nanotron" => {
            let dataset = &yaml["data_stages"][0]["data"]["dataset"];
            let folders = dataset["dataset_folder"].as_vec().unwrap().iter().map(text);
            folders.zip(dataset["dataset_weights"].as_vec().unwrap().iter().map(number)).collect()
        }
        "regmix" => yaml["train"].as_hash().unwrap().iter().map(|(path, w)| (text(path), number(w))).collect(),
        other => panic!("{other}"),
    }
}

const DOCUMENTS: [&str; 6] = ["megatron-json", "olmo-core", "llama-factory", "streaming", "nanotron", "regmix"];

#[test]
fn every_format_has_the_mixture_and_no_domain_without_weight() {
    let (f, expected) = (plain(), expected(["/data/a", "/data/b", "/data/c"]));
    for format in DOCUMENTS {
        assert_close(&shares(format, &export(&f, format, &[]).0), &expected, 1e-12);
    }
    let (line, _) = export(&f, "megatron", &[]);
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("--data-path"));
    assert_close(&pairs(words), &expected, 1e-12);
    let (file, _) = export(&f, "megatron-args", &[]);
    assert_eq!(file.lines().count(), 3);
    assert_close(&pairs(file.split_whitespace()), &expected, 1e-12);

    // Those that are not of a trainer have all domains.
    let json: Value = serde_json::from_str(&export(&f, "json", &[]).0).unwrap();
    let weights = json["weights"].as_object().unwrap();
    let by_name: Vec<(&str, f64)> = weights.iter().map(|(name, w)| (name.as_str(), w.as_f64().unwrap())).collect();
    assert_eq!(by_name.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["a", "b", "c", "none"]);
    assert_eq!(json["unit"], "tokens");
    let (csv, _) = export(&f, "csv", &[]);
    let mut rows = csv.lines();
    assert_eq!(rows.next(), Some("domain,weight"));
    for (row, (name, weight)) in rows.zip(&by_name) {
        assert_eq!(row.rsplit_once(',').map(|(n, w)| (n, w.parse().unwrap())), Some((*name, *weight)));
    }
    assert_eq!(by_name[3].1, 0.0);
}

#[test]
fn paths_that_nobody_should_use_come_back_as_they_are() {
    let f = fixture(HOSTILE, "");
    for format in ["megatron-json", "olmo-core", "streaming", "nanotron", "regmix"] {
        assert_close(&shares(format, &export(&f, format, &[]).0), &expected(HOSTILE), 1e-12);
    }
    // Where the reader could not get it back, nothing is written.
    for (format, part) in [
        ("megatron", "a shell would take it apart; use --format megatron-json"),
        ("megatron-args", "Megatron-LM splits this file at blanks; use --format megatron-json"),
        ("llama-factory", "LLaMA-Factory separates names at commas; call it otherwise in dataset_info.json"),
    ] {
        let said = refused(&f, &["--format", format]);
        assert!(said.contains(part), "{said}");
    }
    let (python, _) = export(&f, "huggingface", &[]);
    for line in [
        r##"    load_dataset("/data/it's \"so\" \\n $(x) {a}: #1", split="train", streaming=True),  # "a""##,
        r#"    load_dataset("yes", split="train", streaming=True),  # "b""#,
        r#"    load_dataset("s3://bucket/混合, [é] & *x", split="train", streaming=True),  # "c""#,
    ] {
        assert!(python.lines().any(|l| l == line), "{python}");
    }

    for (path, part) in [
        ("\"a\\nb\"", "\"a\\nb\" is empty, begins or ends with a blank, or has a character in it that cannot be shown"),
        ("[\"\"]", "\"\" is empty"),
        ("[\"x\", \"yes\"]", "\"yes\" appears twice"),
        ("1", "expected a string or an array of strings, not the integer 1"),
    ] {
        let said = refused(&f, &["--set", &format!("domain.c.path={path}")]);
        assert!(said.contains("domain[2].path") && said.contains(part), "{said}");
    }
}

#[test]
fn domains_go_by_any_name() {
    let name = "yes: \"it's\" #{x} [混] \\n";
    let f = Fixture::new(GOOD, "", "");
    f.edit("name = \"c\"\n", &format!("name = {}\nmin = 1.0\n", toml::Value::from(name)));
    f.json("suggest", &["-q"]);
    told(&f);
    for format in ["megatron-json", "olmo-core", "streaming", "nanotron", "regmix"] {
        let (document, said) = export(&f, format, &[]);
        assert_close(&shares(format, &document), &Shares::from([(name.to_owned(), 1.0)]), 1e-12);
        assert_eq!(said.contains("no `path` in the config for yes"), format != "regmix", "{said}");
        let yaml = &YamlLoader::load_from_str(&document).unwrap()[0];
        match format {
            "olmo-core" => assert_eq!(text(&yaml["sources"][0]["source_name"]), name),
            "streaming" => assert_eq!(text(yaml["streams"].as_hash().unwrap().front().unwrap().0), name),
            _ => {}
        }
    }
    let (python, _) = export(&f, "huggingface", &[]);
    assert!(python.lines().any(|line| line.ends_with(r##"  # "yes: \"it's\" #{x} [混] \\n""##)), "{python}");
    let json: Value = serde_json::from_str(&export(&f, "json", &[]).0).unwrap();
    assert_eq!(json["weights"][name], 1.0);
    let (rows, _) = export(&f, "csv", &[]);
    let row = csv::Reader::from_reader(rows.as_bytes()).records().last().unwrap().unwrap();
    assert_eq!((&row[0], row[1].parse()), (name, Ok(1.0)));
}

#[test]
fn units_seeds_and_the_rest_come_from_the_config() {
    let f = plain();
    let lengths = ["--set", "domain.a.mean_length=1000", "--set", "domain.b.mean_length=100"];
    let documents = [&lengths[..], &["--set", "export.unit=\"documents\""]].concat();
    let said = refused(&f, &[&["--format", "megatron-json"], &documents[..]].concat());
    assert!(said.contains("export.unit = \"documents\" needs the mean_length of every domain"), "{said}");
    assert!(said.contains("missing for c") && !said.contains("none"), "{said}");
    // 0.5/1000 : 0.3/100 : 0.2/250 = 0.5 : 3 : 0.8
    let documents = [&documents[..], &["--set", "domain.c.mean_length=250"]].concat();
    let shares_of = |document: &str| shares("nanotron", document);
    let by_count = [("/data/a", 0.5 / 4.3), ("/data/b", 3.0 / 4.3), ("/data/c", 0.8 / 4.3)];
    let by_count = by_count.map(|(path, share)| (path.to_owned(), share)).into();
    assert_close(&shares_of(&export(&f, "nanotron", &documents).0), &by_count, 1e-12);
    // What counts tokens by itself is told of tokens.
    let (olmo, _) = export(&f, "olmo-core", &documents);
    assert_close(&shares("olmo-core", &olmo), &expected(["/data/a", "/data/b", "/data/c"]), 1e-12);
    // Sequences that are packed have one length.
    let (packed, _) = export(&f, "nanotron", &["--set", "export.unit=\"sequences\""]);
    assert_close(&shares_of(&packed), &expected(["/data/a", "/data/b", "/data/c"]), 1e-12);

    for (format, set, part) in [
        ("huggingface", "export.unit=\"tokens\"", "seed=7,"),
        ("huggingface", "export.seed=11", "seed=11,"),
        ("huggingface", "export.stopping_strategy=\"first_exhausted\"", "stopping_strategy=\"first_exhausted\","),
        ("llama-factory", "export.stopping_strategy=\"first_exhausted\"", "mix_strategy: interleave_under"),
        ("nanotron", "export.seed=11", "seed: 11"),
        ("streaming", "export.epoch_size=5000", "epoch_size: 5000"),
        ("regmix", "export.valid=\"/data/v\"", "valid:\n  /data/v: 1.0"),
        ("megatron-json", "export.valid=[\"/data/v\"]", "\"valid\": [\n    \"/data/v\"\n  ],\n  \"test\": null"),
    ] {
        let (text, _) = export(&f, format, &["--set", set]);
        assert!(text.contains(part), "{text}");
    }
    for set in ["export.seed=4294967296", "export.unit=\"words\"", "export.stopping_strategy=\"x\"", "export.y=1"] {
        assert!(refused(&f, &["--set", set]).contains(set.split('=').next().unwrap()));
    }

    // Repetition: what the limit allows, else what the mixture needs at the target; at least once.
    let olmo = |more: &[&str]| {
        let tokens = ["--set", "domain.a.tokens=1e9", "--set", "limits.target_tokens=5e9"];
        export(&f, "olmo-core", &[&tokens, more].concat()).0
    };
    assert_eq!(olmo(&[]).matches("max_repetition_ratio: 2.5\n").count(), 1);
    assert_eq!(olmo(&["--set", "limits.max_epochs=4"]).matches("max_repetition_ratio: 4.0\n").count(), 1);
    assert!(!export(&f, "olmo-core", &[]).0.contains("max_repetition_ratio"));
}

#[test]
fn several_paths_share_a_weight_or_go_together() {
    let f = plain();
    let set = ["--set", "domain.a.path=[\"/data/1.jsonl\", \"/data/2.jsonl.gz\"]"];
    let split = |paths: [&str; 4]| paths.map(str::to_owned).into_iter().zip([0.25, 0.25, 0.3, 0.2]).collect::<Shares>();
    let expected = split(["/data/1.jsonl", "/data/2.jsonl.gz", "/data/b", "/data/c"]);
    for format in ["megatron-json", "llama-factory", "streaming", "nanotron", "regmix"] {
        let (document, said) = export(&f, format, &set);
        assert_close(&shares(format, &document), &expected, 1e-12);
        assert!(said.contains("the weight of a is divided equally among its paths"), "{said}");
    }
    let (olmo, said) = export(&f, "olmo-core", &set);
    assert!(olmo.contains("  - /data/1.jsonl\n  - /data/2.jsonl.gz\n") && !said.contains("divided"), "{olmo}{said}");
    let (python, said) = export(&f, "huggingface", &set);
    let call = "load_dataset(\"json\", data_files=[\"/data/1.jsonl\", \"/data/2.jsonl.gz\"], split=";
    assert!(python.contains(call) && !said.contains("divided"), "{python}{said}");
    assert!(said.contains("this trainer draws examples, but the weights are shares of tokens"), "{said}");
    // Files and a dataset of the Hub do not.
    let (python, said) = export(&f, "huggingface", &["--set", "domain.a.path=[\"/data/1.jsonl\", \"org/name\"]"]);
    assert!(python.contains("probabilities=[0.25, 0.25, 0.3, ") && said.contains("divided"), "{python}{said}");

    let (_, said) = export(&f, "nanotron", &["--set", "domain.b.path=[]", "--set", "export.unit=\"tokens\""]);
    assert!(said.contains("no `path` in the config for b; the name stands for it"), "{said}");
    assert!(!said.contains("none"), "{said}");
}

#[test]
fn any_trial_can_be_exported_and_the_config_of_exports_is_none_of_the_studys() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 4");
    f.json("optimize", &["-q"]);
    let weights = |arguments: &[&str]| -> Value {
        serde_json::from_str::<Value>(&export(&f, "json", arguments).0).unwrap()["weights"].clone()
    };
    let close = |a: &Value, b: &Value| {
        let entries = a.as_object().unwrap();
        entries.iter().all(|(name, w)| (w.as_f64().unwrap() - b[name].as_f64().unwrap()).abs() < 1e-8)
    };
    assert!(close(&weights(&[]), &f.json("best", &[])["weights"]));
    for suggested in f.of("suggested").iter().filter(|trial| trial["purpose"] == "search") {
        let trial = suggested["trial"].to_string();
        assert!(close(&weights(&["--trial", &trial]), &suggested["weights"]), "{trial}");
    }
    assert!(refused(&f, &["--format", "json", "--trial", "99"]).contains("no trial 99"));
    assert!(refused(&f, &["--trial", "1"]).contains("--format"));
    let csv = f.path("mixture.csv");
    export(&f, "csv", &["--out", csv.to_str().unwrap()]);
    assert!(fs::read_to_string(&csv).unwrap().starts_with("domain,weight\na,"));

    f.edit("name = \"a\"\n", "name = \"a\"\npath = \"x\"\nmean_length = 10\n");
    f.write("study.toml", &(fs::read_to_string(f.path("study.toml")).unwrap() + "[export]\nunit = \"tokens\"\n"));
    let output = f.run("suggest", &[]);
    assert!(code(&output) == Some(0) && !stderr(&output).contains("changed"), "{}", stderr(&output));
    assert!(f.of("resumed").iter().all(|event| event["changed"].is_null()));
}

/// What the package of a trainer makes of a file; `None` where it is not installed. The interpreter that
/// `ADMIRE_TEST_PYTHON` names must have them all, but those that want PyTorch only where it is there.
fn loaded(format: &str, file: &Path) -> Option<Shares> {
    let python = env::var_os("ADMIRE_TEST_PYTHON");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/load.py");
    let mut command = Command::new(python.clone().unwrap_or_else(|| "python3".into()));
    let output = match command.arg(script).arg(format).arg(file).env("HF_HUB_OFFLINE", "1").output() {
        Ok(output) => output,
        Err(e) if python.is_none() => {
            eprintln!("skipped: no python3 ({e})");
            return None;
        }
        Err(e) => panic!("{python:?}: {e}"),
    };
    let said = stderr(&output);
    if code(&output) == Some(77) && (python.is_none() || said.contains("torch")) {
        eprintln!("skipped: {format}: {}", said.trim_end());
        return None;
    }
    assert_eq!(code(&output), Some(0), "{format}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(serde_json::from_str(text.lines().last().unwrap()).unwrap())
}

#[test]
fn the_trainers_own_packages_read_what_is_written() {
    let f = fixture(HOSTILE, "");
    let file = f.path("exported");
    for format in ["nanotron", "regmix"] {
        fs::write(&file, export(&f, format, &[]).0).unwrap();
        let Some(got) = loaded(format, &file) else { continue };
        assert_close(&got, &expected(HOSTILE), 1e-12);
    }
    let names = ["yes", "it's \"so\" {a}: #1", "混合 $(x)"];
    let f = fixture(names, "");
    fs::write(&file, export(&f, "llama-factory", &[]).0).unwrap();
    if let Some(got) = loaded("llama-factory", &file) {
        assert_close(&got, &expected(names), 1e-12);
    }

    // The others draw from files that are there: 4000 examples are within 5 standard errors, 0.04.
    let places = ["it's \"so\" #1.jsonl", "yes.jsonl", "混合 & x.jsonl"].map(|name| f.path(name).display().to_string());
    let places: [&str; 3] = places.each_ref().map(String::as_str);
    for path in places {
        let line = serde_json::json!({"path": path}).to_string() + "\n";
        fs::write(path, line.repeat(500)).unwrap();
    }
    let f = fixture(places, "[export]\nunit = \"documents\"\nepoch_size = 4000");
    let lengths =
        ["--set", "domain.a.mean_length=100", "--set", "domain.b.mean_length=100", "--set", "domain.c.mean_length=100"];
    fs::write(&file, export(&f, "huggingface", &lengths).0).unwrap();
    if let Some(got) = loaded("huggingface", &file) {
        assert_close(&got, &expected(places), 0.04);
    }
    let folders = places.map(|path| path.replace(".jsonl", ""));
    let folders: [&str; 3] = folders.each_ref().map(String::as_str);
    let f = fixture(folders, "[export]\nunit = \"sequences\"\nepoch_size = 4000");
    fs::write(&file, export(&f, "streaming", &[]).0).unwrap();
    if let Some(got) = loaded("streaming", &file) {
        assert_close(&got, &expected(folders), 0.04);
    }

    // Of 4000 tokens the first source must give 2000, and has 1500: it is repeated.
    let files = folders.map(|path| path.to_owned() + ".npy");
    let files: [&str; 3] = files.each_ref().map(String::as_str);
    let f = fixture(files, "");
    let tokens = ["--set", "domain.a.tokens=1e9", "--set", "limits.target_tokens=5e9"];
    fs::write(&file, export(&f, "olmo-core", &tokens).0).unwrap();
    if let Some(got) = loaded("olmo-core", &file) {
        assert_close(&got, &expected(files), 0.001);
    }
}
