//! Exact Euclidean projection onto a polytope, given by its [`Constraints`].
//!
//! First the groups are left out: what remains, `Σ w = 1` and bounds, is the continuous quadratic knapsack problem,
//! solved by fixing variables (Bitran & Hax, Management Science 27, 1981; Kiwiel, JOTA 136, 2008). Where its solution
//! breaks a group bound, it is the start of the dual active-set method of Goldfarb & Idnani (Mathematical Programming
//! 27, 1983). With the identity as the Hessian, and variables at their bounds taken out, the linear systems of that
//! method have only as many unknowns as there are active sums.

use super::constraints::{Bound, Constraints, Row, dot};

/// A constraint broken by less than this holds.
const FEASIBLE: f64 = 1e-13;
/// A conflict smaller than this is blamed on decimal fractions, not on the user.
const CONFLICT: f64 = 1e-9;
/// Components below this count as zero: normals are 0/1 vectors, or ratios of frozen groups, so that true components are far above it.
const ZERO: f64 = 1e-10;

/// Rounds of [`maximize`], at most: a few are the rule.
const MOST_ROUNDS: usize = 40;

/// Where a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Free,
    Lower,
    Upper,
    /// Lower and upper bound are the same.
    Pinned,
}

/// A sum of weights held at one of its bounds.
struct ActiveRow {
    row: usize,
    /// +1 at the minimum, −1 at the maximum, 0 where both are the same (the sum of all weights).
    sign: f64,
    value: f64,
    /// `sign · multiplier ≥ 0`
    multiplier: f64,
}

/// The projection of `y`, or bounds that cannot hold together.
pub(super) fn project(constraints: &Constraints, y: &[f64]) -> Result<Vec<f64>, Vec<Bound>> {
    let w = once(constraints, y)?;
    // Seen from very far away (a solver's step may be that long), one weight is not told from the next: what comes out is near
    // the right place, but can miss a sum by the rounding of `y`.
    if constraints.contain(&w, CONFLICT) { Ok(w) } else { once(constraints, &w) }
}

/// A point that satisfies the constraints, where the linear function `gradient · w` is largest, given one that satisfies them.
///
/// The projection of `start + t · gradient` is such a point if t is large (Mangasarian & Meyer, SIAM J. Control Optim. 17, 1979). As t grows,
/// each projection starts from the active constraints of the last one. It is the last if no t changes them any more.
pub(super) fn maximize(constraints: &Constraints, start: &[f64], gradient: &[f64]) -> Vec<f64> {
    let mut state = State::water_filled(constraints, start);
    let largest = gradient.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
    if largest == 0.0 || !state.sides.contains(&Side::Free) {
        return start.to_vec();
    }
    // Of the size of the normals, for which [`ZERO`] is meant.
    let gradient: Vec<f64> = gradient.iter().map(|g| g / largest).collect();
    let mut length = 1.0;
    for _ in 0..MOST_ROUNDS {
        // `start` shows that the constraints can hold together.
        if state.solve().is_err() || !state.shift(&gradient, length) {
            break;
        }
        length *= 2.0;
    }
    state.refine();
    state.w
}

fn once(constraints: &Constraints, y: &[f64]) -> Result<Vec<f64>, Vec<Bound>> {
    if already_inside(constraints, y) {
        return Ok(y.to_vec());
    }
    let mut state = State::water_filled(constraints, y);
    if constraints.rows.len() > 1 {
        if state.sides.contains(&Side::Free) {
            state.solve()?;
            state.refine();
        } else if let Some((bound, violation)) = state.most_violated()
            && violation > CONFLICT
        {
            return Err(state.pinned_conflict(bound));
        }
    }
    Ok(state.w)
}

/// Within bounds exactly and within sums up to the rounding of a sum.
fn already_inside(constraints: &Constraints, y: &[f64]) -> bool {
    let rounding = f64::EPSILON * y.len() as f64;
    y.iter().zip(constraints.lower.iter().zip(&constraints.upper)).all(|(x, (l, u))| l <= x && x <= u)
        && constraints.rows.iter().all(|row| {
            let sum = row.sum(y);
            sum >= row.min - rounding && sum <= row.max + rounding
        })
}

