//! Covariance functions over warped mixtures, with analytic derivatives.
//!
//! Points are the columns of a D × n matrix, so that one point's coordinates are contiguous.

use std::f64::consts::TAU;

use multiversion::multiversion;
use nalgebra::DMatrix;
use serde::Serialize;

use super::exponential::exp;
use super::lanes::{LANES, Lanes, Prepared, PreparedPoint, each, load};
use crate::problem::KernelKind;
use crate::space::Warped;

/// One component of a kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Component {
    /// Variance: the component's value at distance zero.
    pub variance: f64,
    /// Length-scales ℓ, one per dimension, in units of the warped mixture. For a spectral mixture the spectral variance of
    /// Wilson & Adams (2013) is `v = 1/(2πℓ)²`.
    pub lengthscales: Vec<f64>,
    /// Frequencies μ of a spectral mixture, one per dimension, in cycles per unit of the warped mixture; empty otherwise.
    pub frequencies: Vec<f64>,
}

impl Component {
    fn prepare(&self, x: &Warped) -> Prepared {
        Prepared::new(&self.lengthscales, &self.frequencies, x)
    }
}

/// A sum of product kernels over warped mixtures.
///
/// With `r² = Σ_d (τ_d/ℓ_d)²` for the difference `τ` of two points, a component of variance σ² is
/// - spectral mixture (Wilson & Adams 2013, eq. 12): `σ² exp(−r²/2) Π_d cos(2π μ_d τ_d)`,
/// - RBF: `σ² exp(−r²/2)`,
/// - Matérn-5/2 (Rasmussen & Williams 2006, eq. 4.17): `σ² (1 + √5 r + 5r²/3) exp(−√5 r)`.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Which function of the distance.
    pub kind: KernelKind,
    /// Its components; one for Matérn and RBF.
    pub components: Vec<Component>,
}

/// Derivatives of `Σ_ij W_ij k(x_i, x_j)` with respect to one component's parameters.
#[derive(Clone, Debug, Default)]
pub struct ComponentGradient {
    /// With respect to the logarithm of the variance.
    pub log_variance: f64,
    /// With respect to the logarithm of each length-scale.
    pub log_lengthscales: Vec<f64>,
    /// With respect to each frequency; empty where there are none.
    pub frequencies: Vec<f64>,
}

impl Kernel {
    /// `k(x, x)`: the same everywhere.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.components.iter().map(|c| c.variance).sum()
    }

    /// What [`Self::cross`] and [`Self::point_gradient`] need of the n points `x`, one entry per component.
    #[must_use]
    pub fn prepare(&self, x: &Warped) -> Vec<Prepared> {
        self.components.iter().map(|component| component.prepare(x)).collect()
    }

    /// The n × p matrix of covariances between the prepared points and the p points `z`.
    #[must_use]
    pub fn cross(&self, prepared: &[Prepared], z: &Warped) -> DMatrix<f64> {
        let n = prepared.first().map_or(0, Prepared::len);
        let (mut k, mut decays) = (DMatrix::zeros(n, z.len()), Decays::default());
        for (component, px) in self.components.iter().zip(prepared) {
            let pz = component.prepare(z);
            for (j, column) in k.as_mut_slice().chunks_exact_mut(n.max(1)).enumerate() {
                add_column(self.kind, component, px, 0, pz.point(j), (column, &mut decays));
            }
        }
        k
    }

    /// The n × n covariance matrix of the prepared points, both triangles filled.
    #[must_use]
    pub fn matrix(&self, prepared: &[Prepared]) -> DMatrix<f64> {
        let n = prepared.first().map_or(0, Prepared::len);
        let (mut k, mut decays) = (DMatrix::zeros(n, n), Decays::default());
        for (component, p) in self.components.iter().zip(prepared) {
            for (j, column) in k.as_mut_slice().chunks_exact_mut(n.max(1)).enumerate() {
                add_column(self.kind, component, p, j, p.point(j), (column, &mut decays));
            }
        }
        k.fill_upper_triangle_with_lower_triangle();
        k
    }

    /// Derivatives of `Σ_ij W_ij k(x_i, x_j)` over the prepared points with respect to the parameters, one entry a
    /// component, for a symmetric n × n matrix `w`.
    #[must_use]
    pub fn parameter_gradient(&self, prepared: &[Prepared], w: &DMatrix<f64>) -> Vec<ComponentGradient> {
        self.components
            .iter()
            .zip(prepared)
            .map(|(component, p)| component_gradient(self.kind, component, p, w))
            .collect()
    }

    /// Derivatives with respect to the single point `z` of `Σ_i c_i k(x_i, z)`, one for each of the N
    /// coefficient vectors (length n each) over the prepared points.
    #[must_use]
    pub fn point_gradient<const N: usize>(
        &self,
        prepared: &[Prepared],
        z: &Warped,
        coefficients: [&[f64]; N],
    ) -> [Vec<f64>; N] {
        let dim = z.matrix().nrows();
        let mut gradient: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; dim]);
        for (component, px) in self.components.iter().zip(prepared) {
            let pz = component.prepare(z);
            let sums = point_sums(self.kind, component, px, &pz, coefficients);
            for (d, sums) in sums.iter().enumerate() {
                for (gradient, sum) in gradient.iter_mut().zip(sums) {
                    gradient[d] += sum.iter().sum::<f64>();
                }
            }
        }
        gradient
    }
}

