//! How long a study is going to take, by how long its trials have taken.

use super::{Completed, Purpose, Study, Trial, TrialState};

impl Study {
    /// Seconds that a trial usually takes: the median of the completed ones, by fidelity.
    #[must_use]
    pub fn usual_durations(&self) -> Vec<Option<f64>> {
        let median = |fidelity: usize| {
            let trials = self.trials().iter().filter(|t| t.fidelity == fidelity);
            let mut durations: Vec<f64> = trials.filter_map(|t| outcome(t)?.duration).collect();
            durations.sort_by(f64::total_cmp);
            durations.get(durations.len() / 2).copied()
        };
        (0..self.config().fidelities.list().len()).map(median).collect()
    }

    /// Whether all is done: the search has stopped, what was to be confirmed is, and nothing runs or waits.
    #[must_use]
    pub fn ended(&self) -> bool {
        let runs = |purpose| self.trials().iter().filter(|t| t.purpose == purpose).count();
        let confirmed = self.config().confirm.as_ref().is_none_or(|confirm| {
            runs(Purpose::ConfirmRecommended) >= confirm.seeds && runs(Purpose::ConfirmUniform) >= confirm.seeds
        });
        self.stopped().is_some() && confirmed && self.trials().iter().all(Trial::finished)
    }

    /// About how many seconds are left, with all slots at work: until a limit of cost or trials is reached, or, when the
    /// search has stopped, until all trials have ended. `None` without such a limit, and as long as no trial has ended.
    #[must_use]
    pub fn time_left(&self) -> Option<f64> {
        let slots = self.config().launcher.as_ref()?.slots as f64;
        let (budget, spent, usual) = (&self.config().budget, self.spent(), self.usual_durations());
        if self.stopped().is_some() {
            let unfinished = self.trials().iter().filter(|t| !t.finished());
            return unfinished.map(|t| usual[t.fidelity]).sum::<Option<f64>>().map(|work| work / slots);
        }
        let (costs, mut n, mut work, mut cost) = (self.costs(), 0.0, 0.0, 0.0);
        for trial in self.trials().iter().filter(|t| t.searching()) {
            if let Some(duration) = outcome(trial).and_then(|o| o.duration) {
                (n, work, cost) = (n + 1.0, work + duration, cost + self.cost(trial, &costs));
            }
        }
        let by_trials = budget.trials.map(|limit| limit.saturating_sub(spent.trials) as f64 * work / n);
        let by_cost = budget.cost.map(|limit| (limit - spent.cost).max(0.0) * work / cost);
        let left = [by_trials, by_cost].into_iter().flatten().filter(|work| work.is_finite());
        left.min_by(f64::total_cmp).map(|work| work / slots)
    }
}

fn outcome(trial: &Trial) -> Option<&Completed> {
    if let TrialState::Complete(outcome) = &trial.state { Some(outcome) } else { None }
}
