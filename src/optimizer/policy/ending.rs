//! Which running trial is hopeless, and not worth its remaining cost; and which trial that was ended is worth it after all.

use rand::Rng;

use super::constants::{HOPELESS, MOST_CONTINUED, SUPPORT};
use super::fidelities::{open, possible};
use super::recommendation::smallest;
use crate::optimizer::{Candidates, Optimizer};
use crate::problem::normal::distribution;
use crate::problem::{Evidence, FidelityId, Observation, OnTheWay, Prediction, RunId};
use crate::surrogate::Surrogate;

/// What there is to say of a trial that has not come to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// The trial.
    pub run: RunId,
    /// Which share of its tokens it has trained on.
    pub share_done: f64,
    /// The objective in the end, by its curve, its mixture and the noise of a run.
    pub end: Prediction,
    /// The best objective at its fidelity so far, and the probability that its end is better.
    pub best: f64,
    #[expect(missing_docs, reason = "with the best")]
    pub probability: f64,
    /// By how much its end is expected to improve the recommendation, per unit of its remaining cost; and the same of the best new trial.
    /// Both in the objective's unit.
    pub worth: f64,
    #[expect(missing_docs, reason = "with the other")]
    pub worth_of_new: f64,
}

impl Outlook {
    /// Whether the trial is ended: its end is hardly ever better than the best run at its fidelity ([`HOPELESS`]), and its remaining cost
    /// buys more elsewhere.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.probability < HOPELESS && self.worth < self.worth_of_new
    }

    /// Whether a trial that was ended is continued: its remaining cost buys more than the same cost of new trials.
    #[must_use]
    pub fn is_worth_continuing(&self) -> bool {
        self.worth > self.worth_of_new
    }
}

/// A trial that has not come to its end, with models that know what its curve says of that.
struct Known<'a> {
    trial: &'a OnTheWay,
    /// Without the trial.
    without: Evidence,
    /// With the estimate of its end.
    with_end: Evidence,
    /// The model that knows what was observed, the estimate included.
    aware: Surrogate,
    /// The same, which also counts on what is under way.
    pending: Surrogate,
    /// The model that counts on what is under way, and knows nothing of the trial.
    unaware: Surrogate,
}

impl Optimizer {
    /// The running trial that is to be ended, the most hopeless one, if any is. `offered` are the fidelities at which a new trial could be
    /// paid for. While the initial design is not complete, and before there is a model, none is ended; nor is a run of a mixture that
    /// others are compared with.
    pub fn hopeless(
        &self,
        evidence: &Evidence,
        running: &[OnTheWay],
        offered: &[FidelityId],
        rng: &mut (impl Rng + Clone),
    ) -> Option<Outlook> {
        let compared = |trial: &&OnTheWay| self.references().all(|reference| !reference.is(&trial.end.mixture));
        let outlooks = running.iter().filter(compared).filter_map(|trial| self.outlook(evidence, trial, offered, rng));
        outlooks.filter(Outlook::is_hopeless).min_by(|a, b| a.probability.total_cmp(&b.probability))
    }

    /// The trial that is to be continued in place of a new one, which would improve the recommendation by `worth_of_new` per unit of its
    /// cost; the worthiest one, if any is. `stopped` are trials that were ended early, with the estimates of their ends that are
    /// among the observations. Only the most promising ones are looked at ([`MOST_CONTINUED`]).
    pub fn continued(
        &self,
        evidence: &Evidence,
        stopped: &[OnTheWay],
        worth_of_new: f64,
        rng: &mut (impl Rng + Clone),
    ) -> Option<Outlook> {
        let surrogate = self.condition(&evidence.observations).ok()?;
        let means = surrogate.mean(&self.columns(stopped.iter().map(|trial| trial.end.mixture.weights())));
        let outlook = |i: usize| {
            let mut without = evidence.clone();
            without.observations.retain(|observation| observation.run != stopped[i].end.run);
            let known = self.known_end(without, &stopped[i])?;
            self.judged(&known, worth_of_new, rng)
        };
        let outlooks = smallest(&means, MOST_CONTINUED).into_iter().filter_map(outlook);
        outlooks.filter(Outlook::is_worth_continuing).max_by(|a, b| a.worth.total_cmp(&b.worth))
    }

    /// What there is to say of a running trial; `None` while the initial design is not complete, and where there is no model, no new trial
    /// or no other run at its fidelity to compare it with.
    pub fn outlook(
        &self,
        evidence: &Evidence,
        trial: &OnTheWay,
        offered: &[FidelityId],
        rng: &mut (impl Rng + Clone),
    ) -> Option<Outlook> {
        // If it were ended: its estimated end is an observation, and it is not under way any more.
        let mut without = evidence.clone();
        let point = (trial.end.mixture.clone(), trial.end.fidelity);
        if let Some(place) = without.pending.iter().position(|pending| *pending == point) {
            without.pending.remove(place);
        }
        let known = self.known_end(without, trial)?;
        let Known { with_end, aware, pending, .. } = &known;
        let space = Candidates::Space(offered);
        if self.design_fidelity(with_end, space).is_some() {
            return None;
        }
        let open =
            open(&possible(&self.fidelities, &self.settings, with_end, space), self.fidelities.target(), with_end);
        let new = self.propose((aware, pending), with_end, space, &open, &mut rng.clone());
        self.judged(&known, new?.gain?, rng)
    }

