//! Logged runs as they stand in CSV files.

use crate::problem::{check_domain_name, check_name};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use csv::{Position, StringRecord};

use super::error::LogError;
use super::identifiers::may_identify;
use super::rows::{read, rows};
use crate::input::number;
use crate::text::{agreeing, counted};

/// One row of a file of logged runs.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRun {
    /// `run_id`; where a file has none, `curve_of`.
    pub id: String,
    /// The training run that the row is of: `curve_of`, where that is not stated the `run_id`.
    pub run: String,
    /// The name of the training scale: `fidelity`, with the size where several have that name ([`RunLog::separate_sizes`]).
    pub fidelity: String,
    /// `fidelity`, as it is written in the file.
    pub written: String,
    /// Whether runs of that name have several counts of parameters, and of tokens.
    pub several: [bool; 2],
    /// `params` of the model, where given.
    pub params: Option<f64>,
    /// Training `tokens`, where given.
    pub tokens: Option<f64>,
    /// `cost` of the run, where given; positive (a cost of 0, as of a cached run, is no price).
    pub cost: Option<f64>,
    /// The `w:` columns in the order of [`RunLog::domains`], renormalized to sum 1.
    pub weights: Vec<f64>,
    /// The `y:` columns in the order of [`RunLog::metrics`]; NaN where the cell is empty or not a finite number.
    pub metrics: Vec<f64>,
    /// The file the row is in (index into [`RunLog::files`]).
    pub file: usize,
    /// The line the row starts on, 1-based.
    pub line: u64,
}

/// The rows of one or several files of logged runs, in file order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunLog {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Names of the `w:` columns, sorted.
    pub domains: Vec<String>,
    /// Names of the `y:` columns, sorted.
    pub metrics: Vec<String>,
    /// The rows.
    pub runs: Vec<LoggedRun>,
    /// What the user should know although it stops nothing (weights that do not sum to one).
    pub warnings: Vec<String>,
    /// How many rows had weights that do not sum to 1 to the last digit.
    pub renormalized: usize,
}

/// Weights whose sum is further than this from one are worth a warning; logs are often rounded to 3 decimals.
pub const SUM_TOLERANCE: f64 = 1e-2;

/// What adding up a few dozen weights can be off by.
const ROUNDING: f64 = 1e-9;

/// How trackers, optimizers and queues call runs that did not end as they should, or not yet.
const UNFINISHED: [&str; 29] = [
    "abandoned",
    "aborted",
    "canceled",
    "cancelled",
    "crashed",
    "diverged",
    "early_stopped",
    "error",
    "failed",
    "failure",
    "incomplete",
    "interrupted",
    "killed",
    "node_fail",
    "oom",
    "out_of_memory",
    "pending",
    "preempted",
    "preempting",
    "pruned",
    "queued",
    "running",
    "scheduled",
    "starting",
    "stopped",
    "suspended",
    "timed_out",
    "timeout",
    "unfinished",
];

/// Whether a column of this name says how a run ended.
pub(crate) fn is_state(column: &str) -> bool {
    let name = column.to_ascii_lowercase();
    ["state", "status"]
        .iter()
        .any(|word| name.strip_suffix(word).is_some_and(|before| matches!(before, "" | "run_" | "job_" | "trial_")))
}

impl LoggedRun {
    /// Whether it has no finite metric.
    #[must_use]
    pub fn diverged(&self) -> bool {
        self.metrics.iter().all(|y| y.is_nan())
    }
}

impl RunLog {
    /// Reads long CSVs with the columns `run_id, fidelity, params, [tokens], [cost], w:<domain>…, y:<metric>…`, matched
    /// by name in any order; other columns are ignored. Files of [curves](Self::curves) have `curve_of` in place of
    /// `run_id`, or beside it. All files must have the same domains and metrics.
    ///
    /// Weights are renormalized, with a warning where the sum is off by more than 0.01. Rows are left out, with a warning,
    /// whose `state` or `status` says that the run has not finished. Different sizes are [separated](Self::separate_sizes).
    /// Metrics that look like identifiers are named.
    ///
    /// # Errors
    /// Any file that is unreadable, empty, or lacks or repeats a column; any cell that is not the number it should be.
    /// (Metrics are lenient: an empty cell, NaN or an infinity is a metric that the run lacks, not a broken file.)
    pub fn read(files: &[PathBuf]) -> Result<Self, LogError> {
        let mut log = Self::default();
        for file in files {
            log.add(file, &read(file)?)?;
        }
        log.price_curves();
        log.separate_sizes();
        Ok(log)
    }

    /// Adds the rows of one more file, whose content is `text`; what [`Self::read`] does for each file, without separating sizes.
    ///
    /// # Errors
    /// Those of [`Self::read`]; the log must not be used then.
    pub fn add(&mut self, file: &Path, text: &[u8]) -> Result<(), LogError> {
        let (header, rows) = rows(file, text)?;
        self.add_rows(file, &header, rows)
    }

