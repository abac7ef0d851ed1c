//! The documentation says what is true: its commands run, its reference is the program's, its links lead somewhere.
//!
//! In docs/*.md and in the README of the PyTorch example, a fenced block whose info string begins with `sh` is run, page by page and block after block in an empty
//! folder, with `admire` on PATH and the repository in `$REPOSITORY`. `sh,exit=2` has to end with that code; `sh,skip=WHY` is
//! not run. `toml,file=study.toml` (any language) is written to that file first. A comment `<!-- sh … -->` is run too, but not
//! shown. What the tutorial writes down as files is in `$TUTORIAL` for the other pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use admire::cli::Cli;
use clap::CommandFactory;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn docs() -> PathBuf {
    Path::new(REPOSITORY).join("docs")
}

/// Every page of the book with its text, in the order of their names.
fn pages() -> Vec<(String, String)> {
    let files = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// A block of a page: the line it begins in, its info string (`<!-- sh` for a comment) and what is in it.
struct Block {
    line: usize,
    info: String,
    text: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<(Block, &str)>) = (vec![], None);
    for (i, line) in text.lines().enumerate() {
        match &mut open {
            Some((_, end)) if line == *end => blocks.push(open.take().unwrap().0),
            Some((block, _)) => block.text += &format!("{line}\n"),
            None => {
                let begin = |info: &str| Block { line: i + 1, info: info.into(), text: String::new() };
                if line == "<!-- sh" {
                    open = Some((begin("sh"), "-->"));
                } else if let Some(info) = line.strip_prefix("```") {
                    open = Some((begin(info), "```"));
                }
            }
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// The value of `key=value` in an info string; the last one may have anything in it.
fn option<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    info.split_once(&format!(",{key}=")).map(|(_, value)| value)
}

/// Plays the blocks of a page in `dir`, only its files or its commands too.
fn play(page: &str, text: &str, dir: &Path, tutorial: &Path, commands: bool) {
    let programs = Path::new(env!("CARGO_BIN_EXE_admire")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    for Block { line, info, text } in blocks(text) {
        if let Some(file) = option(&info, "file") {
            fs::write(dir.join(file), text).unwrap();
        } else if info == "sh" || option(&info, "exit").is_some() {
            if !commands {
                continue;
            }
            let mut shell = Command::new("sh");
            shell.args(["-eu", "-c", &text]).current_dir(dir).env("PATH", &path).env("REPOSITORY", REPOSITORY);
            let output = shell.env("TUTORIAL", tutorial).output().unwrap();
            let expected = option(&info, "exit").map_or(0, |code| code.parse().unwrap());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(expected), "docs/{page}, line {line}:\n{text}\n{said}");
        } else if info.starts_with("sh") {
            assert!(
                option(&info, "skip").is_some_and(|why| !why.is_empty()),
                "docs/{page}, line {line}: skipped, but why?"
            );
        } else {
            assert!(!info.is_empty(), "docs/{page}, line {line}: the block says no language");
        }
    }
}

#[test]
fn the_commands_of_every_page_run() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: the pages train with python3, and there is none");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut pages = pages();
    let example = Path::new(REPOSITORY).join("examples/pytorch/README.md");
    pages.push(("../examples/pytorch/README.md".into(), fs::read_to_string(example).unwrap()));
    let tutorial = root.path().join("files of the tutorial");
    fs::create_dir(&tutorial).unwrap();
    let (_, text) = pages.iter().find(|(page, _)| page == "tutorial.md").unwrap();
    play("tutorial.md", text, &tutorial, &tutorial, false);
    std::thread::scope(|scope| {
        for (page, text) in &pages {
            let dir = root.path().join(page.replace('/', "_"));
            let tutorial = &tutorial;
            fs::create_dir(&dir).unwrap();
            scope.spawn(move || play(page, text, &dir, tutorial, true));
        }
    });
    // Not compared with the one in the repository: in the last digits, processors differ.
    let picture = fs::read_to_string(root.path().join("tutorial.md/plots/regret.svg")).unwrap();
    roxmltree::Document::parse(&picture).unwrap();
    if writing() {
        fs::write(docs().join("images/tutorial.svg"), picture).unwrap();
    }
}

#[test]
fn commands_are_in_blocks_that_run() {
    for (page, text) in pages() {
        let mut inside = false;
        for (i, line) in text.lines().enumerate() {
            inside ^= line.starts_with("```");
            let word = line.strip_prefix("    ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            let command = ["admire", "just", "cargo", "pip", "sudo", "rustup"].contains(&word);
            assert!(inside || !command, "docs/{page}, line {}: put the command into a block of `sh`", i + 1);
        }
    }
}

/// Whether generated parts are to be written rather than compared.
fn writing() -> bool {
    std::env::var_os("ADMIRE_WRITE_DOCS").is_some()
}

/// A generated file is as it would be generated now.
fn compare(name: &str, generated: &str) {
    let path = docs().join(name);
    if writing() {
        fs::write(&path, generated).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == generated, "docs/{name} is out of date: run `just docs` and commit what it writes");
}

#[test]
fn the_reference_of_the_command_line_is_the_programs() {
    let mut text = "# Every command and option\n\nWhat `--help` says, written by the program itself (`just docs`). \
                    What commands print and return is in [cli.md](cli.md).\n"
        .to_owned();
    // Not as wide as the terminal that the test runs in.
    let mut command = Cli::command().term_width(100);
    command.build();
    describe(&mut command, "admire", &mut text);
    compare("cli-reference.md", &text);
}

fn describe(command: &mut clap::Command, path: &str, text: &mut String) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(text, "\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        describe(sub, &path, text);
    }
}

/// The keys that the parser says it knows, by section, as they are written in the headings of docs/config.md.
fn known_keys() -> BTreeMap<String, BTreeSet<String>> {
    const NO_KEY: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("study.toml");
    let refused = |text: String| {
        fs::write(&file, text).unwrap();
        let error = admire::config::StudyConfig::load(&file, &[]).unwrap_err().to_string();
        let said = error.lines().filter_map(|line| line.split_once(&format!(": unknown key `{NO_KEY}`; known are ")));
        let said = said.map(|(place, keys)| {
            let section = place.rsplit_once(&format!(".{NO_KEY}")).map_or(place, |(section, _)| section);
            let section = section.rsplit(' ').next().unwrap().trim_end_matches("[0]").to_owned();
            (section, keys.split(", ").map(|key| key.trim().to_owned()).collect())
        });
        said.collect::<BTreeMap<String, BTreeSet<String>>>()
    };
    let top = refused(format!("{NO_KEY} = 1")).into_values().next().expect("the sections");
    let tables = top.iter().map(|key| {
        // Either a table or an array of tables; the wrong one is refused for that.
        [format!("[{key}]\n{NO_KEY} = 1\n"), format!("[[{key}]]\n{NO_KEY} = 1\n")]
    });
    tables.flatten().flat_map(refused).filter(|(section, _)| top.contains(section)).collect()
}

#[test]
fn every_key_of_the_config_is_documented_and_no_other() {
    let page = fs::read_to_string(docs().join("config.md")).unwrap();
    let (mut documented, mut section) = (BTreeMap::<String, BTreeSet<String>>::new(), String::new());
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.split('`').nth(1).unwrap_or_default().trim_matches(['[', ']']).to_owned();
        } else if let Some(keys) = line.strip_prefix("| `").and_then(|rest| rest.split(" |").next()) {
            // A row may be about several.
            let keys = keys.trim_end_matches('`').split("`, `").map(str::to_owned);
            documented.entry(section.clone()).or_default().extend(keys);
        }
    }
    let known = known_keys();
    assert!(known.len() > 8, "{known:?}");
    for (section, keys) in &known {
        assert_eq!(documented.get(section), Some(keys), "[{section}]: on the left what docs/config.md has");
    }
    let sections: Vec<&String> = documented.keys().filter(|section| !known.contains_key(*section)).collect();
    assert!(sections.is_empty(), "docs/config.md has sections that the parser does not know: {sections:?}");
}

#[test]
fn the_contents_have_every_page_and_links_lead_somewhere() {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    for (page, text) in pages() {
        let listed = page == "SUMMARY.md" || summary.contains(&format!("]({page})"));
        assert!(listed, "docs/{page} is not in docs/SUMMARY.md: add it there");
        let shown: String = text.split("```").step_by(2).collect();
        for link in shown.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            let there = file.is_empty() || file.contains("://") || docs().join(file).exists();
            assert!(there, "docs/{page}: nothing is at {link}");
        }
    }
}
