//! Every rule of the policies and of the surrogate has a test here, or beside its code, that fails when the rule is switched off:
//! `just mutants` switches each off and looks.

#[path = "common/problem.rs"]
mod problem;

use std::slice::from_ref;

use admire::optimizer::policy::constants::{COMPARED_FROM, PROXY_HEAD_START};
use admire::optimizer::policy::fidelities::{exceeds_in_flight_cap, open};
use admire::optimizer::{Candidates, Optimizer, Outlook};
use admire::problem::{
    Aggregate, Direction, Evidence, Fidelities, Fidelity, Guard, Metric, Mixture, ModelChoice, ModelSpec, Objective,
    Observation, OnTheWay, OptimizerSettings, Past, Prediction, Repetition, RunId, Threshold, Tolerance, Warp, Weights,
    columns,
};
use admire::space::{Domain, Granularity, SearchSpace};
use admire::surrogate::{Surrogate, Task};
use problem::{Problem, SIZES, new_run, rng, size};
use rand_distr::{Distribution, StandardNormal};

/// A study about a made-up function of the weights and the size, one value per metric, all metrics of equal weight.
struct Made {
    objective: Objective,
    fidelities: Fidelities,
    observations: Vec<Observation>,
}

impl Made {
    /// `counts[m]` runs of random mixtures of `domains` at size `m`.
    fn new(domains: usize, counts: &[usize], seed: u64, mut metrics: impl FnMut(&[f64], usize) -> Vec<f64>) -> Self {
        let law = Problem::new(domains, counts.len(), 1, 1);
        let mut observations = law.runs(counts, seed);
        for run in &mut observations {
            run.metrics = metrics(run.mixture.weights(), run.fidelity.index());
            run.se = vec![None; run.metrics.len()];
        }
        let n = observations[0].metrics.len();
        let metric = |j: usize| Metric { name: format!("m{j:02}"), weight: 1.0 / n as f64 };
        let objective = Objective::new((0..n).map(metric).collect(), Direction::Minimize, Aggregate::Mean);
        Self { objective, fidelities: law.fidelities(), observations }
    }

    fn task(&self) -> Task<'_> {
        Task {
            objective: &self.objective,
            fidelities: &self.fidelities,
            spec: ModelSpec::default(),
            families: &[],
            repetition: None,
            curves: false,
            observations: &self.observations,
        }
    }

    fn fit(&self) -> Surrogate {
        Surrogate::fit(&self.task(), None).unwrap().0
    }
}

fn normals(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = rng(seed);
    move || StandardNormal.sample(&mut rng)
}

fn random(domains: usize, n: usize, seed: u64) -> Weights {
    let mixtures = Problem::new(domains, 1, 1, 1).space().polytope().sample(n, &mut rng(seed));
    columns(domains, mixtures.iter().map(Vec::as_slice))
}

// Fidelities.

/// Evidence of so many finished runs at each of three sizes, with costs 0.01, 0.1 and 1.
fn finished(counts: [usize; 3]) -> Evidence {
    let problem = Problem::new(3, 3, 1, 1);
    let mut evidence = problem.evidence(problem.runs(&counts, 2));
    evidence.costs = vec![0.01, 0.1, 1.0];
    evidence
}

#[test]
fn smaller_fidelities_may_cost_as_much_as_the_target_has_and_one_run_more() {
    assert_eq!(PROXY_HEAD_START, 1.0);
    assert!(open(&SIZES, size(2), &finished([90, 0, 0])).contains(&size(1)), "0.9 + 0.1 is within one target run");
    let spent = finished([91, 0, 0]);
    assert!(!open(&SIZES, size(2), &spent).contains(&size(1)) && open(&SIZES, size(2), &spent).contains(&size(0)));
    assert!(open(&SIZES, size(2), &finished([100, 0, 0])).contains(&size(2)));
    assert!(!open(&SIZES, size(2), &finished([100, 0, 0])).contains(&size(0)));
    assert!(open(&SIZES, size(2), &finished([100, 0, 1])).contains(&size(0)));
    // A target run under way has proved nothing yet.
    let mut pending = finished([100, 0, 0]);
    pending.pending.push((pending.observations[0].mixture.clone(), size(2)));
    assert!(!open(&SIZES, size(2), &pending).contains(&size(0)));
    // Where the target is never trained, nothing is capped.
    assert!(open(&SIZES[..2], size(2), &finished([200, 0, 0])).contains(&size(0)));
}

