//! Names, paths, results and surroundings that nobody should use, and somebody will: each is refused, or does no harm.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use study::{Fixture, code, stderr};

/// What a name may be, however odd.
const ODD: [&str; 14] = [
    "a b",
    "it's \"quoted\"",
    "<b>&amp;</b>]]>",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "../../pwned",
    "--help",
    "%s%n %j",
    "código 混合 🦀",
    "{w.a}",
    "\\n\\",
    "| * ? ~ ! &",
    "w:y:",
];
const FIDELITY: &str = "<1B> & 'it' \"$(touch pwned)\" ../../pwned";
const METRIC: &str = "y, = <loss> \"`touch pwned`\"";
const STUDY: &str = "it's $(touch pwned) <b> \"混\" --x";

/// Keeps what it was told beside the result.
const DUMP: &str = r#"cd "$ADMIRE_TRIAL_DIR" && printf '%s\0' "$@" > argv && env -0 > environment
printf '{"metrics": {"y, = <loss> \\"`touch pwned`\\"": 0.%s}}' "$ADMIRE_TRIAL_ID" > "$ADMIRE_RESULT_FILE"
"#;

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A study in which everything is called something odd, in a folder of the same kind. `launcher` is TOML.
fn odd(launcher: &str) -> Fixture {
    let f = Fixture::new(DUMP, "", "");
    let mut config = format!("[study]\nname = {}\n", quoted(STUDY));
    for name in ODD.iter().copied().chain([&*"x".repeat(200)]) {
        config += &format!("[[domain]]\nname = {}\n", quoted(name));
    }
    config += &format!("[[group]]\nname = {0}\ndomains = [{0}]\nmax = 0.5\n", quoted(ODD[3]));
    config += &format!("[[fidelity]]\nname = {}\ncost = 1\n", quoted(FIDELITY));
    config += &format!("[objective]\nmetric = {}\n[budget]\ntrials = 4\n", quoted(METRIC));
    let words: Vec<String> = words().iter().map(|word| quoted(word)).collect();
    config += &format!("[launcher]\n{launcher}\ncommand = [{}]\n", words.join(", "));
    f.write("study.toml", &config);
    f
}

/// The command: every domain's weight by its name, and words that a shell would act on.
fn words() -> Vec<String> {
    let weights = ODD.iter().filter(|name| !name.contains('}')).map(|name| format!("{{w.{name}}}"));
    let fixed = ["sh", "train.sh", "{weights}", "{fidelity}", "$(touch pwned)", "'\"; touch pwned\n#", "{{}}", ""];
    fixed.into_iter().map(str::to_owned).chain(weights).collect()
}

/// The arguments and the environment that [`DUMP`] saw in a trial's folder.
fn told(dir: &Path) -> (Vec<String>, BTreeMap<String, String>) {
    let parts = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(dir.join(file)).unwrap();
        text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
    };
    let pair = |line: String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    (parts("argv"), parts("environment").into_iter().filter_map(pair).collect())
}

/// Whether a trial was told exactly what its mixture file says.
fn check_told(dir: &Path) {
    let (argv, environment) = told(dir);
    let mixture: Value = serde_json::from_str(&fs::read_to_string(dir.join("mixture.json")).unwrap()).unwrap();
    let weights = mixture["weights"].as_object().unwrap();
    assert_eq!(weights.len(), ODD.len() + 1);
    let listed = argv[0].split(',').map(|pair| pair.rsplit_once('=').unwrap());
    let listed: BTreeMap<&str, f64> = listed.map(|(name, w)| (name, w.parse().unwrap())).collect();
    let filed: BTreeMap<&str, f64> = weights.iter().map(|(name, w)| (name.as_str(), w.as_f64().unwrap())).collect();
    assert_eq!(listed, filed);
    assert_eq!(argv[1..5], [FIDELITY, "$(touch pwned)", "'\"; touch pwned\n#", "{}"].map(str::to_owned));
    assert_eq!(argv[5], "");
    let named = ODD.iter().filter(|name| !name.contains('}'));
    let named: Vec<String> = named.map(|name| weights[*name].as_f64().unwrap().to_string()).collect();
    assert_eq!(argv[6..], named);
    assert_eq!((environment["ADMIRE_FIDELITY"].as_str(), &mixture["fidelity"]), (FIDELITY, &FIDELITY.into()));
    assert_eq!(environment["ADMIRE_MIXTURE_FILE"], dir.join("mixture.json").to_str().unwrap());
}

/// Everything below a folder.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { [vec![path.clone()], tree(&path)].concat() } else { vec![path] })
        .collect()
}

