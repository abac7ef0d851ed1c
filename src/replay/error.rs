//! What can be wrong with a replay's input.

use std::path::PathBuf;

/// Why a replay cannot start. Everything here is about the user's input: files, columns, cells, names.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
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
    /// The logs are well-formed, but there is nothing to replay.
    #[error("{0}")]
    Pool(String),
    /// No strategy has this name.
    #[error("unknown strategy \"{name}\"; {hint}")]
    UnknownStrategy {
        /// What was asked for.
        name: String,
        /// The nearest one, or all.
        hint: String,
    },
    /// Nothing with this name can be varied.
    #[error("unknown factor \"{name}\"; {hint}")]
    UnknownFactor {
        /// What was asked for.
        name: String,
        /// The nearest one, or all.
        hint: String,
    },
}

/// `did you mean "x"?` where a known name is near `name`, else a list of the known ones.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.8);
    near.map_or_else(|| format!("there is {}", known.join(", ")), |(_, name)| format!("did you mean \"{name}\"?"))
}
