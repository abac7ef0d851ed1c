//! The geometry in which mixtures are compared.

use nalgebra::DMatrix;

use crate::problem::{Warp, Weights};

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

    /// The weight whose warped coordinate is `x`.
    #[must_use]
    pub fn weight(self, x: f64) -> f64 {
        let w = match self {
            Self::Sqrt => x * x - ROOT_OFFSET,
            Self::Log => LOG_OFFSET * (x * (1.0 / LOG_OFFSET).ln_1p()).exp_m1(),
            Self::None => x,
        };
        w.max(0.0)
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

    /// Warps every weight.
    #[must_use]
    pub fn warped(self, weights: &Weights) -> Warped {
        self.warped_without(weights, 0)
    }

    /// Warps every weight, and those of so many further domains, which have none.
    #[must_use]
    pub fn warped_without(self, weights: &Weights, further: usize) -> Warped {
        let dim = weights.matrix().nrows();
        Warped(weights.matrix().map(|w| self.apply(w)).resize_vertically(dim + further, self.apply(0.0)))
    }
}

/// Warped mixtures as the columns of a D × n matrix: the points that a kernel compares.
#[derive(Clone, Debug)]
pub struct Warped(DMatrix<f64>);

impl Warped {
    /// Points that are warped already.
    #[must_use]
    pub fn new(points: DMatrix<f64>) -> Self {
        Self(points)
    }

    /// The matrix.
    #[must_use]
    pub fn matrix(&self) -> &DMatrix<f64> {
        &self.0
    }

    /// How many points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.ncols()
    }

    /// How many domains there are.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.0.nrows()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The points of these indices.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self(self.0.select_columns(indices))
    }

    /// `count` points from `start` on.
    #[must_use]
    pub fn range(&self, start: usize, count: usize) -> Self {
        Self(self.0.columns(start, count).into_owned())
    }

    /// These points, then those of `later`.
    #[must_use]
    pub fn followed_by(&self, later: &Self) -> Self {
        let values = self.0.iter().chain(later.0.iter()).copied();
        Self(DMatrix::from_iterator(self.0.nrows(), self.len() + later.len(), values))
    }
}
