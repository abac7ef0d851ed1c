//! Logged runs: training runs from anywhere, as tables of mixtures and metrics.
//!
//! The manual of the [crate] has an example.

mod error;
mod log;
mod rows;

pub use error::LogError;
pub(crate) use log::is_state;
pub use log::{LoggedRun, RunLog, SUM_TOLERANCE};
pub(crate) use rows::{rows, text};
