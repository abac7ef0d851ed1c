//! What an installation brings along: the version, completions, manual pages.

use std::fs;
use std::process::Command;

fn admire(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_admire")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_is_the_packages_and_names_a_commit_in_releases() {
    let version = admire(&["--version"]);
    let rest = version.strip_prefix(concat!("admire ", env!("CARGO_PKG_VERSION"))).expect(&version).trim();
    assert!(rest.is_empty() || !cfg!(debug_assertions), "{version}");
    if let Some(commit) = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
        assert!(commit.len() == 12 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{version}");
    }
    assert_eq!(admire(&["check", "--version"]).replace("admire-check", "admire"), version);
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = admire(&["completions", shell]);
        for word in ["optimize", "replay", "completions", "config"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
    // A shell must be able to read it, too.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("admire.bash");
    fs::write(&file, admire(&["completions", "bash"])).unwrap();
    let complete =
        "source \"$0\"; COMP_WORDS=(admire opt); COMP_CWORD=1; _admire admire opt admire; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", complete]).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "optimize");
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let all = admire(&["--help"]);
    let commands = all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> =
        commands.filter_map(|line| line.split_whitespace().next()).filter(|n| *n != "help").collect();
    assert_eq!(names.len(), 16);
    for name in names {
        let help = admire(&[name, "--help"]);
        assert!(help.contains(&format!("Example: admire {name}")), "{help}");
    }
}

#[test]
fn init_writes_what_is_said_and_leaves_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
        command.current_dir(dir.path()).args(arguments).output().unwrap()
    };
    let init = ["init", "--domains", "web=400e9,code=60e9", "--sizes", "60M,1B", "--trainer", "hf"];
    assert!(run(&init).status.success());
    assert!(fs::read_to_string(dir.path().join("train.py")).unwrap().contains("admire.trial()"));
    // `study.toml` is the config where none is named.
    let checked = String::from_utf8(run(&["check"]).stdout).unwrap();
    assert!(checked.contains("1B") && checked.contains("python3 train.py"), "{checked}");
    fs::write(dir.path().join("study.toml"), "mine").unwrap();
    fs::remove_file(dir.path().join("train.py")).unwrap();
    let again = run(&init);
    assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(fs::read_to_string(dir.path().join("study.toml")).unwrap(), "mine");
    assert!(!dir.path().join("train.py").exists(), "nothing is written where something is in the way");
    let twice = run(&["init", "other.toml", "--domains", "web,web"]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&twice.stderr).contains("web"));
    assert!(!dir.path().join("other.toml").exists());
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let page = admire(&["man"]);
    assert!(page.contains(".TH admire 1") && page.contains("Exit codes"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("share/man/man1");
    admire(&["man", folder.to_str().unwrap()]);
    for name in ["admire", "admire-check", "admire-optimize", "admire-replay", "admire-journal-compact"] {
        let page = fs::read_to_string(folder.join(format!("{name}.1"))).expect(name);
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
    }
    assert!(!folder.join("admire-help.1").exists());
    let synopsis = |name: &str| {
        let page = fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        page.lines().skip_while(|line| *line != ".SH SYNOPSIS").nth(1).unwrap().replace('\\', "")
    };
    for (name, argument) in [
        ("admire", "<COMMAND>"),
        ("admire-import", "[--map <TARGET=COLUMN>]"),
        ("admire-import", "<[SIZE=]FILE[,FILE]>..."),
        ("admire-tell", "[--config <FILE>]"),
        ("admire-tell", "--trial <TRIAL> <--progress <FILE>|--loss <LOSS>|"),
        ("admire-journal-export", "[--out <FILE>]"),
    ] {
        assert!(synopsis(name).contains(argument), "{}", synopsis(name));
    }
    let optimize = fs::read_to_string(folder.join("admire-optimize.1")).unwrap();
    assert!(optimize.contains("study\\*(Aqs config file") || optimize.contains("study's config file"), "{optimize}");
}
