//! The model of what training would yield: one exact multi-fidelity Gaussian process a metric.

pub mod fit;
pub mod gp;
pub mod hyper;
pub mod kernel;
mod lanes;
pub mod linalg;
mod model;
mod prior;
pub mod select;
mod solved;
mod spec;
mod standardize;

pub use gp::View;
pub use lanes::Prepared;
pub use model::{Agreement, MOST_KNOWN, MetricGain, Outlook, Surrogate, Task, appends, known};
pub use prior::told;
pub use select::ModelChoice;
pub use spec::{KernelKind, MOST_COMPONENTS, ModelSnapshot, ModelSpec, Structure};
