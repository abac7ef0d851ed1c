//! What trials reported on their way, and what that says of their ends.

use super::state::{Misfit, State, bound};
use super::{Ending, Study, Trial, TrialId, TrialState};
use crate::problem::{OnTheWay, Progress};

/// A place on the curve of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Steps so far, where stated.
    pub step: Option<f64>,
    /// Tokens trained on so far, where stated.
    pub tokens: Option<f64>,
    /// The objective there, in the user's orientation.
    pub objective: f64,
}

impl State {
    pub fn report(&mut self, id: TrialId, attempt: u32, mut progress: Progress) -> Result<(), Misfit> {
        if progress.step.is_none() && progress.tokens.is_none() {
            return Err(Misfit::Damage("nothing says how far the run was".into()));
        }
        bound(progress.metrics.values_mut());
        self.unfinished(id)?.reported(attempt, progress);
        Ok(())
    }

    pub fn stop_trial(&mut self, time: f64, id: TrialId, share: f64, duration: Option<f64>) -> Result<(), Misfit> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Misfit::Damage("the trial had used less than nothing, or more than a run".into()));
        }
        let trial = self.unfinished(id)?;
        let ending = trial.ending.take();
        let ending = ending.ok_or_else(|| Misfit::Damage(format!("nobody had decided to end trial {id}")))?;
        trial.unseen = 0;
        trial.ended = Some(time);
        // A trial that was continued may have begun anew; what it had used before stays used.
        trial.stopped_at = share.max(trial.stopped_at);
        trial.stopped_after =
            duration.map(|seconds| trial.stopped_after.unwrap_or(0.0) + seconds).or(trial.stopped_after);
        trial.state = TrialState::Stopped(Ending { share: trial.stopped_at, ..ending });
        Ok(())
    }

    pub fn continue_trial(&mut self, id: TrialId, reason: String) -> Result<(), Misfit> {
        let trial = self.trial(id)?;
        if !matches!(trial.state, TrialState::Stopped(_)) {
            return Err(Misfit::Damage(format!("trial {id} is continued, but was not ended early")));
        }
        trial.ended = None;
        trial.continued = Some(reason);
        trial.state = TrialState::Pending;
        // The search goes on.
        self.stopped = None;
        Ok(())
    }
}

impl Study {
    /// The objective that a trial reported on its way, from the first report to the last. Reports without it are left out: a guard may
    /// have been added since that is about another metric.
    #[must_use]
    pub fn curve(&self, trial: &Trial) -> Vec<Place> {
        let place = |Progress { step, tokens, metrics }: &Progress| {
            let objective = self.objective(metrics, trial.fidelity)?;
            Some(Place { step: *step, tokens: *tokens, objective })
        };
        trial.curve.iter().filter_map(place).collect()
    }

    /// Which share of its tokens a trial had trained on when it reported last; `None` where that is not known.
    #[must_use]
    pub fn share_done(&self, trial: &Trial) -> Option<f64> {
        let all = self.config().fidelities[trial.fidelity].tokens?;
        trial.curve.last()?.tokens.map(|done| (done / all).min(1.0))
    }

    /// The running trials of the search whose curves say something of their ends.
    #[must_use]
    pub fn on_the_way(&self) -> Vec<OnTheWay> {
        let running = |t: &&Trial| t.searching() && matches!(t.state, TrialState::Running { .. }) && t.ending.is_none();
        let ends = self.ends();
        let on_the_way = |trial: &Trial| {
            // One that is continued has to say something new first.
            let share_done = self.share_done(trial).filter(|share| *share > trial.stopped_at && *share < 1.0)?;
            Some(OnTheWay { end: ends.of_trial(trial)?, share_done })
        };
        self.trials().iter().filter(running).filter_map(on_the_way).collect()
    }

    /// The trials of the search that were ended early and whose curves say something of their ends.
    #[must_use]
    pub fn stopped_on_the_way(&self) -> Vec<OnTheWay> {
        let ends = self.ends();
        let on_the_way = |trial: &Trial| {
            let TrialState::Stopped(Ending { share, .. }) = trial.state else { return None };
            Some(OnTheWay { end: ends.of_trial(trial)?, share_done: share }).filter(|_| share < 1.0)
        };
        self.trials().iter().filter(|t| t.searching()).filter_map(on_the_way).collect()
    }
}
