//! Logged runs as they stand in CSV files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use csv::{Position, StringRecord};

use super::error::ReplayError;
use crate::report::counted;
use crate::space::{check_domain_name, check_name};

/// One row of a file of logged runs.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRun {
    /// `run_id`
    pub id: String,
    /// `fidelity`: the name of the training scale.
    pub fidelity: String,
    /// `params` of the model, where given.
    pub params: Option<f64>,
    /// Training `tokens`, where given.
    pub tokens: Option<f64>,
    /// `cost` of the run, where given; positive.
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
const SUM_TOLERANCE: f64 = 1e-2;

/// What adding up a few dozen weights can be off by.
const ROUNDING: f64 = 1e-9;

impl RunLog {
    /// Reads long CSVs with the columns `run_id, fidelity, params, [tokens], [cost], w:<domain>…, y:<metric>…`, matched
    /// by name in any order; other columns are ignored. All files must have the same domains and metrics.
    ///
    /// Weights are renormalized, with a warning where the sum is off by more than 0.01.
    ///
    /// # Errors
    /// Any file that is unreadable, empty, or lacks or repeats a column; any cell that is not the number it should be.
    /// (Metrics are lenient: an empty cell, NaN or an infinity is a run that diverged, not a broken file.)
    pub fn read(files: &[PathBuf]) -> Result<Self, ReplayError> {
        let mut log = Self::default();
        for file in files {
            let unreadable = |source| ReplayError::Unreadable { file: file.clone(), source };
            log.add(file, &fs::read(file).map_err(unreadable)?)?;
        }
        Ok(log)
    }

    /// Adds the rows of one more file, whose content is `text`; what [`Self::read`] does for each file.
    ///
    /// # Errors
    /// Those of [`Self::read`]; the log must not be used then.
    pub fn add(&mut self, file: &Path, text: &[u8]) -> Result<(), ReplayError> {
        let (header, rows) = rows(file, text)?;
        self.add_rows(file, &header, rows)
    }

    /// Adds the rows of one more file, which know their lines.
    pub(crate) fn add_rows(
        &mut self,
        file: &Path,
        header: &StringRecord,
        rows: impl IntoIterator<Item = Result<StringRecord, ReplayError>>,
    ) -> Result<(), ReplayError> {
        let index = self.files.len();
        self.files.push(file.to_owned());
        let columns = Columns::parse(file, header)?;
        let names = |list: &[(String, usize)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let (domains, metrics) = (names(&columns.domains), names(&columns.metrics));
        if index == 0 {
            (self.domains, self.metrics) = (domains, metrics);
        } else {
            same_columns(file, &self.files[0], "w:", &self.domains, &domains)?;
            same_columns(file, &self.files[0], "y:", &self.metrics, &metrics)?;
        }

        let mut off: Vec<(u64, f64)> = Vec::new();
        let before = self.runs.len();
        for record in rows {
            let record = record?;
            let row = Row { file, line: record.position().map_or(0, Position::line), record: &record };
            let (run, sum) = row.parse(index, &columns)?;
            self.renormalized += usize::from((sum - 1.0).abs() > ROUNDING);
            if (sum - 1.0).abs() > SUM_TOLERANCE {
                off.push((run.line, sum));
            }
            self.runs.push(run);
        }
        if self.runs.len() == before {
            return Err(ReplayError::Header {
                file: file.to_owned(),
                message: "there are no rows below the header".into(),
            });
        }
        if let [(line, sum), rest @ ..] = off.as_slice() {
            self.warnings.push(format!(
                "{}: the weights of {} do not sum to 1 (first on line {line}: {sum:.3}); renormalized",
                file.display(),
                counted(rest.len() + 1, "run"),
            ));
        }
        Ok(())
    }
}

/// The header of a CSV file and its rows, each as long as the header and with the line that it starts on.
pub(crate) fn rows<'a>(
    file: &'a Path,
    text: &'a [u8],
) -> Result<(StringRecord, impl Iterator<Item = Result<StringRecord, ReplayError>> + 'a), ReplayError> {
    // Excel writes a byte-order mark, which would otherwise become part of the first column's name.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = Lines { text, at: 0, line: 1 };
    let csv_error = |line, message| ReplayError::Csv { file: file.to_owned(), line, message };
    if let Err(e) = std::str::from_utf8(text) {
        return Err(csv_error(lines.of(e.valid_up_to()), "this is not UTF-8".into()));
    }
    // Where rows differ in length is found out here, for the sake of the line.
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let header = reader.headers().map_err(|e| csv_error(1, e.to_string()))?.clone();
    let width = header.len();
    let row = move |record: csv::Result<StringRecord>| {
        let mut record = record.map_err(|e| csv_error(lines.line, e.to_string()))?;
        let mut place = record.position().cloned().unwrap_or_else(Position::new);
        let line = lines.of_row(place.byte() as usize);
        if record.len() != width {
            return Err(csv_error(line, format!("the row has {} cells, the header {width}", record.len())));
        }
        place.set_line(line);
        record.set_position(Some(place));
        Ok(record)
    };
    Ok((header, reader.into_records().map(row)))
}

