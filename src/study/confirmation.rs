//! What is trained to confirm a recommendation.

use super::{Purpose, Study, Trial, TrialState};
use crate::config::Reference;
use crate::problem::Mixture;

impl Study {
    /// What `recommended` is compared with: no mixture is held against itself.
    pub fn references<'a>(&'a self, recommended: &'a Mixture) -> impl Iterator<Item = &'a Reference> {
        let config = self.config();
        let differs = |r: &&Reference| r.mixture.distance(recommended) >= config.optimizer.tolerance;
        config.references.iter().filter(differs)
    }

    /// The mixtures that `[confirm]` asks to be trained when `recommended` is to be confirmed; none without it, and none where there
    /// is nothing to compare with.
    #[must_use]
    pub fn to_confirm(&self, recommended: &Mixture) -> Vec<(Purpose, Mixture)> {
        let uniform = self.config().space.uniform();
        let purpose = |mixture: &Mixture| match *mixture == uniform {
            true => Purpose::ConfirmUniform,
            false => Purpose::ConfirmReference,
        };
        let references = self.config().confirm.iter().flat_map(|_| self.references(recommended));
        let mut mixtures: Vec<_> = references.map(|r| (purpose(&r.mixture), r.mixture.clone())).collect();
        if !mixtures.is_empty() {
            mixtures.insert(0, (Purpose::ConfirmRecommended, recommended.clone()));
        }
        mixtures
    }

    /// The confirmation runs of a mixture, whatever it was to them; not those that are superseded, cancelled or withdrawn, whose
    /// seeds are to be trained again if the mixture is to be confirmed.
    pub fn confirmations<'a>(&'a self, mixture: &'a Mixture) -> impl Iterator<Item = &'a Trial> {
        let void = |t: &Trial| t.superseded() || matches!(t.state, TrialState::Cancelled | TrialState::Withdrawn);
        self.trials().iter().filter(move |t| !t.searching() && !void(t) && t.mixture == *mixture)
    }

    /// Whether all is done: the search has stopped, what was to be confirmed is, and nothing runs or waits.
    #[must_use]
    pub fn ended(&self) -> bool {
        let Some(stopped) = self.stopped() else { return false };
        let seeds = self.config().confirm.as_ref().map_or(0, |confirm| confirm.seeds);
        let confirmed = |mixture: &Mixture| self.confirmations(mixture).count() >= seeds;
        self.to_confirm(&stopped.mixture).iter().all(|(_, mixture)| confirmed(mixture))
            && self.trials().iter().all(Trial::finished)
    }
}
