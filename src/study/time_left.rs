//! How long a study is going to take, by how long its trials have taken.

use crate::problem::FidelityId;
use std::time::Duration;

use super::Study;

impl Study {
    /// Seconds that a trial usually takes: the median of those that reported a result, by fidelity.
    #[must_use]
    pub fn usual_durations(&self) -> Vec<Option<f64>> {
        let median = |fidelity: FidelityId| {
            // The result of a trial that was continued is that of its last part.
            let trials = self.trials().iter().filter(|t| t.fidelity == fidelity && t.continued.is_none());
            let mut durations: Vec<f64> = trials.filter_map(|t| t.used()?.duration).collect();
            durations.sort_by(f64::total_cmp);
            durations.get(durations.len() / 2).copied()
        };
        self.config().fidelities.ids().map(median).collect()
    }

    /// About how many seconds are left with all slots at work: until a limit of cost, trials or time is reached and the
    /// confirmation has ended; when the search has stopped, until all trials have ended. The present run of `optimize` has
    /// been at work for `elapsed`. `None` without such a limit, and as long as nothing says how long trials take.
    #[must_use]
    pub fn time_left(&self, elapsed: Duration) -> Option<f64> {
        let config = self.config();
        let slots = config.launcher.as_ref()?.slots as f64;
        let (usual, costs, spent, charges) = (self.usual_durations(), self.costs(), self.spent(), self.charges());
        let (mut n, mut work, mut cost) = (0.0, 0.0, 0.0);
        for trial in self.trials().iter().filter(|t| t.searching()) {
            if let Some(duration) = trial.outcome().and_then(|o| o.duration) {
                (n, work, cost) = (n + 1.0, work + duration, cost + charges.of(trial));
            }
        }
        // A size that no trial has ended at takes as long as it costs.
        let takes = |m: FidelityId| usual[m].or(Some(costs[m] * work / cost).filter(|time| time.is_finite()));
        if self.stopped().is_some() {
            let unfinished = self.trials().iter().filter(|t| !t.finished());
            return unfinished.map(|t| takes(t.fidelity)).sum::<Option<f64>>().map(|work| work / slots);
        }
        let by_trials = config.budget.trials.map(|limit| limit.saturating_sub(spent.trials) as f64 * work / n / slots);
        let by_cost = config.budget.cost.map(|limit| (limit - spent.cost).max(0.0) * work / cost / slots);
        let by_time = config.budget.wall_time.map(|limit| limit.saturating_sub(elapsed).as_secs_f64());
        let search = [by_trials, by_cost, by_time].into_iter().flatten().filter(|left| left.is_finite());
        let confirm = match config.confirmation_runs() {
            0 => 0.0,
            runs => runs as f64 * takes(config.fidelities.target())? / slots,
        };
        search.min_by(f64::total_cmp).map(|search| search + confirm)
    }
}
