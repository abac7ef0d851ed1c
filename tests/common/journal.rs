//! What the tests of journals share.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::fs;
use std::process::{Command, ExitStatus, Output};

use serde_json::{Value, json};

use crate::study::{Fixture, code};

pub fn journal(f: &Fixture) -> String {
    fs::read_to_string(f.path("run/journal.jsonl")).unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `admire journal NAME`.
pub fn run(f: &Fixture, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
    command.args(["journal", name, "--config"]).arg(f.path("study.toml")).args(arguments);
    command.current_dir(f.root.path()).output().unwrap()
}

/// What `journal check` finds, and whether it calls the journal sound.
pub fn check(f: &Fixture) -> (Value, bool) {
    let output = run(f, "check", &["--format", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(code(&output), Some(i32::from(found["problems"] != json!([]))), "{found}");
    let sound = code(&output) == Some(0);
    assert_eq!(stdout(&run(f, "check", &[])).ends_with("\nsound\n"), sound);
    (found, sound)
}

/// A command that the kernel ends as soon as one of its files grows beyond `limit` bytes.
pub fn limited(f: &Fixture, limit: usize, arguments: &[&str]) -> ExitStatus {
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={limit}")).arg("--core=0").arg(env!("CARGO_BIN_EXE_admire")).args(arguments);
    command.arg("--config").arg(f.path("study.toml")).current_dir(f.root.path()).output().unwrap().status
}
