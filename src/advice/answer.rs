//! What a study recommends when it is asked, and what has to be said before it.

use std::fmt;

use super::ask::recommend;
use super::calibration::{Judgement, Record};
use super::guards::{Unmet, unmet};
use super::signal::undetected;
use crate::optimizer::{MOST_KNOWN, Optimizer, known};
use crate::problem::{FidelityId, Mixture, Observation};
use crate::study::{StopReason, Study, Trial};
use crate::text::{agreeing, counted, number};

/// The mixture that a study recommends under its present config.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The mixture, within all bounds, groups and caps.
    pub mixture: Mixture,
    /// What has to be said first.
    pub caveats: Vec<Caveat>,
}

/// Something without which a recommendation would be misunderstood.
#[derive(Clone, Debug)]
pub enum Caveat {
    /// The question is asked under another objective or search space than the study's.
    WhatIf {
        /// What differs, in words.
        changes: Vec<String>,
    },
    /// No run of the study, or from elsewhere, is complete at the fidelity that is asked about.
    NothingAt {
        /// Its name.
        fidelity: String,
    },
    /// The model knows some of the runs only: more would take it too long.
    Thinned {
        /// How many.
        known: usize,
        /// Of how many.
        runs: usize,
    },
    /// What the model stated of trials before they ran was too sure, or too unsure.
    Miscalibrated(Judgement),
    /// The guards do not hold as surely as they ask.
    Unmet(Unmet),
    /// The runs do not tell mixtures apart.
    Indistinct {
        /// How large a gain they could have shown, in the objective's unit ([`undetected`]).
        undetected: f64,
    },
    /// What was recommended when the search stopped breaks the config as it is now.
    Anew {
        /// The bounds that it breaks, in words.
        broken: Vec<String>,
    },
    /// The evidence has changed since the search stopped.
    Older {
        /// In what, in words.
        news: String,
        /// What would be recommended now, in words; `None` where that is the same mixture.
        now: Option<String>,
    },
}

impl Caveat {
    /// Whether it is about the answer as a whole, so that it has to be known before anything else: the answer rests on other sizes alone, or
    /// is older than the evidence.
    #[must_use]
    pub fn comes_first(&self) -> bool {
        matches!(self, Self::NothingAt { .. } | Self::Older { .. })
    }
}

/// Nothing is recommended, because nothing is known.
#[derive(Debug, thiserror::Error)]
#[error(
    "no run of the study {0} is complete, so nothing is recommended; `admire status` shows what became of its trials"
)]
pub struct NothingKnown(String);

/// What a study recommends now, with all that has to be said first.
///
/// # Errors
/// [`NothingKnown`] when no run is complete.
pub fn answer(study: &Study, optimizer: &Optimizer) -> Result<Answer, NothingKnown> {
    let mut caveats = basis(study, study.config().fidelities.target())?;
    let choice = choice(study, optimizer)?;
    caveats.extend(choice.caveats);
    caveats.extend(unmet(study, optimizer, &choice.mixture).map(Caveat::Unmet));
    if let Some(undetected) = undetected(optimizer, &study.evidence(), &choice.mixture) {
        caveats.push(Caveat::Indistinct { undetected });
    }
    Ok(Answer { mixture: choice.mixture, caveats })
}

/// What has to be said before anything that the model expects of mixtures at fidelity `m`.
///
/// # Errors
/// [`NothingKnown`] when no run is complete.
pub fn basis(study: &Study, m: FidelityId) -> Result<Vec<Caveat>, NothingKnown> {
    let (config, observations) = (study.config(), observations(study)?);
    let mut caveats = Vec::new();
    if !study.what_ifs().is_empty() {
        let changes = study.what_ifs().iter().map(|(key, change)| format!("{key} {change}"));
        caveats.push(Caveat::WhatIf { changes: changes.collect() });
    }
    if !observations.iter().any(|o| o.fidelity == m) {
        caveats.push(Caveat::NothingAt { fidelity: config.fidelities[m].name.clone() });
    }
    if observations.len() > MOST_KNOWN {
        caveats.push(Caveat::Thinned { known: known(&observations).len(), runs: observations.len() });
    }
    let judgement = Record::of(study).judgement(&config.fidelities);
    if judgement.finds_fault() {
        caveats.push(Caveat::Miscalibrated(judgement));
    }
    Ok(caveats)
}

