//! What trials reported on their way, and what that says of their ends.

use std::collections::BTreeMap;

use super::state::{Misfit, State, bound};
use super::{Ending, Study, Trial, TrialId, TrialState};
use crate::problem::{Curve, Estimate, Observation, OnTheWay, Past, Progress, RunId, estimate_of_end};

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

    pub fn stop_trial(&mut self, time: f64, id: TrialId, share: f64) -> Result<(), Misfit> {
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
        let on_the_way = |trial: &Trial| {
            // One that is continued has to say something new first.
            let share_done = self.share_done(trial).filter(|share| *share > trial.stopped_at && *share < 1.0)?;
            Some(OnTheWay { end: self.estimated(trial)?, share_done })
        };
        self.trials().iter().filter(running).filter_map(on_the_way).collect()
    }

    /// The trials of the search that were ended early and whose curves say something of their ends.
    #[must_use]
    pub fn stopped_on_the_way(&self) -> Vec<OnTheWay> {
        let on_the_way = |trial: &Trial| {
            let TrialState::Stopped(Ending { share, .. }) = trial.state else { return None };
            Some(OnTheWay { end: self.estimated(trial)?, share_done: share }).filter(|_| share < 1.0)
        };
        self.trials().iter().filter(|t| t.searching()).filter_map(on_the_way).collect()
    }

    /// The end of a trial that did not come to it, estimated from curves ([`estimate_of_end`]), as an observation of it: metric by metric,
    /// with the standard errors that make that of the objective as large as its own estimate has it, because the errors of metrics
    /// go together. `None` where the curves do not say enough.
    #[must_use]
    pub fn estimated(&self, trial: &Trial) -> Option<Observation> {
        let objective = &self.config().objective;
        let metrics = objective.metrics.iter().map(|metric| self.estimate(trial, &|m| m.get(&metric.name).copied()));
        let (metrics, se): (Vec<f64>, Vec<f64>) =
            metrics.collect::<Option<Vec<_>>>()?.into_iter().map(|end| (end.value, end.se)).unzip();
        let whole = self.estimate(trial, &|metrics| Some(objective.value(&objective.select(metrics)?)))?;
        let scaled = |factor: f64| se.iter().map(|se| Some(factor * se)).collect::<Vec<_>>();
        let apart = objective.standard_error(&metrics, &scaled(1.0));
        Some(Observation {
            run: RunId::Trial(trial.id),
            mixture: trial.mixture.clone(),
            fidelity: trial.fidelity,
            se: scaled(if apart > 0.0 { whole.se / apart } else { 1.0 }),
            metrics,
            past: Past::default(),
        })
    }

    /// The estimate of what `read` reads from the metrics at the end of a trial, from its own curve and those of the trials at its fidelity
    /// that are over.
    fn estimate(&self, trial: &Trial, read: &dyn Fn(&BTreeMap<String, f64>) -> Option<f64>) -> Option<Estimate> {
        let at = trial.curve.last()?.tokens?;
        let all = self.config().fidelities[trial.fidelity].tokens?;
        let curve = |t: &Trial| Curve::of(t.curve.iter().filter_map(|p| Some((p.tokens?, read(&p.metrics)?))));
        let (mut ends, mut others) = (Vec::new(), Vec::new());
        for other in self.trials().iter().filter(|t| t.fidelity == trial.fidelity && t.id != trial.id) {
            match &other.state {
                TrialState::Complete(outcome) => ends
                    .extend(read(&outcome.metrics).and_then(|end| Some((curve(other).ended(all, end).at(at)?, end)))),
                TrialState::Stopped(_) => others.extend(curve(other).at(at)),
                _ => {}
            }
        }
        estimate_of_end(curve(trial).at(at)?, &ends, &others)
    }
}
