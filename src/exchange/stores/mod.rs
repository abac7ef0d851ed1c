//! What trackers keep on a disk, as tables of runs.

mod mlflow_database;
mod mlflow_folder;
mod wandb;
mod wandb_log;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::recipe::ExportError;
use super::table::InputFile;
use super::text::csv;
use crate::runs::LogError;

/// A run: its cells by column.
type Run = BTreeMap<String, String>;

/// What an SQLite database begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// How MLflow is told of an SQLite database.
const SQLITE_URI: &str = "sqlite:///";

/// Runs of MLflow: of its folder, of its database, which may be named as MLflow is told of it, or of a CSV file.
///
/// # Errors
/// What cannot be read, and a store without runs.
pub(super) fn mlflow(path: &Path) -> Result<InputFile, LogError> {
    let path = path.to_str().and_then(|text| text.strip_prefix(SQLITE_URI)).map_or(path, Path::new);
    if path.to_str().is_some_and(|text| text.contains("://")) {
        let message = "admire reads MLflow's files; write the runs of a server or of another database as CSV first: mlflow \
                       experiments csv -x ID";
        Err(wrong(path, message))
    } else if path.is_dir() {
        table(path, &mlflow_folder::read(path)?)
    } else if begins_with(path, SQLITE)? {
        table(path, &mlflow_database::read(path)?)
    } else {
        InputFile::read(path)
    }
}

/// Runs of Weights & Biases: of its folder, of the folder or the log of one run in it, or of a CSV file.
///
/// # Errors
/// What cannot be read, and a folder without runs.
pub(super) fn wandb(path: &Path) -> Result<InputFile, LogError> {
    if path.is_dir() || begins_with(path, wandb_log::MAGIC)? {
        table(path, &wandb::read(path)?)
    } else {
        InputFile::read(path)
    }
}

/// One row per run; a column that a run does not have is empty.
fn table(store: &Path, runs: &[Run]) -> Result<InputFile, LogError> {
    let columns: BTreeSet<&String> = runs.iter().flat_map(BTreeMap::keys).collect();
    let header = columns.iter().map(|column| (*column).clone()).collect();
    let row = |run: &Run| columns.iter().map(|column| run.get(*column).cloned().unwrap_or_default()).collect();
    let text = csv([header].into_iter().chain(runs.iter().map(row)));
    let text = text.map_err(|error: ExportError| wrong(store, error.to_string()))?;
    Ok(InputFile { path: store.to_owned(), text: text.into_bytes() })
}

fn begins_with(path: &Path, magic: &[u8]) -> Result<bool, LogError> {
    let mut bytes = vec![];
    let read = File::open(path).and_then(|file| file.take(magic.len() as u64).read_to_end(&mut bytes));
    read.map_err(|source| unreadable(path, source))?;
    Ok(bytes == magic)
}

/// What is in a folder, in the order of names. Nothing where it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    if !folder.exists() {
        return Ok(vec![]);
    }
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut entries: Vec<PathBuf> = entries.map_err(|source| unreadable(folder, source))?;
    entries.sort();
    Ok(entries)
}

/// The folders in a folder.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// An error about a store.
fn wrong(store: &Path, message: impl Into<String>) -> LogError {
    LogError::Header { file: store.to_owned(), message: message.into() }
}

fn unreadable(path: &Path, source: std::io::Error) -> LogError {
    LogError::Unreadable { file: path.to_owned(), source }
}
