//! The inequalities that bound mixtures.

/// A bound on the sum of some domains' weights.
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

/// What every mixture of a [`Polytope`](super::Polytope)(super::Polytope) satisfies.
#[derive(Clone, Debug)]
pub(super) struct Constraints {
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    pub groups: Vec<Group>,
    /// The constraints on sums of weights: the sum of all first, then one per group.
    pub rows: Vec<Row>,
}

/// A constraint `min ≤ a·w ≤ max` whose coefficients `a` are 0 or 1.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub coefficients: Vec<f64>,
    /// The weights whose coefficient is 1, ascending.
    pub members: Vec<usize>,
    pub min: f64,
    pub max: f64,
    /// Whether `a·w` has the same value all over the polytope.
    pub fixed: bool,
}

impl Row {
    pub fn sum(&self, w: &[f64]) -> f64 {
        self.members.iter().map(|&i| w[i]).sum()
    }
}

impl Constraints {
    /// Whether `w` satisfies every constraint within `tolerance`.
    pub fn contain(&self, w: &[f64], tolerance: f64) -> bool {
        w.len() == self.lower.len()
            && w.iter()
                .zip(self.lower.iter().zip(&self.upper))
                .all(|(x, (l, u))| *x >= l - tolerance && *x <= u + tolerance)
            && self.rows.iter().all(|row| {
                let sum = row.sum(w);
                sum >= row.min - tolerance && sum <= row.max + tolerance
            })
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
