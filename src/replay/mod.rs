//! Replays: what would a search have cost on runs that were already logged?
//!
//! The protocol is that of the published experiments (arXiv 2508.11551): the [`Pool`] is every logged run except target
//! runs past the candidates; a [`Strategy`] pays a run's cost to see its metrics, once; after every purchase it
//! recommends one of the target candidates, and its regret is what that candidate's logged objective lacks to the best
//! of them, in standard deviations of all logged target runs.
//!
//! ```
//! use std::path::Path;
//!
//! use admire::config::StudyConfig;
//! use admire::problem::Direction;
//! use admire::replay::{Plan, Pool, Strategy, infer_config, play};
//! use admire::runs::RunLog;
//!
//! // Twelve mixtures at two sizes; the loss is smallest where code is 25 %.
//! let mut csv = "run_id,fidelity,cost,w:code,w:web,y:loss\n".to_owned();
//! for (size, cost) in [("60M", 0.1), ("1B", 1.0)] {
//!     for run in 0..12 {
//!         let code = f64::from(run) / 12.0;
//!         csv += &format!("{size}-{run},{size},{cost},{code},{},{}\n", 1.0 - code, 2.0 + (code - 0.25).powi(2));
//!     }
//! }
//! let mut log = RunLog::default();
//! log.add(Path::new("runs.csv"), csv.as_bytes())?;
//! let (inferred, _) = infer_config(&log, Direction::Minimize, true)?;
//! let config = StudyConfig::parse(Path::new("replay.toml"), &inferred.to_string(), &[])?;
//! let pool = Pool::new(&log, &config.space, &config.fidelities, &config.objective, None)?;
//!
//! let (strategies, seeds) = (vec![Strategy::Admire, Strategy::Random], vec![1, 2, 3]);
//! let plan = Plan { strategies, seeds, budget: 3.0, slots: 1, gain: None, settings: config.optimizer };
//! let playbacks = play(&pool, &plan, &|_| ());
//! let regret = |strategy: Strategy| -> f64 {
//!     playbacks.iter().filter(|p| p.strategy == strategy).map(|p| p.curve.regret(plan.budget)).sum()
//! };
//! assert!(regret(Strategy::Admire) < regret(Strategy::Random));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ablation;
mod curve;
mod error;
mod hyperband;
mod infer;
mod mixing_law;
mod policy;
mod pool;
mod purse;
mod regression;
mod run;
mod searching;
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
