//! Dense factorizations, the only place where the choice of linear algebra matters: everything above calls these few
//! functions.
//!
//! Right-looking updates are phrased as matrix products, which nalgebra hands to a cache-blocked, vectorized kernel; the
//! unblocked remainder works on at most 64 columns that stay in the first-level cache.

use nalgebra::{DMatrix, DMatrixViewMut, DVector};

/// Columns factored at once: 64 columns of 64 doubles fill a 32 KiB first-level cache.
const BLOCK: usize = 64;

/// A lower Cholesky factor `L` with `L Lᵀ = A`; the strict upper triangle is zero.
#[derive(Clone, Debug)]
pub struct Cholesky {
    lower: DMatrix<f64>,
}

impl Cholesky {
    /// Factors the symmetric positive definite `a` (n × n; only its lower triangle is read). `None` when it is not
    /// numerically positive definite, or not finite. n³/3 multiply-adds.
    #[must_use]
    pub fn new(mut a: DMatrix<f64>) -> Option<Self> {
        let n = a.nrows();
        let mut start = 0;
        while start < n {
            let width = BLOCK.min(n - start);
            let end = start + width;
            factor_diagonal(&mut a.view_mut((start, start), (width, width)))?;
            if end < n {
                let (head, mut tail) = a.columns_range_pair_mut(start..end, end..n);
                let diagonal = head.view((start, 0), (width, width)).clone_owned();
                let mut head = head;
                let mut panel = head.view_mut((end, 0), (n - end, width));
                solve_panel(&diagonal, &mut panel);
                // The trailing update touches the lower triangle only, one block column at a time.
                let mut column = end;
                while column < n {
                    let columns = BLOCK.min(n - column);
                    let rows = n - column;
                    let left = panel.rows(column - end, rows);
                    let right = panel.rows(column - end, columns).transpose();
                    tail.view_mut((column, column - end), (rows, columns)).gemm(-1.0, &left, &right, 1.0);
                    column += columns;
                }
            }
            start = end;
        }
        a.fill_upper_triangle(0.0, 1);
        Some(Self { lower: a })
    }

    /// The factor.
    #[must_use]
    pub fn lower(&self) -> &DMatrix<f64> {
        &self.lower
    }

    /// `log det A`.
    #[must_use]
    pub fn log_determinant(&self) -> f64 {
        2.0 * self.lower.diagonal().iter().map(|x| x.ln()).sum::<f64>()
    }

    /// `A⁻¹ b`.
    #[must_use]
    pub fn solve(&self, b: &DVector<f64>) -> DVector<f64> {
        let mut x = b.clone();
        self.whiten_vector(&mut x);
        self.unwhiten_vector(&mut x);
        x
    }

    /// Overwrites `b` with `L⁻¹ b`.
    fn whiten_vector(&self, b: &mut DVector<f64>) {
        for j in 0..b.len() {
            let column = self.lower.column(j);
            let value = b[j] / column[j];
            b[j] = value;
            b.rows_range_mut(j + 1..).axpy(-value, &column.rows_range(j + 1..), 1.0);
        }
    }

    /// Overwrites `b` with `L⁻ᵀ b`.
    fn unwhiten_vector(&self, b: &mut DVector<f64>) {
        for j in (0..b.len()).rev() {
            let column = self.lower.column(j);
            let dot = column.rows_range(j + 1..).dot(&b.rows_range(j + 1..));
            b[j] = (b[j] - dot) / column[j];
        }
    }

    /// `L⁻¹ B` for an n × p matrix: n² p multiply-adds, nearly all of them in matrix products.
    #[must_use]
    pub fn whiten(&self, mut b: DMatrix<f64>) -> DMatrix<f64> {
        let n = b.nrows();
        let mut start = 0;
        while start < n {
            let width = BLOCK.min(n - start);
            let diagonal = self.lower.view((start, start), (width, width));
            for mut column in b.rows_mut(start, width).column_iter_mut() {
                for j in 0..width {
                    let value = column[j] / diagonal[(j, j)];
                    column[j] = value;
                    column.rows_range_mut(j + 1..).axpy(-value, &diagonal.column(j).rows_range(j + 1..), 1.0);
                }
            }
            let end = start + width;
            if end < n {
                let (solved, mut rest) = b.rows_range_pair_mut(start..end, end..n);
                rest.gemm(-1.0, &self.lower.view((end, start), (n - end, width)), &solved, 1.0);
            }
            start = end;
        }
        b
    }

