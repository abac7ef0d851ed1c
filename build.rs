//! Tells the program which commit it was built from: `ADMIRE_VERSION` is `0.1.0 (f4f2498c1a2b)`.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Digits of a commit's name that are shown.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    // A debug build names no commit: else every commit would have every test built again.
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit =
        release.then(|| of_package(Path::new(&folder)).or_else(|| of_repository(Path::new(&folder)))).flatten();
    let version = commit.map_or_else(|| version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=ADMIRE_VERSION={version}");
}

/// The commit that `cargo package` noted. It comes first: a package may lie inside of somebody else's repository.
fn of_package(folder: &Path) -> Option<String> {
    let path = folder.join(".cargo_vcs_info.json");
    let text = fs::read_to_string(&path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    let (_, after) = text.split_once("\"sha1\"")?;
    shortened(after.split('"').nth(1)?)
}

/// The commit that is checked out, where this folder is the top of a repository and there is a git.
fn of_repository(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(folder).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    // Every commit and every checkout adds a line to this file, also in a worktree.
    let log = folder.join(git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    shortened(&git(&["rev-parse", "HEAD"])?)
}

fn shortened(commit: &str) -> Option<String> {
    let digits = |c: char| c.is_ascii_hexdigit();
    commit.get(..DIGITS).filter(|short| short.chars().all(digits)).map(str::to_owned)
}