/// Nothing was run by a shell, nothing written beside the study's folder.
fn check_tree(f: &Fixture, expected: &[&str]) {
    let parent = f.root.path().parent().unwrap();
    assert!(!parent.join("pwned").exists() && !Path::new("pwned").exists());
    let mut found: Vec<String> = tree(f.root.path())
        .iter()
        .filter(|path| !path.starts_with(f.path("admire-runs").join(STUDY).join("trials")))
        .map(|path| path.strip_prefix(f.root.path()).unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn odd_names_do_no_harm() {
    let f = odd("");
    for command in ["check", "optimize"] {
        f.json(command, &["-q"]);
        assert_eq!(code(&f.run(command, &["-v"])), Some(0));
    }
    let runs = f.path("admire-runs").join(STUDY);
    for trial in 1..=4 {
        check_told(&runs.join(format!("trials/{trial:04}")));
    }
    let home = format!("admire-runs/{STUDY}");
    let [journal, seal, lock] = ["journal.jsonl", "journal.seal", "lock"].map(|name| format!("{home}/{name}"));
    let expected = ["admire-runs", &home, &journal, &seal, &lock, "study.toml", "train.sh"];
    check_tree(&f, &expected);
    for trial in 1..=4 {
        let files = fs::read_dir(runs.join(format!("trials/{trial:04}"))).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["argv", "environment", "mixture.json", "result.json", "stderr.log", "stdout.log"]);
    }
    assert_eq!(f.json("best", &[])["weights"].as_object().unwrap().len(), ODD.len() + 1);
    assert_eq!((&f.json("status", &[])["study"], code(&f.run("status", &[]))), (&STUDY.into(), Some(0)));
    assert_eq!(code(&f.run("suggest", &["--dry-run", "--fidelity", FIDELITY])), Some(0));
}

#[test]
fn odd_names_come_back_from_a_csv_and_out_in_a_picture() {
    let f = odd("");
    f.json("optimize", &["-q"]);
    assert_eq!(code(&f.run("export", &["--out", "runs.csv"])), Some(0));
    let replay = |arguments: &[&str]| -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
        command.current_dir(f.root.path()).args([
            "replay",
            "--runs",
            "runs.csv",
            "--strategy",
            "random",
            "--seeds",
            "1",
        ]);
        let output = command.args(["--format", "json"]).args(arguments).output().unwrap();
        assert_eq!((code(&output), stderr(&output)), (Some(0), String::new()));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let result = replay(&["--config", "study.toml", "--out", "it's <out> $(touch pwned)"]);
    assert_eq!((&result["target"]["fidelity"], &result["target"]["candidates"]), (&FIDELITY.into(), &4.into()));
    // The columns alone are enough.
    assert_eq!(replay(&[])["target"], result["target"]);

    let out = f.path("it's <out> $(touch pwned)");
    let svg = fs::read_to_string(out.join("regret.svg")).unwrap();
    let picture = roxmltree::Document::parse(&svg).unwrap();
    let texts: Vec<&str> = picture.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    assert!(texts.contains(&&*format!("Regret of the recommended mixture at {FIDELITY}")), "{texts:?}");
    let tags = ["svg", "rect", "text", "line", "polyline", "polygon", "circle", "path"];
    assert!(picture.descendants().filter(|n| n.is_element()).all(|n| tags.contains(&n.tag_name().name())));
    let curves = csv::Reader::from_path(out.join("curves.csv")).unwrap().into_records();
    let fidelities: Vec<String> = curves.map(|row| row.unwrap()[3].to_owned()).collect();
    assert!(!fidelities.is_empty() && fidelities.iter().all(|name| name == FIDELITY));
}

#[test]
fn odd_names_do_no_harm_in_the_script_of_a_job() {
    let f = odd("kind = \"slurm\"\ndirectives = [\"--mem=1G\"]\nenv = { ODD = \"'\\n#SBATCH --wait\\n\" }");
    let check = f.json("check", &["-q"]);
    let script = check["first_trial"]["script"].as_str().unwrap();
    // `sbatch` reads up to the first command.
    let head: Vec<&str> = script.lines().take_while(|line| line.is_empty() || line.starts_with('#')).collect();
    let name = "#SBATCH --job-name=admire-it_s___touch_pwned___b______--x-1-1";
    let [output, error] = ["#SBATCH --output=stdout.log", "#SBATCH --error=stderr.log"];
    let expected = ["#!/bin/sh", name, output, error, "#SBATCH --open-mode=append", "#SBATCH --mem=1G", ""];
    assert_eq!(head, expected);

    run_first_job(&f, &check["first_trial"], true);
}

#[test]
fn odd_names_do_no_harm_in_the_scripts_of_other_queues() {
    let queue = "kind = \"queue\"\nsubmit = [\"s\", \"{script}\"]\nstatus = [\"q\", \"{job}\"]\ncancel = [\"d\", \"{job}\"]\n\
                 states = { r = \"running\" }";
    let ray = "kind = \"ray\"\naddress = \"http://head:8265\"";
    // A machine that does not have the mixture is told by the script.
    for (launcher, shared) in [(queue, true), (ray, true), (ray, false)] {
        let f = odd(&format!("{launcher}\nenv = {{ ODD = \"'\\n#SBATCH --wait\\n\" }}"));
        run_first_job(&f, &f.json("check", &["-q"])["first_trial"], shared);
    }
}

/// Runs the script of the first job where its machine is told the mixture, or is not.
fn run_first_job(f: &Fixture, first: &Value, shared: bool) {
    let dir = f.path("admire-runs").join(STUDY).join("trials/0001");
    if shared {
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("mixture.json"), serde_json::to_string(first).unwrap()).unwrap();
    }
    let output =
        Command::new("sh").args(["-c", first["script"].as_str().unwrap()]).current_dir(&f.root).output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (Some(0), String::new()));
    check_told(&dir);
    assert_eq!(told(&dir).1["ODD"], "'\n#SBATCH --wait\n");
    let folder = format!("admire-runs/{STUDY}");
    check_tree(f, &["admire-runs", &folder, "study.toml", "train.sh"]);
}

