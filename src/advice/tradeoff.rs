//! How much of the gain there is for how much of a change: the best objective as a tolerance or a distance varies.

use super::ask::recommend;
use super::guards::words;
use crate::config::StudyConfig;
use crate::optimizer::{Gain, Optimizer};
use crate::problem::{Guard, Mixture, Objective, Prediction, Threshold, Tolerance};
use crate::study::Study;
use crate::text::hint;

/// What the distance to the reference mixture is called.
const DISTANCE: &str = "distance";
/// Levels at which what varies is looked at, equally far apart, beside 0.
const LEVELS: usize = 8;
/// The probability with which a metric without a guard has to be kept: that of a guard that does not say.
const PROBABILITY: f64 = 0.9;

/// What varies.
#[derive(Clone, Debug)]
pub enum Varied {
    /// The total-variation distance to the reference mixture.
    Distance,
    /// The tolerance of a guard.
    Tolerance {
        /// The guard in words, without its tolerance.
        words: String,
        /// Name of its metric.
        metric: String,
    },
}

/// The best objective as one thing varies and all else stays as the study has it.
#[derive(Clone, Debug)]
pub struct Tradeoff {
    /// What varies.
    pub varied: Varied,
    /// What gains and distances are measured from: `prior`, or `uniform` where no prior is stated.
    pub reference: &'static str,
    /// From what allows least to what allows most, where more would change nothing.
    pub steps: Vec<TradeoffStep>,
}

/// The best mixture at one level of what varies.
#[derive(Clone, Debug)]
pub struct TradeoffStep {
    /// The distance or the tolerance (in the unit of the metric).
    pub level: f64,
    /// The mixture.
    pub mixture: Mixture,
    /// Its total-variation distance to the reference.
    pub distance: f64,
    /// The objective expected at the target.
    pub expected: Prediction,
    /// The gain over the reference.
    pub gain: Gain,
    /// That as a share of the last step's gain, where this is above zero.
    pub share: Option<f64>,
    /// The metric whose tolerance varies.
    pub metric: Option<Prediction>,
    /// Whether all guards hold on it as surely as they ask.
    pub hold: bool,
}

/// Why there is no trade-off to show.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoTradeoff {
    /// Neither `distance` nor a metric.
    #[error(
        "`{name}` is neither `distance` nor a metric of the objective or of a guard: {hint}; to ask about another metric \
         that runs report, add `--set 'guard.{name}.no_worse_than=\"uniform\"'`"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// What it may have been meant to be.
        hint: String,
    },
    /// Nothing is known yet.
    #[error("there is no model of these runs yet")]
    NoModel,
}

/// How the best objective changes with what is named: `distance`, which is that to the prior mixture (to the uniform one where no prior is
/// stated), or a metric, whose tolerance varies. A metric without a guard is to be no worse than on the same reference mixture.
/// `recommended` is what the study recommends.
///
/// # Errors
/// [`NoTradeoff`]
pub fn tradeoff(
    study: &Study,
    optimizer: &Optimizer,
    recommended: &Mixture,
    name: &str,
) -> Result<Tradeoff, NoTradeoff> {
    let config = study.config();
    let (reference, center) =
        config.space.prior().map_or_else(|| ("uniform", config.space.uniform()), |prior| ("prior", prior));
    let (varied, steps) = if name == DISTANCE {
        (Varied::Distance, by_distance(study, optimizer, &center, recommended))
    } else {
        let metrics = &config.objective.metrics;
        let Some(metric) = metrics.iter().position(|metric| metric.name == name) else {
            let known = metrics.iter().map(|metric| metric.name.as_str()).chain([DISTANCE]);
            return Err(NoTradeoff::Unknown { name: name.to_owned(), hint: hint(name, known) });
        };
        let mut guards = config.guards.clone();
        let guard = guards.iter().position(|guard| guard.metric == metric).map(|i| guards.remove(i));
        let guard = Guard {
            tolerance: Tolerance::Absolute(0.0),
            ..guard.unwrap_or_else(|| kept(config, metric, reference, &center))
        };
        let words = words(config, &guard);
        (Varied::Tolerance { words, metric: name.to_owned() }, by_tolerance(study, optimizer, &center, guard, &guards))
    };
    Ok(Tradeoff { varied, reference, steps: steps.ok_or(NoTradeoff::NoModel)? })
}

/// A guard on a metric that has none: no worse than on the reference mixture.
fn kept(config: &StudyConfig, metric: usize, name: &str, reference: &Mixture) -> Guard {
    let Objective { metrics, direction, .. } = &config.objective;
    let sign = if metrics[metric].weight < 0.0 { -direction.sign() } else { direction.sign() };
    let threshold = Threshold::Mixture { name: name.to_owned(), mixture: reference.clone() };
    Guard { metric, sign, threshold, tolerance: Tolerance::Absolute(0.0), probability: PROBABILITY }
}