/// Counts lines as editors do, which the csv crate does not after blank lines, nor with the ends of lines of Windows.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a byte, not before the one asked for last.
    fn of(&mut self, byte: usize) -> u64 {
        let end = byte.min(self.text.len());
        while self.at < end {
            let ends = match self.text[self.at] {
                b'\n' => true,
                b'\r' => self.text.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
            self.at += 1;
        }
        self.line
    }

    /// The line of a row that the reader found at `byte`: what is left of the line before, and blank ones, are skipped.
    fn of_row(&mut self, byte: usize) -> u64 {
        let blank = self.text[byte.min(self.text.len())..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        self.of(byte + blank)
    }
}

fn same_columns(
    file: &Path,
    first: &Path,
    prefix: &str,
    expected: &[String],
    got: &[String],
) -> Result<(), ReplayError> {
    let header = |message| Err(ReplayError::Header { file: file.to_owned(), message });
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
    fidelity: usize,
    params: Option<usize>,
    tokens: Option<usize>,
    cost: Option<usize>,
    /// Name and index, sorted by name.
    domains: Vec<(String, usize)>,
    metrics: Vec<(String, usize)>,
}

impl Columns {
    fn parse(file: &Path, header: &StringRecord) -> Result<Self, ReplayError> {
        let error = |message: String| ReplayError::Header { file: file.to_owned(), message };
        if header.is_empty() || header.iter().all(str::is_empty) {
            return Err(error("the file is empty; expected a header run_id,fidelity,params,cost,w:…,y:…".into()));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = header.iter().find(|name| !name.is_empty() && !seen.insert(*name)) {
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
            run_id: required("run_id")?,
            fidelity: required("fidelity")?,
            params: optional("params"),
            tokens: optional("tokens"),
            cost: optional("cost"),
            domains: prefixed("w:", "domain weight", check_domain_name)?,
            metrics: prefixed("y:", "metric", check_name)?,
        })
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
    fn parse(&self, file: usize, columns: &Columns) -> Result<(LoggedRun, f64), ReplayError> {
        let positive = |name: &str, column: Option<usize>| -> Result<Option<f64>, ReplayError> {
            let Some(text) = column.map(|c| &self.record[c]).filter(|text| !text.is_empty()) else { return Ok(None) };
            match text.parse::<f64>() {
                Ok(x) if x > 0.0 && x.is_finite() => Ok(Some(x)),
                _ => Err(self.cell(name, format!("\"{text}\" is not a positive number"))),
            }
        };
        let mut weights = Vec::with_capacity(columns.domains.len());
        for (name, column) in &columns.domains {
            match self.record[*column].parse::<f64>() {
                Ok(x) if x >= 0.0 && x.is_finite() => weights.push(x),
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
        let run = LoggedRun {
            id: self.record[columns.run_id].to_owned(),
            fidelity,
            params: positive("params", columns.params)?,
            tokens: positive("tokens", columns.tokens)?,
            cost: positive("cost", columns.cost)?,
            weights,
            metrics,
            file,
            line: self.line,
        };
        Ok((run, sum))
    }

    /// A metric; NaN for whatever spreadsheets and Python write where there is no finite value.
    fn metric(&self, name: &str, text: &str) -> Result<f64, ReplayError> {
        if ["", "na", "n/a", "null", "none"].contains(&text.to_ascii_lowercase().as_str()) {
            return Ok(f64::NAN);
        }
        match text.parse::<f64>() {
            Ok(x) => Ok(if x.is_finite() { x } else { f64::NAN }),
            Err(_) => Err(self.cell(&format!("y:{name}"), format!("\"{text}\" is not a number"))),
        }
    }

    fn cell(&self, column: &str, message: String) -> ReplayError {
        ReplayError::Cell { file: self.file.to_owned(), line: self.line, column: column.to_owned(), message }
    }
}
