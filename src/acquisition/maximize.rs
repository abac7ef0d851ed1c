//! Continuous optimization over the polytope of mixtures, from many starts.

use crate::problem::{FidelityId, Weights, columns};
use argmin::core::{Executor, State};
use nalgebra::DVector;

use super::criterion::Criterion;
use super::spg::ProjectedGradient;
use crate::space::Polytope;
use crate::surrogate::{Memo, Surrogate};

/// Steps smaller than a hundredth of a percent of the mixture do not matter.
const TOLERANCE: f64 = 1e-4;

/// Improves `start` (length D, feasible) by at most `iterations` projected-gradient steps on `function`, which takes one
/// mixture and returns value and derivative with respect to it. Returns the best point with its value.
pub fn descend<F: Fn(&Weights) -> (f64, Vec<f64>)>(
    polytope: &Polytope,
    function: F,
    start: &[f64],
    iterations: u64,
) -> Option<(f64, Vec<f64>)> {
    let problem = Memo::new(|w: &DVector<f64>| {
        let (value, gradient) = function(&columns(w.len(), [w.as_slice()]));
        (value, DVector::from_vec(gradient))
    });
    let project = |w: &DVector<f64>| DVector::from_vec(polytope.project(w.as_slice()));
    // `problem` holds the best point that was evaluated, however the solver ends: an error is a line search that went no further.
    let _ = Executor::new(&problem, ProjectedGradient::new(project, TOLERANCE))
        .configure(|state| state.param(DVector::from_column_slice(start)).max_iters(iterations))
        .run()
        .map(|result| result.state().get_iter());
    problem.best()
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
