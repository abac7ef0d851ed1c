//! The keys of `[launcher]` that are about Slurm.

use std::collections::BTreeMap;

use super::LauncherKind;
use super::tree::Section;

/// Keys for options of `sbatch`.
const OPTIONS: [&str; 4] = ["partition", "account", "gres", "time"];

/// Options that `admire` sets itself, or that would keep it from recognizing its jobs: long and short.
const RESERVED: [(&str, &str); 8] = [
    ("--job-name", "-J"),
    ("--output", "-o"),
    ("--error", "-e"),
    ("--array", "-a"),
    ("--chdir", "-D"),
    ("--wait", "-W"),
    ("--clusters", "-M"),
    ("--test-only", "--test-only"),
];

/// Reads the keys.
pub(super) fn kind(section: &Section<'_>, fidelity: BTreeMap<String, Vec<String>>) -> LauncherKind {
    let options = OPTIONS.map(|key| section.text(key));
    let lines = section.texts("directives").unwrap_or_default();
    // They become words of the script's `#SBATCH` lines, which have their own rules of quoting.
    let word = |value: &str| !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !"'\"\\#".contains(c));
    for (key, value) in OPTIONS.iter().zip(&options) {
        match value {
            Some(value) if !word(value) => {
                section.report(Some(key), format!("\"{value}\" is empty, or has spaces, quotes, `#` or `\\` in it"));
            }
            Some(value) if *key == "time" && !is_time(value) => {
                let forms = "write minutes, hours:minutes:seconds or days-hours, such as \"90\", \"12:00:00\", \"2-0\"";
                section.report(Some("time"), format!("\"{value}\" is no length of time in Slurm's notation; {forms}"));
            }
            _ => {}
        }
    }
    let all = lines.iter().map(|line| ("directives", line));
    for (key, line) in all.chain(fidelity.values().flatten().map(|line| ("fidelity", line))) {
        if let Err(reason) = check(line) {
            section.report(Some(key), format!("\"{line}\" {reason}"));
        }
    }
    let options = OPTIONS.iter().zip(options).filter_map(|(key, value)| Some(format!("--{key}={}", value?)));
    LauncherKind::Slurm { directives: options.chain(lines).collect(), fidelity }
}

/// Whether `text` is a time limit as `sbatch` takes it.
fn is_time(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let clock = |text: &str| text.split(':').all(number) && text.split(':').count() <= 3;
    let limit = |text: &str| match text.split_once('-') {
        Some((days, clock_time)) => number(days) && clock(clock_time),
        None => clock(text),
    };
    limit(text) || ["UNLIMITED", "INFINITE"].contains(&text)
}

/// A line of `directives` is an option of `sbatch`, and none of those that are taken.
fn check(line: &str) -> Result<(), String> {
    if !line.starts_with('-') || line.chars().any(char::is_control) {
        return Err("is no option of sbatch on one line, such as \"--mem=64G\"".into());
    }
    // What abbreviates a long option is that option.
    let option = line.split(['=', ' ']).next().unwrap_or_default();
    let taken = |(long, short): &&(&str, &str)| {
        if line.starts_with("--") { option.len() > 4 && long.starts_with(option) } else { line.starts_with(short) }
    };
    match RESERVED.iter().find(taken) {
        Some((long, _)) => Err(format!("would set {long}, which admire needs for itself; remove it")),
        None => Ok(()),
    }
}
