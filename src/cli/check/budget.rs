//! What the budget buys, and how long that takes.

use std::fmt;

use serde_json::{Value, json};

use super::short;
use crate::cli::text::{self, counted};
use crate::config::StudyConfig;
use crate::study::{Forecast, cost_of_trials};

/// The search ahead, to be shown.
pub(super) struct Plan<'a>(pub Forecast<'a>);

impl Plan<'_> {
    /// A cost, with its unit.
    fn costing(&self, cost: f64) -> String {
        format!("{}{}", short(cost), self.0.unit.map_or_else(String::new, |unit| format!(" {unit}")))
    }

    /// The budget, in a sentence.
    fn sentence(&self) -> String {
        let (config, budget) = (self.0.config, &self.0.config.budget);
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
            let bounds = cost_of_trials(config).map(|(a, b)| format!(" (cost between {} and {})", short(a), short(b)));
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
        let target = &self.0.config.fidelities[self.0.config.fidelities.target()].name;
        let mut notes = vec![];
        if self.0.is_all_design() {
            notes.push("the initial design alone takes the whole budget: nothing is left to search with".into());
        }
        if self.0.lacks_target() {
            notes.push(format!("the budget pays for no run at {target}: whether it agrees stays unknown"));
        }
        if let Some(unit) = self.0.unit {
            notes.push(format!("no cost is stated: a run costs the seconds that it takes in its slot, {unit}"));
        }
        notes
    }

    pub(super) fn json(&self) -> Value {
        let range = |(a, b): (f64, f64)| json!([a, b]);
        let (runs, cost) = self.0.confirmation();
        json!({
            "design_cost": self.0.has_costs().then_some(self.0.design_cost),
            "cost": self.0.cost().map(range),
            "confirm": { "runs": runs, "cost": self.0.has_costs().then_some(cost) },
            "duration": self.0.duration().map(|(a, b)| range((a.as_secs_f64(), b.as_secs_f64()))),
        })
    }
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.sentence())?;
        let cost =
            |cost: f64| if self.0.has_costs() { format!(", cost {}", self.costing(cost)) } else { String::new() };
        if self.0.begun > 0 {
            writeln!(f, "begun: {} in {}", counted(self.0.begun, "trial"), self.0.config.dir.display())?;
        }
        let fidelities = self.0.config.fidelities.list().iter().zip(&self.0.design).filter(|(_, n)| **n > 0);
        let parts: Vec<String> = fidelities.map(|(fidelity, n)| format!("{n} at {}", fidelity.name)).collect();
        if !parts.is_empty() {
            let rest = if self.0.begun > 0 { "the rest of the initial design" } else { "initial design" };
            writeln!(f, "{rest}: {}{}", parts.join(", "), cost(self.0.design_cost))?;
        }
        let (runs, confirm) = self.0.confirmation();
        if runs > 0 {
            let target = &self.0.config.fidelities[self.0.config.fidelities.target()].name;
            writeln!(f, "confirmation, beyond the budget: {} at {target}{}", counted(runs, "run"), cost(confirm))?;
        }
        match (self.0.duration(), &self.0.rate) {
            (Some((least, most)), Some(rate)) => {
                let slots = counted(self.0.slots(), "slot");
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
