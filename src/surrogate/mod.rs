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
mod metric;
mod model;
mod process;
mod sample;
pub mod select;
mod snapshot;
mod solved;
mod standardize;
mod task;

pub use error::FitError;
pub use integrated_variance::integrated_variance_reduction;
pub use lanes::Prepared;
pub use memo::Memo;
pub use model::{Agreement, Gain, Lookahead, Surrogate};
pub use process::View;
pub use snapshot::ModelSnapshot;
pub use task::{MOST_KNOWN, Task, known};
