//! What the optimizer decides on.

use super::{FidelityId, Mixture, Observation};

/// Everything the optimizer may look at.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Complete trials of the search, oldest first, after the runs that it was given.
    pub observations: Vec<Observation>,
    /// How many of the observations, the first ones, the search was given: imported runs and those of a confirmation. The model
    /// learns from them, but the search spent nothing on them.
    pub given: usize,
    /// Mixture and fidelity of trials that are running or handed out.
    pub pending: Vec<(Mixture, FidelityId)>,
    /// Mixture and fidelity of trials that failed or diverged: not to be proposed again, but without a loss.
    pub failed: Vec<(Mixture, FidelityId)>,
    /// Mixture and fidelity of trials that failed before the launcher was repaired: the initial design takes them up again.
    pub repaired: Vec<(Mixture, FidelityId)>,
    /// Cost of one run at each fidelity (configured, or learned from durations), all positive.
    pub costs: Vec<f64>,
}

impl Evidence {
    /// All fidelities, cheapest first.
    pub fn fidelities(&self) -> impl Iterator<Item = FidelityId> + use<> {
        (0..self.costs.len()).map(FidelityId::new)
    }

    /// Mixtures of all trials of the search at fidelity `m`, however they ended.
    pub fn bought(&self, m: FidelityId) -> impl Iterator<Item = &Mixture> {
        let trials = self.observations.iter().skip(self.given);
        let observed = trials.filter(move |o| o.fidelity == m).map(|o| &o.mixture);
        let others = self.pending.iter().chain(&self.failed).filter(move |(_, l)| *l == m).map(|(w, _)| w);
        observed.chain(others)
    }

    /// Mixtures of all trials of the search at fidelity `m`, however they ended, and of the runs that it was given.
    pub fn taken(&self, m: FidelityId) -> impl Iterator<Item = &Mixture> {
        let given = self.observations.iter().take(self.given).filter(move |o| o.fidelity == m && o.past.is_none());
        given.map(|o| &o.mixture).chain(self.bought(m))
    }

    /// How many runs at fidelity `m` fill the space: those that [are taken](Self::taken), and those with domains that are gone. Of data
    /// that have changed, runs say too little to go without new ones.
    #[must_use]
    pub fn filling(&self, m: FidelityId) -> usize {
        let given = self.observations.iter().take(self.given).filter(|o| o.fidelity == m && !o.past.is_none());
        given.filter(|o| !o.past.is_outdated()).count() + self.taken(m).count()
    }
}

/// A trial that runs, with what its curve says of its end.
#[derive(Clone, Debug, PartialEq)]
pub struct OnTheWay {
    /// The estimate of its end, as an observation of it: values with their standard errors.
    pub end: Observation,
    /// Which share of its tokens it has trained on, below 1.
    pub share_done: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Past, RunId};

    #[test]
    fn a_run_with_a_lost_domain_fills_the_space_and_one_with_changed_data_does_not() {
        let run = |past| Observation {
            run: RunId::Imported(1),
            mixture: Mixture::new(vec![0.5, 0.5]),
            fidelity: FidelityId::new(0),
            metrics: vec![1.0],
            se: vec![None],
            past,
        };
        let gone = Past { kept: 0.8, columns: vec![0.2, 0.0] };
        let changed = Past { kept: 1.0, columns: vec![0.0, 0.5] };
        let both = Past { kept: 0.8, columns: vec![0.2, 0.4] };
        let observations = [Past::none(2), gone, changed, both].map(run).into();
        let evidence = Evidence { observations, given: 4, ..Evidence::default() };
        let m = FidelityId::new(0);
        assert_eq!((evidence.taken(m).count(), evidence.filling(m)), (1, 2));
        assert_eq!(evidence.observations.iter().filter_map(Observation::measurement).count(), 1);
    }
}