/// What must not reach a terminal.
fn clean(output: &Output) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let acts = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!text.contains(acts), "{text:?}");
}

#[test]
fn names_that_cannot_be_shown_or_kept_are_refused() {
    let f = Fixture::new("", "", "");
    let long = "x".repeat(10_000);
    let everywhere = [
        ("", "is empty"),
        (long.as_str(), "longer than 200 bytes"),
        ("a\nb", "U+000A"),
        ("a\r", "U+000D"),
        ("\u{1b}[2J\u{1b}[31m", "U+001B"),
        ("a\u{9b}31m", "U+009B"),
        ("\0", "U+0000"),
        ("\u{202e}gpj", "U+202E"),
        ("\u{ffff}", "U+FFFF"),
        ("a ", "begins or ends with a space"),
    ];
    let keys = ["study.name", "domain.0.name", "fidelity.1.name", "objective.metric"];
    let group = |name: &str| format!("group=[{{name={name}, domains=[\"a\"]}}]");
    let mut cases: Vec<(String, &str)> = vec![];
    for (name, reason) in everywhere {
        let name = quoted(name);
        // A TOML string of several lines cannot stand in an inline table's place here.
        let name = if name.contains("\"\"\"") { "\"a\\nb\"".to_owned() } else { name };
        cases.extend(keys.iter().map(|key| (format!("{key}={name}"), reason)));
        cases.push((group(&name), reason));
        cases.push((format!("objective={{metrics={{{name}=1}}}}"), reason));
    }
    for name in ["a=b", "a,b"] {
        cases.push((format!("domain.0.name='{name}'"), "separate names and weights"));
    }
    for name in ["../x", "/tmp/x", "a\\b", ".", ".hidden"] {
        cases.push((format!("study.name='{name}'"), "names a folder"));
    }
    cases.push(("study.dir=\"a\\u0000\"".into(), "NUL"));
    cases.push(("launcher.setup=[\"a\\u0000\"]".into(), "NUL"));
    for (set, reason) in cases {
        let output = f.run("check", &["--set", &set]);
        let key = set.split(['=', '.']).next().unwrap();
        let said = stderr(&output);
        assert!(code(&output) == Some(2) && said.contains(reason) && said.contains(key), "{set:?}: {said}");
        clean(&output);
    }
    assert_eq!(tree(f.root.path()).len(), 2, "nothing was written");
}

