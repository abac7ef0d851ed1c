//! The words of the problem: mixtures, fidelities, runs and what they observed, the objective, predictions, settings, seeds. No
//! behaviour beyond arithmetic; every other room may use them.

mod attempt;
mod evidence;
mod fidelity;
mod mixture;
mod name;
mod objective;
mod observation;
mod prediction;
mod run_set;
mod settings;
mod statistics;
mod stream;

pub use attempt::{Completed, FIRST_RESULT, Handle, Launch, TrialId};
pub use evidence::Evidence;
pub use fidelity::{Fidelities, Fidelity, FidelityId, affordable, params_of};
pub use mixture::{Mixture, Weights, columns};
pub use name::{check_domain_name, check_folder_name, check_name, is_hidden};
pub use objective::{Direction, Metric, Objective};
pub use observation::{Observation, RunId};
pub use prediction::Prediction;
pub use run_set::RunSet;
pub use settings::{
    AcquisitionKind, Goal, KernelKind, MOST_COMPONENTS, ModelChoice, ModelSpec, OptimizerSettings, Structure, Warp,
};
pub use statistics::{binomial_at_most, mean_and_error, pooled_sd, rank_correlation, two_sided_p};
pub use stream::{seed_of, stream};