#[test]
fn what_is_under_way_may_cost_as_much_as_what_has_finished() {
    let mut evidence = finished([20, 0, 0]);
    let mixture = evidence.observations[0].mixture.clone();
    assert!(!exceeds_in_flight_cap(size(2), &evidence), "one may always be under way");
    evidence.pending = vec![(mixture.clone(), size(1))];
    assert!(!exceeds_in_flight_cap(size(1), &evidence), "0.2 of 0.2");
    assert!(exceeds_in_flight_cap(size(2), &evidence), "1.1 of 0.2");
    evidence.pending.push((mixture, size(1)));
    assert!(exceeds_in_flight_cap(size(0), &evidence), "0.21 of 0.2");
}

// The surrogate.

#[test]
fn a_run_that_is_lucky_everywhere_is_not_lucky_six_times_over() {
    let (sd, mut normal) = (0.05, normals(3));
    let mut inflated = 0;
    for seed in 0..5 {
        let made = Made::new(4, &[40], 10 + seed, |w, _| {
            let luck = sd * normal();
            (0..6).map(|j| 2.0 + 0.3 * (w[j % 4] - 0.3).powi(2) + luck).collect()
        });
        // Independent errors would make the variance of the mean of six a sixth.
        inflated += usize::from(made.fit().noise(size(0)) > 0.4 * sd * sd);
    }
    assert!(inflated >= 4, "{inflated} of 5");
}

#[test]
fn metrics_that_err_together_at_the_target_are_not_thought_to_do_so_at_the_small_size() {
    let (sd, mut normal) = (0.05, normals(7));
    let mut apart = 0;
    for seed in 0..5 {
        let made = Made::new(4, &[40, 12], 60 + seed, |w, m| {
            let luck = sd * normal();
            (0..6).map(|j| 2.0 + w[j % 4].powi(2) + if m == 1 { luck } else { sd * normal() }).collect()
        });
        let surrogate = made.fit();
        apart += usize::from(surrogate.noise(size(1)) > 2.5 * surrogate.noise(size(0)));
    }
    assert!(apart >= 4, "{apart} of 5");
}

#[test]
fn what_one_metric_says_of_itself_is_what_the_objective_says() {
    let mut normal = normals(8);
    let made = Made::new(3, &[20, 6], 70, |w, _| vec![w[0].powi(2) + 0.3 * normal()]);
    let surrogate = made.fit();
    for m in [size(0), size(1)] {
        assert_eq!(surrogate.noise(m), surrogate.metric_noise(m)[0]);
    }
}

#[test]
fn many_runs_determine_which_domains_matter() {
    let mut normal = normals(4);
    let law = |w: &[f64]| (-6.0 * w[0]).exp() - 0.5 * (-4.0 * w[1]).exp();
    let mut errors = Vec::new();
    for seed in 0..4 {
        let made = Made::new(10, &[120], 20 + seed, |w, _| vec![law(w) + 0.03 * normal()]);
        let (surrogate, x) = (made.fit(), random(10, 200, 26));
        let truth: Vec<f64> = x.matrix().column_iter().map(|w| law(w.as_slice())).collect();
        let center = truth.iter().sum::<f64>() / 200.0;
        let errors_of =
            |predicted: Vec<f64>| -> f64 { truth.iter().zip(predicted).map(|(t, p)| (t - p).powi(2)).sum() };
        let spread: f64 = truth.iter().map(|t| (t - center).powi(2)).sum();
        errors.push((errors_of(surrogate.mean(&x).iter().copied().collect()) / spread).sqrt());
    }
    let mean = errors.iter().sum::<f64>() / 4.0;
    assert!(mean < 0.058, "{errors:?}");
}

