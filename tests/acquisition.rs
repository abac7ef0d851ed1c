//! The acquisition functions' derivatives and order, and the solver that maximizes them.

use admire::acquisition::{Choices, Criterion, LogValue, ProjectedGradient, log_knowledge_gradient};
use admire::space::{Group, Polytope};
use admire::surrogate::Lookahead;
use argmin::core::{CostFunction, Error, Executor, Gradient, State, TerminationReason, TerminationStatus};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn lookahead(mean: f64, variance: f64, reduction: f64) -> Lookahead {
    Lookahead { mean, variance, reduction, ..Lookahead::default() }
}

/// One of each kind for a study whose best mean so far is `best`, in a scale of `unit`.
fn criteria(best: f64, unit: f64) -> [Criterion; 3] {
    [
        Criterion::Entropy { minima: [-0.3, -0.9, -0.1, -1.6].iter().map(|x| best + unit * x).collect() },
        Criterion::ExpectedImprovement { best },
        Criterion::ConfidenceBound { best },
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_logarithm_has_the_derivatives_it_claims(
        behind in -4.0..12.0f64, log_sd in -6.0..3.0f64, rho2 in 0.001..0.999f64, clipped in any::<bool>(),
    ) {
        let (sd, best) = (log_sd.exp(), 2.5);
        let (mean, variance) = (best + behind * sd, sd * sd);
        // Rounding can make an observation seem to remove more than there is.
        let reduction = if clipped { 1.01 * variance } else { rho2 * variance };
        for criterion in criteria(best, sd) {
            let log = |m: f64, v: f64, r: f64| criterion.value(&lookahead(m, v, r)).log;
            let slope = |h: f64, f: &dyn Fn(f64) -> f64| {
                let central = |h: f64| (f(h) - f(-h)) / (2.0 * h);
                (4.0 * central(h) - central(2.0 * h)) / 3.0
            };
            let LogValue { d_mean, d_variance, d_reduction, .. } = criterion.value(&lookahead(mean, variance, reduction));
            let (h, room) = (1e-3 * sd, 2e-4 * variance);
            // In units of the lookahead itself, so that one tolerance fits all scales.
            let pairs = [
                (sd, d_mean, slope(h, &|h| log(mean + h, variance, reduction))),
                (variance, d_variance, slope(room, &|h| log(mean, variance + h, reduction))),
                (variance, d_reduction, slope(room * rho2, &|h| log(mean, variance, reduction + h))),
            ];
            for (unit, claimed, numeric) in pairs {
                let (claimed, numeric) = (unit * claimed, unit * numeric);
                let error = (claimed - numeric).abs();
                prop_assert!(error <= 1e-5 * (1.0 + numeric.abs()), "{criterion:?}: {claimed} against {numeric}");
            }
        }
    }

    #[test]
    fn better_and_more_informative_observations_score_higher(
        behind in -4.0..12.0f64, rho2 in 0.001..0.9f64, better in 0.01..1.0f64,
    ) {
        for criterion in criteria(0.0, 1.0) {
            let log = |mean: f64, reduction: f64| criterion.value(&lookahead(mean, 1.0, reduction)).log;
            prop_assert!(log(behind - better, rho2) > log(behind, rho2), "{criterion:?}");
            prop_assert!(log(behind, rho2 + 0.05) > log(behind, rho2), "{criterion:?}");
        }
    }
}

#[test]
fn the_logarithm_is_finite_where_nothing_can_be_gained() {
    for criterion in criteria(0.0, 1.0) {
        for mean in [-1e6, -50.0, 0.0, 50.0, 1e6] {
            for (variance, reduction) in [(1.0, 0.0), (1.0, 1.0), (1e-24, 1e-24), (1e12, 1e-12)] {
                let value = criterion.value(&lookahead(mean, variance, reduction));
                let numbers = [value.log, value.d_mean, value.d_variance, value.d_reduction];
                assert!(numbers.iter().all(|x| x.is_finite()), "{criterion:?} at {mean}, {variance}: {value:?}");
            }
        }
    }
}

/// `½ (w − y)ᵀ A (w − y)`.
struct Quadratic {
    a: DMatrix<f64>,
    y: DVector<f64>,
}

impl CostFunction for &Quadratic {
    type Param = DVector<f64>;
    type Output = f64;

    fn cost(&self, w: &Self::Param) -> Result<f64, Error> {
        let away = w - &self.y;
        Ok(0.5 * away.dot(&(&self.a * &away)))
    }
}

impl Gradient for &Quadratic {
    type Param = DVector<f64>;
    type Gradient = DVector<f64>;

    fn gradient(&self, w: &Self::Param) -> Result<DVector<f64>, Error> {
        Ok(&self.a * (w - &self.y))
    }
}

fn polytope() -> Polytope {
    let group = |domains: &[usize], min: f64, max: f64| Group {
        name: "g".into(),
        domains: domains.to_vec(),
        min,
        max,
        freeze: None,
    };
    let groups = vec![group(&[0, 1, 2], 0.2, 0.6), group(&[2, 3], 0.0, 0.3)];
    Polytope::new(vec![0.0, 0.05, 0.0, 0.0, 0.0], vec![0.5, 1.0, 1.0, 0.4, 0.35], groups).unwrap()
}

/// Minimizes from the middle of the polytope.
fn solve(problem: &Quadratic, polytope: &Polytope, tolerance: f64) -> (DVector<f64>, TerminationStatus) {
    let project = |w: &DVector<f64>| DVector::from_vec(polytope.project(w.as_slice()));
    let start = DVector::from_column_slice(polytope.center());
    let result = Executor::new(problem, ProjectedGradient::new(project, tolerance))
        .configure(|state| state.param(start).max_iters(1000))
        .run()
        .unwrap();
    let state = result.state();
    (state.get_best_param().unwrap().clone(), state.get_termination_status().clone())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn projected_gradients_find_the_nearest_point(y in prop::collection::vec(-1.0..2.0f64, 5)) {
        let polytope = polytope();
        let nearest = polytope.project(&y);
        let problem = Quadratic { a: DMatrix::identity(5, 5), y: DVector::from_vec(y) };
        let (w, status) = solve(&problem, &polytope, 1e-9);
        prop_assert_eq!(status, TerminationStatus::Terminated(TerminationReason::SolverConverged));
        prop_assert!((w - DVector::from_vec(nearest)).amax() < 1e-8);
    }

    #[test]
    fn projected_gradients_find_the_minimum_of_a_narrow_valley(
        y in prop::collection::vec(-0.5..1.0f64, 5), entries in prop::collection::vec(-1.0..1.0f64, 25),
    ) {
        let polytope = polytope();
        let root = DMatrix::from_vec(5, 5, entries);
        let a = &root * root.transpose() + DMatrix::identity(5, 5) * 0.01;
        let problem = Quadratic { a, y: DVector::from_vec(y) };
        let (w, _) = solve(&problem, &polytope, 1e-8);
        prop_assert!(polytope.contains(w.as_slice(), 1e-9));
        // Convex: no feasible direction leads down.
        let gradient = &problem.a * (&w - &problem.y);
        let lowest = polytope.maximize((-&gradient).as_slice());
        let gain = gradient.dot(&(&w - DVector::from_vec(lowest)));
        prop_assert!(gain < 1e-6, "a step would gain {gain}");
    }
}

#[test]
fn the_knowledge_gradient_is_what_brute_force_finds() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
    for (points, cautious) in [(2, false), (5, false), (2, true), (5, true)] {
        for _ in 0..10 {
            let mean = DVector::from_fn(points, |_, _| normal(&mut rng));
            let moves = DMatrix::from_fn(points, 3, |_, _| normal(&mut rng));
            // Of any size: an observation may leave us more cautious about one point than about another.
            let mut margin = || DVector::from_fn(points, |_, _| if cautious { normal(&mut rng).abs() } else { 0.0 });
            let (margin, after) = (margin(), margin());
            let formula =
                log_knowledge_gradient(&Choices::new(mean.clone(), margin.clone()), &moves, &after, &(0.0 * &mean));
            // By how much the mean of what is then recommended is expected to fall below that of today's recommendation.
            let best = (&mean + &margin).imin();
            let gains: Vec<f64> = (0..200_000)
                .map(|_| {
                    let z = DVector::from_fn(3, |_, _| normal(&mut rng));
                    let then = &mean + &moves * z;
                    then[best] - then[(&then + &after).imin()]
                })
                .collect();
            let gain = gains.iter().sum::<f64>() / gains.len() as f64;
            let variance = gains.iter().map(|g| (g - gain).powi(2)).sum::<f64>() / gains.len() as f64;
            let error = 4.0 * (variance / gains.len() as f64).sqrt();
            match (points, cautious) {
                // Where the rule would only lead astray, nothing is gained.
                (2, _) if formula == f64::NEG_INFINITY => assert!(gain < error, "{gain}"),
                (2, _) => assert!((formula.exp() - gain).abs() < error, "{} against {gain}", formula.exp()),
                (_, false) => assert!(formula.exp() < gain + error && formula.exp() > 0.4 * gain),
                // One alternative at a time is a bound only where the others do not lead astray.
                (_, true) => assert!(formula.exp() > 0.2 * gain, "{} against {gain}", formula.exp()),
            }
        }
    }
}
