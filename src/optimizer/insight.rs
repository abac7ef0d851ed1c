//! What people ask about a recommendation: is it better, and what may be changed about it?

use std::ops::Neg;
use std::sync::Arc;

use serde::Serialize;

use super::Optimizer;
use crate::problem::{Evidence, FidelityId, Metric, Mixture, ModelSpec, Objective, Prediction, Structure, normal};
use crate::surrogate::{self, ModelTable, Surrogate, Task};

/// By how much one mixture's noise-free objective, or a metric, is better than another's, in its unit; below zero it is worse,
/// whichever way the objective points.
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

impl Neg for Gain {
    type Output = Self;

    /// What the other mixture gains.
    fn neg(self) -> Self {
        Self { mean: -self.mean, ..self }
    }
}

fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// What is known of the objective and of each metric: a prediction of a mixture, say, or its gain over another.
#[derive(Clone, Debug, PartialEq)]
pub struct PerMetric<T> {
    /// The objective.
    pub objective: T,
    /// Each metric, in the order of the objective and in the metric's unit.
    pub metrics: Vec<T>,
}

/// All that [`Optimizer::expectations`], [`Optimizer::advantages`] and [`Optimizer::guard_states`] depend on at the target, as plain numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Tables {
    /// The model of the objective.
    pub objective: ModelTable,
    /// The model of the metrics, if the objective's does not have them and there are several.
    pub metrics: Option<ModelTable>,
}

impl Tables {
    /// Multiplications that it takes to condition all processes on their runs.
    #[must_use]
    pub fn work(&self) -> f64 {
        std::iter::once(&self.objective).chain(&self.metrics).map(ModelTable::work).sum()
    }
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
    /// How much better `mixture` is than each of `others` at the target; `None` before there is a model.
    #[must_use]
    pub fn gains(&self, evidence: &Evidence, mixture: &Mixture, others: &[Mixture]) -> Option<Vec<Gain>> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        Some(self.gains_of(&surrogate, mixture, others))
    }

    pub(super) fn gains_of(&self, surrogate: &Surrogate, mixture: &Mixture, others: &[Mixture]) -> Vec<Gain> {
        let x = self.columns(std::iter::once(mixture).chain(others).map(Mixture::weights));
        surrogate.gains(&x, self.fidelities.target()).into_iter().map(Gain::from).collect()
    }

    /// What is expected of each of `mixtures` at fidelity `m`; `None` before there is a model.
    #[must_use]
    pub fn expectations(
        &self,
        evidence: &Evidence,
        mixtures: &[Mixture],
        m: FidelityId,
    ) -> Option<Vec<PerMetric<Prediction>>> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        let objectives = mixtures.iter().map(|mixture| self.prediction(&surrogate, mixture, m));
        if let Some(metric) = self.only_metric() {
            let per_weight = |p: Prediction| {
                let scale = metric.weight.abs();
                Prediction { mean: p.mean / metric.weight, sd: p.sd / scale, noise: p.noise.map(|noise| noise / scale) }
            };
            let answer = |objective| PerMetric { objective, metrics: vec![per_weight(objective)] };
            return Some(objectives.map(answer).collect());
        }
        let single = self.per_metric(evidence)?;
        let predicted = single.predict_metrics(&self.columns(mixtures.iter().map(Mixture::weights)), m);
        let noise: Vec<f64> = single.metric_noise(m).into_iter().map(f64::sqrt).collect();
        let metrics = |i: usize| {
            let prediction = |(metric, noise): (&Vec<(f64, f64)>, &f64)| {
                let (mean, variance) = metric[i];
                Prediction { mean, sd: variance.sqrt(), noise: Some(*noise) }
            };
            predicted.iter().zip(&noise).map(prediction).collect()
        };
        Some(objectives.enumerate().map(|(i, objective)| PerMetric { objective, metrics: metrics(i) }).collect())
    }

    /// By how much `mixture` is better than each of `others` at fidelity `m`, in the objective and per metric, from their joint posterior;
    /// `None` before there is a model.
    #[must_use]
    pub fn advantages(
        &self,
        evidence: &Evidence,
        mixture: &Mixture,
        others: &[Mixture],
        m: FidelityId,
    ) -> Option<Vec<PerMetric<Gain>>> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        let x = self.columns(std::iter::once(mixture).chain(others).map(Mixture::weights));
        let objectives = surrogate.gains(&x, m).into_iter().map(Gain::from);
        if let Some(metric) = self.only_metric() {
            let scale = metric.weight.abs();
            let per_weight = |gain: Gain| Gain { mean: gain.mean / scale, sd: gain.sd / scale };
            let answer = |objective| PerMetric { objective, metrics: vec![per_weight(objective)] };
            return Some(objectives.map(answer).collect());
        }
        let gains = self.per_metric(evidence)?.metric_gains(&x, m);
        let metrics = |i: usize| gains.iter().map(|metric| Gain::from(metric[i])).collect();
        Some(objectives.enumerate().map(|(i, objective)| PerMetric { objective, metrics: metrics(i) }).collect())
    }

    /// The metric that is the objective, but for its weight, if there is one.
    fn only_metric(&self) -> Option<&Metric> {
        let Objective { metrics, reference: None, .. } = &self.objective else { return None };
        if let [metric] = metrics.as_slice() { Some(metric) } else { None }
    }

    /// The model with one process per metric: where the one in use has the objective alone, another one that is fitted to the same runs.
    fn per_metric(&self, evidence: &Evidence) -> Option<Arc<Surrogate>> {
        if self.spec().structure == Structure::PerMetric {
            return self.integrated(&evidence.observations).ok();
        }
        let spec = ModelSpec { structure: Structure::PerMetric, ..self.spec() };
        let task = Task { spec, ..self.task(&evidence.observations) };
        let (_, snapshot) = Surrogate::fit(&task, None).ok()?;
        Surrogate::integrated(&task, &snapshot).ok().map(Arc::new)
    }

    /// The numbers behind what is expected at the target; `None` before there is a model.
    #[must_use]
    pub fn tables(&self, evidence: &Evidence) -> Option<Tables> {
        let target = self.fidelities.target();
        let objective = self.integrated(&evidence.observations).ok()?.table(target);
        let apart = self.spec().structure == Structure::Objective && self.objective.metrics.len() > 1;
        let metrics = if apart { Some(self.per_metric(evidence)?.table(target)) } else { None };
        Some(Tables { objective, metrics })
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
            let points: Vec<(f64, Gain)> =
                moved.iter().zip(gains).map(|(moved, gain)| (moved.weights()[domain], -gain)).collect();
            Effect { within_noise: within(&points, present, noise), points }
        };
        Some((0..self.space.dim()).map(effect).collect())
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
