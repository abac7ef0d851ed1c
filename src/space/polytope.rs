//! The polytope of feasible mixtures.

use super::blocks::Blocks;
use super::constraints::{Bound, Constraints, Group, Row};
use super::nearby::Ball;
use super::projection;

/// Wider ranges than this are ranges; narrower ones are equalities in disguise (two bounds that meet).
const FIXED: f64 = 1e-9;

/// Sums of bounds this close to 1 were meant to be 1: decimal fractions such as 0.33333.
const ROUNDING: f64 = 1e-5;

/// `{ w : Σ w = 1, lower ≤ w ≤ upper, min_g ≤ Σ_{i ∈ g} w_i ≤ max_g for every group g }`, never empty. A frozen group
/// also fixes the ratios of its weights.
///
/// Groups may overlap, frozen ones not. Everything that depends on the polytope alone (what each weight can reach, a point in the
/// relative interior, the equalities that the bounds imply) is worked out once, when it is built.
#[derive(Clone, Debug)]
pub struct Polytope {
    lower: Vec<f64>,
    upper: Vec<f64>,
    groups: Vec<Group>,
    pub(super) blocks: Blocks,
    constraints: Constraints,
    /// Per weight, the smallest and largest value over the polytope.
    reach: Vec<(f64, f64)>,
    /// Points where some weight or group sum is smallest or largest.
    extremes: Vec<Vec<f64>>,
    /// A point of the relative interior.
    center: Vec<f64>,
    /// The coordinates that can vary.
    pub(super) free: Vec<usize>,
    /// Where only the points near one of them count: these.
    pub(super) near: Option<Ball>,
}

impl Polytope {
    /// Builds the polytope and checks that it is not empty.
    ///
    /// `lower` and `upper` have one entry a weight (at least one, `lower ≤ upper`), group indices are below that.
    ///
    /// # Errors
    /// The bounds that cannot hold together when no mixture satisfies all: a Farkas certificate, whose bounds are in
    /// conflict as a whole but not without any one of them. Bounds of weights whose sum misses 1 by less than 1e-5 (decimal
    /// fractions such as 0.33333) are scaled to meet it; other conflicts below 1e-9 are not conflicts.
    pub fn new(mut lower: Vec<f64>, mut upper: Vec<f64>, groups: Vec<Group>) -> Result<Self, Vec<Bound>> {
        let dim = lower.len();
        assert!(dim > 0 && upper.len() == dim, "as many lower as upper bounds, at least one");
        assert!(lower.iter().zip(&upper).all(|(l, u)| l <= u), "lower bounds are below upper bounds");
        let blocks = Blocks::new(dim, &groups);
        let mut all = Row::new(blocks.sum(|_| true), 1.0, 1.0);
        all.fixed = true;
        let (mut least, mut most) = blocks.bounds(&lower, &upper)?;
        let sums = (all.sum(&least), all.sum(&most));
        if sums.0 > 1.0 + ROUNDING {
            let bounds = (0..blocks.len()).filter(|&j| least[j] > 0.0).map(Bound::Lower).collect();
            return Err(blocks.stated(bounds, &lower, &upper));
        }
        if sums.1 < 1.0 - ROUNDING {
            return Err(blocks.stated((0..blocks.len()).map(Bound::Upper).collect(), &lower, &upper));
        }
        if sums.0 > 1.0 {
            lower.iter_mut().chain(&mut least).for_each(|l| *l /= sums.0);
        }
        if sums.1 < 1.0 {
            upper.iter_mut().chain(&mut most).for_each(|u| *u /= sums.1);
        }
        for (l, u) in lower.iter().zip(&mut upper).chain(least.iter().zip(&mut most)) {
            *u = u.max(*l);
        }
        let row = |group: &Group| Row::new(blocks.sum(|i| group.domains.contains(&i)), group.min, group.max);
        let rows = [all].into_iter().chain(groups.iter().map(row)).collect();
        let mut polytope = Self {
            constraints: Constraints { lower: least, upper: most, rows },
            reach: vec![(0.0, 0.0); dim],
            extremes: Vec::new(),
            center: vec![1.0 / dim as f64; dim],
            free: Vec::new(),
            near: None,
            lower,
            upper,
            groups,
            blocks,
        };
        let start = polytope.blocks.coordinates(&polytope.center);
        match projection::project(&polytope.constraints, &start) {
            Ok(center) => polytope.center = polytope.weights(center),
            Err(bounds) => return Err(polytope.blocks.stated(bounds, &polytope.lower, &polytope.upper)),
        }
        polytope.explore();
        Ok(polytope)
    }

