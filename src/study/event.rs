//! The events of a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Completed, Ending, Purpose, StopReason, TrialId};
use crate::config::{Settings, StudyConfig};
use crate::problem::{Aggregate, Direction, Handle, Metric, Objective, Prediction, Progress, RelativeTo, RunSet};
use crate::space::{Drawn, Relation};
use crate::text::counted;

/// The journal format that this version writes, and the newest that it reads.
///
/// Readers ignore fields they do not know, so adding one keeps the number; a new kind of event, or a field that must
/// not be ignored, raises it. 2 added [`Event::Submitted`], 3 [`Event::Forked`] and [`Event::Imported`], 4 the number and
/// the checksum of every line, and [`Event::Halted`], 5 [`Purpose::ConfirmReference`], 6 [`Event::Cancelled`],
/// [`Event::Amended`] and [`Event::Withdrawn`], 7 [`Header::aggregate`],
/// 8 [`Header::relative_to`], 9 [`Imported::past`], 10 [`Event::Progress`],
/// [`Event::TrialStopping`] and [`Event::TrialStopped`], 11 [`Event::TrialContinued`] and
/// [`Imported::tokens`].
pub const FORMAT: u32 = 11;

/// The first format whose lines have numbers and checksums.
pub(super) const CHAINED: u32 = 4;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since 1970 (UTC) when it was written.
    pub time: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// `event`, now.
    #[must_use]
    pub fn now(event: Event) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        Self { time, event }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first line of every journal.
    Study(Header),
    /// The study learns from another one: the second line, if any.
    Forked(Forked),
    /// A trial was decided on (and, by `admire suggest`, handed out).
    Suggested(Suggested),
    /// An attempt is about to be handed to a backend. Written before anything of it exists.
    Launched {
        /// Which trial.
        trial: TrialId,
        /// 1 for the first attempt.
        attempt: u32,
        /// Name of the backend. Journals that do not state it know two: Slurm, whose attempts have a `job`, and this machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backend: Option<String>,
        /// The name that the backend reserved for it; `None` where its attempts have no names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<String>,
        /// Name of the file in the trial's directory where its result is expected; `None` for `result.json`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// An attempt without a name runs.
    Started {
        /// Which trial.
        trial: TrialId,
        /// Which attempt.
        attempt: u32,
        /// By what its backend recognizes it.
        #[serde(flatten)]
        handle: Handle,
    },
    /// An attempt was submitted under its name.
    Submitted {
        /// Which trial.
        trial: TrialId,
        /// Which attempt.
        attempt: u32,
        /// By what its backend recognizes it.
        #[serde(flatten)]
        handle: Handle,
    },
    /// A trial reported on its way.
    Progress {
        /// Which trial.
        trial: TrialId,
        /// Which attempt (0: told by hand).
        attempt: u32,
        /// What it reported.
        #[serde(flatten)]
        progress: Progress,
    },
    /// A running trial is to be ended early. Written before anything is done to it.
    TrialStopping {
        /// Which trial.
        trial: TrialId,
        /// How far it is, and why.
        #[serde(flatten)]
        ending: Ending,
    },
    /// A trial that was to be ended early has ended without a result.
    TrialStopped {
        /// Which trial.
        trial: TrialId,
        /// Which share of its tokens it had trained on in the end, and so which share of a run it costs.
        share: f64,
        /// Seconds that the last attempt ran.
        #[serde(default)]
        duration: Option<f64>,
    },
    /// A trial that was ended early waits to be continued, by an attempt that goes on where it ended.
    TrialContinued {
        /// Which trial.
        trial: TrialId,
        /// Why, for people.
        reason: String,
    },
    /// The trial reported finite metrics.
    Completed {
        /// Which trial.
        trial: TrialId,
        /// What it reported.
        #[serde(flatten)]
        outcome: Completed,
    },
    /// An attempt ended without a usable result.
    Failed {
        /// Which trial.
        trial: TrialId,
        /// Which attempt (0: told by hand, never launched here).
        attempt: u32,
        /// Why, for people.
        reason: String,
        /// Whether the trial is given up.
        #[serde(rename = "final")]
        last: bool,
        /// Seconds that the attempt ran.
        #[serde(default)]
        duration: Option<f64>,
        /// Whether it died while nobody watched, once too often.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unseen: bool,
    },
    /// An attempt reported a NaN or infinite metric.
    Diverged {
        /// Which trial.
        trial: TrialId,
        /// Which attempt (0: told by hand).
        attempt: u32,
        /// Whether the trial is given up.
        #[serde(rename = "final")]
        last: bool,
        /// Seconds that the attempt ran.
        #[serde(default)]
        duration: Option<f64>,
    },
    /// An attempt came to nothing through no fault of its own: the trial starts again with the same seed.
    Interrupted {
        /// Which trial.
        trial: TrialId,
        /// Which attempt.
        attempt: u32,
        /// What happened to it; older journals do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// More about that, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A trial that waits will not be run.
    Cancelled {
        /// Which trial.
        trial: TrialId,
    },
    /// Finished trials have another result than was known.
    Amended {
        /// What was wrong, for people.
        reason: String,
        /// Their results, at most one per trial.
        results: Vec<Amendment>,
    },
    /// Runs are no evidence any more: finished trials, and runs from elsewhere.
    Withdrawn {
        /// Why, for people.
        reason: String,
        /// Which runs.
        runs: RunSet,
    },
    /// A run from elsewhere is to be learned from.
    Imported(Imported),
    /// The optimizer's hyperparameters changed.
    Model(Snapshot),
    /// The search is over.
    Stopped {
        /// Why.
        reason: StopReason,
        /// The mixture to confirm: weights by domain.
        recommended: BTreeMap<String, f64>,
        /// `budget.patience` or `budget.regret` as it was then, where that is why.
        #[serde(default)]
        limit: Option<f64>,
        /// `budget.gain` as it was then, where that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gain: Option<f64>,
    },
    /// `optimize` ended before the search did: it was interrupted, or could not go on.
    Halted {
        /// Why, for people.
        reason: String,
    },
    /// `optimize` went on with this journal, or the config has changed.
    Resumed(Resumed),
}

/// What the optimizer goes on from (its hyperparameters). The journal keeps it as it is.
pub type Snapshot = Map<String, Value>;

/// The fidelities by name.
pub type Sizes = BTreeMap<String, Size>;

/// What the optimizer knows about a fidelity before anything was trained there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Parameters of the model.
    pub params: Option<f64>,
    /// Training tokens.
    pub tokens: Option<f64>,
    /// Cost of one run.
    pub cost: Option<f64>,
}

