//! The next trial by an acquisition function: where to look, and what is best of what is found.

use rand::Rng;

use super::constants::{AROUND, CLIMB_STEPS, CLIMBS, DESCENT_STEPS, DESCENTS, MOST_SCORED, SAMPLED, SUPPORT};
use super::design::drawn;
use super::fidelities::exceeds_in_flight_cap;
use super::recommendation::smallest;
use super::value::{Targets, Trials};
use super::waiting::Cheaper;
use crate::acquisition::{Criterion, best_mean, climb};
use crate::optimizer::{Candidates, Offer, Optimizer, Suggestion};
use crate::problem::{AcquisitionKind, Evidence, FidelityId, Mixture, Observation, Weights};
use crate::surrogate::{Lookahead, Surrogate};

/// A place for the next trial.
#[derive(Clone)]
struct Place {
    weights: Vec<f64>,
    fidelity: FidelityId,
    /// Log acquisition per unit cost.
    score: f64,
}

impl Optimizer {
    /// The next trial according to the acquisition function. `surrogate` knows what was observed, `pending` also counts
    /// on what is under way. `None` where nothing new has a positive acquisition value.
    pub(in crate::optimizer) fn propose(
        &self,
        (surrogate, pending): (&Surrogate, &Surrogate),
        evidence: &Evidence,
        candidates: Candidates<'_>,
        open: &[FidelityId],
        rng: &mut impl Rng,
    ) -> Option<Suggestion> {
        let (found, pool_index) = match candidates {
            Candidates::Pool { runs, targets } => {
                let (score, index) = self.best_of_pool(pending, evidence, (runs, targets), open, rng)?;
                let Offer { mixture, fidelity, .. } = runs[index];
                (Place { weights: mixture.weights().to_vec(), fidelity, score }, Some(index))
            }
            Candidates::Space(_) => (self.place_in_space((surrogate, pending), evidence, open, rng)?, None),
        };
        let mixture = Mixture::new(found.weights);
        let expected = self.expectation(evidence, &mixture, found.fidelity);
        let gain = (self.settings.acquisition == AcquisitionKind::KnowledgeGradient).then(|| found.score.exp());
        let premature = exceeds_in_flight_cap(found.fidelity, evidence);
        Some(Suggestion { mixture, fidelity: found.fidelity, pool_index, expected, gain, premature, warning: None })
    }

    /// The acquisition function in the study's present state, given p mixtures among which the optimum is
    /// looked for, with the values that are known.
    fn criterion(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        (x, known, runs): (&Weights, &[Option<f64>], &[Option<&Observation>]),
        rng: &mut impl Rng,
    ) -> Criterion {
        let qualified = self.qualified(surrogate, evidence, x, runs);
        let minima = self.contenders(surrogate, x, known, &qualified).minima(rng);
        let best = || {
            let observed = self.columns(evidence.observations.iter().map(|o| o.mixture.weights()));
            let known = self.known_values(evidence, evidence.observations.iter().map(|o| &o.mixture));
            self.expected_values(surrogate, &observed, &known).min()
        };
        match self.settings.acquisition {
            // The knowledge gradient chooses among what the entropy's climbs find (`rescore`).
            AcquisitionKind::Entropy | AcquisitionKind::KnowledgeGradient => {
                Criterion::Entropy { minima: minima.values }
            }
            AcquisitionKind::ExpectedImprovement => Criterion::ExpectedImprovement { best: best() },
            AcquisitionKind::ConfidenceBound => Criterion::ConfidenceBound { best: best() },
        }
    }

