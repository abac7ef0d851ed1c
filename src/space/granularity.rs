//! Weights that can be used in practice: none that is tiny, and round ones.

use std::fmt;

use super::constraints::{Bound, Constraints};
use super::{Polytope, projection};

/// Weights closer than this are the same.
const SAME: f64 = 1e-9;
/// A mixture breaks a bound only by more than this.
const BROKEN: f64 = 1e-6;
/// More steps than this do not make a weight any rounder.
const MOST_STEPS: f64 = 1e4;
/// Nodes of a search for the nearest usable mixture, once one is known, and before that.
const MOST_NODES: (usize, usize) = (200, 20_000);

/// Which weights can be used (`limits.smallest_weight`, `limits.step`). By default, all can.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Granularity {
    /// Every weight is 0 or at least this, below 1.
    pub smallest: Option<f64>,
    /// Every weight is a multiple of one over this.
    pub steps: Option<u32>,
}

impl Granularity {
    /// How many steps make 1; `None` if that is no whole number of at most 10,000.
    #[must_use]
    pub fn steps_of(step: f64) -> Option<u32> {
        let steps = (1.0 / step).round();
        ((1.0..=MOST_STEPS).contains(&steps) && 1.0 / steps == step).then_some(steps as u32)
    }

    /// One over [`steps`](Self::steps): `limits.step`.
    #[must_use]
    pub fn step(self) -> Option<f64> {
        self.steps.map(|steps| 1.0 / f64::from(steps))
    }

    /// Decimals with which every multiple of the step is exact; 0 without a step.
    #[must_use]
    pub fn decimals(self) -> usize {
        self.step().map_or(0, |step| step.to_string().len().saturating_sub("0.".len()))
    }

    /// The smallest usable weight above 0; 0 if there is no smallest one.
    #[must_use]
    pub fn least(self) -> f64 {
        let smallest = self.smallest.unwrap_or(0.0);
        self.steps.map_or(smallest, |steps| above(smallest, steps).max(1.0 / f64::from(steps)))
    }

    /// The largest usable weight that is at most `weight`.
    #[must_use]
    pub fn below(self, weight: f64) -> f64 {
        let rounded = |steps: u32| (f64::from(steps) * (weight + SAME)).floor() / f64::from(steps);
        let below = self.steps.map_or(weight, rounded);
        if below < self.least() { 0.0 } else { below }
    }

    /// The smallest usable weight that is at least `weight`.
    #[must_use]
    pub fn above(self, weight: f64) -> f64 {
        match self.steps {
            _ if weight <= 0.0 => 0.0,
            Some(steps) => above(weight, steps).max(self.least()),
            None => weight.max(self.least()),
        }
    }

    /// Whether a weight is too small, and whether it is no whole number of steps.
    pub(super) fn breaks(self, weight: f64) -> (bool, bool) {
        let small = weight > BROKEN && weight < self.smallest.unwrap_or(0.0) - BROKEN;
        (small, self.steps.is_some_and(|steps| (nearest_multiple(weight, steps) - weight).abs() > BROKEN))
    }

    /// The usable weights next to one that is not.
    fn neighbours(self, weight: f64) -> Option<(f64, f64)> {
        let multiple = self.steps.map_or(weight, |steps| nearest_multiple(weight, steps));
        let usable = (multiple - weight).abs() < SAME && (multiple <= 0.0 || multiple >= self.least());
        (!usable).then(|| (self.below(weight), self.above(weight)))
    }
}

fn nearest_multiple(weight: f64, steps: u32) -> f64 {
    (f64::from(steps) * weight).round() / f64::from(steps)
}

/// The smallest multiple of a step that is at least `weight`.
fn above(weight: f64, steps: u32) -> f64 {
    (f64::from(steps) * (weight - SAME)).ceil() / f64::from(steps)
}

/// What is asked of the weights, in words.
impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let smallest = self.smallest.map(|_| format!("0 or at least {} (limits.smallest_weight)", self.least()));
        let step = self.step().map(|step| format!("a multiple of {step} (limits.step)"));
        f.write_str(&smallest.into_iter().chain(step).collect::<Vec<_>>().join(" and "))
    }
}

/// The usable mixtures of a polytope. There is at least one.
#[derive(Clone, Debug)]
pub(super) struct Usable {
    pub granularity: Granularity,
    /// The polytope with bounds that are usable weights.
    polytope: Polytope,
    /// One of them, in case that a search finds none.
    any: Vec<f64>,
}

