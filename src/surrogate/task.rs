//! What a model is fitted to, and the runs of it that the model knows.

use std::sync::Arc;

use super::data::thin;
use super::hyper::{Axis, LEAST_STEP, Layout};
use super::saturation::Saturation;
use crate::problem::{Fidelities, ModelSpec, Objective, Observation, Repetition};

/// Runs that a model is conditioned on, at most: time grows with the cube of their number, memory with its square.
pub const MOST_KNOWN: usize = 2000;

/// What the model is to be fitted to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The objective.
    pub objective: &'a Objective,
    /// The fidelities.
    pub fidelities: &'a Fidelities,
    /// Kind of model.
    pub spec: ModelSpec,
    /// Index of the family of each domain, from 0 on ([`SearchSpace::families`](crate::space::SearchSpace::families)). Domains beyond
    /// those are families of their own.
    pub families: &'a [usize],
    /// The unique data that runs draw from, where that matters.
    pub repetition: Option<&'a Repetition>,
    /// Whether several observations of one mixture are of the same training run, some of them on its way.
    pub curves: bool,
    /// Finished trials; not empty.
    pub observations: &'a [Observation],
}

impl Task<'_> {
    /// How many domains the model has: those of the study, and further ones of older studies.
    pub(super) fn dim(&self) -> usize {
        self.observations.first().map_or(0, |o| o.mixture.weights().len() + o.past.columns.len())
    }

    /// What the fidelities differ in. A run on its way is not like a complete one of a smaller model that took as much compute.
    fn axes(&self) -> Vec<Axis> {
        let apart = self.curves.then(|| self.fidelities.log_sizes_and_shares()).flatten();
        apart.map_or_else(
            || {
                let sizes = self.fidelities.log_sizes();
                vec![Axis::chain(sizes.windows(2).map(|s| (s[1] - s[0]).abs().max(LEAST_STEP)).collect())]
            },
            |axes| axes.iter().map(|coordinates| Axis::through(coordinates)).collect(),
        )
    }

    /// How the hyperparameters of one process are laid out.
    pub(crate) fn layout(&self) -> Layout {
        let ModelSpec { kernel: kind, components, warp, lengthscale_sd, .. } = self.spec;
        let stated = self.families.iter().max().map_or(0, |last| last + 1);
        let further = self.dim().saturating_sub(self.families.len());
        let families = self.families.iter().copied().chain(stated..stated + further).collect();
        let saturation = self.repetition.map(|repetition| {
            // What older runs drew besides was not repeated, as far as is known.
            let padded = |unique: &Vec<f64>| {
                unique.iter().copied().chain(std::iter::repeat(f64::INFINITY)).take(self.dim()).collect()
            };
            Saturation { warp, unique: Arc::new(repetition.0.iter().map(padded).collect()), decay: f64::INFINITY }
        });
        Layout { kind, components, families, axes: self.axes(), lengthscale_sd, saturation, curves: self.curves }
    }
}

/// The runs that a model of `observations` is conditioned on, as indices, ascending: all of them; of more than
/// [`MOST_KNOWN`] as many at every size as at any other, as far as there are, evenly spaced in time. Results do not enter
/// the choice, so that it does not bias them.
#[must_use]
pub fn known(observations: &[Observation]) -> Vec<usize> {
    let fidelities: Vec<usize> = observations.iter().map(|o| o.fidelity.index()).collect();
    thin(&fidelities, MOST_KNOWN)
}
