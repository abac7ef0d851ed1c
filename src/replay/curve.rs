//! What a strategy's purchases were worth: regret against cumulative cost.

use super::pool::Pool;
use crate::problem::affordable;

/// One run that has finished, and the recommendation that follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Cumulative cost of finished runs, this one included.
    pub cost: f64,
    /// What was bought: index into [`Pool::runs`].
    pub run: usize,
    /// What is recommended now: index into [`Pool::candidates`].
    pub recommended: usize,
    /// Regret of the recommendation, in standard deviations of the logged target runs.
    pub regret: f64,
    /// Whether the guards hold on it.
    pub keeps: bool,
    /// What the strategy itself expects that regret to be, in the same unit; `None` where it has no opinion.
    pub expected_regret: Option<f64>,
}

/// Regret as a step function of cumulative cost, for one strategy and seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Regret before the first purchase: that of a candidate drawn at random.
    pub blind: f64,
    /// Purchases in order, costs increasing.
    pub steps: Vec<Step>,
}

impl Curve {
    /// A curve before its first purchase.
    pub(super) fn new(pool: &Pool) -> Self {
        Self { blind: pool.blind_regret(), steps: Vec::new() }
    }

    /// Regret once `cost` has been spent.
    #[must_use]
    pub fn regret(&self, cost: f64) -> f64 {
        let bought = self.steps.partition_point(|step| affordable(step.cost, cost));
        bought.checked_sub(1).map_or(self.blind, |last| self.steps[last].regret)
    }

    /// Whether the guards hold on what is recommended once `cost` has been spent; `None` before the first purchase.
    #[must_use]
    pub fn keeps(&self, cost: f64) -> Option<bool> {
        let bought = self.steps.partition_point(|step| affordable(step.cost, cost));
        Some(self.steps[bought.checked_sub(1)?].keeps)
    }

    /// Cost at which the recommendation first is within `tolerance` standard deviations of the best; `None`: never.
    #[must_use]
    pub fn first(&self, tolerance: f64) -> Option<f64> {
        self.steps.iter().find(|step| step.regret <= tolerance).map(|step| step.cost)
    }

    /// Cost from which the recommendation stays within `tolerance` to the end; `None` where the last one is not.
    #[must_use]
    pub fn stay(&self, tolerance: f64) -> Option<f64> {
        let settled = self.steps.iter().rev().take_while(|step| step.regret <= tolerance).count();
        self.steps.get(self.steps.len() - settled).map(|step| step.cost)
    }
}

/// The median of costs, some of which were never reached (which counts as infinite): `None` where at least the middle
/// one was not. Of an even number the mean of the middle two.
#[must_use]
pub fn median_cost(costs: &[Option<f64>]) -> Option<f64> {
    let costs: Vec<f64> = costs.iter().map(|cost| cost.unwrap_or(f64::INFINITY)).collect();
    quantile(&costs, 0.5).filter(|median| median.is_finite())
}

/// The `q`-quantile of `values` (any order), interpolated linearly between neighbours; `None` without values.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    // Not low + t (high - low) throughout: infinities must not become NaN.
    Some(if low == high { low } else { low + (position - position.floor()) * (high - low) })
}

/// Costs 1, 3, 10, 30, … that a budget and the price of the cheapest run span, at most the last six decades of it, for a
/// first look at a curve; ends with the budget.
#[must_use]
pub fn cost_grid(cheapest: f64, budget: f64) -> Vec<f64> {
    let start = (5.0 * cheapest).max(1e-6 * budget);
    let exponents = start.log10().floor() as i32..=budget.log10().ceil() as i32;
    let mut grid: Vec<f64> = exponents
        .flat_map(|e| [1.0, 3.0].map(|m| format!("{m}e{e}").parse().unwrap_or(f64::NAN)))
        .filter(|cost| *cost >= start && !affordable(budget, *cost))
        .collect();
    grid.push(budget);
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(steps: &[(f64, f64)]) -> Curve {
        let step = |&(cost, regret): &(f64, f64)| Step {
            cost,
            run: 0,
            recommended: 0,
            regret,
            keeps: true,
            expected_regret: None,
        };
        Curve { blind: 2.0, steps: steps.iter().map(step).collect() }
    }

    #[test]
    fn regret_is_a_step_function_that_starts_blind() {
        let curve = curve(&[(0.1, 1.5), (0.2, 0.4), (0.1 + 0.2, 0.0)]);
        assert_eq!(curve.regret(0.05), 2.0);
        assert_eq!(curve.regret(0.1), 1.5);
        assert_eq!(curve.regret(0.25), 0.4);
        assert_eq!(curve.regret(0.3), 0.0, "0.1 + 0.2 counts as 0.3");
        assert_eq!(curve.regret(100.0), 0.0);
    }

    #[test]
    fn first_and_stay_differ_where_the_recommendation_wanders() {
        let wandering = curve(&[(1.0, 0.05), (2.0, 0.5), (3.0, 0.1), (4.0, 0.0)]);
        assert_eq!((wandering.first(0.1), wandering.stay(0.1)), (Some(1.0), Some(3.0)));
        let lost = curve(&[(1.0, 0.05), (2.0, 0.5)]);
        assert_eq!((lost.first(0.1), lost.stay(0.1)), (Some(1.0), None));
        let nothing = curve(&[]);
        assert_eq!((nothing.first(0.1), nothing.stay(0.1)), (None, None));
        let at_once = curve(&[(1.0, 0.0), (2.0, 0.0)]);
        assert_eq!(at_once.stay(0.1), Some(1.0));
    }

    #[test]
    fn medians_count_never_as_infinite() {
        assert_eq!(median_cost(&[Some(3.0), None, Some(1.0)]), Some(3.0));
        assert_eq!(median_cost(&[Some(3.0), None, None]), None);
        assert_eq!(median_cost(&[Some(3.0), None]), None);
        assert_eq!(median_cost(&[None, None]), None);
        assert_eq!(median_cost(&[Some(2.0), Some(4.0)]), Some(3.0));
        assert_eq!(median_cost(&[]), None);
    }

    #[test]
    fn the_grid_spans_the_budget() {
        assert_eq!(cost_grid(0.001, 3.0), [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]);
        assert_eq!(cost_grid(1.0, 2.0), [2.0]);
        assert_eq!(cost_grid(1e-300, 1e300).len(), 13);
    }
}
