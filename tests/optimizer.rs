//! The optimizer: reproducible, feasible, never twice the same, and it finds the optimum of a known problem.

#[path = "common/minimum.rs"]
mod minimum;
#[path = "common/problem.rs"]
mod problem;

use admire::optimizer::{Candidates, NoTrial, Offer, Optimizer, Suggestion};
use admire::problem::{
    AcquisitionKind, Evidence, FidelityId, Goal, Guard, KernelKind, Mixture, ModelSpec, Observation, OptimizerSettings,
    Prediction, Threshold, Tolerance, Warp, columns,
};
use admire::space::{Domain, Granularity, GroupSpec, Limits, SearchSpace};
use admire::surrogate::{
    data::Data,
    gp::Gp,
    hyper::{Axis, Layout},
};
use minimum::minimum;
use nalgebra::DVector;
use problem::{Problem, SIZES, in_parallel, number, rng, size};

const KERNELS: [KernelKind; 3] = [KernelKind::SpectralMixture, KernelKind::Matern52, KernelKind::Rbf];
const ACQUISITIONS: [AcquisitionKind; 4] = [
    AcquisitionKind::KnowledgeGradient,
    AcquisitionKind::Entropy,
    AcquisitionKind::ExpectedImprovement,
    AcquisitionKind::ConfidenceBound,
];

const ANYWHERE: Candidates<'static> = Candidates::Space(&SIZES);

fn settings(kernel: KernelKind, acquisition: AcquisitionKind) -> OptimizerSettings {
    let model = ModelSpec { kernel, ..ModelSpec::default() };
    OptimizerSettings { model: model.into(), acquisition, ..OptimizerSettings::default() }
}

fn next(optimizer: &mut Optimizer, evidence: &Evidence, seed: u64) -> Suggestion {
    let suggestion = optimizer.suggest(evidence, ANYWHERE, &mut rng(seed)).unwrap();
    assert!(suggestion.warning.is_none(), "{suggestion:?}");
    suggestion
}

fn place(suggestion: &Suggestion) -> (Vec<f64>, FidelityId) {
    (suggestion.mixture.weights().to_vec(), suggestion.fidelity)
}

#[test]
fn every_kernel_with_every_acquisition_suggests_the_same_thing_twice() {
    let problem = Problem::new(5, 3, 2, 1);
    let evidence = problem.evidence(problem.runs(&[12, 4, 1], 2));
    for kernel in KERNELS {
        for acquisition in ACQUISITIONS {
            let mut one = problem.optimizer(settings(kernel, acquisition));
            let mut other = problem.optimizer(settings(kernel, acquisition));
            let (a, b) = (next(&mut one, &evidence, 3), next(&mut other, &evidence, 3));
            assert_eq!(place(&a), place(&b), "{kernel:?}, {acquisition:?}");
            assert_eq!(a.expected, b.expected);
            assert_eq!(one.snapshot(), other.snapshot());
            assert!(problem.space().polytope().contains(a.mixture.weights(), 1e-9));
            let expected = a.expected.unwrap();
            assert!(expected.mean.is_finite() && expected.sd > 0.0 && expected.sd.is_finite());
        }
    }
}

/// How much is left to know of how mixtures differ after runs of `design`: the variance of each of many mixtures around
/// their mean, on average, with the hyperparameters at the mode of their prior.
fn left_to_know(problem: &Problem, design: &[Mixture]) -> f64 {
    let dim = problem.space().dim();
    let root = |mixtures: &[Vec<f64>]| Warp::Sqrt.warped(&columns(dim, mixtures.iter().map(Vec::as_slice)));
    let spec = ModelSpec::default();
    let layout = Layout {
        kind: spec.kernel,
        components: spec.components,
        families: (0..dim).collect(),
        axes: vec![Axis::chain(vec![])],
        lengthscale_sd: spec.lengthscale_sd,
        saturation: None,
        curves: false,
    };
    let n = design.len();
    let data = Data {
        x: root(&design.iter().map(|mixture| mixture.weights().to_vec()).collect::<Vec<_>>()),
        fidelity: vec![0; n],
        y: DVector::zeros(n),
        known_noise: vec![0.0; n],
        level_sd: vec![1.0],
    };
    let process = Gp::condition(&data, layout.natural(&layout.start())).unwrap();
    let (_, covariance) = process.posterior(&root(&problem.space().polytope().sample(400, &mut rng(99))), 0);
    covariance.trace() / 400.0 - covariance.mean()
}

