//! Acquisition functions, one file each, and their maximization over the polytope of mixtures.
//!
//! ```
//! use admire::acquisition::Criterion;
//! use admire::surrogate::Lookahead;
//!
//! // The best mixture so far has a loss of 2; all others are expected to have one of 2.1.
//! let improvement = Criterion::ExpectedImprovement { best: 2.0 };
//! let value = |sd: f64, explained: f64| {
//!     let variance = sd * sd;
//!     improvement.value(&Lookahead { mean: 2.1, variance, reduction: explained * variance, ..Lookahead::default() }).log
//! };
//! // A mixture of which less is known may be better by more.
//! assert!(value(0.2, 0.9) > value(0.1, 0.9));
//! // A run at a fidelity that agrees better with the target says more.
//! assert!(value(0.2, 0.9) > value(0.2, 0.5));
//! ```

mod confidence_bound;
mod criterion;
mod entropy;
mod expected_improvement;
mod knowledge_gradient;
mod maximize;
mod minima;
mod point;
mod spg;

pub use criterion::Criterion;
pub use entropy::gibbon;
pub use knowledge_gradient::{Choices, log_knowledge_gradient};
pub use maximize::{best_mean, climb, descend};
pub use minima::{Minima, Values};
pub use point::LogValue;
pub use spg::ProjectedGradient;