#[test]
fn columns_and_cells_that_cannot_be_names_are_refused() {
    let f = Fixture::new("", "", "");
    for (header, fidelity, reason) in [
        ("w:\u{1b}[2J,y:l", "s", "U+001B"),
        ("\"w:a\nb\",y:l", "s", "U+000A"),
        ("w:a=1,y:l", "s", "separate names"),
        ("\"w:a,b\",y:l", "s", "separate names"),
        ("w: a,y:l", "s", "space"),
        ("w:a,y:", "s", "is empty"),
        ("w:a,y:\u{202e}", "s", "U+202E"),
        ("w:a,y:l", "", "column \"fidelity\": the name is empty"),
        ("w:a,y:l", "\u{7f}", "line 2, column \"fidelity\": the name has U+007F"),
    ] {
        f.write("runs.csv", &format!("run_id,fidelity,cost,{header}\n1,{fidelity},1,1,1\n"));
        for config in [&[][..], &["--config", "study.toml"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
            command.current_dir(f.root.path()).args(["replay", "--runs", "runs.csv"]).args(config);
            let output = command.output().unwrap();
            let said = stderr(&output);
            assert!(code(&output) == Some(2) && said.contains(reason) && said.contains("runs.csv"), "{header}: {said}");
            clean(&output);
        }
    }
}

#[test]
fn what_trainers_report_does_no_harm() {
    // A name that clears the screen; a megabyte where a number should be; no file; a sound result with odd extras.
    let script = r#"case $3 in
        1) echo '{"metrics": {"\u001b[2J\u009b": 1}}' > "$1" ;;
        2) { printf '{"loss": "'; head -c 1000000 /dev/zero | tr '\0' x; printf '"}'; } > "$1" ;;
        3) mkdir "$1" ;;
        4) truncate -s 20M "$1" ;;
        5) printf '{"loss": 1, "metrics": {"a\\nb": 1, "": 2, " x": 3, "odd, <one>": 4}}' > "$1" ;;
    esac"#;
    let f = Fixture::new(script, "retries = 0", "[budget]\ntrials = 5\n[optimizer]\ntarget_only = true");
    let output = f.run("optimize", &["--set", "launcher.max_failure_rate=1.0"]);
    assert_eq!(code(&output), Some(0));
    clean(&output);
    let reasons: Vec<String> = f.of("failed").iter().map(|e| e["reason"].as_str().unwrap().to_owned()).collect();
    for (reason, expected) in reasons.iter().zip(["lacks loss", "is no number", "is no file", "is no file"]) {
        assert!(reason.len() < 500, "{} bytes", reason.len());
        assert!(reason.contains(expected) || reason.starts_with("metric loss is \"xxx"), "{reason}");
    }
    assert_eq!(reasons.len(), 4);
    let status = f.run("status", &["--trials"]);
    clean(&status);
    assert!(String::from_utf8_lossy(&status.stdout).contains("\\u001b[2J\\u009b"));
    assert_eq!(stderr(&output).matches("ignored metric").count(), 3);
    let metrics = f.of("completed")[0]["metrics"].clone();
    assert_eq!(metrics, serde_json::json!({"loss": 1.0, "odd, <one>": 4.0}));
    assert_eq!(code(&f.run("export", &["--out", "runs.csv"])), Some(0));
    assert_eq!(code(&f.run("replay", &["--runs", "runs.csv", "--strategy", "random", "--seeds", "1"])), Some(0));
}