    /// `A⁻¹`, symmetric, both triangles filled.
    #[must_use]
    pub fn inverse(&self) -> DMatrix<f64> {
        let n = self.lower.nrows();
        let mut inverse = self.lower.clone();
        invert_lower(&mut inverse.as_view_mut());
        // A⁻¹ = L⁻ᵀ L⁻¹: entry (i, j) sums over rows ≥ max(i, j), so each block column needs only the rows below it.
        let mut product = DMatrix::zeros(n, n);
        let mut start = 0;
        while start < n {
            let width = BLOCK.min(n - start);
            let below = inverse.view((start, start), (n - start, width));
            let left = inverse.view((start, 0), (n - start, start + width));
            // Transposed beforehand: only plain products go to the blocked kernel.
            product.view_mut((0, start), (start + width, width)).gemm(1.0, &left.transpose(), &below, 0.0);
            start += width;
        }
        product.fill_lower_triangle_with_upper_triangle();
        product
    }
}

/// A symmetric positive definite matrix, factored and inverted, to which rows can be appended.
#[derive(Clone, Debug)]
pub struct Factored {
    /// The Cholesky factor.
    pub cholesky: Cholesky,
    /// The inverse, both triangles filled.
    pub inverse: DMatrix<f64>,
}

impl Factored {
    /// Factors `a` (n × n) and inverts it: n³ multiply-adds. `None` as for [`Cholesky::new`].
    #[must_use]
    pub fn new(a: DMatrix<f64>) -> Option<Self> {
        let cholesky = Cholesky::new(a)?;
        Some(Self { inverse: cholesky.inverse(), cholesky })
    }

    /// The matrix with a row and column appended: `k` off the diagonal (length n), `diagonal` on it; 2 n² multiply-adds.
    /// `None` where the result would not be numerically positive definite.
    #[must_use]
    pub fn append(&self, k: &DVector<f64>, diagonal: f64) -> Option<Self> {
        let n = k.len();
        let mut row = k.clone();
        self.cholesky.whiten_vector(&mut row);
        let pivot = diagonal - row.norm_squared();
        // Below this the difference is mostly rounding: better factored anew, with jitter.
        if pivot.is_nan() || pivot <= 1e-10 * diagonal {
            return None;
        }
        let mut lower = self.cholesky.lower.clone().resize(n + 1, n + 1, 0.0);
        lower.view_mut((n, 0), (1, n)).copy_from(&row.transpose());
        lower[(n, n)] = pivot.sqrt();
        // The inverse of a bordered matrix: with u = A⁻¹ k, [A⁻¹ + u uᵀ/p, −u/p; −uᵀ/p, 1/p].
        // That u comes from the factor, not from the inverse, whose errors would grow with every row until nothing is left of it.
        let mut u = row;
        self.cholesky.unwhiten_vector(&mut u);
        let mut inverse = self.inverse.clone().resize(n + 1, n + 1, 0.0);
        inverse.view_mut((0, 0), (n, n)).ger(1.0 / pivot, &u, &u, 1.0);
        u /= -pivot;
        inverse.view_mut((0, n), (n, 1)).copy_from(&u);
        inverse.view_mut((n, 0), (1, n)).copy_from(&u.transpose());
        inverse[(n, n)] = 1.0 / pivot;
        Some(Self { cholesky: Cholesky { lower }, inverse })
    }
}

/// Unblocked factorization of a small square block.
fn factor_diagonal<S: nalgebra::RawStorageMut<f64, nalgebra::Dyn, nalgebra::Dyn>>(
    a: &mut nalgebra::Matrix<f64, nalgebra::Dyn, nalgebra::Dyn, S>,
) -> Option<()> {
    let n = a.nrows();
    for j in 0..n {
        let pivot = a[(j, j)];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let root = pivot.sqrt();
        a[(j, j)] = root;
        for i in j + 1..n {
            a[(i, j)] /= root;
        }
        for k in j + 1..n {
            let factor = a[(k, j)];
            for i in k..n {
                a[(i, k)] -= a[(i, j)] * factor;
            }
        }
    }
    Some(())
}

/// `panel ← panel · L⁻ᵀ` for the lower triangular `diagonal`.
fn solve_panel<S: nalgebra::StorageMut<f64, nalgebra::Dyn, nalgebra::Dyn>>(
    diagonal: &DMatrix<f64>,
    panel: &mut nalgebra::Matrix<f64, nalgebra::Dyn, nalgebra::Dyn, S>,
) {
    for j in 0..diagonal.ncols() {
        let (before, mut rest) = panel.columns_range_pair_mut(..j, j..);
        let mut column = rest.column_mut(0);
        for k in 0..j {
            column.axpy(-diagonal[(j, k)], &before.column(k), 1.0);
        }
        column /= diagonal[(j, j)];
    }
}

