//! Why a replay cannot start.

use crate::runs::LogError;

/// Why a replay cannot start. Everything here is about the user's input.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file of logged runs is not what it should be.
    #[error(transparent)]
    Log(#[from] LogError),
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