#[test]
fn pipes_and_links_where_files_should_be_are_neither_waited_for_nor_written_through() {
    // Pipes, made by the trainer: none is waited for, and none hides why.
    for (script, reason) in [
        (r#"mkfifo "$1""#, "is no file"),
        (r#"ln -s "$1" "$1""#, "is no file"),
        (r#"ln -s /dev/zero "$1""#, "is no file"),
        ("cd \"$ADMIRE_TRIAL_DIR\"; rm stdout.log; mkfifo stdout.log", "cannot read"),
        ("cd \"$ADMIRE_TRIAL_DIR\"; rm stderr.log; mkfifo stderr.log; exit 1", "exit status: 1"),
    ] {
        let f = Fixture::new(script, "retries = 0", "[budget]\ntrials = 1");
        f.run("optimize", &["-q"]);
        let failed = f.of("failed");
        assert!(failed[0]["reason"].as_str().unwrap().contains(reason), "{script}: {failed:?}");
        assert_eq!(code(&f.run("status", &[])), Some(0));
    }
    // Links, made by others before.
    let f = Fixture::new(r#"echo '{"loss": 1}' > "$1""#, "on_event = [\"true\"]", "[budget]\ntrials = 1");
    f.json("suggest", &["-q"]);
    fs::create_dir_all(f.path("run/trials/0001")).unwrap();
    let trial = ["stdout.log", "stderr.log", "result.json", "mixture.json", "mixture.json.tmp"];
    let trial = trial.map(|name| format!("trials/0001/{name}"));
    for name in trial.iter().map(String::as_str).chain(["on_event.log", "report.html"]) {
        f.write(&format!("{name}.precious").replace('/', "."), "precious");
        symlink(f.path(&format!("{name}.precious").replace('/', ".")), f.path("run").join(name)).unwrap();
    }
    for command in ["optimize", "report"] {
        let output = f.run(command, &["-q"]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    }
    assert_eq!(f.of("completed").len(), 1);
    let precious = tree(f.root.path()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "precious"));
    let contents: Vec<String> = precious.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(contents, ["precious"; 7]);
    // Where a page goes that the user names is up to the user.
    let output = f.run("report", &["-q", "--out", "report.html.precious"]);
    assert_eq!(code(&output), Some(0));
    assert!(fs::read_to_string(f.path("report.html.precious")).unwrap().starts_with("<!DOCTYPE html>"));
}

#[test]
fn folders_that_cannot_be_told_are_refused() {
    let f = Fixture::new(study::GOOD, "", "[budget]\ntrials = 1");
    let not_utf8 = std::ffi::OsStr::new("a").to_owned();
    let not_utf8 = [not_utf8.as_encoded_bytes(), b"\xff"].concat();
    let not_utf8 = std::os::unix::ffi::OsStringExt::from_vec(not_utf8);
    for dir in [std::ffi::OsString::from("a\nb"), not_utf8] {
        let output = f.command("optimize").arg("--dir").arg(&dir).output().unwrap();
        assert_eq!(code(&output), Some(1));
        assert!(stderr(&output).contains("choose another study.dir"), "{}", stderr(&output));
        clean(&output);
    }
    let output = f.run("optimize", &["-q", "--dir", "it's a \"$HOME\" `dir` <b> %j"]);
    assert_eq!((code(&output), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn files_and_folders_follow_the_umask() {
    for mask in [0o077, 0o027] {
        let f = Fixture::new(study::GOOD, "", "[budget]\ntrials = 3\n[optimizer]\ntarget_only = true");
        let under = |arguments: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", &format!("{mask:03o}")]);
            command.arg(env!("CARGO_BIN_EXE_admire")).args(arguments.split(' ')).current_dir(f.root.path());
            let output = command.output().unwrap();
            assert_eq!(code(&output), Some(0), "{arguments}: {}", stderr(&output));
        };
        let before = tree(f.root.path());
        under("optimize -q --config study.toml");
        under("suggest -q --config study.toml");
        under("tell -q --config study.toml --trial 4 --loss 1");
        under("export --config study.toml --out runs.csv");
        under("replay -q --runs runs.csv --strategy random --seeds 1 --out plots/new");
        under("init -q new.toml");
        let made: Vec<PathBuf> = tree(f.root.path()).into_iter().filter(|path| !before.contains(path)).collect();
        assert!(made.len() >= 20, "{made:?}");
        for path in made {
            let full = if path.is_dir() { 0o777 } else { 0o666 };
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, full & !mask, "{mode:o} {}", path.display());
        }
    }
}

#[test]
fn secrets_of_the_environment_stay_there() {
    let script = format!("[ \"$FROM_ME$FROM_CONFIG$FROM_SET\" = s3cret1s3cret2s3cret3 ] || exit 1; {}", study::GOOD);
    let launcher = "env = { FROM_CONFIG = \"s3cret2\" }";
    let f = Fixture::new(&script, launcher, "[budget]\ntrials = 3\n[optimizer]\ntarget_only = true");
    let set = ["--set", "launcher.env.FROM_SET=\"s3cret3\""];
    let run = |name: &str, arguments: &[&str]| {
        let output = f.command(name).args(set).args(arguments).env("FROM_ME", "s3cret1").output().unwrap();
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains("s3cret"), "{name}");
    };
    run("optimize", &["-v"]);
    assert_eq!(f.of("completed").len(), 3);
    for (name, arguments) in [
        ("check", &["-v"][..]),
        ("status", &["--format", "json"]),
        ("best", &[]),
        ("export", &["--out", "runs.csv"]),
        ("replay", &["--runs", "runs.csv", "--strategy", "random", "--seeds", "1", "--out", "plots"]),
    ] {
        // `replay` has no use for the folder, and the others for no more than that.
        run(name, arguments);
    }
    let ours = [f.path("study.toml"), f.path("train.sh")];
    for path in tree(f.root.path()).into_iter().filter(|path| path.is_file() && !ours.contains(path)) {
        assert!(!String::from_utf8_lossy(&fs::read(&path).unwrap()).contains("s3cret"), "{}", path.display());
    }
}
