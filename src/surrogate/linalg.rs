//! Dense factorizations, the only place where the choice of linear algebra matters: everything above calls these few
//! functions.
//!
//! Right-looking updates are phrased as matrix products, which nalgebra hands to a cache-blocked, vectorized kernel; the
//! unblocked remainder works on at most 64 columns that stay in the first-level cache.

use std::sync::{Arc, OnceLock};

use multiversion::multiversion;
use nalgebra::allocator::Allocator;
use nalgebra::{
    DMatrix, DMatrixView, DMatrixViewMut, DVector, DefaultAllocator, Dim, Dyn, Matrix, OMatrix, StorageMut,
};

/// Relative jitter to try on the diagonal of a matrix, one after another, until it can be factored.
pub const JITTER: [f64; 6] = [0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2];

/// Factors `a` by `factor` with as little jitter as it takes, but with some: the covariance of nearly equal values is only just
/// positive definite without any. `None` where no jitter suffices.
pub fn jittered<T>(a: &DMatrix<f64>, factor: impl Fn(DMatrix<f64>) -> Option<T>) -> Option<T> {
    let scale = a.diagonal().max();
    JITTER[1..].iter().find_map(|jitter| {
        let mut a = a.clone();
        for i in 0..a.nrows() {
            a[(i, i)] += jitter * scale;
        }
        factor(a)
    })
}

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
            let mut diagonal = a.view((start, start), (width, width)).clone_owned();
            if !factor_diagonal(diagonal.as_mut_slice(), width) {
                return None;
            }
            a.view_mut((start, start), (width, width)).copy_from(&diagonal);
            if end < n {
                let (mut head, mut tail) = a.columns_range_pair_mut(start..end, end..n);
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

    /// `A⁻¹ B` for an n × p matrix or a vector: n² p multiply-adds.
    #[must_use]
    pub fn solve<C: Dim>(&self, mut b: OMatrix<f64, Dyn, C>) -> OMatrix<f64, Dyn, C>
    where
        DefaultAllocator: Allocator<Dyn, C>,
    {
        whiten(&self.lower.as_view(), &mut b);
        unwhiten(&self.lower.as_view(), &mut b);
        b
    }

    /// `A⁻¹`, symmetric, both triangles filled.
    #[must_use]
    pub fn inverse(self) -> DMatrix<f64> {
        let n = self.lower.nrows();
        let mut inverse = self.lower;
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

    /// The diagonal of `A⁻¹`: the squared norms of the columns of `L⁻¹`, of which only some are there at a time.
    fn inverse_diagonal(&self) -> DVector<f64> {
        let n = self.lower.nrows();
        let mut diagonal = DVector::zeros(n);
        for start in (0..n).step_by(BLOCK) {
            let (below, width) = (n - start, BLOCK.min(n - start));
            let mut columns = DMatrix::identity(below, width);
            whiten(&self.lower.view((start, start), (below, below)), &mut columns);
            for (d, column) in diagonal.rows_mut(start, width).iter_mut().zip(columns.column_iter()) {
                *d = column.norm_squared();
            }
        }
        diagonal
    }
}

/// A factored symmetric positive definite matrix to which rows can be appended. Copies share the rows that were factored at
/// once, which are most: a long study has room for one matrix of all runs, not for several.
#[derive(Clone, Debug)]
pub struct Factored {
    /// Of the rows that were factored at once (n × n).
    base: Arc<Cholesky>,
    /// The factor's further rows (p × (n + p)).
    appended: DMatrix<f64>,
    /// Diagonal of the inverse (length n + p). A fit never asks for it, nor is it of a model of pending trials; [`Self::append`] does.
    inverse_diagonal: OnceLock<DVector<f64>>,
}

impl Factored {
    /// Factors `a` (n × n). `None` as for [`Cholesky::new`].
    #[must_use]
    pub fn new(a: DMatrix<f64>) -> Option<Self> {
        let appended = DMatrix::zeros(0, a.ncols());
        Some(Self { base: Arc::new(Cholesky::new(a)?), appended, inverse_diagonal: OnceLock::new() })
    }

    /// The matrix with a row and column appended: `k` off the diagonal (length n), `diagonal` on it; n² multiply-adds.
    /// `None` where the result would not be numerically positive definite.
    #[must_use]
    pub fn append(&self, k: DVector<f64>, diagonal: f64) -> Option<Self> {
        let (rows, n) = self.appended.shape();
        let row = self.whiten(k);
        let pivot = diagonal - row.norm_squared();
        if spoilt(pivot, diagonal) {
            return None;
        }
        let mut appended = self.appended.clone().resize(rows + 1, n + 1, 0.0);
        appended.view_mut((rows, 0), (1, n)).copy_from(&row.transpose());
        appended[(rows, n)] = pivot.sqrt();
        // The inverse of a bordered matrix: with u = A⁻¹ k, [A⁻¹ + u uᵀ/p, −u/p; −uᵀ/p, 1/p].
        let u = self.unwhiten(row);
        let inverse_diagonal = self.inverse_diagonal().zip_map(&u, |d, u| d + u * u / pivot).push(1.0 / pivot);
        Some(Self { base: Arc::clone(&self.base), appended, inverse_diagonal: inverse_diagonal.into() })
    }

    /// The matrix with p rows and columns appended at once: `k` off the diagonal (n × p), `corner` on it (p × p; only its lower triangle
    /// is read); n² p / 2 multiply-adds in matrix products. `None` as for [`Self::append`].
    #[must_use]
    pub fn append_all(&self, k: DMatrix<f64>, mut corner: DMatrix<f64>) -> Option<Self> {
        let (rows, n) = self.appended.shape();
        let (p, diagonal) = (k.ncols(), corner.diagonal());
        let border = self.whiten(k).transpose();
        corner.gemm(-1.0, &border, &border.transpose(), 1.0);
        let corner = Cholesky::new(corner)?.lower;
        if corner.diagonal().iter().zip(&diagonal).any(|(root, diagonal)| spoilt(root * root, *diagonal)) {
            return None;
        }
        let mut appended = self.appended.clone().resize(rows + p, n + p, 0.0);
        appended.view_mut((rows, 0), (p, n)).copy_from(&border);
        appended.view_mut((rows, n), (p, p)).copy_from(&corner);
        Some(Self { base: Arc::clone(&self.base), appended, inverse_diagonal: OnceLock::new() })
    }

    /// The factor's appended rows: left of their own triangle, and that triangle.
    fn border(&self) -> (DMatrixView<'_, f64>, DMatrixView<'_, f64>) {
        self.appended.columns_range_pair(..self.base.lower.ncols(), self.base.lower.ncols()..)
    }

    /// `L⁻¹ B` for an n × p matrix or a vector: n² p / 2 multiply-adds, nearly all of them in matrix products.
    #[must_use]
    pub fn whiten<C: Dim>(&self, mut b: OMatrix<f64, Dyn, C>) -> OMatrix<f64, Dyn, C>
    where
        DefaultAllocator: Allocator<Dyn, C>,
    {
        let (border, corner) = self.border();
        let (mut head, mut tail) = b.rows_range_pair_mut(..border.ncols(), border.ncols()..);
        whiten(&self.base.lower.as_view(), &mut head);
        tail.gemm(-1.0, &border, &head, 1.0);
        whiten(&corner, &mut tail);
        b
    }

    /// `L⁻ᵀ B` for an n × p matrix or a vector.
    fn unwhiten<C: Dim>(&self, mut b: OMatrix<f64, Dyn, C>) -> OMatrix<f64, Dyn, C>
    where
        DefaultAllocator: Allocator<Dyn, C>,
    {
        let (border, corner) = self.border();
        let (mut head, mut tail) = b.rows_range_pair_mut(..border.ncols(), border.ncols()..);
        unwhiten(&corner, &mut tail);
        head.gemm_tr(-1.0, &border, &tail, 1.0);
        unwhiten(&self.base.lower.as_view(), &mut head);
        b
    }

    /// `A⁻¹ B` for an n × p matrix or a vector: n² p multiply-adds.
    #[must_use]
    pub fn solve<C: Dim>(&self, b: OMatrix<f64, Dyn, C>) -> OMatrix<f64, Dyn, C>
    where
        DefaultAllocator: Allocator<Dyn, C>,
    {
        self.unwhiten(self.whiten(b))
    }

    /// `log det A`.
    #[must_use]
    pub fn log_determinant(&self) -> f64 {
        self.base.log_determinant() + 2.0 * self.border().1.diagonal().iter().map(|x| x.ln()).sum::<f64>()
    }

    /// `A⁻¹`, symmetric, both triangles filled: n³ multiply-adds.
    #[must_use]
    pub fn inverse(&self) -> DMatrix<f64> {
        self.whole().inverse()
    }

    /// The factor in one piece.
    fn whole(&self) -> Cholesky {
        let (rows, n) = self.appended.shape();
        let mut lower = self.base.lower.clone().resize(n, n, 0.0);
        lower.rows_mut(n - rows, rows).copy_from(&self.appended);
        Cholesky { lower }
    }

    /// The diagonal of `A⁻¹`: n³/6 multiply-adds when it is first asked for.
    #[must_use]
    pub fn inverse_diagonal(&self) -> &DVector<f64> {
        self.inverse_diagonal.get_or_init(|| match self.appended.nrows() {
            0 => self.base.inverse_diagonal(),
            _ => self.whole().inverse_diagonal(),
        })
    }
}

/// Whether what is left of an appended row's `diagonal` entry is mostly rounding: better factored anew, with jitter.
fn spoilt(pivot: f64, diagonal: f64) -> bool {
    pivot.is_nan() || pivot <= 1e-10 * diagonal
}

/// Overwrites `b` (n × p) with `L⁻¹ b`.
fn whiten<C: Dim, S: StorageMut<f64, Dyn, C>>(lower: &DMatrixView<'_, f64>, b: &mut Matrix<f64, Dyn, C, S>)
where
    DefaultAllocator: Allocator<Dyn, C>,
{
    let n = b.nrows();
    let mut start = 0;
    while start < n {
        let width = BLOCK.min(n - start);
        let diagonal = lower.view((start, start), (width, width));
        let mut solved = b.rows(start, width).clone_owned();
        solved.as_mut_slice().chunks_exact_mut(width).for_each(|b| solve_diagonal(&diagonal, b));
        b.rows_mut(start, width).copy_from(&solved);
        let end = start + width;
        if end < n {
            b.rows_mut(end, n - end).gemm(-1.0, &lower.view((end, start), (n - end, width)), &solved, 1.0);
        }
        start = end;
    }
}

/// Overwrites `b` (n × p) with `L⁻ᵀ b`.
fn unwhiten<C: Dim, S: StorageMut<f64, Dyn, C>>(lower: &DMatrixView<'_, f64>, b: &mut Matrix<f64, Dyn, C, S>) {
    for mut b in b.column_iter_mut() {
        for j in (0..b.len()).rev() {
            let column = lower.column(j);
            let dot = column.rows_range(j + 1..).dot(&b.rows_range(j + 1..));
            b[j] = (b[j] - dot) / column[j];
        }
    }
}

/// Unblocked factorization of a small square block of so many rows, by columns. Whether it is positive definite and finite.
#[multiversion(targets("x86_64+avx2"))]
fn factor_diagonal(a: &mut [f64], n: usize) -> bool {
    for j in 0..n {
        let (factored, rest) = a.split_at_mut((j + 1) * n);
        let column = &mut factored[j * n + j..];
        let pivot = column[0];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let root = pivot.sqrt();
        column[0] = root;
        column[1..].iter_mut().for_each(|x| *x /= root);
        for (k, other) in rest.chunks_exact_mut(n).enumerate() {
            let below = &column[k + 1..];
            subtract(&mut other[j + k + 1..], below, below[0]);
        }
    }
    true
}

/// Overwrites `b` (length n) with `L⁻¹ b` for a small lower triangular `L`.
#[multiversion(targets("x86_64+avx2"))]
fn solve_diagonal(lower: &DMatrixView<'_, f64>, b: &mut [f64]) {
    for j in 0..b.len() {
        let column = lower.column(j);
        let column = &column.as_slice()[j..];
        let (solved, rest) = b[j..].split_first_mut().expect("a row for each column");
        *solved /= column[0];
        subtract(rest, &column[1..], *solved);
    }
}

/// `x ← x − factor · y`
#[inline(always)]
fn subtract(x: &mut [f64], y: &[f64], factor: f64) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x -= factor * y);
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
            let inverse = factor.clone().inverse();
            assert!((&inverse * &a - DMatrix::identity(n, n)).amax() < 1e-9, "inverse at n = {n}");
            assert!((&inverse - inverse.transpose()).amax() == 0.0);
            let b = DVector::from_fn(n, |i, _| (i as f64).sin());
            assert!((&a * factor.solve(b.clone()) - &b).amax() < 1e-9);
            let rhs = DMatrix::from_fn(n, 5, |i, j| ((i + 3 * j) as f64).cos());
            let factored = Factored::new(a.clone()).unwrap();
            assert!((factor.lower() * factored.whiten(rhs.clone()) - rhs).amax() < 1e-10);
            assert!((factored.inverse_diagonal() - inverse.diagonal()).amax() < 1e-12 * inverse.amax());
            let reference = a.clone().cholesky().unwrap().ln_determinant();
            assert!((factor.log_determinant() - reference).abs() < 1e-9 * n as f64);
        }
    }

    /// The first `n` rows factored at once, the others appended.
    fn appended(a: &DMatrix<f64>, n: usize) -> Factored {
        let first = Factored::new(a.view((0, 0), (n, n)).clone_owned()).unwrap();
        (n..a.nrows())
            .fold(first, |factored, n| factored.append(a.column(n).rows(0, n).clone_owned(), a[(n, n)]).unwrap())
    }

    #[test]
    fn appending_rows_agrees_with_factoring_the_whole() {
        let a = spd(230);
        let whole = Factored::new(a.clone()).unwrap();
        let rhs = DMatrix::from_fn(230, 7, |i, j| ((i + 3 * j) as f64).cos());
        for n in [60, 150, 229] {
            let factored = appended(&a, n);
            assert!((factored.whiten(rhs.clone()) - whole.whiten(rhs.clone())).amax() < 1e-9);
            assert!((&a * factored.solve(rhs.clone()) - &rhs).amax() < 1e-8);
            assert!((factored.inverse() - whole.inverse()).amax() < 1e-9 * whole.inverse().amax());
            assert!((factored.log_determinant() - whole.log_determinant()).abs() < 1e-9 * 230.0);
            // A copy of a row makes the matrix singular.
            assert!(factored.append(a.column(0).clone_owned(), a[(0, 0)]).is_none());
            let copies = a.columns(0, 2).clone_owned();
            assert!(factored.append_all(copies, a.view((0, 0), (2, 2)).clone_owned()).is_none());
        }
    }

    #[test]
    fn rows_appended_at_once_are_those_appended_one_after_another() {
        let a = spd(230);
        for (n, known) in [(60, 60), (60, 100), (150, 229), (229, 229)] {
            let one_by_one = appended(&a, n);
            let first = appended(&a.view((0, 0), (known, known)).clone_owned(), n);
            let (border, corner) =
                (a.view((0, known), (known, 230 - known)), a.view((known, known), (230 - known, 230 - known)));
            let at_once = first.append_all(border.clone_owned(), corner.clone_owned()).unwrap();
            assert!((&at_once.appended - &one_by_one.appended).amax() < 1e-12 * a.amax());
            let (diagonal, expected) = (at_once.inverse_diagonal(), one_by_one.inverse_diagonal());
            assert!((diagonal - expected).amax() < 1e-9 * expected.amax());
        }
    }

    #[test]
    fn errors_do_not_grow_with_the_rows_appended() {
        // A smooth process in six dimensions with little noise: badly conditioned, as in a long study.
        let at = |i: usize, d: usize| (i as f64 * [0.618, 0.755, 0.819, 0.857, 0.881, 0.899][d]).fract();
        let distance2 = |i, j| (0..6).map(|d| (at(i, d) - at(j, d)).powi(2)).sum::<f64>();
        let entry = |i, j| 70.0 * (-0.5 * distance2(i, j)).exp() + if i == j { 1e-5 } else { 0.0 };
        let a = DMatrix::from_fn(500, 500, entry);
        let factored = appended(&a, 300);
        let inverse = Cholesky::new(a).unwrap().inverse();
        let error = (factored.inverse_diagonal() - inverse.diagonal()).amax() / inverse.amax();
        assert!(error < 1e-6, "{error}");
        let error = (factored.inverse() - &inverse).amax() / inverse.amax();
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