// The three loops that most of the time goes to are compiled twice, for any processor and for those with AVX2, which saves a
// tenth of a fit and gives the same results bit for bit. (With AVX-512 the compiler's code was slower than with neither.)

/// Adds a component's covariances of the points of `a`, from `first` on, with the point `z` to `column`. `decays` is working memory.
#[multiversion(targets("x86_64+avx2"))]
fn add_column(
    kind: KernelKind,
    component: &Component,
    a: &Prepared,
    first: usize,
    z: PreparedPoint<'_>,
    (column, decays): (&mut [f64], &mut Decays),
) {
    decays.set(kind, a, first, z);
    for (i, block) in a.blocks(first).enumerate() {
        let (k, _) = decays.radial(i, kind, component);
        let cosines = a.cosine_products(block, z);
        for (l, value) in column[block * LANES..].iter_mut().take(LANES).enumerate() {
            *value += k[l] * cosines[l];
        }
    }
}

/// What covariances with one point fall off with, for blocks of points: u is r²/2, or √5 r for a Matérn kernel.
///
/// Exponentials are computed for all blocks together: beside the distances and cosines of a block, there are too few registers for them.
#[derive(Default)]
struct Decays {
    u: Vec<Lanes>,
    /// `exp(−u)`
    decay: Vec<Lanes>,
}

impl Decays {
    /// Those of the points of `a` from the block of point `first` on, and of the point `z`.
    #[inline(always)]
    fn set(&mut self, kind: KernelKind, a: &Prepared, first: usize, z: PreparedPoint<'_>) {
        let blocks = a.blocks(first);
        self.u.resize(blocks.len(), [0.0; LANES]);
        self.decay.resize(blocks.len(), [0.0; LANES]);
        for (u, block) in self.u.iter_mut().zip(blocks) {
            let r2 = a.squared_distances(block, z);
            *u = match kind {
                KernelKind::Matern52 => each(|l| (5.0 * r2[l]).sqrt()),
                KernelKind::Rbf | KernelKind::SpectralMixture => each(|l| 0.5 * r2[l]),
            };
        }
        for (decay, u) in self.decay.as_flattened_mut().iter_mut().zip(self.u.as_flattened()) {
            *decay = exp(-u);
        }
    }

    /// What a component's covariances with the i-th block of points are, but for the cosines of a spectral mixture, and the factors `c`
    /// with `∂k/∂(log ℓ_d) = c (τ_d/ℓ_d)²`.
    #[inline(always)]
    fn radial(&self, i: usize, kind: KernelKind, component: &Component) -> (Lanes, Lanes) {
        let (u, decay) = (&self.u[i], &self.decay[i]);
        let e = each(|l| component.variance * decay[l]);
        match kind {
            KernelKind::Matern52 => {
                (each(|l| e[l] * (1.0 + u[l] + u[l] * u[l] / 3.0)), each(|l| e[l] * (1.0 + u[l]) * (5.0 / 3.0)))
            }
            KernelKind::Rbf | KernelKind::SpectralMixture => (e, e),
        }
    }
}

