//! Covariance functions over warped mixtures, with analytic derivatives.
//!
//! Points are the columns of a D × n matrix, so that one point's coordinates are contiguous.

use std::f64::consts::TAU;

use nalgebra::DMatrix;

use super::spec::KernelKind;

/// One component of a kernel.
#[derive(Clone, Debug)]
pub struct Component {
    /// Variance: the component's value at distance zero.
    pub variance: f64,
    /// Length-scales ℓ, one a dimension, in units of the warped mixture. For a spectral mixture the spectral variance of
    /// Wilson & Adams (2013) is `v = 1/(2πℓ)²`.
    pub lengthscales: Vec<f64>,
    /// Frequencies μ of a spectral mixture, one a dimension, in cycles per unit of the warped mixture; empty otherwise.
    pub frequencies: Vec<f64>,
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

/// A component with what every pair of points shares computed once: coordinates in length-scales, and the cosine and
/// sine of each coordinate's phase, so that no pair needs a trigonometric function (addition formulas).
#[derive(Clone, Debug)]
pub struct Prepared {
    scaled: DMatrix<f64>,
    cos: DMatrix<f64>,
    sin: DMatrix<f64>,
}

impl Prepared {
    fn new(component: &Component, x: &DMatrix<f64>) -> Self {
        let mut scaled = x.clone();
        for mut column in scaled.column_iter_mut() {
            for (value, lengthscale) in column.iter_mut().zip(&component.lengthscales) {
                *value /= lengthscale;
            }
        }
        if component.frequencies.is_empty() {
            return Self { scaled, cos: DMatrix::zeros(0, 0), sin: DMatrix::zeros(0, 0) };
        }
        let phase = |i: usize, j: usize| TAU * component.frequencies[i] * x[(i, j)];
        let (rows, columns) = x.shape();
        Self {
            scaled,
            cos: DMatrix::from_fn(rows, columns, |i, j| phase(i, j).cos()),
            sin: DMatrix::from_fn(rows, columns, |i, j| phase(i, j).sin()),
        }
    }

