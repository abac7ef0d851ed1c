//! What the report asks of the model, against a problem whose truth is known.

#[path = "common/problem.rs"]
mod problem;

use admire::advice::undetected;
use admire::optimizer::{Optimizer, PerMetric};
use admire::problem::{Evidence, Goal, Mixture, ModelChoice, ModelSpec, OptimizerSettings, Structure};
use problem::{Problem, rng, size};
use rand_distr::{Distribution, StandardNormal};

/// A problem with three metrics that was observed often enough for a good model, and the mixture recommended for it.
fn known(structure: Structure) -> (Problem, Evidence, Optimizer, Mixture) {
    let problem = Problem::new(4, 2, 3, 5);
    let evidence = problem.evidence(problem.runs(&[40, 12], 6));
    let model = ModelChoice::from(ModelSpec { structure, ..ModelSpec::default() });
    let mut optimizer = problem.optimizer(OptimizerSettings { model, ..OptimizerSettings::default() });
    optimizer.learn(&evidence);
    let mixture = optimizer.recommend(&evidence, None, &mut rng(7)).mixture;
    (problem, evidence, optimizer, mixture)
}

#[test]
fn gains_are_what_the_truth_says_within_their_uncertainty() {
    let (problem, evidence, optimizer, mixture) = known(Structure::PerMetric);
    let mut others: Vec<Mixture> =
        problem.space().polytope().sample(20, &mut rng(8)).into_iter().map(Mixture::new).collect();
    others.push(mixture.clone());
    let gains = optimizer.gains(&evidence, &mixture, &others).unwrap();
    let target = problem.fidelities().target();
    let advantages = optimizer.advantages(&evidence, &mixture, &others, target).unwrap();
    let itself = gains.last().unwrap();
    assert!(itself.mean.abs() < 1e-12 && itself.sd < 1e-5, "{itself:?}");
    let best = problem.loss(mixture.weights(), 1);
    let mut inside = 0;
    for (i, (other, gain)) in others.iter().zip(&gains).take(20).enumerate() {
        let truth = problem.loss(other.weights(), 1) - best;
        inside += usize::from((truth - gain.mean).abs() <= 2.0 * gain.sd);
        assert!((truth > 0.0) == (gain.probability() > 0.5) || gain.mean.abs() < 2.0 * gain.sd, "{truth} {gain:?}");
        // The objective is the mean of the metrics, and so are gains.
        let PerMetric { objective, metrics } = &advantages[i];
        assert_eq!(objective, gain);
        let mean = metrics.iter().map(|g| g.mean).sum::<f64>() / 3.0;
        assert!((mean - gain.mean).abs() < 1e-9 * (1.0 + gain.mean.abs()), "{mean} {gain:?}");
    }
    assert!(inside >= 15, "the truth is inside ± 2 sd for {inside} of 20");
}

/// A study of `n` runs whose losses are `signal` times those of a mixing law, plus noise that is a tenth; with its recommendation.
fn noisy(n: usize, signal: f64, seed: u64) -> (Problem, Evidence, Optimizer, Mixture) {
    let problem = Problem::new(4, 1, 1, seed);
    let mut runs = problem.runs(&[n], seed);
    let luck = &mut rng(seed + 1000);
    for run in &mut runs {
        let noise: f64 = StandardNormal.sample(luck);
        run.metrics[0] = 2.0 + signal * (run.metrics[0] - 2.0) + 0.1 * noise;
    }
    let evidence = problem.evidence(runs);
    let mut optimizer = problem.optimizer(OptimizerSettings::default());
    optimizer.learn(&evidence);
    let mixture = optimizer.recommend(&evidence, None, &mut rng(seed)).mixture;
    (problem, evidence, optimizer, mixture)
}

/// Losses that do not depend on the mixture: the best of a few runs is the luckiest.
#[test]
fn where_there_is_nothing_to_find_hardly_any_study_is_sure() {
    let (mut sure, mut said) = (0, 0);
    for seed in 0..200 {
        let (problem, evidence, optimizer, mixture) = noisy(8, 0.0, seed);
        let gain = optimizer.gains(&evidence, &mixture, &[problem.space().uniform()]).unwrap()[0];
        sure += usize::from(gain.probability() > 0.95);
        said += usize::from(undetected(&optimizer, &evidence, &mixture).is_some_and(|least| least > 0.0));
    }
    assert!(sure <= 10, "{sure} of 200 studies state more than 95 %");
    assert!(said >= 160, "{said} of 200 studies say that they do not tell mixtures apart");
}

/// Hyperparameters are uncertain with many runs, too: whether there is any signal, above all. A replay, which states nothing, goes by
/// the most probable ones.
#[test]
fn of_many_runs_too_statements_integrate_over_hyperparameters() {
    let settings = OptimizerSettings { goal: Goal::Run, ..OptimizerSettings::default() };
    for seed in 0..2 {
        let (problem, evidence, optimizer, mixture) = noisy(130, 0.0, seed);
        let mut most_probable = problem.optimizer(settings.clone());
        most_probable.restore(optimizer.snapshot().unwrap().clone());
        let gain = |optimizer: &Optimizer| {
            optimizer.gains(&evidence, &mixture, &[problem.space().uniform()]).unwrap()[0].probability()
        };
        let (integrated, single) = (gain(&optimizer), gain(&most_probable));
        assert!(integrated < single, "{seed}: {integrated} {single}");
    }
}

