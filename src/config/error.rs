//! What can be wrong with a config.

use std::fmt;
use std::path::PathBuf;

use crate::space::SpaceError;

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read config {} (name another with --config, or write one with `admire init`)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file says something that has no meaning; all such places.
    #[error("{}", list(path, problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// At least one, in the order of the file.
        problems: Vec<Problem>,
    },
    /// The file is well-formed, but no mixture satisfies its bounds.
    #[error("{}: infeasible", path.display())]
    Infeasible {
        /// The file.
        path: PathBuf,
        /// The bounds in conflict.
        source: SpaceError,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where it was said.
    pub origin: Origin,
    /// Path of the key, like `domain[2].max`; empty where the file is not TOML and it is not clear which.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This line of the file, from 1.
    Line(usize),
    /// A `--set` override, as typed.
    Set(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Line(line) => write!(f, "line {line}: ")?,
            Origin::Set(text) => write!(f, "--set {text}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

fn list(path: &std::path::Path, problems: &[Problem]) -> String {
    match problems {
        [one] => format!("{}: {one}", path.display()),
        many => {
            many.iter().fold(format!("{}: {} problems", path.display(), many.len()), |text, p| format!("{text}\n  {p}"))
        }
    }
}