    fn point(matrix: &DMatrix<f64>, i: usize) -> &[f64] {
        let d = matrix.nrows();
        &matrix.as_slice()[i * d..(i + 1) * d]
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// `Π_d cos(φ_d(a) − φ_d(b))` from the cosines and sines of the phases.
fn cosine_product(cos_a: &[f64], sin_a: &[f64], cos_b: &[f64], sin_b: &[f64]) -> f64 {
    let mut product = 1.0;
    for d in 0..cos_a.len() {
        product *= cos_a[d] * cos_b[d] + sin_a[d] * sin_b[d];
    }
    product
}

/// Writes, for every d, `sin(φ_d(a) − φ_d(b)) Π_{e≠d} cos(φ_e(a) − φ_e(b))` to `out` using prefix and suffix products
/// (a division by the cosine would fail where it is zero).
fn sine_products(cos_a: &[f64], sin_a: &[f64], cos_b: &[f64], sin_b: &[f64], out: &mut [f64]) {
    let mut prefix = 1.0;
    for d in 0..out.len() {
        let (c, s) = (cos_a[d] * cos_b[d] + sin_a[d] * sin_b[d], sin_a[d] * cos_b[d] - cos_a[d] * sin_b[d]);
        out[d] = prefix * s;
        prefix *= c;
    }
    let mut suffix = 1.0;
    for d in (0..out.len()).rev() {
        out[d] *= suffix;
        suffix *= cos_a[d] * cos_b[d] + sin_a[d] * sin_b[d];
    }
}

impl Kernel {
    /// `k(x, x)`: the same everywhere.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.components.iter().map(|c| c.variance).sum()
    }

    /// What [`Self::cross`] and [`Self::point_gradient`] need of the columns of `x` (D × n), one entry a component.
    #[must_use]
    pub fn prepare(&self, x: &DMatrix<f64>) -> Vec<Prepared> {
        self.components.iter().map(|component| Prepared::new(component, x)).collect()
    }

    /// The n × p matrix of covariances between the prepared points and the columns of `z` (D × p).
    #[must_use]
    pub fn cross(&self, prepared: &[Prepared], z: &DMatrix<f64>) -> DMatrix<f64> {
        let n = prepared.first().map_or(0, |p| p.scaled.ncols());
        let mut k = DMatrix::zeros(n, z.ncols());
        for (component, px) in self.components.iter().zip(prepared) {
            let pz = Prepared::new(component, z);
            for j in 0..z.ncols() {
                for i in 0..n {
                    k[(i, j)] += self.pair(component, px, i, &pz, j).0;
                }
            }
        }
        k
    }

    /// The n × n covariance matrix of the columns of `x`, both triangles filled.
    #[must_use]
    pub fn matrix(&self, x: &DMatrix<f64>) -> DMatrix<f64> {
        let n = x.ncols();
        let mut k = DMatrix::zeros(n, n);
        for component in &self.components {
            let p = Prepared::new(component, x);
            for j in 0..n {
                k[(j, j)] += component.variance;
                for i in j + 1..n {
                    k[(i, j)] += self.pair(component, &p, i, &p, j).0;
                }
            }
        }
        k.fill_upper_triangle_with_lower_triangle();
        k
    }

    /// The component's covariance of a pair, and the radial factor `c` with `∂k/∂(log ℓ_d) = c (τ_d/ℓ_d)²`.
    fn pair(&self, component: &Component, a: &Prepared, i: usize, b: &Prepared, j: usize) -> (f64, f64) {
        let r2 = squared_distance(Prepared::point(&a.scaled, i), Prepared::point(&b.scaled, j));
        match self.kind {
            KernelKind::Matern52 => {
                let r = (5.0 * r2).sqrt();
                let e = component.variance * (-r).exp();
                (e * (1.0 + r + r * r / 3.0), e * (1.0 + r) * (5.0 / 3.0))
            }
            KernelKind::Rbf => {
                let k = component.variance * (-0.5 * r2).exp();
                (k, k)
            }
            KernelKind::SpectralMixture => {
                let k = component.variance
                    * (-0.5 * r2).exp()
                    * cosine_product(
                        Prepared::point(&a.cos, i),
                        Prepared::point(&a.sin, i),
                        Prepared::point(&b.cos, j),
                        Prepared::point(&b.sin, j),
                    );
                (k, k)
            }
        }
    }

    /// Derivatives of `Σ_ij W_ij k(x_i, x_j)` with respect to the parameters, one entry a component, for a symmetric
    /// n × n matrix `w`.
    #[must_use]
    pub fn parameter_gradient(&self, x: &DMatrix<f64>, w: &DMatrix<f64>) -> Vec<ComponentGradient> {
        let (dim, n) = x.shape();
        let mut products = vec![0.0; dim];
        self.components
            .iter()
            .map(|component| {
                let p = Prepared::new(component, x);
                let spectral = !component.frequencies.is_empty();
                let mut g = ComponentGradient {
                    log_variance: component.variance * w.diagonal().sum(),
                    log_lengthscales: vec![0.0; dim],
                    frequencies: vec![0.0; component.frequencies.len()],
                };
                for j in 0..n {
                    let scaled_j = Prepared::point(&p.scaled, j);
                    for i in j + 1..n {
                        let weight = 2.0 * w[(i, j)];
                        let (k, radial) = self.pair(component, &p, i, &p, j);
                        g.log_variance += weight * k;
                        let factor = weight * radial;
                        let scaled_i = Prepared::point(&p.scaled, i);
                        for d in 0..dim {
                            let t = scaled_i[d] - scaled_j[d];
                            g.log_lengthscales[d] += factor * t * t;
                        }
                        if spectral {
                            let r2 = squared_distance(scaled_i, scaled_j);
                            let envelope = weight * component.variance * (-0.5 * r2).exp();
                            p.sine_products(i, &p, j, &mut products);
                            let (xi, xj) = (Prepared::point(x, i), Prepared::point(x, j));
                            for d in 0..dim {
                                g.frequencies[d] -= envelope * TAU * (xi[d] - xj[d]) * products[d];
                            }
                        }
                    }
                }
                g
            })
            .collect()
    }

    /// Derivatives with respect to the single column of `z` (D × 1) of `Σ_i c_i k(x_i, z)`, one for each of the N
    /// coefficient vectors (length n each) over the prepared points.
    #[must_use]
    pub fn point_gradient<const N: usize>(
        &self,
        prepared: &[Prepared],
        z: &DMatrix<f64>,
        coefficients: [&[f64]; N],
    ) -> [Vec<f64>; N] {
        let dim = z.nrows();
        let n = prepared.first().map_or(0, |p| p.scaled.ncols());
        let mut gradient: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; dim]);
        let mut products = vec![0.0; dim];
        let mut derivative = vec![0.0; dim];
        for (component, px) in self.components.iter().zip(prepared) {
            let pz = Prepared::new(component, z);
            let scaled_z = Prepared::point(&pz.scaled, 0);
            for i in 0..n {
                let (_, radial) = self.pair(component, px, i, &pz, 0);
                let scaled_x = Prepared::point(&px.scaled, i);
                for d in 0..dim {
                    derivative[d] = radial * (scaled_x[d] - scaled_z[d]) / component.lengthscales[d];
                }
                if !component.frequencies.is_empty() {
                    let envelope = component.variance * (-0.5 * squared_distance(scaled_x, scaled_z)).exp();
                    px.sine_products(i, &pz, 0, &mut products);
                    for d in 0..dim {
                        derivative[d] += envelope * TAU * component.frequencies[d] * products[d];
                    }
                }
                for (g, c) in gradient.iter_mut().zip(coefficients) {
                    for d in 0..dim {
                        g[d] += c[i] * derivative[d];
                    }
                }
            }
        }
        gradient
    }
}

impl Prepared {
    fn sine_products(&self, i: usize, other: &Self, j: usize, out: &mut [f64]) {
        sine_products(
            Self::point(&self.cos, i),
            Self::point(&self.sin, i),
            Self::point(&other.cos, j),
            Self::point(&other.sin, j),
            out,
        );
    }
}
