//! The space that is searched: mixtures on a bounded simplex, and the fidelities at which they can be trained.

mod fidelity;
mod mixture;
mod polytope;
pub mod warp;

pub use fidelity::{Fidelities, Fidelity};
pub use mixture::Mixture;
pub use polytope::{Group, Polytope};

/// A data source whose weight in the mixture is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Unique name, as in the config file.
    pub name: String,
    /// Smallest weight (a fraction of the mixture), in `[0, 1]`.
    pub min: f64,
    /// Largest weight before token caps, in `[min, 1]`.
    pub max: f64,
    /// Tokens available, when known.
    pub tokens: Option<f64>,
    /// Share in the reference ("natural") mixture, when given; not necessarily normalized.
    pub prior: Option<f64>,
}

/// The validated search space over mixtures.
///
/// Domains are held in the order of their names, whatever the order in the config file, so that reordering a config
/// changes nothing about a study. Every weight vector in the crate is in this order.
#[derive(Clone, Debug)]
pub struct SearchSpace {
    domains: Vec<Domain>,
    polytope: Polytope,
}
