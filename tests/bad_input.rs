//! Bad input of every kind, through the built binary: the right exit code, a message that names the place, no panic. What
//! is wrong inside a config or a log is in `config.rs` and `replay.rs`; here are the commands, their arguments and files,
//! and random damage.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use admire::config::{StudyConfig, TEMPLATE};
use admire::problem::Direction;
use admire::replay::{Pool, infer_config};
use admire::runs::RunLog;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const CONFIG: &str = r#"
[[domain]]
name = "web"
[[domain]]
name = "code"
[[fidelity]]
name = "small"
params = 1e6
cost = 0.1
[[fidelity]]
name = "big"
params = 1e9
cost = 1
"#;

/// Eight runs at each size.
fn log() -> String {
    let mut text = "run_id,fidelity,params,tokens,cost,w:web,w:code,y:loss,y:other\n".to_owned();
    for (fidelity, params, cost) in [("small", 1e6, 0.1), ("big", 1e9, 1.0)] {
        for i in 0..8 {
            let web = f64::from(i) / 7.0;
            let (code, loss) = (1.0 - web, (web - 0.3).powi(2));
            text += &format!("{fidelity}-{i},{fidelity},{params},1e9,{cost},{web:.4},{code:.4},{loss:.4},{web:.2}\n");
        }
    }
    text
}

/// A folder with `study.toml`, `runs.csv`, files of garbage and a study `run/` with trial 1 pending.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("study.toml", CONFIG.as_bytes());
    write("runs.csv", log().as_bytes());
    write("header.csv", log().lines().next().unwrap().as_bytes());
    write("garbage", b"\xff\xfe\x00{[\"=,\n,,\n");
    write("empty", b"");
    write("huge.csv", log().replace("0.0005,", "1e308,").replace("0.4900,", "-1e308,").as_bytes());
    write("small.csv", log().split("big-0").next().unwrap().as_bytes());
    write("nan.json", br#"{"loss": NaN"#);
    assert_eq!(admire(dir.path(), "suggest --config study.toml --dir run").0, Some(0));
    dir
}

