//! `admire replay` on files of logged runs.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder in which logs are replayed.
pub struct Bench(pub TempDir);

impl Bench {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub fn replay(&self, file: &Path, args: &[&str]) -> Output {
        self.replay_on(file, args, "2")
    }

    pub fn replay_on(&self, file: &Path, args: &[&str], threads: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_admire"))
            .args(["replay", "--runs"])
            .arg(file)
            .args(args)
            .env("RAYON_NUM_THREADS", threads)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    pub fn json(&self, content: &str, args: &[&str]) -> Value {
        let output = self.replay(&self.write("runs.csv", content), &[args, &["--format", "json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asserts that the log is refused with exit code 2 and a message with all of `words`.
    pub fn refuses(&self, content: &str, args: &[&str], words: &[&str]) {
        let output = self.replay(&self.write("bad.csv", content), args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
        }
    }
}
