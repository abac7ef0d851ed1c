//! A study: its trials, what they observed, and the append-only journal they live in.

mod objective;
mod observation;

pub use objective::{Direction, Metric, Objective};
pub use observation::Observation;
