//! Tables on their way to logged runs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::columns::ColumnMap;
use crate::runs::{self, LogError, RunLog, identifies};

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
    /// [`LogError::Unreadable`], and [`LogError::Header`] for a folder.
    pub fn read(path: &Path) -> Result<Self, LogError> {
        Ok(Self { path: path.to_owned(), text: runs::read(path)? })
    }
}

/// The columns that tell apart runs of one name.
pub(super) const SIZES: [&str; 3] = ["fidelity", "params", "tokens"];

/// A table of text, with the lines its rows were on.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub file: PathBuf,
    pub header: Vec<String>,
    pub rows: Vec<StringRecord>,
}

/// What one format's reader returns.
pub(super) struct Part {
    /// With the columns of logged runs.
    pub table: Table,
    /// The columns that it did not use.
    pub ignored: Vec<String>,
    /// The columns of the table that it took for domains or metrics only because nothing says what they are.
    pub guessed: Vec<String>,
    /// How many rows had no partner.
    pub skipped: usize,
}

impl Table {
    /// A CSV file as it stands.
    pub fn read(file: &InputFile) -> Result<Self, LogError> {
        let (header, rows) = runs::rows(&file.path, &file.text)?;
        let header = header.iter().map(str::to_owned).collect();
        let rows = rows.collect::<Result<_, _>>()?;
        Ok(Self { file: file.path.clone(), header, rows })
    }

    /// An error about the whole table.
    pub fn wrong(&self, message: impl Into<String>) -> LogError {
        LogError::Header { file: self.file.clone(), message: message.into() }
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// The column that must be there.
    pub fn require(&self, name: &str) -> Result<usize, LogError> {
        let header = || self.header.join(",");
        self.column(name).ok_or_else(|| self.wrong(format!("no column is the {name}; there are {}", header())))
    }

    /// The columns that `map` wants, under their new names. An identifier is nothing to guess a domain or a metric from.
    pub fn rename(self, map: &ColumnMap) -> Part {
        let (mut header, mut kept, mut ignored, mut guessed) = (vec![], vec![], vec![], vec![]);
        for (i, column) in self.header.into_iter().enumerate() {
            match map.target(&column) {
                Some(target) if target.guessed && identifies(&column, self.rows.iter().map(|row| &row[i])) => {
                    ignored.push(format!("{column} (looks like an identifier)"));
                }
                Some(target) => {
                    if target.guessed {
                        guessed.push(target.name.clone());
                    }
                    header.push(target.name);
                    kept.push(i);
                }
                None => ignored.push(column),
            }
        }
        let rows = self.rows.iter().map(|row| with_place(row, kept.iter().map(|i| &row[*i]))).collect();
        Part { table: Self { file: self.file, header, rows }, ignored, guessed, skipped: 0 }
    }

    /// The rows of two tables that have the same `key`, in the order of this one. The other table may have several rows with a key
    /// if they are of several sizes, such as checkpoints. Also says how many rows of both have no partner.
    pub fn join(self, other: &Self, key: &str) -> Result<(Self, usize), LogError> {
        let (mine, theirs) = (self.require(key)?, other.require(key)?);
        self.distinct(&[mine])?;
        let sizes = SIZES.into_iter().filter_map(|name| other.column(name));
        other.distinct(&[theirs].into_iter().chain(sizes).collect::<Vec<_>>())?;
        let mut partners: HashMap<&str, Vec<&StringRecord>> = HashMap::new();
        for row in &other.rows {
            partners.entry(identity(&row[theirs])).or_default().push(row);
        }
        let others = |row: &'_ StringRecord| -> Vec<String> {
            row.iter().enumerate().filter(|(i, _)| *i != theirs).map(|(_, cell)| cell.to_owned()).collect()
        };
        let (mut rows, mut alone) = (vec![], other.rows.len());
        for row in &self.rows {
            let found = partners.get(identity(&row[mine])).map_or(&[][..], Vec::as_slice);
            alone = if found.is_empty() { alone + 1 } else { alone - found.len() };
            for partner in found {
                let added = others(partner);
                rows.push(with_place(row, row.iter().chain(added.iter().map(String::as_str))));
            }
        }
        if let (true, [mine_first, ..], [their_first, ..]) = (rows.is_empty(), &self.rows[..], &other.rows[..]) {
            let (file, mine, theirs) = (other.file.display(), &mine_first[mine], &their_first[theirs]);
            let message =
                format!("no row has the {key} of one in {file}; there is \"{mine}\" here, \"{theirs}\" there");
            return Err(self.wrong(message));
        }
        let header = self.header.iter().chain(other.header.iter().filter(|column| *column != key));
        Ok((Self { header: header.cloned().collect(), rows, file: self.file }, alone))
    }

    /// Refuses two rows for the same run: the same cells in the columns `key`, of which the first is its name.
    fn distinct(&self, key: &[usize]) -> Result<(), LogError> {
        let mut seen = HashSet::new();
        let cells = |row: &'_ StringRecord| key.iter().map(|i| identity(&row[*i]).to_owned()).collect::<Vec<_>>();
        let (Some(twice), Some(name)) = (self.rows.iter().find(|row| !seen.insert(cells(row))), key.first()) else {
            return Ok(());
        };
        let (column, id) = (&self.header[*name], &twice[*name]);
        let remedy = "if they are of one run at different times, say at how many tokens (--map tokens=COLUMN), or choose \
                      one (--where COLUMN=VALUE)";
        Err(self.wrong(format!("two rows have the {column} \"{id}\"; {remedy}")))
    }

    /// Sets a column, which is added where it does not exist, to `value` of the row's number (from 0) and cells.
    pub fn set(&mut self, name: &str, value: impl Fn(usize, &StringRecord) -> String) {
        let column = self.column(name).unwrap_or_else(|| {
            self.header.push(name.to_owned());
            self.header.len() - 1
        });
        for (i, row) in self.rows.iter_mut().enumerate() {
            let new = value(i, row);
            let width = self.header.len();
            let cells = (0..width).map(|c| if c == column { &new } else { row.get(c).unwrap_or_default() });
            *row = with_place(row, cells);
        }
    }

    /// Adds the rows, whose columns are those of logged runs, to a log.
    pub fn add_to(self, log: &mut RunLog) -> Result<(), LogError> {
        log.add_rows(&self.file, &self.header.into(), self.rows.into_iter().map(Ok))
    }
}

/// What stands for a run in its id: `7.0`, as programs write an index where a cell of its column was once empty, is `7`.
pub(super) fn identity(id: &str) -> &str {
    let whole = id.trim_end_matches('0').strip_suffix('.');
    whole.filter(|whole| !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit())).unwrap_or(id)
}

/// A record that is on the line of another.
fn with_place<'a>(place: &StringRecord, cells: impl Iterator<Item = &'a str>) -> StringRecord {
    let mut record: StringRecord = cells.collect();
    record.set_position(place.position().cloned());
    record
}
