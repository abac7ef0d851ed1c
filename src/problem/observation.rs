//! What a finished trial reported.

use crate::problem::Mixture;

/// The metrics that one training run reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What was trained on.
    pub mixture: Mixture,
    /// Index of the fidelity it was trained at.
    pub fidelity: usize,
    /// Finite values, one a metric of the [`Objective`](super::Objective), in its order and the user's orientation.
    pub metrics: Vec<f64>,
    /// Standard error of each metric's measurement, where the training command reported one.
    pub se: Vec<Option<f64>>,
}
