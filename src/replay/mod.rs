//! Replays: what would a search have cost on runs that were already logged?
//!
//! The protocol is that of the published experiments (arXiv 2508.11551): the [`Pool`] is every logged run except target
//! runs past the candidates; a [`Strategy`] pays a run's cost to see its metrics, once; after every purchase it
//! recommends one of the target candidates, and its regret is what that candidate's logged objective lacks to the best
//! of them, in standard deviations of all logged target runs.

mod ablation;
mod curve;
mod error;
mod infer;
mod pool;
mod regression;
mod run;
mod strategy;
mod summary;

pub use ablation::{Ablation, AblationRow, Factor, grid};
pub use curve::{Curve, Step, cost_grid, median_cost, quantile};
pub use error::ReplayError;
pub use infer::infer_config;
pub use pool::{Pool, Run};
pub use run::{Plan, Playback, Progress, play};
pub use strategy::Strategy;
pub use summary::{Calibration, Question, RegretAt, Saving, StrategySummary, SuggestMs, Summary, Target};
