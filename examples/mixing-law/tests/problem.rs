//! What the generator promises.

use admire::space::{Polytope, TightBound};
use mixing_law::{Domain, Law, Optimum, Problem, Recipe, Regime, Size, minimize, rank_correlation};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn generate(domains: usize, regime: Regime, seed: u64) -> Problem {
    Recipe { domains, regime, noise: 0.005, seed }.problem().unwrap()
}

/// Problems of every kind. The numbers of domains are those that are reported, and two that are not.
fn problems() -> Vec<Problem> {
    let mut problems = Vec::new();
    for domains in [3, 5, 10, 17] {
        for seed in 0..4 {
            problems.push(generate(domains, Regime::Agree, seed));
            problems.push(generate(domains, Regime::Disagree, seed));
        }
    }
    problems.push(generate(50, Regime::Agree, 0));
    problems
}

fn sample(problem: &Problem, n: usize) -> Vec<Vec<f64>> {
    problem.space().unwrap().polytope().sample(n, &mut ChaCha8Rng::seed_from_u64(99))
}

fn losses(problem: &Problem, size: &Size, mixtures: &[Vec<f64>]) -> Vec<f64> {
    mixtures.iter().map(|w| problem.objective(size, w).0).collect()
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let problem = generate(17, Regime::Disagree, 3);
    for size in &problem.sizes {
        for w in sample(&problem, 5) {
            let (_, gradient) = problem.objective(size, &w);
            for i in 0..w.len() {
                let at = |x: f64| {
                    let mut moved = w.clone();
                    moved[i] += x;
                    problem.objective(size, &moved).0
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((gradient[i] - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{} {slope}", gradient[i]);
            }
        }
    }
}

/// The steepest descent, per unit of weight, that moves weight from one domain to another without breaking a bound. With
/// groups that share no domain, every feasible direction is a sum of such exchanges: at an optimum there is no descent.
fn steepest_exchange(polytope: &Polytope, w: &[f64], gradient: &[f64]) -> f64 {
    const SLACK: f64 = 1e-7;
    let mut steepest = 0.0_f64;
    for from in (0..w.len()).filter(|&i| w[i] > polytope.lower()[i] + SLACK) {
        for to in (0..w.len()).filter(|&i| w[i] < polytope.upper()[i] - SLACK) {
            let allowed = polytope.groups().iter().all(|group| {
                let sum: f64 = group.domains.iter().map(|&i| w[i]).sum();
                match (group.domains.contains(&from), group.domains.contains(&to)) {
                    (true, false) => sum > group.min + SLACK,
                    (false, true) => sum < group.max - SLACK,
                    _ => true,
                }
            });
            if allowed {
                steepest = steepest.max(gradient[from] - gradient[to]);
            }
        }
    }
    // Gradients are negative: giving weight to what lowers the loss more is a descent.
    steepest
}

#[test]
fn the_optimum_is_allowed_and_nothing_allowed_is_better() {
    for problem in problems() {
        let space = problem.space().unwrap();
        for size in &problem.sizes {
            let Optimum { weights, value, gap } = problem.optimum(size).unwrap();
            assert!(space.polytope().contains(&weights, 1e-9), "{}", problem.name);
            assert!(gap <= 1e-9, "{}: certified to {gap} only", problem.name);
            let (at, gradient) = problem.objective(size, &weights);
            assert_eq!(at, value);
            let descent = steepest_exchange(space.polytope(), &weights, &gradient);
            assert!(descent < 1e-4, "{}: an exchange of weight still gains {descent} a unit", problem.name);
            let extremes = space.polytope().extremes().to_vec();
            for w in sample(&problem, 200).iter().chain(&extremes) {
                assert!(problem.objective(size, w).0 >= value - 1e-9, "{}", problem.name);
            }
        }
    }
}

#[test]
fn the_solver_agrees_with_a_solution_in_closed_form() {
    // Two laws, each with its own domain: equal slopes a·k·exp(−a x) = b·l·exp(−b (1 − x)).
    let (a, k, b, l) = (3.0, 1.0, 5.0, 0.7);
    let polytope = Polytope::new(vec![0.0; 2], vec![1.0; 2], vec![]).unwrap();
    let function = |w: &[f64]| {
        let (first, second) = (k * f64::exp(-a * w[0]), l * f64::exp(-b * w[1]));
        (first + second, vec![-a * first, -b * second])
    };
    let expected = (f64::ln(a * k / (b * l)) + b) / (a + b);
    let optimum = minimize(&polytope, function, 1e-12);
    assert!((optimum.weights[0] - expected).abs() < 1e-6, "{} instead of {expected}", optimum.weights[0]);
}

#[test]
fn uniform_leaves_a_gap_and_the_score_goes_from_zero_to_one() {
    for problem in problems() {
        let (uniform, best) = problem.gap().unwrap();
        let noise = problem.noise / (problem.metrics.len() as f64).sqrt();
        assert!(uniform - best > noise, "{}: a gap of {}", problem.name, uniform - best);
        let space = problem.space().unwrap();
        assert_eq!(problem.share_closed(space.uniform().weights()).unwrap(), 0.0);
        let optimum = problem.optimum(problem.target()).unwrap();
        assert_eq!(problem.share_closed(&optimum.weights).unwrap(), 1.0);
    }
}

#[test]
fn token_caps_and_groups_hold_the_optimum_back() {
    for problem in problems() {
        let value = |p: &Problem| p.optimum(p.target()).unwrap().value;
        let constrained = value(&problem);
        let mut without_groups = problem.clone();
        without_groups.groups.clear();
        assert!(value(&without_groups) < constrained - 1e-5, "{}: no group is active", problem.name);
        let mut without_caps = problem.clone();
        without_caps.domains.iter_mut().for_each(|d| d.tokens = problem.target().tokens);
        assert!(value(&without_caps) < constrained - 1e-5, "{}: no token cap is active", problem.name);
        let weights = problem.optimum(problem.target()).unwrap().weights;
        let tight = problem.space().unwrap().tight_bounds(&admire::problem::Mixture::new(weights));
        assert!(tight.iter().any(|bound| matches!(bound, TightBound::TokenCap { .. })), "{}", problem.name);
    }
}

#[test]
fn sizes_agree_or_disagree_as_asked() {
    for seed in 0..5 {
        for domains in [5, 17] {
            let problem = generate(domains, Regime::Agree, seed);
            let mixtures = sample(&problem, 2000);
            let target = losses(&problem, problem.target(), &mixtures);
            for size in &problem.sizes {
                let rho = rank_correlation(&losses(&problem, size, &mixtures), &target);
                assert!(rho >= 0.95, "{} at {}: {rho}", problem.name, size.name);
            }

            let problem = generate(domains, Regime::Disagree, seed);
            let closes = |size: &Size| problem.share_closed(&problem.optimum(size).unwrap().weights).unwrap();
            let cheapest = closes(&problem.sizes[0]);
            assert!((0.5..=0.6).contains(&cheapest), "{}: {cheapest}", problem.name);
            assert!(closes(&problem.sizes[1]) > cheapest, "{}: drift grows with distance", problem.name);
        }
    }
}

#[test]
fn a_recipe_always_gives_the_same_problem_and_another_seed_another() {
    let problem = generate(10, Regime::Disagree, 7);
    assert_eq!(problem, generate(10, Regime::Disagree, 7));
    assert_ne!(problem.sizes, generate(10, Regime::Disagree, 8).sizes);
    let text = serde_json::to_string(&problem).unwrap();
    assert_eq!(problem, serde_json::from_str(&text).unwrap());
}

#[test]
fn regimes_differ_in_the_smaller_sizes_only() {
    let (agree, disagree) = (generate(10, Regime::Agree, 1), generate(10, Regime::Disagree, 1));
    assert_eq!(agree.target(), disagree.target());
    assert_eq!((&agree.domains, &agree.groups), (&disagree.domains, &disagree.groups));
    assert_ne!(agree.sizes[0], disagree.sizes[0]);
}

#[test]
fn names_of_domains_do_not_matter() {
    let problem = generate(17, Regime::Agree, 2);
    let mut order: Vec<usize> = (0..17).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
    // What was domain `order[k]` is now called domain k.
    let renamed = |name: &String| {
        let old = problem.domains.iter().position(|d| d.name == *name).unwrap();
        problem.domains[order.iter().position(|i| *i == old).unwrap()].name.clone()
    };
    let mut other = problem.clone();
    for (k, &i) in order.iter().enumerate() {
        other.domains[k] = Domain { name: problem.domains[k].name.clone(), tokens: problem.domains[i].tokens };
    }
    other.groups.iter_mut().for_each(|g| g.domains = g.domains.iter().map(&renamed).collect());
    for Law { rates, .. } in other.sizes.iter_mut().flat_map(|s| &mut s.laws) {
        *rates = order.iter().map(|i| rates[*i]).collect();
    }
    let (a, b) = (problem.optimum(problem.target()).unwrap(), other.optimum(other.target()).unwrap());
    assert!((a.value - b.value).abs() < 1e-9, "{} and {}", a.value, b.value);
    for (k, &i) in order.iter().enumerate() {
        assert!((a.weights[i] - b.weights[k]).abs() < 1e-4, "{} and {}", a.weights[i], b.weights[k]);
    }
}

#[test]
fn noise_has_the_stated_spread_and_depends_on_seed_mixture_and_size() {
    let problem = generate(5, Regime::Agree, 0);
    let (size, w) = (&problem.sizes[0], sample(&problem, 2));
    let truth = problem.losses(size, &w[0]);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let residuals: Vec<f64> = (0..2000)
        .flat_map(|_| {
            problem.train(size, &w[0], rng.random()).into_iter().zip(&truth).map(|(y, t)| y - t).collect::<Vec<_>>()
        })
        .collect();
    let n = residuals.len() as f64;
    let mean = residuals.iter().sum::<f64>() / n;
    let sd = (residuals.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / n).sqrt();
    // Five standard errors.
    assert!(mean.abs() < 5.0 * 0.005 / n.sqrt() && (sd / 0.005 - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{mean} {sd}");

    let first = |size: &Size, w: &[f64], seed| problem.train(size, w, seed)[0] - problem.losses(size, w)[0];
    assert_eq!(first(size, &w[0], 1), first(size, &w[0], 1));
    for other in [first(size, &w[0], 2), first(size, &w[1], 1), first(&problem.sizes[1], &w[0], 1)] {
        assert!((first(size, &w[0], 1) - other).abs() > 1e-9);
    }
}

#[test]
fn two_domains_are_too_few() {
    let recipe = Recipe { domains: 2, regime: Regime::Agree, noise: 0.0, seed: 0 };
    assert!(recipe.problem().unwrap_err().to_string().contains("at least 3 domains"));
}