/// Inverts a lower triangular matrix in place by halves: `[A 0; B C]⁻¹ = [A⁻¹ 0; −C⁻¹ B A⁻¹ C⁻¹]`.
fn invert_lower(a: &mut DMatrixViewMut<'_, f64, nalgebra::U1, nalgebra::Dyn>) {
    let n = a.nrows();
    if n <= BLOCK {
        for j in 0..n {
            a[(j, j)] = 1.0 / a[(j, j)];
            for i in j + 1..n {
                let mut sum = 0.0;
                for k in j..i {
                    sum += a[(i, k)] * a[(k, j)];
                }
                a[(i, j)] = -sum / a[(i, i)];
            }
        }
        return;
    }
    let half = n / 2;
    invert_lower(&mut a.view_mut((0, 0), (half, half)));
    invert_lower(&mut a.view_mut((half, half), (n - half, n - half)));
    let corner = a.view((half, half), (n - half, n - half)) * a.view((half, 0), (n - half, half));
    let corner = corner * a.view((0, 0), (half, half));
    a.view_mut((half, 0), (n - half, half)).copy_from(&(-corner));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spd(n: usize) -> DMatrix<f64> {
        let a = DMatrix::from_fn(n, n, |i, j| ((i * 31 + j * 17) % 29) as f64 / 29.0 - 0.5);
        &a * a.transpose() + DMatrix::identity(n, n) * 0.5
    }

    #[test]
    fn factor_solve_and_inverse_agree_with_the_definition_across_block_edges() {
        for n in [1, 2, 63, 64, 65, 130, 200] {
            let a = spd(n);
            let factor = Cholesky::new(a.clone()).unwrap();
            let scale = a.amax();
            assert!((factor.lower() * factor.lower().transpose() - &a).amax() < 1e-12 * scale * n as f64);
            let inverse = factor.inverse();
            assert!((&inverse * &a - DMatrix::identity(n, n)).amax() < 1e-9, "inverse at n = {n}");
            assert!((&inverse - inverse.transpose()).amax() == 0.0);
            let b = DVector::from_fn(n, |i, _| (i as f64).sin());
            assert!((&a * factor.solve(&b) - &b).amax() < 1e-9);
            let rhs = DMatrix::from_fn(n, 5, |i, j| ((i + 3 * j) as f64).cos());
            assert!((factor.lower() * factor.whiten(rhs.clone()) - rhs).amax() < 1e-10);
            let reference = a.clone().cholesky().unwrap().ln_determinant();
            assert!((factor.log_determinant() - reference).abs() < 1e-9 * n as f64);
        }
    }

    #[test]
    fn appending_rows_agrees_with_factoring_the_whole() {
        let a = spd(90);
        let mut factored = Factored::new(a.view((0, 0), (60, 60)).clone_owned()).unwrap();
        for n in 60..90 {
            factored = factored.append(&a.view((0, n), (n, 1)).column(0).clone_owned(), a[(n, n)]).unwrap();
        }
        let whole = Factored::new(a.clone()).unwrap();
        assert!((factored.cholesky.lower() - whole.cholesky.lower()).amax() < 1e-10 * a.amax());
        assert!((&factored.inverse - &whole.inverse).amax() < 1e-9 * whole.inverse.amax());
        // A copy of a row makes the matrix singular.
        let copy = a.column(0).clone_owned();
        assert!(factored.append(&copy, a[(0, 0)]).is_none());
    }

    #[test]
    fn errors_do_not_grow_with_the_rows_appended() {
        // A smooth process in six dimensions with little noise: badly conditioned, as in a long study.
        let at = |i: usize, d: usize| (i as f64 * [0.618, 0.755, 0.819, 0.857, 0.881, 0.899][d]).fract();
        let distance2 = |i, j| (0..6).map(|d| (at(i, d) - at(j, d)).powi(2)).sum::<f64>();
        let entry = |i, j| 70.0 * (-0.5 * distance2(i, j)).exp() + if i == j { 1e-5 } else { 0.0 };
        let a = DMatrix::from_fn(500, 500, entry);
        let mut factored = Factored::new(a.view((0, 0), (300, 300)).clone_owned()).unwrap();
        for n in 300..500 {
            factored = factored.append(&a.view((0, n), (n, 1)).column(0).clone_owned(), a[(n, n)]).unwrap();
        }
        let whole = Factored::new(a).unwrap();
        let error = (&factored.inverse - &whole.inverse).amax() / whole.inverse.amax();
        assert!(error < 1e-6, "{error}");
    }

    #[test]
    fn an_indefinite_or_non_finite_matrix_is_refused() {
        assert!(Cholesky::new(-spd(70)).is_none());
        let mut a = spd(70);
        a[(66, 66)] = -1.0;
        assert!(Cholesky::new(a.clone()).is_none());
        a[(66, 66)] = f64::NAN;
        assert!(Cholesky::new(a).is_none());
    }
}
