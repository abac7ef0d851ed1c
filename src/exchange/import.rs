//! From files of other projects to logged runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::columns::{ColumnMap, Rule};
use super::table::Table;
use super::{admire, doremi, generic, olmix, regmix};
use crate::replay::{ReplayError, RunLog};
use crate::space::check_domain_name;

/// Whose files; also the values of `import --from`, with what its help says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// RegMix: SIZE=MIXTURES.csv,LOSSES.csv for each size.
    Regmix,
    /// ADMIRE-BayesOpt: the CSV of its published runs.
    Admire,
    /// olmix: SIZE=ratios.csv,metrics.csv.
    Olmix,
    /// DoReMi: SIZE=FILE.json, with --metric.
    Doremi,
    /// A CSV with one row a run; also what `admire export` writes.
    #[value(alias = "runs")]
    Wide,
    /// A CSV with one row a run and weight or metric, in columns `name` and `value`.
    Long,
}

impl ImportFormat {
    /// How many files belong together.
    #[must_use]
    pub fn files(self) -> usize {
        match self {
            Self::Regmix | Self::Olmix => 2,
            Self::Admire | Self::Doremi | Self::Wide | Self::Long => 1,
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

/// A file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// What it is called.
    pub path: PathBuf,
    /// Its content.
    pub text: Vec<u8>,
}

impl InputFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ReplayError::Unreadable`]
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        let path = path.to_owned();
        match std::fs::read(&path) {
            Ok(text) => Ok(Self { path, text }),
            Err(source) => Err(ReplayError::Unreadable { file: path, source }),
        }
    }
}

/// What is not in the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which column is what, before the format's own rules.
    pub rules: Vec<Rule>,
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

/// What one format's reader returns: a table with the columns of logged runs, those it did not use, and how many rows
/// had no partner.
pub(super) struct Part {
    pub table: Table,
    pub ignored: Vec<String>,
    pub skipped: usize,
}

/// Makes runs of files.
///
/// # Errors
/// Files that are not of the format, or whose values are not what they should be.
pub fn import(format: ImportFormat, inputs: &[Input], options: &Options) -> Result<Imported, ReplayError> {
    let (mut log, mut notes) = (RunLog::default(), vec![]);
    for input in inputs {
        let rules = &options.rules;
        let part = match format {
            ImportFormat::Regmix => regmix::read(&input.files, input.size.as_deref().unwrap_or_default(), rules),
            ImportFormat::Olmix => olmix::read(&input.files, rules),
            ImportFormat::Admire => admire::read(&input.files[0], rules),
            ImportFormat::Doremi => doremi::read(&input.files[0], &options.metrics, rules),
            ImportFormat::Wide => generic::wide(&input.files[0], rules),
            ImportFormat::Long => generic::long(&input.files[0], rules),
        }?;
        let files = input.files.iter().map(|f| f.path.display().to_string()).collect::<Vec<_>>().join(", ");
        if part.skipped > 0 {
            notes.push(format!("{files}: {} rows have no partner in the other file; skipped", part.skipped));
        }
        if !part.ignored.is_empty() {
            notes.push(format!("{files}: not used: {}", part.ignored.join(", ")));
        }
        let table = complete(part.table, input.size.as_deref(), options)?;
        distinct(table, &log)?.add_to(&mut log)?;
    }
    notes.append(&mut log.warnings);
    notes.push(summary(&log));
    Ok(Imported { log, notes })
}

/// A pair of files, each with its own columns, whose rows have the same `run_id`.
pub(super) fn pair(files: &[InputFile], mixtures: &ColumnMap, results: &ColumnMap) -> Result<Part, ReplayError> {
    let (weights, mut ignored) = Table::read(&files[0])?.rename(mixtures);
    let (metrics, more) = Table::read(&files[1])?.rename(results);
    if !weights.header.iter().any(|column| column.starts_with("w:")) {
        return Err(weights.wrong("there are no weights in it; of a pair, the file of the mixtures comes first"));
    }
    ignored.extend(more);
    let (table, skipped) = weights.join(&metrics, "run_id")?;
    Ok(Part { table, ignored, skipped })
}

/// Adds what is not in the files, and checks what becomes of names.
fn complete(mut table: Table, size: Option<&str>, options: &Options) -> Result<Table, ReplayError> {
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
            let guess = || if column == "params" { params_of(&row[fidelity]) } else { None };
            let stated = known(sizes, &row[fidelity]).map(|x| x.to_string());
            stated.or(written).or_else(|| guess().map(|x| x.to_string())).unwrap_or_default()
        });
    }
    Ok(table)
}

/// The table with the file's name before its run ids where the log has some of them already: RegMix counts the runs of each
/// file from 1.
fn distinct(mut table: Table, log: &RunLog) -> Result<Table, ReplayError> {
    let id = table.require("run_id")?;
    let known: BTreeSet<&str> = log.runs.iter().map(|run| run.id.as_str()).collect();
    if table.rows.iter().any(|row| known.contains(&row[id])) {
        let file = table.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        table.set("run_id", |_, row| format!("{file}-{}", &row[id]));
    }
    Ok(table)
}

/// The number of parameters in a name like `60M`, `0.5B`, `Qwen2.5-7B`.
pub(super) fn params_of(name: &str) -> Option<f64> {
    let last = name.rsplit(['-', '_', ' ']).next()?;
    let unit = last.chars().next_back()?;
    let scale = match unit.to_ascii_uppercase() {
        'K' => 1e3,
        'M' => 1e6,
        'B' => 1e9,
        'T' => 1e12,
        _ => return None,
    };
    let digits = &last[..last.len() - 1];
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits.parse::<f64>().ok().filter(|x| plain && *x > 0.0).map(|x| x * scale)
}

fn summary(log: &RunLog) -> String {
    let sizes: BTreeSet<&str> = log.runs.iter().map(|run| run.fidelity.as_str()).collect();
    let count = |size: &str| log.runs.iter().filter(|run| run.fidelity == size).count();
    let sizes: Vec<String> = sizes.into_iter().map(|size| format!("{} at {size}", count(size))).collect();
    let lacking = log.runs.iter().filter(|run| run.metrics.iter().any(|y| y.is_nan())).count();
    let mut text = format!(
        "{} runs ({}), {} domains, {} metrics; {} had weights that do not sum to 1 and were renormalized",
        log.runs.len(),
        sizes.join(", "),
        log.domains.len(),
        log.metrics.len(),
        log.renormalized,
    );
    if lacking > 0 {
        text += &format!("; {lacking} lack a metric and count as diverged");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::params_of;

    #[test]
    fn sizes_are_read_off_names_that_are_sizes() {
        let sizes = [("1M", 1e6), ("60m", 6e7), ("0.5B", 5e8), ("Qwen2.5-7B", 7e9), ("tiny 30k", 3e4)];
        assert!(sizes.iter().all(|(name, params)| params_of(name) == Some(*params)));
        assert!(["", "B", "small", "1e3M", "-B", "0M", "model", "1Mé"].iter().all(|name| params_of(name).is_none()));
    }
}
