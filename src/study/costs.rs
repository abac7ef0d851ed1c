//! What trials cost: all that is charged is charged here.

use crate::problem::{Fidelity, FidelityId, affordable};
use crate::text::{counted, number};
use serde::Serialize;

use super::{Completed, Study, Trial};

/// What a study has used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// Cumulative cost of the search, failed attempts included.
    pub cost: f64,
    /// Finished trials of the search, but for those that failed before the launcher was repaired.
    pub trials: usize,
    /// What its confirmation has used, which no budget limits.
    pub confirmation: Confirmed,
}

/// What the confirmation of a study has used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confirmed {
    /// Cumulative cost, failed attempts included.
    pub cost: f64,
    /// Finished trials.
    pub trials: usize,
}

/// What trials of a study are charged.
#[derive(Clone, Debug)]
pub struct Charges {
    /// What the config says that a run costs, by fidelity.
    configured: Vec<Option<f64>>,
    /// What a run costs, by fidelity.
    run: Vec<f64>,
    /// Seconds that a run takes, by fidelity; `None` before any run of the study is complete.
    duration: Vec<Option<f64>>,
}

impl Charges {
    /// The cost of one trial. Attempts that failed or diverged cost what they used, and so does a trial that was ended early. A
    /// complete trial costs its [run](Self::complete).
    #[must_use]
    pub fn of(&self, trial: &Trial) -> f64 {
        let m = trial.fidelity;
        let lost: f64 = trial.lost.iter().map(|duration| self.share(m, *duration) * self.run[m]).sum();
        lost + trial.used().map_or(trial.stopped_at * self.run[m], |outcome| self.complete(trial, outcome))
    }

    /// What the run of a trial with this outcome cost, without attempts that were lost: what it reported, else what is configured,
    /// else its duration, else what a run at its fidelity costs. A trial that was continued reports what its last attempt used; what it
    /// had used before is added.
    #[must_use]
    pub fn complete(&self, trial: &Trial, outcome: &Completed) -> f64 {
        let run = self.run[trial.fidelity];
        let whole = |last: f64| trial.stopped_at * run + last;
        let configured = self.configured[trial.fidelity];
        outcome.cost.map(whole).or(configured).or(outcome.duration.map(whole)).unwrap_or(run)
    }

    /// Which share of a run an attempt at fidelity `m` has used that ran for so many seconds: of the time that a run takes, at
    /// most all of it. Where it is not known for how long it ran, a whole run is charged. As long as no run is complete there is
    /// nothing to measure by, and nothing is charged yet.
    fn share(&self, m: FidelityId, duration: Option<f64>) -> f64 {
        match (duration, self.duration[m]) {
            (Some(_), Some(run)) if run <= 0.0 => 1.0,
            (Some(duration), Some(run)) => (duration / run).min(1.0),
            (Some(_), None) => 0.0,
            (None, _) => 1.0,
        }
    }
}

impl Study {
    /// Cost of one run at each fidelity: configured; else the mean cost or duration (seconds × 1 slot) of completed
    /// runs; else, before any, extrapolated by parameters × tokens from a fidelity that has them.
    #[must_use]
    pub fn costs(&self) -> Vec<f64> {
        let list = self.config.fidelities.list();
        let measured = |i: FidelityId| {
            let runs = self.state.trials.iter().filter(|t| t.fidelity == i);
            let costs: Vec<f64> = runs.filter_map(own_cost).filter(|c| *c > 0.0).collect();
            (!costs.is_empty()).then(|| costs.iter().sum::<f64>() / costs.len() as f64)
        };
        let known: Vec<Option<f64>> =
            self.config.fidelities.iter().map(|(i, f)| f.cost.or_else(|| measured(i))).collect();
        let size = |f: &Fidelity| f.params.unwrap_or(1.0) * f.tokens.unwrap_or(1.0);
        // Cost per size of the largest known fidelity: small runs are dominated by start-up time.
        let rate = (0..list.len()).rev().find_map(|i| known[i].map(|c| c / size(&list[i])));
        let rate = rate.unwrap_or_else(|| 1.0 / size(&list[self.config.fidelities.target()]));
        list.iter().zip(&known).map(|(f, c)| c.unwrap_or_else(|| rate * size(f))).collect()
    }

