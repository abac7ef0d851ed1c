//! Fits hyperparameters: maximum a posteriori by L-BFGS, from several starts.

use argmin::core::{Executor, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use nalgebra::DVector;

use super::data::Data;
use super::error::FitError;
use super::gp::Gp;
use super::hyper::Layout;
use super::memo::Memo;

/// Where the covariance matrix cannot be factored, the line search sees this: large, but finite, because argmin's line
/// searches report success on an infinite cost.
const IMPOSSIBLE: f64 = 1e12;

/// Pairs of steps and gradient differences that L-BFGS keeps.
const MEMORY: usize = 8;

/// Negative log posterior (likelihood times prior, up to constants) of `z`, and its gradient.
/// `None` where it is not finite.
#[must_use]
pub fn negative_log_posterior(data: &Data, layout: &Layout, z: &DVector<f64>) -> Option<(f64, DVector<f64>)> {
    let (gp, gradient) = Gp::condition_with_gradient(data, layout.natural(z.as_slice())).ok()?;
    let value = 0.5 * z.norm_squared() - gp.log_likelihood();
    let gradient = z - DVector::from_vec(layout.pull_back(z.as_slice(), &gradient));
    (value.is_finite() && gradient.iter().all(|g| g.is_finite())).then_some((value, gradient))
}

/// Minimizes the negative log posterior from each of `starts`, at most `iterations` L-BFGS iterations each, and returns
/// the best point found with its value.
///
/// # Errors
/// [`FitError::NowhereFinite`] if not one point could be evaluated.
pub fn fit(data: &Data, layout: &Layout, starts: &[Vec<f64>], iterations: u64) -> Result<(Vec<f64>, f64), FitError> {
    let impossible = |z: &DVector<f64>| (IMPOSSIBLE, DVector::zeros(z.len()));
    let posterior = Memo::new(|z| negative_log_posterior(data, layout, z).unwrap_or_else(|| impossible(z)));
    let mut ended = Vec::new();
    for start in starts {
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(1e-4)
            .and_then(|s| s.with_tolerance_cost(1e-6))
            .expect("the tolerances are positive");
        // `posterior` holds the best point that was evaluated, however the solver ended. That a line search could not improve any
        // further is how it often ends; it says something where there is no such point.
        let result = Executor::new(&posterior, solver)
            .configure(|state| state.param(DVector::from_column_slice(start)).max_iters(iterations))
            .run();
        ended.push(result.map_or_else(|e| e.to_string(), |done| done.state().get_termination_status().to_string()));
    }
    let best = posterior.best().filter(|(value, _)| *value < IMPOSSIBLE);
    best.map(|(value, z)| (z, value)).ok_or_else(|| FitError::NowhereFinite { runs: data.y.len(), ended })
}
