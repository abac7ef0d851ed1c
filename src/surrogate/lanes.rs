//! Points laid out for covariances: eight at a time, coordinate by coordinate, so that the compiler can work on several
//! points with one instruction where a loop over one point's coordinates would wait for each sum.
//!
//! Everything here that works on lanes is inlined without exception: which instructions there are depends on the function
//! in `kernel.rs` that it ends up in.

use std::f64::consts::TAU;

use nalgebra::DMatrix;

use crate::space::Warped;

/// Points treated together.
pub(super) const LANES: usize = 8;

/// One number for each of the points treated together.
pub(super) type Lanes = [f64; LANES];

/// `f` of every lane.
#[inline(always)]
pub(super) fn each(f: impl Fn(usize) -> f64) -> Lanes {
    std::array::from_fn(f)
}

/// `values[start..]`, as many as there are, and zeros.
#[inline(always)]
pub(super) fn load(values: &[f64], start: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    let rest = &values[start..values.len().min(start + LANES)];
    lanes[..rest.len()].copy_from_slice(rest);
    lanes
}

/// One number a point and dimension, both ways round.
#[derive(Clone, Debug)]
struct Coordinates {
    /// D × n.
    points: DMatrix<f64>,
    /// Block by block of [`LANES`] points, in each the D dimensions; zeros where there is no point.
    blocks: Vec<Lanes>,
}

impl Coordinates {
    fn new(points: DMatrix<f64>) -> Self {
        let (dim, n) = points.shape();
        let mut blocks = vec![[0.0; LANES]; n.div_ceil(LANES) * dim];
        let several = points.as_slice().chunks(LANES * dim.max(1));
        for (block, points) in blocks.chunks_exact_mut(dim.max(1)).zip(several) {
            for (l, point) in points.chunks_exact(dim).enumerate() {
                block.iter_mut().zip(point).for_each(|(lanes, value)| lanes[l] = *value);
            }
        }
        Self { points, blocks }
    }

    /// The coordinates of one point.
    #[inline(always)]
    fn point(&self, j: usize) -> &[f64] {
        let dim = self.points.nrows();
        &self.points.as_slice()[j * dim..(j + 1) * dim]
    }

    /// The coordinates of the points of one block.
    #[inline(always)]
    fn block(&self, block: usize) -> &[Lanes] {
        let dim = self.points.nrows();
        &self.blocks[block * dim..(block + 1) * dim]
    }
}

/// Points with what every pair of them shares computed once for a component: coordinates in length-scales, and the cosine
/// and sine of each coordinate's phase, so that no pair needs a trigonometric function (addition formulas).
#[derive(Clone, Debug)]
pub struct Prepared {
    scaled: Coordinates,
    /// `None` without frequencies.
    phases: Option<Phases>,
}

/// Cosine and sine of each coordinate's phase.
#[derive(Clone, Debug)]
struct Phases {
    cos: Coordinates,
    sin: Coordinates,
}

/// One of several prepared points.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreparedPoint<'a> {
    points: &'a Prepared,
    index: usize,
}

impl Prepared {
    /// Prepares the n points `x` for length-scales and frequencies, one per dimension each; without frequencies there
    /// are no phases.
    pub(super) fn new(lengthscales: &[f64], frequencies: &[f64], x: &Warped) -> Self {
        let x = x.matrix();
        let mut scaled = x.clone();
        for mut column in scaled.column_iter_mut() {
            for (value, lengthscale) in column.iter_mut().zip(lengthscales) {
                *value /= lengthscale;
            }
        }
        let phases = (!frequencies.is_empty()).then(|| {
            let (rows, columns) = x.shape();
            let phase = |i: usize, j: usize| TAU * frequencies[i] * x[(i, j)];
            let cos = DMatrix::from_fn(rows, columns, |i, j| phase(i, j).cos());
            let sin = DMatrix::from_fn(rows, columns, |i, j| phase(i, j).sin());
            Phases { cos: Coordinates::new(cos), sin: Coordinates::new(sin) }
        });
        Self { scaled: Coordinates::new(scaled), phases }
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.scaled.points.ncols()
    }

    /// Point `index`.
    #[inline(always)]
    pub(super) fn point(&self, index: usize) -> PreparedPoint<'_> {
        PreparedPoint { points: self, index }
    }

    /// Blocks of points, from the one that holds point `first`.
    pub(super) fn blocks(&self, first: usize) -> std::ops::Range<usize> {
        first / LANES..self.len().div_ceil(LANES)
    }

    /// Differences of the block's points from the point `z`, in length-scales: dimension by dimension.
    #[inline(always)]
    pub(super) fn differences(&self, block: usize, z: PreparedPoint<'_>) -> impl Iterator<Item = Lanes> {
        let pairs = self.scaled.block(block).iter().zip(z.points.scaled.point(z.index));
        pairs.map(|(x, z)| each(|l| x[l] - z))
    }

    /// Squared distances of the block's points from the point `z`, in length-scales.
    #[inline(always)]
    pub(super) fn squared_distances(&self, block: usize, z: PreparedPoint<'_>) -> Lanes {
        self.differences(block, z).fold([0.0; LANES], |sum, t| each(|l| sum[l] + t[l] * t[l]))
    }

    /// Cosine and sine of the differences of phases, dimension by dimension; nothing without frequencies.
    #[inline(always)]
    fn turns(
        &self,
        block: usize,
        z: PreparedPoint<'_>,
    ) -> impl DoubleEndedIterator<Item = (Lanes, Lanes)> + ExactSizeIterator {
        let (cos, sin) = self.phases.as_ref().map(|p| (p.cos.block(block), p.sin.block(block))).unwrap_or_default();
        let other = z.points.phases.as_ref().map(|p| (p.cos.point(z.index), p.sin.point(z.index)));
        let (other_cos, other_sin) = other.unwrap_or_default();
        cos.iter()
            .zip(sin)
            .zip(other_cos.iter().zip(other_sin))
            .map(|((ca, sa), (cb, sb))| (each(|l| ca[l] * cb + sa[l] * sb), each(|l| sa[l] * cb - ca[l] * sb)))
    }

    /// `Π_d cos(φ_d − φ'_d)`; 1 without frequencies.
    #[inline(always)]
    pub(super) fn cosine_products(&self, block: usize, z: PreparedPoint<'_>) -> Lanes {
        self.turns(block, z).fold([1.0; LANES], |product, (cos, _)| each(|l| product[l] * cos[l]))
    }

    /// Writes, for every d, `sin(φ_d − φ'_d) Π_{e≠d} cos(φ_e − φ'_e)` to `out` (length D) using prefix and suffix products
    /// (a division by the cosine would fail where it is zero), and returns the product of all cosines.
    #[inline(always)]
    pub(super) fn sine_products(&self, block: usize, z: PreparedPoint<'_>, out: &mut [Lanes]) -> Lanes {
        let mut prefix = [1.0; LANES];
        for (out, (cos, sin)) in out.iter_mut().zip(self.turns(block, z)) {
            *out = each(|l| prefix[l] * sin[l]);
            prefix = each(|l| prefix[l] * cos[l]);
        }
        let mut suffix = [1.0; LANES];
        for (out, (cos, _)) in out.iter_mut().zip(self.turns(block, z)).rev() {
            *out = each(|l| out[l] * suffix[l]);
            suffix = each(|l| suffix[l] * cos[l]);
        }
        prefix
    }
}