#[test]
fn target_runs_of_good_mixtures_are_no_sign_that_mixtures_are_alike_there() {
    let mut normal = normals(5);
    let law = |w: &[f64], m: usize| 3.0 - 0.3 * m as f64 + 2.0 * (w[0] - 0.6).powi(2) + w[1];
    let mut errors = Vec::new();
    for seed in 0..6 {
        let mut made = Made::new(4, &[24, 4], 30 + seed, |_, _| vec![0.0]);
        for run in &mut made.observations {
            let m = run.fidelity.index();
            if m == 1 {
                let near_best =
                    run.mixture.weights().iter().zip([0.6, 0.0, 0.2, 0.2]).map(|(w, best)| 0.1 * w + 0.9 * best);
                run.mixture = Mixture::new(near_best.collect());
            }
            run.metrics = vec![law(run.mixture.weights(), m) + 0.01 * normal()];
        }
        let x = random(4, 20, 50 + seed);
        let (_, snapshot) = Surrogate::fit(&made.task(), None).unwrap();
        let predicted = Surrogate::integrated(&made.task(), &snapshot).unwrap().predict(&x, size(1));
        let error = |((mean, variance), w): (&(f64, f64), &[f64])| (mean - law(w, 1)) / variance.sqrt();
        errors.extend(predicted.iter().zip(x.matrix().as_slice().chunks(4)).map(error));
    }
    let square = errors.iter().map(|z| z * z).sum::<f64>() / errors.len() as f64;
    assert!(square < 2.0, "{square} {errors:.1?}");
}

#[test]
fn the_level_of_an_untrained_size_goes_on_as_the_trained_ones_did() {
    let made = Made::new(3, &[12, 8, 0], 41, |w, m| vec![3.0 - 0.4 * m as f64 + 0.05 * w[0]]);
    let surrogate = made.fit();
    for (mean, variance) in surrogate.predict(&random(3, 5, 42), size(2)) {
        assert!((mean - 2.2).abs() < 0.15, "{mean}");
        assert!(variance.sqrt() > 0.1, "nothing was trained there");
    }
}

#[test]
fn what_a_few_early_runs_suggested_is_not_kept_because_nothing_better_is_near() {
    let mut normal = normals(6);
    let mut worse = Vec::new();
    for seed in 0..6 {
        let mut n = 0;
        // Six runs of pure noise, then a law with hardly any.
        let made = Made::new(8, &[48], 60 + seed, |w, _| {
            n += 1;
            let law = (-3.0 * w[0]).exp() + (-2.0 * w[1]).exp();
            vec![if n <= 6 { 2.0 + 0.3 * normal() } else { law + 0.001 * normal() }]
        });
        let first = Task { observations: &made.observations[..6], ..made.task() };
        let mut warm = Surrogate::fit(&first, None).unwrap().1;
        let clean = Task { observations: &made.observations[6..], ..made.task() };
        warm.observations = 6;
        let warm = Surrogate::fit(&clean, Some(&warm)).unwrap().0;
        let fresh = Surrogate::fit(&clean, None).unwrap().0;
        let score = |s: &Surrogate| -> f64 {
            s.leave_one_out().iter().map(|(e, v)| -0.5 * (v.ln() + e * e / v)).sum::<f64>() / 42.0
        };
        worse.push(score(&fresh) - score(&warm));
    }
    assert!(worse.iter().all(|w| *w < 0.05), "{worse:?}");
}

// The kind of model.

/// A loss that depends on the logarithms of weights, which the default geometry does not fit.
fn logarithmic(runs: usize, seed: u64) -> Made {
    Made::new(3, &[runs], seed, |w, _| vec![w.iter().zip([1.0, -0.6, 0.3]).map(|(w, c)| c * (w + 0.002).ln()).sum()])
}

