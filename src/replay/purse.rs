//! What a strategy has paid for, and what its next purchase costs.

use std::collections::{BTreeMap, BTreeSet};

use super::pool::{Pool, Run};

/// What a strategy may still spend, and how far it has paid for each training run. A row of a run costs what is still to be trained up
/// to it.
pub(super) struct Purse<'a> {
    pool: &'a Pool,
    /// What is left of the budget.
    left: f64,
    /// The cost up to which training runs were paid for, by [`Run::training`].
    paid: BTreeMap<usize, f64>,
    /// Training runs under way.
    busy: BTreeSet<usize>,
}

impl<'a> Purse<'a> {
    /// A budget of which nothing is spent, but for what rounding leaves in sums of costs.
    pub fn new(pool: &'a Pool, budget: f64) -> Self {
        Self { pool, left: budget * (1.0 + 1e-9), paid: BTreeMap::new(), busy: BTreeSet::new() }
    }

    /// What a row (index into [`Pool::runs`]) costs; `None` where it was paid for, its training run is under way, or it costs more than is
    /// left.
    pub fn price(&self, row: usize) -> Option<f64> {
        let Run { cost, training, .. } = self.pool.runs[row];
        let price = cost - self.paid.get(&training).unwrap_or(&0.0);
        (price > 0.0 && price <= self.left && !self.busy.contains(&training)).then_some(price)
    }

    /// Pays for a row that [has a price](Self::price): its training run is under way.
    pub fn pay(&mut self, row: usize, price: f64) {
        let Run { cost, training, .. } = self.pool.runs[row];
        self.left -= price;
        self.paid.insert(training, cost);
        self.busy.insert(training);
    }

    /// The training run has come to a row that was paid for.
    pub fn arrived(&mut self, row: usize) {
        self.busy.remove(&self.pool.runs[row].training);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::tests::two_runs_on_their_way;
    use super::*;

    #[test]
    fn to_go_on_with_a_run_costs_the_difference_once_it_has_arrived() {
        let pool = two_runs_on_their_way();
        let mut purse = Purse::new(&pool, 6.0);
        let prices = |purse: &Purse| (0..6).map(|row| purse.price(row)).collect::<Vec<_>>();
        assert_eq!(prices(&purse), [1.0, 2.0, 4.0, 1.0, 2.0, 4.0].map(Some));
        purse.pay(1, 2.0);
        assert_eq!(prices(&purse), [None, None, None, Some(1.0), Some(2.0), Some(4.0)], "it is under way");
        purse.arrived(1);
        assert_eq!(prices(&purse)[..3], [None, None, Some(2.0)]);
        purse.pay(4, 2.0);
        purse.arrived(4);
        purse.pay(2, 2.0);
        purse.arrived(2);
        assert_eq!(prices(&purse), [None; 6], "nothing is left");
    }
}
