//! The model of what training would yield: one exact multi-fidelity Gaussian process a metric.

mod error;
pub mod fit;
pub mod gp;
pub mod hyper;
pub mod kernel;
mod lanes;
pub mod linalg;
mod model;
mod prior;
pub mod select;
mod snapshot;
mod solved;
mod standardize;

pub use error::FitError;
pub use gp::View;
pub use lanes::Prepared;
pub use model::{Agreement, MOST_KNOWN, MetricGain, Outlook, Surrogate, Task, known};
pub use prior::told;
pub use snapshot::ModelSnapshot;
