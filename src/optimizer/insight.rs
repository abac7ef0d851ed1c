//! What people ask about a recommendation: is it better, and what may be changed about it?

use super::Optimizer;
use crate::acquisition::normal;
use crate::problem::{Evidence, Mixture, ModelSpec, Structure};
use crate::surrogate::{self, Surrogate, Task};

/// By how much one mixture's noise-free objective at the target is better than another's, in the objective's unit; below
/// zero it is worse, whichever way the objective points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior standard deviation: that of the difference, in which what is uncertain about both cancels.
    pub sd: f64,
}

impl From<surrogate::Gain> for Gain {
    fn from(gain: surrogate::Gain) -> Self {
        Self { mean: gain.mean, sd: gain.variance.sqrt() }
    }
}

impl Gain {
    /// The probability that it is better at all.
    #[must_use]
    pub fn probability(self) -> f64 {
        if self.sd > 0.0 { normal::distribution(self.mean / self.sd) } else { 0.5 + 0.5 * sign(self.mean) }
    }
}

fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// What happens to the objective when one weight is changed and the others make room.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Weight of the domain, ascending, with the gain over the mixture as it is.
    pub points: Vec<(f64, Gain)>,
    /// The weights, around the one it has, at which the expected loss is at most one run's noise.
    pub within_noise: (f64, f64),
}

impl Optimizer {
    /// How much better `mixture` is than each of `others`; `None` before there is a model.
    #[must_use]
    pub fn gains(&self, evidence: &Evidence, mixture: &Mixture, others: &[Mixture]) -> Option<Vec<Gain>> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        Some(self.gains_of(&surrogate, mixture, others))
    }

    fn gains_of(&self, surrogate: &Surrogate, mixture: &Mixture, others: &[Mixture]) -> Vec<Gain> {
        let x = self.columns(std::iter::once(mixture).chain(others).map(Mixture::weights));
        surrogate.gains(&x).into_iter().map(Gain::from).collect()
    }

    /// For each domain, what changing its weight in `mixture` does, at up to `points` weights between the smallest and the
    /// largest observed, and the present one. The other domains keep their proportions as far as the bounds allow. `None`
    /// before there is a model.
    #[must_use]
    pub fn effects(&self, evidence: &Evidence, mixture: &Mixture, points: usize) -> Option<Vec<Effect>> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        let noise = surrogate.noise(self.fidelities.target()).sqrt();
        let effect = |domain: usize| {
            let present = mixture.weights()[domain];
            let observed = evidence.observations.iter().map(|o| o.mixture.weights()[domain]);
            let (low, high) = observed.fold((present, present), |(l, h), w| (l.min(w), h.max(w)));
            let step = (high - low) / (points.max(2) - 1) as f64;
            let mut moved: Vec<Mixture> = (0..points)
                .map(|i| mixture.with_weight(domain, (low + i as f64 * step).min(high)))
                .map(|moved| Mixture::new(self.space.polytope().project(moved.weights())))
                .collect();
            moved.push(mixture.clone());
            moved.sort_by(|a, b| a.weights()[domain].total_cmp(&b.weights()[domain]));
            moved.dedup_by(|a, b| (a.weights()[domain] - b.weights()[domain]).abs() < 1e-6);
            let gains = self.gains_of(&surrogate, mixture, &moved);
            let points: Vec<(f64, Gain)> = moved
                .iter()
                .zip(gains)
                .map(|(moved, gain)| (moved.weights()[domain], Gain { mean: -gain.mean, ..gain }))
                .collect();
            Effect { within_noise: within(&points, present, noise), points }
        };
        Some((0..self.space.dim()).map(effect).collect())
    }

    /// By how much `mixture` is better than `other` in each metric, in the metric's unit and order of the objective;
    /// `None` where no model of single metrics can be made.
    #[must_use]
    pub fn metric_gains(&self, evidence: &Evidence, mixture: &Mixture, other: &Mixture) -> Option<Vec<Gain>> {
        let mut surrogate = self.integrated(&evidence.observations).ok()?;
        if self.spec().structure == Structure::Objective {
            let spec = ModelSpec { structure: Structure::PerMetric, ..self.spec() };
            let task = Task { spec, ..self.task(&evidence.observations) };
            let (_, snapshot) = Surrogate::fit(&task, None).ok()?;
            surrogate = Surrogate::integrated(&task, &snapshot).ok()?.into();
        }
        let x = self.columns([mixture.weights(), other.weights()]);
        Some(surrogate.metric_gains(&x).into_iter().map(Gain::from).collect())
    }
}

/// The stretch of weights around `present` where the mean gain is at least `-loss`, interpolated between the points.
fn within(points: &[(f64, Gain)], present: f64, loss: f64) -> (f64, f64) {
    let walk = |side: &mut dyn Iterator<Item = &(f64, Gain)>| {
        let (mut reached, mut value) = (present, 0.0);
        for (weight, gain) in side {
            if gain.mean < -loss {
                return reached + (weight - reached) * (value + loss) / (value - gain.mean);
            }
            (reached, value) = (*weight, gain.mean);
        }
        reached
    };
    let split = points.partition_point(|(weight, _)| *weight <= present);
    (walk(&mut points[..split].iter().rev()), walk(&mut points[split..].iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretch_within_noise_ends_where_the_loss_is_noise() {
        let gain = |mean: f64| Gain { mean, sd: 0.1 };
        let points = [(0.0, gain(-3.0)), (0.2, gain(-1.0)), (0.4, gain(0.0)), (0.6, gain(-0.5)), (0.8, gain(0.5))];
        let (low, high) = within(&points, 0.4, 2.0);
        assert!((low - 0.1).abs() < 1e-12, "{low}");
        assert_eq!(high, 0.8);
        assert_eq!(within(&[], 0.3, 1.0), (0.3, 0.3));
    }
}
