//! What is optimized.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FidelityId, Mixture};

/// Weights whose sum (or mean) differs from 1 by less than this are left as they are: the difference is rounding.
const ROUNDING: f64 = 1e-9;

/// Whether smaller or larger values of the objective are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smaller is better (losses).
    Minimize,
    /// Larger is better (accuracies).
    Maximize,
}

impl Direction {
    /// +1 where smaller is better, −1 where larger is.
    #[must_use]
    pub fn sign(self) -> f64 {
        match self {
            Self::Minimize => 1.0,
            Self::Maximize => -1.0,
        }
    }
}

/// How the metrics make the objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Their weighted mean.
    #[default]
    Mean,
    /// The worst of them, each times its weight: the largest where the objective is minimized, the smallest where it is maximized.
    Worst,
}

impl Aggregate {
    /// All of them, with their names in configs and journals.
    pub const NAMED: [(&'static str, Self); 2] = [("mean", Self::Mean), ("worst", Self::Worst)];

    /// Its name in configs and journals.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED[usize::from(self == Self::Worst)].0
    }
}

/// The mixture that metrics are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelativeTo {
    /// The uniform one.
    Uniform,
    /// The prior.
    Prior,
}

impl RelativeTo {
    /// All of them, with their names in configs and journals.
    pub const NAMED: [(&'static str, Self); 2] = [("uniform", Self::Uniform), ("prior", Self::Prior)];

    /// Its name in configs and journals.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED[usize::from(self == Self::Prior)].0
    }
}

/// The reference of an objective that is made of differences: what each metric is at a mixture, less what it is at the reference at the
/// same fidelity.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// How it is stated.
    pub to: RelativeTo,
    /// The mixture.
    pub mixture: Mixture,
}

/// What runs of the [`Reference`] measured: the mean of each metric (one value per metric) at each fidelity; `None` where there is no run.
#[derive(Clone, Debug, Default)]
pub struct Baseline(Vec<Option<Vec<f64>>>);

impl Baseline {
    /// That of these runs, each with its mixture, its fidelity and its metrics; empty for an objective without a reference.
    #[must_use]
    pub fn of<'a>(
        objective: &Objective,
        runs: impl IntoIterator<Item = (&'a Mixture, FidelityId, &'a Vec<f64>)>,
    ) -> Self {
        let mut sums: Vec<Option<(Vec<f64>, f64)>> = Vec::new();
        let Some(reference) = &objective.reference else { return Self::default() };
        for (_, m, metrics) in runs.into_iter().filter(|(w, ..)| w.is(&reference.mixture)) {
            sums.resize(sums.len().max(m.index() + 1), None);
            let (sum, count) = sums[m.index()].get_or_insert_with(|| (vec![0.0; metrics.len()], 0.0));
            sum.iter_mut().zip(metrics).for_each(|(sum, y)| *sum += y);
            *count += 1.0;
        }
        let mean = |(sum, count): (Vec<f64>, f64)| sum.into_iter().map(|sum| sum / count).collect();
        Self(sums.into_iter().map(|sums| sums.map(mean)).collect())
    }

    fn at(&self, m: FidelityId) -> Option<&[f64]> {
        self.0.get(m.index())?.as_deref()
    }
}

/// A metric that trials report, with its weight in the objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name, as reported by the training command.
    pub name: String,
    /// What it is multiplied by in the objective; 0 where only a guard is about it.
    pub weight: f64,
}

/// The objective: the weighted mean of metrics, or the worst of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its metrics, sorted by name; every vector of metrics in the crate is in this order.
    pub metrics: Vec<Metric>,
    /// Whether it is minimized or maximized.
    pub direction: Direction,
    /// How the metrics make it.
    pub aggregate: Aggregate,
    /// What each of them is compared with, if they are.
    pub reference: Option<Reference>,
}

