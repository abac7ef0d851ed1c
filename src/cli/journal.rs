use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tracing::info;

use super::{ConfigArgs, Format, WriterArgs, text};
use crate::study::{Checked, StudyError, check, compact, journal};

/// Problems that a table shows; JSON has all of them.
const SHOWN: usize = 20;

/// Look a study's journal over, shrink it, or write out its events
#[derive(Debug, Args)]
#[command(after_help = "Example: admire journal check")]
pub struct JournalArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is in the journal, and what is wrong with it; changes nothing
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// How to print it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Leave out what later events have overtaken; the old journal is kept beside the new one
    Compact {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        writer: WriterArgs,
    },
    /// Write every event as JSON, with the keys of docs/journal.md (for the runs as CSV: `admire export`)
    Export {
        #[command(flatten)]
        config: ConfigArgs,
        /// Where to write; stdout if left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// How to write them
        #[arg(long, value_enum, default_value_t)]
        format: EventFormat,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum EventFormat {
    /// One event per line
    #[default]
    Jsonl,
    /// One array of events
    Json,
}

pub(super) fn run(args: &JournalArgs) -> anyhow::Result<u8> {
    match &args.command {
        Command::Check { config, format } => {
            let checked = check(config.load()?)?;
            match format {
                Format::Table => print(&checked),
                Format::Json => data!("{}", object(&checked)),
            }
            Ok(u8::from(!checked.problems.is_empty()))
        }
        Command::Compact { config, writer } => {
            let done = compact(config.load()?, writer.wait)?;
            let (lines, bytes) = (done.lines, done.bytes);
            match done.backup {
                None => info!("nothing can be left out: {}, {} bytes", text::counted(lines.0, "line"), bytes.0),
                Some(backup) => info!(
                    "{} of {} lines kept, {} of {} bytes; the journal as it was is {}",
                    lines.1,
                    lines.0,
                    bytes.1,
                    bytes.0,
                    backup.display()
                ),
            }
            Ok(0)
        }
        Command::Export { config, out, format } => {
            let dir = config.load()?.dir;
            let contents = journal::read(&dir)?.ok_or(StudyError::Missing { dir })?;
            let events: Vec<String> =
                contents.entries()?.into_iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
            let text = match format {
                EventFormat::Jsonl => events.join("\n"),
                EventFormat::Json => format!("[{}]", events.join(",\n ")),
            };
            match out {
                None => data!("{text}"),
                Some(path) => {
                    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?
                }
            }
            Ok(0)
        }
    }
}

fn print(checked: &Checked) {
    let (study, spent) = (&checked.study, checked.study.spent());
    let path = journal::path(&study.config().dir);
    let lines: usize = checked.events.values().sum();
    outln!("{}: format {}, begun by admire {}", path.display(), checked.format, checked.version);
    let events: Vec<String> = checked.events.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    outln!("{}: {}", text::counted(lines, "event"), events.join(", "));
    let (counts, cost) = (study.counts(), text::cost(study, spent.cost));
    let all = counts.named().iter().map(|(_, n)| n).sum();
    outln!("{} of the search: {counts}; cost {cost}", text::counted(all, "trial"));
    let (imported, withdrawn) = (study.imported().count(), study.withdrawn().count());
    if imported + withdrawn > 0 {
        let withdrawn = if withdrawn > 0 { format!(", {withdrawn} withdrawn") } else { String::new() };
        outln!("{}{withdrawn}", text::counted(imported, "imported run"));
    }
    if let Some(origin) = study.origin() {
        outln!("forked: {origin}");
    }
    for (time, changed) in study.changes() {
        let when =
            humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::try_from_secs_f64(*time).unwrap_or_default());
        let changed: Vec<String> = changed.iter().map(|(key, change)| format!("{key} {change}")).collect();
        outln!("config changed {when}: {}", changed.join(", "));
    }
    if let Some(line) = checked.torn {
        outln!("line {line} is torn (a crash while writing, or a writer at work); the next writer drops it");
    }
    if let Some(first) = checked.blank.first() {
        outln!(
            "{} of white space, the first is line {first}: they say nothing",
            text::counted(checked.blank.len(), "line")
        );
    }
    for (line, problem) in checked.problems.iter().take(SHOWN) {
        outln!("line {line}: {problem}");
    }
    match checked.problems.len() {
        0 => outln!("sound"),
        n if n > SHOWN => outln!("… and {} more; the first matters most: restore the file from a backup", n - SHOWN),
        _ => outln!("damaged; the first line named matters most: restore the file from a backup"),
    }
}

fn object(checked: &Checked) -> Value {
    let study = &checked.study;
    let changes = study.changes().iter().map(|(time, changed)| json!({"time": time, "changed": changed}));
    let problems = checked.problems.iter().map(|(line, problem)| json!({"line": line, "problem": problem}));
    json!({
        "path": journal::path(&study.config().dir),
        "format": checked.format,
        "version": checked.version,
        "events": checked.events,
        "trials": study.counts(),
        "imported": study.imported().count(),
        "spent": study.spent(),
        "forked": study.origin(),
        "changes": changes.collect::<Vec<_>>(),
        "torn": checked.torn,
        "blank": checked.blank,
        "problems": problems.collect::<Vec<_>>(),
    })
}
