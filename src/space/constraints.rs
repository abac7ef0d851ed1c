//! The inequalities that bound mixtures.

/// A bound on the sum of some domains' weights, whose ratios may be fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Unique name, as in the config file.
    pub name: String,
    /// Indices of its domains, in the order of the search space.
    pub domains: Vec<usize>,
    /// Smallest sum of their weights.
    pub min: f64,
    /// Largest sum of their weights.
    pub max: f64,
    /// Fixed ratios of their weights, in the order of `domains`: none is negative, and they sum to 1.
    pub freeze: Option<Vec<f64>>,
}

/// One of the inequalities that make up a [`Polytope`](super::Polytope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// `w_i ≥ lower_i`
    Lower(usize),
    /// `w_i ≤ upper_i`
    Upper(usize),
    /// `Σ_{i ∈ g} w_i ≥ min_g`
    GroupMin(usize),
    /// `Σ_{i ∈ g} w_i ≤ max_g`
    GroupMax(usize),
}

/// What every mixture of a [`Polytope`](super::Polytope) satisfies, in its coordinates ([`Blocks`](super::blocks::Blocks)).
#[derive(Clone, Debug)]
pub(super) struct Constraints {
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    /// The constraints on sums of weights: the sum of all first, then one per group.
    pub rows: Vec<Row>,
}

/// A constraint `min ≤ a·u ≤ max` whose coefficients `a` are not negative; 0 or 1 where coordinates are weights.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub coefficients: Vec<f64>,
    /// The coordinates whose coefficient is not 0, ascending.
    pub members: Vec<usize>,
    pub min: f64,
    pub max: f64,
    /// Whether `a·u` has the same value all over the polytope.
    pub fixed: bool,
}

#[cfg(test)]
thread_local! {
    /// Terms that [`Row::sum`] has added on this thread: what groups cost, counted.
    pub(super) static ADDED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Row {
    pub fn new(coefficients: Vec<f64>, min: f64, max: f64) -> Self {
        let members = (0..coefficients.len()).filter(|i| coefficients[*i] != 0.0).collect();
        Self { coefficients, members, min, max, fixed: false }
    }

    pub fn sum(&self, u: &[f64]) -> f64 {
        #[cfg(test)]
        ADDED.set(ADDED.get() + self.members.len());
        self.members.iter().map(|&i| self.coefficients[i] * u[i]).sum()
    }
}

impl Constraints {
    /// Whether `u` satisfies every constraint within `tolerance`.
    pub fn contain(&self, u: &[f64], tolerance: f64) -> bool {
        u.len() == self.lower.len()
            && u.iter()
                .zip(self.lower.iter().zip(&self.upper))
                .all(|(x, (l, u))| *x >= l - tolerance && *x <= u + tolerance)
            && self.rows.iter().all(|row| {
                let sum = row.sum(u);
                sum >= row.min - tolerance && sum <= row.max + tolerance
            })
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