#[test]
fn the_design_tells_more_than_random_mixtures() {
    for domains in [3, 8, 17] {
        let problem = Problem::new(domains, 1, 1, 1);
        let design = |seed: u64| {
            let mut optimizer = problem.optimizer(OptimizerSettings { initial: Some(12), ..Default::default() });
            let (mut evidence, mut rng) = (problem.evidence(vec![]), rng(seed));
            for _ in 0..12 {
                let suggestion = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..1]), &mut rng).unwrap();
                evidence.pending.push((suggestion.mixture, size(0)));
            }
            evidence.pending.into_iter().map(|(mixture, _)| mixture).collect::<Vec<_>>()
        };
        let (chosen, again) = (design(5), design(5));
        assert_eq!(chosen, again);
        let random = |seed: u64| {
            let sampled = problem.space().polytope().sample(12, &mut rng(seed));
            left_to_know(&problem, &sampled.into_iter().map(Mixture::new).collect::<Vec<_>>())
        };
        let left = left_to_know(&problem, &chosen);
        let better = (0..50).map(random).filter(|random| *random < left).count();
        assert!(better <= 5, "{domains} domains: {better} of 50 random designs leave less to know than {left}");
    }
}

#[test]
fn suggestions_and_recommendations_respect_groups_and_caps() {
    let problem = Problem::new(5, 2, 1, 4);
    let mut domains: Vec<Domain> = (0..5).map(|i| Domain::new(format!("d{i:02}"))).collect();
    domains[0].min = 0.1;
    domains[1].max = 0.3;
    domains[2].tokens = Some(1e9);
    let group =
        GroupSpec { name: "code".into(), domains: vec!["d03".into(), "d04".into()], min: 0.2, max: 0.4, freeze: None };
    let limits = Limits { target_tokens: 8e9, max_epochs: Some(2.0) };
    let space = SearchSpace::new(domains, vec![group], Some(limits)).unwrap();
    let mut optimizer =
        Optimizer::new(space.clone(), problem.fidelities(), problem.objective(), OptimizerSettings::default());
    let (mut evidence, mut rng) = (problem.evidence(vec![]), rng(5));
    for _ in 0..14 {
        let suggestion = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng).unwrap();
        assert!(space.polytope().contains(suggestion.mixture.weights(), 1e-9), "{suggestion:?}");
        evidence.observations.push(problem.observe(&suggestion.mixture, suggestion.fidelity, &mut rng));
    }
    let recommendation = optimizer.recommend(&evidence, None, &mut rng);
    assert!(space.polytope().contains(recommendation.mixture.weights(), 1e-9));
    assert!(recommendation.mixture.weights()[2] <= 0.25 + 1e-9, "two epochs of a billion tokens in eight");
}

