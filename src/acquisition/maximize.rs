//! Continuous optimization over the polytope of mixtures, from many starts.

use crate::problem::{FidelityId, Weights, columns};
use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use nalgebra::DVector;

use super::criterion::Criterion;
use super::spg::ProjectedGradient;
use crate::space::Polytope;
use crate::surrogate::{Lookahead, Surrogate};

/// Steps smaller than a hundredth of a percent of the mixture do not matter.
const TOLERANCE: f64 = 1e-4;

/// A function of a mixture's weights with its gradient, minimized over the polytope. The last evaluation is kept, so
/// that cost and gradient at one point are computed once; so is the best.
struct Smooth<F> {
    function: F,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    last: Option<(DVector<f64>, f64, DVector<f64>)>,
    best: Option<(f64, DVector<f64>)>,
}

impl<F: Fn(&Weights) -> (f64, Vec<f64>)> Smooth<F> {
    fn evaluate(&self, w: &DVector<f64>) -> (f64, DVector<f64>) {
        let mut seen = self.seen.borrow_mut();
        if let Some((last, value, gradient)) = &seen.last
            && last == w
        {
            return (*value, gradient.clone());
        }
        let (value, gradient) = (self.function)(&columns(w.len(), [w.as_slice()]));
        let gradient = DVector::from_vec(gradient);
        if value < seen.best.as_ref().map_or(f64::INFINITY, |(best, _)| *best) {
            seen.best = Some((value, w.clone()));
        }
        seen.last = Some((w.clone(), value, gradient.clone()));
        (value, gradient)
    }
}

impl<F: Fn(&Weights) -> (f64, Vec<f64>)> CostFunction for &Smooth<F> {
    type Param = DVector<f64>;
    type Output = f64;

    fn cost(&self, w: &Self::Param) -> Result<f64, Error> {
        Ok(self.evaluate(w).0)
    }
}

impl<F: Fn(&Weights) -> (f64, Vec<f64>)> Gradient for &Smooth<F> {
    type Param = DVector<f64>;
    type Gradient = DVector<f64>;

    fn gradient(&self, w: &Self::Param) -> Result<DVector<f64>, Error> {
        Ok(self.evaluate(w).1)
    }
}

/// Improves `start` (length D, feasible) by at most `iterations` projected-gradient steps on `function`, which takes one
/// mixture and returns value and derivative with respect to it. Returns the best point with its value.
fn descend<F: Fn(&Weights) -> (f64, Vec<f64>)>(
    polytope: &Polytope,
    function: F,
    start: &[f64],
    iterations: u64,
) -> Option<(f64, Vec<f64>)> {
    let problem = Smooth { function, seen: RefCell::default() };
    let project = |w: &DVector<f64>| DVector::from_vec(polytope.project(w.as_slice()));
    // The outcome is read off `seen`: whatever the solver ends with, the best point evaluated is there.
    let _ = Executor::new(&problem, ProjectedGradient::new(project, TOLERANCE))
        .configure(|state| state.param(DVector::from_column_slice(start)).max_iters(iterations))
        .run()
        .map(|result| result.state().get_iter());
    problem.seen.into_inner().best.map(|(value, w)| (value, w.as_slice().to_vec()))
}

/// The mixture of smallest posterior mean at the target, from each of `starts`.
#[must_use]
pub fn best_mean(surrogate: &Surrogate, polytope: &Polytope, starts: &[Vec<f64>], iterations: u64) -> Option<Vec<f64>> {
    starts
        .iter()
        .filter_map(|start| descend(polytope, |x| surrogate.mean_with_gradient(x), start, iterations))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, w)| w)
}

/// The mixture of smallest upper bound, the posterior mean at fidelity `m` plus `caution` standard deviations, near
/// `start`.
#[must_use]
pub fn best_bound(
    surrogate: &Surrogate,
    polytope: &Polytope,
    m: FidelityId,
    caution: f64,
    start: &[f64],
    iterations: u64,
) -> Option<Vec<f64>> {
    let function = |x: &Weights| {
        let Lookahead { mean, variance, gradient: [d_mean, d_variance, _], .. } =
            surrogate.lookahead_with_gradient(x, m);
        let sd = variance.sqrt();
        let gradient = d_mean.iter().zip(&d_variance).map(|(mean, variance)| mean + caution * variance / (2.0 * sd));
        (mean + caution * sd, gradient.collect())
    };
    descend(polytope, function, start, iterations).map(|(_, w)| w)
}

/// Climbs the log acquisition at fidelity `m` from `start`; the point reached and its log acquisition value (without cost).
#[must_use]
pub fn climb(
    surrogate: &Surrogate,
    criterion: &Criterion,
    polytope: &Polytope,
    m: FidelityId,
    start: &[f64],
    iterations: u64,
) -> Option<(f64, Vec<f64>)> {
    let function = |x: &Weights| {
        let lookahead = surrogate.lookahead_with_gradient(x, m);
        let value = criterion.value(&lookahead);
        let [mean, variance, reduction] = &lookahead.gradient;
        let gradient = (0..mean.len())
            .map(|d| -(value.d_mean * mean[d] + value.d_variance * variance[d] + value.d_reduction * reduction[d]))
            .collect();
        (-value.log, gradient)
    };
    descend(polytope, function, start, iterations).map(|(value, w)| (-value, w))
}
