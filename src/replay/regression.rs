//! RegMix (Liu et al. 2024, arXiv 2407.01492): a regression on many cheap runs predicts the best mixture.

use forust_ml::grower::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, Matrix};

use super::pool::Pool;

/// Gradient-boosted trees for each metric of the objective, fitted on runs of one size.
#[derive(Debug)]
pub(super) struct BoostedTrees {
    /// A fitted booster and its metric's weight; a constant where there is nothing to fit.
    boosters: Vec<(GradientBooster, f64)>,
}

impl BoostedTrees {
    /// Fits on the runs of these indices into [`Pool::runs`]. `None` where the crate reports an error or there are not
    /// two runs.
    pub(super) fn fit(pool: &Pool, runs: &[usize]) -> Option<Self> {
        if runs.len() < 2 {
            return None;
        }
        let dim = pool.space.dim();
        let x = column_major(runs.iter().map(|run| pool.runs[*run].mixture.weights()), runs.len(), dim);
        let matrix = Matrix::new(&x, runs.len(), dim);
        let mut boosters = Vec::with_capacity(pool.objective.metrics.len());
        for (j, metric) in pool.objective.metrics.iter().enumerate() {
            let y: Vec<f64> = runs.iter().map(|run| pool.runs[*run].metrics[j]).collect();
            let mut booster = booster();
            booster.fit_unweighted(&matrix, &y, None).ok()?;
            boosters.push((booster, pool.objective.sign() * metric.weight));
        }
        Some(Self { boosters })
    }

    /// Predicted loss (smaller is better) of each of the pool's candidates.
    pub(super) fn predict(&self, pool: &Pool) -> Vec<f64> {
        let (n, dim) = (pool.candidates.len(), pool.space.dim());
        let x = column_major(pool.candidates.iter().map(|run| pool.runs[*run].mixture.weights()), n, dim);
        let matrix = Matrix::new(&x, n, dim);
        let mut sum = vec![0.0; n];
        for (booster, weight) in &self.boosters {
            for (total, y) in sum.iter_mut().zip(booster.predict(&matrix, false)) {
                *total += weight * y;
            }
        }
        sum
    }
}

/// Leaf-wise trees of up to 31 leaves, as LightGBM (which RegMix uses) grows them. Small leaves, so that it also has
/// something to say on few runs.
fn booster() -> GradientBooster {
    GradientBooster::default()
        .set_objective_type(ObjectiveType::SquaredLoss)
        .set_grow_policy(GrowPolicy::LossGuide)
        .set_max_depth(usize::MAX)
        .set_max_leaves(31)
        .set_min_leaf_weight(MIN_LEAF)
        .set_l2(0.0)
        .set_learning_rate(RATE)
        .set_iterations(ROUNDS)
        .set_initialize_base_score(true)
        .set_parallel(false)
}

const MIN_LEAF: f32 = 5.0;
const RATE: f32 = 0.05;
const ROUNDS: usize = 200;

/// `n` rows of `dim` features, one feature after another.
fn column_major<'a>(rows: impl Iterator<Item = &'a [f64]>, n: usize, dim: usize) -> Vec<f64> {
    let mut x = vec![0.0; n * dim];
    for (i, row) in rows.enumerate() {
        for (j, value) in row.iter().enumerate() {
            x[j * n + i] = *value;
        }
    }
    x
}