#[test]
fn a_kind_of_model_that_predicts_clearly_better_is_taken() {
    let chosen = ModelChoice::default().select(&logarithmic(90, 70).task());
    assert_eq!(chosen.warp, Warp::Log, "{chosen:?}");
}

#[test]
fn kinds_of_models_are_compared_once_there_are_enough_runs() {
    let made = logarithmic(90, 70);
    let law = Problem::new(3, 1, 1, 1);
    let mut optimizer = law.optimizer(OptimizerSettings::default());
    let evidence = law.evidence(made.observations);
    let few = Evidence { observations: evidence.observations[..COMPARED_FROM - 1].to_vec(), ..evidence.clone() };
    optimizer.learn(&few);
    assert_eq!(optimizer.snapshot().unwrap().spec, ModelSpec::default());
    optimizer.learn(&evidence);
    assert_ne!(optimizer.snapshot().unwrap().spec.warp, ModelSpec::default().warp);
}

#[test]
fn a_kind_of_model_that_is_better_by_chance_is_not_taken() {
    let mut normal = normals(8);
    let mut changed = 0;
    for seed in 0..8 {
        let made = Made::new(4, &[32], 80 + seed, |w, _| vec![w[0] + 0.3 * normal(), w[1] + 0.3 * normal()]);
        changed += usize::from(ModelChoice::default().select(&made.task()) != ModelSpec::default());
    }
    assert!(changed <= 1, "{changed} of 8");
}

// The design and what comes after it.

#[test]
fn with_the_first_run_at_a_fidelity_the_model_is_fitted_anew() {
    let problem = Problem::new(3, 2, 1, 90);
    let mut optimizer = problem.optimizer(OptimizerSettings::default());
    let mut evidence = problem.evidence(problem.runs(&[20, 0], 91));
    optimizer.learn(&evidence);
    let before = optimizer.snapshot().unwrap().clone();
    evidence.observations.push(problem.observe(&problem.space().uniform(), size(0), &mut rng(92)));
    optimizer.learn(&evidence);
    assert_eq!(optimizer.snapshot(), Some(&before), "one of twenty is less than a tenth");
    evidence.observations.push(problem.observe(&problem.space().uniform(), size(1), &mut rng(93)));
    optimizer.learn(&evidence);
    assert_ne!(optimizer.snapshot(), Some(&before));
}

#[test]
fn no_mixture_is_trained_twice_at_a_fidelity() {
    let domains = vec![Domain::new("a"), Domain::new("b")];
    let space = SearchSpace::new(domains, Vec::new(), None).unwrap();
    let fidelity =
        Fidelity { name: "1B".into(), params: None, tokens: None, cost: Some(1.0), max_trials: None, initial: None };
    let objective =
        Objective::new(vec![Metric { name: "loss".into(), weight: 1.0 }], Direction::Minimize, Aggregate::Mean);
    let fidelities = Fidelities::new(vec![fidelity], None);
    let settings = OptimizerSettings { tolerance: 0.05, ..OptimizerSettings::default() };
    let mut optimizer = Optimizer::new(space, fidelities, objective, settings);
    let (mut evidence, mut normal) = (Evidence { costs: vec![1.0], ..Evidence::default() }, normals(9));
    let mut trained: Vec<Mixture> = Vec::new();
    for i in 0..10 {
        let Ok(next) = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..1]), &mut rng(i)) else { break };
        assert!(trained.iter().all(|other| other.distance(&next.mixture) > 0.05), "{:?}", next.mixture);
        trained.push(next.mixture.clone());
        evidence.observations.push(Observation {
            run: new_run(),
            mixture: next.mixture,
            fidelity: size(0),
            // Noise makes the model want to look again.
            metrics: vec![2.0 + 0.5 * normal()],
            se: vec![None],
            past: Past::default(),
        });
    }
    assert!(trained.len() >= 8);
}

