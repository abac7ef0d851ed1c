//! From files of other projects to logged runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::columns::Rule;
use super::filter::{self, Where};
use super::table::{InputFile, Table};
use super::{admire, doremi, generic, olmix, regmix, stores, tracker};
use crate::problem::{check_domain_name, params_of};
use crate::runs::{LogError, RunLog};
use crate::text::{agreeing, counted};

/// Whose files. `cli/formats.rs` has the names and the help of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// RegMix: SIZE=MIXTURES.csv,LOSSES.csv for each size.
    Regmix,
    /// ADMIRE-BayesOpt: the CSV of its published runs.
    Admire,
    /// olmix: SIZE=ratios.csv,metrics.csv.
    Olmix,
    /// DoReMi: SIZE=FILE.json, with --metric.
    Doremi,
    /// MLflow: its database `mlflow.db`, its folder `mlruns`, or the CSV of `mlflow experiments csv`.
    Mlflow,
    /// Weights & Biases: its folder `wandb`, or the CSV of its table of runs.
    Wandb,
    /// A CSV with one row per run; also what `admire export` writes.
    Wide,
    /// A CSV with one row per run and weight or metric, in columns `name` and `value`.
    Long,
}

impl ImportFormat {
    /// How many files belong together.
    #[must_use]
    pub fn files(self) -> usize {
        match self {
            Self::Regmix | Self::Olmix => 2,
            Self::Admire | Self::Doremi | Self::Mlflow | Self::Wandb | Self::Wide | Self::Long => 1,
        }
    }

    /// Reads a file, or the store of a tracker.
    ///
    /// # Errors
    /// Those of [`InputFile::read`], and a store that cannot be read or has no runs.
    pub fn read(self, path: &Path) -> Result<InputFile, LogError> {
        match self {
            Self::Mlflow => stores::mlflow(path),
            Self::Wandb => stores::wandb(path),
            _ => InputFile::read(path),
        }
    }
}

/// Files that belong together, [`ImportFormat::files`] of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The fidelity of all their runs, where it is not in the files.
    pub size: Option<String>,
    /// The files; of a pair the mixtures first.
    pub files: Vec<InputFile>,
}

/// What is not in the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which column is what, before the format's own rules.
    pub rules: Vec<Rule>,
    /// Which rows count, by the columns of the files.
    pub only: Vec<Where>,
    /// Results for formats that have none.
    pub metrics: Vec<(String, f64)>,
    /// Parameters by fidelity; else read off its name where that is one like `60M`.
    pub params: BTreeMap<String, f64>,
    /// Training tokens by fidelity.
    pub tokens: BTreeMap<String, f64>,
    /// Cost of a run by fidelity.
    pub cost: BTreeMap<String, f64>,
}

/// Runs, and what was done to get them.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The runs.
    pub log: RunLog,
    /// What was skipped, left out and renormalized, with counts.
    pub notes: Vec<String>,
}

/// Makes runs of files.
///
/// # Errors
/// Files that are not of the format, or whose values are not what they should be.
pub fn import(format: ImportFormat, inputs: &[Input], options: &Options) -> Result<Imported, LogError> {
    let (mut log, mut notes) = (RunLog::default(), vec![]);
    for input in inputs {
        let rules = &options.rules;
        if let (ImportFormat::Doremi, false, [file, ..]) = (format, options.only.is_empty(), &input.files[..]) {
            let message = "this is one mixture, which has no rows to choose from with --where".into();
            return Err(LogError::Header { file: file.path.clone(), message });
        }
        let mut left_out = 0;
        let mut tables = || {
            let (tables, others) = filter::tables(&input.files, &options.only)?;
            left_out = others;
            Ok::<_, LogError>(tables)
        };
        let part = match format {
            ImportFormat::Regmix => regmix::read(tables()?, input.size.as_deref().unwrap_or_default(), rules)?,
            ImportFormat::Olmix => olmix::read(tables()?, rules)?,
            ImportFormat::Admire => admire::read(tables()?.swap_remove(0), rules)?,
            ImportFormat::Doremi => doremi::read(&input.files[0], &options.metrics, rules)?,
            ImportFormat::Mlflow => tracker::mlflow(tables()?.swap_remove(0), rules),
            ImportFormat::Wandb => tracker::wandb(tables()?.swap_remove(0), rules),
            ImportFormat::Wide => generic::wide(tables()?.swap_remove(0), rules),
            ImportFormat::Long => generic::long(tables()?.swap_remove(0), rules)?,
        };
        let files = input.files.iter().map(|f| f.path.display().to_string()).collect::<Vec<_>>().join(", ");
        if left_out > 0 {
            notes.push(format!("{files}: left out by --where: {}", counted(left_out, "row")));
        }
        if part.skipped > 0 {
            let (rows, have) = (counted(part.skipped, "row"), agreeing(part.skipped, "has", "have"));
            notes.push(format!("{files}: {rows} {have} no partner in the other file; skipped"));
        }
        if !part.ignored.is_empty() {
            notes.push(format!("{files}: not used: {}", part.ignored.join(", ")));
        }
        for (prefix, what) in [("w:", "domains"), ("y:", "metrics")] {
            let names: Vec<&str> = part.guessed.iter().filter_map(|column| column.strip_prefix(prefix)).collect();
            if !names.is_empty() {
                notes.push(format!("{files}: taken for {what}: {} (--drop COLUMN leaves one out)", names.join(", ")));
            }
        }
        let table = complete(part.table, input.size.as_deref(), options)?;
        distinct(table, &log)?.add_to(&mut log)?;
    }
    log.separate_sizes();
    for run in &mut log.runs {
        run.params = run.params.or_else(|| params_of(&run.fidelity));
        // The sizes of one name have costs of their own.
        run.cost = options.cost.get(&run.fidelity).copied().filter(|cost| *cost > 0.0).or(run.cost);
    }
    notes.append(&mut log.warnings);
    notes.push(summary(&log));
    Ok(Imported { log, notes })
}

