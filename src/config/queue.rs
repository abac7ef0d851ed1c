//! The keys of `[launcher]` that say by which programs a queue is used.

use std::collections::BTreeMap;

use super::placeholders::{Piece, named, pieces};
use super::tree::Section;
use super::value::Value;
use super::{JobState, NUL, QueuePrograms};

/// Placeholders of each program.
const SUBMIT: [&str; 5] = ["job", "script", "command", "dir", "options"];
const OTHERS: [&str; 2] = ["id", "job"];

/// Reads the keys.
pub(super) fn programs(section: &Section<'_>, fidelity: BTreeMap<String, Vec<String>>) -> QueuePrograms {
    let submit = program(section, "submit", "[\"qsub\", \"-terse\", \"-N\", \"{job}\", \"{script}\"]", &SUBMIT);
    let status = program(section, "status", "[\"qstate\", \"{id}\"]", &OTHERS);
    let cancel = program(section, "cancel", "[\"qdel\", \"{id}\"]", &OTHERS);
    let has =
        |argv: &[String], placeholder| argv.iter().any(|argument| named(argument).any(|name| name == placeholder));
    if !submit.is_empty() && !has(&submit, "script") && !has(&submit, "command") {
        section.report(Some("submit"), "has neither {script} nor {command}, so that it does not run the trial");
    }
    if !fidelity.is_empty() && !submit.iter().any(|argument| argument == "{options}") {
        section.report(
            Some("fidelity"),
            "has no effect: put the argument \"{options}\" where its options belong in `submit`",
        );
    }
    for (key, argv) in [("status", &status), ("cancel", &cancel)] {
        if !argv.is_empty() && !has(argv, "id") && !has(argv, "job") {
            section.report(Some(key), "says of no job: put {id} or {job} into it");
        }
    }
    if !status.is_empty() && !cancel.is_empty() && has(&status, "id") != has(&cancel, "id") {
        section.report(Some("cancel"), "knows a job by another word than `status`: use {id} in both, or in none");
    }
    let by_name = !has(&status, "id");
    QueuePrograms { submit, status, cancel, by_name, states: states(section), fidelity }
}

/// The arguments of one program, empty where they are wrong.
fn program(section: &Section<'_>, key: &'static str, example: &str, known: &[&str]) -> Vec<String> {
    let argv = section.texts(key).unwrap_or_default();
    if section.lacks(key) || argv.first().is_some_and(String::is_empty) {
        section.report(Some(key), format!("needs the program and its arguments, an array: {example}"));
    }
    for argument in &argv {
        if argument.contains('\0') {
            section.report(Some(key), NUL);
        }
        for piece in pieces(argument) {
            let name = match piece {
                Piece::Placeholder(name) if !known.contains(&name) => name,
                Piece::Single(brace) => brace,
                _ => continue,
            };
            let all: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
            let all = all.join(", ");
            let message =
                format!("`{argument}` has `{name}` in braces; known are {all} (`{{{{` and `}}}}` stand for braces)");
            section.report(Some(key), message);
        }
        if argument != "{options}" && named(argument).any(|name| name == "options") {
            section.report(Some(key), "{options} stands for several arguments: make it one of its own, \"{options}\"");
        }
    }
    argv
}

/// What the words mean that `status` prints.
fn states(section: &Section<'_>) -> BTreeMap<String, JobState> {
    let words: Vec<String> = JobState::NAMED.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let state = |value: &Value| {
        let text = value.text()?;
        JobState::NAMED.iter().find(|(word, _)| *word == text).map(|(_, state)| *state)
    };
    let expected = format!("one of {}", words.join(", "));
    let example = "{ qw = \"queued\", r = \"running\" }";
    let states: BTreeMap<String, JobState> =
        section.entries("states", example, &expected, state).into_iter().flatten().collect();
    if section.node("states").is_none() {
        section.report(Some("states"), format!("needs what the words mean that `status` prints, a table: {example}"));
    }
    if let Some(word) = states.keys().find(|word| word.is_empty() || word.contains(char::is_whitespace)) {
        section
            .report(Some("states"), format!("`{word}` is not one word; what `status` prints is compared word by word"));
    }
    states
}