#[test]
fn weights_that_are_suggested_and_recommended_can_be_used() {
    let problem = Problem::new(5, 2, 2, 4);
    let mut domains: Vec<Domain> = (0..5).map(|i| Domain::new(format!("d{i:02}"))).collect();
    (domains[0].min, domains[1].max) = (0.03, 0.25);
    let group =
        GroupSpec { name: "code".into(), domains: vec!["d03".into(), "d04".into()], min: 0.2, max: 0.4, freeze: None };
    let space = SearchSpace::new(domains, vec![group], None).unwrap();
    let guard = Guard {
        metric: 1,
        sign: 1.0,
        threshold: Threshold::Value(problem.truth(space.uniform().weights(), 1)[1] - 0.02),
        tolerance: Tolerance::Absolute(0.0),
        probability: 0.9,
    };
    for (steps, acquisition) in [(None, AcquisitionKind::KnowledgeGradient), (Some(20), AcquisitionKind::Entropy)] {
        let space = space.clone().with_granularity(Granularity { smallest: Some(0.1), steps }).unwrap();
        let can_be_used = |mixture: &Mixture| {
            space.polytope().contains(mixture.weights(), 1e-9)
                && mixture.weights().iter().all(|w| *w == 0.0 || *w >= 0.1)
                && steps
                    .is_none_or(|n| mixture.weights().iter().all(|w| (w * f64::from(n)).round() / f64::from(n) == *w))
        };
        let settings = OptimizerSettings { acquisition, ..OptimizerSettings::default() };
        let optimizer = Optimizer::new(space.clone(), problem.fidelities(), problem.objective(), settings);
        let mut optimizer = optimizer.with_guards(vec![guard.clone()]);
        // Known runs may have any weights.
        let (mut evidence, mut rng) = (problem.evidence(problem.runs(&[12, 8], 6)), rng(5));
        for _ in 0..3 {
            let suggestion = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng).unwrap();
            assert!(can_be_used(&suggestion.mixture), "{suggestion:?}");
            let fidelity = suggestion.fidelity;
            assert!(evidence.taken(fidelity).all(|known| *known != suggestion.mixture), "a mixture is trained once");
            evidence.observations.push(problem.observe(&suggestion.mixture, fidelity, &mut rng));
        }
        let recommended = optimizer.recommend(&evidence, None, &mut rng).mixture;
        assert!(can_be_used(&recommended), "{recommended:?}");
        let states = optimizer.guard_states(&evidence, &recommended).unwrap();
        assert!(states.hold, "{recommended:?} {states:?}");
    }
}

#[test]
fn a_recommendation_with_few_domains_is_better_than_the_nearest_one_to_the_optimum() {
    let granularity = Granularity { smallest: Some(0.15), steps: None };
    let gains = in_parallel(6, |seed| {
        let problem = Problem::new(8, 1, 4, seed);
        let evidence = problem.evidence(problem.runs(&[16], 1));
        let usable = problem.space().with_granularity(granularity).unwrap();
        let optimum = |space: SearchSpace| {
            let settings = OptimizerSettings::default();
            let mut optimizer = Optimizer::new(space, problem.fidelities(), problem.objective(), settings);
            optimizer.learn(&evidence);
            (optimizer.recommend(&evidence, None, &mut rng(1)).mixture, optimizer)
        };
        let ((free, _), (found, optimizer)) = (optimum(problem.space()), optimum(usable.clone()));
        let nearest = Mixture::new(usable.usable(free.weights()));
        let expected =
            |mixture: &Mixture| optimizer.predict(&evidence, &[(mixture.clone(), SIZES[0])]).unwrap()[0].mean;
        expected(&nearest) - expected(&found)
    });
    // A recommendation is made at the most probable hyperparameters, and a prediction integrates over them: now and then they differ on
    // two mixtures that are nearly as good.
    assert!(gains.iter().sum::<f64>() > 0.0, "{gains:?}");
}

#[test]
fn several_slots_do_not_train_the_same_thing() {
    let problem = Problem::new(5, 3, 2, 6);
    for acquisition in ACQUISITIONS {
        let settings = settings(KernelKind::SpectralMixture, acquisition);
        let tolerance = settings.tolerance;
        let mut optimizer = problem.optimizer(settings);
        let mut evidence = problem.evidence(problem.runs(&[10, 3, 0], 7));
        let mut rng = rng(8);
        for _ in 0..6 {
            let suggestion = optimizer.suggest(&evidence, ANYWHERE, &mut rng).unwrap();
            let under_way = evidence.pending.iter().filter(|(_, m)| *m == suggestion.fidelity);
            for (other, _) in under_way {
                assert!(suggestion.mixture.distance(other) >= tolerance, "{acquisition:?}");
            }
            evidence.pending.push((suggestion.mixture, suggestion.fidelity));
        }
    }
}

