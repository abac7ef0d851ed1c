//! What is optimized.

use std::collections::BTreeMap;

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

/// A metric that trials report, with its weight in the objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name, as reported by the training command.
    pub name: String,
    /// Weight in the objective's sum; 0 where only a guard is about it.
    pub weight: f64,
}

/// The objective: a weighted sum of metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its metrics, sorted by name; every vector of metrics in the crate is in this order.
    pub metrics: Vec<Metric>,
    /// Whether the sum is minimized or maximized.
    pub direction: Direction,
}

impl Objective {
    /// The metrics that it is a sum of, without those that only a guard is about.
    pub fn own(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter().filter(|metric| metric.weight != 0.0)
    }

    /// The weighted sum of `metrics` (one value per metric), in the user's orientation.
    #[must_use]
    pub fn value(&self, metrics: &[f64]) -> f64 {
        self.metrics.iter().zip(metrics).map(|(m, y)| m.weight * y).sum()
    }

    /// The values of its metrics among `reported` ones, in its order; `None` where one is missing.
    #[must_use]
    pub fn select(&self, reported: &BTreeMap<String, f64>) -> Option<Vec<f64>> {
        self.metrics.iter().map(|metric| reported.get(&metric.name).copied()).collect()
    }

    /// Its value given `reported` metrics, in the user's orientation; `None` where one of its own is missing.
    #[must_use]
    pub fn reported(&self, reported: &BTreeMap<String, f64>) -> Option<f64> {
        self.select(reported).map(|values| self.value(&values))
    }

    /// What the optimizer minimizes, given the `metrics` (one value per metric).
    #[must_use]
    pub fn loss(&self, metrics: &[f64]) -> f64 {
        self.sign() * self.value(metrics)
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

    #[test]
    fn without_one_of_its_metrics_there_is_no_objective() {
        let metric = |name: &str, weight: f64| Metric { name: name.into(), weight };
        let metrics = vec![metric("code", 2.0), metric("web", 1.0)];
        let objective = Objective { metrics, direction: Direction::Maximize };
        let reported = |list: &[(&str, f64)]| list.iter().map(|(name, y)| ((*name).to_owned(), *y)).collect();
        assert_eq!(objective.reported(&reported(&[("web", 1.0), ("code", 3.0), ("other", 9.0)])), Some(7.0));
        assert_eq!(objective.reported(&reported(&[("web", 1.0)])), None);
        assert_eq!(objective.loss(&[3.0, 1.0]), -7.0);
    }
}
