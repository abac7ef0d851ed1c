//! Draws hyperparameters from their posterior: elliptical slice sampling (Murray, Adams & MacKay 2010), in turn on ellipses of the prior and
//! on those of a normal approximation (Nishihara, Murray & Adams 2014).
//!
//! Hyperparameters are standard normal a priori ([`super::hyper`]). Where runs say little, ellipses of the prior reach all of the
//! posterior, and the approximation may miss some. Where runs say much, a chain needs hundreds of steps on ellipses of the prior.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::Rng;
use rand_distr::StandardNormal;

use super::data::Data;
use super::fit::negative_log_posterior;
use super::gp::Gp;
use super::hyper::Layout;

/// Draws that are kept.
pub(super) const DRAWS: usize = 16;
/// Steps of the chain, on ellipses of both kinds each, before the first draw that is kept, and between two.
const BURN_IN: usize = 12;
const STEPS: usize = 3;
/// Runs that they are drawn by, at most: a step takes time cubic in their number, and hyperparameters hardly change with more.
const MOST_SAMPLED: usize = 64;
/// Variances of the normal approximation, relative to what the curvature at the mode says: in the tails of a narrower one the chain would
/// get stuck.
const WIDER: f64 = 2.0;
/// Step of the finite differences of the gradient, in prior standard deviations.
const STEP: f64 = 0.01;

/// [`DRAWS`] draws from the posterior of the hyperparameters given `data`, from a chain that starts at `z`, near its mode. Levels are
/// integrated out, too.
pub(super) fn sample(data: &Data, layout: &Layout, z: &[f64], rng: &mut impl Rng) -> Vec<Vec<f64>> {
    let data = data.thinned(MOST_SAMPLED);
    let log_posterior = |z: &DVector<f64>| log_posterior(&data, layout, z);
    let mut place = Place::new(DVector::from_column_slice(z), &log_posterior);
    let near = Ellipses::at(&data, layout, &place.z);
    let ellipses = [Some(Ellipses::prior(z.len())), near];
    let mut draws = Vec::with_capacity(DRAWS);
    for step in 1..=BURN_IN + (DRAWS - 1) * STEPS {
        for ellipses in ellipses.iter().flatten() {
            place = ellipses.step(place, &log_posterior, rng);
        }
        if step >= BURN_IN && (step - BURN_IN).is_multiple_of(STEPS) {
            draws.push(place.z.as_slice().to_vec());
        }
    }
    draws
}

fn log_posterior(data: &Data, layout: &Layout, z: &DVector<f64>) -> f64 {
    let process = Gp::condition(data, layout.natural(z.as_slice()));
    process.map_or(f64::NEG_INFINITY, |process| process.log_marginal() - 0.5 * z.norm_squared())
}

/// Where a chain is.
struct Place {
    z: DVector<f64>,
    /// Log density of the posterior there, but for a constant.
    log_posterior: f64,
}

impl Place {
    fn new(z: DVector<f64>, log_posterior: &impl Fn(&DVector<f64>) -> f64) -> Self {
        Self { log_posterior: log_posterior(&z), z }
    }
}

/// A normal distribution near the posterior, whose ellipses the chain moves on (Nishihara, Murray & Adams 2014).
struct Ellipses {
    mean: DVector<f64>,
    /// Inverse of its covariance.
    precision: DMatrix<f64>,
    /// The symmetric root of its covariance.
    root: DMatrix<f64>,
}

impl Ellipses {
    /// The prior.
    fn prior(n: usize) -> Self {
        Self { mean: DVector::zeros(n), precision: DMatrix::identity(n, n), root: DMatrix::identity(n, n) }
    }

    /// The Laplace approximation at the mode `z`, widened, but nowhere wider than the prior. `None` where there is no curvature.
    fn at(data: &Data, layout: &Layout, z: &DVector<f64>) -> Option<Self> {
        let n = z.len();
        let mut curvature = DMatrix::zeros(n, n);
        for i in 0..n {
            let gradient = |h: f64| {
                let mut moved = z.clone();
                moved[i] += h;
                negative_log_posterior(data, layout, &moved).map(|(_, gradient)| gradient)
            };
            curvature.set_column(i, &((gradient(STEP)? - gradient(-STEP)?) / (2.0 * STEP)));
        }
        let eigen = SymmetricEigen::new(0.5 * (&curvature + curvature.transpose()));
        let precisions = eigen.eigenvalues.map(|x| (x / WIDER).max(1.0));
        let v = &eigen.eigenvectors;
        let precision = v * DMatrix::from_diagonal(&precisions) * v.transpose();
        // The symmetric root: eigenvectors of nearly equal eigenvalues turn with rounding, and another root would turn the draws with them.
        let root = v * DMatrix::from_diagonal(&precisions.map(|x| x.sqrt().recip())) * v.transpose();
        Some(Self { mean: z.clone(), precision, root })
    }

    /// Log density of the posterior at a place, relative to this distribution's.
    fn relative(&self, place: &Place) -> f64 {
        let from_mean = &place.z - &self.mean;
        place.log_posterior + 0.5 * from_mean.dot(&(&self.precision * &from_mean))
    }

