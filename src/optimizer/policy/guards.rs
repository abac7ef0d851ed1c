//! The mixtures on which the guards hold, and the best of these.

use std::cell::Cell;

use super::constants::{GUARD_BETWEEN, GUARD_NEAR, GUARD_ROUNDS, GUARD_STEPS, GUARD_TIGHTENING};
use super::recommendation::smallest;
use crate::acquisition::descend;
use crate::optimizer::Optimizer;
use crate::problem::normal::{inverse_mills, log_distribution, quantile};
use crate::problem::{Evidence, Goal, Guard, Mixture, Observation, Prediction, Threshold, Weights};
use crate::space::Polytope;
use crate::surrogate::Surrogate;

/// How far a guard is from being broken, in the unit of its metric. A guard is broken where this is below 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slack {
    pub mean: f64,
    pub variance: f64,
}

impl Slack {
    /// Log probability that the guard holds.
    pub fn log_probability(self) -> f64 {
        match self.variance {
            variance if variance > 0.0 => log_distribution(self.mean / variance.sqrt()),
            _ if self.mean >= 0.0 => 0.0,
            _ => f64::NEG_INFINITY,
        }
    }
}

/// The risk of a mixture as a share of the risk that the guards allow, given the log probabilities that they hold (one per guard). If it
/// is at most 1, each guard holds with at least its probability, and all of them together with at least the smallest of these, as metrics
/// are modelled as independent.
pub(super) fn risk(guards: &[Guard], log_probabilities: impl Iterator<Item = f64>) -> f64 {
    guards.iter().zip(log_probabilities).map(|(guard, log)| log / guard.probability.ln()).sum()
}

/// What is known of a guard at a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuardState {
    /// The metric expected of the mixture at the target, in its unit.
    pub expected: Prediction,
    /// What the metric may not pass, tolerance included. For a guard that compares mixtures, this rests on the expected metric of the
    /// reference.
    pub limit: f64,
    /// Probability that the guard holds.
    pub probability: f64,
    /// The smallest tolerance, in the metric's unit, with which the guard would hold with the probability that it asks for; 0 if it needs
    /// none.
    pub needed: f64,
}

/// What is known of all guards at a mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardStates {
    /// One entry per guard.
    pub guards: Vec<GuardState>,
    /// Probability that all hold.
    pub probability: f64,
    /// Whether that is enough: each holds with its probability, and all of them together with the smallest of these probabilities.
    pub hold: bool,
}

/// What a guarded metric is compared with.
struct Compared<'a> {
    /// The value, or its expectation if it is uncertain.
    value: f64,
    /// The mixture whose metric this is, if the value is uncertain.
    reference: Option<&'a Mixture>,
}

