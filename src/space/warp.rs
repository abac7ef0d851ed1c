//! The geometry in which mixtures are compared.

use nalgebra::DMatrix;

use crate::problem::Warp;

/// Added to every weight before the square root, which bounds the slope at zero (to 50): weights below a hundredth of a
/// percent are as good as none.
const ROOT_OFFSET: f64 = 1e-4;
/// The same before the logarithm: one percent.
const LOG_OFFSET: f64 = 1e-2;

impl Warp {
    /// The warped coordinate of a weight.
    #[must_use]
    pub fn apply(self, w: f64) -> f64 {
        let w = w.max(0.0);
        match self {
            Self::Sqrt => (w + ROOT_OFFSET).sqrt(),
            Self::Log => (w / LOG_OFFSET).ln_1p() / (1.0 / LOG_OFFSET).ln_1p(),
            Self::None => w,
        }
    }

    /// `dx/dw` at the weight `w`.
    #[must_use]
    pub fn slope(self, w: f64) -> f64 {
        let w = w.max(0.0);
        match self {
            Self::Sqrt => 0.5 / (w + ROOT_OFFSET).sqrt(),
            Self::Log => 1.0 / ((w + LOG_OFFSET) * (1.0 / LOG_OFFSET).ln_1p()),
            Self::None => 1.0,
        }
    }

    /// Warps every entry.
    #[must_use]
    pub fn matrix(self, weights: &DMatrix<f64>) -> DMatrix<f64> {
        weights.map(|w| self.apply(w))
    }
}