#[test]
fn where_there_is_something_to_find_no_study_says_that_there_is_nothing() {
    for seed in 0..20 {
        let (_, evidence, optimizer, mixture) = noisy(30, 3.0, seed);
        assert_eq!(undetected(&optimizer, &evidence, &mixture), None, "{seed}");
    }
}

#[test]
fn a_model_of_the_objective_alone_still_tells_metrics_apart() {
    let (problem, evidence, optimizer, mixture) = known(Structure::Objective);
    let uniform = problem.space().uniform();
    let target = problem.fidelities().target();
    let gains = &optimizer.advantages(&evidence, &mixture, std::slice::from_ref(&uniform), target).unwrap()[0].metrics;
    let (ours, theirs) = (problem.truth(mixture.weights(), 1), problem.truth(uniform.weights(), 1));
    for (j, gain) in gains.iter().enumerate() {
        let truth = theirs[j] - ours[j];
        assert!((truth - gain.mean).abs() <= 4.0 * gain.sd + 0.01, "metric {j}: {truth} {gain:?}");
    }
    assert_eq!(gains.len(), 3);
}

#[test]
fn every_metric_is_expected_where_the_truth_is_at_every_size() {
    for (structure, sizes) in [(Structure::PerMetric, 0..2), (Structure::Objective, 1..2)] {
        let (problem, evidence, optimizer, mixture) = known(structure);
        let mixtures = [mixture, problem.space().uniform()];
        for m in sizes {
            let expected = optimizer.expectations(&evidence, &mixtures, size(m)).unwrap();
            for (mixture, PerMetric { objective, metrics }) in mixtures.iter().zip(expected) {
                let alone = optimizer.predict(&evidence, &[(mixture.clone(), size(m))]).unwrap()[0];
                assert_eq!(objective, alone);
                let truth = problem.truth(mixture.weights(), m);
                assert_eq!(metrics.len(), truth.len());
                for (expected, truth) in metrics.iter().zip(truth) {
                    let near = (expected.mean - truth).abs() <= 4.0 * expected.sd + 0.01;
                    assert!(near && expected.sd < 0.2, "{structure:?} at {m}: {truth} {expected:?}");
                    assert!(expected.noise.is_some_and(|noise| (1e-4..0.05).contains(&noise)), "{expected:?}");
                }
            }
        }
    }
}

#[test]
fn effects_start_from_the_mixture_and_stay_in_the_space() {
    let (problem, evidence, optimizer, mixture) = known(Structure::PerMetric);
    let effects = optimizer.effects(&evidence, &mixture, 17).unwrap();
    let noise = optimizer.noise_sd(&evidence).unwrap();
    assert_eq!(effects.len(), 4);
    for (domain, effect) in effects.iter().enumerate() {
        let weights: Vec<f64> = effect.points.iter().map(|(w, _)| *w).collect();
        assert!(weights.is_sorted() && weights.iter().all(|w| (0.0..=1.0).contains(w)), "{weights:?}");
        let present = mixture.weights()[domain];
        let (_, here) = effect.points.iter().find(|(w, _)| (w - present).abs() < 1e-6).unwrap();
        assert!(here.mean.abs() < 1e-6 && here.sd < 1e-3, "{here:?}");
        let (low, high) = effect.within_noise;
        assert!(low <= present && present <= high);
        for (weight, gain) in &effect.points {
            let moved = mixture.with_weight(domain, *weight);
            assert!((moved.weights().iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let truth = problem.loss(mixture.weights(), 1) - problem.loss(moved.weights(), 1);
            assert!((truth - gain.mean).abs() <= 5.0 * gain.sd + 0.01, "domain {domain} at {weight}: {truth} {gain:?}");
            if (low..=high).contains(weight) {
                assert!(gain.mean >= -noise * (1.0 + 1e-9), "{gain:?}");
            }
        }
    }
}

#[test]
fn without_observations_nothing_is_claimed() {
    let problem = Problem::new(3, 2, 1, 1);
    let (optimizer, evidence) = (problem.optimizer(OptimizerSettings::default()), problem.evidence(vec![]));
    let uniform = problem.space().uniform();
    assert!(optimizer.gains(&evidence, &uniform, std::slice::from_ref(&uniform)).is_none());
    assert!(optimizer.effects(&evidence, &uniform, 9).is_none());
    let target = problem.fidelities().target();
    assert!(optimizer.advantages(&evidence, &uniform, std::slice::from_ref(&uniform), target).is_none());
    assert!(optimizer.expectations(&evidence, std::slice::from_ref(&uniform), target).is_none());
}