    /// One step: a point on the ellipse through `place` and a draw from this distribution, where the relative density is above a level
    /// drawn below that of `place`.
    fn step(&self, place: Place, log_posterior: &impl Fn(&DVector<f64>) -> f64, rng: &mut impl Rng) -> Place {
        let other = &self.root * DVector::from_fn(place.z.len(), |_, _| rng.sample::<f64, _>(StandardNormal));
        let from_mean = &place.z - &self.mean;
        let level = self.relative(&place) + (1.0 - rng.random::<f64>()).ln();
        let mut angle = rng.random_range(0.0..std::f64::consts::TAU);
        let (mut low, mut high) = (angle - std::f64::consts::TAU, angle);
        // The bracket shrinks to the point itself, which is above the level: this many halvings leave nothing of it.
        for _ in 0..64 {
            let moved = &self.mean + &from_mean * angle.cos() + &other * angle.sin();
            let moved = Place::new(moved, log_posterior);
            if self.relative(&moved) > level {
                return moved;
            }
            *(if angle < 0.0 { &mut low } else { &mut high }) = angle;
            angle = rng.random_range(low..high);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::problem::{KernelKind, Warp, columns};
    use crate::surrogate::fit::fit;
    use crate::surrogate::hyper::Axis;

    /// Two domains at one size.
    fn layout() -> Layout {
        Layout {
            kind: KernelKind::Rbf,
            components: 1,
            families: vec![0, 1],
            axes: vec![Axis::chain(vec![])],
            lengthscale_sd: 0.6,
            saturation: None,
            curves: false,
        }
    }

    /// Means over a long chain against those over the prior, weighted by the likelihood.
    #[test]
    fn the_chain_draws_from_the_posterior() {
        let weights: [f64; 5] = [0.0, 0.2, 0.5, 0.8, 1.0];
        let mixtures = weights.map(|a| [a, 1.0 - a]);
        let data = Data {
            x: Warp::Sqrt.warped(&columns(2, mixtures.iter().map(|w| w.as_slice()))),
            fidelity: vec![0; 5],
            y: DVector::from_vec(vec![1.2, 0.4, -0.5, -0.6, 0.3]),
            known_noise: vec![0.0; 5],
            level_sd: vec![3.0],
        };
        let layout = layout();
        let log_posterior = |z: &DVector<f64>| log_posterior(&data, &layout, z);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let n = layout.len();

        let (mut total, mut expected) = (0.0, vec![0.0; 2 * n]);
        let add = |sums: &mut [f64], weight: f64, z: &DVector<f64>| {
            z.iter().enumerate().for_each(|(i, z)| {
                sums[i] += weight * z;
                sums[n + i] += weight * z * z;
            });
        };
        for _ in 0..20_000 {
            let z = DVector::from_fn(n, |_, _| rng.sample::<f64, _>(StandardNormal));
            let weight = (log_posterior(&z) + 0.5 * z.norm_squared()).exp();
            total += weight;
            add(&mut expected, weight, &z);
        }
        let (mode, _) = fit(&data, &layout, &[layout.start()], 100).unwrap();
        let mode = DVector::from_vec(mode);
        let ellipses = [Ellipses::prior(n), Ellipses::at(&data, &layout, &mode).unwrap()];
        let (steps, mut found, mut place) = (5000, vec![0.0; 2 * n], Place::new(mode, &log_posterior));
        for _ in 0..steps {
            for ellipses in &ellipses {
                place = ellipses.step(place, &log_posterior, &mut rng);
            }
            add(&mut found, 1.0, &place.z);
        }
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (found, expected) = (found / f64::from(steps), expected / total);
            assert!((found - expected).abs() < 0.12, "moment {i}: {found} against {expected}");
        }
        // What the data say shows: the noise is below its prior, the second of the two parameters that set it.
        assert!(expected[n - 2] / total < -0.2, "{}", expected[n - 2] / total);
    }

    /// Forty runs say much: on ellipses of the prior, draws so few steps apart would nearly be the same.
    #[test]
    fn draws_are_hardly_correlated() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let weights: Vec<[f64; 2]> = (0..40).map(|i| f64::from(i) / 39.0).map(|a| [a, 1.0 - a]).collect();
        let noisy = |[a, _]: &[f64; 2]| 3.0 * (5.0 * a).sin() + 0.2 * rng.sample::<f64, _>(StandardNormal);
        let data = Data {
            y: DVector::from_iterator(40, weights.iter().map(noisy)),
            x: Warp::Sqrt.warped(&columns(2, weights.iter().map(|w| w.as_slice()))),
            fidelity: vec![0; 40],
            known_noise: vec![0.0; 40],
            level_sd: vec![3.0],
        };
        let layout = layout();
        let (mode, _) = fit(&data, &layout, &[layout.start()], 100).unwrap();
        let noise = layout.len() - 1;
        let chains: Vec<Vec<f64>> =
            (0..12).map(|_| sample(&data, &layout, &mode, &mut rng).iter().map(|z| z[noise]).collect()).collect();
        let mean = chains.iter().flatten().sum::<f64>() / (12 * DRAWS) as f64;
        let products = |lag: usize| -> f64 {
            let of =
                |chain: &Vec<f64>| chain.iter().zip(&chain[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
            chains.iter().map(of).sum::<f64>() / (DRAWS - lag) as f64
        };
        let correlation = products(1) / products(0);
        assert!(correlation < 0.35, "{correlation}");
    }
}
