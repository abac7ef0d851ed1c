//! The space that is searched: mixtures on a bounded simplex, and the fidelities at which they can be trained.
//!
//! The manual of the [crate] has an example.

mod blocks;
mod constraints;
mod error;
mod granularity;
mod limit;
mod lineage;
mod nearby;
mod polytope;
mod projection;
mod sampling;
mod search_space;
mod warp;

pub use constraints::{Bound, Group};
pub use error::{SpaceError, TightBound};
pub use granularity::Granularity;
pub use limit::LimitedBy;
pub use lineage::{Drawn, Lineage, Relation};
pub use polytope::Polytope;
pub use search_space::{Domain, GroupSpec, Limits, MOST_DOMAINS, SearchSpace};
pub use warp::Warped;