impl Usable {
    /// The mixtures of `polytope` with usable weights.
    ///
    /// # Errors
    /// There is none. The bounds, if it is known which, that exclude it.
    pub fn new(granularity: Granularity, polytope: &Polytope) -> Result<Self, Vec<Bound>> {
        let lower: Vec<f64> = polytope.lower().iter().map(|l| granularity.above(*l)).collect();
        let upper: Vec<f64> = polytope.upper().iter().map(|u| granularity.below(*u)).collect();
        if let Some(i) = (0..lower.len()).find(|i| lower[*i] > upper[*i]) {
            return Err(vec![Bound::Lower(i), Bound::Upper(i)]);
        }
        let mut groups = polytope.groups().to_vec();
        for group in &mut groups {
            (group.min, group.max) = (granularity.above(group.min), granularity.below(group.max));
        }
        if let Some(g) = groups.iter().position(|group| group.min > group.max) {
            return Err(vec![Bound::GroupMin(g), Bound::GroupMax(g)]);
        }
        let polytope = Polytope::new(lower, upper, groups)?;
        let any = nearest(granularity, &polytope, polytope.center()).ok_or_else(Vec::new)?;
        Ok(Self { granularity, polytope, any })
    }

    /// The nearest one to `w`.
    pub fn nearest(&self, w: &[f64]) -> Vec<f64> {
        nearest(self.granularity, &self.polytope, w).unwrap_or_else(|| self.any.clone())
    }

    /// The mixtures that have exactly the domains of a usable one, with weights of at least the smallest.
    pub fn face(&self, w: &[f64]) -> Option<Polytope> {
        let least = self.granularity.least();
        let within = |bound: &[f64], least: f64| {
            bound.iter().zip(w).map(|(b, w)| if *w > 0.0 { b.max(least) } else { 0.0 }).collect()
        };
        let (lower, upper) = (within(self.polytope.lower(), least), within(self.polytope.upper(), 0.0));
        Polytope::new(lower, upper, self.polytope.groups().to_vec()).ok()
    }
}

/// The usable mixture of `polytope` that is nearest to `y`; `None` if the search finds none.
///
/// Branch and bound (Land & Doig, Econometrica 28, 1960): the exact projection leaves out what is asked of the weights. If it has a weight
/// that is not usable, that weight is at most the usable one below or at least the one above. The nearer of the two is looked at first. A
/// projection that is farther away than the best mixture found ends its branch.
fn nearest(granularity: Granularity, polytope: &Polytope, y: &[f64]) -> Option<Vec<f64>> {
    let mut constraints = polytope.constraints().clone();
    let mut open = vec![(polytope.lower().to_vec(), polytope.upper().to_vec())];
    let start = polytope.blocks.coordinates(y);
    let mut best: Option<(f64, Vec<f64>)> = None;
    let mut nodes = 0;
    while let Some((lower, upper)) = open.pop() {
        nodes += 1;
        if nodes > if best.is_some() { MOST_NODES.0 } else { MOST_NODES.1 } {
            break;
        }
        let Ok(bounds) = polytope.blocks.bounds(&lower, &upper) else { continue };
        (constraints.lower, constraints.upper) = bounds;
        let Some(u) = projected(&constraints, &start) else { continue };
        let w = polytope.blocks.weights(u, &lower, &upper);
        let distance: f64 = w.iter().zip(y).map(|(w, y)| (w - y).powi(2)).sum();
        if best.as_ref().is_some_and(|(least, _)| distance >= *least) {
            continue;
        }
        let gap = |(i, (below, above)): &(usize, (f64, f64))| (w[*i] - below).min(above - w[*i]);
        let unusable = w.iter().enumerate().filter_map(|(i, w)| Some((i, granularity.neighbours(*w)?)));
        let Some((i, (below, above))) = unusable.max_by(|a, b| gap(a).total_cmp(&gap(b))) else {
            best = Some((distance, w.into_iter().map(|w| granularity.below(w)).collect()));
            continue;
        };
        let (mut down, mut up) = ((lower.clone(), upper.clone()), (lower, upper));
        (down.1[i], up.0[i]) = (below, above);
        let branches = if w[i] - below < above - w[i] { [up, down] } else { [down, up] };
        open.extend(branches.into_iter().filter(|(lower, upper)| lower[i] <= upper[i]));
    }
    best.map(|(_, w)| w)
}

/// The projection onto constraints that may leave nothing.
fn projected(constraints: &Constraints, y: &[f64]) -> Option<Vec<f64>> {
    let sum = &constraints.rows[0];
    let (least, most) = (sum.sum(&constraints.lower), sum.sum(&constraints.upper));
    if least > 1.0 + SAME || most < 1.0 - SAME {
        return None;
    }
    projection::project(constraints, y).ok().filter(|w| constraints.contain(w, SAME))
}
