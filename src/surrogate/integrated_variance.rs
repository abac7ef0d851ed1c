//! How informative a run is before there are results.

use nalgebra::DVector;

use super::data::Data;
use super::error::FitError;
use super::gp::Gp;
use super::hyper::{Axis, Layout};
use crate::problem::{ModelSpec, Weights};

/// The reduction of integrated variance by a run of each mixture in `x`, on average over the mixtures in `about`, once runs of
/// `known` have been made at the same size (c, p and n of them, n ≥ 1), in units of the metric's prior variance
/// (length c; Cohn 1996, Seo et al. 2000). The variance is that of a mixture around the common mean of all: what all mixtures share
/// matters to no choice between them.
///
/// Hyperparameters are at the mode of their prior, and no result enters.
///
/// # Errors
/// The process cannot be conditioned.
pub fn integrated_variance_reduction(
    spec: &ModelSpec,
    x: &Weights,
    about: &Weights,
    known: &Weights,
) -> Result<Vec<f64>, FitError> {
    let [x, about, known] = [x, about, known].map(|weights| spec.warp.warped(weights));
    let (dim, n) = known.matrix().shape();
    let layout = Layout {
        kind: spec.kernel,
        components: spec.components,
        families: (0..dim).collect(),
        axes: vec![Axis::chain(Vec::new())],
        lengthscale_sd: spec.lengthscale_sd,
        saturation: None,
        curves: false,
    };
    let data =
        Data { x: known, fidelity: vec![0; n], y: DVector::zeros(n), known_noise: vec![0.0; n], level_sd: vec![1.0] };
    let process = Gp::condition(&data, layout.natural(&layout.start()))?;
    // A run moves the mean at t by cov(t, x) / sd(x) standard normals. The variance of these moves over t is the reduction.
    let (covariance, variance) = process.covariance(&x, 0, &process.view(&about, 0));
    Ok(covariance.column_iter().zip(&variance).map(|(moves, variance)| (moves / variance.sqrt()).variance()).collect())
}
