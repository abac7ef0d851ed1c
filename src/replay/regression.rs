//! RegMix (Liu et al. 2024, arXiv 2407.01492): a regression on many cheap runs predicts the best mixture.

use forust_ml::Matrix;
use forust_ml::gradientbooster::{GradientBooster, GrowPolicy};
use forust_ml::objective::ObjectiveType;

use super::pool::Pool;

/// Gradient-boosted trees for each metric of the objective, fitted on runs of one size.
pub(super) struct BoostedTrees {
    /// A fitted booster per metric; a constant where there is nothing to fit.
    boosters: Vec<GradientBooster>,
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
        for j in 0..pool.objective.metrics.len() {
            let y: Vec<f64> = runs.iter().map(|run| pool.runs[*run].metrics[j]).collect();
            let mut booster = booster();
            booster.fit_unweighted(&matrix, &y, None).ok()?;
            boosters.push(booster);
        }
        Some(Self { boosters })
    }

    /// Predicted loss (smaller is better) of each of the pool's candidates.
    pub(super) fn predict(&self, pool: &Pool) -> Vec<f64> {
        let (n, dim) = (pool.candidates.len(), pool.space.dim());
        let x = column_major(pool.candidates.iter().map(|run| pool.runs[*run].mixture.weights()), n, dim);
        let matrix = Matrix::new(&x, n, dim);
        let metrics: Vec<Vec<f64>> = self.boosters.iter().map(|booster| booster.predict(&matrix, false)).collect();
        let loss = |i: usize| pool.loss(&metrics.iter().map(|values| values[i]).collect::<Vec<_>>());
        (0..n).map(loss).collect()
    }
}

/// Leaf-wise trees of up to 31 leaves, as LightGBM (which RegMix uses) grows them. Small leaves, so that it also has
/// something to say on few runs.
fn booster() -> GradientBooster {
    let mut booster = GradientBooster::default()
        .set_objective_type(ObjectiveType::SquaredLoss)
        .set_max_depth(usize::MAX)
        .set_max_leaves(31)
        .set_min_leaf_weight(MIN_LEAF)
        .set_nbins(BINS)
        .set_l2(0.0)
        .set_learning_rate(RATE)
        .set_iterations(ROUNDS)
        .set_initialize_base_score(true)
        .set_parallel(false);
    booster.grow_policy = GrowPolicy::LossGuide;
    booster
}

const MIN_LEAF: f32 = 5.0;
const BINS: u16 = 64;
const RATE: f32 = 0.1;
const ROUNDS: usize = 100;

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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::infer::infer_config;
    use super::*;
    use crate::config::StudyConfig;
    use crate::problem::{Direction, rank_correlation};
    use crate::runs::RunLog;

    /// Runs at 1M predict the order of the 1B runs, and as many as 64 are enough for the most of it.
    #[test]
    fn trees_on_small_models_rank_large_ones() {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/pile.csv"));
        if !file.exists() {
            eprintln!("skipped: {} is missing", file.display());
            return;
        }
        let log = RunLog::read(std::slice::from_ref(&file)).unwrap();
        let text = toml::to_string(&infer_config(&log, Direction::Minimize, true).unwrap().0).unwrap();
        let study = StudyConfig::parse(&file, &text, &[]).unwrap();
        let pool = Pool::new(&log, &study.space, &study.fidelities, &study.objective, None).unwrap();
        let loss: Vec<f64> = pool.candidates.iter().map(|i| pool.runs[*i].loss).collect();
        for (n, expected) in [(64, 0.6), (512, 0.6)] {
            let small: Vec<usize> =
                (0..pool.runs.len()).filter(|i| pool.runs[*i].fidelity.index() == 0).take(n).collect();
            let start = std::time::Instant::now();
            let predicted = BoostedTrees::fit(&pool, &small).unwrap().predict(&pool);
            let rho = rank_correlation(&predicted, &loss).unwrap();
            eprintln!("{n} runs: {rho:.3} in {:?}", start.elapsed());
            assert!(rho > expected, "{n} runs: {rho}");
        }
    }
}
