//! Which kind of model predicts the data of a study best.

use super::data;
use super::error::FitError;
use super::model::Surrogate;
use super::task::Task;
use crate::problem::{KernelKind, ModelChoice, ModelSpec, Observation, Structure, Warp};

/// Runs that kinds of models are compared on, at most: the comparison fits each of them twice.
const MOST_COMPARED: usize = 96;

/// Standard errors of the mean difference by which a rival must win. With one, as in the rule of Breiman et al. (1984),
/// chance picked kinds whose predictions of unseen runs were worse (docs/measured.md).
const STANDARD_ERRORS: f64 = 3.0;

impl ModelChoice {
    /// The kinds to compare with `spec`: each differs from it in one respect that is not fixed. Grouped by that respect.
    fn rivals(&self, spec: ModelSpec, metrics: usize) -> [Vec<ModelSpec>; 4] {
        let structures = [Structure::PerMetric, Structure::Objective];
        let warps = [Warp::Sqrt, Warp::Log, Warp::None];
        let strengths = [0.3, 0.6, 1.2];
        let kernels = [
            (KernelKind::SpectralMixture, 1),
            (KernelKind::SpectralMixture, 2),
            (KernelKind::Matern52, 1),
            (KernelKind::Rbf, 1),
        ];
        let but = |kinds: Vec<ModelSpec>| kinds.into_iter().filter(|kind| *kind != spec).collect::<Vec<_>>();
        let free = |fixed: bool, kinds: Vec<ModelSpec>| if fixed { Vec::new() } else { but(kinds) };
        [
            // With one metric the two structures are the same.
            free(
                self.structure.is_some() || metrics < 2,
                structures.map(|structure| ModelSpec { structure, ..spec }).into(),
            ),
            free(self.warp.is_some(), warps.map(|warp| ModelSpec { warp, ..spec }).into()),
            free(self.lengthscale_sd.is_some(), strengths.map(|sd| ModelSpec { lengthscale_sd: sd, ..spec }).into()),
            free(
                self.kernel.is_some(),
                kernels.map(|(kernel, components)| ModelSpec { kernel, components, ..spec }).into(),
            ),
        ]
    }

    /// The kind of model that predicts the task's observations best, starting from the task's own kind and changing one
    /// respect at a time. A rival must win by more than three standard errors of the difference: what differs by chance
    /// stays as it is.
    #[must_use]
    pub fn select(&self, task: &Task<'_>) -> ModelSpec {
        let thinned = thin(task.observations);
        let score = |spec: ModelSpec| left_out_scores(&Task { spec, observations: &thinned, ..*task }).ok();
        let mut best = task.spec;
        let Some(mut best_scores) = score(best) else { return best };
        for respect in 0..4 {
            let rivals = self.rivals(best, task.objective.metrics.len());
            let winner = rivals[respect]
                .iter()
                .filter_map(|rival| Some((*rival, score(*rival)?)))
                .filter(|(_, scores)| wins(scores, &best_scores))
                .max_by(|a, b| a.1.iter().sum::<f64>().total_cmp(&b.1.iter().sum()));
            if let Some(winner) = winner {
                (best, best_scores) = winner;
            }
        }
        best
    }
}

/// Whether `scores` are higher than `others`, run by run, by more than [`STANDARD_ERRORS`] of the mean difference.
fn wins(scores: &[f64], others: &[f64]) -> bool {
    let n = scores.len() as f64;
    let differences = || scores.iter().zip(others).map(|(a, b)| a - b);
    let mean = differences().sum::<f64>() / n;
    let variance = differences().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean > STANDARD_ERRORS * (variance / n).sqrt()
}

/// At most [`MOST_COMPARED`] observations: all at sizes with few, evenly spaced in time at sizes with many.
fn thin(observations: &[Observation]) -> Vec<Observation> {
    let fidelities: Vec<usize> = observations.iter().map(|o| o.fidelity.index()).collect();
    data::thin(&fidelities, MOST_COMPARED).into_iter().map(|i| observations[i].clone()).collect()
}

/// Log predictive density of each run's objective, left out, by a model of the task's kind (length n, in the unit of the
/// objective).
///
/// Each half of the runs (every other one) is scored with hyperparameters fitted to the other half and conditioned on
/// all runs but the one scored: closed-form leave-one-out (Rasmussen & Williams 2006, §5.4.2) with hyperparameters that
/// have not seen the run. With hyperparameters fitted to the same runs, leave-one-out prefers whatever over-fits
/// (docs/measured.md has figures). Variances are scaled so that they are right on average: a few errors far larger than predicted would
/// else decide the comparison alone.
///
/// # Errors
/// [`FitError`]
pub fn left_out_scores(task: &Task<'_>) -> Result<Vec<f64>, FitError> {
    let n = task.observations.len();
    let mut scores = vec![0.0; n];
    for half in 0..2 {
        let others: Vec<Observation> = task.observations.iter().skip(1 - half).step_by(2).cloned().collect();
        let (_, mut snapshot) = Surrogate::fit(&Task { observations: &others, ..*task }, None)?;
        snapshot.runs = task.observations.iter().map(|o| o.run).collect();
        let errors = Surrogate::condition(task, &snapshot)?.leave_one_out();
        let scale = errors.iter().map(|(error, variance)| error * error / variance).sum::<f64>() / n as f64;
        for i in (half..n).step_by(2) {
            let (error, variance) = (errors[i].0, scale * errors[i].1);
            scores[i] = -0.5 * ((std::f64::consts::TAU * variance).ln() + error * error / variance);
        }
    }
    Ok(scores)
}
