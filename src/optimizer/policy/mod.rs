//! What the optimizer decides, one decision per file: which fidelities are open, the initial design, the next trial, the
//! recommendation, which running trial is ended, when to stop. All constants are in [`constants`].

pub mod constants;
mod design;
pub mod ending;
pub mod fidelities;
pub(super) mod guards;
mod proposal;
mod recommendation;
mod references;
pub mod stopping;
mod usable;
mod value;
mod waiting;
