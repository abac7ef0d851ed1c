//! Draws hyperparameters from their posterior: elliptical slice sampling (Murray, Adams & MacKay 2010).
//!
//! Hyperparameters are standard normal a priori ([`super::hyper`]), which is all that the method asks for: it has no step size to tune
//! and needs likelihoods only.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::data::Data;
use super::gp::Gp;
use super::hyper::Layout;

/// Draws that are kept.
pub(super) const DRAWS: usize = 16;
/// Steps of the chain before the first draw that is kept, and between two: it starts at the posterior's mode, which no draw is near
/// where there are many hyperparameters.
const BURN_IN: usize = 30;
const STEPS: usize = 6;
/// Runs that they are drawn by, at most: a step takes time cubic in their number, and hyperparameters hardly change with more.
const MOST_SAMPLED: usize = 64;

/// [`DRAWS`] draws from the posterior of the hyperparameters given `data`, from a chain that starts at `z`. Levels are integrated
/// out, too.
pub(super) fn sample(data: &Data, layout: &Layout, z: &[f64], rng: &mut impl Rng) -> Vec<Vec<f64>> {
    let data = data.thinned(MOST_SAMPLED);
    let log_likelihood = |z: &[f64]| {
        let process = Gp::condition(&data, layout.natural(z));
        process.map_or(f64::NEG_INFINITY, |process| process.log_marginal())
    };
    let mut state = (z.to_vec(), log_likelihood(z));
    let mut draws = Vec::with_capacity(DRAWS);
    for step in 1..=BURN_IN + (DRAWS - 1) * STEPS {
        state = slice(state, &log_likelihood, rng);
        if step >= BURN_IN && (step - BURN_IN).is_multiple_of(STEPS) {
            draws.push(state.0.clone());
        }
    }
    draws
}

/// One step: a point on the ellipse through `z` and a draw from the prior, with a likelihood above a level drawn below that of `z`.
fn slice((z, log): (Vec<f64>, f64), log_likelihood: &impl Fn(&[f64]) -> f64, rng: &mut impl Rng) -> (Vec<f64>, f64) {
    let other: Vec<f64> = (0..z.len()).map(|_| StandardNormal.sample(rng)).collect();
    let level = log + (1.0 - rng.random::<f64>()).ln();
    let mut angle = rng.random_range(0.0..std::f64::consts::TAU);
    let (mut low, mut high) = (angle - std::f64::consts::TAU, angle);
    // The bracket shrinks to the point itself, which is above the level: this many halvings leave nothing of it.
    for _ in 0..64 {
        let moved: Vec<f64> = z.iter().zip(&other).map(|(a, b)| a * angle.cos() + b * angle.sin()).collect();
        let reached = log_likelihood(&moved);
        if reached > level {
            return (moved, reached);
        }
        *(if angle < 0.0 { &mut low } else { &mut high }) = angle;
        angle = rng.random_range(low..high);
    }
    (z, log)
}

#[cfg(test)]
mod tests {
    use nalgebra::DVector;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::problem::{KernelKind, Warp, columns};

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
        let layout = Layout { kind: KernelKind::Rbf, components: 1, dim: 2, size_steps: vec![], lengthscale_sd: 0.6 };
        let log_likelihood = |z: &[f64]| Gp::condition(&data, layout.natural(z)).unwrap().log_marginal();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let n = layout.len();

        let (mut total, mut expected) = (0.0, vec![0.0; 2 * n]);
        let add = |sums: &mut [f64], weight: f64, z: &[f64]| {
            z.iter().enumerate().for_each(|(i, z)| {
                sums[i] += weight * z;
                sums[n + i] += weight * z * z;
            });
        };
        for _ in 0..20_000 {
            let z: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
            let weight = log_likelihood(&z).exp();
            total += weight;
            add(&mut expected, weight, &z);
        }
        let (steps, mut found) = (8000, vec![0.0; 2 * n]);
        let start = layout.start();
        let mut state = (start.clone(), log_likelihood(&start));
        for _ in 0..steps {
            state = slice(state, &log_likelihood, &mut rng);
            add(&mut found, 1.0, &state.0);
        }
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (found, expected) = (found / f64::from(steps), expected / total);
            assert!((found - expected).abs() < 0.12, "moment {i}: {found} against {expected}");
        }
        // What the data say shows: the noise is below its prior, the second of the two parameters that set it.
        assert!(expected[n - 2] / total < -0.2, "{}", expected[n - 2] / total);
    }
}
