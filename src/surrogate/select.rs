//! Which kind of model predicts these data best.

use super::model::{Surrogate, Task};
use crate::study::Observation;

/// Log predictive density of each run's objective, left out, by a model of the task's kind (length n, in the unit of the
/// objective). `None` if no model can be fitted.
///
/// Each half of the runs (every other one) is scored with hyperparameters fitted to the other half and conditioned on
/// all runs but the one scored: closed-form leave-one-out (Rasmussen & Williams 2006, §5.4.2) with hyperparameters that
/// have not seen the run. With hyperparameters fitted to the same runs, leave-one-out prefers whatever over-fits: on the
/// logged instruction-tuning runs it ranks the worst of eleven kinds of model first (docs/math.md).
#[must_use]
pub fn left_out_scores(task: &Task<'_>) -> Option<Vec<f64>> {
    let n = task.observations.len();
    let mut scores = vec![0.0; n];
    for half in 0..2 {
        let others: Vec<Observation> = task.observations.iter().skip(1 - half).step_by(2).cloned().collect();
        let (_, snapshot) = Surrogate::fit(&Task { observations: &others, ..*task }, None)?;
        let errors = Surrogate::condition(task, &snapshot)?.leave_one_out();
        for i in (half..n).step_by(2) {
            let (error, variance) = errors[i];
            scores[i] = -0.5 * ((std::f64::consts::TAU * variance).ln() + error * error / variance);
        }
    }
    Some(scores)
}
