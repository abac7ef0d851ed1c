//! The model of what training would yield: one exact multi-fidelity Gaussian process per metric.

pub mod data;
mod error;
pub mod fit;
pub mod gp;
pub mod hyper;
mod integrated_variance;
pub mod kernel;
mod lanes;
pub mod linalg;
mod memo;
mod model;
pub mod select;
mod snapshot;
mod solved;
mod standardize;
mod task;

pub use error::FitError;
pub use gp::View;
pub use integrated_variance::integrated_variance_reduction;
pub use lanes::Prepared;
pub use memo::Memo;
pub use model::{Agreement, Lookahead, MetricGain, Surrogate};
pub use snapshot::ModelSnapshot;
pub use task::{MOST_KNOWN, Task, known};