/// Always the exact solution for the constraints that are active, with multipliers of the right sign:
/// `w − y = Σ_k multiplier_k a_k + Σ_i pull_i e_i`.
struct State<'a> {
    constraints: &'a Constraints,
    w: Vec<f64>,
    sides: Vec<Side>,
    /// Multipliers of the bounds: ≥ 0 at lower, ≤ 0 at upper ones, 0 where free.
    pull: Vec<f64>,
    active: Vec<ActiveRow>,
    /// The inner products of the active rows over the free variables.
    gram: Vec<Vec<f64>>,
    /// Scratch: its Cholesky factor, by rows.
    factor: Vec<f64>,
}

impl<'a> State<'a> {
    /// The solution without groups.
    fn water_filled(constraints: &'a Constraints, y: &[f64]) -> Self {
        let (lower, upper, share) = (&constraints.lower, &constraints.upper, &constraints.rows[0].coefficients);
        let dim = y.len();
        let mut sides: Vec<Side> =
            lower.iter().zip(upper).map(|(l, u)| if l == u { Side::Pinned } else { Side::Free }).collect();
        let mut shift = Self::level(constraints, y, &mut sides);
        if !sides.contains(&Side::Free) {
            shift = Self::free_one(constraints, y, &mut sides).unwrap_or(shift);
        }

        let mut w = vec![0.0; dim];
        let mut pull = vec![0.0; dim];
        for i in 0..dim {
            w[i] = match sides[i] {
                Side::Free => (y[i] - shift * share[i]).clamp(lower[i], upper[i]),
                Side::Upper => upper[i],
                Side::Lower | Side::Pinned => lower[i],
            };
            if sides[i] != Side::Free {
                pull[i] = w[i] - y[i] + shift * share[i];
            }
        }
        let sum = ActiveRow { row: 0, sign: 0.0, value: 1.0, multiplier: -shift };
        let free = (0..dim).filter(|i| sides[*i] == Side::Free);
        let gram = vec![vec![free.map(|i| share[i] * share[i]).sum()]];
        let mut state = Self { constraints, w, sides, pull, active: vec![sum], gram, factor: Vec::new() };
        state.refine();
        state
    }

    /// Puts variables at their bounds until one shift along the normal of the sum makes the rest fit: all weights sum to 1,
    /// and none is beyond a bound.
    /// Returns the shift.
    fn level(constraints: &Constraints, y: &[f64], sides: &mut [Side]) -> f64 {
        let (lower, upper, share) = (&constraints.lower, &constraints.upper, &constraints.rows[0].coefficients);
        let mut shift = 0.0;
        // In each round the shift that would be right without bounds tells for one side of them which must be active.
        loop {
            let (mut rest, mut sum, mut count) = (1.0, 0.0, 0.0);
            for i in 0..y.len() {
                match sides[i] {
                    Side::Free => {
                        sum += share[i] * y[i];
                        count += share[i] * share[i];
                    }
                    Side::Upper => rest -= share[i] * upper[i],
                    Side::Lower | Side::Pinned => rest -= share[i] * lower[i],
                }
            }
            if count == 0.0 {
                return shift;
            }
            shift = (sum - rest) / count;
            let (mut below, mut above) = (0.0, 0.0);
            for i in 0..y.len() {
                if sides[i] == Side::Free {
                    below += share[i] * (lower[i] - (y[i] - shift * share[i])).max(0.0);
                    above += share[i] * (y[i] - shift * share[i] - upper[i]).max(0.0);
                }
            }
            if below == 0.0 && above == 0.0 {
                return shift;
            }
            for i in 0..y.len() {
                if sides[i] == Side::Free {
                    if below >= above && y[i] - shift * share[i] <= lower[i] {
                        sides[i] = Side::Lower;
                    } else if above > below && y[i] - shift * share[i] >= upper[i] {
                        sides[i] = Side::Upper;
                    }
                }
            }
        }
    }

    /// With every variable at a bound, the sum of all weights depends on the bounds: takes one of them back out of the active set,
    /// one whose multiplier is zero for an admissible shift, which is returned. `None` if all are pinned.
    fn free_one(constraints: &Constraints, y: &[f64], sides: &mut [Side]) -> Option<f64> {
        let share = &constraints.rows[0].coefficients;
        let at = |side: Side, bounds: &[f64]| -> Vec<(usize, f64)> {
            (0..y.len()).filter(|&i| sides[i] == side).map(|i| (i, (y[i] - bounds[i]) / share[i])).collect()
        };
        let smallest = at(Side::Lower, &constraints.lower).into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let largest = at(Side::Upper, &constraints.upper).into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let (i, shift) = smallest.or(largest)?;
        sides[i] = Side::Free;
        Some(shift)
    }

