//! The truth of a study: what each metric is without noise, by mixture and size.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// How many sizes a study has; the last one is the target.
pub const SIZES: usize = 3;
pub const TARGET: usize = SIZES - 1;

/// The standard deviation of a size's own part of the logarithm of a rate, where sizes disagree.
const DISAGREEMENT: f64 = 0.5;
/// The decay of the value of repeated tokens, in epochs (Muennighoff et al. 2023).
const DECAY: f64 = 15.0;
/// The tokens of a run at each size, as a share of the target's.
const TOKENS: [f64; SIZES] = [0.01, 0.1, 1.0];
/// The standard deviation of the fine component, as a share of that of the smooth law: with a third, the objective at two sizes has
/// a correlation of 0.9.
const FINE: f64 = 1.0 / 3.0;
/// The length-scale of the fine component in the square roots of the weights.
const FINE_LENGTH: f64 = 0.3;
/// The length-scale of a law that is as the model assumes, the median of the model's prior, and the law's standard deviation.
const SMOOTH_LENGTH: f64 = 1.0;
const SMOOTH: f64 = 0.3;
/// Fourier features of a random function.
const FEATURES: usize = 32;

/// How losses depend on the mixture. All but `Smooth` and `Nothing` are exponential mixing laws with random rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// The rates are the same at all sizes.
    Agree,
    /// Each size has rates of its own around common ones.
    Disagree,
    /// Domains have few unique tokens, which only the larger sizes repeat; and larger sizes gain more from some domains.
    Repetition,
    /// The sizes have a smooth law in common, and a fine component each, which decides at the top.
    Top,
    /// A draw of a process such as the model assumes, the same at all sizes. A false statement here is a fault of the program, not of the
    /// model.
    Smooth,
    /// The mixture makes no difference.
    Nothing,
}

/// The noise-free metrics of a study: at size `m`, metric `j` is `c_j(m) + k(m) (exp(−Σ_i t_jmi e_i(m)) + g_jm)` with random functions g of
/// the mixture, where the effective weight `e_i(m)` is the weight unless tokens are repeated.
#[derive(Clone, Debug)]
pub struct Truth {
    /// `t`, by metric, size and domain.
    rates: Vec<[Vec<f64>; SIZES]>,
    /// Unique tokens of each domain, as a share of the target's tokens.
    unique: Vec<f64>,
    /// `g`, by metric and size; none where it is 0.
    random: Vec<[Waves; SIZES]>,
}

impl Truth {
    /// A random one. `sample` are random mixtures.
    pub fn new(law: Law, metrics: usize, domains: usize, sample: &[Vec<f64>], rng: &mut ChaCha8Rng) -> Self {
        // A larger size gains more from some domains.
        let growth: Vec<f64> = (0..domains).map(|_| rng.random_range(1.0..2.5)).collect();
        let mut truth = Self {
            rates: (0..metrics).map(|_| rates(law, &growth, rng)).collect(),
            unique: vec![f64::INFINITY; domains],
            random: Vec::new(),
        };
        if law == Law::Repetition {
            truth.unique = (0..domains).map(|_| 10f64.powf(rng.random_range(-2.0..0.0))).collect();
        }
        if law == Law::Top {
            let smooth: Vec<f64> = sample.iter().map(|w| truth.objective(w, TARGET)).collect();
            let amplitude = FINE * standard_deviation(&smooth) / slope(TARGET);
            let fine = std::array::from_fn(|_| Waves::new(domains, FINE_LENGTH, amplitude, rng));
            truth.random = vec![fine; metrics];
        }
        if law == Law::Smooth {
            let mut smooth = || Waves::new(domains, SMOOTH_LENGTH, SMOOTH, rng);
            truth.random = (0..metrics).map(|_| smooth()).map(|same| std::array::from_fn(|_| same.clone())).collect();
        }
        truth
    }

    /// The metrics at size `m`.
    pub fn metrics(&self, w: &[f64], m: usize) -> Vec<f64> {
        let effective: Vec<f64> = w.iter().zip(&self.unique).map(|(w, u)| effective(*w, u / TOKENS[m])).collect();
        let metric = |(j, rates): (usize, &[Vec<f64>; SIZES])| {
            let exponent: f64 = rates[m].iter().zip(&effective).map(|(t, e)| t * e).sum();
            let random = self.random.get(j).map_or(0.0, |random| random[m].at(w));
            2.5 - 0.4 * m as f64 + 0.1 * j as f64 + slope(m) * ((-exponent).exp() + random)
        };
        self.rates.iter().enumerate().map(metric).collect()
    }

    /// The objective at size `m`: the mean of the metrics.
    pub fn objective(&self, w: &[f64], m: usize) -> f64 {
        mean(&self.metrics(w, m))
    }
}

/// `k(m)`: losses of larger models differ less.
fn slope(m: usize) -> f64 {
    1.5 - 0.2 * m as f64
}

/// The rates of one metric by size and domain. A few domains matter much to a metric, the others little.
fn rates(law: Law, growth: &[f64], rng: &mut ChaCha8Rng) -> [Vec<f64>; SIZES] {
    let common: Vec<f64> = growth.iter().map(|_| 8.0 * rng.random::<f64>().powi(3)).collect();
    std::array::from_fn(|m| {
        let rate = |(t, growth): (&f64, &f64)| match law {
            Law::Agree | Law::Top => *t,
            Law::Disagree => t * (DISAGREEMENT * normal(rng)).exp(),
            Law::Repetition => t * growth.powi(m as i32 - TARGET as i32),
            Law::Smooth | Law::Nothing => 0.0,
        };
        common.iter().zip(growth).map(rate).collect()
    })
}

/// What weight `w` of a domain is worth when `unique` tokens of it exist, both as shares of the run's tokens
/// (Muennighoff et al. 2023, eq. 5).
fn effective(w: f64, unique: f64) -> f64 {
    let epochs = w / unique;
    if epochs <= 1.0 { w } else { unique * (1.0 + DECAY * (1.0 - (-(epochs - 1.0) / DECAY).exp())) }
}

/// A random function of the square roots of the weights: random Fourier features of a squared exponential kernel (Rahimi & Recht 2007).
#[derive(Clone, Debug)]
struct Waves {
    amplitude: f64,
    /// Frequencies and phase of each.
    features: Vec<(Vec<f64>, f64)>,
}

impl Waves {
    fn new(domains: usize, length: f64, amplitude: f64, rng: &mut ChaCha8Rng) -> Self {
        let feature = |_| {
            let frequencies = (0..domains).map(|_| normal(rng) / length).collect();
            (frequencies, rng.random_range(0.0..std::f64::consts::TAU))
        };
        Self { amplitude: amplitude * (2.0 / FEATURES as f64).sqrt(), features: (0..FEATURES).map(feature).collect() }
    }

    fn at(&self, w: &[f64]) -> f64 {
        let wave = |(frequencies, phase): &(Vec<f64>, f64)| {
            (frequencies.iter().zip(w).map(|(f, w)| f * w.sqrt()).sum::<f64>() + phase).cos()
        };
        self.amplitude * self.features.iter().map(wave).sum::<f64>()
    }
}

pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub fn standard_deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    mean(&values.iter().map(|y| (y - center).powi(2)).collect::<Vec<_>>()).sqrt()
}