    /// Finds what every weight and group sum can reach. The mean of the points that reach it has slack in every
    /// inequality that can have slack: it lies in the relative interior.
    fn explore(&mut self) {
        let dim = self.dim();
        let mut direction = vec![0.0; dim];
        for j in 0..self.blocks.len() {
            let i = self.blocks.leader(j);
            direction[i] = -1.0;
            let least = self.maximize(&direction);
            direction[i] = 1.0;
            let most = self.maximize(&direction);
            direction[i] = 0.0;
            for member in self.blocks.members(j) {
                self.reach[member] = (least[member], most[member]);
            }
            if self.reach[i].1 - self.reach[i].0 > FIXED {
                self.free.push(j);
            }
            self.extremes.extend([least, most]);
        }
        for k in 0..self.groups.len() {
            let member = |i| f64::from(u8::from(self.groups[k].domains.contains(&i)));
            let uphill: Vec<f64> = (0..dim).map(member).collect();
            let downhill: Vec<f64> = uphill.iter().map(|a| -a).collect();
            let (most, least) = (self.maximize(&uphill), self.maximize(&downhill));
            let sum = |w: &[f64]| self.constraints.rows[k + 1].sum(&self.blocks.coordinates(w));
            self.constraints.rows[k + 1].fixed = sum(&most) - sum(&least) <= FIXED;
            self.extremes.extend([least, most]);
        }
        let count = self.extremes.len() as f64;
        let mean = (0..dim).map(|i| self.extremes.iter().map(|w| w[i]).sum::<f64>() / count).collect::<Vec<_>>();
        self.center = self.project(&mean);
    }

    /// The part of it whose total-variation distance to `center`, one of its points, is at most `radius` ≥ 0. [`Self::reach`] stays that
    /// of the whole.
    #[must_use]
    pub fn within(&self, center: Vec<f64>, radius: f64) -> Self {
        let ball = Ball { center: center.clone(), radius };
        let extremes = self.extremes.iter().map(|w| ball.pulled(w.clone())).collect();
        Self { extremes, center, near: Some(ball), ..self.clone() }
    }

    /// Number of domains.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.lower.len()
    }

    /// Number of weights, where a frozen group counts as one.
    #[must_use]
    pub fn coordinates(&self) -> usize {
        self.blocks.len()
    }

    /// Lower bounds, as stated.
    #[must_use]
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Upper bounds, as stated.
    #[must_use]
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// All that its points satisfy, in coordinates.
    pub(super) fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// The constraints on sums of weights, in coordinates.
    pub(super) fn rows(&self) -> &[Row] {
        &self.constraints.rows
    }

    /// Bounds on sums of weights, and fixed ratios.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The smallest and largest value of each weight over the polytope; tighter than the stated bounds where other
    /// constraints bind first.
    #[must_use]
    pub fn reach(&self) -> &[(f64, f64)] {
        &self.reach
    }

    /// A point of the relative interior.
    #[must_use]
    pub fn center(&self) -> &[f64] {
        &self.center
    }

    /// Points at which some weight or some group's sum is as small or as large as it can be.
    #[must_use]
    pub fn extremes(&self) -> &[Vec<f64>] {
        &self.extremes
    }

    /// The Euclidean projection of `y` (length [`Self::dim`], finite) onto the polytope: its nearest point.
    ///
    /// Exact up to rounding: bounds hold exactly, sums to 1e-12, and a point of the polytope comes back unchanged.
    #[must_use]
    pub fn project(&self, y: &[f64]) -> Vec<f64> {
        debug_assert_eq!(y.len(), self.dim());
        match &self.near {
            Some(ball) => ball.project_within(y, |y| self.project_whole(y)),
            None => self.project_whole(y),
        }
    }

    pub(super) fn project_whole(&self, y: &[f64]) -> Vec<f64> {
        self.weights(self.nearest(&self.blocks.coordinates(y)))
    }

    /// The nearest coordinates in the polytope.
    pub(super) fn nearest(&self, u: &[f64]) -> Vec<f64> {
        // The constructor has found a feasible point, so that only rounding can end at the center.
        projection::project(&self.constraints, u).unwrap_or_else(|_| self.blocks.coordinates(&self.center))
    }

    /// The weights at some coordinates in the polytope.
    pub(super) fn weights(&self, u: Vec<f64>) -> Vec<f64> {
        self.blocks.weights(u, &self.lower, &self.upper)
    }

    /// Whether `w` satisfies every constraint within `tolerance`.
    #[must_use]
    pub fn contains(&self, w: &[f64], tolerance: f64) -> bool {
        self.constraints.contain(&self.blocks.coordinates(w), tolerance)
            && self.blocks.miss(w) <= tolerance
            && self.near.as_ref().is_none_or(|ball| ball.contains(w, tolerance))
    }

    /// A point where the linear function `gradient · w` is largest, near or not.
    ///
    /// Of such points it is the nearest one to the center.
    #[must_use]
    pub fn maximize(&self, gradient: &[f64]) -> Vec<f64> {
        let [start, gradient] = [&self.center, gradient].map(|w| self.blocks.coordinates(w));
        self.weights(projection::maximize(&self.constraints, &start, &gradient))
    }
}
