//! Model-based search: the next trial by an acquisition function, the recommendation by the posterior mean.

use crate::problem::{AcquisitionKind, Evidence, FidelityId, Mixture, columns};
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::design::{drawn, taken};
use super::knowledge::{Targets, Trials};
use super::{Candidates, Optimizer, Recommendation, Suggestion};
use crate::acquisition::{Criterion, best_bound, best_mean, climb};
use crate::surrogate::{Outlook, Surrogate, linalg::Cholesky};

/// Random mixtures among the starting points of a search for the next trial, and for the recommendation.
const SAMPLED: usize = 64;
const SAMPLED_FOR_MEAN: usize = 256;
/// Runs of a pool that are scored at a fidelity, and mixtures that can be recommended that they are scored by, at most: the
/// time for a choice is to grow with the study, not with the log.
pub(super) const MOST_SCORED: usize = 1024;
/// Mixtures at which the minimum of the objective is sampled, at most.
const SUPPORT: usize = 128;
/// Samples of the minimum.
const MINIMA: usize = 32;
/// Local searches of the acquisition, beyond the best start of each fidelity; and their steps.
const CLIMBS: usize = 2;
const CLIMB_STEPS: u64 = 12;
/// The same for the posterior mean, which is far cheaper.
const DESCENTS: usize = 4;
const DESCENT_STEPS: u64 = 40;

/// Standard deviations by which a recommendation's posterior mean is held against it. The smallest of many means is
/// optimistic, and the more so the less certain it is (the optimizer's curse; Smith & Winkler 2006): of two mixtures
/// with nearly equal means the better known one is recommended.
const CAUTION: f64 = 0.25;

/// The same in a pool in which several runs have been bought at the target, as the level of Student's t with a degree of
/// freedom fewer than there are: what they are worth is known exactly, while the spread of the others is fitted to them
/// (docs/math.md has figures). One run says nothing of a spread, which so is the prior's.
const BOUGHT_CAUTION: f64 = 1.0;

/// Student's t with so many degrees of freedom at the level of a standard normal `z` (Abramowitz & Stegun 26.7.5 to third
/// order: within 2 % for `z` up to 1).
fn student(z: f64, freedom: f64) -> f64 {
    let first = z.powi(3) + z;
    let second = 5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z;
    let third = 3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z;
    z + first / (4.0 * freedom) + second / (96.0 * freedom.powi(2)) + third / (384.0 * freedom.powi(3))
}

/// Places of the `count` smallest values, smallest first.
fn smallest(values: &DVector<f64>, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    order.truncate(count);
    order
}

/// Draws from the posterior of the objective's minimum.
struct Minima {
    values: Vec<f64>,
    /// The point that one would recommend: index of a column.
    recommended: usize,
    /// `E[f(recommended) − min f]` over the support, ≥ 0.
    expected_regret: f64,
}

/// A place for the next trial.
struct Place {
    weights: Vec<f64>,
    fidelity: FidelityId,
    /// Log acquisition per unit cost.
    score: f64,
}

