//! What follows from a factored covariance matrix: levels and weights of the data.

use nalgebra::{DMatrix, DVector};

use super::data::Data;
use super::linalg::{Cholesky, Factored};

/// A covariance matrix of the data with everything that was solved with it. Where there is one, all of it is finite.
#[derive(Clone, Debug)]
pub(super) struct Solved {
    /// `K`, factored (n × n).
    pub covariance: Factored,
    /// Most probable level of each fidelity (length F).
    pub levels: DVector<f64>,
    /// Their posterior covariance (F × F).
    pub level_covariance: DMatrix<f64>,
    /// `K⁻¹ H` (n × F).
    pub indicators: DMatrix<f64>,
    /// `K⁻¹ (y − H b̂)` (length n).
    pub alpha: DVector<f64>,
    /// `y − H b̂` (length n).
    pub residual: DVector<f64>,
    /// Log determinant of the levels' posterior precision.
    pub level_log_determinant: f64,
    /// `Σ (b̂_m / level_sd_m)²`.
    pub level_penalty: f64,
}

impl Solved {
    /// Solves for levels and weights: O(n²). `None` where rounding has spoilt the factor: a matrix that is barely positive
    /// definite can be factored, and yet yield nothing.
    pub fn new(data: &Data, covariance: Factored) -> Option<Self> {
        let n = data.y.len();
        let f = data.level_sd.len();
        let mut indicators = DMatrix::zeros(n, f);
        for (i, m) in data.fidelity.iter().enumerate() {
            indicators[(i, *m)] = 1.0;
        }
        let indicators = covariance.solve(indicators);
        let mut precision = DMatrix::zeros(f, f);
        for (i, m) in data.fidelity.iter().enumerate() {
            for l in 0..f {
                precision[(*m, l)] += indicators[(i, l)];
            }
        }
        for m in 0..f {
            precision[(m, m)] += data.level_sd[m].powi(-2);
        }
        let level_cholesky = Cholesky::new(precision)?;
        let levels = level_cholesky.solve(indicators.tr_mul(&data.y));
        let residual = DVector::from_fn(n, |i, _| data.y[i] - levels[data.fidelity[i]]);
        let alpha = covariance.solve(residual.clone());
        if !alpha.iter().all(|a| a.is_finite()) {
            return None;
        }
        let level_penalty = levels.iter().zip(&data.level_sd).map(|(b, sd)| (b / sd).powi(2)).sum();
        let level_log_determinant = level_cholesky.log_determinant();
        let level_covariance = level_cholesky.inverse();
        Some(Self {
            covariance,
            levels,
            level_covariance,
            indicators,
            alpha,
            residual,
            level_log_determinant,
            level_penalty,
        })
    }
}
