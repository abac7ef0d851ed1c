//! The search space: projection, sampling, designs, and what infeasible bounds are called.

use admire::space::{
    Bound, Domain, Granularity, Group, GroupSpec, Limits, Polytope, SearchSpace, SpaceError, TightBound,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn simplex(dim: usize) -> Polytope {
    Polytope::new(vec![0.0; dim], vec![1.0; dim], vec![]).unwrap()
}

fn group(name: &str, domains: &[usize], min: f64, max: f64) -> Group {
    Group { name: name.into(), domains: domains.to_vec(), min, max, freeze: None }
}

fn norm(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

/// A random polytope that contains a random point, with bounds that may pin weights and groups that may overlap, be
/// equalities, or be redundant.
fn random_polytope(rng: &mut impl Rng) -> Polytope {
    let dim = rng.random_range(2..10);
    let inside = simplex(dim).sample(1, rng).remove(0);
    let room = |rng: &mut dyn rand::RngCore| if rng.random_bool(0.3) { 0.0 } else { rng.random::<f64>() * 0.3 };
    let (mut lower, mut upper) = (vec![], vec![]);
    for &x in &inside {
        let pinned = rng.random_bool(0.1);
        lower.push(if pinned { x } else { (x - room(rng)).max(0.0) });
        upper.push(if pinned { x } else { (x + room(rng) + 0.01).min(1.0) });
    }
    let groups = (0..rng.random_range(0..4))
        .map(|g| {
            let members: Vec<usize> = (0..dim).filter(|_| rng.random_bool(0.5)).collect();
            let members = if members.is_empty() { vec![0] } else { members };
            let sum: f64 = members.iter().map(|&i| inside[i]).sum();
            group(&g.to_string(), &members, (sum - room(rng)).max(0.0), (sum + room(rng)).min(1.0))
        })
        .collect();
    Polytope::new(lower, upper, groups).unwrap()
}

fn random_target(dim: usize, rng: &mut impl Rng) -> Vec<f64> {
    let scale = [0.1, 1.0, 30.0][rng.random_range(0..3)];
    (0..dim).map(|_| scale * (rng.random::<f64>() - 0.4)).collect()
}

/// Like [`random_polytope`], with up to two frozen groups. It holds a random point.
fn random_frozen(rng: &mut impl Rng) -> Polytope {
    let dim = rng.random_range(3..10);
    let inside = simplex(dim).sample(1, rng).remove(0);
    let room = |rng: &mut dyn rand::RngCore| if rng.random_bool(0.3) { 0.0 } else { rng.random::<f64>() * 0.3 };
    let lower = inside.iter().map(|x| (x - room(rng)).max(0.0)).collect();
    let upper = inside.iter().map(|x| (x + room(rng) + 0.01).min(1.0)).collect();
    let half = rng.random_range(2..dim);
    let blocks: [Vec<usize>; 2] = [(0..half).collect(), (half..dim).collect()];
    let frozen = blocks.into_iter().enumerate().filter(|(g, _)| *g == 0 || rng.random_bool(0.5)).collect::<Vec<_>>();
    let mut groups: Vec<Group> = frozen
        .into_iter()
        .map(|(g, members)| {
            let total: f64 = members.iter().map(|i| inside[*i]).sum();
            let ratios = members.iter().map(|i| inside[*i] / total).collect();
            Group { freeze: Some(ratios), ..group(&g.to_string(), &members, 0.0, 1.0) }
        })
        .collect();
    if rng.random_bool(0.5) {
        let sum = inside[0] + inside[dim - 1];
        groups.push(group("sum", &[0, dim - 1], (sum - room(rng)).max(0.0), (sum + room(rng)).min(1.0)));
    }
    Polytope::new(lower, upper, groups).unwrap()
}

/// By how much the weights of frozen groups miss their ratios.
fn thaw(polytope: &Polytope, w: &[f64]) -> f64 {
    let miss = |group: &Group| {
        let total: f64 = group.domains.iter().map(|i| w[*i]).sum();
        let ratios = group.freeze.clone().unwrap_or_default();
        group.domains.iter().zip(ratios).map(|(i, ratio)| (w[*i] - ratio * total).abs()).fold(0.0, f64::max)
    };
    polytope.groups().iter().map(miss).fold(0.0, f64::max)
}

/// Dykstra's alternating projections: slow, and nothing in common with the method under test.
fn dykstra(polytope: &Polytope, y: &[f64]) -> Vec<f64> {
    let dim = polytope.dim();
    let mut x = y.to_vec();
    let rows: Vec<(Vec<usize>, f64, f64)> = std::iter::once(((0..dim).collect(), 1.0, 1.0))
        .chain(polytope.groups().iter().map(|g| (g.domains.clone(), g.min, g.max)))
        .collect();
    let mut corrections = vec![vec![0.0; dim]; rows.len() + 1];
    // It may stand still for a while before it moves on, so that only the number of rounds can end it.
    for _ in 0..20_000 {
        for (k, correction) in corrections.iter_mut().enumerate() {
            let moved: Vec<f64> = x.iter().zip(&*correction).map(|(a, b)| a + b).collect();
            x.clone_from(&moved);
            if k == 0 {
                for i in 0..dim {
                    x[i] = x[i].clamp(polytope.lower()[i], polytope.upper()[i]);
                }
            } else {
                let (members, min, max) = &rows[k - 1];
                let sum: f64 = members.iter().map(|&i| x[i]).sum();
                let shift = (sum.clamp(*min, *max) - sum) / members.len() as f64;
                members.iter().for_each(|&i| x[i] += shift);
            }
            *correction = moved.iter().zip(&x).map(|(a, b)| a - b).collect();
        }
    }
    x
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn projection_is_the_nearest_point(seed in any::<u64>()) {
        let rng = &mut rng(seed);
        let polytope = if rng.random_bool(0.5) { random_frozen(rng) } else { random_polytope(rng) };
        let y = random_target(polytope.dim(), rng);
        let p = polytope.project(&y);
        prop_assert!(thaw(&polytope, &p) < 1e-12, "thawed");
        prop_assert!(polytope.contains(&p, 1e-12), "infeasible {p:?} in {polytope:?}");
        for i in 0..p.len() {
            prop_assert!(polytope.lower()[i] <= p[i] && p[i] <= polytope.upper()[i]);
        }
        prop_assert!(norm(&polytope.project(&p), &p) <= 1e-12, "not idempotent");
        // Variational inequality: no feasible point lies on y's side of the plane through p. Against the vertex that is
        // best in that direction this is optimality itself.
        let gap: Vec<f64> = y.iter().zip(&p).map(|(a, b)| a - b).collect();
        let ahead = |x: &[f64]| gap.iter().zip(x.iter().zip(&p)).map(|(g, (a, b))| g * (a - b)).sum::<f64>();
        let scale = 1.0 + gap.iter().map(|g| g.abs()).sum::<f64>();
        for x in polytope.sample(5, rng).iter().chain(polytope.extremes()).chain([&polytope.maximize(&gap)]) {
            prop_assert!(ahead(x) <= 1e-11 * scale, "{} ahead", ahead(x));
        }
        let other = random_target(polytope.dim(), rng);
        prop_assert!(norm(&polytope.project(&other), &p) <= norm(&other, &y) + 1e-12, "expansive");
    }

    /// The fixed points of `project(w + gradient)` are exactly the maxima (Rockafellar 1976).
    #[test]
    fn a_linear_function_is_largest_where_no_step_uphill_leads_on(seed in any::<u64>()) {
        let rng = &mut rng(seed);
        let polytope = if rng.random_bool(0.5) { random_frozen(rng) } else { random_polytope(rng) };
        let gradient = random_target(polytope.dim(), rng);
        let w = polytope.maximize(&gradient);
        prop_assert!(thaw(&polytope, &w) < 1e-12, "thawed");
        prop_assert!(polytope.contains(&w, 1e-12), "infeasible {w:?} in {polytope:?}");
        let largest = gradient.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
        let uphill: Vec<f64> = w.iter().zip(&gradient).map(|(w, g)| w + 4.0 * g / largest).collect();
        let rise: f64 = polytope.project(&uphill).iter().zip(&w).zip(&gradient).map(|((a, b), g)| g * (a - b)).sum();
        prop_assert!(rise <= 1e-11 * largest, "{rise} higher");
        let smaller: Vec<f64> = gradient.iter().map(|g| 1e-6 * g).collect();
        prop_assert!(norm(&polytope.maximize(&smaller), &w) < 1e-9, "the unit of the function does not matter");
    }

    #[test]
    fn projection_follows_a_relabelling(seed in any::<u64>()) {
        let rng = &mut rng(seed);
        let polytope = random_polytope(rng);
        let y = random_target(polytope.dim(), rng);
        let mut order: Vec<usize> = (0..polytope.dim()).collect();
        order.shuffle(rng);
        let permute = |x: &[f64]| order.iter().map(|&i| x[i]).collect::<Vec<f64>>();
        let groups = polytope.groups().iter().rev().map(|g| {
            let members = (0..order.len()).filter(|&k| g.domains.contains(&order[k])).collect::<Vec<_>>();
            group(&g.name, &members, g.min, g.max)
        });
        let relabelled = Polytope::new(permute(polytope.lower()), permute(polytope.upper()), groups.collect()).unwrap();
        prop_assert!(norm(&relabelled.project(&permute(&y)), &permute(&polytope.project(&y))) < 1e-11);
    }

    #[test]
    fn samples_are_feasible_and_the_reach_holds_them(seed in any::<u64>()) {
        let rng = &mut rng(seed);
        let polytope = if rng.random_bool(0.5) { random_frozen(rng) } else { random_polytope(rng) };
        prop_assert!(polytope.contains(polytope.center(), 1e-12));
        for w in polytope.sample(20, rng) {
            prop_assert!(thaw(&polytope, &w) < 1e-12, "thawed");
            prop_assert!(polytope.contains(&w, 1e-12));
            for (x, (least, most)) in w.iter().zip(polytope.reach()) {
                prop_assert!(least - 1e-9 <= *x && *x <= most + 1e-9);
            }
        }
    }

    /// The named bounds are in conflict, and not without any one of them.
    #[test]
    fn conflicts_are_irreducible(seed in any::<u64>()) {
        let rng = &mut rng(seed);
        let dim = rng.random_range(2..7);
        let lower: Vec<f64> = (0..dim).map(|_| 0.15 * rng.random::<f64>()).collect();
        let upper: Vec<f64> = lower.iter().map(|l| l + 0.5 * rng.random::<f64>()).collect();
        let groups: Vec<Group> = (0..3)
            .map(|g| {
                let members: Vec<usize> = (0..dim).filter(|i| *i == g % dim || rng.random_bool(0.5)).collect();
                let min = 0.6 * rng.random::<f64>();
                group(&g.to_string(), &members, min, min + 0.3 * rng.random::<f64>())
            })
            .collect();
        let Err(bounds) = Polytope::new(lower.clone(), upper.clone(), groups.clone()) else { return Ok(()) };
        let feasible = |kept: &[Bound]| {
            let or = |bound, value, otherwise| if kept.contains(&bound) { value } else { otherwise };
            let l = (0..dim).map(|i| or(Bound::Lower(i), lower[i], -9.0)).collect();
            let u = (0..dim).map(|i| or(Bound::Upper(i), upper[i], 9.0)).collect();
            let g = groups.iter().enumerate().map(|(k, g)| {
                group(&g.name, &g.domains, or(Bound::GroupMin(k), g.min, -9.0), or(Bound::GroupMax(k), g.max, 9.0))
            });
            Polytope::new(l, u, g.collect()).is_ok()
        };
        prop_assert!(!feasible(&bounds), "{bounds:?} are no conflict");
        for k in 0..bounds.len() {
            let mut fewer = bounds.clone();
            fewer.remove(k);
            prop_assert!(feasible(&fewer), "{:?} is superfluous in {bounds:?}", bounds[k]);
        }
    }
}

#[test]
fn projection_from_very_far_away_is_feasible() {
    for seed in 0..2000 {
        let mut rng = rng(seed);
        let polytope = if seed % 2 == 0 { simplex(8) } else { random_polytope(&mut rng) };
        let far = 10f64.powf(rng.random_range(6.0..13.0));
        // All that far away in the same direction, so that rounding decides.
        let y: Vec<f64> = polytope.sample(1, &mut rng).remove(0).iter().map(|x| x - far).collect();
        let w = polytope.project(&y);
        assert!(polytope.contains(&w, 1e-9), "seed {seed}: from {far}, {w:?}");
    }
}

#[test]
fn projection_agrees_with_dykstra() {
    let rng = &mut rng(3);
    for case in 0..40 {
        let polytope = random_polytope(rng);
        let y: Vec<f64> = (0..polytope.dim()).map(|_| rng.random::<f64>() - 0.3).collect();
        let (ours, theirs) = (polytope.project(&y), dykstra(&polytope, &y));
        assert!(norm(&ours, &theirs) < 1e-6, "case {case}: {ours:?} against {theirs:?}");
    }
}

#[test]
fn the_projection_onto_near_mixtures_is_the_nearest_of_them() {
    let rng = &mut rng(3);
    let whole = Polytope::new(vec![0.0, 0.05, 0.0, 0.1], vec![0.5, 1.0, 0.4, 1.0], vec![group("g", &[0, 1], 0.2, 0.6)])
        .unwrap();
    let centers = whole.sample(5, rng);
    for (center, radius) in centers.iter().zip([0.02, 0.1, 0.2, 0.3, 0.9]) {
        let near = whole.within(center.clone(), radius);
        let points = near.sample(300, rng);
        assert!(points.iter().all(|w| near.contains(w, 1e-12) && whole.contains(w, 1e-12)));
        for y in simplex(4).sample(20, rng) {
            let w = near.project(&y);
            assert!(near.contains(&w, 1e-12) && whole.contains(&w, 1e-12), "{w:?}");
            // No other point lies on the far side of the plane through the nearest one.
            for v in &points {
                let angle: f64 = (0..4).map(|i| (y[i] - w[i]) * (v[i] - w[i])).sum();
                assert!(angle <= 1e-7, "{y:?} to {w:?}, but {v:?}");
            }
        }
    }
    assert_eq!(whole.within(centers[0].clone(), 0.0).sample(1, rng)[0], centers[0], "nothing but the center");
}

#[test]
fn sampling_the_simplex_has_beta_marginals() {
    for dim in [2, 5, 17] {
        check_beta_marginals(&simplex(dim));
        // The same set, but with a group that says nothing: this takes the chain instead of exact draws.
        let idle = Polytope::new(vec![0.0; dim], vec![1.0; dim], vec![group("idle", &[0, 1], 0.0, 1.0)]).unwrap();
        check_beta_marginals(&idle);
    }
}

fn check_beta_marginals(polytope: &Polytope) {
    let d = polytope.dim() as f64;
    let n = 20_000;
    let points = polytope.sample(n, &mut rng(7));
    // Beta(1, d − 1)
    let (mean, second) = (1.0 / d, 2.0 / (d * (d + 1.0)));
    let sd = (second - mean * mean).sqrt();
    for i in 0..polytope.dim() {
        let m = points.iter().map(|w| w[i]).sum::<f64>() / n as f64;
        let s = points.iter().map(|w| w[i] * w[i]).sum::<f64>() / n as f64;
        assert!((m - mean).abs() < 6.0 * sd / (n as f64).sqrt(), "d = {d}, weight {i}: mean {m} against {mean}");
        assert!((s - second).abs() < 0.08 * second, "d = {d}, weight {i}: second moment {s} against {second}");
    }
}

#[test]
fn sampling_agrees_with_rejection() {
    let groups = vec![group("a", &[0, 1], 0.35, 0.6), group("b", &[1, 2], 0.0, 0.45)];
    let polytope = Polytope::new(vec![0.05, 0.0, 0.0, 0.1], vec![0.5, 0.4, 1.0, 0.5], groups).unwrap();
    let rng = &mut rng(11);
    let n = 20_000;
    let mut accepted = vec![];
    while accepted.len() < n {
        accepted.extend(simplex(4).sample(n, rng).into_iter().filter(|w| polytope.contains(w, 1e-12)));
    }
    accepted.truncate(n);
    let chain = polytope.sample(n, rng);
    for i in 0..4 {
        for j in 0..=i {
            let moment = |points: &[Vec<f64>]| points.iter().map(|w| w[i] * w[j]).sum::<f64>() / n as f64;
            let (a, b) = (moment(&accepted), moment(&chain));
            assert!((a - b).abs() < 0.03 * a.max(0.02), "E[w{i} w{j}] = {a} by rejection, {b} by the chain");
        }
        let quantile = |points: &[Vec<f64>], q: f64| {
            let mut x: Vec<f64> = points.iter().map(|w| w[i]).collect();
            x.sort_by(f64::total_cmp);
            x[(q * n as f64) as usize]
        };
        for q in [0.1, 0.5, 0.9] {
            assert!((quantile(&accepted, q) - quantile(&chain, q)).abs() < 0.01);
        }
    }
}

/// Two overlapping equality groups and a slab a ten-thousandth thick: sampled as if it were flat.
#[test]
fn sampling_thin_polytopes() {
    let groups =
        vec![group("ab", &[0, 1], 0.4, 0.4), group("bc", &[1, 2], 0.3, 0.3), group("de", &[3, 4], 0.2, 0.2001)];
    let polytope = Polytope::new(vec![0.0; 7], vec![1.0; 7], groups).unwrap();
    let points = polytope.sample(5000, &mut rng(1));
    // Given b, a and c follow, and f + g is left with b + const: f and g share it. d is uniform on [0, 0.2].
    for (i, (least, most)) in polytope.reach().iter().enumerate() {
        let lowest = points.iter().map(|w| w[i]).fold(1.0, f64::min);
        let highest = points.iter().map(|w| w[i]).fold(0.0, f64::max);
        let width = most - least;
        assert!(lowest < least + 0.15 * width && highest > most - 0.15 * width, "weight {i}: {lowest}–{highest}");
    }
    let mean = points.iter().map(|w| w[3]).sum::<f64>() / points.len() as f64;
    assert!((mean - 0.1).abs() < 0.004, "{mean}");
    // The density of b is proportional to the length left to f and g, 0.1 + b on [0, 0.3]: E b = 0.0135 / 0.075.
    let mean = points.iter().map(|w| w[1]).sum::<f64>() / points.len() as f64;
    assert!((mean - 0.18).abs() < 0.005, "{mean}");
}

#[test]
fn pinned_weights_stay() {
    let polytope = Polytope::new(vec![0.2, 0.0, 0.0], vec![0.2, 1.0, 1.0], vec![]).unwrap();
    assert!(polytope.sample(50, &mut rng(0)).iter().all(|w| w[0] == 0.2));
    let point = Polytope::new(vec![0.25, 0.75], vec![0.25, 0.75], vec![group("g", &[1], 0.5, 1.0)]).unwrap();
    assert_eq!(point.project(&[9.0, -9.0]), [0.25, 0.75]);
    assert_eq!(point.sample(2, &mut rng(0)), [[0.25, 0.75], [0.25, 0.75]]);
}

#[test]
fn decimal_bounds_that_almost_meet_are_feasible() {
    let min = vec![0.1, 0.2, 0.7 + 1e-15];
    let polytope = Polytope::new(min.clone(), vec![1.0; 3], vec![]).unwrap();
    assert!(norm(&polytope.project(&[1.0, 0.0, 0.0]), &min) < 1e-12);
    assert!(Polytope::new(vec![0.0; 3], vec![1.0 / 3.0 - 1e-12; 3], vec![]).is_ok());
}

#[test]
fn reach_is_tighter_than_bounds_where_others_bind() {
    let groups = vec![group("g", &[0, 2], 0.0, 0.6)];
    let polytope = Polytope::new(vec![0.1, 0.2, 0.0], vec![1.0, 1.0, 0.3], groups).unwrap();
    let expected = [(0.1, 0.6), (0.4, 0.9), (0.0, 0.3)];
    for ((a, b), (x, y)) in polytope.reach().iter().zip(expected) {
        assert!((a - x).abs() < 1e-12 && (b - y).abs() < 1e-12, "{:?}", polytope.reach());
    }
}

#[test]
fn two_hundred_domains() {
    let groups = (0..8).map(|g| group(&g.to_string(), &(g * 20..g * 20 + 40).collect::<Vec<_>>(), 0.05, 0.4));
    let polytope = Polytope::new(vec![0.0; 200], vec![0.1; 200], groups.collect()).unwrap();
    let rng = &mut rng(2);
    for w in polytope.sample(20, rng) {
        assert!(polytope.contains(&w, 1e-12));
    }
    for _ in 0..50 {
        assert!(polytope.contains(&polytope.project(&random_target(200, rng)), 1e-12));
    }
}

fn domain(name: &str, min: f64, max: f64) -> Domain {
    Domain { min, max, ..Domain::new(name) }
}

fn spec(name: &str, domains: &[&str], min: f64, max: f64) -> GroupSpec {
    GroupSpec { name: name.into(), domains: domains.iter().map(|d| (*d).to_owned()).collect(), min, max, freeze: None }
}

#[test]
fn conflicts_name_the_bounds() {
    let conflict = |domains: Vec<Domain>, groups, limits| match SearchSpace::new(domains, groups, limits).unwrap_err() {
        error @ SpaceError::Infeasible(_) => error.to_string(),
        other => panic!("{other}"),
    };
    let text = conflict(vec![domain("web", 0.7, 1.0), domain("code", 0.5, 1.0), Domain::new("x")], vec![], None);
    assert!(text.contains("sum to 1.2: `code` ≥ 0.5, `web` ≥ 0.7"), "{text}");
    let text = conflict(vec![domain("web", 0.0, 0.4), domain("code", 0.0, 0.5)], vec![], None);
    assert!(text.contains("sum to only 0.9: `code` ≤ 0.5, `web` ≤ 0.4"), "{text}");

    let b = Domain { tokens: Some(2e9), ..Domain::new("b") };
    let domains = vec![domain("a", 0.0, 0.1), b, Domain::new("c"), Domain::new("d")];
    let limits = Some(Limits { target_tokens: 1e11, max_epochs: Some(4.0) });
    let groups = vec![spec("code", &["a", "b"], 0.5, 1.0), spec("idle", &["c", "d"], 0.0, 0.9)];
    let text = conflict(domains, groups, limits);
    assert!(text.contains("`a` ≤ 0.1, `b` ≤ 0.08 (token cap: 2e9 tokens × 4 epochs / 1e11 target tokens)"), "{text}");
    assert!(text.contains("group `code` ≥ 0.5") && !text.contains("idle") && !text.contains("`c`"), "{text}");

    // Overlapping groups, in conflict only through what is left for a third.
    let free = || ["a", "b", "c", "d"].map(Domain::new).to_vec();
    let groups =
        vec![spec("ab", &["a", "b"], 0.0, 0.3), spec("bc", &["b", "c"], 0.0, 0.3), spec("d", &["d"], 0.0, 0.35)];
    let text = conflict(free(), groups, None);
    assert!(["`ab` ≤ 0.3", "`bc` ≤ 0.3", "`d` ≤ 0.35"].iter().all(|b| text.contains(b)), "{text}");

    let text = conflict(vec![domain("a", 0.3, 1.0), Domain::new("z")], vec![spec("g", &["a"], 0.0, 0.2)], None);
    assert!(text.contains("`a` ≥ 0.3, group `g` ≤ 0.2"), "{text}");
    // A minimum above a token cap, and pinned weights against a group.
    let capped = vec![Domain { tokens: Some(1e9), ..domain("a", 0.3, 1.0) }, Domain::new("z")];
    let text = conflict(capped, vec![], limits);
    assert!(text.contains("`a` ≥ 0.3, `a` ≤ 0.04 (token cap"), "{text}");
    let pinned = vec![domain("a", 0.5, 0.5), domain("b", 0.5, 0.5)];
    let text = conflict(pinned, vec![spec("g", &["a"], 0.6, 1.0)], None);
    assert!(text.contains("`a` ≤ 0.5, group `g` ≥ 0.6"), "{text}");
}

#[test]
fn spaces_sort_name_and_convert() {
    let web = Domain { tokens: Some(5e9), prior: Some(3.0), ..domain("web", 0.1, 0.9) };
    let code = Domain { tokens: Some(1e9), prior: Some(1.0), ..Domain::new("code") };
    let limits = Some(Limits { target_tokens: 1e10, max_epochs: Some(4.0) });
    let space = SearchSpace::new(vec![web, code, Domain::new("arxiv")], vec![], limits).unwrap();
    assert_eq!(space.domains().iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["arxiv", "code", "web"]);
    assert_eq!((space.index("web"), space.index("wob")), (Some(2), None));
    assert_eq!(space.prior().unwrap().weights(), [0.0, 0.25, 0.75]);
    assert_eq!(space.token_cap(1), Some(0.4));
    assert_eq!(space.epochs(&space.prior().unwrap(), 1e10), [None, Some(2.5), Some(1.5)]);
    let mixture = space.mixture([("web", 3.0), ("code", 1.0)]).unwrap();
    assert_eq!(mixture.weights(), [0.0, 0.25, 0.75]);
    assert_eq!(space.named(&mixture).last(), Some(("web", 0.75)));
    let nan = vec![("web", f64::NAN)];
    for wrong in [vec![("wob", 1.0)], vec![("web", -1.0)], nan, vec![("web", 0.0)], vec![("web", 1.0); 2]] {
        assert!(matches!(space.mixture(wrong), Err(SpaceError::Weights(_))));
    }
    let capped = space.mixture([("code", 0.4), ("web", 0.6)]).unwrap();
    assert!(matches!(&space.tight_bounds(&capped)[..], [TightBound::TokenCap { domain, .. }] if domain == "code"));
}

#[test]
fn bad_spaces_are_errors() {
    let error = |domains, groups| SearchSpace::new(domains, groups, None).unwrap_err().to_string();
    assert!(error(vec![], vec![]).contains("no domains"));
    assert!(error(vec![domain("a", 0.5, 0.2)], vec![]).contains("min = 0.5, max = 0.2"));
    assert!(error(vec![domain("a", f64::NAN, 1.0)], vec![]).contains("min = NaN"));
    assert!(error(vec![Domain::new("a"), Domain::new("a")], vec![]).contains("`a`: appears twice"));
    assert!(error(vec![Domain::new("a=b")], vec![]).contains("separate"));
    let text = error(vec![Domain::new("a")], vec![spec("g", &["b"], 0.0, 1.0)]);
    assert!(text.contains("group `g`: unknown domain `b`"), "{text}");
}

/// A random space of three to so many domains, with bounds and groups.
fn random_space(most: usize, rng: &mut impl Rng) -> SearchSpace {
    loop {
        let polytope = random_polytope(rng);
        if !(3..=most).contains(&polytope.dim()) {
            continue;
        }
        let name = |i: usize| i.to_string();
        let domains = (0..polytope.dim()).map(|i| domain(&name(i), polytope.lower()[i], polytope.upper()[i])).collect();
        let groups = polytope.groups().iter().map(|g| {
            let members: Vec<String> = g.domains.iter().map(|i| name(*i)).collect();
            spec(&g.name, &members.iter().map(String::as_str).collect::<Vec<_>>(), g.min, g.max)
        });
        // Sums that are rounded to more than 1 are no bounds.
        if let Ok(space) = SearchSpace::new(domains, groups.collect(), None) {
            return space;
        }
    }
}

/// All mixtures of whole steps.
fn whole_steps(dim: usize, steps: u32) -> Vec<Vec<f64>> {
    let mut mixtures: Vec<Vec<u32>> = vec![vec![]];
    for i in 0..dim {
        let longer = |w: Vec<u32>| {
            let left = steps - w.iter().sum::<u32>();
            (if i + 1 == dim { left } else { 0 }..=left).map(move |k| [w.clone(), vec![k]].concat())
        };
        mixtures = mixtures.into_iter().flat_map(longer).collect();
    }
    mixtures.into_iter().map(|w| w.iter().map(|k| f64::from(*k) / f64::from(steps)).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_usable_mixture_keeps_the_smallest_weight_and_is_the_nearest(seed in any::<u64>()) {
        let rng = &mut rng(seed);
        let space = random_space(8, rng);
        let (dim, smallest) = (space.dim(), rng.random_range(0.02..0.3));
        // The nearest mixture of each set of domains.
        let y = random_target(dim, rng);
        let nearest = (0..1u32 << dim).filter_map(|set| {
            let (mut lower, mut upper) = (space.polytope().lower().to_vec(), space.polytope().upper().to_vec());
            for i in 0..dim {
                if set >> i & 1 == 1 { lower[i] = lower[i].max(smallest) } else { upper[i] = 0.0 }
            }
            if lower.iter().zip(&upper).any(|(l, u)| l > u) {
                return None;
            }
            let face = Polytope::new(lower, upper, space.polytope().groups().to_vec()).ok()?;
            Some(norm(&face.project(&y), &y))
        });
        let nearest = nearest.reduce(f64::min);
        let restricted = space.with_granularity(Granularity { smallest: Some(smallest), steps: None });
        prop_assert_eq!(restricted.is_ok(), nearest.is_some(), "{:?}", restricted);
        let (Ok(space), Some(nearest)) = (restricted, nearest) else { return Ok(()) };
        let usable = space.usable(&y);
        prop_assert!(space.polytope().contains(&usable, 1e-9), "{usable:?}");
        prop_assert!(usable.iter().all(|w| *w == 0.0 || *w >= smallest), "{usable:?}, not at least {smallest}");
        prop_assert!((norm(&usable, &y) - nearest).abs() < 1e-9, "{} is not {nearest}", norm(&usable, &y));
        prop_assert!(norm(&space.usable(&usable), &usable) < 1e-12, "not idempotent");
    }

    #[test]
    fn the_usable_mixture_is_of_whole_steps_wherever_there_is_one(seed in any::<u64>()) {
        let rng = &mut rng(seed);
        let space = random_space(5, rng);
        let steps = rng.random_range(3..20);
        let smallest = [None, Some(0.17)][rng.random_range(0..2)];
        let y = space.polytope().sample(1, rng).remove(0);
        let allowed = |w: &Vec<f64>| {
            space.polytope().contains(w, 1e-9) && w.iter().all(|w| *w == 0.0 || *w >= smallest.unwrap_or(0.0))
        };
        let nearest = whole_steps(space.dim(), steps).into_iter().filter(allowed).map(|w| norm(&w, &y)).reduce(f64::min);
        let restricted = space.clone().with_granularity(Granularity { smallest, steps: Some(steps) });
        prop_assert_eq!(restricted.is_ok(), nearest.is_some(), "{:?}", restricted);
        let (Ok(restricted), Some(nearest)) = (restricted, nearest) else { return Ok(()) };
        let usable = restricted.usable(&y);
        prop_assert!(allowed(&usable), "{usable:?}");
        let multiples: Vec<f64> = usable.iter().map(|w| w * f64::from(steps)).collect();
        prop_assert!(multiples.iter().all(|k| (k - k.round()).abs() < 1e-12), "{multiples:?}");
        prop_assert_eq!(multiples.iter().map(|k| k.round()).sum::<f64>(), f64::from(steps));
        prop_assert!(norm(&usable, &y) < 1.001 * nearest + 1e-9, "{} is not {nearest}", norm(&usable, &y));
    }
}

#[test]
fn near_a_mixture_all_weights_can_be_used() {
    let space = SearchSpace::new(["a", "b", "c"].map(Domain::new).to_vec(), vec![], None).unwrap();
    let space = space.with_granularity(Granularity { smallest: None, steps: Some(2) }).unwrap();
    assert_eq!(space.usable(&[0.6, 0.25, 0.15]), [0.5, 0.5, 0.0]);
    let near = space.within(&space.uniform(), 0.1);
    assert!(near.polytope().contains(&near.usable(&[0.6, 0.25, 0.15]), 1e-9));
}

#[test]
fn samples_with_a_frozen_group_are_uniform_over_what_is_free() {
    // a : b = 3 : 1, and c: one coordinate, the total of a and b.
    let freeze =
        |ratios: &[f64], members: &[usize]| Group { freeze: Some(ratios.into()), ..group("g", members, 0.2, 0.8) };
    let polytope = Polytope::new(vec![0.0; 3], vec![1.0; 3], vec![freeze(&[0.75, 0.25], &[0, 1])]).unwrap();
    assert_eq!(polytope.coordinates(), 2);
    let totals: Vec<f64> = polytope.sample(2000, &mut rng(1)).iter().map(|w| w[0] + w[1]).collect();
    let mean = totals.iter().sum::<f64>() / 2000.0;
    let variance = totals.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / 2000.0;
    assert!((mean - 0.5).abs() < 0.02 && (variance - 0.6 * 0.6 / 12.0).abs() < 0.003, "{mean} {variance}");
    let reach = |i: usize| polytope.reach()[i];
    let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-12 && (b - d).abs() < 1e-12;
    assert!(near(reach(0), (0.15, 0.6)) && near(reach(1), (0.05, 0.2)) && near(reach(2), (0.2, 0.8)));
    // A triangle of (a and b in equal parts), c and d: its centre of mass.
    let polytope =
        Polytope::new(vec![0.0; 4], vec![1.0; 4], vec![Group { min: 0.0, max: 1.0, ..freeze(&[0.5, 0.5], &[0, 1]) }]);
    let samples = polytope.unwrap().sample(4000, &mut rng(2));
    let mean = |i: usize| samples.iter().map(|w| w[i]).sum::<f64>() / 4000.0;
    assert!((mean(0) - 1.0 / 6.0).abs() < 0.01 && (mean(2) - 1.0 / 3.0).abs() < 0.015, "{} {}", mean(0), mean(2));
}