    /// Adds the most violated constraint until there is none.
    fn solve(&mut self) -> Result<(), Vec<Bound>> {
        let limit = 100 + 20 * (self.w.len() + self.constraints.rows.len());
        let mut normal = vec![0.0; self.w.len()];
        // The method is finite; the limit guards against cycles of rounding errors.
        for _ in 0..limit {
            let Some((bound, violation)) = self.most_violated() else { return Ok(()) };
            if violation <= FEASIBLE || !self.add(bound, violation, &mut normal)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn most_violated(&self) -> Option<(Bound, f64)> {
        let Constraints { lower, upper, rows, .. } = self.constraints;
        let mut worst: Option<(Bound, f64)> = None;
        let mut consider = |bound, violation: f64| {
            if violation > worst.map_or(0.0, |(_, v)| v) {
                worst = Some((bound, violation));
            }
        };
        for i in (0..self.w.len()).filter(|&i| self.sides[i] == Side::Free) {
            consider(Bound::Lower(i), lower[i] - self.w[i]);
            consider(Bound::Upper(i), self.w[i] - upper[i]);
        }
        for (g, row) in rows[1..].iter().enumerate() {
            if self.active.iter().all(|a| a.row != g + 1) {
                let sum = row.sum(&self.w);
                consider(Bound::GroupMin(g), row.min - sum);
                consider(Bound::GroupMax(g), sum - row.max);
            }
        }
        worst
    }

    /// Makes a violated bound active, giving up others as their multipliers run out. `false` if that cannot be done
    /// but the violation is only rounding.
    fn add(&mut self, bound: Bound, mut violation: f64, normal: &mut [f64]) -> Result<bool, Vec<Bound>> {
        let sign = match bound {
            Bound::Lower(_) | Bound::GroupMin(_) => 1.0,
            Bound::Upper(_) | Bound::GroupMax(_) => -1.0,
        };
        match bound {
            Bound::Lower(i) | Bound::Upper(i) => {
                normal.fill(0.0);
                normal[i] = sign;
            }
            Bound::GroupMin(g) | Bound::GroupMax(g) => {
                normal.iter_mut().zip(&self.constraints.rows[g + 1].coefficients).for_each(|(n, a)| *n = sign * a);
            }
        }
        let mut own = 0.0;
        let mut direction = normal.to_vec();
        loop {
            let coefficients = self.split(normal, &mut direction);
            let square = self.free_square(&mut direction);
            let full = if square > 0.0 { violation / square } else { f64::INFINITY };
            let (partial, given_up) = self.first_to_vanish(&direction, &coefficients);
            if full.is_infinite() && given_up.is_none() {
                return if violation > CONFLICT {
                    Err(self.conflict(bound, &direction, &coefficients))
                } else {
                    Ok(false)
                };
            }
            let step = full.min(partial);
            self.advance(step, &direction, &coefficients);
            own += step;
            if full <= partial {
                self.activate(bound, sign, own);
                return Ok(true);
            }
            if full.is_finite() {
                violation -= step * square;
            }
            self.give_up(given_up);
        }
    }

    /// Moves the point that is projected by `length · normal`, and gives up constraints as their multipliers run out. Others may be
    /// violated then. `false` if nothing changes, however far it is moved.
    fn shift(&mut self, normal: &[f64], mut length: f64) -> bool {
        let mut direction = normal.to_vec();
        let mut changed = false;
        loop {
            let coefficients = self.split(normal, &mut direction);
            let square = self.free_square(&mut direction);
            let (partial, given_up) = self.first_to_vanish(&direction, &coefficients);
            if square == 0.0 && given_up.is_none() {
                return changed;
            }
            changed = true;
            self.advance(length.min(partial), &direction, &coefficients);
            if length <= partial {
                return true;
            }
            length -= partial;
            self.give_up(given_up);
        }
    }

    /// The square of `direction` over the free variables. Where only rounding errors are left of it there, it becomes 0.
    fn free_square(&self, direction: &mut [f64]) -> f64 {
        let free = |(_, side): &(&mut f64, &Side)| **side == Side::Free;
        let square: f64 = direction.iter_mut().zip(&self.sides).filter(free).map(|(d, _)| *d * *d).sum();
        if square > ZERO {
            return square;
        }
        direction.iter_mut().zip(&self.sides).filter(free).for_each(|(d, _)| *d = 0.0);
        0.0
    }

    /// Moves by `step` along a direction that [`Self::split`] has found.
    fn advance(&mut self, step: f64, direction: &[f64], coefficients: &[f64]) {
        for i in 0..self.w.len() {
            if self.sides[i] != Side::Free {
                self.pull[i] -= step * direction[i];
            } else {
                self.w[i] += step * direction[i];
            }
        }
        for (active, c) in self.active.iter_mut().zip(coefficients) {
            active.multiplier -= step * c;
        }
    }

    /// Takes a constraint out of the active ones.
    fn give_up(&mut self, constraint: Option<Active>) {
        match constraint {
            Some(Active::Variable(i)) => {
                (self.sides[i], self.pull[i]) = (Side::Free, 0.0);
                self.count(i, 1.0);
            }
            Some(Active::Row(k)) => {
                self.active.remove(k);
                self.gram.remove(k);
                self.gram.iter_mut().for_each(|inner| _ = inner.remove(k));
            }
            None => {}
        }
    }

    fn activate(&mut self, bound: Bound, sign: f64, multiplier: f64) {
        let multiplier = sign * multiplier;
        let Constraints { lower, upper, rows, .. } = self.constraints;
        match bound {
            Bound::Lower(i) => {
                (self.sides[i], self.w[i], self.pull[i]) = (Side::Lower, lower[i], multiplier);
                self.count(i, -1.0);
            }
            Bound::Upper(i) => {
                (self.sides[i], self.w[i], self.pull[i]) = (Side::Upper, upper[i], multiplier);
                self.count(i, -1.0);
            }
            Bound::GroupMin(g) => self.append(ActiveRow { row: g + 1, sign, value: rows[g + 1].min, multiplier }),
            Bound::GroupMax(g) => self.append(ActiveRow { row: g + 1, sign, value: rows[g + 1].max, multiplier }),
        }
    }

    /// Makes a row active.
    fn append(&mut self, active: ActiveRow) {
        let rows = &self.constraints.rows;
        let row = &rows[active.row];
        self.active.push(active);
        let members: Vec<usize> = row.members.iter().copied().filter(|&i| self.sides[i] == Side::Free).collect();
        let inner = |other: &[f64]| members.iter().map(|&i| row.coefficients[i] * other[i]).sum();
        let inner: Vec<f64> = self.active.iter().map(|a| inner(&rows[a.row].coefficients)).collect();
        for (known, inner) in self.gram.iter_mut().zip(&inner) {
            known.push(*inner);
        }
        self.gram.push(inner);
    }

    /// Adds a variable, `sign` times, to the inner products of the active rows.
    fn count(&mut self, i: usize, sign: f64) {
        let rows = &self.constraints.rows;
        for (a, inner) in self.active.iter().zip(&mut self.gram) {
            let own = sign * rows[a.row].coefficients[i];
            if own != 0.0 {
                for (other, inner) in self.active.iter().zip(inner) {
                    *inner += own * rows[other.row].coefficients[i];
                }
            }
        }
    }

    /// Writes `normal` as `Σ_k c_k a_k + direction`, least squares over the free variables: over them `direction` is
    /// orthogonal to the active rows, over the others it is the coefficient of their bounds. Returns `c`.
    fn split(&mut self, normal: &[f64], direction: &mut [f64]) -> Vec<f64> {
        let rows = &self.constraints.rows;
        let free = |i: &&usize| self.sides[**i] == Side::Free;
        let over_free =
            |row: &Row| -> f64 { row.members.iter().filter(free).map(|i| row.coefficients[*i] * normal[*i]).sum() };
        let mut c: Vec<f64> = self.active.iter().map(|a| over_free(&rows[a.row])).collect();
        self.factor_gram();
        self.solve_gram(&mut c);
        direction.copy_from_slice(normal);
        for (active, c) in self.active.iter().zip(&c) {
            let row = &rows[active.row];
            row.members.iter().for_each(|i| direction[*i] -= c * row.coefficients[*i]);
        }
        c
    }

    /// The first multiplier to reach zero as the new constraint's grows, and how far that is.
    fn first_to_vanish(&self, direction: &[f64], coefficients: &[f64]) -> (f64, Option<Active>) {
        let mut first = (f64::INFINITY, None);
        let mut consider = |which, multiplier: f64, rate: f64| {
            let length = (multiplier / rate).max(0.0);
            if length < first.0 {
                first = (length, Some(which));
            }
        };
        for (i, &rate) in direction.iter().enumerate() {
            match self.sides[i] {
                Side::Lower if rate > ZERO => consider(Active::Variable(i), self.pull[i], rate),
                Side::Upper if rate < -ZERO => consider(Active::Variable(i), self.pull[i], rate),
                _ => {}
            }
        }
        for (k, (active, &rate)) in self.active.iter().zip(coefficients).enumerate() {
            if active.sign * rate > ZERO {
                consider(Active::Row(k), active.multiplier, rate);
            }
        }
        first
    }

    /// Farkas' certificate: `bound`'s normal is a combination of active ones with only unhelpful signs.
    fn conflict(&self, bound: Bound, direction: &[f64], coefficients: &[f64]) -> Vec<Bound> {
        let mut bounds = vec![bound];
        for (i, &r) in direction.iter().enumerate() {
            if self.sides[i] != Side::Free && r.abs() > ZERO {
                bounds.push(if r < 0.0 { Bound::Lower(i) } else { Bound::Upper(i) });
            }
        }
        for (active, &c) in self.active.iter().zip(coefficients) {
            if active.row > 0 && c.abs() > ZERO {
                let g = active.row - 1;
                bounds.push(if active.sign > 0.0 { Bound::GroupMin(g) } else { Bound::GroupMax(g) });
            }
        }
        bounds.sort_unstable();
        bounds
    }

    /// The certificate when every variable is pinned: a group against its own members.
    fn pinned_conflict(&self, bound: Bound) -> Vec<Bound> {
        let mut bounds = vec![bound];
        if let Bound::GroupMin(g) | Bound::GroupMax(g) = bound {
            let members = &self.constraints.rows[g + 1].members;
            let raises = matches!(bound, Bound::GroupMin(_));
            bounds.extend(members.iter().map(|&i| if raises { Bound::Upper(i) } else { Bound::Lower(i) }));
        }
        bounds.sort_unstable();
        bounds
    }

    /// Removes what rounding has left in the active sums, along the active normals.
    fn refine(&mut self) {
        let Constraints { lower, upper, rows, .. } = self.constraints;
        if let [sum] = self.active.as_slice() {
            let share = &rows[0].coefficients;
            let free: Vec<usize> = (0..self.w.len()).filter(|&i| self.sides[i] == Side::Free).collect();
            let square: f64 = free.iter().map(|i| share[*i] * share[*i]).sum();
            let left = (sum.value - rows[0].sum(&self.w)) / if free.is_empty() { 1.0 } else { square };
            for i in free {
                self.w[i] = (self.w[i] + left * share[i]).clamp(lower[i], upper[i]);
            }
            return;
        }
        self.factor_gram();
        let mut residual: Vec<f64> = self.active.iter().map(|a| a.value - rows[a.row].sum(&self.w)).collect();
        self.solve_gram(&mut residual);
        for (active, r) in self.active.iter().zip(&residual) {
            let row = &rows[active.row];
            for &i in &row.members {
                if self.sides[i] == Side::Free {
                    self.w[i] += r * row.coefficients[i];
                }
            }
        }
        for i in 0..self.w.len() {
            self.w[i] = self.w[i].clamp(lower[i], upper[i]);
        }
    }

    /// Cholesky factor of the inner products. Active normals are independent, so that they are positive definite.
    fn factor_gram(&mut self) {
        let k = self.active.len();
        self.factor.clear();
        self.factor.resize(k * k, 0.0);
        for p in 0..k {
            for q in 0..=p {
                let (row_p, row_q) = (&self.factor[p * k..p * k + q], &self.factor[q * k..q * k + q]);
                let reduced = self.gram[p][q] - dot(row_p, row_q);
                self.factor[p * k + q] =
                    if p == q { reduced.max(ZERO).sqrt() } else { reduced / self.factor[q * k + q] };
            }
        }
    }

    fn solve_gram(&self, x: &mut [f64]) {
        let k = x.len();
        for p in 0..k {
            x[p] = (x[p] - dot(&self.factor[p * k..p * k + p], &x[..p])) / self.factor[p * k + p];
        }
        for p in (0..k).rev() {
            let known: f64 = (p + 1..k).map(|q| self.factor[q * k + p] * x[q]).sum();
            x[p] = (x[p] - known) / self.factor[p * k + p];
        }
    }
}

/// An active constraint, by where it is kept.
#[derive(Clone, Copy)]
enum Active {
    Variable(usize),
    Row(usize),
}
