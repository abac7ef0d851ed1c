//! What the next trial would teach, and where it would teach most.

mod criterion;
mod knowledge;
mod maximize;
pub mod normal;
mod spg;

pub use criterion::{Criterion, Worth, gibbon};
pub use knowledge::log_knowledge_gradient;
pub use maximize::{best_bound, best_mean, climb};
pub use spg::ProjectedGradient;
