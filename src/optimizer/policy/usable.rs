//! Mixtures whose weights can be used (`limits.smallest_weight`, `limits.step`).

use rayon::prelude::*;

use super::constants::{DESCENT_STEPS, DESCENTS};
use crate::acquisition::descend;
use crate::optimizer::Optimizer;
use crate::problem::Evidence;
use crate::space::Granularity;
use crate::surrogate::Surrogate;

impl Optimizer {
    /// The usable mixtures nearest to these, each once; if all mixtures can be used, these.
    pub(in crate::optimizer) fn usable(&self, mixtures: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        if self.space.granularity() == Granularity::default() {
            return mixtures;
        }
        let nearest: Vec<Vec<f64>> = mixtures.par_iter().map(|weights| self.space.usable(weights)).collect();
        let mut usable: Vec<Vec<f64>> = Vec::new();
        for weights in nearest {
            if !usable.contains(&weights) {
                usable.push(weights);
            }
        }
        usable
    }

    /// [`Self::usable`], and mixtures with the same domains as the most promising of these, but with weights of smaller mean: the nearest
    /// usable mixture to an optimum is seldom the best one.
    pub(super) fn usable_optima(
        &self,
        (surrogate, about): (&Surrogate, &Surrogate),
        evidence: &Evidence,
        mixtures: Vec<Vec<f64>>,
    ) -> Vec<Vec<f64>> {
        let mut usable = self.usable(mixtures);
        if self.space.granularity() == Granularity::default() {
            return usable;
        }
        let x = self.columns(usable.iter().map(Vec::as_slice));
        let spread = surrogate.mean(&x).variance().sqrt().max(f64::MIN_POSITIVE);
        let refined = self.promising(about, evidence, &x, DESCENTS).into_iter().filter_map(|i| {
            let (start, face) = (&usable[i], self.space.face(&usable[i])?);
            if self.guards.is_empty() {
                return descend(&face, |x| surrogate.mean_with_gradient(x), start, DESCENT_STEPS).map(|(_, w)| w);
            }
            Some(self.constrained_best((surrogate, about), evidence, (&face, start), spread))
        });
        let mut refined = self.usable(refined.collect());
        refined.retain(|weights| !usable.contains(weights));
        usable.extend(refined);
        usable
    }
}
