//! The command as a user runs it, on a small made-up registry.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const CRATES: usize = 12;

/// A lock file, a registry with made-up crates, and a place for outputs; removed at the end.
struct Workplace(PathBuf);

impl Workplace {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let names: Vec<String> = (0..CRATES).map(|i| format!("crate-{i}")).collect();
        let quoted: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
        let mut lock = format!(
            "version = 4\n[[package]]\nname = \"tiny-lm\"\nversion = \"0.1.0\"\ndependencies = [{}]\n",
            quoted.join(", ")
        );
        for (i, name) in names.iter().enumerate() {
            lock += &format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\nsource = \"registry\"\n");
            let folder = root.join("registry/index").join(format!("{name}-1.0.0"));
            fs::create_dir_all(folder.join("src")).unwrap();
            fs::create_dir_all(folder.join("tests")).unwrap();
            fs::write(folder.join("src/lib.rs"), text(i, "fn") + &text(1000, "shared")).unwrap();
            // All crates ship the same licence, as crates do, and one paragraph of their own.
            fs::write(folder.join("README.md"), text(2000, "licence") + &text(i, "prose")).unwrap();
            fs::write(folder.join("tests/it.rs"), text(i, "assert")).unwrap();
        }
        // A crate that nothing depends on must not be read.
        lock += "[[package]]\nname = \"stranger\"\nversion = \"1.0.0\"\nsource = \"registry\"\n";
        let stranger = root.join("registry/index/stranger-1.0.0/src");
        fs::create_dir_all(&stranger).unwrap();
        fs::write(stranger.join("lib.rs"), text(3000, "stranger")).unwrap();
        fs::write(root.join("Cargo.lock"), lock).unwrap();
        Self(root)
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiny-lm"));
        command.current_dir(&self.0).args([subcommand, "--registry", "registry"]).env("RUST_BACKTRACE", "0");
        command
    }

    fn train(&self, mixture: &str, seed: &str, result: &str) -> Output {
        self.train_with(mixture, seed, result, &[])
    }

    fn train_with(&self, mixture: &str, seed: &str, result: &str, arguments: &[&str]) -> Output {
        fs::write(self.0.join("mixture.json"), mixture).unwrap();
        self.command("train")
            .args([
                "--mixture",
                "mixture.json",
                "--size",
                "30k",
                "--tokens",
                "2048",
                "--seed",
                seed,
                "--result",
                result,
            ])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }

    /// The folder of the prepared corpus.
    fn corpus(&self) -> PathBuf {
        let found: Vec<_> = fs::read_dir(self.0.join(".cache/tiny-lm")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(found.len(), 1, "one corpus and nothing temporary: {found:?}");
        found[0].clone()
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// About 12 KiB of words that no other `(seed, kind)` shares.
fn text(seed: usize, kind: &str) -> String {
    (0..150).map(|line| (0..6).map(|i| format!("{kind}{seed}x{} ", line * 7 + i)).collect::<String>() + "\n").collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const MIXTURE: &str = r#"{"weights": {"rust": 0.5, "tests": 0.2, "markdown": 0.3}, "fidelity": "30k"}"#;

#[test]
fn copies_are_dropped_but_for_the_edges_of_blocks() {
    let place = Workplace::new("corpus");
    assert!(place.command("prepare").status().unwrap().success());
    let corpus = place.corpus();
    let (mut lines, mut repeated) = (BTreeSet::new(), 0);
    for domain in ["rust", "tests", "markdown"] {
        for part in ["validation", "train"] {
            let text = fs::read_to_string(corpus.join(format!("{domain}.{part}"))).unwrap();
            assert!(text.len() > 1000, "{domain}.{part} has {} bytes", text.len());
            assert!(!text.contains("stranger"), "{domain}.{part} has text of a crate that is no dependency");
            repeated += text.lines().filter(|line| !lines.insert((*line).to_owned())).count();
        }
    }
    // Half of the library code and of the prose is a copy. A block that is mostly new may begin or end with a few of the
    // copied lines: up to 30 % of it.
    assert!(repeated * 50 < lines.len(), "{repeated} of {} lines are repetitions", lines.len());
}

#[test]
fn no_crate_gives_both_training_and_validation_text_of_a_domain() {
    let place = Workplace::new("split");
    assert!(place.command("prepare").status().unwrap().success());
    let corpus = place.corpus();
    for (domain, kind) in [("rust", "fn"), ("tests", "assert"), ("markdown", "prose")] {
        let crates = |part: &str| -> BTreeSet<String> {
            let text = fs::read_to_string(corpus.join(format!("{domain}.{part}"))).unwrap();
            let words = text.split_whitespace().filter_map(|w| w.strip_prefix(kind));
            words.map(|w| w.split('x').next().unwrap().to_owned()).collect()
        };
        let (train, validation) = (crates("train"), crates("validation"));
        assert!(!train.is_empty() && !validation.is_empty() && train.is_disjoint(&validation), "{domain}");
    }
}

#[test]
fn processes_that_prepare_at_the_same_time_leave_one_corpus() {
    let place = Workplace::new("race");
    let spawn = || place.command("prepare").stdout(Stdio::null()).spawn().unwrap();
    let children: Vec<_> = (0..3).map(|_| spawn()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let manifest = fs::read(place.corpus().join("manifest.json")).unwrap();
    assert!(place.command("prepare").status().unwrap().success());
    assert_eq!(fs::read(place.corpus().join("manifest.json")).unwrap(), manifest);
}

#[test]
fn the_same_seed_gives_the_same_losses_and_another_seed_does_not() {
    let place = Workplace::new("seeds");
    for (seed, result) in [("7", "a.json"), ("7", "b.json"), ("8", "c.json")] {
        let output = place.train(MIXTURE, seed, result);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(place.read("a.json"), place.read("b.json"));
    assert_ne!(place.read("a.json"), place.read("c.json"));
    let result: serde_json::Value = serde_json::from_str(&place.read("a.json")).unwrap();
    for domain in ["rust", "tests", "markdown"] {
        let loss = result["metrics"][domain].as_f64().unwrap();
        assert!(loss > 0.0 && loss < 10.0, "{domain}: {loss}");
    }
}

#[test]
fn a_run_that_reports_on_its_way_is_the_same_run() {
    let place = Workplace::new("progress");
    for (result, arguments) in [("a.json", &[][..]), ("b.json", &["--progress", "progress.jsonl"])] {
        let output = place.train_with(MIXTURE, "7", result, arguments);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(place.read("a.json"), place.read("b.json"));
    let reports = place.read("progress.jsonl");
    let reports: Vec<serde_json::Value> = reports.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Of four steps, the last is the result.
    let steps: Vec<u64> = reports.iter().map(|report| report["step"].as_u64().unwrap()).collect();
    assert_eq!((steps, &reports[2]["tokens"]), (vec![1, 2, 3], &1536.into()));
    assert!(reports[0]["metrics"]["rust"].as_f64() > reports[2]["metrics"]["rust"].as_f64());
}

#[test]
fn a_run_draws_from_the_unique_tokens_that_it_is_told() {
    let place = Workplace::new("unique");
    let told = r#"{"weights": {"rust": 0.5, "tests": 0.2, "markdown": 0.3},
        "unique_tokens": {"rust": 2000, "tests": 2000, "markdown": 2000}}"#;
    let runs = |suffix: &str| {
        for (mixture, name) in [(told, "told"), (MIXTURE, "all")] {
            let output = place.train(mixture, "7", &format!("{name}{suffix}.json"));
            assert!(output.status.success(), "{}", stderr(&output));
        }
    };
    runs("1");
    for domain in ["rust", "tests", "markdown"] {
        let path = place.corpus().join(format!("{domain}.train"));
        let mut text = fs::read(&path).unwrap();
        text[2000..].fill(b'x');
        fs::write(path, text).unwrap();
    }
    runs("2");
    assert_eq!(place.read("told1.json"), place.read("told2.json"), "what comes after them makes no difference");
    assert_ne!(place.read("all1.json"), place.read("all2.json"));
}

#[test]
fn a_run_that_diverges_succeeds_and_says_nan() {
    let place = Workplace::new("nan");
    fs::write(place.0.join("mixture.json"), MIXTURE).unwrap();
    let mut command = place.command("train");
    command.args(["--mixture", "mixture.json", "--size", "30k", "--tokens", "8192", "--seed", "1"]);
    let output = command.args(["--result", "r.json", "--learning-rate", "1e30"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(place.read("r.json").contains("\"rust\": NaN"), "{}", place.read("r.json"));
}

#[test]
fn a_bad_mixture_is_refused_with_the_reason() {
    let place = Workplace::new("mixture");
    for (mixture, reason) in [
        (r#"{"weights": {"rust": 0.5, "tests": 0.2, "markdown": 0.2}}"#, "the weights sum to 0.9000"),
        (r#"{"weights": {"rust": 1.5, "tests": -0.8, "markdown": 0.3}}"#, "weights.tests is -0.8"),
        (r#"{"weights": {"rust": 0.5, "tests": 0.5}}"#, "weights.markdown is missing"),
        (
            r#"{"weights": {"rust": 0.5, "tests": 0.2, "markdown": 0.2, "web": 0.1}}"#,
            "weights.web: there is no such domain",
        ),
        (r#"{"rust": 1.0}"#, "missing field `weights`"),
        (
            r#"{"weights": {"rust": 0.5, "tests": 0.2, "markdown": 0.3}, "unique_tokens": {"tests": 1e9}}"#,
            "unique_tokens.tests is 1000000000",
        ),
        (
            r#"{"weights": {"rust": 0.5, "tests": 0.2, "markdown": 0.3}, "unique_tokens": {"tests": 65}}"#,
            "a window has 66",
        ),
    ] {
        let output = place.train(mixture, "1", "r.json");
        assert!(!output.status.success(), "accepted: {mixture}");
        assert!(stderr(&output).contains(reason) && stderr(&output).contains("mixture.json"), "{}", stderr(&output));
        assert!(!place.0.join("r.json").exists());
    }
}

#[test]
fn a_missing_lock_file_or_registry_says_what_to_do() {
    let place = Workplace::new("missing");
    let output = place.command("prepare").args(["--lock", "nowhere.lock"]).output().unwrap();
    assert!(!output.status.success() && stderr(&output).contains("pass --lock FILE"), "{}", stderr(&output));
    fs::remove_dir_all(place.0.join("registry")).unwrap();
    let output = place.command("prepare").output().unwrap();
    assert!(!output.status.success() && stderr(&output).contains("pass --registry DIR"), "{}", stderr(&output));
}