    /// The columns of one more file, whose domains and metrics must be those of the first.
    fn columns(&mut self, file: &Path, header: &StringRecord) -> Result<Columns, LogError> {
        let columns = Columns::parse(file, header)?;
        let names = |list: &[(String, usize)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let (domains, metrics) = (names(&columns.domains), names(&columns.metrics));
        if let Some(first) = self.files.first() {
            same_columns(file, first, "w:", &self.domains, &domains)?;
            same_columns(file, first, "y:", &self.metrics, &metrics)?;
        } else {
            (self.domains, self.metrics) = (domains, metrics);
        }
        Ok(columns)
    }

    /// Adds the rows of one more file, which know their lines.
    pub(crate) fn add_rows(
        &mut self,
        file: &Path,
        header: &StringRecord,
        rows: impl IntoIterator<Item = Result<StringRecord, LogError>>,
    ) -> Result<(), LogError> {
        let columns = self.columns(file, header)?;
        let index = self.files.len();
        self.files.push(file.to_owned());
        let mut off: Vec<(u64, f64)> = Vec::new();
        let (mut unfinished, mut free) = (BTreeMap::<String, usize>::new(), 0);
        let before = self.runs.len();
        for record in rows {
            let record = record?;
            if let Some(state) = columns.unfinished(&record) {
                *unfinished.entry(state).or_default() += 1;
                continue;
            }
            let row = Row { file, line: record.position().map_or(0, Position::line), record: &record };
            let (run, sum) = row.parse(index, &columns)?;
            self.renormalized += usize::from((sum - 1.0).abs() > ROUNDING);
            if (sum - 1.0).abs() > SUM_TOLERANCE {
                off.push((run.line, sum));
            }
            free += usize::from(run.cost == Some(0.0));
            self.runs.push(LoggedRun { cost: run.cost.filter(|cost| *cost > 0.0), ..run });
        }
        let states: Vec<String> = unfinished.iter().map(|(state, n)| format!("{n} {state}")).collect();
        let states = states.join(", ");
        if self.runs.len() == before {
            let message = match states.is_empty() {
                true => "there are no rows below the header".into(),
                false => format!("no run has finished ({states})"),
            };
            return Err(LogError::Header { file: file.to_owned(), message });
        }
        let name = file.display();
        if !states.is_empty() {
            self.warnings.push(format!("{name}: left out runs that have not finished: {states}"));
        }
        if free > 0 {
            let (runs, state) = (counted(free, "run"), agreeing(free, "states", "state"));
            self.warnings.push(format!("{name}: {runs} {state} a cost of 0, which counts as none"));
        }
        if let [(line, sum), rest @ ..] = off.as_slice() {
            self.warnings.push(format!(
                "{name}: the weights of {} do not sum to 1 (first on line {line}: {sum:.3}); renormalized",
                counted(rest.len() + 1, "run"),
            ));
        }
        let doubtful = self.doubtful(before).join(", ");
        if !doubtful.is_empty() {
            self.warnings.push(format!(
                "{name}: taken for metrics, although they look like identifiers: {doubtful} (`admire import --drop COLUMN` \
                 leaves one out)"
            ));
        }
        Ok(())
    }

    /// The metrics that look like identifiers in the runs from `first` on.
    fn doubtful(&self, first: usize) -> Vec<&str> {
        let values = |metric: usize| self.runs[first..].iter().map(move |run| run.metrics[metric]);
        let finite = |metric: usize| values(metric).filter(|y| !y.is_nan()).collect();
        let doubtful = self.metrics.iter().enumerate().filter(|(i, metric)| may_identify(metric, finite(*i)));
        doubtful.map(|(_, metric)| metric.as_str()).collect()
    }
}

fn same_columns(file: &Path, first: &Path, prefix: &str, expected: &[String], got: &[String]) -> Result<(), LogError> {
    let header = |message| Err(LogError::Header { file: file.to_owned(), message });
    if let Some(name) = expected.iter().find(|name| !got.contains(name)) {
        return header(format!("column \"{prefix}{name}\" is missing; {} has it", first.display()));
    }
    if let Some(name) = got.iter().find(|name| !expected.contains(name)) {
        return header(format!("column \"{prefix}{name}\" is not in {}", first.display()));
    }
    Ok(())
}

/// Where the columns of one file are.
struct Columns {
    run_id: usize,
    curve_of: Option<usize>,
    fidelity: usize,
    params: Option<usize>,
    tokens: Option<usize>,
    cost: Option<usize>,
    states: Vec<usize>,
    /// Name and index, sorted by name.
    domains: Vec<(String, usize)>,
    metrics: Vec<(String, usize)>,
}

impl Columns {
    fn parse(file: &Path, header: &StringRecord) -> Result<Self, LogError> {
        let error = |message: String| LogError::Header { file: file.to_owned(), message };
        if header.is_empty() || header.iter().all(str::is_empty) {
            return Err(error("the file is empty; expected a header run_id,fidelity,params,cost,w:…,y:…".into()));
        }
        let mut seen = BTreeSet::new();
        let named = header.iter().filter(|name| !name.is_empty() && !is_state(name));
        if let Some(twice) = named.clone().find(|name| !seen.insert(*name)) {
            return Err(error(format!("column \"{twice}\" appears twice")));
        }
        let optional = |name: &str| header.iter().position(|column| column == name);
        let required = |name: &str| {
            optional(name).ok_or_else(|| {
                error(format!(
                    "column \"{name}\" is missing; the header has {}",
                    header.iter().collect::<Vec<_>>().join(",")
                ))
            })
        };
        let prefixed = |prefix: &str, what: &str, check: fn(&str) -> Result<(), String>| {
            let mut list: Vec<(String, usize)> = header
                .iter()
                .enumerate()
                .filter_map(|(i, column)| Some((column.strip_prefix(prefix)?.to_owned(), i)))
                .collect();
            list.sort();
            if list.is_empty() {
                return Err(error(format!("there is no {what} column; they are called \"{prefix}<name>\"")));
            }
            match list.iter().find_map(|(name, _)| Some((name, check(name).err()?))) {
                Some((name, reason)) => Err(error(format!("column \"{prefix}{name}\": the name {reason}"))),
                None => Ok(list),
            }
        };
        Ok(Self {
            run_id: optional("run_id").or(optional("curve_of")).map_or_else(|| required("run_id"), Ok)?,
            curve_of: optional("curve_of"),
            fidelity: required("fidelity")?,
            params: optional("params"),
            tokens: optional("tokens"),
            cost: optional("cost"),
            states: header.iter().enumerate().filter(|(_, name)| is_state(name)).map(|(i, _)| i).collect(),
            domains: prefixed("w:", "domain weight", check_domain_name)?,
            metrics: prefixed("y:", "metric", check_name)?,
        })
    }