impl Objective {
    /// The objective with these weights, whose absolute values matter relative to one another alone: for a mean they are divided by their
    /// sum, for the worst metric by their mean. So the objective has the unit of the metrics, whatever the weights are.
    #[must_use]
    pub fn new(mut metrics: Vec<Metric>, direction: Direction, aggregate: Aggregate) -> Self {
        let own = metrics.iter().filter(|metric| metric.weight != 0.0).count();
        let sum: f64 = metrics.iter().map(|metric| metric.weight.abs()).sum();
        let unit = match aggregate {
            Aggregate::Mean => sum,
            Aggregate::Worst => sum / own as f64,
        };
        if (unit - 1.0).abs() > ROUNDING {
            metrics.iter_mut().for_each(|metric| metric.weight /= unit);
        }
        Self { metrics, direction, aggregate, reference: None }
    }

    /// The same objective, of the differences to a reference if there is one.
    #[must_use]
    pub fn relative_to(self, reference: Option<Reference>) -> Self {
        Self { reference, ..self }
    }

    /// The metrics that it is made of, without those that only a guard is about.
    pub fn own(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter().filter(|metric| metric.weight != 0.0)
    }

    /// What a run that reported these `metrics` at fidelity `m` measured, in the user's orientation. Compared with a reference, this is
    /// `None` where no run of that was made at the fidelity.
    #[must_use]
    pub fn measured(&self, metrics: &[f64], m: FidelityId, baseline: &Baseline) -> Option<f64> {
        if self.reference.is_none() {
            return Some(self.value(metrics));
        }
        let differences: Vec<f64> = metrics.iter().zip(baseline.at(m)?).map(|(y, reference)| y - reference).collect();
        Some(self.value(&differences))
    }

    /// By what runs are compared at their own fidelity: the loss that a run measured, or, where there is nothing to compare it with, that
    /// of its metrics as they are.
    #[must_use]
    pub fn loss(&self, metrics: &[f64], m: FidelityId, baseline: &Baseline) -> f64 {
        self.sign() * self.measured(metrics, m, baseline).unwrap_or_else(|| self.value(metrics))
    }

    /// Its value for these `metrics` (one value per metric), in the user's orientation; where it has a reference, for differences of them.
    #[must_use]
    pub fn value(&self, metrics: &[f64]) -> f64 {
        match self.aggregate {
            Aggregate::Mean => self.metrics.iter().zip(metrics).map(|(m, y)| m.weight * y).sum(),
            Aggregate::Worst => self.worst(metrics).map_or(0.0, |j| self.metrics[j].weight * metrics[j]),
        }
    }

    /// The index of the worst of its own metrics, each times its weight; `None` where it has none.
    fn worst(&self, metrics: &[f64]) -> Option<usize> {
        let loss = |j: &usize| self.sign() * self.metrics[*j].weight * metrics[*j];
        let own = (0..metrics.len()).filter(|j| self.metrics[*j].weight != 0.0);
        own.max_by(|a, b| loss(a).total_cmp(&loss(b)))
    }

    /// The standard error of its value for these `metrics`, whose standard errors are `se` (0 where none is known).
    #[must_use]
    pub fn standard_error(&self, metrics: &[f64], se: &[Option<f64>]) -> f64 {
        let error = |j: usize| self.metrics[j].weight * se[j].unwrap_or(0.0);
        match self.aggregate {
            Aggregate::Mean => (0..se.len()).map(error).fold(0.0, f64::hypot),
            Aggregate::Worst => self.worst(metrics).map_or(0.0, |j| error(j).abs()),
        }
    }

    /// The values of its metrics among `reported` ones, in its order; `None` where one is missing.
    #[must_use]
    pub fn select(&self, reported: &BTreeMap<String, f64>) -> Option<Vec<f64>> {
        self.metrics.iter().map(|metric| reported.get(&metric.name).copied()).collect()
    }

    /// +1 when minimized, −1 when maximized: `sign() · value()` is what the optimizer minimizes.
    #[must_use]
    pub fn sign(&self) -> f64 {
        self.direction.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Observation, Past, RunId};

    fn objective(weights: [f64; 2], direction: Direction, aggregate: Aggregate) -> Objective {
        let metrics = ["code", "web"].into_iter().zip(weights);
        let metrics = metrics.map(|(name, weight)| Metric { name: name.into(), weight }).collect();
        Objective::new(metrics, direction, aggregate)
    }

