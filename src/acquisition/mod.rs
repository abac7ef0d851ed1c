//! Acquisition functions, one file each, and their maximization over the polytope of mixtures.

mod confidence_bound;
mod criterion;
mod entropy;
mod expected_improvement;
mod knowledge_gradient;
mod maximize;
mod minima;
pub mod normal;
mod point;
mod spg;

pub use criterion::Criterion;
pub use entropy::gibbon;
pub use knowledge_gradient::{Choices, log_knowledge_gradient};
pub use maximize::{best_bound, best_mean, climb};
pub use minima::{Minima, Values};
pub use point::LogValue;
pub use spg::ProjectedGradient;