#[test]
fn what_guards_compare_with_is_trained_before_anything_else_at_a_size() {
    let problem = Problem::new(3, 2, 2, 5);
    let threshold = Threshold::Mixture { name: "today's".into(), mixture: Mixture::new(vec![0.6, 0.3, 0.1]) };
    let guards = vec![Guard { metric: 0, sign: 1.0, threshold, tolerance: Tolerance::Absolute(0.0), probability: 0.9 }];
    let (mut evidence, today) = (problem.evidence(problem.runs(&[6, 1], 6)), Mixture::new(vec![0.6, 0.3, 0.1]));
    let mut optimizer = problem.optimizer(OptimizerSettings::default()).with_guards(guards.clone());
    let mut compared_at = [0, 0];
    for trial in 0..6 {
        let suggestion = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng(trial)).unwrap();
        let m = suggestion.fidelity.index();
        assert_eq!(suggestion.mixture == today, compared_at[m] == 0, "trial {trial}: {suggestion:?}");
        compared_at[m] += 1;
        evidence.observations.push(problem.observe(&suggestion.mixture, suggestion.fidelity, &mut rng(trial)));
    }
    // Not a mixture that breaks a bound.
    let domains = ["d00", "d01", "d02"].map(|name| Domain { max: 0.5, ..Domain::new(name) });
    let space = SearchSpace::new(domains.to_vec(), vec![], None).unwrap();
    let mut bounded = Optimizer::new(space, problem.fidelities(), problem.objective(), OptimizerSettings::default())
        .with_guards(guards.clone());
    let evidence = problem.evidence(problem.runs(&[6, 1], 6));
    let suggestion = bounded.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng(1)).unwrap();
    assert!(suggestion.mixture.weights()[0] <= 0.5 + 1e-9, "{suggestion:?}");
    // Nor one with a weight that is too small to be used.
    let space =
        problem.space().with_granularity(Granularity { smallest: Some(0.2), ..Granularity::default() }).unwrap();
    let mut usable = Optimizer::new(space, problem.fidelities(), problem.objective(), OptimizerSettings::default())
        .with_guards(guards);
    let suggestion = usable.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng(1)).unwrap();
    assert!(suggestion.mixture.weights().iter().all(|w| *w < 1e-9 || *w >= 0.2 - 1e-9), "{suggestion:?}");
}

// Running trials that are ended.

/// A study of which 8 small runs and 5 large ones are known, and its optimizer, which knows them too.
fn halfway() -> (Problem, Optimizer, Evidence) {
    let mut problem = Problem::new(3, 2, 1, 5);
    problem.noise = 0.01;
    let evidence = problem.evidence(problem.runs(&[8, 5], 6));
    let mut optimizer = problem.optimizer(OptimizerSettings { initial: Some(8), ..OptimizerSettings::default() });
    optimizer.learn(&evidence);
    (problem, optimizer, evidence)
}

/// A large run of this mixture that has done 40 % of its tokens, with an estimate of its end.
fn on_the_way(weights: [f64; 3], value: f64, se: f64) -> OnTheWay {
    let (mixture, past) = (Mixture::new(weights.to_vec()), Past::default());
    let (metrics, se) = (vec![value], vec![Some(se)]);
    let end = Observation { run: RunId::Trial(14), mixture, fidelity: SIZES[1], metrics, se, past };
    OnTheWay { end, share_done: 0.4 }
}

