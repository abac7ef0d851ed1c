//! Data mixing laws (Ye et al. 2024, arXiv 2403.16952): one log-linear law per metric on many cheap runs predicts the best mixture.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::pool::Pool;

/// Floors at which fits start: so far below the smallest value, in ranges of the values. The fit whose squared errors are smallest
/// counts.
const STARTS: [f64; 4] = [0.03, 0.2, 1.0, 5.0];

/// Steps of a fit, accepted or not.
const STEPS: usize = 100;

/// A fit ends where a step takes off less than this share of the squared errors.
const TOLERANCE: f64 = 1e-10;

/// Where the damping ends a fit: steps have become too short to matter.
const MOST_DAMPING: f64 = 1e8;

/// Ridge of the linear systems, in means of their diagonals: a domain that no run has leaves no singular matrix.
const RIDGE: f64 = 1e-9;

/// A law for each metric of the objective, fitted on runs of one size.
pub(super) struct MixingLaws {
    laws: Vec<Law>,
}

impl MixingLaws {
    /// Fits on the runs of these indices into [`Pool::runs`]. `None` where there are no more runs than a law has parameters.
    pub(super) fn fit(pool: &Pool, runs: &[usize]) -> Option<Self> {
        if runs.len() <= pool.space.dim() + 1 {
            return None;
        }
        let w = mixtures(pool, runs);
        let sign = pool.objective.direction.sign();
        let values = |metric: usize| runs.iter().map(move |run| sign * pool.runs[*run].metrics[metric]);
        let fit = |metric| Law::fit(&w, &DVector::from_iterator(runs.len(), values(metric)));
        Some(Self { laws: (0..pool.objective.metrics.len()).map(fit).collect::<Option<_>>()? })
    }

    /// Predicted loss (smaller is better) of each of the pool's candidates.
    pub(super) fn predict(&self, pool: &Pool) -> Vec<f64> {
        let w = mixtures(pool, &pool.candidates);
        let sign = pool.objective.direction.sign();
        let metrics: Vec<DVector<f64>> = self.laws.iter().map(|law| sign * law.values(&w)).collect();
        let loss = |i: usize| pool.loss(&metrics.iter().map(|values| values[i]).collect::<Vec<_>>());
        (0..w.nrows()).map(loss).collect()
    }
}

/// The mixtures of runs (indices into [`Pool::runs`]), one a row.
fn mixtures(pool: &Pool, runs: &[usize]) -> DMatrix<f64> {
    DMatrix::from_fn(runs.len(), pool.space.dim(), |i, j| pool.runs[runs[i]].mixture.weights()[j])
}

/// `c + exp(t · w)`. The factor `k` of the paper's `c + k · exp(t · w)` is in `t`, because weights sum to 1.
#[derive(Clone)]
struct Law {
    floor: f64,
    rates: DVector<f64>,
}

impl Law {
    /// The values at mixtures, one a row.
    fn values(&self, w: &DMatrix<f64>) -> DVector<f64> {
        (w * &self.rates).map(|exponent| self.floor + exponent.exp())
    }

    /// Least squares on the values `y` at the mixtures `w` (one a row), from several starts. `None` where there is no finite fit.
    fn fit(w: &DMatrix<f64>, y: &DVector<f64>) -> Option<Self> {
        let range = y.max() - y.min();
        let below = if range > 0.0 { range } else { 1.0 };
        let fits = STARTS.iter().filter_map(|start| Self::linear(w, y, y.min() - start * below)?.refined(w, y));
        fits.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, law)| law)
    }

    /// The law with this floor whose exponents are nearest to the logarithms of the values above the floor.
    fn linear(w: &DMatrix<f64>, y: &DVector<f64>, floor: f64) -> Option<Self> {
        let rates = solve(w.tr_mul(w), RIDGE, &w.tr_mul(&y.map(|value| (value - floor).ln())))?;
        Some(Self { floor, rates })
    }

    /// The law after steps of Levenberg and Marquardt down the sum of squared errors, which is returned with it.
    fn refined(self, w: &DMatrix<f64>, y: &DVector<f64>) -> Option<(f64, Self)> {
        let (mut law, mut damping) = (self, 1e-3);
        let mut errors = y - law.values(w);
        for _ in 0..STEPS {
            let jacobian = law.jacobian(w);
            let step = solve(jacobian.tr_mul(&jacobian), damping, &jacobian.tr_mul(&errors))?;
            let next = Self { floor: law.floor + step[0], rates: &law.rates + step.rows(1, w.ncols()) };
            let left = y - next.values(w);
            let (before, after) = (errors.norm_squared(), left.norm_squared());
            if after < before {
                (law, errors, damping) = (next, left, (damping / 5.0).max(RIDGE));
                if before - after <= TOLERANCE * before {
                    break;
                }
            } else {
                damping *= 5.0;
                if damping > MOST_DAMPING {
                    break;
                }
            }
        }
        let sum = errors.norm_squared();
        sum.is_finite().then_some((sum, law))
    }

    /// Derivatives of the values at mixtures (one a row) by the floor and the rates.
    fn jacobian(&self, w: &DMatrix<f64>) -> DMatrix<f64> {
        let slopes = (w * &self.rates).map(f64::exp);
        DMatrix::from_fn(w.nrows(), w.ncols() + 1, |i, j| if j == 0 { 1.0 } else { slopes[i] * w[(i, j - 1)] })
    }
}

/// Solves `(A + damping · diag A) x = b` for a positive semidefinite `A`. `None` where there is no finite solution.
fn solve(mut a: DMatrix<f64>, damping: f64, b: &DVector<f64>) -> Option<DVector<f64>> {
    let ridge = RIDGE * a.diagonal().mean();
    for i in 0..a.nrows() {
        a[(i, i)] += damping * a[(i, i)] + ridge;
    }
    let x = Cholesky::new(a)?.solve(b);
    x.iter().all(|value| value.is_finite()).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mixtures of three domains on a grid of sevenths.
    fn grid() -> DMatrix<f64> {
        let places: Vec<(usize, usize)> = (0..=7).flat_map(|a| (0..=7 - a).map(move |b| (a, b))).collect();
        DMatrix::from_fn(places.len(), 3, |i, j| {
            let (a, b) = places[i];
            [a, b, 7 - a - b][j] as f64 / 7.0
        })
    }

    #[test]
    fn a_law_is_found_from_few_values_of_it() {
        let grid = grid();
        for (floor, rates) in [(2.0, [-0.4, -2.0, 0.5]), (0.01, [0.3, -6.0, 0.2]), (-5.0, [-3.0, 1.0, -1.0])] {
            let law = Law { floor, rates: DVector::from_column_slice(&rates) };
            let seen = grid.select_rows(&[1, 4, 9, 14, 20, 27, 33]);
            let found = Law::fit(&seen, &law.values(&seen)).unwrap();
            let off = (found.values(&grid) - law.values(&grid)).amax();
            assert!(off < 1e-5, "floor {floor}: off by {off}");
        }
    }

    #[test]
    fn equal_values_and_an_absent_domain_leave_a_law() {
        let seen = grid().select_rows(&[0, 1, 2, 3, 4]);
        assert_eq!(seen.column(0).max(), 0.0, "no run has the first domain");
        let y = DVector::from_element(5, 1.5);
        let law = Law::fit(&seen, &y).unwrap();
        assert!((law.values(&seen) - y).amax() < 1e-6);
    }
}
