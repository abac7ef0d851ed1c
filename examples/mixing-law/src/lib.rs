//! Analytic test problems for data mixtures, of known optimum.
//!
//! The validation loss on domain `j` of a model trained on the mixture `w` is a mixing law (Ye et al. 2024, "Data mixing
//! laws", with their `t_ij` negated):
//!
//! ```text
//! L_j(w) = c_j + k_j · exp(−Σ_i r_ji w_i)
//! ```
//!
//! with other constants at every size. The objective is the plain mean of the metrics: a convex function of `w`, so that
//! its optimum over bounds and groups can be computed, with a certificate, to any accuracy.

mod generate;
mod optimum;
mod problem;
mod stats;

pub use generate::{GenerateError, Recipe, Regime};
pub use optimum::{Optimum, minimize};
pub use problem::{Domain, Group, Law, Problem, Size};
pub use stats::rank_correlation;
