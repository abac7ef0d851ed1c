//! The search: when it thinks, what it does with the answer, when it stops, and what it confirms.

use std::collections::HashSet;

use tracing::Level;

use super::machine::{Audience, Command, Machine, Question, State};
use super::notice::Notice;
use super::{Ended, RunError};
use crate::advice::{self, Thought, Weighed};
use crate::optimizer::{NoTrial, Outlook, Recommendation, Suggestion, policy::stopping::reached};
use crate::problem::{FidelityId, Mixture, OnTheWay, RunId, affordable, seed_of};
use crate::study::{Ending, Event, ImportedRun, Plan, Purpose, StopReason, Stopped, Trial, TrialState};
use crate::text::{Uncertain, number, percent, probability};

/// Confirmation runs take their seeds from here on, far from any trial's number.
const CONFIRM_SEEDS: u64 = 1 << 32;

impl Machine<'_> {
    /// A search that ended by a rule which still holds, by evidence that was not corrected since and under the same guards; the other
    /// limits are looked at anew.
    pub(super) fn settled(&self) -> Option<StopReason> {
        let budget = &self.study.config().budget;
        let stopped =
            self.study.stopped().filter(|stopped| stopped.corrections.is_empty() && !stopped.guards_changed)?;
        let holds = match stopped.reason {
            StopReason::Patience => budget.patience.zip(stopped.limit).is_some_and(|(now, then)| now as f64 <= then),
            StopReason::Converged => {
                let still = |now: Option<f64>, then: Option<f64>| now.zip(then).is_some_and(|(now, then)| now >= then);
                still(budget.regret, stopped.limit) || still(budget.gain, stopped.gain)
            }
            StopReason::Exhausted => !stopped.outdated,
            StopReason::Budget | StopReason::Trials | StopReason::WallTime => false,
        };
        holds.then_some(stopped.reason)
    }

    /// Fidelities at which another trial fits into the budget, or why there is none.
    fn affordable(&self) -> Result<Vec<FidelityId>, StopReason> {
        let budget = &self.study.config().budget;
        let (costs, (committed, begun)) = (self.study.costs(), self.study.committed());
        let open = self.study.open_fidelities();
        if open.is_empty() || budget.trials.is_some_and(|limit| begun >= limit) {
            return Err(StopReason::Trials);
        }
        let fits = |i: &FidelityId| budget.cost.is_none_or(|limit| affordable(committed + costs[*i], limit));
        let fitting: Vec<FidelityId> = open.into_iter().filter(fits).collect();
        if fitting.is_empty() { Err(StopReason::Budget) } else { Ok(fitting) }
    }

    pub(super) fn exhausted(&self) -> Option<StopReason> {
        self.affordable().err()
    }

    /// Asks the optimizer for another trial, unless it thinks already or none is affordable.
    pub(super) fn think(&mut self) {
        if let Ok(fidelities) = self.affordable()
            && let Some(question) = self.question(fidelities)
        {
            self.command(Command::Think(Box::new(question), self.resumable()));
        }
    }

    /// What the optimizer is asked, unless it thinks already.
    fn question(&mut self, fidelities: Vec<FidelityId>) -> Option<Question> {
        let optimizer = self.optimizer.take()?;
        let (evidence, seed, next) = (self.study.evidence(), self.study.config().seed, self.study.next_id());
        self.thinking = true;
        Some(Question { optimizer, evidence, fidelities, seed, next })
    }

    /// The trials that were ended early and may be continued: the launcher can, and the budget pays for the rest of them.
    fn resumable(&self) -> Vec<OnTheWay> {
        if !self.launcher.config().resumable {
            return Vec::new();
        }
        let (costs, (committed, _)) = (self.study.costs(), self.study.committed());
        let rest = |trial: &OnTheWay| (1.0 - trial.share_done) * costs[trial.end.fidelity];
        let limit = self.study.config().budget.cost;
        let fits = |trial: &OnTheWay| limit.is_none_or(|limit| affordable(committed + rest(trial), limit));
        self.study.stopped_on_the_way().into_iter().filter(fits).collect()
    }

    /// Asks the optimizer whether a running trial is hopeless, if that is wanted, something was heard of one, and its cost would pay for
    /// another trial. Nothing is asked while a trial is being ended: what comes in its place is not decided on yet.
    pub(super) fn weigh(&mut self) {
        let ending = || self.study.trials().iter().any(|t| !t.finished() && t.ending.is_some());
        if !self.heard || !self.study.config().optimizer.stop_early || self.thinking || ending() {
            return;
        }
        self.heard = false;
        let running = self.study.on_the_way();
        if let Ok(fidelities) = self.affordable()
            && !running.is_empty()
            && let Some(question) = self.question(fidelities)
        {
            self.command(Command::Weigh(Box::new(question), running));
        }
    }

    /// Takes the optimizer's answer: journals that a trial is to be ended, and ends it. Once the search stops, the answer is dropped.
    pub(super) fn weighed(&mut self, Weighed { optimizer, hopeless }: Weighed) -> Result<(), RunError> {
        (self.optimizer, self.thinking) = (Some(optimizer), false);
        let (State::Searching, Some(outlook)) = (&self.state, hopeless) else { return Ok(()) };
        let RunId::Trial(id) = outlook.run else { return Ok(()) };
        let trial = self.study.trial(id)?;
        if !matches!(trial.state, TrialState::Running { .. }) {
            return Ok(());
        }
        let reason = outlook_in_words(&outlook, &self.study.config().fidelities[trial.fidelity].name);
        let ending = Ending { share: outlook.share_done, probability: outlook.probability, reason: reason.clone() };
        self.journal(Event::TrialStopping { trial: id, ending })?;
        let words = format!("is ended after {} of its tokens: {reason}", percent(outlook.share_done));
        self.tell(Notice::trial("trial_stopping", self.study, id, words).because(reason));
        self.command(Command::End(id));
        Ok(())
    }

    /// Takes the optimizer's answer: journals the trial, or stops the search. Once the search stops, or nothing is launched any
    /// more, the answer is dropped.
    pub(super) fn thought(&mut self, thought: Thought) -> Result<(), RunError> {
        let fitted = advice::fitted(self.study, &thought.optimizer);
        (self.optimizer, self.thinking) = (Some(thought.optimizer), false);
        if !matches!(self.state, State::Searching) {
            return Ok(());
        }
        if let Some(fitted) = fitted {
            self.journal(fitted)?;
        }
        let gain = match (&thought.continued, &thought.suggestion) {
            (Some(outlook), _) => Some(outlook.worth),
            (None, suggestion) => suggestion.as_ref().ok().and_then(|suggestion| suggestion.gain),
        };
        let satisfied = self.satisfied(&thought.recommendation, gain);
        let incumbent = thought.recommendation.expected;
        if let Some(expected) = incumbent.filter(|expected| !self.study.still(*expected)) {
            self.tell(Notice::incumbent(self.study, &thought.recommendation.mixture, expected));
        }
        self.recommendation = Some(thought.recommendation);
        match (satisfied, thought.suggestion) {
            (Some(reason), _) => self.stop(reason),
            (None, Err(NoTrial::Limit)) => self.stop(StopReason::Trials),
            (None, Err(exhausted @ NoTrial::Exhausted)) => {
                self.say(Level::INFO, exhausted.to_string());
                self.stop(StopReason::Exhausted);
            }
            // Trials handed out may never be told: they alone hold nothing up.
            (None, Ok(suggestion)) if suggestion.premature && self.running > 0 => {
                self.waiting = true;
                let n = self.running;
                let text =
                    "what is under way costs as much as all that has finished: the next trial waits for a result";
                self.say(Level::INFO, format!("{text} ({n} running)"));
            }
            (None, Ok(suggestion)) => match thought.continued {
                Some(outlook) => self.continue_trial(&outlook)?,
                None => self.suggest(suggestion, &thought.offered)?,
            },
        }
        Ok(())
    }

    /// Journals that a trial which was ended early waits to be continued.
    fn continue_trial(&mut self, outlook: &Outlook) -> Result<(), RunError> {
        let RunId::Trial(id) = outlook.run else { return Ok(()) };
        let trial = self.study.trial(id)?;
        // Somebody may have corrected it meanwhile.
        if !matches!(trial.state, TrialState::Stopped(_)) {
            return Ok(());
        }
        let reason = outlook_in_words(outlook, &self.study.config().fidelities[trial.fidelity].name);
        self.journal(Event::TrialContinued { trial: id, reason: reason.clone() })?;
        let words = format!("is continued after {} of its tokens: {reason}", percent(outlook.share_done));
        self.tell(Notice::trial("trial_continued", self.study, id, words).because(reason));
        Ok(())
    }

    /// Journals a trial of the search.
    fn suggest(&mut self, suggestion: Suggestion, offered: &[FidelityId]) -> Result<(), RunError> {
        if let Some(warning) = suggestion.warning {
            self.say(Level::WARN, warning);
        }
        let id = self.study.next_id();
        self.journal(self.study.suggestion(&Plan {
            mixture: &suggestion.mixture,
            fidelity: suggestion.fidelity,
            purpose: Purpose::Search,
            seed_index: id,
            expected: suggestion.expected,
            offered,
            incumbent: self.recommendation.as_ref().and_then(|r| r.expected),
        }))?;
        let weights = self.study.named(&suggestion.mixture);
        let weights: Vec<String> = weights.iter().map(|(name, w)| format!("{name}={}", number(*w, 4))).collect();
        let regret = self.recommendation.as_ref().and_then(|r| r.expected_regret);
        let regret = regret.map_or_else(String::new, |r| format!("; expected regret so far {}", number(r, 4)));
        let words = format!("is {}{regret}", weights.join(" "));
        let notice = Notice::trial("trial_suggested", self.study, id, words);
        self.command(Command::Tell(Audience::Log, Box::new(notice)));
        Ok(())
    }

    /// The rules of patience, regret, and gain: what the next trial would gain per unit of its cost.
    fn satisfied(&self, recommendation: &Recommendation, gain: Option<f64>) -> Option<StopReason> {
        let budget = &self.study.config().budget;
        let converged = reached(budget.regret, recommendation.expected_regret) || reached(budget.gain, gain);
        let stagnation = self.study.stagnation(recommendation.expected);
        let patient = recommendation.expected.is_none() || budget.patience.is_none_or(|limit| stagnation < limit);
        match (converged, patient) {
            (true, _) => Some(StopReason::Converged),
            (false, false) => Some(StopReason::Patience),
            (false, true) => None,
        }
    }

    /// Launches what is still to be confirmed, once it is known what is recommended; the run is over where that is nothing.
    pub(super) fn conclude(&mut self, reason: StopReason) -> Result<(), RunError> {
        // Nothing is asked of it any more, and the recommendation takes a model of its own, which is as large.
        self.optimizer = None;
        match self.study.stopped().filter(|stopped| self.stands(stopped)) {
            Some(stopped) => {
                let (mixture, journalled) = (stopped.mixture.clone(), stopped.reason == reason);
                // Another limit that ends the search now is no reason to recommend anew.
                if journalled { self.confirm(reason, &mixture) } else { self.settle(reason, mixture) }
            }
            None => self.ask_recommendation(reason),
        }
    }

    /// Suggests and launches the confirmation runs of a mixture that are missing.
    fn confirm(&mut self, reason: StopReason, recommended: &Mixture) -> Result<(), RunError> {
        self.give_up_confirmations(recommended)?;
        let seeds = self.study.config().confirm.as_ref().map_or(0, |confirm| confirm.seeds as u64);
        for (purpose, mixture) in self.study.to_confirm(recommended) {
            let have: HashSet<u32> = self.study.confirmations(&mixture).map(|t| t.seed).collect();
            let missing = |index: &u64| !have.contains(&seed_of(self.study.config().seed, *index));
            for seed_index in (0..seeds).map(|i| CONFIRM_SEEDS + i).filter(missing).collect::<Vec<_>>() {
                let (mixture, fidelity) = (&mixture, self.study.config().fidelities.target());
                let (expected, incumbent) = (None, None);
                let plan = Plan { mixture, fidelity, purpose, seed_index, expected, offered: &[], incumbent };
                self.journal(self.study.suggestion(&plan))?;
            }
        }
        if !self.launch_pending()? {
            self.finish(Ok(Ended::Finished(reason)));
        }
        Ok(())
    }

    /// Gives up confirmation runs that wait, of mixtures that are not to be confirmed any more: nobody is to pay for them.
    fn give_up_confirmations(&mut self, recommended: &Mixture) -> Result<(), RunError> {
        let wanted = self.study.to_confirm(recommended);
        let outdated = |t: &&Trial| !t.searching() && wanted.iter().all(|(_, mixture)| t.mixture != *mixture);
        let waiting = self.study.trials().iter().filter(|t| t.state == TrialState::Pending).filter(outdated);
        for trial in waiting.map(|t| t.id).collect::<Vec<_>>() {
            let reason = "its mixture is not to be confirmed any more".to_owned();
            let (attempt, last, duration, unseen) = (0, true, Some(0.0), false);
            self.journal(Event::Failed { trial, attempt, reason, last, duration, unseen })?;
        }
        Ok(())
    }

    /// Whether what a search recommended still is what it would recommend: the config allows it, its guards are the same, and no run has come
    /// or was corrected since.
    fn stands(&self, stopped: &Stopped) -> bool {
        stopped.news().is_none() && self.allowed(&stopped.mixture)
    }

    fn allowed(&self, mixture: &Mixture) -> bool {
        self.study.config().space.broken_bounds(mixture).is_empty()
    }

    /// Asks what is recommended now that the search ends for `reason`.
    fn ask_recommendation(&mut self, reason: StopReason) -> Result<(), RunError> {
        let ended = |imported: &&ImportedRun| imported.run.tokens.is_none();
        let (counts, imported) = (self.study.counts(), self.study.imported().filter(ended).count());
        if counts.complete == 0 && (imported == 0 || counts.failed + counts.diverged > 0) {
            return Err(RunError::NothingComplete { reason, last: self.last_failure() });
        }
        self.command(Command::Recommend);
        Ok(())
    }

    /// Takes what is recommended at the end of the search.
    pub(super) fn recommended(&mut self, recommendation: Recommendation) -> Result<(), RunError> {
        let Some(reason) = self.stopping() else { return Ok(()) };
        let mut mixture = recommendation.mixture;
        // What was confirmed is not given up for a mixture that counts as the same one.
        let before = self.study.stopped().map(|stopped| &stopped.mixture).filter(|before| self.allowed(before));
        let tolerance = self.study.config().optimizer.tolerance;
        if let Some(before) = before.filter(|before| before.distance(&mixture) < tolerance) {
            mixture = before.clone();
        }
        self.settle(reason, mixture)
    }

    /// Journals what is recommended, and goes on with its confirmation.
    fn settle(&mut self, reason: StopReason, mixture: Mixture) -> Result<(), RunError> {
        let config = self.study.config();
        let regret = self.recommendation.as_ref().and_then(|r| r.expected_regret);
        let limit = match reason {
            StopReason::Patience => config.budget.patience.map(|limit| limit as f64),
            StopReason::Converged => config.budget.regret.filter(|limit| regret.is_some_and(|regret| regret <= *limit)),
            StopReason::Budget | StopReason::Trials | StopReason::WallTime | StopReason::Exhausted => None,
        };
        let gain = config.budget.gain.filter(|_| reason == StopReason::Converged && limit.is_none());
        let recommended = self.study.named(&mixture);
        self.journal(Event::Stopped { reason, recommended, limit, gain })?;
        self.confirm(reason, &mixture)
    }

    /// Why the trial failed that failed last, if any has.
    fn last_failure(&self) -> Option<String> {
        let failures = self.study.trials().iter().filter_map(|t| t.failure.as_ref());
        failures.max_by(|a, b| a.time.total_cmp(&b.time)).map(|failure| failure.reason.clone())
    }
}

/// Why a trial is ended or continued, in words.
fn outlook_in_words(outlook: &Outlook, fidelity: &str) -> String {
    let Outlook { end, best, probability: p, worth, worth_of_new, .. } = outlook;
    let (end, p) = (Uncertain { mean: end.mean, sd: end.sd }, probability(*p));
    let (best, worth, new) = (number(*best, 4), number(*worth, 2), number(*worth_of_new, 2));
    format!(
        "its end is expected at {end}, better than {best}, the best at {fidelity} so far, with a probability of {p}; per unit of \
         its remaining cost it is worth {worth}, the best new trial {new}"
    )
}
