//! What a search is going to cost, and how long it is going to take, by its budget and by what runs have taken.

use std::time::Duration;

use super::{Study, Trial};
use crate::config::StudyConfig;
use crate::problem::FidelityId;

/// How long runs take, as far as it was measured.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Seconds that a unit of cost takes in one slot.
    seconds: f64,
    /// What a run at each fidelity costs, in that unit.
    costs: Vec<f64>,
    /// Completed trials that it was measured on.
    pub trials: usize,
}

impl Rate {
    /// From what the study's completed trials took; `None` before there is one.
    #[must_use]
    pub fn measured(study: &Study) -> Option<Self> {
        let costs = study.costs();
        let took = |t: &Trial| Some((t.outcome()?.duration?, costs[t.fidelity]));
        let runs: Vec<(f64, f64)> = study.trials().iter().filter_map(took).collect();
        let (time, cost) = runs.iter().fold((0.0, 0.0), |(time, cost), (d, c)| (time + d, cost + c));
        (cost > 0.0).then(|| Self { seconds: time / cost, costs, trials: runs.len() })
    }
}

/// The search ahead, as far as it can be known.
#[derive(Clone, Debug)]
pub struct Forecast<'a> {
    /// The config of the study.
    pub config: &'a StudyConfig,
    /// How many trials have been suggested already.
    pub begun: usize,
    /// What they have cost.
    spent: f64,
    /// How many trials of the design are still to come, by fidelity.
    pub design: Vec<usize>,
    /// What these cost.
    pub design_cost: f64,
    /// What a run costs, by fidelity.
    costs: Vec<f64>,
    /// What costs are counted in, where they are not stated.
    pub unit: Option<&'static str>,
    /// How long runs take.
    pub rate: Option<Rate>,
}

impl<'a> Forecast<'a> {
    /// Of a study in which `begun` trials have been suggested and those of `design` are still to come.
    #[must_use]
    pub fn new(study: &'a Study, begun: usize, design: &[Trial], rate: Option<Rate>) -> Self {
        let (config, spent) = (study.config(), study.spent().cost);
        let costs = rate.as_ref().map_or_else(|| study.costs(), |rate| rate.costs.clone());
        let at = |m: FidelityId| design.iter().filter(|t| t.fidelity == m).count();
        let counts = config.fidelities.ids().map(at).collect();
        let design_cost = design.iter().map(|t| costs[t.fidelity]).sum();
        Self { config, begun, spent, design: counts, design_cost, costs, unit: study.cost_unit(), rate }
    }

    /// Whether costs mean something: they are stated, or have been measured.
    #[must_use]
    pub fn has_costs(&self) -> bool {
        self.rate.is_some() || self.config.fidelities.list().iter().all(|f| f.cost.is_some())
    }

    /// The least and the most that the search will still cost under its budget; `None` where nothing bounds it.
    #[must_use]
    pub fn cost(&self) -> Option<(f64, f64)> {
        let budget = &self.config.budget;
        let (least, most) = range(&self.costs);
        let by_trials = budget.trials.map(|n| {
            let rest = n.saturating_sub(self.begun + self.design.iter().sum::<usize>()) as f64;
            (self.design_cost + rest * least, self.design_cost + rest * most)
        });
        match (by_trials.filter(|_| self.has_costs()), budget.cost.map(|limit| (limit - self.spent).max(0.0))) {
            (Some((a, b)), Some(limit)) => Some((a.min(limit), b.min(limit))),
            (None, Some(limit)) => Some((limit, limit)),
            (bounds, None) => bounds,
        }
    }

    /// How many runs the confirmation takes at most, which no budget has in it, and what they cost.
    #[must_use]
    pub fn confirmation(&self) -> (usize, f64) {
        let runs = self.config.confirmation_runs();
        (runs, runs as f64 * self.costs[self.config.fidelities.target()])
    }