#[test]
fn the_gain_is_per_unit_of_cost_and_in_the_objectives_unit() {
    let problem = Problem::new(5, 3, 2, 18);
    let evidence = problem.evidence(problem.runs(&[12, 4, 1], 19));
    let next = |evidence: &Evidence| next(&mut problem.optimizer(OptimizerSettings::default()), evidence, 20);
    let suggestion = next(&evidence);
    let gain = suggestion.gain.unwrap();
    let mut tenfold = evidence.clone();
    tenfold.costs.iter_mut().for_each(|cost| *cost *= 10.0);
    let dearer = next(&tenfold);
    assert_eq!(place(&dearer), place(&suggestion));
    assert!((10.0 * dearer.gain.unwrap() / gain - 1.0).abs() < 1e-9, "{gain} {:?}", dearer.gain);
    let mut hundredfold = evidence.clone();
    hundredfold.observations.iter_mut().flat_map(|run| &mut run.metrics).for_each(|metric| *metric *= 100.0);
    let scaled = next(&hundredfold).gain.unwrap();
    assert!((scaled / (100.0 * gain) - 1.0).abs() < 0.01, "{gain} {scaled}");
}

#[test]
fn what_failed_is_not_suggested_again() {
    let problem = Problem::new(5, 3, 1, 9);
    let mut evidence = problem.evidence(problem.runs(&[10, 3, 0], 10));
    let mut optimizer = problem.optimizer(OptimizerSettings::default());
    let first = next(&mut optimizer, &evidence, 11);
    evidence.failed.push((first.mixture.clone(), first.fidelity));
    let second = next(&mut optimizer, &evidence, 11);
    assert!(second.fidelity != first.fidelity || second.mixture.distance(&first.mixture) >= 0.01);
}

#[test]
fn asking_for_a_recommendation_changes_nothing() {
    let problem = Problem::new(4, 3, 2, 12);
    let (mut asked, mut silent) =
        (problem.optimizer(OptimizerSettings::default()), problem.optimizer(OptimizerSettings::default()));
    let mut evidence = problem.evidence(problem.runs(&[8, 2, 0], 13));
    for seed in 0..4 {
        let one = asked.recommend(&evidence, None, &mut rng(99));
        let again = asked.recommend(&evidence, None, &mut rng(99));
        assert_eq!(one.mixture, again.mixture);
        assert_eq!(one.expected, again.expected);
        assert!(one.expected_regret.unwrap() >= 0.0);
        let suggestion = next(&mut asked, &evidence, seed);
        assert_eq!(place(&suggestion), place(&next(&mut silent, &evidence, seed)));
        let mut rng = rng(seed);
        evidence.observations.push(problem.observe(&suggestion.mixture, suggestion.fidelity, &mut rng));
    }
}

#[test]
fn a_restored_optimizer_goes_on_as_if_never_interrupted() {
    let problem = Problem::new(4, 3, 2, 14);
    let mut optimizer = problem.optimizer(OptimizerSettings::default());
    let mut evidence = problem.evidence(problem.runs(&[12, 3, 0], 15));
    for seed in 0..5 {
        let snapshot = optimizer.snapshot().cloned();
        let mut resumed = problem.optimizer(OptimizerSettings::default());
        if let Some(snapshot) = snapshot {
            resumed.restore(snapshot);
        }
        let suggestion = next(&mut optimizer, &evidence, seed);
        let same = next(&mut resumed, &evidence, seed);
        assert_eq!(place(&suggestion), place(&same));
        assert_eq!(suggestion.expected, same.expected);
        assert_eq!(optimizer.snapshot(), resumed.snapshot());
        evidence.observations.push(problem.observe(&suggestion.mixture, suggestion.fidelity, &mut rng(seed)));
    }
}

