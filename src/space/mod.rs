//! The space that is searched: mixtures on a bounded simplex, and the fidelities at which they can be trained.

mod error;
mod fidelity;
mod mixture;
mod name;
mod polytope;
mod projection;
mod sampling;
mod search_space;
mod warp;

pub use error::{SpaceError, TightBound};
pub use fidelity::{Fidelities, Fidelity, affordable, params_of};
pub use mixture::{Mixture, columns};
pub use name::{check_domain_name, check_folder_name, check_name, is_hidden};
pub use polytope::{Bound, Group, Polytope};
pub use search_space::{Domain, GroupSpec, Limits, MOST_DOMAINS, SearchSpace};
pub use warp::Warp;
