//! The documentation says what is true: its commands run and print what it shows, its reference is the program's, its links
//! lead somewhere.
//!
//! In docs/*.md, in the README and in that of the PyTorch example, a fenced block whose info string begins with `sh` is run,
//! page by page and block after block in an empty folder, with `admire` on PATH and the repository in `$REPOSITORY`.
//! `sh,exit=2` has to end with that code; `sh,skip=WHY` is not run. `toml,file=study.toml` (any language) is written to that
//! file first. A comment `<!-- sh … -->` is run too, but not shown. What the tutorial writes down as files is in `$TUTORIAL` for
//! the other pages.
//!
//! The blocks of `text` after a block of commands, up to the next one, show together what it printed, on stdout and stderr, as
//! `common/transcript.rs` compares it. With ADMIRE_WRITE_DOCS, numbers that have changed are written into the page. Of
//! `text,form`, each line is one that was printed, but for its numbers. `text,skip=WHY` is not compared. Of `json,keys`, every key
//! is one of the document that was printed last, in the same place; it need not show all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use admire::cli::Cli;
use clap::CommandFactory;

#[path = "common/transcript.rs"]
mod transcript;

use transcript::Numbers;

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

/// The pages whose commands run, by their paths from docs/. What the reference of the command line shows, another test compares.
fn pages_with_commands() -> Vec<(String, String)> {
    let elsewhere = ["../README.md", "../examples/pytorch/README.md"];
    let elsewhere = elsewhere.map(|path| (path.to_owned(), fs::read_to_string(docs().join(path)).unwrap()));
    pages().into_iter().filter(|(page, _)| page != "cli-reference.md").chain(elsewhere).collect()
}

/// A page that is played in a folder of its own.
struct Player<'a> {
    page: &'a str,
    dir: &'a Path,
    tutorial: &'a Path,
    /// What the last commands printed.
    printed: Option<String>,
    /// What the page shows of that: the numbers of its lines, and the lines.
    shown: Vec<(usize, String)>,
    /// Lines of the page, by their numbers, that are to be written in place of those that are there.
    news: BTreeMap<usize, String>,
}

impl<'a> Player<'a> {
    fn new(page: &'a str, dir: &'a Path, tutorial: &'a Path) -> Self {
        Self { page, dir, tutorial, printed: None, shown: vec![], news: BTreeMap::new() }
    }

    /// Writes the files of the page.
    fn write_files(&self, text: &str) {
        for block in blocks(text) {
            if let Some(file) = option(&block.info, "file") {
                fs::write(self.dir.join(file), block.text).unwrap();
            }
        }
    }

    /// Plays the blocks of the page; the lines that are to be written.
    fn play(mut self, text: &str) -> BTreeMap<usize, String> {
        for block in blocks(text) {
            let Block { line, info, text } = &block;
            let place = format!("docs/{}, line {line}", self.page);
            if let Some(file) = option(info, "file") {
                fs::write(self.dir.join(file), text).unwrap();
            } else if info == "sh" || option(info, "exit").is_some() {
                self.compare();
                self.printed = Some(self.run(&block, &place));
            } else if info == "text" {
                self.shown.extend(numbered(&block));
            } else if info == "text,form" {
                let printed = self.printed.as_deref().unwrap_or_default();
                for (n, shown) in numbered(&block).filter(|(_, line)| line != "…") {
                    let there = transcript::lines(printed).any(|line| transcript::is_same(&shown, line, Numbers::Any));
                    assert!(there, "docs/{}, line {n}: no such line is printed:\n{shown}\n\n{printed}", self.page);
                }
            } else if info == "json,keys" {
                let printed = self.printed.as_deref().unwrap_or_default();
                let document = printed.lines().rev().find(|line| line.starts_with('{')).expect(&place);
                let [shown, document] = [text, document].map(|json| serde_json::from_str(json).expect(&place));
                let unknown = transcript::unknown(&shown, &document);
                assert_eq!(unknown, None, "{place}: the program does not print this in {document}");
            } else if ["sh", "text"].contains(&info.split(',').next().unwrap()) {
                assert!(option(info, "skip").is_some_and(|why| !why.is_empty()), "{place}: skipped, but why?");
            } else {
                assert!(!info.is_empty(), "{place}: the block says no language");
            }
        }
        self.compare();
        self.news
    }

