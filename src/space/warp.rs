//! The geometry in which mixtures are compared.

use nalgebra::DMatrix;

/// Added to every weight before the square root, which bounds the slope at zero (to 50): weights below a hundredth of a
/// percent are as good as none.
const OFFSET: f64 = 1e-4;

/// The warped mixture `x = √(w + ε)`: up to the offset, the Euclidean distance of two warped mixtures is √2 times their
/// Hellinger distance, so that going from 0 to 1 % counts as much as from 16 % to 25 %.
#[must_use]
pub fn warp(w: f64) -> f64 {
    (w.max(0.0) + OFFSET).sqrt()
}

/// `dx/dw`, given the warped coordinate.
#[must_use]
pub fn slope(x: f64) -> f64 {
    0.5 / x
}

/// Warps mixtures (length D each) into the columns of a D × n matrix.
#[must_use]
pub fn warp_all<'a>(dim: usize, mixtures: impl IntoIterator<Item = &'a [f64]>) -> DMatrix<f64> {
    let mut values = Vec::new();
    for w in mixtures {
        values.extend(w.iter().map(|x| warp(*x)));
    }
    let n = values.len().checked_div(dim).unwrap_or(0);
    DMatrix::from_vec(dim, n, values)
}
