//! One training run.

use serde::{Deserialize, Serialize};

use crate::problem::{FidelityId, Launch, Mixture, Prediction, Progress};

use super::{Completed, TrialId};

/// A training run and how far it got.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number.
    pub id: TrialId,
    /// What to train on.
    pub mixture: Mixture,
    /// Index of the fidelity.
    pub fidelity: FidelityId,
    /// Seed for the training command, below 2³¹; the same in every attempt.
    pub seed: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// What was expected of it.
    pub expected: Option<Prediction>,
    /// What was expected of the recommendation, at the target, when it was decided on.
    pub incumbent: Option<Prediction>,
    /// Attempts started so far, including interrupted ones (they number the log files).
    pub attempts: u32,
    /// Attempts that failed by themselves, excluding interruptions.
    pub failures: u32,
    /// Attempts that diverged.
    pub divergences: u32,
    /// The latest attempts that died while nobody watched, in a row.
    pub unseen: u32,
    /// Why it could not be started when that was last tried.
    pub not_started: Option<String>,
    /// Seconds that each attempt ran that failed or diverged, where known.
    pub lost: Vec<Option<f64>>,
    /// Whether it finished before the launcher was last changed: what failed with the old one says nothing of the new one.
    pub outdated: bool,
    /// The latest attempt that failed or diverged, whatever came of the trial.
    pub failure: Option<Failure>,
    /// What it reported on its way, each from further on than the one before.
    pub curve: Vec<Progress>,
    /// The attempt that reported last (0: told by hand).
    pub reporting: u32,
    /// That it is to be ended early, if that was decided while it ran.
    pub ending: Option<Ending>,
    /// Which share of its tokens it had trained on when it was last ended early; 0 if it never was.
    pub stopped_at: f64,
    /// Seconds that the attempts ran which were ended early, where known.
    pub stopped_after: Option<f64>,
    /// Why it was continued after that, for people, if it was.
    pub continued: Option<String>,
    /// Seconds since 1970 when it finished.
    pub ended: Option<f64>,
    /// How far it got.
    pub state: TrialState,
    /// How its result was corrected, if it was.
    pub correction: Option<Correction>,
    /// What it had reported before that was found to be no result: its cost stays spent.
    pub void: Option<Completed>,
}

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Part of the search.
    Search,
    /// The recommendation, trained after the search.
    ConfirmRecommended,
    /// The uniform mixture, trained after the search.
    ConfirmUniform,
    /// Another mixture that the recommendation is compared with, trained after the search.
    ConfirmReference,
}

/// An attempt that failed or diverged.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Which attempt; 0 was told by hand.
    pub attempt: u32,
    /// Seconds since 1970 when that was recorded.
    pub time: f64,
    /// Why, for people.
    pub reason: String,
}

/// That a running trial is to be ended early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// Which share of its tokens it had trained on; once it has ended, in the end.
    pub share: f64,
    /// The probability that its end would have been better than the best run at its fidelity.
    pub probability: f64,
    /// Why, for people.
    pub reason: String,
}

/// How the result of a trial was corrected.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// Why it was last corrected, for people.
    pub reason: String,
    /// Seconds since 1970 when that was recorded.
    pub time: f64,
    /// What the trial had come to before it was first corrected.
    pub before: TrialState,
}

/// How far a trial got.
#[derive(Clone, Debug, PartialEq)]
pub enum TrialState {
    /// Handed out, or to be launched (again).
    Pending,
    /// An attempt was launched and has not been seen to end.
    Running {
        /// By what its backend finds it again.
        launch: Launch,
        /// Seconds since 1970 when it was launched.
        since: f64,
        /// Name of the file in its directory where its result is expected.
        result: String,
    },
    /// It reported finite metrics.
    Complete(Completed),
    /// Given up.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// Reported a NaN or infinite metric.
    Diverged,
    /// It was ended early, because its curve was hopeless.
    Stopped(Ending),
    /// It finished, and is no evidence any more.
    Withdrawn,
    /// It was never run.
    Cancelled,
}

impl TrialState {
    /// What it is called, in tables and in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running { .. } => "running",
            Self::Complete(_) => "complete",
            Self::Failed { .. } => "failed",
            Self::Diverged => "diverged",
            Self::Stopped(_) => "stopped",
            Self::Withdrawn => "withdrawn",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Trial {
    /// Whether its state is final.
    #[must_use]
    pub fn finished(&self) -> bool {
        !matches!(self.state, TrialState::Pending | TrialState::Running { .. })
    }

    /// Whether a report of an attempt is news: the curve goes on with it, or it is of another attempt than the reports so far.
    #[must_use]
    pub fn is_news(&self, attempt: u32, progress: &Progress) -> bool {
        attempt != self.reporting || self.curve.last().is_none_or(|last| progress.follows(last))
    }

    /// Adds a report to the curve. What an earlier attempt reported from there on is left out: the run has begun again, or went on
    /// from a checkpoint.
    pub(super) fn reported(&mut self, attempt: u32, progress: Progress) {
        self.curve.retain(|earlier| progress.follows(earlier));
        self.curve.push(progress);
        self.reporting = attempt;
    }

    /// Why it was given up, or ended early, for people.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.state {
            TrialState::Failed { reason } | TrialState::Stopped(Ending { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// What it reported, where it is complete.
    #[must_use]
    pub fn outcome(&self) -> Option<&Completed> {
        if let TrialState::Complete(outcome) = &self.state { Some(outcome) } else { None }
    }

    /// The report of what it used: its outcome, or the last one before it was found to have none.
    #[must_use]
    pub fn used(&self) -> Option<&Completed> {
        self.outcome().or(self.void.as_ref())
    }

    /// Seconds that its attempts ran, where known.
    #[must_use]
    pub fn ran(&self) -> Option<f64> {
        let attempts = self.lost.iter().copied().flatten();
        let known = attempts.chain(self.stopped_after).chain(self.used().and_then(|outcome| outcome.duration));
        known.fold(None, |sum, seconds| Some(sum.unwrap_or(0.0) + seconds))
    }

    /// Whether it counts towards numbers of trials: it has been run and has finished, and neither failed with a launcher that has
    /// been changed since nor is [superseded](Self::superseded).
    #[must_use]
    pub fn counts(&self) -> bool {
        let repaired = self.outdated && matches!(self.state, TrialState::Failed { .. });
        self.finished() && self.state != TrialState::Cancelled && !self.superseded() && !repaired
    }

    /// Whether it was given up while it waited (no attempt failed), because its mixture was not to be confirmed any more.
    #[must_use]
    pub fn superseded(&self) -> bool {
        let waited = self.failure.as_ref().is_some_and(|failure| failure.attempt == 0);
        !self.searching() && waited && matches!(self.state, TrialState::Failed { .. })
    }

    /// Whether it belongs to the search (and its budget) rather than to the confirmation.
    #[must_use]
    pub fn searching(&self) -> bool {
        self.purpose == Purpose::Search
    }
}