    /// How many trials run at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.config.launcher.as_ref().map_or(1, |l| l.slots)
    }

    /// The least and the most time that search and confirmation take with all slots at work; `None` where nothing bounds it, or
    /// nothing says how long runs take.
    #[must_use]
    pub fn duration(&self) -> Option<(Duration, Duration)> {
        let seconds = self.rate.as_ref()?.seconds / self.slots() as f64;
        let limit = self.config.budget.wall_time.map_or(f64::INFINITY, |limit| limit.as_secs_f64());
        let (least, most) = self.cost().unwrap_or((f64::INFINITY, f64::INFINITY));
        let confirmation = self.confirmation().1 * seconds;
        let time = |cost: f64| Duration::try_from_secs_f64((cost * seconds).min(limit) + confirmation).ok();
        Some((time(least)?, time(most)?))
    }

    /// Whether the initial design takes the whole budget of a study that has not begun.
    #[must_use]
    pub fn is_all_design(&self) -> bool {
        self.limit().is_some_and(|limit| self.design_cost >= limit)
    }

    /// Whether the budget of a study that has not begun pays for no run at the target.
    #[must_use]
    pub fn lacks_target(&self) -> bool {
        self.limit().is_some_and(|limit| limit < self.costs[self.config.fidelities.target()])
    }

    fn limit(&self) -> Option<f64> {
        self.config.budget.cost.filter(|_| self.begun == 0 && self.has_costs())
    }
}

/// The least and the most that `budget.trials` can cost; `None` without such a limit or without stated costs.
#[must_use]
pub fn cost_of_trials(config: &StudyConfig) -> Option<(f64, f64)> {
    let trials = config.budget.trials? as f64;
    let costs: Vec<f64> = config.fidelities.list().iter().map(|f| f.cost).collect::<Option<_>>()?;
    let (least, most) = range(&costs);
    Some((trials * least, trials * most))
}

fn range(costs: &[f64]) -> (f64, f64) {
    (costs.iter().copied().fold(f64::INFINITY, f64::min), costs.iter().copied().fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sizes at costs 1 and 10, of which the design takes three and one run.
    fn forecast(config: &StudyConfig, begun: usize) -> Forecast<'_> {
        Forecast {
            config,
            begun,
            spent: 4.0,
            design: vec![3, 1],
            design_cost: 13.0,
            costs: vec![1.0, 10.0],
            unit: None,
            rate: Some(Rate { seconds: 2.0, costs: vec![1.0, 10.0], trials: 1 }),
        }
    }

    fn config(rest: &str) -> StudyConfig {
        let text = format!(
            "[study]\nname = \"s\"\n[[domain]]\nname = \"a\"\n[[domain]]\nname = \"b\"\n\
             [[fidelity]]\nname = \"small\"\ncost = 1\n[[fidelity]]\nname = \"large\"\ncost = 10\n\
             [objective]\nmetric = \"loss\"\n{rest}"
        );
        StudyConfig::parse("admire.toml".as_ref(), &text, &[]).unwrap()
    }

    #[test]
    fn trials_beyond_the_design_cost_between_the_cheapest_and_the_dearest_run_and_no_more_than_the_budget() {
        let trials = config("[budget]\ntrials = 10\n");
        assert_eq!(forecast(&trials, 0).cost(), Some((13.0 + 6.0, 13.0 + 60.0)));
        assert_eq!(forecast(&trials, 5).cost(), Some((13.0 + 1.0, 13.0 + 10.0)));
        assert_eq!(cost_of_trials(&trials), Some((10.0, 100.0)));
        assert_eq!(forecast(&config("[budget]\ntrials = 10\ncost = 24\n"), 0).cost(), Some((19.0, 20.0)));
        assert_eq!(forecast(&config("[budget]\ncost = 24\n"), 0).cost(), Some((20.0, 20.0)));
        assert_eq!(forecast(&config(""), 0).cost(), None);
    }

    #[test]
    fn time_is_that_of_search_and_confirmation_in_all_slots() {
        let config = config(
            "[budget]\ncost = 24\n[confirm]\nseeds = 2\n[launcher]\nkind = \"local\"\ncommand = [\"true\"]\nslots = 4\n",
        );
        let forecast = forecast(&config, 0);
        assert_eq!(forecast.confirmation(), (4, 40.0));
        let expected = Duration::from_secs_f64((20.0 + 40.0) * 2.0 / 4.0);
        assert_eq!(forecast.duration(), Some((expected, expected)));
    }

    #[test]
    fn a_budget_that_the_design_takes_or_that_pays_for_no_target_run_is_told() {
        let told = |limit: f64, begun: usize| {
            let config = config(&format!("[budget]\ncost = {limit}\n"));
            let forecast = forecast(&config, begun);
            (forecast.is_all_design(), forecast.lacks_target())
        };
        assert_eq!(told(9.0, 0), (true, true));
        assert_eq!(told(13.0, 0), (true, false));
        assert_eq!(told(14.0, 0), (false, false));
        assert_eq!(told(9.0, 1), (false, false), "begun");
    }
}