#[test]
fn the_names_of_domains_do_not_matter() {
    let problem = Problem::new(4, 2, 2, 16);
    let order = [2, 0, 3, 1];
    let evidence = problem.evidence(problem.runs(&[14, 4], 17));
    let permute = |w: &Mixture| Mixture::new(order.iter().map(|i| w.weights()[*i]).collect());
    let mut renamed = evidence.clone();
    renamed.observations.iter_mut().for_each(|o| o.mixture = permute(&o.mixture));
    let optimizer = problem.optimizer(OptimizerSettings::default());
    let one = optimizer.recommend(&evidence, None, &mut rng(18));
    let other = optimizer.recommend(&renamed, None, &mut rng(18));
    let distance = permute(&one.mixture).distance(&other.mixture);
    assert!(distance < 0.02, "{:?} and {:?}", permute(&one.mixture), other.mixture);
    let points = |mixtures: &[Mixture]| mixtures.iter().map(|w| (w.clone(), size(1))).collect::<Vec<_>>();
    let x: Vec<Mixture> = problem.space().polytope().sample(5, &mut rng(19)).into_iter().map(Mixture::new).collect();
    // What is said of mixtures rests on draws of hyperparameters, which belong to places; a replay goes by the most probable ones.
    let optimizer = problem.optimizer(OptimizerSettings { goal: Goal::Run, ..OptimizerSettings::default() });
    let there = optimizer.predict(&renamed, &points(&x.iter().map(permute).collect::<Vec<_>>())).unwrap();
    for (a, b) in optimizer.predict(&evidence, &points(&x)).unwrap().iter().zip(there) {
        assert!((a.mean - b.mean).abs() < 1e-3 * a.sd && (a.sd / b.sd).ln().abs() < 1e-3, "{a:?} and {b:?}");
    }
}

#[test]
fn a_pool_is_searched_by_its_indices() {
    let problem = Problem::new(4, 2, 2, 24);
    let logged = problem.runs(&[20, 10], 25);
    let runs: Vec<(Mixture, FidelityId)> = logged.iter().map(|o| (o.mixture.clone(), o.fidelity)).collect();
    let targets: Vec<Mixture> = runs.iter().filter(|(_, m)| *m == size(1)).map(|(w, _)| w.clone()).collect();
    for goal in [Goal::Mixture, Goal::Run] {
        let mut optimizer = problem.optimizer(OptimizerSettings { goal, ..OptimizerSettings::default() });
        let (mut evidence, mut left, mut rng) = (problem.evidence(vec![]), runs.clone(), rng(26));
        while !left.is_empty() {
            let offers = left.iter().map(|(mixture, m)| Offer { mixture, fidelity: *m, cost: evidence.costs[*m] });
            let offers: Vec<Offer> = offers.collect();
            let pool = Candidates::Pool { runs: &offers, targets: &targets };
            let Ok(suggestion) = optimizer.suggest(&evidence, pool, &mut rng) else { break };
            let (mixture, m) = left.remove(suggestion.pool_index.unwrap());
            assert_eq!(place(&suggestion), (mixture.weights().to_vec(), m));
            let run = logged.iter().find(|o| o.mixture == mixture && o.fidelity == m).unwrap();
            evidence.observations.push(run.clone());
            let best = optimizer.recommend(&evidence, Some(&targets), &mut rng);
            assert_eq!(targets[best.pool_index.unwrap()], best.mixture);
        }
        // With every run known, the best of them is what is recommended.
        if goal == Goal::Run {
            let loss = |w: &Mixture| {
                let run = logged.iter().find(|o| o.fidelity == size(1) && o.mixture == *w).unwrap();
                problem.objective().value(&run.metrics)
            };
            let smallest = targets.iter().map(loss).fold(f64::INFINITY, f64::min);
            let best = optimizer.recommend(&evidence, Some(&targets), &mut rng);
            assert_eq!(loss(&best.mixture), smallest);
            assert_eq!(left.len(), 0, "there was something to learn from every run");
        }
    }
}

#[test]
fn with_every_fidelity_at_its_limit_there_is_nothing_to_suggest() {
    let problem = Problem::new(3, 2, 1, 27);
    let mut list = problem.fidelities().list().to_vec();
    list.iter_mut().for_each(|f| f.max_trials = Some(3));
    let fidelities = admire::problem::Fidelities::new(list, None);
    let mut optimizer = Optimizer::new(problem.space(), fidelities, problem.objective(), OptimizerSettings::default());
    let cheap_is_full = problem.evidence(problem.runs(&[3, 2], 28));
    assert_eq!(next(&mut optimizer, &cheap_is_full, 0).fidelity, size(1));
    let full = problem.evidence(problem.runs(&[3, 3], 28));
    assert_eq!(optimizer.suggest(&full, ANYWHERE, &mut rng(0)).unwrap_err(), NoTrial::Limit);
}

