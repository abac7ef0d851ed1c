//! Corrections: results that turn out to be wrong, runs that should not count, trials that will not be run. Nothing is deleted.

use super::state::{Misfit, State, sound};
use super::{
    Amendment, Completed, Correction, Event, ImportedRun, OpenStudy, Stopped, StudyError, Trial, TrialId, TrialResult,
    TrialState,
};
use crate::problem::{RunId, RunSet};
use crate::text::counted;

impl OpenStudy {
    /// Corrects the results of finished trials, all or none of them, and returns how many trials this changes.
    ///
    /// # Errors
    /// [`StudyError::NoTrial`]; [`StudyError::Misfit`] for a trial that has not finished; those of [`Self::record`].
    pub fn amend(&mut self, mut results: Vec<Amendment>, reason: &str) -> Result<usize, StudyError> {
        for Amendment { trial, .. } in &results {
            self.trial(*trial)?;
        }
        results.retain(|Amendment { trial, result }| !self.trial(*trial).is_ok_and(|trial| trial.has(result)));
        let changed = results.len();
        if changed > 0 {
            self.record(Event::Amended { reason: reason.to_owned(), results })?;
        }
        Ok(changed)
    }

    /// Withdraws runs, so that the study no longer learns from them, and returns how many runs this changes. What they cost stays spent.
    ///
    /// # Errors
    /// [`StudyError::NoTrial`], [`StudyError::NoImport`]; [`StudyError::Misfit`] for a trial that has not finished; those of
    /// [`Self::record`].
    pub fn withdraw(&mut self, runs: impl IntoIterator<Item = RunId>, reason: &str) -> Result<usize, StudyError> {
        let mut still = Vec::new();
        for run in runs {
            let withdrawn = match run {
                RunId::Trial(id) => self.trial(id)?.state == TrialState::Withdrawn,
                RunId::Imported(number) => self.imported_run(number)?.withdrawn.is_some(),
            };
            still.extend((!withdrawn).then_some(run));
        }
        let runs: RunSet = still.into_iter().collect();
        let changed = runs.iter().count();
        if changed > 0 {
            self.record(Event::Withdrawn { reason: reason.to_owned(), runs })?;
        }
        Ok(changed)
    }
}

impl State {
    pub fn cancel(&mut self, time: f64, id: TrialId) -> Result<(), Misfit> {
        let trial = self.unfinished(id)?;
        if trial.state != TrialState::Pending {
            return Err(Misfit::Damage(format!(
                "trial {id} is under way, and only a trial that waits can be cancelled"
            )));
        }
        (trial.unseen, trial.not_started) = (0, None);
        trial.ended = Some(time);
        trial.state = TrialState::Cancelled;
        Ok(())
    }

    pub fn amend(&mut self, time: f64, reason: &str, results: Vec<Amendment>) -> Result<(), Misfit> {
        let checked = |Amendment { trial, result }| {
            self.finished(trial)?;
            Ok(match result {
                TrialResult::Complete(outcome) => (trial, TrialResult::Complete(sound(outcome)?)),
                TrialResult::Diverged => (trial, TrialResult::Diverged),
            })
        };
        let results = results.into_iter().map(checked).collect::<Result<Vec<_>, Misfit>>()?;
        for (id, result) in results {
            let trial = self.finished(id)?;
            trial.correct(time, reason, Some(result));
            let searching = trial.searching();
            self.corrected(reason, searching);
        }
        Ok(())
    }

    pub fn withdraw(&mut self, time: f64, reason: &str, runs: &RunSet) -> Result<(), Misfit> {
        runs.iter().try_for_each(|run| match run {
            RunId::Trial(id) => self.finished(id).map(drop),
            RunId::Imported(number) => self.import(number).map(drop),
        })?;
        for run in runs.iter() {
            let searching = match run {
                RunId::Trial(id) => {
                    let trial = self.finished(id)?;
                    trial.correct(time, reason, None);
                    trial.searching()
                }
                RunId::Imported(number) => {
                    self.import(number)?.withdrawn = Some(reason.to_owned());
                    true
                }
            };
            self.corrected(reason, searching);
        }
        Ok(())
    }

    /// Notes that evidence has changed. A confirmation run does not make the recommendation outdated.
    fn corrected(&mut self, reason: &str, searching: bool) {
        // It may have been fitted to wrong results.
        self.model = None;
        if searching && let Some(stopped) = &mut self.stopped {
            stopped.corrections.push(reason.to_owned());
        }
    }

    fn finished(&mut self, id: TrialId) -> Result<&mut Trial, Misfit> {
        match self.trial(id)? {
            trial if trial.finished() => Ok(trial),
            _ => Err(Misfit::Damage(format!("trial {id} has not finished; `admire tell` reports how a trial ends"))),
        }
    }

    fn import(&mut self, number: u64) -> Result<&mut ImportedRun, Misfit> {
        let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        let run = index.and_then(|i| self.imported.get_mut(i));
        run.ok_or_else(|| Misfit::Damage(format!("run {number} was never imported")))
    }
}

impl Stopped {
    /// The runs, the corrections with their reasons, and the guards that are newer than the recommendation, in words. `None` if there are
    /// none.
    #[must_use]
    pub fn news(&self) -> Option<String> {
        let mut reasons = self.corrections.clone();
        reasons.dedup();
        let corrected = || format!("{} ({})", counted(self.corrections.len(), "correction"), reasons.join("; "));
        let news = [
            (self.runs > 0).then(|| counted(self.runs, "run")),
            (!self.corrections.is_empty()).then(corrected),
            self.guards_changed.then(|| "the present guards".to_owned()),
        ];
        let news: Vec<String> = news.into_iter().flatten().collect();
        (!news.is_empty()).then(|| news.join(" and "))
    }
}

impl Trial {
    /// Whether the trial has this result already.
    fn has(&self, result: &TrialResult) -> bool {
        match (&self.state, result) {
            (TrialState::Complete(known), TrialResult::Complete(told)) => {
                let cost = told.cost.is_none() || told.cost == known.cost;
                cost && (&known.metrics, &known.se) == (&told.metrics, &told.se)
            }
            (TrialState::Diverged, TrialResult::Diverged) => true,
            _ => false,
        }
    }

    /// Replaces the result by another one, or by none. What the run used stays spent, unless the new result states it anew.
    fn correct(&mut self, time: f64, reason: &str, result: Option<TrialResult>) {
        let before = self.correction.take().map_or_else(|| self.state.clone(), |correction| correction.before);
        self.void = self.used().cloned();
        self.state = match result {
            Some(TrialResult::Complete(outcome)) => {
                let used = self.void.take().unwrap_or_else(|| self.last_attempt(&before));
                let (cost, duration) = (outcome.cost.or(used.cost), outcome.duration.or(used.duration));
                TrialState::Complete(Completed { cost, duration, ..outcome })
            }
            Some(TrialResult::Diverged) => TrialState::Diverged,
            None => TrialState::Withdrawn,
        };
        self.correction = Some(Correction { reason: reason.to_owned(), time, before });
    }

    /// What the attempt that ended the trial in the state `before` used. If that attempt came to nothing, it no longer counts as one that
    /// did, since it has a result now.
    fn last_attempt(&mut self, before: &TrialState) -> Completed {
        match before {
            TrialState::Failed { .. } => self.failures -= 1,
            TrialState::Diverged => self.divergences -= 1,
            _ => return Completed::default(),
        }
        Completed { duration: self.lost.pop().flatten(), ..Completed::default() }
    }
}
