//! Uniform sampling of a [`Polytope`].

use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::Polytope;
use super::constraints::{Constraints, Row, dot};

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
                self.weights(chain.place.point.clone())
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
///
/// The sums of groups are carried along: a step changes each by its slope, so that only isotropic directions are summed over the
/// members of groups. Each sweep ends with sums of the point itself, so that rounding errors do not add up.
struct Chain<'a> {
    polytope: &'a Polytope,
    /// The group rows that can vary.
    rows: Vec<&'a Row>,
    place: Place,
    /// Per extreme point of the polytope, its sums.
    extreme_sums: Vec<Vec<f64>>,
    /// Per variable, the share of it that each of these rows counts, and the rows that count any.
    shares: Vec<Vec<f64>>,
    counting: Vec<Vec<usize>>,
    /// Scratch: the rows that an exchange changes, with their slopes.
    changed: Vec<(usize, f64)>,
    /// Per free variable, the free variables it can exchange weight with: those of which the same share is in each fixed group.
    partners: Vec<Vec<usize>>,
    /// Orthonormal basis of the fixed rows, restricted to the free variables.
    basis: Vec<Vec<f64>>,
}

/// A point or a direction, and its sum in every row of a chain.
struct Place {
    point: Vec<f64>,
    sums: Vec<f64>,
}

impl Place {
    fn new(rows: &[&Row], point: Vec<f64>) -> Self {
        let sums = rows.iter().map(|row| row.sum(&point)).collect();
        Self { point, sums }
    }

    /// Moves it by `t` along a direction.
    fn advance(&mut self, t: f64, direction: &Place) {
        self.point.iter_mut().zip(&direction.point).for_each(|(x, d)| *x += t * d);
        self.sums.iter_mut().zip(&direction.sums).for_each(|(x, d)| *x += t * d);
    }
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
        let rows: Vec<&Row> = polytope.rows()[1..].iter().filter(|row| !row.fixed).collect();
        let share = |i: usize| rows.iter().map(|row| row.coefficients[i] / sum[i]).collect();
        let shares: Vec<Vec<f64>> = (0..polytope.coordinates()).map(share).collect();
        let counting = |shares: &Vec<f64>| (0..shares.len()).filter(|k| shares[*k] != 0.0).collect();
        let counting = shares.iter().map(counting).collect();
        let at = |w: &[f64]| Place::new(&rows, polytope.blocks.coordinates(w));
        let (place, extreme_sums) = (at(polytope.center()), polytope.extremes().iter().map(|w| at(w).sums).collect());
        Self { polytope, place, extreme_sums, rows, shares, counting, changed: Vec::new(), partners, basis }
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
        self.place = Place::new(&self.rows, self.polytope.nearest(&self.place.point));
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
        let (sum, Place { point: u, sums }) = (&rows[0].coefficients, &mut self.place);
        let mut least = (sum[i] * (lower[i] - u[i])).max(sum[j] * (u[j] - upper[j]));
        let mut most = (sum[i] * (upper[i] - u[i])).min(sum[j] * (u[j] - lower[j]));
        let (a, b) = (&self.shares[i], &self.shares[j]);
        let of_j_alone = self.counting[j].iter().filter(|k| a[**k] == 0.0);
        self.changed.clear();
        self.changed.extend(self.counting[i].iter().map(|&k| (k, a[k] - b[k])).filter(|(_, slope)| *slope != 0.0));
        self.changed.extend(of_j_alone.map(|&k| (k, -b[k])));
        for &(k, slope) in &self.changed {
            let (below, above) = ((self.rows[k].min - sums[k]) / slope, (self.rows[k].max - sums[k]) / slope);
            (least, most) = (least.max(below.min(above)), most.min(below.max(above)));
        }
        if least < most {
            let t = least + (most - least) * rng.random::<f64>();
            u[i] += t / sum[i];
            u[j] -= t / sum[j];
            for &(k, slope) in &self.changed {
                sums[k] += t * slope;
            }
        }
    }

    fn isotropic(&self, rng: &mut impl Rng) -> Place {
        let mut direction = vec![0.0; self.polytope.coordinates()];
        for &i in &self.polytope.free {
            direction[i] = StandardNormal.sample(rng);
        }
        remove_components(&mut direction, &self.basis);
        Place::new(&self.rows, direction)
    }

    fn difference(&self, rng: &mut impl Rng) -> Place {
        let extremes = self.polytope.extremes();
        let drawn = [(); 2].map(|()| rng.random_range(0..extremes.len()));
        let [a, b] = drawn.map(|k| self.polytope.blocks.coordinates(&extremes[k]));
        let mut point = vec![0.0; a.len()];
        for &i in &self.polytope.free {
            point[i] = a[i] - b[i];
        }
        let [a, b] = drawn.map(|k| &self.extreme_sums[k]);
        Place { point, sums: a.iter().zip(b).map(|(a, b)| a - b).collect() }
    }

    /// Moves to a uniformly drawn point of the chord along `direction`.
    fn run(&mut self, direction: &Place, rng: &mut impl Rng) {
        let scale = direction.point.iter().fold(0.0_f64, |m, d| m.max(d.abs()));
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
        let Place { point, sums } = &self.place;
        for &i in &self.polytope.free {
            clip(direction.point[i], lower[i] - point[i], upper[i] - point[i]);
        }
        for ((row, sum), slope) in self.rows.iter().zip(sums).zip(&direction.sums) {
            clip(*slope, row.min - sum, row.max - sum);
        }
        if least < most {
            let t = least + (most - least) * rng.random::<f64>();
            self.place.advance(t, direction);
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::seq::index;
    use rand_chacha::ChaCha8Rng;

    use super::super::constraints::{ADDED, Group};
    use super::*;

    /// 60 domains in 60 groups of 15 random ones.
    fn overlapping() -> Polytope {
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let groups = (0..60).map(|g| Group {
            name: g.to_string(),
            domains: index::sample(rng, 60, 15).into_vec(),
            min: 0.1,
            max: 0.4,
            freeze: None,
        });
        Polytope::new(vec![0.0; 60], vec![1.0; 60], groups.collect()).unwrap()
    }

    #[test]
    fn sums_are_carried_along() {
        let polytope = overlapping();
        let (mut chain, rng) = (Chain::new(&polytope), &mut ChaCha8Rng::seed_from_u64(1));
        for _ in 0..100 {
            chain.exchange(rng);
            chain.run(&chain.isotropic(rng), rng);
            chain.run(&chain.difference(rng), rng);
        }
        let summed = Place::new(&chain.rows, chain.place.point.clone()).sums;
        assert!(chain.place.sums.iter().zip(&summed).all(|(carried, sum)| (carried - sum).abs() < 1e-12));
    }

    #[test]
    fn only_isotropic_directions_are_summed_over_groups() {
        let polytope = overlapping();
        let (mut chain, rng) = (Chain::new(&polytope), &mut ChaCha8Rng::seed_from_u64(1));
        let members: usize = chain.rows.iter().map(|row| row.members.len()).sum();
        let isotropic = 4 * polytope.free.len() / 16;
        ADDED.set(0);
        chain.sweep(rng);
        // The end of a sweep looks at every group a few times, to project.
        assert!(ADDED.get() <= (isotropic + 5) * members, "{} of {members} members", ADDED.get());
    }
}