    /// Runs a block of commands; what it prints.
    fn run(&self, block: &Block, place: &str) -> String {
        let programs = Path::new(env!("CARGO_BIN_EXE_admire")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", &format!("exec 2>&1\n{}", block.text)]).current_dir(self.dir);
        shell.env("PATH", &path).env("REPOSITORY", REPOSITORY).env("TUTORIAL", self.tutorial);
        let output = shell.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = option(&block.info, "exit").map_or(0, |code| code.parse().unwrap());
        assert_eq!(output.status.code(), Some(expected), "{place}:\n{}\n{printed}", block.text);
        printed
    }

    /// Compares what the page shows of the last commands with what they printed.
    fn compare(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        let Some((first, _)) = shown.first() else { return };
        if !transcript::comparable() {
            eprintln!("docs/{}, line {first}: not compared, this processor rounds otherwise", self.page);
            return;
        }
        let printed = self.printed.as_deref().unwrap_or_else(|| panic!("docs/{}, line {first}: of what?", self.page));
        let printed_lines: Vec<&str> = transcript::lines(printed).collect();
        let lines: Vec<&str> = shown.iter().map(|(_, line)| line.as_str()).collect();
        let numbers = if writing() { Numbers::Any } else { Numbers::Alike };
        match transcript::compared(&lines, &printed_lines, numbers) {
            Ok(printed) => {
                let lines = shown.iter().zip(printed).filter(|((_, line), _)| !line.contains('…'));
                let changed = lines.filter(|((_, line), printed)| !transcript::is_same(line, printed, Numbers::Alike));
                self.news.extend(changed.map(|((n, _), printed)| (*n, transcript::without_time(printed).to_owned())));
            }
            Err(right) => {
                let place = shown.get(right).map(|(n, line)| format!("line {n}: not printed here: {line}"));
                let place = place.unwrap_or_else(|| "more is printed than is shown".into());
                panic!("docs/{}, {place}\n\n{printed}", self.page);
            }
        }
    }
}

/// The lines of a block that have anything in them, with their numbers in the page.
fn numbered(block: &Block) -> impl Iterator<Item = (usize, String)> {
    let lines = block.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(i, line)| (block.line + 1 + i, line.to_owned()))
}

/// Writes lines into a page in place of those that are there.
fn write_lines(page: &str, text: &str, news: &BTreeMap<usize, String>) {
    let lines = text.lines().enumerate().map(|(i, line)| news.get(&(i + 1)).map_or(line, String::as_str));
    fs::write(docs().join(page), lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
}

#[test]
fn the_commands_of_every_page_run_and_print_what_it_shows() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: the pages train with python3, and there is none");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let pages = pages_with_commands();
    let tutorial = root.path().join("files of the tutorial");
    fs::create_dir(&tutorial).unwrap();
    let (page, text) = pages.iter().find(|(page, _)| page == "tutorial.md").unwrap();
    Player::new(page, &tutorial, &tutorial).write_files(text);
    std::thread::scope(|scope| {
        let tutorial = &tutorial;
        for (page, text) in &pages {
            let dir = root.path().join(page.replace('/', "_"));
            fs::create_dir(&dir).unwrap();
            scope.spawn(move || {
                let news = Player::new(page, &dir, tutorial).play(text);
                if writing() && !news.is_empty() {
                    write_lines(page, text, &news);
                }
            });
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
fn what_is_not_printed_is_noticed() {
    let printed =
        ["2026-11-25 09:24:32 trial 1 complete: 2.314; cost 0.1", "domain  weight", "web     0.3 ███", "saves 97.2 %"];
    let compared =
        |shown: &str| transcript::compared(&shown.lines().collect::<Vec<_>>(), &printed, Numbers::Alike).map(drop);
    for shown in [
        "trial 1 complete: 2.314; cost 0.1\ndomain weight\nweb 0.3 ██\nsaves 97.2 %",
        "trial 1 complete: 2.35; cost …\n…\nsaves 96 %",
        "…\n  web 0.4 ███▉\n  …",
    ] {
        assert!(compared(shown).is_ok(), "{shown}");
    }
    for (shown, right) in [
        ("trial 1 complete: 2.37; cost 0.1\n…", 0),
        ("trial 1 failed: 2.314; cost 0.1\n…", 0),
        ("trial 1 complete: 2.314; cost 0.1\nweb 0.3\n…", 1),
        ("…\nsaves 97.2 %\ndomain weight", 2),
        ("…\nweb 0.3", 2),
        ("…\nbooks …\n…", 1),
    ] {
        assert_eq!(compared(shown).unwrap_err(), right, "{shown}");
    }
    assert!(transcript::is_same("Nov 25: better with 9 %", "Dec 1: better with 98 %", Numbers::Any));
    assert!(!transcript::is_same("better with 9 %", "worse with 98 %", Numbers::Any));
}

#[test]
fn commands_are_in_blocks_that_run() {
    for (page, text) in pages_with_commands() {
        let mut inside = false;
        for (i, line) in text.lines().enumerate() {
            inside ^= line.starts_with("```") || ["<!-- sh", "-->"].contains(&line);
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
