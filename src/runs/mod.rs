//! Logged runs: training runs from anywhere, as tables of mixtures and metrics.
//!
//! The manual of the [crate] has an example.

mod curves;
mod error;
mod identifiers;
mod log;
mod rows;
mod sizes;

pub use error::LogError;
pub(crate) use identifiers::identifies;
pub(crate) use log::is_state;
pub use log::{LoggedRun, RunLog, SUM_TOLERANCE};
pub(crate) use rows::{read, rows, text};
