//! Why there is no model.

/// Why a model could not be fitted to runs, or conditioned on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// There are no runs.
    #[error("there are no runs to learn from")]
    Empty,
    /// The covariance matrix could not be factored, whatever jitter was added to its diagonal.
    #[error("the covariance matrix of {runs} runs is not numerically positive definite")]
    Indefinite {
        /// Its rows.
        runs: usize,
    },
    /// Not one vector of hyperparameters that the fit tried has a finite posterior density.
    #[error("no hyperparameters with a finite posterior density were found for {runs} runs ({})", ended.join("; "))]
    NowhereFinite {
        /// Runs that they were fitted to.
        runs: usize,
        /// How the search from each start ended.
        ended: Vec<String>,
    },
    /// The hyperparameters are those of another kind of model.
    #[error("the hyperparameters are those of another kind of model")]
    OtherKind,
}
