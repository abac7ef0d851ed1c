//! Spectral projected gradient: argmin has no solver for a convex feasible set given by its projection.

use std::collections::VecDeque;

use argmin::core::{
    CostFunction, Error, Gradient, IterState, KV, Problem, Solver, TerminationReason, TerminationStatus,
};
use nalgebra::DVector;

/// Steps over which the line search may go up.
const HISTORY: usize = 5;
/// Sufficient decrease, relative to the first-order prediction.
const DECREASE: f64 = 1e-4;
/// Limits of the spectral step length.
const STEP: (f64, f64) = (1e-10, 1e10);
/// What is projected is at most so far away: beyond, the projection would lose the digits of what it starts from.
const FARTHEST: f64 = 1e6;

/// Spectral projected gradient (Birgin, Martínez & Raydan 2000, algorithm SPG2) for a smooth cost over a convex set given
/// by its Euclidean projection.
///
/// # Requirements on the problem
/// [`CostFunction`] and [`Gradient`] over `DVector<f64>`; costs must be finite on the set.
///
/// Terminates when the projected gradient step is shorter than the tolerance or does not lead down, also because the gradient
/// is not finite (solver converged), or no step decreases the cost (solver exit).
pub struct ProjectedGradient<P> {
    project: P,
    tolerance: f64,
    step: f64,
    recent: VecDeque<f64>,
    done: TerminationStatus,
}

type Iterate = IterState<DVector<f64>, DVector<f64>, (), (), (), f64>;

impl<P: Fn(&DVector<f64>) -> DVector<f64>> ProjectedGradient<P> {
    /// A solver over the set that `project` projects onto. It stops where the step `P(x − ∇f) − x` has no component
    /// larger than `tolerance`.
    pub fn new(project: P, tolerance: f64) -> Self {
        Self { project, tolerance, step: 1.0, recent: VecDeque::new(), done: TerminationStatus::NotTerminated }
    }
}

impl<O, P> Solver<O, Iterate> for ProjectedGradient<P>
where
    O: CostFunction<Param = DVector<f64>, Output = f64> + Gradient<Param = DVector<f64>, Gradient = DVector<f64>>,
    P: Fn(&DVector<f64>) -> DVector<f64>,
{
    fn name(&self) -> &'static str {
        "Spectral projected gradient"
    }

    fn init(&mut self, problem: &mut Problem<O>, mut state: Iterate) -> Result<(Iterate, Option<KV>), Error> {
        let start = state.take_param().ok_or_else(|| Error::msg("an initial parameter vector is required"))?;
        let x = (self.project)(&start);
        let cost = problem.cost(&x)?;
        let gradient = problem.gradient(&x)?;
        // First step: move the fastest component by a tenth, the scale of a mixture's weights.
        self.step = (0.1 / gradient.amax().max(f64::MIN_POSITIVE)).clamp(STEP.0, STEP.1);
        self.recent.push_back(cost);
        Ok((state.param(x).cost(cost).gradient(gradient), None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, mut state: Iterate) -> Result<(Iterate, Option<KV>), Error> {
        let missing = || Error::msg("the solver was not initialized");
        let x = state.take_param().ok_or_else(missing)?;
        let gradient = state.take_gradient().ok_or_else(missing)?;
        let cost = state.get_cost();
        let step = self.step.min(FARTHEST / gradient.amax());
        let direction = (self.project)(&(&x - &gradient * step)) - &x;
        let slope = gradient.dot(&direction);
        // Where the gradient is no number, nor is the slope: there is no way down from there.
        if direction.amax() < self.tolerance || slope >= 0.0 || slope.is_nan() {
            self.done = TerminationStatus::Terminated(TerminationReason::SolverConverged);
            return Ok((state.param(x).cost(cost).gradient(gradient), None));
        }
        let reference = self.recent.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut length = 1.0;
        loop {
            let trial = &x + &direction * length;
            let value = problem.cost(&trial)?;
            if value <= reference + DECREASE * length * slope {
                let trial_gradient = problem.gradient(&trial)?;
                let moved = &trial - &x;
                let curvature = moved.dot(&(&trial_gradient - &gradient));
                self.step = if curvature > 0.0 { moved.norm_squared() / curvature } else { STEP.1 };
                self.step = self.step.clamp(STEP.0, STEP.1);
                self.recent.push_back(value);
                if self.recent.len() > HISTORY {
                    self.recent.pop_front();
                }
                return Ok((state.param(trial).cost(value).gradient(trial_gradient), None));
            }
            // The minimizer of the parabola through what is known, kept away from both ends.
            let parabola = -0.5 * length * length * slope / (value - cost - length * slope);
            length = if parabola.is_finite() { parabola.clamp(0.1 * length, 0.5 * length) } else { 0.5 * length };
            if length * direction.amax() < 1e-12 {
                self.done =
                    TerminationStatus::Terminated(TerminationReason::SolverExit("no step decreases the cost".into()));
                return Ok((state.param(x).cost(cost).gradient(gradient), None));
            }
        }
    }

    fn terminate(&mut self, _state: &Iterate) -> TerminationStatus {
        self.done.clone()
    }
}