#[test]
fn noise_is_no_reason_to_train_a_mixture_again() {
    // Two domains: the space is a line, and noise hides all that there is to gain.
    let mut problem = Problem::new(2, 2, 1, 29);
    problem.noise = 1.0;
    let mut optimizer = problem.optimizer(OptimizerSettings { tolerance: 0.05, ..OptimizerSettings::default() });
    let (mut evidence, mut rng) = (problem.evidence(vec![]), rng(30));
    let exhausted = loop {
        match optimizer.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng) {
            Ok(Suggestion { mixture, fidelity, warning, .. }) => {
                assert_eq!(warning, None);
                let mut others = evidence.observations.iter().filter(|run| run.fidelity == fidelity);
                assert!(others.all(|run| run.mixture.distance(&mixture) > 0.05));
                evidence.observations.push(problem.observe(&mixture, fidelity, &mut rng));
            }
            Err(why) => break why,
        }
    };
    assert_eq!(exhausted, NoTrial::Exhausted);
    // No gap is left that a random mixture would fall into, at either size.
    for m in SIZES.into_iter().take(2) {
        let mut at: Vec<f64> =
            evidence.observations.iter().filter(|o| o.fidelity == m).map(|o| o.mixture.weights()[0]).collect();
        at.sort_by(f64::total_cmp);
        let gaps = at.windows(2).map(|pair| pair[1] - pair[0]).chain([at[0], 1.0 - at[at.len() - 1]]);
        assert!(gaps.fold(0.0, f64::max) < 0.102, "{at:?}");
    }
}

#[test]
fn a_mixture_that_failed_or_was_imported_is_not_new() {
    let problem = Problem::new(2, 1, 1, 31);
    let mut optimizer = problem.optimizer(OptimizerSettings { tolerance: 0.9, ..OptimizerSettings::default() });
    let only = Candidates::Space(&SIZES[..1]);
    let first = optimizer.suggest(&problem.evidence(vec![]), only, &mut rng(0)).unwrap().mixture;
    let failed = Evidence { failed: vec![(first.clone(), size(0))], ..problem.evidence(vec![]) };
    let pending = Evidence { pending: vec![(first.clone(), size(0))], ..problem.evidence(vec![]) };
    let imported = Evidence { given: 1, ..problem.evidence(vec![problem.observe(&first, size(0), &mut rng(1))]) };
    for evidence in [failed, pending, imported] {
        assert_eq!(optimizer.suggest(&evidence, only, &mut rng(2)).unwrap_err(), NoTrial::Exhausted);
    }
}

/// Searches with weights as `searched` asks for, and then recommends with weights as each of `recommended` asks for. Returns the shares of
/// the gap between the uniform mixture and the optimum that these recommendations close.
fn gaps_closed<const N: usize>(
    problem: &Problem,
    searched: Granularity,
    recommended: [Granularity; N],
    (budget, seed): (f64, u64),
) -> [f64; N] {
    let (target, mut rng) = (problem.sizes - 1, rng(seed));
    let optimizer = |granularity| {
        let space = problem.space().with_granularity(granularity).unwrap();
        Optimizer::new(space, problem.fidelities(), problem.objective(), OptimizerSettings::default())
    };
    let mut searching = optimizer(searched);
    let mut evidence = problem.evidence(vec![]);
    let mut spent = 0.0;
    while spent < budget {
        let suggestion = searching.suggest(&evidence, ANYWHERE, &mut rng).unwrap();
        spent += evidence.costs[suggestion.fidelity];
        evidence.observations.push(problem.observe(&suggestion.mixture, suggestion.fidelity, &mut rng));
    }
    let uniform = problem.loss(problem.space().uniform().weights(), target);
    let gap = uniform - optimum(problem, target);
    recommended.map(|granularity| {
        let mut optimizer = optimizer(granularity);
        optimizer.restore(searching.snapshot().unwrap().clone());
        let found = optimizer.recommend(&evidence, None, &mut rng.clone()).mixture;
        (uniform - problem.loss(found.weights(), target)) / gap
    })
}

/// The smallest loss by dense search.
fn optimum(problem: &Problem, m: usize) -> f64 {
    minimum(|w| problem.loss(w, m), problem.space().polytope().sample(5000, &mut rng(0))).1
}

