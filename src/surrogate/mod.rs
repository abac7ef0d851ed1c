//! The model of what training would yield: one exact multi-fidelity Gaussian process per metric.
//!
//! ```
//! use admire::problem::{
//!     Aggregate, Direction, Fidelities, Fidelity, Metric, Mixture, ModelSpec, Objective, Observation, Past, RunId, columns,
//! };
//! use admire::surrogate::{Surrogate, Task};
//!
//! let size = Fidelity {
//!     name: "1B".into(),
//!     params: Some(1e9),
//!     tokens: None,
//!     cost: Some(1.0),
//!     max_trials: None,
//!     initial: None,
//! };
//! let fidelities = Fidelities::new(vec![size], None);
//! let target = fidelities.target();
//! let metrics = vec![Metric { name: "loss".into(), weight: 1.0 }];
//! let objective = Objective::new(metrics, Direction::Minimize, Aggregate::Mean);
//! // Ten runs; the loss is smallest where code is 30 %.
//! let run = |trial: u64| {
//!     let code = trial as f64 / 11.0;
//!     Observation {
//!         run: RunId::Trial(trial),
//!         mixture: Mixture::new(vec![code, 1.0 - code]),
//!         fidelity: target,
//!         metrics: vec![2.0 + (code - 0.3).powi(2)],
//!         se: vec![None],
//!         past: Past::default(),
//!     }
//! };
//! let observations: Vec<Observation> = (1..=10).map(run).collect();
//! let spec = ModelSpec::default();
//! let task = Task { objective: &objective, fidelities: &fidelities, spec, families: &[0, 1], repetition: None, curves: false, observations: &observations };
//! let (surrogate, _) = Surrogate::fit(&task, None)?;
//! // Posterior mean and variance of the objective at a mixture that was not trained.
//! let (mean, variance) = surrogate.predict(&columns(2, [&[0.6, 0.4][..]]), target)[0];
//! assert!((mean - 2.09).abs() < 0.01 && variance.sqrt() < 0.05, "{mean} ± {}", variance.sqrt());
//! # Ok::<(), admire::surrogate::FitError>(())
//! ```

mod aggregate;
pub mod data;
mod error;
mod exponential;
pub mod fit;
mod fitting;
pub mod gp;
pub mod hyper;
mod integrated_variance;
mod joint;
pub mod kernel;
mod lanes;
mod largest;
pub mod linalg;
mod lookahead;
mod means;
mod memo;
mod metric;
mod model;
mod objective;
mod process;
mod sample;
mod saturation;
mod scale;
pub mod select;
mod snapshot;
mod solved;
mod standardize;
mod table;
mod task;
mod values;

pub use aggregate::Lookahead;
pub use error::FitError;
pub use integrated_variance::integrated_variance_reduction;
pub use joint::Joint;
pub use lanes::Prepared;
pub use largest::{Largest, LargestSlopes, Normal};
pub use memo::Memo;
pub use model::{Agreement, Gain, Surrogate};
pub use process::View;
pub use saturation::Saturation;
pub use scale::Scale;
pub use snapshot::ModelSnapshot;
pub use table::{DrawTable, ModelTable, ProcessTable};
pub use task::{MOST_KNOWN, Task, known};
