//! What training runs add to the truth.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::law::{TARGET, mean, normal, standard_deviation};

/// The share of a metric's noise variance that all metrics of a run have in common, where errors are correlated.
const COMMON: f64 = 0.8;
/// The noise at a size over that at the next larger one, where it falls: as costs do, so that its variance is in inverse proportion
/// to the cost.
const FALL: f64 = 1.8;

/// How noise differs between runs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not at all.
    Same,
    /// It falls with size.
    Falling,
    /// It depends on the mixture.
    Mixture,
    /// Most of it is common to all metrics of a run.
    Correlated,
}

/// The noise of a study.
#[derive(Clone, Debug)]
pub struct Noise {
    shape: Shape,
    /// The standard deviation of each metric at the target, over all mixtures.
    sd: Vec<f64>,
    /// The slopes of the logarithm of the standard deviation in the weights, where it depends on the mixture.
    slopes: Vec<f64>,
    /// The root mean square of what that makes of the standard deviation, over all mixtures.
    typical: f64,
}

impl Noise {
    /// Noise of these standard deviations. `sample` are random mixtures.
    pub fn new(shape: Shape, sd: Vec<f64>, sample: &[Vec<f64>], rng: &mut ChaCha8Rng) -> Self {
        let slope = |_: &f64| if shape == Shape::Mixture { rng.random_range(-2.0..2.0) } else { 0.0 };
        let mut noise = Self { shape, sd, slopes: sample[0].iter().map(slope).collect(), typical: 1.0 };
        let square: f64 = sample.iter().map(|w| noise.factor(w, TARGET).powi(2)).sum();
        noise.typical = (square / sample.len() as f64).sqrt();
        let mut luck = rng.clone();
        let errors: Vec<f64> = sample.iter().map(|w| mean(&noise.draw(w, TARGET, &mut luck))).collect();
        let ratio = standard_deviation(&errors) / noise.objective_sd();
        assert!((ratio - 1.0).abs() < 0.1, "the noise is {ratio} times what it is said to be");
        noise
    }

    /// The standard deviation of the objective of one run, the mean of the metrics, at the target and over all mixtures.
    pub fn objective_sd(&self) -> f64 {
        let n = self.sd.len() as f64;
        let (sum, squares) = (self.sd.iter().sum::<f64>(), self.sd.iter().map(|sd| sd * sd).sum::<f64>());
        (self.common() * sum * sum + (1.0 - self.common()) * squares).sqrt() / n
    }

    /// The errors of the metrics of one run at size `m`.
    pub fn draw(&self, w: &[f64], m: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let (common, factor) = (normal(rng), self.factor(w, m));
        let share = self.common();
        let error = |sd: &f64| sd * factor * (share.sqrt() * common + (1.0 - share).sqrt() * normal(rng));
        self.sd.iter().map(error).collect()
    }

    fn common(&self) -> f64 {
        if self.shape == Shape::Correlated { COMMON } else { 0.0 }
    }

    fn factor(&self, w: &[f64], m: usize) -> f64 {
        let fall = if self.shape == Shape::Falling { FALL.powi(TARGET as i32 - m as i32) } else { 1.0 };
        let exponent: f64 = self.slopes.iter().zip(w).map(|(b, w)| b * w).sum();
        fall * exponent.exp() / self.typical
    }
}
