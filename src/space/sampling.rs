//! Uniform sampling of a [`Polytope`].

use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::Polytope;
use super::constraints::{Constraints, dot};

impl Polytope {
    /// `n` points distributed uniformly over the polytope (over its affine hull, where bounds imply equalities).
    ///
    /// Exact where only lower bounds cut the simplex; else a thinned hit-and-run chain, whose points are independent
    /// for practical purposes. Points that are too far away, where only the near ones count ([`Self::within`]), are pulled to the
    /// border.
    pub fn sample(&self, n: usize, rng: &mut impl Rng) -> Vec<Vec<f64>> {
        let points = self.sample_whole(n, rng);
        match &self.near {
            Some(ball) => points.into_iter().map(|w| ball.pulled(w)).collect(),
            None => points,
        }
    }

    fn sample_whole(&self, n: usize, rng: &mut impl Rng) -> Vec<Vec<f64>> {
        if self.free.is_empty() {
            return vec![self.center().to_vec(); n];
        }
        // With a group, frozen or not, the chain is needed: coordinates are weights without.
        let slack = 1.0 - self.lower().iter().sum::<f64>();
        let cut_from_below =
            |i: usize| self.lower()[i] == self.upper()[i] || self.upper()[i] - self.lower()[i] >= slack;
        if self.groups().is_empty() && (0..self.dim()).all(cut_from_below) {
            return (0..n).map(|_| self.sample_corner(slack, rng)).collect();
        }
        let mut chain = Chain::new(self);
        for _ in 0..20 {
            chain.sweep(rng);
        }
        (0..n)
            .map(|_| {
                chain.sweep(rng);
                self.weights(chain.point.clone())
            })
            .collect()
    }

    /// A point of the simplex that lower bounds leave: normalized exponentials.
    fn sample_corner(&self, slack: f64, rng: &mut impl Rng) -> Vec<f64> {
        let mut shares = vec![0.0; self.dim()];
        for &i in &self.free {
            shares[i] = Exp1.sample(rng);
        }
        let total: f64 = shares.iter().sum();
        let point: Vec<f64> = self.lower().iter().zip(&shares).map(|(l, s)| l + slack * s / total).collect();
        self.project_whole(&point)
    }
}

/// Hit-and-run: from a point, draw a direction that does not depend on it, then a point uniformly from the chord
/// (Smith, Operations Research 32, 1984).
///
/// It runs in the coordinates of the polytope, in which distances are those between weights.
///
/// Three kinds of directions are mixed. Exchanges between two weights are cheap, and their chords have the scale of the
/// two weights, however small their bounds are. Differences of extreme points have long chords in thin polytopes, since
/// they are themselves short where it is thin. Isotropic directions within the affine hull miss nothing.
struct Chain<'a> {
    polytope: &'a Polytope,
    point: Vec<f64>,
    /// Per row of the polytope.
    sums: Vec<f64>,
    /// The group rows that can vary, by index.
    rows: Vec<usize>,
    /// Per variable, the share of it that each of these rows counts, and the places of those that count any.
    shares: Vec<Vec<f64>>,
    counting: Vec<Vec<usize>>,
    /// Per free variable, the free variables it can exchange weight with: those of which the same share is in each fixed group.
    partners: Vec<Vec<usize>>,
    /// Orthonormal basis of the fixed rows, restricted to the free variables.
    basis: Vec<Vec<f64>>,
}

impl<'a> Chain<'a> {
    fn new(polytope: &'a Polytope) -> Self {
        let free = &polytope.free;
        let fixed: Vec<&Vec<f64>> = polytope.rows().iter().filter(|r| r.fixed).map(|r| &r.coefficients).collect();
        let sum = &polytope.rows()[0].coefficients;
        let alike = |i: usize, j: usize| fixed.iter().all(|a| a[i] / sum[i] == a[j] / sum[j]);
        let partners =
            free.iter().map(|&i| free.iter().copied().filter(|&j| j != i && alike(i, j)).collect()).collect();
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for row in &fixed {
            let mut v = vec![0.0; polytope.coordinates()];
            free.iter().for_each(|&i| v[i] = row[i]);
            remove_components(&mut v, &basis);
            let norm = dot(&v, &v).sqrt();
            // Entries are 0, 1 or of a frozen group: a dependent row leaves rounding errors only.
            if norm > 1e-6 {
                v.iter_mut().for_each(|x| *x /= norm);
                basis.push(v);
            }
        }
        let rows: Vec<usize> = (1..polytope.rows().len()).filter(|&k| !polytope.rows()[k].fixed).collect();
        let share = |i: usize| rows.iter().map(|&k| polytope.rows()[k].coefficients[i] / sum[i]).collect();
        let shares: Vec<Vec<f64>> = (0..polytope.coordinates()).map(share).collect();
        let counting = |shares: &Vec<f64>| (0..shares.len()).filter(|k| shares[*k] != 0.0).collect();
        let counting = shares.iter().map(counting).collect();
        let point = polytope.blocks.coordinates(polytope.center());
        let sums = polytope.rows().iter().map(|r| r.sum(&point)).collect();
        Self { polytope, point, sums, rows, shares, counting, partners, basis }
    }