#[test]
fn a_trial_is_ended_if_it_is_hopeless_and_its_remaining_cost_buys_more_elsewhere() {
    let outlook = |probability, worth, worth_of_new| Outlook {
        run: RunId::Trial(1),
        share_done: 0.5,
        end: Prediction { mean: 2.0, sd: 0.1, noise: None },
        best: 1.0,
        probability,
        worth,
        worth_of_new,
    };
    assert!(outlook(0.01, 0.1, 0.2).is_hopeless());
    assert!(!outlook(0.3, 0.1, 0.2).is_hopeless(), "it may still be the best");
    assert!(!outlook(0.01, 0.2, 0.1).is_hopeless(), "it is worth its cost");
    assert!(!outlook(f64::NAN, 0.1, 0.2).is_hopeless());

    let (_, optimizer, evidence) = halfway();
    let best = evidence.observations.iter().filter(|o| o.fidelity == SIZES[1]).map(|o| o.metrics[0]);
    let best = best.fold(f64::INFINITY, f64::min);
    let hopeless = |running: &[OnTheWay]| optimizer.hopeless(&evidence, running, &SIZES[..2], &mut rng(1));
    let (bad, worse) = (on_the_way([0.2, 0.5, 0.3], best + 0.5, 0.02), on_the_way([0.5, 0.2, 0.3], best + 1.0, 0.02));
    let good = on_the_way([0.3, 0.3, 0.4], best - 0.1, 0.02);
    let ended = hopeless(&[good.clone(), bad.clone()]).expect("one is hopeless");
    assert!(
        ended.probability < 0.01 && ended.best == best && (0.2..0.6).contains(&(ended.end.mean - best)),
        "{ended:?}"
    );
    assert_eq!(hopeless(&[good]), None);
    assert_eq!(
        hopeless(&[bad.clone(), worse]).map(|outlook| outlook.end.mean > best + 0.7),
        Some(true),
        "the worst first"
    );
    // A curve that says little leaves the run what it was.
    assert_eq!(hopeless(&[on_the_way([0.2, 0.5, 0.3], best + 0.5, 10.0)]), None);
    // Nothing is ended for a trial that cannot be had, nor before the design is complete.
    assert_eq!(optimizer.hopeless(&evidence, from_ref(&bad), &[], &mut rng(1)), None);
    let problem = halfway().0;
    let mut early = problem.optimizer(OptimizerSettings { initial: Some(20), ..OptimizerSettings::default() });
    early.learn(&evidence);
    assert_eq!(early.hopeless(&evidence, from_ref(&bad), &SIZES[..2], &mut rng(1)), None);
    // Others are compared with this one.
    let threshold = Threshold::Mixture { name: "today's".into(), mixture: bad.end.mixture.clone() };
    let guard = Guard { metric: 0, sign: 1.0, threshold, tolerance: Tolerance::Absolute(9.0), probability: 0.9 };
    let mut compared = halfway().1.with_guards(vec![guard]);
    compared.learn(&evidence);
    assert_eq!(compared.hopeless(&evidence, &[bad], &SIZES[..2], &mut rng(1)), None);
}

#[test]
fn what_the_end_of_a_run_is_worth_falls_from_that_of_a_new_run_to_nothing_as_its_curve_tells_more() {
    let (_, mut optimizer, evidence) = halfway();
    let new = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng(1)).unwrap();
    let expected = new.expected.unwrap();
    let worth = |se: f64| {
        let mut running = on_the_way([1.0, 0.0, 0.0], expected.mean, se);
        (running.end.mixture, running.end.fidelity, running.share_done) = (new.mixture.clone(), new.fidelity, 0.0);
        optimizer.outlook(&evidence, &running, &SIZES[..2], &mut rng(1)).unwrap().worth
    };
    let gain = new.gain.unwrap();
    let values = [1e4, 0.1, 0.02, 1e-6].map(worth);
    assert!((values[0] / gain - 1.0).abs() < 0.1, "{values:?}, of a new run {gain}");
    assert!(values.windows(2).all(|pair| pair[0] > pair[1]) && values[3] < 1e-3 * gain, "{values:?}");
}