impl Optimizer {
    pub(super) fn columns<'a>(&self, mixtures: impl IntoIterator<Item = &'a [f64]>) -> DMatrix<f64> {
        columns(self.space.dim(), mixtures)
    }

    /// The next trial according to the acquisition function. `surrogate` knows what was observed, `pending` also counts
    /// on what is under way.
    pub(super) fn search(
        &self,
        surrogate: &Surrogate,
        pending: &Surrogate,
        evidence: &Evidence,
        candidates: Candidates<'_>,
        open: &[FidelityId],
        rng: &mut impl Rng,
    ) -> Option<Suggestion> {
        let (found, pool_index) = match candidates {
            Candidates::Pool { runs, targets } => {
                let (score, index) = self.best_of_pool(pending, evidence, runs, targets, open, rng)?;
                let (mixture, fidelity) = &runs[index];
                (Place { weights: mixture.weights().to_vec(), fidelity: *fidelity, score }, Some(index))
            }
            Candidates::Space(_) => (self.best_of_space(surrogate, pending, evidence, open, rng)?, None),
        };
        let mixture = Mixture::new(found.weights);
        let expected = Some(self.prediction(surrogate, &mixture, found.fidelity));
        let gain = (self.settings.acquisition == AcquisitionKind::KnowledgeGradient).then(|| found.score.exp());
        let early = self.early(evidence, found.fidelity);
        Some(Suggestion { mixture, fidelity: found.fidelity, pool_index, expected, gain, early, warning: None })
    }

    /// For each mixture the loss of its run at the target, if runs are what counts and it has one.
    fn known_values<'a>(
        &self,
        evidence: &Evidence,
        mixtures: impl IntoIterator<Item = &'a Mixture>,
    ) -> Vec<Option<f64>> {
        let (sign, target) = (self.objective.sign(), self.fidelities.target());
        mixtures
            .into_iter()
            .map(|mixture| {
                let mut runs = evidence.observations.iter().filter(|o| o.fidelity == target && o.mixture == *mixture);
                runs.next().filter(|_| self.settings.realized).map(|o| sign * self.objective.value(&o.metrics))
            })
            .collect()
    }

    /// Posterior means at the columns of `x`, or the values where they are known.
    pub(super) fn expected_values(
        &self,
        surrogate: &Surrogate,
        x: &DMatrix<f64>,
        known: &[Option<f64>],
    ) -> DVector<f64> {
        let mut values = surrogate.mean(x);
        for (value, known) in values.iter_mut().zip(known) {
            *value = known.unwrap_or(*value);
        }
        values
    }

    /// The acquisition function in the study's present state, given mixtures (weights, D × p) among which the optimum is
    /// looked for, with the values that are known.
    fn criterion(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        x: &DMatrix<f64>,
        known: &[Option<f64>],
        rng: &mut impl Rng,
    ) -> Criterion {
        let minima = self.sample_minima(surrogate, x, known, rng);
        let observed = self.columns(evidence.observations.iter().map(|o| o.mixture.weights()));
        let best = self.known_values(evidence, evidence.observations.iter().map(|o| &o.mixture));
        let best = self.expected_values(surrogate, &observed, &best).min();
        match self.settings.acquisition {
            // The knowledge gradient chooses among what the information gain finds (`rescore`).
            AcquisitionKind::Entropy | AcquisitionKind::KnowledgeGradient => {
                Criterion::Entropy { minima: minima.values }
            }
            AcquisitionKind::ExpectedImprovement => Criterion::ExpectedImprovement { best },
            AcquisitionKind::ConfidenceBound => Criterion::ConfidenceBound { best },
        }
    }

    /// Score and index of the best run of the pool at the fidelities `open`.
    fn best_of_pool(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        runs: &[(Mixture, FidelityId)],
        targets: &[Mixture],
        open: &[FidelityId],
        rng: &mut impl Rng,
    ) -> Option<(f64, usize)> {
        let x = self.columns(targets.iter().map(Mixture::weights));
        let known = self.known_values(evidence, targets);
        let criterion = self.criterion(surrogate, evidence, &x, &known, rng);
        let values = self.expected_values(surrogate, &x, &known);
        let mut weighed = smallest(&values, MOST_SCORED);
        weighed.sort_unstable();
        let recommended = Targets {
            view: surrogate.view(&x.select_columns(&weighed)),
            values: values.select_rows(&weighed),
            settled: weighed.iter().map(|t| known[*t].is_some()).collect(),
        };
        let target = self.fidelities.target();
        let mut scored = Vec::with_capacity(runs.len().min(open.len() * MOST_SCORED));
        for &m in open {
            let indices = self.preselected(surrogate, runs, m, rng);
            let z = self.columns(indices.iter().map(|i| runs[*i].0.weights()));
            let scores = if self.settings.acquisition == AcquisitionKind::KnowledgeGradient {
                let realized = self.settings.realized;
                let reveals: Vec<Option<usize>> = indices
                    .iter()
                    .map(|i| weighed.iter().position(|t| realized && m == target && targets[*t] == runs[*i].0))
                    .collect();
                self.knowledge_gradient(
                    surrogate,
                    evidence,
                    &Trials { fidelity: m, x: &z, reveals: &reveals },
                    &recommended,
                )
            } else {
                self.scores(surrogate, &criterion, evidence, &z, &[m]).remove(0)
            };
            scored.extend(scores.into_iter().zip(indices));
        }
        scored.into_iter().filter(|(score, _)| *score > f64::NEG_INFINITY).max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The runs of a pool at fidelity `m` that are scored, as indices, ascending: all, or of more than [`MOST_SCORED`] as many,
    /// half of them those with the smallest posterior means, the others at random.
    fn preselected(
        &self,
        surrogate: &Surrogate,
        runs: &[(Mixture, FidelityId)],
        m: FidelityId,
        rng: &mut impl Rng,
    ) -> Vec<usize> {
        let at: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].1 == m).collect();
        if at.len() <= MOST_SCORED {
            return at;
        }
        let means = surrogate.mean(&self.columns(at.iter().map(|i| runs[*i].0.weights())));
        let order = smallest(&means, at.len());
        let (best, others) = order.split_at(MOST_SCORED / 2);
        let others = drawn(others.to_vec(), MOST_SCORED - best.len(), rng);
        let mut chosen: Vec<usize> = best.iter().copied().chain(others).map(|i| at[i]).collect();
        chosen.sort_unstable();
        chosen
    }

    /// Log acquisition per unit cost of observing at the columns of `x` (weights, D × p) at each of the fidelities `at`:
    /// one vector of length p for each of `at`.
    fn scores(
        &self,
        surrogate: &Surrogate,
        criterion: &Criterion,
        evidence: &Evidence,
        x: &DMatrix<f64>,
        at: &[FidelityId],
    ) -> Vec<Vec<f64>> {
        let noise = if self.settings.realized { surrogate.noise(self.fidelities.target()) } else { 0.0 };
        let target = self.fidelities.target();
        let score = |mut outlook: Outlook, m: FidelityId| {
            if self.settings.realized {
                // What counts is the run's value: its noise is part of what one does not know, and of what it reveals.
                outlook.variance += noise;
                if m == target {
                    outlook.reduction = outlook.variance;
                }
            }
            criterion.worth(&outlook).log - evidence.costs[m].ln()
        };
        let outlooks = surrogate.outlook(x, at).into_iter().zip(at);
        outlooks.map(|(outlooks, m)| outlooks.into_iter().map(|outlook| score(outlook, *m)).collect()).collect()
    }

    /// The best place anywhere in the space, at any open fidelity.
    fn best_of_space(
        &self,
        surrogate: &Surrogate,
        pending: &Surrogate,
        evidence: &Evidence,
        open: &[FidelityId],
        rng: &mut impl Rng,
    ) -> Option<Place> {
        let polytope = self.space.polytope();
        let mut starts = polytope.sample(SAMPLED, rng);
        starts.extend(polytope.extremes().iter().take(SAMPLED).cloned());
        let incumbents = self.lowest_means(surrogate, &self.known_mixtures(evidence), DESCENTS);
        starts.extend(best_mean(surrogate, polytope, &incumbents, DESCENT_STEPS));
        for incumbent in &incumbents {
            // Around each incumbent: a tenth of the way towards random mixtures.
            let around = polytope.sample(SAMPLED / 16, rng);
            starts.extend(around.iter().map(|w| incumbent.iter().zip(w).map(|(a, b)| 0.9 * a + 0.1 * b).collect()));
        }
        starts.extend(incumbents);
        let x = self.columns(starts.iter().map(Vec::as_slice));
        let criterion = self.criterion(pending, evidence, &x, &[], rng);

        let mut places: Vec<Place> = Vec::with_capacity(starts.len() * open.len());
        for (scores, &m) in self.scores(pending, &criterion, evidence, &x, open).into_iter().zip(open) {
            places.extend(scores.into_iter().zip(&starts).map(|(score, w)| Place {
                weights: w.clone(),
                fidelity: m,
                score,
            }));
        }
        places.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut climbs: Vec<usize> = (0..places.len().min(CLIMBS)).collect();
        for m in open {
            climbs.extend(places.iter().position(|p| p.fidelity == *m).filter(|i| *i >= CLIMBS));
        }
        let climbed: Vec<Place> = climbs
            .iter()
            .filter_map(|i| {
                let Place { weights, fidelity, .. } = &places[*i];
                let (worth, weights) = climb(pending, &criterion, polytope, *fidelity, weights, CLIMB_STEPS)?;
                Some(Place { weights, fidelity: *fidelity, score: worth - evidence.costs[*fidelity].ln() })
            })
            .collect();
        places.extend(climbed);
        if self.settings.acquisition == AcquisitionKind::KnowledgeGradient {
            self.rescore(pending, evidence, &x, &mut places);
        }
        places.sort_by(|a, b| b.score.total_cmp(&a.score));
        let new = |p: &Place| self.is_new(evidence, &Mixture::new(p.weights.clone()), p.fidelity);
        places.into_iter().find(|place| place.score.is_finite() && new(place))
    }

    /// Replaces the scores by the knowledge gradient. Its candidates are the places that the information gain has found:
    /// it is itself neither smooth nor cheap to climb. The recommendation is sought among the columns of `x` (warped,
    /// D × p) with the smallest means.
    fn rescore(&self, surrogate: &Surrogate, evidence: &Evidence, x: &DMatrix<f64>, places: &mut [Place]) {
        let means = surrogate.mean(x);
        let order = smallest(&means, SUPPORT / 2);
        let values = means.select_rows(&order);
        let targets =
            Targets { view: surrogate.view(&x.select_columns(&order)), values, settled: vec![false; order.len()] };
        for m in self.fidelities.ids() {
            let indices: Vec<usize> = (0..places.len()).filter(|i| places[*i].fidelity == m).collect();
            if indices.is_empty() {
                continue;
            }
            let z = self.columns(indices.iter().map(|i| places[*i].weights.as_slice()));
            let trials = Trials { fidelity: m, x: &z, reveals: &vec![None; indices.len()] };
            let scores = self.knowledge_gradient(surrogate, evidence, &trials, &targets);
            for (i, score) in indices.into_iter().zip(scores) {
                places[i].score = score;
            }
        }
    }

    /// Whether a mixture differs from those of all trials at fidelity `m`, however they ended, and of imported runs. Where
    /// noise is what stands between us and the optimum, a run beside another tells as much as one at the same place.
    pub(super) fn is_new(&self, evidence: &Evidence, mixture: &Mixture, m: FidelityId) -> bool {
        taken(evidence, m).all(|other| mixture.distance(other) > self.settings.tolerance)
    }

    /// The mixtures observed so far, the uniform one and the prior.
    fn known_mixtures(&self, evidence: &Evidence) -> Vec<Vec<f64>> {
        let observed = evidence.observations.iter().map(|o| o.mixture.clone());
        let reference = [self.space.uniform()].into_iter().chain(self.space.prior());
        let mut known: Vec<Vec<f64>> = Vec::new();
        for mixture in observed.chain(reference) {
            // Bounds may have been tightened since a mixture was trained.
            let weights = self.space.polytope().project(mixture.weights());
            if !known.contains(&weights) {
                known.push(weights);
            }
        }
        known
    }

    /// The `count` mixtures of smallest posterior mean at the target, best first.
    fn lowest_means(&self, surrogate: &Surrogate, mixtures: &[Vec<f64>], count: usize) -> Vec<Vec<f64>> {
        let means = surrogate.mean(&self.columns(mixtures.iter().map(Vec::as_slice)));
        smallest(&means, count).into_iter().map(|i| mixtures[i].clone()).collect()
    }

    /// The mixture of smallest posterior mean at the target, cautiously ([`CAUTION`], [`BOUGHT_CAUTION`]): of `candidates`,
    /// or of the space.
    pub(super) fn best(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        candidates: Option<&[Mixture]>,
        rng: &mut impl Rng,
    ) -> Recommendation {
        let target = self.fidelities.target();
        let (mixture, pool_index, regret) = if let Some(candidates) = candidates {
            let x = self.columns(candidates.iter().map(Mixture::weights));
            let known = self.known_values(evidence, candidates);
            let minima = self.sample_minima(surrogate, &x, &known, rng);
            (candidates[minima.recommended].clone(), Some(minima.recommended), minima.expected_regret)
        } else {
            let polytope = self.space.polytope();
            let mut starts = self.known_mixtures(evidence);
            starts.extend(polytope.sample(SAMPLED_FOR_MEAN, rng));
            let best = self.lowest_means(surrogate, &starts, DESCENTS);
            starts.extend(best_mean(surrogate, polytope, &best, DESCENT_STEPS));
            let x = self.columns(starts.iter().map(Vec::as_slice));
            let minima = self.sample_minima(surrogate, &x, &[], rng);
            let found = &starts[minima.recommended];
            let weights = best_bound(surrogate, polytope, target, CAUTION, found, CLIMB_STEPS);
            (Mixture::new(weights.unwrap_or_else(|| found.clone())), None, minima.expected_regret)
        };
        let expected = Some(self.prediction(surrogate, &mixture, target));
        Recommendation { mixture, pool_index, expected, expected_regret: Some(regret) }
    }

    /// Samples the minimum of the target objective over the columns of `x` (weights, D × p), some of whose values may be
    /// known: exact joint draws at those with the smallest means.
    fn sample_minima(
        &self,
        surrogate: &Surrogate,
        x: &DMatrix<f64>,
        known: &[Option<f64>],
        rng: &mut impl Rng,
    ) -> Minima {
        let means = self.expected_values(surrogate, x, known);
        let order = smallest(&means, SUPPORT);
        let (mean, covariance) = surrogate.posterior(&x.select_columns(&order));
        let noise = if self.settings.realized { surrogate.noise(self.fidelities.target()) } else { 0.0 };
        let caution = match known.iter().flatten().count() {
            0 | 1 => CAUTION,
            bought => student(BOUGHT_CAUTION, (bought - 1) as f64),
        };
        let known = |i: usize| known.get(order[i]).copied().flatten();
        let bound =
            |i: usize| known(i).unwrap_or_else(|| mean[i] + caution * (covariance[(i, i)].max(0.0) + noise).sqrt());
        let recommended = (0..order.len()).min_by(|a, b| bound(*a).total_cmp(&bound(*b))).unwrap_or(0);
        let scale = covariance.diagonal().max();
        let factor = [1e-10, 1e-8, 1e-6, 1e-4, 1e-2].iter().find_map(|jitter| {
            let mut a = covariance.clone();
            for i in 0..a.nrows() {
                a[(i, i)] += jitter * scale;
            }
            Cholesky::new(a)
        });
        let Some(factor) = factor else {
            // Without a joint distribution, the smallest mean is the best guess of the minimum.
            return Minima { values: vec![means[order[0]]], recommended: order[recommended], expected_regret: 0.0 };
        };
        let mut regret = 0.0;
        let values = (0..MINIMA)
            .map(|_| {
                let z = DVector::from_fn(mean.len(), |_, _| StandardNormal.sample(rng));
                let mut draw = &mean + factor.lower() * z;
                for (i, value) in draw.iter_mut().enumerate() {
                    let luck: f64 = StandardNormal.sample(rng);
                    *value = known(i).unwrap_or(*value + noise.sqrt() * luck);
                }
                let minimum = draw.min();
                regret += draw[recommended] - minimum;
                minimum
            })
            .collect();
        Minima { values, recommended: order[recommended], expected_regret: regret / MINIMA as f64 }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::problem::{Direction, Fidelities, Fidelity, Metric, Objective, Observation, OptimizerSettings, RunId};
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
        let objective = Objective { metrics, direction: Direction::Minimize };
        let acquisition = AcquisitionKind::ExpectedImprovement;
        let settings = OptimizerSettings { realized: true, acquisition, ..OptimizerSettings::default() };
        let run = |a: f64| Observation {
            run: RunId::Trial((8.0 * a) as u64),
            mixture: at(a),
            fidelity: ONLY,
            metrics: vec![2.0 + (a - 0.3).powi(2)],
            se: vec![None],
        };
        let observations = (0..9).map(|i| run(f64::from(i) / 8.0)).collect();
        let evidence = Evidence { observations, costs: vec![1.0], ..Evidence::default() };
        (Optimizer::new(space, fidelities, objective, settings), evidence)
    }

    #[test]
    fn of_a_large_pool_some_runs_are_scored_and_the_most_promising_are_among_them() {
        let (mut optimizer, evidence) = known();
        // All but one are far from the optimum.
        let mut pool: Vec<(Mixture, FidelityId)> =
            (0..5000).map(|i| (at(0.8 + 0.2 * f64::from(i) / 5000.0), ONLY)).collect();
        pool[3210] = (at(0.31), ONLY);
        let targets: Vec<Mixture> = pool.iter().map(|(mixture, _)| mixture.clone()).collect();
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

    #[test]
    fn students_t_is_that_of_tables() {
        // Quantiles at the level of a standard normal 1.0, 0.8413: the first is tan(π (0.8413 − 0.5)).
        for (freedom, table) in [(1.0, 1.8373), (2.0, 1.3213), (3.0, 1.1969), (10.0, 1.0526), (1e9, 1.0)] {
            assert!((student(1.0, freedom) / table - 1.0).abs() < 0.02, "{freedom}: {}", student(1.0, freedom));
        }
    }
}