    /// Enough steps to forget the point it starts from.
    fn sweep(&mut self, rng: &mut impl Rng) {
        let free = self.polytope.free.len();
        for step in 0..4 * free {
            self.exchange(rng);
            if step % 16 == 0 {
                let direction = self.isotropic(rng);
                self.run(&direction, rng);
                let direction = self.difference(rng);
                self.run(&direction, rng);
            }
        }
        self.point = self.polytope.nearest(&self.point);
        for (sum, row) in self.sums.iter_mut().zip(self.polytope.rows()) {
            *sum = row.sum(&self.point);
        }
    }

    /// Moves weight between two variables.
    fn exchange(&mut self, rng: &mut impl Rng) {
        let from = rng.random_range(0..self.partners.len());
        let partners = &self.partners[from];
        if partners.is_empty() {
            return;
        }
        let (i, j) = (self.polytope.free[from], partners[rng.random_range(0..partners.len())]);
        let Constraints { lower, upper, rows } = self.polytope.constraints();
        let (sum, u) = (&rows[0].coefficients, &self.point);
        let mut least = (sum[i] * (lower[i] - u[i])).max(sum[j] * (u[j] - upper[j]));
        let mut most = (sum[i] * (upper[i] - u[i])).min(sum[j] * (u[j] - lower[j]));
        let (a, b) = (&self.shares[i], &self.shares[j]);
        let of_j_alone = self.counting[j].iter().filter(|k| a[**k] == 0.0);
        let slopes = self.counting[i].iter().chain(of_j_alone).map(|&k| (self.rows[k], a[k] - b[k]));
        for (k, slope) in slopes.clone().filter(|(_, slope)| *slope != 0.0) {
            let (below, above) = ((rows[k].min - self.sums[k]) / slope, (rows[k].max - self.sums[k]) / slope);
            (least, most) = (least.max(below.min(above)), most.min(below.max(above)));
        }
        if least < most {
            let t = least + (most - least) * rng.random::<f64>();
            self.point[i] += t / sum[i];
            self.point[j] -= t / sum[j];
            for (k, slope) in slopes {
                self.sums[k] += t * slope;
            }
        }
    }

    fn isotropic(&self, rng: &mut impl Rng) -> Vec<f64> {
        let mut direction = vec![0.0; self.point.len()];
        for &i in &self.polytope.free {
            direction[i] = StandardNormal.sample(rng);
        }
        remove_components(&mut direction, &self.basis);
        direction
    }

    fn difference(&self, rng: &mut impl Rng) -> Vec<f64> {
        let extremes = self.polytope.extremes();
        let drawn =
            |rng: &mut _| self.polytope.blocks.coordinates(&extremes[Rng::random_range(rng, 0..extremes.len())]);
        let (a, b) = (drawn(rng), drawn(rng));
        let mut direction = vec![0.0; self.point.len()];
        for &i in &self.polytope.free {
            direction[i] = a[i] - b[i];
        }
        direction
    }

    /// Moves to a uniformly drawn point of the chord along `direction`.
    fn run(&mut self, direction: &[f64], rng: &mut impl Rng) {
        let scale = direction.iter().fold(0.0_f64, |m, d| m.max(d.abs()));
        if scale < 1e-9 {
            return;
        }
        let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut clip = |slope: f64, below: f64, above: f64| {
            if slope.abs() > 1e-12 * scale {
                let (a, b) = (below / slope, above / slope);
                (least, most) = (least.max(a.min(b)), most.min(a.max(b)));
            }
        };
        let Constraints { lower, upper, .. } = self.polytope.constraints();
        for &i in &self.polytope.free {
            clip(direction[i], lower[i] - self.point[i], upper[i] - self.point[i]);
        }
        for &k in &self.rows {
            let row = &self.polytope.rows()[k];
            clip(row.sum(direction), row.min - self.sums[k], row.max - self.sums[k]);
        }
        if least < most {
            let t = least + (most - least) * rng.random::<f64>();
            self.point.iter_mut().zip(direction).for_each(|(w, d)| *w += t * d);
            for &k in &self.rows {
                self.sums[k] = self.polytope.rows()[k].sum(&self.point);
            }
        }
    }
}

/// Makes `v` orthogonal to an orthonormal `basis`; twice, so that cancellation leaves nothing.
fn remove_components(v: &mut [f64], basis: &[Vec<f64>]) {
    for _ in 0..2 {
        for b in basis {
            let c = dot(v, b);
            v.iter_mut().zip(b).for_each(|(x, y)| *x -= c * y);
        }
    }
}