/// The mixture that is recommended now, with what has to be said of this choice. Once the search has stopped that is what it recommended
/// (and confirmed) then, unless the config forbids it now, or the question is a what-if: then it is recommended anew.
///
/// # Errors
/// [`NothingKnown`] when no run is complete.
pub fn choice(study: &Study, optimizer: &Optimizer) -> Result<Answer, NothingKnown> {
    observations(study)?;
    let config = study.config();
    let anew = |caveats| Answer { mixture: recommend(study, optimizer).mixture, caveats };
    let Some(stopped) = study.stopped().filter(|_| study.what_ifs().is_empty()) else {
        return Ok(anew(Vec::new()));
    };
    let broken: Vec<String> = config.space.broken_bounds(&stopped.mixture).iter().map(ToString::to_string).collect();
    // What breaks a guard by now is recommended no longer, unless nothing else is better.
    let missed = unmet(study, optimizer, &stopped.mixture);
    let missed = missed.filter(|_| unmet(study, optimizer, &recommend(study, optimizer).mixture).is_none());
    let missed = missed.map_or_else(Vec::new, |missed| missed.needed.into_iter().map(|(words, _)| words).collect());
    if !broken.is_empty() || !missed.is_empty() {
        return Ok(anew(vec![Caveat::Anew { broken: [broken, missed].concat() }]));
    }
    let mut caveats = Vec::new();
    if let Some(news) = stopped.news() {
        let now = recommend(study, optimizer);
        let differs = now.mixture.distance(&stopped.mixture) >= config.optimizer.tolerance;
        let words = || {
            let weights: Vec<String> =
                study.named(&now.mixture).iter().map(|(name, w)| format!("{name}={}", number(*w, 4))).collect();
            let expected = now.expected.map_or_else(String::new, |e| format!(", expected {}", number(e.mean, 5)));
            format!("{}{expected}", weights.join(" "))
        };
        caveats.push(Caveat::Older { news, now: differs.then(words) });
    }
    Ok(Answer { mixture: stopped.mixture.clone(), caveats })
}

/// What the model knows of the study; not empty.
fn observations(study: &Study) -> Result<Vec<Observation>, NothingKnown> {
    let observations = study.evidence().observations;
    if observations.is_empty() { Err(NothingKnown(study.config().name.clone())) } else { Ok(observations) }
}

/// The best complete trial at the target, among the mixtures that the config allows, with its objective.
#[must_use]
pub fn best_measured(study: &Study) -> Option<(&Trial, f64)> {
    let (target, sign) = (study.config().fidelities.target(), study.config().objective.sign());
    let allowed = |t: &&Trial| study.config().space.broken_bounds(&t.mixture).is_empty();
    let runs = study.trials().iter().filter(|t| t.fidelity == target).filter(allowed);
    let values = runs.filter_map(|t| Some((t, study.measured(t)?)));
    values.min_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WhatIf { changes } => {
                write!(f, "this answers a what-if ({}) and changes nothing about the study", changes.join(", "))
            }
            Self::NothingAt { fidelity } => {
                write!(f, "no run is complete at {fidelity}: what is expected there rests on other sizes alone")
            }
            Self::Thinned { known, runs } => write!(
                f,
                "the model knows {known} of the {runs} runs, as many of every size as of any other, as far as there are \
                 (docs/performance.md)"
            ),
            Self::Miscalibrated(judgement) => judgement.fmt(f),
            Self::Unmet(unmet) => unmet.fmt(f),
            Self::Indistinct { undetected } => write!(
                f,
                "these runs do not tell mixtures apart: the gain over no trained mixture is 95 % certain; a gain of about {} would \
                 be, and more runs or less noise (a larger evaluation) would show smaller ones",
                number(*undetected, 2)
            ),
            Self::Anew { broken } => write!(
                f,
                "what was recommended when the search stopped breaks the present config ({}); this is recommended anew, \
                 within the bounds",
                broken.join(", ")
            ),
            Self::Older { news, now: Some(now) } => write!(
                f,
                "the recommendation is older than {news}; now it would be {now}; `admire optimize` takes that up"
            ),
            Self::Older { news, now: None } => {
                write!(f, "the recommendation is older than {news}, which would not change it")
            }
        }
    }
}

/// Why a search ended: the reason's name, and what it means.
#[must_use]
pub fn why(study: &Study, reason: StopReason) -> String {
    format!("{reason}: {}", explained(study, reason))
}

/// What the reason for which a search ended means.
#[must_use]
pub fn explained(study: &Study, reason: StopReason) -> String {
    let (budget, spent) = (&study.config().budget, study.spent());
    let limit = |limit: Option<f64>| limit.map_or_else(String::new, |limit| format!(" of {}", number(limit, 4)));
    match reason {
        StopReason::Budget => format!("the next trial would exceed the cost{}", limit(budget.cost)),
        StopReason::Trials => match budget.trials {
            Some(limit) if spent.trials >= limit => {
                format!("{} {} finished", counted(spent.trials, "trial"), agreeing(spent.trials, "has", "have"))
            }
            _ => "every fidelity has had its max_trials".into(),
        },
        StopReason::WallTime => "budget.wall_time is over".into(),
        StopReason::Patience => {
            let trials = budget.patience.map_or_else(String::new, |n| format!(" for {}", counted(n, "trial")));
            format!("the recommendation has not changed{trials}")
        }
        StopReason::Converged => match study.stopped().and_then(|stopped| stopped.gain) {
            Some(gain) => format!("the next trial is expected to gain less than {} per cost", number(gain, 4)),
            None => format!("the expected regret is below {}", number(budget.regret.unwrap_or_default(), 4)),
        },
        StopReason::Exhausted => "every mixture that differs by more than optimizer.tolerance has been trained".into(),
    }
}