impl Optimizer {
    fn compared<'a>(&self, surrogate: &Surrogate, evidence: &Evidence, guard: &'a Guard) -> Compared<'a> {
        let mixture = match &guard.threshold {
            Threshold::Value(value) => return Compared { value: *value, reference: None },
            Threshold::Mixture { mixture, .. } => mixture,
        };
        if let Some(run) = self.run_of(evidence, mixture) {
            return Compared { value: run.metrics[guard.metric], reference: None };
        }
        let x = self.columns([mixture.weights()]);
        Compared { value: surrogate.metric(guard.metric, &x)[0].0, reference: Some(mixture) }
    }

    /// What is known of the guards at `mixture`; `None` before there is a model.
    #[must_use]
    pub fn guard_states(&self, evidence: &Evidence, mixture: &Mixture) -> Option<GuardStates> {
        let surrogate = self.integrated(&evidence.observations).ok()?;
        let (x, target) = (self.columns([mixture.weights()]), self.fidelities.target());
        let run = [self.run_of(evidence, mixture)];
        let slacks = self.slacks(&surrogate, evidence, &x, &run);
        let state = |(guard, slacks): (&Guard, &Vec<Slack>)| {
            let (mean, variance) = surrogate.metric(guard.metric, &x)[0];
            let Slack { mean: slack, variance: slack_variance } = slacks[0];
            let threshold = self.compared(&surrogate, evidence, guard).value;
            let allowance = guard.allowance(threshold);
            let missing = quantile(guard.probability) * slack_variance.sqrt() - slack;
            let noise = Some(surrogate.metric_noise(target)[guard.metric].sqrt());
            GuardState {
                expected: Prediction { mean, sd: variance.sqrt(), noise },
                limit: threshold + guard.sign * allowance,
                probability: slacks[0].log_probability().exp(),
                needed: (allowance + missing).max(0.0),
            }
        };
        let guards: Vec<GuardState> = self.guards.iter().zip(&slacks).map(state).collect();
        let probability = guards.iter().map(|state| state.probability).product();
        Some(GuardStates { guards, probability, hold: self.risks(&slacks, 1)[0] <= 1.0 })
    }

    /// The slack of each guard (outer) at each of the p mixtures `x`, at the target. Where single runs are what counts, `known` has those
    /// of the mixtures; it may be shorter.
    pub(super) fn slacks(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        x: &Weights,
        known: &[Option<&Observation>],
    ) -> Vec<Vec<Slack>> {
        let target = self.fidelities.target();
        let slack = |guard: &Guard| {
            let (j, Compared { value: threshold, reference }) =
                (guard.metric, self.compared(surrogate, evidence, guard));
            // Where single runs are what counts, their noise is part of the uncertainty.
            let noise = if self.settings.goal == Goal::Run { surrogate.metric_noise(target)[j] } else { 0.0 };
            let (expected, doubt) = match reference {
                None => (surrogate.metric(j, x), 0.0),
                Some(reference) => {
                    let both =
                        std::iter::once(reference.weights()).chain(x.matrix().as_slice().chunks(self.space.dim()));
                    let differences = surrogate.metric_differences(j, &self.columns(both));
                    let variance = surrogate.metric(j, &self.columns([reference.weights()]))[0].1;
                    let value = |(mean, variance): (f64, f64)| (threshold + mean, variance + noise);
                    (differences.into_iter().map(value).collect(), variance + noise)
                }
            };
            let run = |i: usize| known.get(i).copied().flatten().map(|run| (run.metrics[j], doubt));
            let value = |(i, (mean, variance)): (usize, (f64, f64))| run(i).unwrap_or((mean, variance + noise));
            let slack = |(mean, variance): (f64, f64)| Slack { mean: guard.slack(mean, threshold), variance };
            expected.into_iter().enumerate().map(value).map(slack).collect()
        };
        self.guards.iter().map(slack).collect()
    }

    /// Whether the guards hold, surely enough, on each of the p mixtures `x`.
    pub(in crate::optimizer) fn guards_hold(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        x: &Weights,
    ) -> Vec<bool> {
        let slacks = self.slacks(surrogate, evidence, x, &[]);
        self.risks(&slacks, x.len()).into_iter().map(|risk| risk <= 1.0).collect()
    }

    /// The [`risk`] of each of p mixtures, given the slacks of the guards there.
    pub(super) fn risks(&self, slacks: &[Vec<Slack>], p: usize) -> Vec<f64> {
        (0..p).map(|i| risk(&self.guards, slacks.iter().map(|slacks| slacks[i].log_probability()))).collect()
    }

    /// The mixtures of the p in `x` that may be recommended: those on which the guards hold surely enough, or, if there is none, the one
    /// of smallest [`risk`].
    pub(super) fn qualified(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        x: &Weights,
        known: &[Option<&Observation>],
    ) -> Vec<usize> {
        if self.guards.is_empty() {
            return (0..x.len()).collect();
        }
        let risks = self.risks(&self.slacks(surrogate, evidence, x, known), x.len());
        let qualified: Vec<usize> = (0..x.len()).filter(|i| risks[*i] <= 1.0).collect();
        if qualified.is_empty() {
            (0..x.len()).min_by(|a, b| risks[*a].total_cmp(&risks[*b])).into_iter().collect()
        } else {
            qualified
        }
    }

    /// The mixtures of `x` that matter for a recommendation, at most `count`: those with the smallest posterior means. If there are guards,
    /// up to half of them are mixtures on which the guards hold surely enough, and the others are mixtures on which they may yet turn out
    /// to hold.
    pub(super) fn promising(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        x: &Weights,
        count: usize,
    ) -> Vec<usize> {
        let mut order = smallest(&surrogate.mean(x), x.len());
        if self.guards.is_empty() {
            order.truncate(count);
            return order;
        }
        let slacks = self.slacks(surrogate, evidence, x, &[]);
        let qualified = self.qualified(surrogate, evidence, x, &[]);
        let (mut chosen, mut others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|i| qualified.contains(i));
        others.retain(|i| slacks.iter().all(|slacks| slacks[*i].mean > -GUARD_NEAR * slacks[*i].variance.sqrt()));
        chosen.truncate(count.div_ceil(2));
        chosen.extend(others.into_iter().take(count / 2));
        chosen
    }

    /// Mixtures near the best one on which the guards hold, given `starts`, some of which have a small mean. The search starts from the best
    /// of these that qualifies, and from the one with the smallest mean. More mixtures lie between each result and the former.
    pub(super) fn constrained(
        &self,
        (surrogate, about): (&Surrogate, &Surrogate),
        evidence: &Evidence,
        starts: &[Vec<f64>],
    ) -> Vec<Vec<f64>> {
        let x = self.columns(starts.iter().map(Vec::as_slice));
        let means = surrogate.mean(&x);
        let qualified = self.qualified(about, evidence, &x, &[]);
        let Some(safe) = qualified.into_iter().min_by(|a, b| means[*a].total_cmp(&means[*b])) else {
            return Vec::new();
        };
        let spread = means.variance().sqrt().max(f64::MIN_POSITIVE);
        let mut found = Vec::new();
        for start in [&starts[safe], &starts[means.imin()]] {
            let w = self.constrained_best((surrogate, about), evidence, (self.space.polytope(), start), spread);
            let between = |step: usize| {
                let share = step as f64 / GUARD_BETWEEN as f64;
                w.iter().zip(&starts[safe]).map(|(w, safe)| (1.0 - share) * w + share * safe).collect()
            };
            found.extend((0..GUARD_BETWEEN).map(between));
        }
        found
    }

    /// A mixture of `polytope` with a small posterior mean under `surrogate` on which the guards hold under `about`, searched for from `start`. The method is
    /// an augmented Lagrangian (Nocedal & Wright 2006, algorithm 17.4) of the mean, in units of `spread`, with the constraint that the
    /// logarithm of the [`risk`] is at most 0. Each round uses the standard deviations of slacks where the last one ended, because they vary
    /// far less than means. The mixture may miss the guards by a little.
    pub(super) fn constrained_best(
        &self,
        (surrogate, about): (&Surrogate, &Surrogate),
        evidence: &Evidence,
        (polytope, start): (&Polytope, &[f64]),
        spread: f64,
    ) -> Vec<f64> {
        let thresholds: Vec<f64> =
            self.guards.iter().map(|guard| self.compared(about, evidence, guard).value).collect();
        let (mut w, mut multiplier, mut weight) = (start.to_vec(), 0.0_f64, 1.0);
        for _ in 0..GUARD_ROUNDS {
            let slacks = self.slacks(about, evidence, &self.columns([w.as_slice()]), &[]);
            let sds: Vec<f64> = slacks.iter().map(|slacks| slacks[0].variance.sqrt().max(f64::MIN_POSITIVE)).collect();
            let last = Cell::new(0.0);
            let lagrangian = |x: &Weights| {
                let (mean, mut gradient) = surrogate.mean_with_gradient(x);
                let (log_risk, risk_gradient) = self.log_risk(about, x, &thresholds, &sds);
                last.set(log_risk);
                let push = (multiplier + weight * log_risk).max(0.0);
                gradient.iter_mut().zip(&risk_gradient).for_each(|(g, r)| *g = *g / spread + push * r);
                (mean / spread + (push * push - multiplier * multiplier) / (2.0 * weight), gradient)
            };
            let Some((_, found)) = descend(polytope, lagrangian, &w, GUARD_STEPS) else { break };
            lagrangian(&self.columns([found.as_slice()]));
            multiplier = (multiplier + weight * last.get()).max(0.0);
            (w, weight) = (found, GUARD_TIGHTENING * weight);
        }
        w
    }

    /// Logarithm of the [`risk`] at one mixture and its derivative (length D), given thresholds and standard deviations of slacks.
    fn log_risk(&self, surrogate: &Surrogate, x: &Weights, thresholds: &[f64], sds: &[f64]) -> (f64, Vec<f64>) {
        let (mut total, mut gradient) = (0.0, vec![0.0; self.space.dim()]);
        for ((guard, threshold), sd) in self.guards.iter().zip(thresholds).zip(sds) {
            let (value, slope) = surrogate.metric_mean_with_gradient(guard.metric, x);
            let u = guard.slack(value, *threshold) / sd;
            let log_allowed = guard.probability.ln();
            total += log_distribution(u) / log_allowed;
            let factor = -guard.sign * inverse_mills(u).0 / (sd * log_allowed);
            gradient.iter_mut().zip(&slope).for_each(|(g, s)| *g += factor * s);
        }
        // If the guards hold for certain, the risk is 0 and has no logarithm.
        let total = total.max(f64::MIN_POSITIVE);
        gradient.iter_mut().for_each(|g| *g /= total);
        (total.ln(), gradient)
    }
}