    /// Models with the estimate of a trial's end and without it, given what else is known; `None` before there is a model.
    fn known_end<'a>(&self, without: Evidence, trial: &'a OnTheWay) -> Option<Known<'a>> {
        self.snapshot.as_ref()?;
        let mut with_end = without.clone();
        with_end.observations.push(trial.end.clone());
        let unaware = self.condition(&without.observations).ok()?;
        let aware = unaware.extend(&self.task(std::slice::from_ref(&trial.end))).ok()?;
        let [unaware, pending] = [&*unaware, &aware].map(|surrogate| surrogate.with_pending(&without.pending).ok());
        Some(Known { trial, aware, pending: pending?, unaware: unaware?, with_end, without })
    }

    /// What there is to say of a trial, beside a new one that would improve the recommendation by `worth_of_new` per unit of its cost.
    fn judged(&self, known: &Known<'_>, worth_of_new: f64, rng: &mut (impl Rng + Clone)) -> Option<Outlook> {
        let OnTheWay { end, share_done } = known.trial;
        let (end_of, best, unknown) = self.end(&known.without, end)?;
        let worth = self.worth_of_end(known, unknown, &mut rng.clone());
        Some(Outlook {
            run: end.run,
            share_done: *share_done,
            end: end_of,
            best,
            probability: distribution(self.objective.sign() * (best - end_of.mean) / end_of.sd),
            worth: worth / ((1.0 - share_done) * known.with_end.costs[end.fidelity]),
            worth_of_new,
        })
    }

    /// The objective at the end of a run, given the estimate of it from its curve and what is expected of its mixture; the best objective at its
    /// fidelity so far; and which share of the standard deviation of a new run of its mixture the curve leaves unknown.
    fn end(&self, evidence: &Evidence, end: &Observation) -> Option<(Prediction, f64, f64)> {
        let (mixture, m) = (&end.mixture, end.fidelity);
        let baseline = self.baseline(evidence);
        let measured = |metrics: &[f64]| self.objective.measured(metrics, m, &baseline);
        let sign = self.objective.sign();
        let at = evidence.observations.iter().filter(|o| o.fidelity == m).filter_map(|o| measured(&o.metrics));
        let best = at.min_by(|a, b| (sign * a).total_cmp(&(sign * b)))?;
        let value = measured(&end.metrics)?;
        let of_curve = self.objective.standard_error(&end.metrics, &end.se).powi(2);
        let expected = self.expectation(evidence, mixture, m)?;
        let of_run = expected.sd.powi(2) + expected.noise.unwrap_or(0.0).powi(2);
        let of_both = of_curve + of_run;
        let mean = (expected.mean * of_curve + value * of_run) / of_both;
        let prediction = Prediction { mean, sd: (of_curve * of_run / of_both).sqrt(), noise: None };
        Some((prediction, best, (of_curve / of_both).sqrt()))
    }

    /// By how much the end of a run is expected to improve the recommendation, given its curve: the knowledge gradient of the model that
    /// knows the curve. The end moves posterior means by what a new run of the mixture would move them under the model that does not
    /// know the curve, times `unknown`. This is the share of the standard deviation of a new run that the curve leaves: with the variance
    /// `v` of a new run and `τ²` of the curve's error, `cov(f, y | curve) / sd(y | curve) = cov(f, y) / √v · √(τ² / (v + τ²))`. The share of
    /// the objective is used for all metrics.
    fn worth_of_end(&self, known: &Known<'_>, unknown: f64, rng: &mut impl Rng) -> f64 {
        let Known { trial: OnTheWay { end, .. }, with_end: evidence, pending: aware, unaware, .. } = known;
        let starts = self.starts(aware, evidence, rng);
        let x = self.columns(starts.iter().map(Vec::as_slice));
        let x = x.select(&self.promising(aware, evidence, &x, SUPPORT / 2));
        let [targets, unaware_targets] =
            [aware, unaware].map(|surrogate| self.targets(surrogate, evidence, (&x, surrogate.mean(&x)), &[], 0));
        let z = self.columns([end.mixture.weights()]);
        let influence = unaware.influence(&z, end.fidelity, &unaware_targets.view);
        targets.log_value(&targets.choices(), |j| &influence[j].0 * unknown, targets.bought).exp()
    }
}