#[test]
fn the_search_closes_most_of_the_gap_for_two_target_runs() {
    // Two target runs leave much to luck in a single study.
    let closed = [0, 1, 2].map(|seed| {
        let problem = Problem::new(5, 3, 3, 20 + seed);
        gaps_closed(&problem, Granularity::default(), [Granularity::default()], (2.0, seed))[0]
    });
    let mean = closed.iter().sum::<f64>() / 3.0;
    assert!(mean > 0.8 && closed.iter().all(|closed| (0.6..=1.0 + 1e-6).contains(closed)), "closed {closed:?}");
}

/// How much of the gap mixing laws of 17 domains lose by `limits.smallest_weight` and `limits.step`.
/// `BUDGET=3 cargo test --release --test optimizer usable_weights_cost -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn usable_weights_cost_little_on_mixing_laws() {
    let budget = number("BUDGET", 3.0);
    let any = Granularity::default();
    let smallest = Granularity { smallest: Some(0.01), ..any };
    let round = Granularity { steps: Some(200), ..smallest };
    let names = ["any weights", "smallest weight, same runs", "and step, same runs", "smallest weight", "and step"];
    let found = in_parallel(30, |search| {
        let seed = search % 10;
        let problem = Problem::new(17, 3, 4, 500 + seed);
        let found: Vec<(usize, f64)> = match search / 10 {
            0 => (0..).zip(gaps_closed(&problem, any, [any, smallest, round], (budget, seed))).collect(),
            1 => (3..).zip(gaps_closed(&problem, smallest, [smallest], (budget, seed))).collect(),
            _ => (4..).zip(gaps_closed(&problem, round, [round], (budget, seed))).collect(),
        };
        found.iter().for_each(|(kind, closed)| eprintln!("{seed} {}: {closed:.3}", names[*kind]));
        found
    });
    for (kind, name) in names.into_iter().enumerate() {
        let of_kind = found.iter().flatten().filter(|(of, _)| *of == kind);
        let mut closed: Vec<f64> = of_kind.map(|(_, closed)| *closed).collect();
        closed.sort_by(f64::total_cmp);
        eprintln!("{name}: {:.3} of the gap in the median", 0.5 * (closed[4] + closed[5]));
    }
}

#[test]
fn a_target_run_waits_for_the_small_ones_that_teach_more_for_its_cost_and_not_for_others() {
    for seed in [28, 32] {
        let problem = Problem::new(4, 2, 1, seed);
        let mut optimizer = problem.optimizer(OptimizerSettings::default());
        let (mut evidence, mut rng) = (problem.evidence(vec![]), rng(28));
        // A target run costs as much as a hundred small ones, far more than it takes to know all of the small size.
        evidence.costs = vec![0.01, 1.0];
        let mut at_target = Vec::new();
        for trial in 0..60 {
            let suggestion = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng).unwrap();
            if suggestion.fidelity == size(1) {
                at_target.push(trial);
            }
            evidence.observations.push(problem.observe(&suggestion.mixture, suggestion.fidelity, &mut rng));
        }
        // By the knowledge gradient of single trials alone half of all trials are at the target.
        assert!((1..=15).contains(&at_target.len()), "problem {seed}: {at_target:?}");
        assert!((6..40).contains(&at_target[0]), "problem {seed}: {at_target:?}");
    }
}

#[test]
fn small_sizes_may_not_outspend_the_target_by_more_than_one_run() {
    let problem = Problem::new(4, 3, 1, 27);
    let mut optimizer = problem.optimizer(OptimizerSettings::default());
    let (mut evidence, mut rng) = (problem.evidence(vec![]), rng(28));
    // Small runs that are not cheap: three of them cost as much as one at the target.
    evidence.costs = vec![0.34, 0.5, 1.0];
    let mut at_target = 0;
    for _ in 0..16 {
        let suggestion = optimizer.suggest(&evidence, ANYWHERE, &mut rng).unwrap();
        evidence.observations.push(problem.observe(&suggestion.mixture, suggestion.fidelity, &mut rng));
        let spent = |keep: fn(FidelityId) -> bool| -> f64 {
            evidence.observations.iter().filter(|o| keep(o.fidelity)).map(|o| evidence.costs[o.fidelity]).sum()
        };
        let (on_proxies, on_target) = (spent(|m| m < size(2)), spent(|m| m == size(2)));
        // But for the design, which may cost as much as two target runs.
        let allowed = (on_target + 1.0).max(2.0) + 1e-9;
        assert!(on_proxies <= allowed, "{on_proxies} on proxies, {on_target} on the target");
        at_target = on_target as usize;
    }
    assert!(at_target >= 4, "{at_target}");
}