/// Adds what is not in the files, and checks what becomes of names.
fn complete(mut table: Table, size: Option<&str>, options: &Options) -> Result<Table, LogError> {
    for name in table.header.iter().filter_map(|column| column.strip_prefix("w:")) {
        if let Err(reason) = check_domain_name(name) {
            let advice = "give the domain another with --map w:NAME=COLUMN";
            return Err(table.wrong(format!("the name of domain \"{name}\" {reason}; {advice}")));
        }
    }
    if let Some(size) = size {
        table.set("fidelity", |_, _| size.to_owned());
    }
    let fidelity = table.column("fidelity").ok_or_else(|| {
        table.wrong("does not say at which size it was trained; write SIZE=FILE, or --map fidelity=COLUMN")
    })?;
    if table.column("run_id").is_none() {
        table.set("run_id", |i, row| format!("{}-{i}", &row[fidelity]));
    }
    let known = |sizes: &BTreeMap<String, f64>, name: &str| sizes.get(name).copied();
    for (column, sizes) in [("params", &options.params), ("tokens", &options.tokens), ("cost", &options.cost)] {
        let own = table.column(column);
        table.set(column, |_, row| {
            let written = own.map(|c| row[c].to_owned()).filter(|cell| !cell.is_empty());
            known(sizes, &row[fidelity]).map(|x| x.to_string()).or(written).unwrap_or_default()
        });
    }
    Ok(table)
}

/// The table with the file's name before its run ids where the log has some of them already: RegMix counts the runs of each
/// file from 1.
fn distinct(mut table: Table, log: &RunLog) -> Result<Table, LogError> {
    let id = table.require("run_id")?;
    let known: BTreeSet<&str> = log.runs.iter().map(|run| run.id.as_str()).collect();
    if table.rows.iter().any(|row| known.contains(&row[id])) {
        let file = table.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        table.set("run_id", |_, row| format!("{file}-{}", &row[id]));
    }
    Ok(table)
}

fn summary(log: &RunLog) -> String {
    let sizes: BTreeSet<&str> = log.runs.iter().map(|run| run.fidelity.as_str()).collect();
    let count = |size: &str| log.runs.iter().filter(|run| run.fidelity == size).count();
    let sizes: Vec<String> = sizes.into_iter().map(|size| format!("{} at {size}", count(size))).collect();
    let mut text = format!(
        "{} ({}), {}, {}; {} had weights that do not sum to 1 and {} renormalized",
        counted(log.runs.len(), "run"),
        sizes.join(", "),
        counted(log.domains.len(), "domain"),
        counted(log.metrics.len(), "metric"),
        log.renormalized,
        agreeing(log.renormalized, "was", "were"),
    );
    let diverged = log.runs.iter().filter(|run| run.diverged()).count();
    if diverged > 0 {
        text += &format!("; {diverged} without a finite metric (diverged)");
    }
    let lacking = |metric: usize| log.runs.iter().filter(|run| run.metrics[metric].is_nan()).count() - diverged;
    let lacking = log.metrics.iter().enumerate().map(|(i, name)| (name, lacking(i))).filter(|(_, n)| *n > 0);
    lacking.for_each(|(name, n)| text += &format!("; {n} without {name}"));
    text
}
