//! The polytope of feasible mixtures.

use rand::Rng;

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

/// `{ w : Σ w = 1, lower ≤ w ≤ upper, min_g ≤ Σ_{i ∈ g} w_i ≤ max_g for every group g }`, never empty.
#[derive(Clone, Debug)]
pub struct Polytope {
    lower: Vec<f64>,
    upper: Vec<f64>,
    groups: Vec<Group>,
}

impl Polytope {
    /// Number of domains.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.lower.len()
    }

    /// The Euclidean projection of `y` (length [`Self::dim`]) onto the polytope.
    #[must_use]
    pub fn project(&self, y: &[f64]) -> Vec<f64> {
        let _ = (&self.upper, &self.groups, y);
        todo!()
    }

    /// Whether `w` satisfies every constraint within `tolerance`.
    #[must_use]
    pub fn contains(&self, w: &[f64], tolerance: f64) -> bool {
        let _ = (w, tolerance);
        todo!()
    }

    /// `n` points distributed uniformly over the polytope.
    pub fn sample(&self, n: usize, rng: &mut impl Rng) -> Vec<Vec<f64>> {
        let _ = (n, rng);
        todo!()
    }

    /// A space-filling design: `n` points chosen one after another, each as far as possible (in the Hellinger distance,
    /// the Euclidean one between square roots of weights) from those before it and from `taken`.
    pub fn max_min_design(&self, n: usize, taken: &[&[f64]], rng: &mut impl Rng) -> Vec<Vec<f64>> {
        let _ = (n, taken, rng);
        todo!()
    }
}