    /// What costs are counted in where the config states none and no trial reports its own: then a run costs the seconds that
    /// it takes in its slot.
    #[must_use]
    pub fn cost_unit(&self) -> Option<&'static str> {
        let reported = |t: &Trial| t.used().is_some_and(|outcome| outcome.cost.is_some());
        let stated = self.config.fidelities.list().iter().any(|f| f.cost.is_some());
        (!stated && !self.state.trials.iter().any(reported)).then_some("slot-seconds")
    }

    /// The cost of one run at a fidelity, unless it is a guess: no cost is stated, and none has been measured yet.
    #[must_use]
    pub fn known_cost(&self, fidelity: FidelityId) -> Option<f64> {
        let measured = |t: &Trial| own_cost(t).is_some_and(|cost| cost > 0.0);
        let known = self.config.fidelities[fidelity].cost.is_some() || self.state.trials.iter().any(measured);
        known.then(|| self.costs()[fidelity])
    }

    /// What trials are charged, as far as is known by now.
    #[must_use]
    pub fn charges(&self) -> Charges {
        let (run, known) = (self.costs(), self.usual_durations());
        // Where no run is complete, time is taken to go with cost: by the rate of the largest fidelity that has some.
        let rate = (0..run.len()).rev().find_map(|m| known[m].map(|duration| duration / run[m]));
        let duration = known.iter().zip(&run).map(|(known, cost)| known.or_else(|| Some(rate? * cost))).collect();
        let configured = self.config.fidelities.list().iter().map(|f| f.cost).collect();
        Charges { configured, run, duration }
    }

    /// What the search will have used once the trials that run or wait have finished: cost, and number of trials.
    #[must_use]
    pub fn committed(&self) -> (f64, usize) {
        let (spent, costs) = (self.spent(), self.costs());
        let unfinished = || self.state.trials.iter().filter(|t| t.searching() && !t.finished());
        // What a trial that is continued had used before is spent.
        let rest = |t: &Trial| (1.0 - t.stopped_at) * costs[t.fidelity];
        (spent.cost + unfinished().map(rest).sum::<f64>(), spent.trials + unfinished().count())
    }

    /// Which limits of the budget the trials that run or wait will exceed, in words.
    #[must_use]
    pub fn excess(&self) -> Vec<String> {
        let ((cost, trials), budget) = (self.committed(), &self.config.budget);
        let excess = |key: &str, limit: String, value: String| {
            format!(
                "with the trials that wait, the search comes to {value}, more than budget.{key} = {limit}; they are run all the same"
            )
        };
        let cost = budget
            .cost
            .filter(|limit| !affordable(cost, *limit))
            .map(|limit| excess("cost", number(limit, 4), format!("a cost of {}", number(cost, 4))));
        let trials = budget
            .trials
            .filter(|limit| trials > *limit)
            .map(|limit| excess("trials", limit.to_string(), counted(trials, "trial")));
        cost.into_iter().chain(trials).collect()
    }

    /// What the study has used so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let charges = self.charges();
        let used = |searching: bool| {
            let trials = || self.state.trials.iter().filter(|t| t.searching() == searching);
            // From +0: an empty sum of floats is −0, which would be shown.
            let cost = trials().map(|t| charges.of(t)).fold(0.0, |sum, cost| sum + cost);
            (cost, trials().filter(|t| t.counts()).count())
        };
        let ((cost, trials), confirmation) = (used(true), used(false));
        Spent { cost, trials, confirmation: Confirmed { cost: confirmation.0, trials: confirmation.1 } }
    }
}

/// What a trial itself says about the cost of a run; nothing where its result is that of a part.
fn own_cost(trial: &Trial) -> Option<f64> {
    trial.used().filter(|_| trial.continued.is_none()).and_then(|outcome| outcome.cost.or(outcome.duration))
}