fn by_distance(
    study: &Study,
    optimizer: &Optimizer,
    center: &Mixture,
    recommended: &Mixture,
) -> Option<Vec<TradeoffStep>> {
    let farthest = center.distance(recommended);
    let mut steps: Vec<TradeoffStep> = Vec::new();
    for level in levels(farthest) {
        let mixture = match level {
            level if level < farthest => recommend(study, &optimizer.within(center, level)).mixture,
            _ => recommended.clone(),
        };
        add(&mut steps, step(study, optimizer, center, level, mixture)?);
    }
    Some(shares(steps))
}

/// `guard` is the one whose tolerance varies, `others` are those that stay.
fn by_tolerance(
    study: &Study,
    optimizer: &Optimizer,
    center: &Mixture,
    guard: Guard,
    others: &[Guard],
) -> Option<Vec<TradeoffStep>> {
    let evidence = study.evidence();
    let mut fitted = optimizer.clone();
    if study.config().guards.is_empty() && fitted.snapshot().is_some() {
        // The model may be one of the objective alone, with no process per metric.
        fitted = fitted.with_guards(vec![guard.clone()]);
        fitted.learn(&evidence);
    }
    let with = |tolerance: f64| {
        let guard = Guard { tolerance: Tolerance::Absolute(tolerance), ..guard.clone() };
        fitted.clone().with_guards(std::iter::once(guard).chain(others.iter().cloned()).collect())
    };
    let free = recommend(study, &fitted.clone().with_guards(others.to_vec())).mixture;
    let needed = with(0.0).guard_states(&evidence, &free)?.guards[0].needed;
    let mut steps: Vec<TradeoffStep> = Vec::new();
    for level in levels(needed) {
        let optimizer = with(level);
        let mixture = if level < needed { recommend(study, &optimizer).mixture } else { free.clone() };
        let step = step(study, &optimizer, center, level, mixture)?;
        let state = optimizer.guard_states(&evidence, &step.mixture)?;
        let metric = state.guards.first().map(|state| state.expected);
        add(&mut steps, TradeoffStep { metric, hold: state.hold || level >= needed, ..step });
    }
    Some(shares(steps))
}

/// From 0 to `most`, equally far apart; 0 alone where that is all.
fn levels(most: f64) -> impl Iterator<Item = f64> {
    let count = if most > 0.0 { LEVELS } else { 0 };
    (0..=count).map(move |i| if i == count { most.max(0.0) } else { most * i as f64 / count as f64 })
}

fn step(study: &Study, optimizer: &Optimizer, center: &Mixture, level: f64, mixture: Mixture) -> Option<TradeoffStep> {
    let evidence = study.evidence();
    let expected = optimizer.predict(&evidence, &[(mixture.clone(), study.config().fidelities.target())])?;
    let gains = optimizer.gains(&evidence, &mixture, std::slice::from_ref(center))?;
    Some(TradeoffStep {
        level,
        distance: center.distance(&mixture),
        expected: *expected.first()?,
        gain: *gains.first()?,
        share: None,
        metric: None,
        hold: true,
        mixture,
    })
}

/// What a lower level allows is also allowed at a higher one: a search that found less there takes over the mixture of the one before.
fn add(steps: &mut Vec<TradeoffStep>, step: TradeoffStep) {
    let better = steps.last().filter(|last| last.hold && last.gain.mean > step.gain.mean);
    let kept = better.map(|last| TradeoffStep { level: step.level, ..last.clone() });
    steps.push(kept.unwrap_or(step));
}

fn shares(mut steps: Vec<TradeoffStep>) -> Vec<TradeoffStep> {
    let whole = steps.last().map_or(0.0, |last| last.gain.mean);
    if whole > 0.0 {
        steps.iter_mut().for_each(|step| step.share = Some(step.gain.mean / whole));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(level: f64, gain: f64, hold: bool) -> TradeoffStep {
        TradeoffStep {
            level,
            mixture: Mixture::new(vec![1.0 - gain, gain]),
            distance: level,
            expected: Prediction { mean: 2.0 - gain, sd: 0.1, noise: None },
            gain: Gain { mean: gain, sd: 0.1 },
            share: None,
            metric: None,
            hold,
        }
    }

    #[test]
    fn a_search_that_found_less_takes_over_the_mixture_of_a_smaller_change() {
        let mut steps = Vec::new();
        // The first breaks the guards: what it gains is no measure.
        for step in [found(0.0, 0.9, false), found(0.1, 0.2, true), found(0.2, 0.15, true), found(0.3, 0.4, true)] {
            add(&mut steps, step);
        }
        let gains: Vec<(f64, f64)> = steps.iter().map(|step| (step.level, step.gain.mean)).collect();
        assert_eq!(gains, [(0.0, 0.9), (0.1, 0.2), (0.2, 0.2), (0.3, 0.4)]);
        assert_eq!(shares(steps)[2].share, Some(0.5));
        assert_eq!(levels(4.0).collect::<Vec<_>>(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]);
        assert_eq!(levels(0.0).collect::<Vec<_>>(), [0.0]);
    }
}
