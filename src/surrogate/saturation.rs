//! Where a mixture lies for a run that repeats data.

use std::sync::Arc;

use nalgebra::DMatrix;

use crate::problem::{Warp, effective_weight};
use crate::space::Warped;

/// How the value of data saturates as it is repeated. To the process, a run lies at the weights that are worth as much without repetition
/// ([`effective_weight`]), so that runs of one mixture at two fidelities may lie at two places.
#[derive(Clone, Debug)]
pub struct Saturation {
    /// Geometry of the mixtures.
    pub warp: Warp,
    /// Unique data by fidelity and domain ([`Repetition`](crate::problem::Repetition)).
    pub unique: Arc<Vec<Vec<f64>>>,
    /// Epochs in which the value of repeated data decays.
    pub decay: f64,
}

/// One coordinate of a place.
struct Coordinate {
    value: f64,
    /// Derivative with respect to the coordinate of the mixture.
    slope: f64,
    /// Derivative with respect to the logarithm of the decay.
    by_decay: f64,
}

impl Saturation {
    /// Where the coordinate `x` of domain `d` of a warped mixture lies at fidelity `m`.
    fn coordinate(&self, x: f64, d: usize, m: usize) -> Coordinate {
        let weight = self.warp.weight(x);
        let (worth, by_weight, by_decay) = effective_weight(weight, self.unique[m][d], self.decay);
        if worth == weight {
            return Coordinate { value: x, slope: 1.0, by_decay: 0.0 };
        }
        let slope = self.warp.slope(worth);
        Coordinate {
            value: self.warp.apply(worth),
            slope: slope * by_weight / self.warp.slope(weight),
            by_decay: slope * by_decay,
        }
    }

    /// The places of the n mixtures `z` for runs at the fidelities `at` (length n).
    pub fn places(&self, z: &Warped, at: impl Fn(usize) -> usize) -> Warped {
        let z = z.matrix();
        Warped::new(DMatrix::from_fn(z.nrows(), z.ncols(), |d, j| self.coordinate(z[(d, j)], d, at(j)).value))
    }

    /// The derivative of each coordinate of the place of mixture `j` of `z` at fidelity `m` with respect to that of the mixture (length D).
    pub fn slopes(&self, z: &Warped, j: usize, m: usize) -> Vec<f64> {
        z.matrix().column(j).iter().enumerate().map(|(d, x)| self.coordinate(*x, d, m).slope).collect()
    }

    /// The same with respect to the logarithm of the decay.
    pub fn by_decay(&self, z: &Warped, j: usize, m: usize) -> Vec<f64> {
        z.matrix().column(j).iter().enumerate().map(|(d, x)| self.coordinate(*x, d, m).by_decay).collect()
    }
}