/// Exit code and stderr of a command line (split at blanks).
fn admire(dir: &Path, line: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
    let output = command.current_dir(dir).args(line.split_whitespace()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_refusal_has_its_code_and_names_its_place() {
    // What is asked, the exit code, what the message must contain.
    let cases: &[(&str, i32, &[&str])] = &[
        // No file, not a file, not a config.
        ("check --config none.toml", 2, &["none.toml", "admire init"]),
        ("optimize --config none.toml", 2, &["none.toml"]),
        ("suggest --config none.toml", 2, &["none.toml"]),
        ("status --config none.toml", 2, &["none.toml"]),
        ("best --config none.toml", 2, &["none.toml"]),
        ("export --config none.toml", 2, &["none.toml"]),
        ("replay --config none.toml", 2, &["none.toml"]),
        ("check --config .", 2, &["config ."]),
        ("check --config garbage", 2, &["garbage", "UTF-8"]),
        ("check --config empty", 2, &["empty: ", "no domains", "no fidelities"]),
        ("check --config runs.csv", 2, &["runs.csv: line 1: not valid TOML"]),
        // Every command refuses what `check` refuses, and in the same words.
        ("optimize --config study.toml --set launcher.slot=1", 2, &["unknown key `slot`; did you mean `slots`?"]),
        ("suggest --config study.toml --set domain.web.min=2", 2, &["domain[0].min", "between 0 and 1"]),
        ("replay --config study.toml --runs runs.csv --set study.seed=-1", 2, &["study.seed"]),
        ("best --config study.toml --dir run --set study.seed=1.5", 2, &["study.seed", "integer"]),
        ("check --config study.toml --set domain=[]", 2, &["domain", "no domains"]),
        ("check --config study.toml --set fidelity=[]", 2, &["fidelity", "no fidelities"]),
        ("check --config study.toml --set domain.web.name=3", 2, &["domain[0].name"]),
        ("check --config study.toml --set fidelity.big.cost=inf", 2, &["fidelity[1].cost", "at most 1e50"]),
        ("check --config study.toml --set fidelity.big.params=1e60", 2, &["fidelity[1].params", "at most 1e50"]),
        // No mixture satisfies the bounds: its own exit code everywhere.
        ("check --config study.toml --set domain.web.min=0.7 --set domain.code.min=0.7", 3, &["study.toml", "1.4"]),
        ("suggest --config study.toml --set domain.web.max=0.1 --set domain.code.max=0.1", 3, &["study.toml", "0.2"]),
        ("optimize --config study.toml --set domain.web.max=0.1 --set domain.code.max=0.1", 3, &["web", "code"]),
        ("replay --config study.toml --runs runs.csv --set domain.web.max=0 --set domain.code.max=0.5", 3, &["code"]),
        // Commands and studies that do not fit.
        ("optimize --config study.toml", 2, &["no [launcher]"]),
        ("suggest --config study.toml -n 0", 2, &["-n"]),
        ("suggest --config study.toml -n x", 2, &["-n"]),
        ("suggest --config study.toml --dir run --fidelity bg", 2, &["bg", "small, big"]),
        ("suggest --config study.toml --dir run --set domain.code.name=\"books\"", 2, &["domain"]),
        ("tell --config study.toml --dir run --trial 99 --loss 1", 2, &["no trial 99"]),
        ("tell --config study.toml --dir run --trial 1", 2, &["--loss"]),
        ("tell --config study.toml --dir run --trial 1 --loss much", 2, &["--loss"]),
        ("tell --config study.toml --dir run --trial 1 --loss 1 --failed", 2, &["--failed"]),
        ("tell --config study.toml --dir run --trial 1 --result none.json", 1, &["none.json"]),
        ("tell --config study.toml --dir run --trial 1 --result garbage", 1, &["garbage", "UTF-16"]),
        ("tell --config study.toml --dir run --trial 1 --result empty", 1, &["empty"]),
        ("tell --config study.toml --dir run --trial 1 --result nan.json", 1, &["nan.json"]),
        // Logs.
        ("replay", 2, &["--config"]),
        ("replay --config study.toml", 2, &["--runs FILE", "replay.runs"]),
        ("replay --runs none.csv", 2, &["none.csv"]),
        ("replay --runs .", 2, &[".: this is a folder"]),
        ("replay --runs empty", 2, &["empty", "header"]),
        ("replay --runs header.csv", 2, &["header.csv", "no rows"]),
        ("replay --runs garbage", 2, &["garbage", "line 1"]),
        ("replay --runs study.toml", 2, &["study.toml", "\"run_id\" is missing"]),
        ("replay --runs huge.csv --strategy random --seeds 1", 0, &["skipped", "huge.csv", "without a finite value"]),
        ("replay --config study.toml --runs small.csv", 2, &["no usable run at the target fidelity \"big\""]),
        ("replay --config study.toml --runs runs.csv --set objective.metric=\"los\"", 2, &["did you mean \"loss\"?"]),
        ("replay --config study.toml --runs runs.csv --set domain.code.name=\"cod\"", 2, &["w:code", "\"cod\""]),
        ("replay --config study.toml --runs runs.csv --set fidelity.small.name=\"tiny\"", 2, &["line 2", "\"small\""]),
        ("replay --runs runs.csv --seeds 0", 2, &["--seeds"]),
        ("replay --runs runs.csv --budget=-1", 2, &["--budget", "positive"]),
        ("replay --runs runs.csv --budget nan", 2, &["--budget", "positive"]),
        ("replay --runs runs.csv --budget 1e300", 2, &["--budget", "positive"]),
        ("replay --runs runs.csv --at 1,x", 2, &["--at"]),
        ("replay --runs runs.csv --tolerance inf", 2, &["--tolerance"]),
        ("replay --runs runs.csv --strategy random --seeds 1 --out empty", 1, &["empty"]),
    ];
    let dir = folder();
    let mut wrong = Vec::new();
    for (line, code, words) in cases {
        let (got, stderr) = admire(dir.path(), line);
        let missing: Vec<_> = words.iter().filter(|word| !stderr.contains(**word)).collect();
        if got != Some(*code) || !missing.is_empty() || stderr.contains("panicked") {
            wrong.push(format!("`{line}`: exit {got:?} instead of {code}, without {missing:?}:\n{stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One to three random edits: bytes flipped, removed or repeated; lines dropped, doubled or swapped; cells replaced by
/// what people and programs write by mistake.
fn damage(text: &str, rng: &mut ChaCha8Rng) -> String {
    const CELLS: [&str; 14] = [
        "",
        "-1",
        "0",
        "nan",
        "inf",
        "1e308",
        "1e-308",
        "-0.0",
        "\"",
        "[]",
        "true",
        "1e999",
        "π",
        "99999999999999999999",
    ];
    let mut text = text.to_owned();
    for _ in 0..rng.random_range(1..=3) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let Some(at) = (0..lines.len()).choose(rng) else { break };
        match rng.random_range(0..6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => lines.swap(at, 0),
            3 => {
                let mut bytes = lines[at].clone().into_bytes();
                if let Some(i) = (0..bytes.len()).choose(rng) {
                    bytes[i] = rng.random();
                }
                lines[at] = String::from_utf8_lossy(&bytes).into_owned();
            }
            4 => {
                let end = (0..=lines[at].len()).filter(|i| lines[at].is_char_boundary(*i)).choose(rng).unwrap_or(0);
                lines[at].truncate(end);
            }
            _ => {
                let separator = if lines[at].contains(',') { "," } else { " " };
                let mut cells: Vec<&str> = lines[at].split(separator).collect();
                if let (Some(i), Some(cell)) = ((0..cells.len()).choose(rng), CELLS.choose(rng)) {
                    cells[i] = cell;
                }
                lines[at] = cells.join(separator);
            }
        }
        text = lines.join("\n");
    }
    text
}

/// Runs `read` on 1000 damaged versions of `text`: an error is fine, a panic is not. Some of either kind must come out.
fn survives(text: &str, read: impl Fn(&str) -> bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut accepted = 0;
    for round in 0..1000 {
        let damaged = damage(text, &mut rng);
        match catch_unwind(AssertUnwindSafe(|| read(&damaged))) {
            Ok(ok) => accepted += usize::from(ok),
            Err(_) => panic!("round {round} panics on:\n{damaged}"),
        }
    }
    assert!((10..990).contains(&accepted), "{accepted} of 1000 were accepted");
}

#[test]
fn damaged_configs_never_panic() {
    survives(TEMPLATE, |text| match StudyConfig::parse(Path::new("study.toml"), text, &[]) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().contains("study.toml"), "{error}");
            false
        }
    });
}

#[test]
fn damaged_logs_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runs.csv");
    let replay = |text: &str| -> Result<(), String> {
        fs::write(&file, text).unwrap();
        let log = RunLog::read(std::slice::from_ref(&file)).map_err(|e| e.to_string())?;
        let (config, _) = infer_config(&log, Direction::Minimize, true).map_err(|e| e.to_string())?;
        let config = toml::to_string(&config).map_err(|e| e.to_string())?;
        let study = StudyConfig::parse(&file, &config, &[]).map_err(|e| e.to_string())?;
        let pool = Pool::new(&log, &study.space, &study.fidelities, &study.objective, Some(4));
        let pool = pool.map_err(|e| e.to_string())?;
        assert!(pool.sd.is_finite() && pool.blind_regret().is_finite());
        Ok(())
    };
    survives(&log(), |text| replay(text).is_ok());
}