/// What has changed since the study was last written to; all of it empty where nothing has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// Version of `admire`.
    pub version: String,
    /// The sizes from here on, where they have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
    /// All settings, where the journal did not record them so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The settings that have changed, by key.
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub changed: Changes,
}

impl Resumed {
    /// By this version of `admire`, with nothing changed.
    #[must_use]
    pub fn unchanged() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").into(), ..Self::default() }
    }
}

/// Settings that have changed, by key.
pub type Changes = BTreeMap<String, Change>;

/// How a setting has changed; `None` is a key that the config does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What it was.
    pub from: Option<Value>,
    /// What it is from here on.
    pub to: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".into(), Value::to_string);
        write!(f, "{} → {}", text(&self.from), text(&self.to))
    }
}

/// Where a study comes from that learns from another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forked {
    /// Directory of the other study.
    pub from: String,
    /// Its name.
    pub name: String,
    /// How many of its runs were imported.
    pub imported: usize,
    /// How many of them drew something that no run of this study draws, by what it was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partly: BTreeMap<String, usize>,
    /// How many were left out, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// What domains were in the other study, as the config stated it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relations: BTreeMap<String, Relation>,
    /// The domains whose data have changed since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub revised: BTreeSet<String>,
}

impl Forked {
    /// How many runs count like those of the study.
    #[must_use]
    pub fn fully(&self) -> usize {
        self.imported.saturating_sub(self.partly.values().sum())
    }
}

impl fmt::Display for Forked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} in {} imported", counted(self.imported, "run"), self.name, self.from)?;
        self.partly.iter().try_for_each(|(reason, n)| write!(f, "; {n} of them count in part, {reason}"))?;
        self.dropped.iter().try_for_each(|(reason, n)| write!(f, "; {n} left out, {reason}"))
    }
}

/// What a study is about. Of it the fidelities, their sizes and the settings may change while the study lives; changes are
/// journalled ([`Resumed`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The journal's format, at most [`FORMAT`].
    pub format: u32,
    /// Version of `admire` that began the journal.
    pub version: String,
    /// `study.name`
    pub name: String,
    /// `study.seed`
    pub seed: u64,
    /// Names of the domains, sorted.
    pub domains: Vec<String>,
    /// Names of the fidelities, sorted.
    pub fidelities: Vec<String>,
    /// Their sizes when the study began; empty in journals that did not record them.
    #[serde(default)]
    pub sizes: Sizes,
    /// All settings of the config when the study began; empty in journals that did not record them.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// Name of the target fidelity.
    pub target: String,
    /// Metrics of the objective and their weights. In journals of formats up to 6 they are as they were stated: the unit of the objective
    /// in later events is that of the sum with these weights.
    pub metrics: BTreeMap<String, f64>,
    /// Whether the objective is maximized.
    pub maximize: bool,
    /// How the metrics make the objective: a mean where journals do not say.
    #[serde(default)]
    pub aggregate: Aggregate,
    /// What metrics are compared with, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<RelativeTo>,
}