    /// The state of a run that has not finished; of `CANCELLED by 1000` the first word counts.
    fn unfinished(&self, record: &StringRecord) -> Option<String> {
        let word = |i: &usize| record[*i].split(' ').next().unwrap_or_default().to_ascii_lowercase();
        self.states.iter().map(word).find(|word| UNFINISHED.contains(&word.as_str()))
    }
}

/// One record with what its error messages need.
struct Row<'a> {
    file: &'a Path,
    line: u64,
    record: &'a StringRecord,
}

impl Row<'_> {
    /// The run, and what its weights summed to before they were renormalized.
    fn parse(&self, file: usize, columns: &Columns) -> Result<(LoggedRun, f64), LogError> {
        let at_least = |name: &str, column: Option<usize>, least: f64, what: &str| -> Result<Option<f64>, LogError> {
            let Some(text) = column.map(|c| &self.record[c]).filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            match number(text) {
                Some(x) if x >= least && x.is_finite() => Ok(Some(x)),
                _ => Err(self.cell(name, format!("\"{text}\" is not {what}"))),
            }
        };
        let positive = |name, column| at_least(name, column, f64::MIN_POSITIVE, "a positive number");
        let mut weights = Vec::with_capacity(columns.domains.len());
        for (name, column) in &columns.domains {
            match number(&self.record[*column]) {
                Some(x) if x >= 0.0 && x.is_finite() => weights.push(x),
                _ => {
                    let message = format!("\"{}\" is not a weight (a number, 0 or more)", &self.record[*column]);
                    return Err(self.cell(&format!("w:{name}"), message));
                }
            }
        }
        let sum: f64 = weights.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(self.cell("w:…", format!("the weights sum to {sum}; a mixture has a positive weight")));
        }
        weights.iter_mut().for_each(|w| *w /= sum);

        let mut metrics = Vec::with_capacity(columns.metrics.len());
        for (name, column) in &columns.metrics {
            metrics.push(self.metric(name, &self.record[*column])?);
        }
        let fidelity = self.record[columns.fidelity].to_owned();
        if let Err(reason) = check_name(&fidelity) {
            return Err(self.cell("fidelity", format!("the name {reason}")));
        }
        let id = &self.record[columns.run_id];
        let run = columns.curve_of.map(|column| &self.record[column]).filter(|run| !run.is_empty()).unwrap_or(id);
        let run = LoggedRun {
            id: id.to_owned(),
            run: run.to_owned(),
            written: fidelity.clone(),
            several: [false; 2],
            fidelity,
            params: positive("params", columns.params)?,
            tokens: positive("tokens", columns.tokens)?,
            cost: at_least("cost", columns.cost, 0.0, "a cost (a number, 0 or more)")?,
            weights,
            metrics,
            file,
            line: self.line,
        };
        Ok((run, sum))
    }

    /// A metric; NaN for whatever spreadsheets and Python write where there is no finite value.
    fn metric(&self, name: &str, text: &str) -> Result<f64, LogError> {
        if ["", "na", "n/a", "null", "none"].contains(&text.to_ascii_lowercase().as_str()) {
            return Ok(f64::NAN);
        }
        match number(text) {
            Some(x) => Ok(if x.is_finite() { x } else { f64::NAN }),
            None => Err(self.cell(&format!("y:{name}"), format!("\"{text}\" is not a number"))),
        }
    }

    fn cell(&self, column: &str, message: String) -> LogError {
        LogError::Cell { file: self.file.to_owned(), line: self.line, column: column.to_owned(), message }
    }
}
