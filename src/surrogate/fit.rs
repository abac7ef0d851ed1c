//! Fits hyperparameters: maximum a posteriori by L-BFGS, from several starts.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use nalgebra::DVector;

use super::data::Data;
use super::error::FitError;
use super::gp::Gp;
use super::hyper::Layout;

/// Where the covariance matrix cannot be factored, the line search sees this: large, but finite, because argmin's line
/// searches report success on an infinite cost.
const IMPOSSIBLE: f64 = 1e12;

/// Pairs of steps and gradient differences that L-BFGS keeps.
const MEMORY: usize = 8;

/// The negative log posterior of a parameter vector. Cost and gradient at one point share one factorization, and the
/// best point ever evaluated is remembered, so that no line search can lose it.
struct Problem<'a> {
    data: &'a Data,
    layout: &'a Layout,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    last: Option<(DVector<f64>, f64, DVector<f64>)>,
    best: Option<(f64, DVector<f64>)>,
}

/// Negative log posterior (likelihood times prior, up to constants) of `z`, and its gradient.
/// `None` where it is not finite.
#[must_use]
pub fn negative_log_posterior(data: &Data, layout: &Layout, z: &DVector<f64>) -> Option<(f64, DVector<f64>)> {
    let (gp, gradient) = Gp::condition_with_gradient(data, layout.natural(z.as_slice())).ok()?;
    let value = 0.5 * z.norm_squared() - gp.log_likelihood();
    let gradient = z - DVector::from_vec(layout.pull_back(&gradient));
    (value.is_finite() && gradient.iter().all(|g| g.is_finite())).then_some((value, gradient))
}

impl Problem<'_> {
    fn evaluate(&self, z: &DVector<f64>) -> (f64, DVector<f64>) {
        let mut seen = self.seen.borrow_mut();
        if let Some((last, value, gradient)) = &seen.last
            && last == z
        {
            return (*value, gradient.clone());
        }
        let (value, gradient) =
            negative_log_posterior(self.data, self.layout, z).unwrap_or_else(|| (IMPOSSIBLE, DVector::zeros(z.len())));
        if value < seen.best.as_ref().map_or(IMPOSSIBLE, |(best, _)| *best) {
            seen.best = Some((value, z.clone()));
        }
        seen.last = Some((z.clone(), value, gradient.clone()));
        (value, gradient)
    }
}

impl CostFunction for &Problem<'_> {
    type Param = DVector<f64>;
    type Output = f64;

    fn cost(&self, z: &Self::Param) -> Result<f64, Error> {
        Ok(self.evaluate(z).0)
    }
}

impl Gradient for &Problem<'_> {
    type Param = DVector<f64>;
    type Gradient = DVector<f64>;

    fn gradient(&self, z: &Self::Param) -> Result<DVector<f64>, Error> {
        Ok(self.evaluate(z).1)
    }
}

/// Minimizes the negative log posterior from each of `starts`, at most `iterations` L-BFGS iterations each, and returns
/// the best point found with its value.
///
/// # Errors
/// [`FitError::NowhereFinite`] if not one point could be evaluated.
pub fn fit(data: &Data, layout: &Layout, starts: &[Vec<f64>], iterations: u64) -> Result<(Vec<f64>, f64), FitError> {
    let problem = Problem { data, layout, seen: RefCell::default() };
    let mut ended = Vec::new();
    for start in starts {
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(1e-4)
            .and_then(|s| s.with_tolerance_cost(1e-6))
            .expect("the tolerances are positive");
        // `seen.best` holds the best point that was evaluated, however the solver ended. That a line search could not improve any
        // further is how it often ends; it says something where there is no such point.
        let result = Executor::new(&problem, solver)
            .configure(|state| state.param(DVector::from_column_slice(start)).max_iters(iterations))
            .run();
        ended.push(result.map_or_else(|e| e.to_string(), |done| done.state().get_termination_status().to_string()));
    }
    let best = problem.seen.into_inner().best;
    best.map(|(value, z)| (z.as_slice().to_vec(), value))
        .ok_or_else(|| FitError::NowhereFinite { runs: data.y.len(), ended })
}