/// [`Kernel::parameter_gradient`] for one component.
#[multiversion(targets("x86_64+avx2"))]
fn component_gradient(kind: KernelKind, component: &Component, p: &Prepared, w: &DMatrix<f64>) -> ComponentGradient {
    let (dim, n) = (component.lengthscales.len(), p.len());
    let mut log_variance = [0.0; LANES];
    let mut log_lengthscales = vec![[0.0; LANES]; dim];
    let mut frequencies = vec![[0.0; LANES]; component.frequencies.len()];
    let mut products = vec![[0.0; LANES]; component.frequencies.len()];
    let mut decays = Decays::default();
    for (j, column) in w.as_slice().chunks_exact(n.max(1)).enumerate() {
        decays.set(kind, p, j + 1, p.point(j));
        for (i, block) in p.blocks(j + 1).enumerate() {
            // Each pair once: the points after j.
            let start = block * LANES;
            let weights = load(column, start);
            let weights = each(|l| if start + l > j { weights[l] } else { 0.0 });
            let (k, factor) = decays.radial(i, kind, component);
            let k = each(|l| weights[l] * k[l]);
            let cosines = p.sine_products(block, p.point(j), &mut products);
            log_variance = each(|l| log_variance[l] + k[l] * cosines[l]);
            let factor = each(|l| weights[l] * factor[l] * cosines[l]);
            for (sum, t) in log_lengthscales.iter_mut().zip(p.differences(block, p.point(j))) {
                *sum = each(|l| sum[l] + factor[l] * t[l] * t[l]);
            }
            for ((sum, t), product) in frequencies.iter_mut().zip(p.differences(block, p.point(j))).zip(&products) {
                *sum = each(|l| sum[l] + k[l] * t[l] * product[l]);
            }
        }
    }
    // The sums are over half of the pairs, and the differences in length-scales.
    let total = |lanes: &Lanes| 2.0 * lanes.iter().sum::<f64>();
    ComponentGradient {
        log_variance: component.variance * w.diagonal().sum() + total(&log_variance),
        log_lengthscales: log_lengthscales.iter().map(total).collect(),
        frequencies: frequencies.iter().zip(&component.lengthscales).map(|(sum, l)| -TAU * l * total(sum)).collect(),
    }
}

/// The derivatives of [`Kernel::point_gradient`] for one component, not yet summed over the lanes: D × N.
#[multiversion(targets("x86_64+avx2"))]
fn point_sums<const N: usize>(
    kind: KernelKind,
    component: &Component,
    px: &Prepared,
    pz: &Prepared,
    coefficients: [&[f64]; N],
) -> Vec<[Lanes; N]> {
    let mut sums = vec![[[0.0; LANES]; N]; component.lengthscales.len()];
    let mut products = vec![[0.0; LANES]; component.frequencies.len()];
    let mut decays = Decays::default();
    decays.set(kind, px, 0, pz.point(0));
    for block in px.blocks(0) {
        let (k, factor) = decays.radial(block, kind, component);
        let cosines = px.sine_products(block, pz.point(0), &mut products);
        let factor = each(|l| factor[l] * cosines[l]);
        let coefficients = coefficients.map(|c| load(c, block * LANES));
        for (d, t) in px.differences(block, pz.point(0)).enumerate() {
            let inverse = 1.0 / component.lengthscales[d];
            let mut derivative = each(|l| factor[l] * t[l] * inverse);
            if let Some(product) = products.get(d) {
                let turn = TAU * component.frequencies[d];
                derivative = each(|l| derivative[l] + k[l] * turn * product[l]);
            }
            for (sum, c) in sums[d].iter_mut().zip(&coefficients) {
                *sum = each(|l| sum[l] + c[l] * derivative[l]);
            }
        }
    }
    sums
}