    fn loss(objective: &Objective, metrics: &[f64]) -> f64 {
        objective.loss(metrics, FidelityId::new(0), &Baseline::default())
    }

    #[test]
    fn without_one_of_its_metrics_there_is_no_objective() {
        let objective = objective([2.0, 1.0], Direction::Maximize, Aggregate::Mean);
        let reported = |list: &[(&str, f64)]| list.iter().map(|(name, y)| ((*name).to_owned(), *y)).collect();
        let selected = objective.select(&reported(&[("web", 1.5), ("code", 3.0), ("other", 9.0)]));
        assert_eq!(selected.map(|metrics| objective.value(&metrics)), Some(2.5));
        assert_eq!(objective.select(&reported(&[("web", 1.0)])), None);
        assert_eq!(loss(&objective, &[3.0, 1.5]), -2.5);
    }

    #[test]
    fn the_objective_has_the_unit_of_its_metrics_whatever_the_weights_sum_to() {
        for factor in [0.01, 1.0, 4.0] {
            let mean = objective([3.0 * factor, factor], Direction::Minimize, Aggregate::Mean);
            assert_eq!((mean.value(&[2.0, 2.0]), mean.value(&[2.0, 0.0])), (2.0, 1.5));
            assert_eq!(mean.standard_error(&[2.0, 2.0], &[Some(0.4), Some(1.6)]), 0.5);
            let worst = objective([factor; 2], Direction::Minimize, Aggregate::Worst);
            assert_eq!((worst.value(&[2.0, 1.0]), loss(&worst, &[1.0, 3.0])), (2.0, 3.0));
            assert_eq!(worst.standard_error(&[1.0, 2.0], &[Some(0.5), Some(0.1)]), 0.1);
            let weighted = objective([3.0 * factor, factor], Direction::Minimize, Aggregate::Worst);
            assert_eq!((weighted.value(&[2.0, 5.0]), weighted.value(&[2.0, 7.0])), (3.0, 3.5));
        }
        let smallest = objective([1.0; 2], Direction::Maximize, Aggregate::Worst);
        assert_eq!((smallest.value(&[0.3, 0.2]), loss(&smallest, &[0.3, 0.2])), (0.2, -0.2));
    }

    #[test]
    fn compared_with_a_reference_a_run_measures_differences_where_that_was_run() {
        let mixture = |a: f64| Mixture::new(vec![a, 1.0 - a]);
        let run = |a: f64, m: usize, metrics: [f64; 2]| Observation {
            run: RunId::Trial(1),
            mixture: mixture(a),
            fidelity: FidelityId::new(m),
            metrics: metrics.to_vec(),
            se: vec![None; 2],
            past: Past::default(),
        };
        let runs = [run(0.5, 0, [2.0, 1.0]), run(0.5, 0, [4.0, 2.0]), run(0.2, 0, [2.5, 2.0]), run(0.2, 1, [1.0, 0.5])];
        let worst = objective([1.0; 2], Direction::Minimize, Aggregate::Worst);
        let reference = Reference { to: RelativeTo::Uniform, mixture: mixture(0.5) };
        let relative = worst.clone().relative_to(Some(reference));
        let baseline =
            |objective: &Objective| Baseline::of(objective, runs.iter().filter_map(Observation::measurement));
        let measured = |objective: &Objective| {
            let baseline = baseline(objective);
            [0, 2, 3].map(|i| objective.measured(&runs[i].metrics, runs[i].fidelity, &baseline))
        };
        assert_eq!(measured(&worst), [Some(2.0), Some(2.5), Some(1.0)]);
        assert_eq!(measured(&relative), [Some(-0.5), Some(0.5), None]);
        let loss = |run: &Observation| relative.loss(&run.metrics, run.fidelity, &baseline(&relative));
        assert_eq!([&runs[2], &runs[3]].map(loss), [0.5, 1.0]);
    }

    #[test]
    fn a_metric_that_only_a_guard_is_about_is_never_the_worst() {
        assert_eq!(objective([0.0, 1.0], Direction::Minimize, Aggregate::Worst).value(&[9.0, 1.0]), 1.0);
    }
}
