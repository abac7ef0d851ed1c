//! The space that is searched: mixtures on a bounded simplex, and the fidelities at which they can be trained.

mod error;
mod polytope;
mod projection;
mod sampling;
mod search_space;
mod warp;

pub use error::{SpaceError, TightBound};
pub use polytope::{Bound, Group, Polytope};
pub use search_space::{Domain, GroupSpec, Limits, MOST_DOMAINS, SearchSpace};
