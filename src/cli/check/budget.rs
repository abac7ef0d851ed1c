//! What the budget buys, and how long that takes.

use crate::problem::FidelityId;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::short;
use crate::cli::text::{self, counted};
use crate::config::StudyConfig;
use crate::study::{Study, Trial, TrialState};

/// How long runs take, as far as it was measured.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    /// Seconds that a unit of cost takes in one slot.
    seconds: f64,
    /// What a run at each fidelity costs, in that unit.
    costs: Vec<f64>,
    /// Finished trials that it was measured on.
    trials: usize,
}

impl Rate {
    /// From what the study's completed trials took.
    pub(super) fn measured(study: &Study) -> Option<Self> {
        let costs = study.costs();
        let took = |t: &Trial| match &t.state {
            TrialState::Complete(outcome) => outcome.duration.map(|d| (d, costs[t.fidelity])),
            _ => None,
        };
        let runs: Vec<(f64, f64)> = study.trials().iter().filter_map(took).collect();
        let (time, cost) = runs.iter().fold((0.0, 0.0), |(time, cost), (d, c)| (time + d, cost + c));
        (cost > 0.0).then(|| Self { seconds: time / cost, costs, trials: runs.len() })
    }
}

/// The search ahead, as far as it can be known.
pub(super) struct Plan<'a> {
    config: &'a StudyConfig,
    /// How many trials have been suggested already.
    begun: usize,
    /// What they have cost.
    spent: f64,
    /// How many trials of the design are still to come at each fidelity, and what they cost.
    design: Vec<(&'a str, usize)>,
    design_cost: f64,
    costs: Vec<f64>,
    /// What costs are counted in, where they are not stated.
    unit: Option<&'static str>,
    rate: Option<Rate>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(study: &'a Study, begun: usize, design: &[Trial], rate: Option<Rate>) -> Self {
        let (config, spent) = (study.config(), study.spent().cost);
        let costs = rate.as_ref().map_or_else(|| study.costs(), |rate| rate.costs.clone());
        let at = |m: FidelityId| design.iter().filter(|t| t.fidelity == m).count();
        let list = config.fidelities.iter();
        let counts = list.map(|(m, f)| (f.name.as_str(), at(m))).filter(|(_, n)| *n > 0).collect();
        let design_cost = design.iter().map(|t| costs[t.fidelity]).sum();
        Self { config, begun, spent, design: counts, design_cost, costs, unit: study.cost_unit(), rate }
    }

    /// A cost, with its unit.
    fn costing(&self, cost: f64) -> String {
        format!("{}{}", short(cost), self.unit.map_or_else(String::new, |unit| format!(" {unit}")))
    }

    /// Whether costs mean something: they are stated, or have been measured.
    fn has_costs(&self) -> bool {
        self.rate.is_some() || self.config.fidelities.list().iter().all(|f| f.cost.is_some())
    }

    /// The least and the most that the search will still cost under its budget; `None` where nothing bounds it.
    fn cost(&self) -> Option<(f64, f64)> {
        let budget = &self.config.budget;
        let least = self.costs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.costs.iter().copied().fold(0.0, f64::max);
        let by_trials = budget.trials.map(|n| {
            let rest = n.saturating_sub(self.begun + self.design.iter().map(|(_, n)| n).sum::<usize>()) as f64;
            (self.design_cost + rest * least, self.design_cost + rest * most)
        });
        match (by_trials.filter(|_| self.has_costs()), budget.cost.map(|limit| (limit - self.spent).max(0.0))) {
            (Some((a, b)), Some(limit)) => Some((a.min(limit), b.min(limit))),
            (None, Some(limit)) => Some((limit, limit)),
            (bounds, None) => bounds,
        }
    }

    /// Runs of the confirmation, which no budget has in it.
    fn confirm(&self) -> (usize, f64) {
        let runs = self.config.confirm.as_ref().map_or(0, |c| 2 * c.seeds);
        (runs, runs as f64 * self.costs[self.config.fidelities.target()])
    }

    /// The least and the most time that search and confirmation take with all slots at work.
    fn duration(&self) -> Option<(Duration, Duration)> {
        let slots = self.config.launcher.as_ref().map_or(1, |l| l.slots) as f64;
        let seconds = self.rate.as_ref()?.seconds / slots;
        let limit = self.config.budget.wall_time.map_or(f64::INFINITY, |limit| limit.as_secs_f64());
        let (least, most) = self.cost().unwrap_or((f64::INFINITY, f64::INFINITY));
        let time =
            |cost: f64| Duration::try_from_secs_f64((cost * seconds).min(limit) + self.confirm().1 * seconds).ok();
        Some((time(least)?, time(most)?))
    }

    /// The budget, in a sentence.
    fn sentence(&self) -> String {
        let (config, budget) = (self.config, &self.config.budget);
        let target = &config.fidelities[config.fidelities.target()];
        let mut limits = vec![];
        if let Some(cost) = budget.cost {
            let worth = target.cost.map(|c| {
                let runs = if cost == c { "run" } else { "runs" };
                format!(" (worth {} {runs} at {})", short(cost / c), target.name)
            });
            limits.push(format!("cost {}{}", self.costing(cost), worth.unwrap_or_default()));
        }
        if let Some(trials) = budget.trials {
            let bounds = cost_range(config).map(|(a, b)| format!(" (cost between {} and {})", short(a), short(b)));
            limits.push(format!("{}{}", counted(trials, "trial"), bounds.unwrap_or_default()));
        }
        limits.extend(budget.wall_time.map(|t| format!("{} of wall time", text::duration(t))));
        limits.extend(budget.patience.map(|n| format!("patience of {}", counted(n, "trial"))));
        limits.extend(budget.regret.map(|r| format!("expected regret below {}", short(r))));
        limits.extend(budget.gain.map(|g| format!("a gain below {} per unit of cost", short(g))));
        match limits.len() {
            0 => "budget: none, the study goes on until it is interrupted".into(),
            1 => format!("budget: {}", limits[0]),
            _ => format!("budget: {}, whichever is reached first", limits.join(", ")),
        }
    }

    /// What one should know about the budget before spending it.
    pub(super) fn notes(&self) -> Vec<String> {
        let budget = &self.config.budget;
        let target = &self.config.fidelities[self.config.fidelities.target()];
        let limit = budget.cost.filter(|_| self.begun == 0 && self.has_costs());
        let mut notes = vec![];
        if limit.is_some_and(|limit| self.design_cost >= limit) {
            notes.push("the initial design alone takes the whole budget: nothing is left to search with".into());
        }
        if limit.is_some_and(|limit| limit < self.costs[self.config.fidelities.target()]) {
            notes.push(format!("the budget pays for no run at {}: whether it agrees stays unknown", target.name));
        }
        if let Some(unit) = self.unit {
            notes.push(format!("no cost is stated: a run costs the seconds that it takes in its slot, {unit}"));
        }
        notes
    }

    pub(super) fn json(&self) -> Value {
        let range = |(a, b): (f64, f64)| json!([a, b]);
        let (runs, cost) = self.confirm();
        json!({
            "design_cost": self.has_costs().then_some(self.design_cost),
            "cost": self.cost().map(range),
            "confirm": { "runs": runs, "cost": self.has_costs().then_some(cost) },
            "duration": self.duration().map(|(a, b)| range((a.as_secs_f64(), b.as_secs_f64()))),
        })
    }
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.sentence())?;
        let cost = |cost: f64| if self.has_costs() { format!(", cost {}", self.costing(cost)) } else { String::new() };
        if self.begun > 0 {
            writeln!(f, "begun: {} in {}", counted(self.begun, "trial"), self.config.dir.display())?;
        }
        if !self.design.is_empty() {
            let parts: Vec<String> = self.design.iter().map(|(name, n)| format!("{n} at {name}")).collect();
            let rest = if self.begun > 0 { "the rest of the initial design" } else { "initial design" };
            writeln!(f, "{rest}: {}{}", parts.join(", "), cost(self.design_cost))?;
        }
        let (runs, confirm) = self.confirm();
        if runs > 0 {
            let target = &self.config.fidelities[self.config.fidelities.target()].name;
            writeln!(f, "confirmation, beyond the budget: {} at {target}{}", counted(runs, "run"), cost(confirm))?;
        }
        match (self.duration(), &self.rate) {
            (Some((least, most)), Some(rate)) => {
                let slots = counted(self.config.launcher.as_ref().map_or(1, |l| l.slots), "slot");
                let trials = counted(rate.trials, "trial");
                let (least, most) = (text::duration(least), text::duration(most));
                let range = if least == most { format!("about {most}") } else { format!("{least} to {most}") };
                writeln!(f, "duration: {range} with {slots}, by {trials} so far")
            }
            (_, Some(_)) => writeln!(f, "duration: nothing bounds it"),
            (_, None) => writeln!(f, "duration: not known before a trial has run; `--trial` runs the cheapest"),
        }
    }
}

/// The least and the most that `budget.trials` can cost; `None` without such a limit or without costs.
fn cost_range(config: &StudyConfig) -> Option<(f64, f64)> {
    let trials = config.budget.trials? as f64;
    let costs: Vec<f64> = config.fidelities.list().iter().map(|f| f.cost).collect::<Option<_>>()?;
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = costs.iter().copied().fold(0.0, f64::max);
    Some((trials * least, trials * most))
}

/// The limits as they are stated.
pub(super) fn limits(config: &StudyConfig) -> Value {
    json!({
        "cost": config.budget.cost,
        "trials": config.budget.trials,
        "wall_time": config.budget.wall_time.map(|t| t.as_secs_f64()),
        "patience": config.budget.patience,
        "regret": config.budget.regret,
        "gain": config.budget.gain,
    })
}
