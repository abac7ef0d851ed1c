//! What can be wrong with a file of logged runs.

use std::path::PathBuf;

/// What is wrong with a file of runs, and where.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened or read.
    #[error("cannot read {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not CSV (a row of another length, invalid UTF-8).
    #[error("{}, line {line}: not valid CSV: {message}", file.display())]
    Csv {
        /// The file.
        file: PathBuf,
        /// 1-based line.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// The header lacks something, repeats something, or disagrees with an earlier file or the config.
    #[error("{}: {message}", file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// A cell that cannot be what its column says.
    #[error("{}, line {line}, column \"{column}\": {message}", file.display())]
    Cell {
        /// The file.
        file: PathBuf,
        /// 1-based line where the row starts.
        line: u64,
        /// Name of the column.
        column: String,
        /// What is wrong.
        message: String,
    },
}
