//! The words of the problem: mixtures, fidelities, runs and what they observed, the objective, predictions, settings, seeds. No
//! behaviour beyond arithmetic; every other room may use them.
//!
//! ```
//! use admire::problem::{Aggregate, Direction, Metric, Objective};
//!
//! let metric = |name: &str, weight: f64| Metric { name: name.into(), weight };
//! let metrics = vec![metric("code", 2.0), metric("web", 1.0)];
//! let objective = Objective::new(metrics, Direction::Maximize, Aggregate::Mean);
//! // A mean with these weights: code counts twice as much. A run may report more than the objective asks for.
//! let reported = [("code", 0.75), ("web", 0.0), ("steps", 1000.0)].map(|(name, y)| (name.to_owned(), y)).into();
//! assert_eq!(objective.value(&objective.select(&reported).unwrap()), 0.5);
//! // The optimizer minimizes, whatever the direction.
//! assert_eq!(objective.sign() * objective.value(&[0.75, 0.0]), -0.5);
//! ```

mod attempt;
mod curve;
mod evidence;
mod fidelity;
mod guard;
mod mixture;
mod name;
pub(crate) mod normal;
mod objective;
mod observation;
mod prediction;
mod progress;
mod repetition;
mod run_set;
mod settings;
mod statistics;
mod stream;

pub use attempt::{Completed, FIRST_RESULT, Handle, Launch, TrialId};
pub use curve::{Curve, Estimate, estimate_of_end};
pub use evidence::{Evidence, OnTheWay};
pub use fidelity::{Fidelities, Fidelity, FidelityId, affordable, params_of};
pub use guard::{Guard, Threshold, Tolerance};
pub use mixture::{Mixture, Weights, columns};
pub use name::{check_domain_name, check_folder_name, check_name, is_hidden};
pub use objective::{Aggregate, Baseline, Direction, Metric, Objective, Reference, RelativeTo};
pub use observation::{Observation, Past, RunId};
pub use prediction::Prediction;
pub use progress::{Progress, Thinning};
pub use repetition::{Repetition, effective_weight};
pub use run_set::RunSet;
pub use settings::{
    AcquisitionKind, Goal, KernelKind, MOST_COMPONENTS, ModelChoice, ModelSpec, OptimizerSettings, Structure, Warp,
};
pub use statistics::{binomial_at_most, mean_and_error, pooled_sd, rank_correlation, two_sided_p};
pub use stream::{seed_of, stream};