impl Header {
    /// The header of a new journal.
    #[must_use]
    pub fn new(config: &StudyConfig) -> Self {
        let list = config.fidelities.list();
        let mut fidelities: Vec<String> = list.iter().map(|f| f.name.clone()).collect();
        fidelities.sort();
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            name: config.name.clone(),
            seed: config.seed,
            domains: config.space.domains().iter().map(|d| d.name.clone()).collect(),
            fidelities,
            sizes: list
                .iter()
                .map(|f| (f.name.clone(), Size { params: f.params, tokens: f.tokens, cost: f.cost }))
                .collect(),
            settings: config.settings.clone(),
            target: list[config.fidelities.target()].name.clone(),
            metrics: config.objective.own().map(|m| (m.name.clone(), m.weight)).collect(),
            maximize: config.objective.direction == Direction::Maximize,
            aggregate: config.objective.aggregate,
            relative_to: config.objective.reference.as_ref().map(|reference| reference.to),
        }
    }

    /// The objective that it states.
    #[must_use]
    pub fn objective(&self) -> Objective {
        let metrics = self.metrics.iter().map(|(name, weight)| Metric { name: name.clone(), weight: *weight });
        let direction = if self.maximize { Direction::Maximize } else { Direction::Minimize };
        Objective::new(metrics.collect(), direction, self.aggregate)
    }

    /// The unit of the objective in the journal's events, in that of [`Self::objective`].
    #[must_use]
    pub fn unit(&self) -> f64 {
        let objective = self.objective();
        let first = objective.metrics.first().and_then(|metric| Some(self.metrics.get(&metric.name)? / metric.weight));
        first.unwrap_or(1.0)
    }

    /// Where `now` (the config) contradicts this header, for people; empty where it does not.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut list = Vec::new();
        for (here, there, text, advice) in [
            (
                self,
                now,
                "is in the journal, but not in the config",
                " (with max = 0 it gets no weight, and its runs stay)",
            ),
            (now, self, "is in the config, but not in the journal", ""),
        ] {
            let alone = here.domains.iter().filter(|name| !there.domains.contains(name));
            list.extend(alone.map(|name| format!("domain `{name}` {text}{advice}")));
            let alone = here.metrics.keys().filter(|name| !there.metrics.contains_key(*name));
            list.extend(alone.map(|name| format!("metric `{name}` of the objective {text}")));
        }
        let mut check = |what: &str, was: String, is: String| {
            if was != is {
                list.push(format!("{what}: the journal has {was}, the config {is}"));
            }
        };
        for Metric { name, weight } in self.objective().metrics {
            let is = now.metrics.get(&name).copied().unwrap_or(weight);
            check(&format!("relative weight of the metric `{name}`"), weight.to_string(), is.to_string());
        }
        check("objective.aggregate", self.aggregate.name().into(), now.aggregate.name().into());
        let reference = |to: Option<RelativeTo>| to.map_or("none", RelativeTo::name).to_owned();
        check("objective.relative_to", reference(self.relative_to), reference(now.relative_to));
        let direction = |maximize| if maximize { "maximize" } else { "minimize" }.to_owned();
        check("objective.direction", direction(self.maximize), direction(now.maximize));
        check("target fidelity (`target = true`)", self.target.clone(), now.target.clone());
        check("study.seed", self.seed.to_string(), now.seed.to_string());
        list
    }
}

/// Why an attempt was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was killed because the user interrupted `admire`.
    Killed,
    /// Its job was preempted, or its node failed.
    Lost,
    /// It ended while no `admire` watched, and left no result.
    Unseen,
    /// It could not be started: the next attempt has the same number.
    NotStarted,
}

/// A trial as it was decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggested {
    /// Its number; trials are numbered from 1 without gaps.
    pub trial: TrialId,
    /// Name of the fidelity.
    pub fidelity: String,
    /// Weights by domain, in full precision.
    pub weights: BTreeMap<String, f64>,
    /// Seed for the training command.
    pub seed: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// The objective that was expected at that fidelity.
    #[serde(default)]
    pub expected: Option<Prediction>,
    /// The fidelities among which the optimizer could choose: with the entries before this one, all of its input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offered: Vec<String>,
    /// The objective expected of the recommendation at the target, where `optimize` looked at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incumbent: Option<Prediction>,
}

/// Another result of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Amendment {
    /// Which trial.
    pub trial: TrialId,
    /// What it is now known to have come to.
    #[serde(flatten)]
    pub result: TrialResult,
}

/// What a trial has come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TrialResult {
    /// Finite metrics. A cost or duration that is not stated stays as it was.
    Complete(Completed),
    /// A NaN or infinite metric.
    Diverged,
}

/// A run that is not one of the study's trials: the model learns from it as from a trial, and it cost the study nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// Where it comes from, for people: a file and its run, a study and its trial.
    pub source: String,
    /// Name of the fidelity.
    pub fidelity: String,
    /// Weights by domain, a mixture: all domains, ≥ 0, sum 1.
    pub weights: BTreeMap<String, f64>,
    /// Finite metrics by name: all of the objective's, and whatever else is known.
    pub metrics: BTreeMap<String, f64>,
    /// Standard errors, where known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub se: BTreeMap<String, f64>,
    /// What a run of another study drew that no run of this one draws.
    #[serde(default, skip_serializing_if = "Drawn::is_none")]
    pub past: Drawn,
    /// The tokens that it trained on, where a run at its fidelity takes more: it is on its way there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
}
