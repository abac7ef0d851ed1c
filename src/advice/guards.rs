//! What is known of a study's guards at a mixture.

use std::fmt;

use super::ask::recommend;
use crate::config::StudyConfig;
use crate::optimizer::{Gain, GuardState, Optimizer};
use crate::problem::{Guard, Mixture, Threshold, Tolerance};
use crate::study::Study;
use crate::text::{number, probability};

/// A guard at a mixture.
#[derive(Clone, Debug)]
pub struct GuardReport {
    /// The guard in words: `code at most 2.1`.
    pub words: String,
    /// Name of its metric.
    pub metric: String,
    /// What is known of it.
    pub state: GuardState,
    /// The probability that it asks for.
    pub asked: f64,
    /// By how much the objective is expected to be better without the guard. If that is much, the guard decides what is recommended. `None`
    /// if it was not computed.
    pub cost: Option<Gain>,
}

/// A guard that is at least this likely to hold is taken not to decide what is recommended.
const IDLE: f64 = 0.995;

/// A guard in words.
#[must_use]
pub fn words(config: &StudyConfig, guard: &Guard) -> String {
    let metric = &config.objective.metrics[guard.metric].name;
    let tolerance = match guard.tolerance {
        Tolerance::Absolute(0.0) | Tolerance::Relative(0.0) => String::new(),
        Tolerance::Absolute(tolerance) => format!(", tolerance {}", number(tolerance, 4)),
        Tolerance::Relative(share) => format!(", tolerance {} %", number(100.0 * share, 4)),
    };
    match &guard.threshold {
        Threshold::Value(value) => {
            let verb = if guard.sign > 0.0 { "at most" } else { "at least" };
            format!("{metric} {verb} {}{tolerance}", number(*value, 5))
        }
        Threshold::Mixture { name, .. } => format!("{metric} no worse than {name}{tolerance}"),
    }
}

/// What is known of the study's guards at `mixture`, and what each of them costs if `costs` asks for that. The result is empty without
/// guards, and before there is a model.
#[must_use]
pub fn guards(study: &Study, optimizer: &Optimizer, mixture: &Mixture, costs: bool) -> Vec<GuardReport> {
    let (config, evidence) = (study.config(), study.evidence());
    let Some(states) = optimizer.guard_states(&evidence, mixture) else { return Vec::new() };
    let report = |(i, (guard, state)): (usize, (&Guard, GuardState))| {
        let cost = (costs && state.probability < IDLE).then(|| {
            let mut others = config.guards.clone();
            others.remove(i);
            let without = recommend(study, &optimizer.clone().with_guards(others)).mixture;
            optimizer.gains(&evidence, &without, std::slice::from_ref(mixture))
        });
        GuardReport {
            words: words(config, guard),
            metric: config.objective.metrics[guard.metric].name.clone(),
            state,
            asked: guard.probability,
            cost: cost.flatten().and_then(|gains| gains.first().copied()),
        }
    };
    config.guards.iter().zip(states.guards).enumerate().map(report).collect()
}

/// The guards do not hold on a mixture as surely as they ask.
#[derive(Clone, Debug)]
pub struct Unmet {
    /// The probability that all of them hold at the mixture.
    pub probability: f64,
    /// The guards that do not hold with the probability that they ask for, in words, each with the smallest tolerance that it would need.
    pub needed: Vec<(String, f64)>,
}

/// [`Unmet`] if the guards do not hold on `mixture` as surely as they ask; `None` if they do, and before there is a model.
#[must_use]
pub fn unmet(study: &Study, optimizer: &Optimizer, mixture: &Mixture) -> Option<Unmet> {
    let states = optimizer.guard_states(&study.evidence(), mixture).filter(|states| !states.hold)?;
    let config = study.config();
    let missed =
        config.guards.iter().zip(&states.guards).filter(|(guard, state)| state.probability < guard.probability);
    let needed = missed.map(|(guard, state)| (words(config, guard), state.needed)).collect();
    Some(Unmet { probability: states.probability, needed })
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = probability(self.probability);
        write!(
            f,
            "no mixture is known on which the guards hold as surely as they ask; on this one, the most likely, they hold with \
                   probability {p}"
        )?;
        for (i, (words, needed)) in self.needed.iter().enumerate() {
            let lead = if i == 0 { "; it would do with a tolerance of" } else { ", and of" };
            write!(f, "{lead} {} in `{words}`", number(*needed, 3))?;
        }
        Ok(())
    }
}
