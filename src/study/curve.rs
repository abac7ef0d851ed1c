//! What trials reported on their way.

use super::{Study, Trial};
use crate::problem::Progress;

/// A place on the curve of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Steps so far, where stated.
    pub step: Option<f64>,
    /// Tokens trained on so far, where stated.
    pub tokens: Option<f64>,
    /// The objective there, in the user's orientation.
    pub objective: f64,
}

impl Study {
    /// The objective that a trial reported on its way, from the first report to the last. Reports without it are left out: a guard may
    /// have been added since that is about another metric.
    #[must_use]
    pub fn curve(&self, trial: &Trial) -> Vec<Place> {
        let place = |Progress { step, tokens, metrics }: &Progress| {
            let objective = self.objective(metrics, trial.fidelity)?;
            Some(Place { step: *step, tokens: *tokens, objective })
        };
        trial.curve.iter().filter_map(place).collect()
    }

    /// Which share of its tokens a trial had trained on when it reported last; `None` where that is not known.
    #[must_use]
    pub fn share_done(&self, trial: &Trial) -> Option<f64> {
        let all = self.config().fidelities[trial.fidelity].tokens?;
        trial.curve.last()?.tokens.map(|done| (done / all).min(1.0))
    }
}