    /// Score and index of the best run of the pool at the fidelities `open`.
    fn best_of_pool(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        (runs, mixtures): (&[Offer<'_>], &[Mixture]),
        open: &[FidelityId],
        rng: &mut impl Rng,
    ) -> Option<(f64, usize)> {
        let x = self.columns(mixtures.iter().map(Mixture::weights));
        let known = self.known_values(evidence, mixtures);
        let runs_of: Vec<Option<&Observation>> =
            mixtures.iter().map(|mixture| self.run_of(evidence, mixture)).collect();
        let criterion = self.criterion(surrogate, evidence, (&x, &known, &runs_of), rng);
        let values = self.expected_values(surrogate, &x, &known);
        let mut weighed = smallest(&values, MOST_SCORED);
        weighed.sort_unstable();
        let mean = values.select_rows(&weighed);
        let bought = known.iter().flatten().count();
        let runs_of: Vec<Option<&Observation>> = weighed.iter().map(|t| runs_of[*t]).collect();
        let targets = self.targets(surrogate, evidence, (&x.select(&weighed), mean), &runs_of, bought);
        let same = |run: usize, m: FidelityId| {
            weighed.iter().position(|t| mixtures[*t] == *runs[run].mixture).filter(|_| self.reveals(m))
        };
        let (mut first, mut cheaper) = (Vec::new(), Vec::new());
        for &m in open {
            let indices = self.preselected(surrogate, runs, m, rng);
            let z = self.columns(indices.iter().map(|i| runs[*i].mixture.weights()));
            let scores = if self.settings.acquisition == AcquisitionKind::KnowledgeGradient {
                let reveals: Vec<Option<usize>> = indices.iter().map(|i| same(*i, m)).collect();
                let trials = Trials { fidelity: m, x: &z, reveals: &reveals };
                self.knowledge_gradient(surrogate, &trials, &targets)
            } else {
                self.scores(surrogate, &criterion, &z, &[m]).remove(0)
            };
            let scored = scores.into_iter().zip(indices).map(|(score, i)| (score - runs[i].cost.ln(), i));
            let scored = scored.filter(|(score, _)| *score > f64::NEG_INFINITY);
            first.extend(scored.max_by(|a, b| a.0.total_cmp(&b.0)));
            let x = z.select(&smallest(&surrogate.mean(&z), SUPPORT / 2));
            cheaper.push(Cheaper { fidelity: m, x, repeatable: false });
        }
        first.sort_by(|a, b| b.0.total_cmp(&a.0));
        let waits = |(_, index): &&(f64, usize)| {
            let Offer { mixture, fidelity, cost } = runs[*index];
            let z = self.columns([mixture.weights()]);
            let trial = Trials { fidelity, x: &z, reveals: &[same(*index, fidelity)] };
            self.waits(surrogate, evidence, (&trial, cost), &cheaper, &targets)
        };
        first.iter().find(|place| !waits(place)).or(first.first()).copied()
    }

    /// The runs of the pool at fidelity `m` that are scored, as indices, ascending: all, or of more than [`MOST_SCORED`] as many,
    /// half of them those with the smallest posterior means, the others at random.
    fn preselected(&self, surrogate: &Surrogate, runs: &[Offer<'_>], m: FidelityId, rng: &mut impl Rng) -> Vec<usize> {
        let at: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].fidelity == m).collect();
        if at.len() <= MOST_SCORED {
            return at;
        }
        let means = surrogate.mean(&self.columns(at.iter().map(|i| runs[*i].mixture.weights())));
        let order = smallest(&means, at.len());
        let (best, others) = order.split_at(MOST_SCORED / 2);
        let others = drawn(others.to_vec(), MOST_SCORED - best.len(), rng);
        let mut chosen: Vec<usize> = best.iter().copied().chain(others).map(|i| at[i]).collect();
        chosen.sort_unstable();
        chosen
    }

    /// Log acquisition of observing at the p mixtures `x` at each of the fidelities `at`:
    /// one vector of length p for each of `at`.
    fn scores(&self, surrogate: &Surrogate, criterion: &Criterion, x: &Weights, at: &[FidelityId]) -> Vec<Vec<f64>> {
        let noise = self.goal_noise(surrogate);
        let score =
            |lookahead: Lookahead, m: FidelityId| criterion.value(&self.goal_lookahead(lookahead, m, noise)).log;
        let lookaheads = surrogate.lookahead(x, at).into_iter().zip(at);
        lookaheads
            .map(|(lookaheads, m)| lookaheads.into_iter().map(|lookahead| score(lookahead, *m)).collect())
            .collect()
    }

    /// Mixtures to start from: random and extreme ones, those of the smallest means, and some around these.
    pub(super) fn starts(&self, surrogate: &Surrogate, evidence: &Evidence, rng: &mut impl Rng) -> Vec<Vec<f64>> {
        let polytope = self.space.polytope();
        let mut starts = polytope.sample(SAMPLED, rng);
        starts.extend(polytope.extremes().iter().take(SAMPLED).cloned());
        let known = self.known_mixtures(evidence);
        let promising = self.promising(surrogate, evidence, &self.columns(known.iter().map(Vec::as_slice)), DESCENTS);
        let mut incumbents: Vec<Vec<f64>> = promising.into_iter().map(|i| known[i].clone()).collect();
        starts.extend(best_mean(surrogate, polytope, &incumbents, DESCENT_STEPS));
        if !self.guards.is_empty() {
            incumbents.extend(self.constrained((surrogate, surrogate), evidence, &starts));
        }
        for incumbent in &incumbents {
            let others = polytope.sample(SAMPLED / 16, rng);
            let between = |(a, b): (&f64, &f64)| (1.0 - AROUND) * a + AROUND * b;
            starts.extend(others.iter().map(|w| incumbent.iter().zip(w).map(between).collect()));
        }
        starts.extend(incumbents);
        self.usable_optima((surrogate, surrogate), evidence, starts)
    }

    /// The best place anywhere in the space, at any open fidelity.
    fn place_in_space(
        &self,
        (surrogate, pending): (&Surrogate, &Surrogate),
        evidence: &Evidence,
        open: &[FidelityId],
        rng: &mut impl Rng,
    ) -> Option<Place> {
        let starts = self.starts(surrogate, evidence, rng);
        let x = self.columns(starts.iter().map(Vec::as_slice));
        let criterion = self.criterion(pending, evidence, (&x, &[], &[]), rng);
        let mut places: Vec<Place> = Vec::with_capacity(starts.len() * open.len());
        for (scores, &fidelity) in self.scores(pending, &criterion, &x, open).into_iter().zip(open) {
            let log_cost = evidence.costs[fidelity].ln();
            let place = |(score, weights): (f64, &Vec<f64>)| Place {
                weights: weights.clone(),
                fidelity,
                score: score - log_cost,
            };
            places.extend(scores.into_iter().zip(&starts).map(place));
        }
        places.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut climbs: Vec<usize> = (0..places.len().min(CLIMBS)).collect();
        for m in open {
            climbs.extend(places.iter().position(|p| p.fidelity == *m).filter(|i| *i >= CLIMBS));
        }
        let climbed = climbs.iter().filter_map(|i| {
            let Place { weights, fidelity, .. } = &places[*i];
            let polytope = self.space.polytope();
            let (_, weights) = climb(pending, &criterion, polytope, *fidelity, weights, CLIMB_STEPS)?;
            let weights = self.usable(vec![weights]).pop()?;
            let z = self.columns([weights.as_slice()]);
            let score = self.scores(pending, &criterion, &z, &[*fidelity])[0][0] - evidence.costs[*fidelity].ln();
            Some(Place { weights, fidelity: *fidelity, score })
        });
        let climbed: Vec<Place> = climbed.collect();
        places.extend(climbed);
        let best = x.select(&self.promising(pending, evidence, &x, SUPPORT / 2));
        let targets = self.targets(pending, evidence, (&best, pending.mean(&best)), &[], 0);
        if self.settings.acquisition == AcquisitionKind::KnowledgeGradient {
            self.rescore(pending, evidence, &targets, &mut places);
        }
        places.sort_by(|a, b| b.score.total_cmp(&a.score));
        let new = |p: &Place| self.is_new(evidence, &Mixture::new(p.weights.clone()), p.fidelity);
        places.retain(|place| place.score.is_finite() && new(place));
        let cheaper: Vec<Cheaper> =
            open.iter().map(|m| Cheaper { fidelity: *m, x: best.clone(), repeatable: true }).collect();
        let waits = |place: &&Place| {
            let z = self.columns([place.weights.as_slice()]);
            let trial = Trials { fidelity: place.fidelity, x: &z, reveals: &[None] };
            self.waits(pending, evidence, (&trial, evidence.costs[place.fidelity]), &cheaper, &targets)
        };
        let of = |m: &FidelityId| places.iter().find(|place| place.fidelity == *m);
        let mut first: Vec<&Place> = open.iter().filter_map(of).collect();
        first.sort_by(|a, b| b.score.total_cmp(&a.score));
        first.iter().find(|place| !waits(place)).or(first.first()).map(|place| (*place).clone())
    }

    /// Replaces the scores by the knowledge gradient. Its candidates are the places that the entropy's climbs have found:
    /// it is itself neither smooth nor cheap to climb.
    fn rescore(&self, surrogate: &Surrogate, evidence: &Evidence, targets: &Targets, places: &mut [Place]) {
        for m in self.fidelities.ids() {
            let indices: Vec<usize> = (0..places.len()).filter(|i| places[*i].fidelity == m).collect();
            if indices.is_empty() {
                continue;
            }
            let z = self.columns(indices.iter().map(|i| places[*i].weights.as_slice()));
            let trials = Trials { fidelity: m, x: &z, reveals: &vec![None; indices.len()] };
            let log_cost = evidence.costs[m].ln();
            let scores = self.knowledge_gradient(surrogate, &trials, targets);
            for (i, score) in indices.into_iter().zip(scores) {
                places[i].score = score - log_cost;
            }
        }
    }

    /// Whether a mixture differs from those of all trials at fidelity `m`, however they ended, and of imported runs. Where
    /// noise is what stands between us and the optimum, a run beside another is as informative as one at the same place.
    pub(super) fn is_new(&self, evidence: &Evidence, mixture: &Mixture, m: FidelityId) -> bool {
        evidence.taken(m).all(|other| mixture.distance(other) > self.settings.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::problem::{
        Aggregate, Direction, Fidelities, Fidelity, Metric, Objective, Observation, OptimizerSettings, Past, RunId,
    };
    use crate::space::{Domain, SearchSpace};

    const ONLY: FidelityId = FidelityId::new(0);

    fn at(a: f64) -> Mixture {
        Mixture::new(vec![a, 1.0 - a])
    }

    /// Two domains, one size, and what is known of it: the loss is least at a = 0.3.
    fn known() -> (Optimizer, Evidence) {
        let space = SearchSpace::new(vec![Domain::new("a"), Domain::new("b")], Vec::new(), None).unwrap();
        let size = Fidelity {
            name: "1B".into(),
            params: None,
            tokens: None,
            cost: Some(1.0),
            max_trials: None,
            initial: None,
        };
        let fidelities = Fidelities::new(vec![size], Some("1B"));
        let metrics = vec![Metric { name: "loss".into(), weight: 1.0 }];
        let objective = Objective::new(metrics, Direction::Minimize, Aggregate::Mean);
        let acquisition = AcquisitionKind::ExpectedImprovement;
        let settings =
            OptimizerSettings { goal: crate::problem::Goal::Run, acquisition, ..OptimizerSettings::default() };
        let run = |a: f64| Observation {
            run: RunId::Trial((8.0 * a) as u64),
            mixture: at(a),
            fidelity: ONLY,
            metrics: vec![2.0 + (a - 0.3).powi(2)],
            se: vec![None],
            past: Past::default(),
        };
        let observations = (0..9).map(|i| run(f64::from(i) / 8.0)).collect();
        let evidence = Evidence { observations, costs: vec![1.0], ..Evidence::default() };
        (Optimizer::new(space, fidelities, objective, settings), evidence)
    }

    #[test]
    fn of_a_large_pool_some_runs_are_scored_and_the_most_promising_are_among_them() {
        let (mut optimizer, evidence) = known();
        // All but one are far from the optimum.
        let mut targets: Vec<Mixture> = (0..5000).map(|i| at(0.8 + 0.2 * f64::from(i) / 5000.0)).collect();
        targets[3210] = at(0.31);
        let pool: Vec<Offer> = targets.iter().map(|mixture| Offer { mixture, fidelity: ONLY, cost: 1.0 }).collect();
        let surrogate = optimizer.condition(&evidence.observations).unwrap();
        for seed in 0..3 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let scored = optimizer.preselected(&surrogate, &pool, ONLY, &mut rng);
            assert_eq!(scored.len(), MOST_SCORED);
            assert!(scored.is_sorted() && scored.contains(&3210));
            let candidates = Candidates::Pool { runs: &pool, targets: &targets };
            let suggestion = optimizer.suggest(&evidence, candidates, &mut rng).unwrap();
            assert_eq!(suggestion.pool_index, Some(3210));
        }
        let few = optimizer.preselected(&surrogate, &pool[..MOST_SCORED], ONLY, &mut ChaCha8Rng::seed_from_u64(0));
        assert!(few.into_iter().eq(0..MOST_SCORED), "a pool of ordinary size is scored as a whole");
    }
}