#[test]
fn a_trial_that_was_ended_is_continued_if_its_rest_buys_more_than_new_trials() {
    let (_, mut optimizer, evidence) = halfway();
    let new = optimizer.suggest(&evidence, Candidates::Space(&SIZES[..2]), &mut rng(1)).unwrap();
    let expected = optimizer.predict(&evidence, &[(new.mixture.clone(), SIZES[1])]).unwrap()[0];
    // Trials of the most promising mixture, ended after 90 % of their tokens, whose curves say more or less of their ends.
    let stopped = |trial: u64, se: f64| {
        let mut ended = on_the_way([1.0, 0.0, 0.0], expected.mean, se);
        (ended.end.run, ended.end.mixture, ended.share_done) = (RunId::Trial(trial), new.mixture.clone(), 0.9);
        ended
    };
    let continued = |stopped: &[OnTheWay], worth_of_new: f64| {
        let mut evidence = evidence.clone();
        evidence.observations.extend(stopped.iter().map(|ended| ended.end.clone()));
        optimizer.continued(&evidence, stopped, worth_of_new, &mut rng(1))
    };
    // What a new run of that mixture is worth.
    let begun = OnTheWay { share_done: 0.0, ..stopped(14, 1e4) };
    let gain = optimizer.outlook(&evidence, &begun, &SIZES[..2], &mut rng(1)).unwrap().worth;
    let (vague, clear) = (stopped(14, 0.5), stopped(15, 1e-6));
    let found = continued(from_ref(&vague), gain).expect("a tenth of the cost buys most of what a run would tell");
    assert!(found.run == RunId::Trial(14) && found.worth > gain && found.worth_of_new == gain, "{found:?}");
    assert_eq!(continued(from_ref(&vague), 1.01 * found.worth), None, "a new trial buys more");
    assert_eq!(continued(from_ref(&clear), gain), None, "its end is known");
    assert_eq!(continued(&[], gain), None);
    // The worthiest of several.
    let mut other = stopped(16, 0.1);
    (other.end.mixture, other.end.metrics) = (Mixture::new(vec![0.2, 0.5, 0.3]), vec![expected.mean + 0.5]);
    assert!(continued(from_ref(&other), 0.0).is_some());
    for pair in [[&other, &vague], [&vague, &other]] {
        assert_eq!(continued(&pair.map(Clone::clone), 0.0).map(|outlook| outlook.run), Some(RunId::Trial(14)));
    }
    // What the rest is worth does not depend on whether the trial runs or was ended.
    let mut running = evidence.clone();
    running.pending.push((vague.end.mixture.clone(), vague.end.fidelity));
    let running = optimizer.outlook(&running, &vague, &SIZES[..2], &mut rng(1)).unwrap();
    assert!((running.worth / found.worth - 1.0).abs() < 1e-6, "{running:?} {found:?}");
}

/// Small runs never repeat the domain that helps most. Whether the target does, only the tokens say.
#[test]
fn what_the_target_repeats_counts_less_though_no_run_has_repeated_it() {
    let made = Made::new(2, &[16, 0], 11, |w, m| vec![1.0 - 0.1 * m as f64 + (-4.0 * w[0] - 2.0 * w[1]).exp()]);
    let mixtures = columns(2, [&[0.015, 0.985][..], &[0.3, 0.7], &[0.6, 0.4]]);
    let expected = |unique: Option<f64>| {
        let repetition = unique.map(|share| Repetition(vec![vec![f64::INFINITY; 2], vec![share, f64::INFINITY]]));
        let task = Task { repetition: repetition.as_ref(), ..made.task() };
        Surrogate::fit(&task, None).unwrap().0.mean(&mixtures)
    };
    let [unknown, plenty, scarce] = [None, Some(1.0), Some(0.02)].map(expected);
    // Fits end where they hardly improve any more.
    assert!((&unknown - &plenty).amax() < 1e-4, "{unknown} {plenty}");
    // The first mixture repeats nothing, the others repeat it 15 and 30 times.
    let lost = &scarce - &unknown;
    assert!(lost[0].abs() < 1e-4 && lost[1] > 0.003 && lost[2] > 1.5 * lost[1], "{lost}");
}
