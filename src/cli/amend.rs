use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::{ConfigArgs, UsageError, WriterArgs, tell, text};
use crate::launcher::{Outcome, protocol};
use crate::problem::{Objective, RunId};
use crate::runs::{self, LogError};
use crate::study::{Amendment, Study, TrialId, TrialResult};

/// Correct the result of a finished trial, or withdraw it
///
/// What was known stays in the journal, and the trial is shown as corrected.
#[derive(Debug, Args)]
#[command(after_help = "Example: admire amend --trial 7 --loss 2.42 --reason \"evaluated on the wrong split\"")]
pub struct AmendArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    writer: WriterArgs,
    /// Number of the trial
    #[arg(long, required_unless_present = "results")]
    trial: Option<TrialId>,
    #[command(flatten)]
    how: How,
    /// What was wrong
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct How {
    /// Its loss (for a study of the one metric `loss`)
    #[arg(long, allow_hyphen_values = true)]
    loss: Option<f64>,
    /// A result file, as a training command writes it
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// The run is no evidence; its cost stays spent
    #[arg(long)]
    invalid: bool,
    /// A CSV of results with a column `trial` and one per metric: all of them are taken, or none
    #[arg(long, value_name = "FILE", conflicts_with = "trial")]
    results: Option<PathBuf>,
}

pub(super) fn run(args: &AmendArgs) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    // A study must exist: no study begins with a correction.
    Study::read(config.clone())?;
    // Before the lock is taken: a pipe, or a file system that hangs, must not hold up others.
    let results = args.how.results(args.trial, &config.objective)?;
    let mut study = Study::open(config, args.writer.wait)?;
    super::warn(study.warnings());
    let (told, outliers) = (results.len().max(1), study.outliers());
    let corrected = match args.how.invalid {
        true => study.withdraw(args.trial.map(RunId::Trial), &args.reason)?,
        false => study.amend(results, &args.reason)?,
    };
    super::warn(&study.outliers_since(&outliers));
    let known =
        if corrected < told { format!("; {} had that result already", told - corrected) } else { String::new() };
    tracing::info!("{} corrected{known}", text::counted(corrected, "trial"));
    Ok(0)
}

impl How {
    /// The results that are reported; empty if a trial is withdrawn.
    fn results(&self, trial: Option<TrialId>, objective: &Objective) -> anyhow::Result<Vec<Amendment>> {
        let outcome = match (self.loss, &self.result, &self.results) {
            (Some(loss), ..) => tell::of_loss(loss, objective)?,
            (_, Some(path), _) => tell::of_file(path, objective)?,
            (_, _, Some(path)) => return of_table(path, objective),
            _ => return Ok(Vec::new()),
        };
        Ok(trial.map(|trial| amendment(trial, outcome)).into_iter().collect())
    }
}

fn amendment(trial: TrialId, outcome: Outcome) -> Amendment {
    let result = match outcome {
        Outcome::Completed(outcome, ignored) => {
            super::warn(&ignored);
            TrialResult::Complete(outcome)
        }
        Outcome::Diverged(_) => TrialResult::Diverged,
    };
    Amendment { trial, result }
}

/// The results in a CSV file, one trial per row. A cell has the value that a result file would state. An empty cell states none.
fn of_table(path: &Path, objective: &Objective) -> anyhow::Result<Vec<Amendment>> {
    let bytes = fs::read(path).map_err(|source| LogError::Unreadable { file: path.to_owned(), source })?;
    let (header, rows) = runs::rows(path, &bytes)?;
    let wrong = |line: u64, reason: String| UsageError(format!("{}, line {line}: {reason}", path.display()));
    let column = header.iter().position(|name| name == "trial");
    let column = column.ok_or_else(|| wrong(1, "there is no column `trial`".into()))?;
    let mut lines: BTreeMap<TrialId, u64> = BTreeMap::new();
    let mut results = Vec::new();
    for row in rows {
        let row = row?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = &row[column];
        let trial = cell.parse().map_err(|_| wrong(line, format!("\"{cell}\" is no number of a trial")))?;
        if let Some(earlier) = lines.insert(trial, line) {
            return Err(wrong(line, format!("trial {trial} is on line {earlier} already")).into());
        }
        let cells = header.iter().zip(&row).filter(|(name, cell)| *name != "trial" && !cell.is_empty());
        let metrics: BTreeMap<&str, &str> = cells.collect();
        let outcome = protocol::parse(&json!({"metrics": metrics}).to_string(), objective);
        results.push(amendment(trial, outcome.map_err(|reason| wrong(line, reason))?));
    }
    if results.is_empty() {
        return Err(wrong(1, "there are no rows below the header".into()).into());
    }
    Ok(results)
}