#[test]
fn how_often_a_model_was_asked_changes_no_answer_however_many_runs_have_come_since_its_fit() {
    let problem = Problem::new(3, 2, 1, 5);
    let runs = problem.runs(&[310, 10], 6);
    let first = |n: usize| problem.evidence(runs[..n].to_vec());
    let mut asked = problem.optimizer(OptimizerSettings::default());
    asked.learn(&first(20));
    let mut anew = problem.optimizer(OptimizerSettings::default());
    anew.restore(asked.snapshot().unwrap().clone());
    let points = [(problem.space().uniform(), size(0)), (problem.space().uniform(), size(1))];
    // In between, runs are appended to the model; of the last ones there are too many for that.
    for n in [20, 60, 200, 320] {
        assert!(asked.predict(&first(n), &points).is_some());
    }
    assert_eq!(asked.predict(&first(320), &points), anew.predict(&first(320), &points));
}

/// A model knows the runs that it was fitted to by their identity: it must not matter that others now stand before them.
#[test]
fn runs_that_come_between_those_of_the_last_fit_leave_the_units_of_its_hyperparameters_alone() {
    let problem = Problem::new(4, 2, 2, 31);
    // Fitted to runs at both sizes; the imported ones are all cheap, and of one mixture.
    let (runs, mut noise) = (problem.runs(&[24, 5], 32), rng(33));
    let corner = Mixture::new(vec![0.97, 0.01, 0.01, 0.01]);
    let imported: Vec<_> = (0..60).map(|_| problem.observe(&corner, size(0), &mut noise)).collect();
    let mut optimizer = problem.optimizer(OptimizerSettings::default());
    optimizer.learn(&problem.evidence(runs.clone()));
    let points: Vec<_> = runs.iter().map(|o| (o.mixture.clone(), size(1))).collect();
    // Root mean square of the errors at the target, in standard deviations.
    let errors = |order: Vec<Observation>| {
        let predictions = optimizer.predict(&problem.evidence(order), &points).unwrap();
        let error = |(p, (w, _)): (Prediction, &(Mixture, FidelityId))| (p.mean - problem.loss(w.weights(), 1)) / p.sd;
        let squares = predictions.into_iter().zip(&points).map(|pair| error(pair).powi(2));
        (squares.sum::<f64>() / points.len() as f64).sqrt()
    };
    let before = errors(runs.clone());
    let (last, first) = (errors([runs.clone(), imported.clone()].concat()), errors([imported, runs.clone()].concat()));
    assert_eq!(first, last, "the order of evidence must not change what is known");
    assert!(first < 2.0 * before.max(1.0), "{before} before, {first} after");
}

#[test]
fn trials_that_end_out_of_order_give_the_model_of_a_study_that_is_resumed() {
    let problem = Problem::new(3, 2, 1, 35);
    let runs = problem.runs(&[12, 4], 36);
    // The sixth run ended last: the model was fitted while it was under way.
    let known = |n: usize| runs[..n].iter().enumerate().filter(|(i, _)| *i != 5).map(|(_, o)| o.clone()).collect();
    let mut carried = problem.optimizer(OptimizerSettings::default());
    carried.learn(&problem.evidence(known(15)));
    let mut resumed = problem.optimizer(OptimizerSettings::default());
    resumed.restore(carried.snapshot().unwrap().clone());
    let points = [(problem.space().uniform(), size(0)), (problem.space().uniform(), size(1))];
    for evidence in [problem.evidence(known(16)), problem.evidence(runs.clone())] {
        assert_eq!(carried.predict(&evidence, &points), resumed.predict(&evidence, &points));
    }
}
