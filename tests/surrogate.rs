//! The surrogate of the objective: units and directions, runs under way, sizes nobody has trained, and data that a model
//! could choke on.

#[path = "common/problem.rs"]
mod problem;

use admire::problem::{
    Direction, Fidelities, Fidelity, FidelityId, KernelKind, Mixture, Observation, Past, Reference, RelativeTo,
    Weights, columns,
};
use admire::surrogate::{ModelSnapshot, Scale, Surrogate, Task};
use nalgebra::{DMatrix, DVectorView};
use problem::{Owned, Problem, SIZES, new_run, rng, size};
use rand_distr::{Distribution, StandardNormal};

const KERNELS: [(KernelKind, usize); 4] = [
    (KernelKind::SpectralMixture, 1),
    (KernelKind::SpectralMixture, 2),
    (KernelKind::Matern52, 1),
    (KernelKind::Rbf, 1),
];

fn fit(owned: &Owned) -> Surrogate {
    Surrogate::fit(&owned.task(), None).unwrap().0
}

/// The model with the most probable hyperparameters, and the one that integrates over them.
fn both(owned: &Owned) -> [Surrogate; 2] {
    let (mode, snapshot) = Surrogate::fit(&owned.task(), None).unwrap();
    [mode, Surrogate::integrated(&owned.task(), &snapshot).unwrap()]
}

/// The model of all metrics as they are: on another scale, variances move means.
fn plain(owned: &Owned) -> Surrogate {
    let (_, snapshot) = Surrogate::fit(&owned.task(), None).unwrap();
    Surrogate::condition(&owned.task(), &ModelSnapshot { scales: Vec::new(), ..snapshot }).unwrap()
}

/// Two metrics, both between 0 and 1, modelled on other scales than their own.
fn warped(kernel: (KernelKind, usize), counts: &[usize]) -> Surrogate {
    let mut owned = Owned::new(&Problem::new(4, 3, 2, 14), kernel, Problem::new(4, 3, 2, 14).runs(counts, 15));
    owned.observations.iter_mut().flat_map(|run| &mut run.metrics).for_each(|value| *value *= 0.2);
    let (_, snapshot) = Surrogate::fit(&owned.task(), None).unwrap();
    let scales = vec![Scale::Logarithm, Scale::Logit];
    Surrogate::condition(&owned.task(), &ModelSnapshot { scales, ..snapshot }).unwrap()
}

/// Three metrics, the worst of which counts. Two of them are alike but for their noise, so that which one it is may be unknown.
fn worst(kernel: (KernelKind, usize), counts: &[usize]) -> Owned {
    let mut problem = Problem::new(4, 3, 3, 14).worst();
    problem.noise = 0.1;
    let mut owned = Owned::new(&problem, kernel, problem.runs(counts, 15));
    for run in &mut owned.observations {
        let truth = problem.truth(run.mixture.weights(), run.fidelity.index());
        run.metrics[1] += truth[2] - truth[1];
    }
    owned
}

/// The same, compared with the uniform mixture.
fn compared(kernel: (KernelKind, usize), counts: &[usize]) -> Owned {
    let mut owned = worst(kernel, counts);
    let mixture = Mixture::new(vec![0.25; 4]);
    owned.objective = owned.objective.relative_to(Some(Reference { to: RelativeTo::Uniform, mixture }));
    owned
}

fn points(problem: &Problem, n: usize, seed: u64) -> Weights {
    let points = problem.space().polytope().sample(n, &mut rng(seed));
    columns(problem.domains, points.iter().map(Vec::as_slice))
}

#[track_caller]
fn close(what: &str, a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * a.abs().max(b.abs()), "{what}: {a} against {b}");
}

#[test]
fn a_change_of_unit_changes_nothing_but_the_unit() {
    let problem = Problem::new(4, 2, 2, 1);
    let owned = Owned::new(&problem, KERNELS[0], problem.runs(&[12, 5], 2));
    let (scale, shift) = (1000.0, -700.0);
    let mut other = Owned::new(&problem, KERNELS[0], owned.observations.clone());
    for y in other.observations.iter_mut().flat_map(|o| &mut o.metrics) {
        *y = scale * *y + shift;
    }
    let (one, other, x) = (fit(&owned), fit(&other), points(&problem, 8, 3));
    for m in SIZES.into_iter().take(2) {
        for (a, b) in one.predict(&x, m).into_iter().zip(other.predict(&x, m)) {
            close("mean", scale * a.0 + shift, b.0, 1e-6);
            close("variance", scale * scale * a.1, b.1, 1e-5);
        }
        close("noise", scale * scale * one.noise(m), other.noise(m), 1e-5);
        for (a, b) in one.lookahead(&x, &[m]).remove(0).into_iter().zip(other.lookahead(&x, &[m]).remove(0)) {
            close("reduction", a.reduction / a.variance, b.reduction / b.variance, 1e-5);
        }
    }
}

#[test]
fn metrics_of_different_units_count_alike_with_their_noise_and_standard_errors() {
    let problem = Problem::new(4, 2, 2, 61);
    let mut one = Owned::new(&problem, KERNELS[0], problem.runs(&[12, 5], 62));
    one.observations.iter_mut().for_each(|o| o.se = vec![Some(0.01), Some(0.02)]);
    let mut other = Owned::new(&problem, KERNELS[0], one.observations.clone());
    for o in &mut other.observations {
        (o.metrics[1], o.se[1]) = (1000.0 * o.metrics[1], o.se[1].map(|se| 1000.0 * se));
    }
    other.objective.metrics[1].weight /= 1000.0;
    let (one, other, x) = (fit(&one), fit(&other), points(&problem, 8, 63));
    for m in SIZES.into_iter().take(2) {
        for (a, b) in one.predict(&x, m).into_iter().zip(other.predict(&x, m)) {
            close("mean", a.0, b.0, 1e-6);
            close("variance", a.1, b.1, 1e-5);
        }
        close("noise", one.noise(m), other.noise(m), 1e-5);
    }
}

#[test]
fn maximizing_is_minimizing_the_negative() {
    let problem = Problem::new(4, 2, 2, 4);
    for flip_weight in [false, true] {
        let mut owned = Owned::new(&problem, KERNELS[0], problem.runs(&[10, 4], 5));
        // Values of both signs have no logarithms; only those of one sign could have.
        owned.observations.iter_mut().flat_map(|o| &mut o.metrics).for_each(|y| *y -= 2.7);
        let mut flipped = Owned::new(&problem, KERNELS[0], owned.observations.clone());
        flipped.observations.iter_mut().flat_map(|o| &mut o.metrics).for_each(|y| *y = -*y);
        if flip_weight {
            flipped.objective.metrics.iter_mut().for_each(|m| m.weight = -m.weight);
        } else {
            flipped.objective.direction = Direction::Maximize;
        }
        let (one, other, x) = (fit(&owned), fit(&flipped), points(&problem, 8, 6));
        for m in SIZES.into_iter().take(2) {
            assert_eq!(one.predict(&x, m), other.predict(&x, m));
        }
    }
}

#[test]
fn runs_under_way_leave_means_and_shrink_variances() {
    let problem = Problem::new(4, 3, 2, 7);
    for kernel in KERNELS {
        let surrogate = plain(&Owned::new(&problem, kernel, problem.runs(&[10, 4, 0], 8)));
        let space = problem.space();
        let pending: Vec<(Mixture, FidelityId)> =
            space.polytope().sample(3, &mut rng(9)).into_iter().map(Mixture::new).zip(SIZES).collect();
        let believed = surrogate.with_pending(&pending).unwrap();
        let x = points(&problem, 20, 10);
        for (before, after) in
            surrogate.lookahead(&x, &[size(0)]).remove(0).into_iter().zip(believed.lookahead(&x, &[size(0)]).remove(0))
        {
            close("target mean", before.mean, after.mean, 1e-8);
            assert!(after.variance < before.variance, "variances shrink: {} to {}", before.variance, after.variance);
        }
        for m in SIZES.into_iter().take(3) {
            for (before, after) in surrogate.predict(&x, m).into_iter().zip(believed.predict(&x, m)) {
                close("mean", before.0, after.0, 1e-8);
            }
            let (mixture, _) = &pending[m];
            let there = columns(4, [mixture.weights()]);
            let worth = |s: &Surrogate| s.lookahead(&there, &[m])[0][0].reduction;
            assert!(worth(&believed) < 0.9 * worth(&surrogate), "the run under way teaches less a second time");
        }
    }
}

/// The covariance of the objective that observations remove which move each process by these.
fn removed(surrogate: &Surrogate, x: &Weights, moves: &[DMatrix<f64>]) -> DMatrix<f64> {
    let shares = surrogate.shares(x);
    let share = |(moves, shares): (&DMatrix<f64>, DVectorView<'_, f64>)| {
        (moves * moves.transpose()).component_mul(&(shares * shares.transpose()))
    };
    moves.iter().zip(shares.column_iter()).map(share).sum()
}

#[test]
fn several_runs_at_once_remove_the_variance_that_they_remove_one_after_another() {
    let problem = Problem::new(4, 3, 2, 7);
    for kernel in KERNELS {
        for surrogate in both(&Owned::new(&problem, kernel, problem.runs(&[10, 4, 2], 8))) {
            let (x, z) = (points(&problem, 12, 10), points(&problem, 5, 9));
            let before = surrogate.posterior(&x).1;
            let left = |runs: f64| {
                let moves = surrogate.influence_of_all(&z, size(0), runs, &surrogate.view(&x)).unwrap();
                &before - removed(&surrogate, &x, &moves)
            };
            let once = left(1.0).trace();
            assert!(left(1e9).trace() < left(4.0).trace() && left(4.0).trace() < once && once < before.trace());
            // What is integrated over changes with what is observed: only given hyperparameters are the variances equal.
            let view = surrogate.view(&x);
            let single = surrogate.influence(&z.select(&[0]), size(0), &view);
            let same = surrogate.influence_of_all(&z.select(&[0]), size(0), 1.0, &view).unwrap();
            for (j, (moves, _)) in single.iter().enumerate() {
                close("one run", moves.norm(), same[j].norm(), 1e-6);
            }
        }
        let surrogate = plain(&Owned::new(&problem, kernel, problem.runs(&[10, 4, 2], 8)));
        let (x, z) = (points(&problem, 12, 10), points(&problem, 5, 9));
        let moves = surrogate.influence_of_all(&z, size(0), 1.0, &surrogate.view(&x)).unwrap();
        let mixture = |i: usize| Mixture::new(z.matrix().column(i).iter().copied().collect());
        let pending: Vec<(Mixture, FidelityId)> = (0..5).map(|i| (mixture(i), size(0))).collect();
        let after = surrogate.with_pending(&pending).unwrap().posterior(&x).1;
        let expected = surrogate.posterior(&x).1 - removed(&surrogate, &x, &moves);
        for (a, b) in after.iter().zip(expected.iter()) {
            assert!((a - b).abs() < 1e-6 * after.amax(), "{a} against {b}");
        }
    }
}

#[test]
fn an_untrained_size_is_less_certain_the_farther_it_is() {
    let problem = Problem::new(4, 4, 2, 11);
    for counts in [[12, 0, 0, 0], [12, 5, 0, 0], [1, 0, 0, 0]] {
        for kernel in KERNELS {
            let surrogate = fit(&Owned::new(&problem, kernel, problem.runs(&counts, 12)));
            let x = points(&problem, 5, 13);
            let trained = counts.iter().rposition(|n| *n > 0).unwrap();
            let by_size: Vec<_> = (trained..4).map(|m| surrogate.predict(&x, size(m))).collect();
            for sizes in by_size.windows(2) {
                for (near, far) in sizes[0].iter().zip(&sizes[1]) {
                    assert!(near.0.is_finite() && far.0.is_finite() && far.1.is_finite());
                    assert!(far.1 > near.1, "{kernel:?}, {counts:?}: {} then {}", near.1, far.1);
                }
            }
            // What the cheap size says about mixtures carries over.
            if counts[0] > 1 {
                let (here, there) = (surrogate.predict(&x, size(0)), surrogate.mean(&x));
                let best = |values: Vec<f64>| (0..5).min_by(|a, b| values[*a].total_cmp(&values[*b]));
                assert_eq!(best(here.iter().map(|p| p.0).collect()), best(there.iter().copied().collect()));
            }
        }
    }
}

#[test]
fn outlooks_and_means_have_the_gradients_they_claim() {
    let problem = Problem::new(4, 3, 2, 14);
    for kernel in KERNELS {
        let scaled = warped(kernel, &[10, 5, 3]);
        let mean = both(&Owned::new(&problem, kernel, problem.runs(&[10, 5, 3], 15)));
        let of_worst = [worst, compared].map(|of| fit(&of(kernel, &[10, 5, 3])));
        for surrogate in mean.into_iter().chain([scaled]).chain(of_worst) {
            let x = points(&problem, 1, 16);
            let numbers = |x: &Weights, m: FidelityId| {
                let lookahead = &surrogate.lookahead(x, &[m])[0][0];
                [lookahead.mean, lookahead.variance, lookahead.reduction]
            };
            let slope = |d: usize, f: &dyn Fn(&Weights) -> f64| {
                let at = |h: f64| {
                    let mut x = x.matrix().clone();
                    x[(d, 0)] += h;
                    f(&columns(4, [x.as_slice()]))
                };
                let central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
                (4.0 * central(1e-3) - central(2e-3)) / 3.0
            };
            let (mean, by_mean) = surrogate.mean_with_gradient(&x);
            close("mean", mean, surrogate.mean(&x)[0], 1e-12);
            for m in SIZES.into_iter().take(3) {
                let lookahead = surrogate.lookahead_with_gradient(&x, m);
                let values = numbers(&x, m);
                for (a, b) in [lookahead.mean, lookahead.variance, lookahead.reduction].into_iter().zip(values) {
                    close("lookahead() and lookahead_with_gradient()", a, b, 1e-8);
                }
                assert!(values[2] > 0.0 && values[2] <= values[1], "an observation removes some of the variance");
                for d in 0..4 {
                    for k in 0..3 {
                        let numeric = slope(d, &|x| numbers(x, m)[k]);
                        let error = (lookahead.gradient[k][d] - numeric).abs();
                        assert!(
                            error <= 1e-5 * (numeric.abs() + values[k].abs()),
                            "{kernel:?}: number {k}, domain {d}"
                        );
                    }
                    let numeric = slope(d, &|x| surrogate.mean(x)[0]);
                    assert!((by_mean[d] - numeric).abs() <= 1e-6 * (1.0 + numeric.abs()));
                }
            }
        }
    }
}

/// What the search and what reports ask are moments of the same joint distribution, also of many draws of hyperparameters.
#[test]
fn all_questions_are_about_one_joint_distribution() {
    let problem = Problem::new(4, 3, 2, 47);
    let x = points(&problem, 5, 49);
    let scaled = warped(KERNELS[0], &[8, 5, 3]);
    let mean = both(&Owned::new(&problem, KERNELS[0], problem.runs(&[8, 5, 3], 48)));
    let of_worst = [worst, compared].map(|of| both(&of(KERNELS[0], &[8, 5, 3])));
    for surrogate in mean.into_iter().chain([scaled]).chain(of_worst.into_iter().flatten()) {
        let (mean, covariance) = surrogate.posterior(&x);
        let view = surrogate.view(&x);
        let influence = surrogate.influence(&x, SIZES[2], &view);
        let shares = surrogate.shares(&x);
        for (i, lookahead) in surrogate.lookahead(&x, &[SIZES[2]])[0].iter().enumerate() {
            close("mean", lookahead.mean, mean[i], 1e-9);
            close("variance", lookahead.variance, covariance[(i, i)], 1e-8);
            close("variance of the view", surrogate.view_variance(&view, &shares)[i], covariance[(i, i)], 1e-8);
            // A run at the target moves a mixture's own mean by the variance that it removes.
            let shares_of = || influence.iter().zip(shares.column_iter());
            let moved: f64 = shares_of().map(|((moves, _), share)| (share[i] * moves[(i, i)]).powi(2)).sum();
            close("reduction", lookahead.reduction, moved, 1e-8);
            for j in 0..5 {
                let between: f64 =
                    shares_of().map(|((moves, sd), share)| share[i] * share[j] * moves[(i, j)] * sd[j]).sum();
                close("covariance", between, covariance[(i, j)], 1e-7);
            }
        }
    }
}

#[test]
fn with_few_runs_integrated_hyperparameters_are_less_sure_and_with_many_the_same() {
    let problem = Problem::new(4, 1, 1, 50);
    let x = points(&problem, 20, 51);
    let ratio = |n: usize| {
        let [mode, integrated] = both(&Owned::new(&problem, KERNELS[0], problem.runs(&[n], 52)));
        let sd = |s: &Surrogate| s.predict(&x, size(0)).iter().map(|(_, v)| v.sqrt()).sum::<f64>();
        sd(&integrated) / sd(&mode)
    };
    let (few, many) = (ratio(6), ratio(80));
    assert!(few > 1.2, "{few}");
    assert!((0.7..1.3).contains(&many), "{many}");
}

/// The knowledge gradient needs how far an outcome moves every posterior mean: here against really observing it.
#[test]
fn influence_is_what_an_observation_really_does() {
    let problem = Problem::new(4, 3, 1, 40);
    for kernel in KERNELS {
        let owned = Owned::new(&problem, kernel, problem.runs(&[14, 8, 6], 41));
        let surrogate = fit(&owned);
        let (z, t) = (points(&problem, 1, 42), points(&problem, 6, 43));
        let before = surrogate.mean(&t);
        for m in SIZES.into_iter().take(3) {
            let (expected, _) = surrogate.influence(&z, m, &surrogate.view(&t)).remove(0);
            let (mean, variance) = surrogate.predict(&z, m)[0];
            let mixture = Mixture::new(z.matrix().column(0).iter().copied().collect());
            let metrics = vec![mean + variance.sqrt()];
            let outcome =
                [Observation { run: new_run(), mixture, fidelity: m, metrics, se: vec![None], past: Past::default() }];
            let after = surrogate.extend(&Task { observations: &outcome, ..owned.task() }).unwrap().mean(&t);
            // All move in proportion; the levels, which influence takes as known, move all of them alike.
            let moved = |i: usize| (after[i] - before[i]) - (after[0] - before[0]);
            let claimed = |i: usize| expected[(i, 0)] - expected[(0, 0)];
            let scale = (1..6).map(moved).map(f64::abs).sum::<f64>() / (1..6).map(claimed).map(f64::abs).sum::<f64>();
            assert!(scale > 0.0);
            for i in 1..6 {
                let error = (moved(i) - scale * claimed(i)).abs();
                let size = (1..6).map(moved).map(f64::abs).fold(0.0, f64::max);
                assert!(error < 0.1 * size, "{kernel:?}, size {m:?}: {} against {}", moved(i), scale * claimed(i));
            }
        }
    }
}

#[test]
fn a_model_carried_along_and_one_made_anew_are_the_same() {
    let problem = Problem::new(4, 2, 3, 44);
    let owned = Owned::new(&problem, KERNELS[0], problem.runs(&[12, 6], 45));
    let (first, later) = owned.observations.split_at(14);
    let (mut carried, snapshot) = Surrogate::fit(&Task { observations: first, ..owned.task() }, None).unwrap();
    for run in later {
        carried = carried.extend(&Task { observations: std::slice::from_ref(run), ..owned.task() }).unwrap();
    }
    let anew = Surrogate::condition(&owned.task(), &snapshot).unwrap();
    let x = points(&problem, 6, 46);
    assert_eq!(carried.predict(&x, size(1)), anew.predict(&x, size(1)));
    assert_eq!(carried.leave_one_out(), anew.leave_one_out());
    // And both are what one factorization of everything gives.
    let runs = owned.observations.iter().map(|o| o.run).collect();
    let whole = ModelSnapshot { observations: owned.observations.len(), runs, ..snapshot };
    let whole = Surrogate::condition(&owned.task(), &whole).unwrap();
    for (a, b) in carried.predict(&x, size(1)).into_iter().zip(whole.predict(&x, size(1))) {
        // But for the standardization, which stays that of the last fit.
        close("mean", a.0, b.0, 0.02);
    }
}

#[test]
fn a_snapshot_restores_the_model_exactly() {
    let problem = Problem::new(4, 2, 3, 17);
    let owned = Owned::new(&problem, KERNELS[1], problem.runs(&[10, 4], 18));
    let (fitted, snapshot) = Surrogate::fit(&owned.task(), None).unwrap();
    let restored = Surrogate::condition(&owned.task(), &snapshot).unwrap();
    let x = points(&problem, 6, 19);
    assert_eq!(fitted.predict(&x, size(1)), restored.predict(&x, size(1)));
    assert_eq!(fitted.lookahead(&x, &[size(0)])[0][0].reduction, restored.lookahead(&x, &[size(0)])[0][0].reduction);
    // One of another model is refused.
    let other = Owned::new(&problem, KERNELS[2], owned.observations.clone());
    assert!(Surrogate::condition(&other.task(), &snapshot).is_err());
}

#[test]
fn an_uncertain_measurement_counts_less() {
    let problem = Problem::new(3, 1, 1, 20);
    let honest = Owned::new(&problem, KERNELS[0], problem.runs(&[12], 21));
    let x = columns(3, [honest.observations[0].mixture.weights()]);
    let truth = fit(&honest).predict(&x, size(0))[0].0;
    let pull = |se: Option<f64>| {
        let mut outlier = Owned::new(&problem, KERNELS[0], honest.observations.clone());
        outlier.observations[0].metrics[0] += 0.3;
        outlier.observations[0].se[0] = se;
        (fit(&outlier).predict(&x, size(0))[0].0 - truth).abs()
    };
    assert!(pull(Some(0.5)) < 0.3 * pull(None), "{} and {}", pull(Some(0.5)), pull(None));
}

#[test]
fn a_domain_that_is_gone_is_one_without_weight_from_now_on() {
    let problem = Problem::new(4, 2, 2, 71);
    let whole = Owned::new(&problem, KERNELS[0], problem.runs(&[14, 5], 72));
    let mut rest = Owned::new(&problem, KERNELS[0], whole.observations.clone());
    for o in &mut rest.observations {
        let (kept, gone) = o.mixture.weights().split_at(3);
        let sum: f64 = kept.iter().sum();
        o.past = Past { kept: sum, columns: gone.to_vec() };
        o.mixture = Mixture::new(kept.iter().map(|w| w / sum).collect());
    }
    let (whole, rest) = (fit(&whole), fit(&rest));
    let few = Problem::new(3, 2, 2, 71).space().polytope().sample(5, &mut rng(73));
    for w in few {
        let (x, with_none) = (columns(3, [w.as_slice()]), columns(4, [[&w[..], &[0.0]].concat().as_slice()]));
        for m in SIZES.into_iter().take(2) {
            let (a, b) = (whole.predict(&with_none, m)[0], rest.predict(&x, m)[0]);
            close("mean", a.0, b.0, 1e-6);
            close("variance", a.1, b.1, 1e-4);
            let (a, b) = (whole.lookahead_with_gradient(&with_none, m), rest.lookahead_with_gradient(&x, m));
            for (a, b) in a.gradient.iter().zip(&b.gradient) {
                assert_eq!(b.len(), 3);
                a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-4 * a.abs().max(1e-3), "{a} {b}"));
            }
        }
        let ((a, slope), (b, short)) = (whole.mean_with_gradient(&with_none), rest.mean_with_gradient(&x));
        close("mean", a, b, 1e-6);
        slope[..3].iter().zip(&short).for_each(|(a, b)| close("slope", *a, *b, 1e-4));
        let pending = |w: &[f64]| vec![(Mixture::new(w.to_vec()), size(0))];
        let after =
            |s: &Surrogate, pending: &[(Mixture, FidelityId)], x: &Weights| s.with_pending(pending).unwrap().mean(x)[0];
        close(
            "with a run under way",
            after(&whole, &pending(&[0.2, 0.3, 0.5, 0.0]), &with_none),
            after(&rest, &pending(&[0.2, 0.3, 0.5]), &x),
            1e-6,
        );
    }
}

/// Runs at the cheapest size from mixtures and values.
fn observations(values: &[([f64; 3], f64)]) -> Vec<Observation> {
    values
        .iter()
        .map(|(w, y)| Observation {
            mixture: Mixture::new(w.to_vec()),
            run: new_run(),
            fidelity: size(0),
            metrics: vec![*y, 2.0 * y],
            se: vec![None; 2],
            past: Past::default(),
        })
        .collect()
}

#[test]
fn awkward_data_still_gives_finite_predictions() {
    let problem = Problem::new(3, 2, 2, 22);
    let (a, b, c) = ([0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.8, 0.1]);
    let random = problem.runs(&[12, 0], 23);
    let mapped = |f: fn(f64) -> f64| {
        let mut runs = random.clone();
        runs.iter_mut().flat_map(|o| &mut o.metrics).for_each(|y| *y = f(*y));
        runs
    };
    let with_se = |se: f64| {
        let mut runs = random.clone();
        runs[3].se = vec![Some(se), None];
        runs
    };
    let twice: Vec<Observation> = random.iter().chain(&random).cloned().collect();
    let cases = [
        ("one run", observations(&[(a, 2.5)])),
        ("one run, value 0", observations(&[(a, 0.0)])),
        ("the same run twice", observations(&[(a, 2.5), (a, 2.5)])),
        ("one mixture, two values", observations(&[(a, 2.5), (a, 2.7)])),
        ("one mixture, other values", observations(&[(a, 2.5), (a, 2.7), (b, 2.6), (c, 2.4), (c, 2.0)])),
        ("every run twice", twice),
        ("a constant metric", mapped(|_| 3.25)),
        ("all zero", mapped(|_| 0.0)),
        ("large values", mapped(|y| 1e8 * y)),
        ("large offset", mapped(|y| 1e8 + y)),
        ("small values", mapped(|y| 1e-8 * y)),
        ("negative values", mapped(|y| -y)),
        ("an exact run", with_se(0.0)),
        ("a vague run", with_se(1e6)),
        ("only the target", random.iter().cloned().map(|o| Observation { fidelity: size(1), ..o }).collect()),
    ];
    let x = columns(3, [&a[..], &b, &c, &[1.0 / 3.0; 3]]);
    for (name, runs) in cases {
        for kernel in KERNELS {
            let owned = Owned::new(&problem, kernel, runs.clone());
            let (surrogate, snapshot) = Surrogate::fit(&owned.task(), None)
                .unwrap_or_else(|why| panic!("{name}: no model with {kernel:?}: {why}"));
            assert!(snapshot.hyperparameters.iter().flatten().all(|z| z.is_finite()), "{name}");
            let values: Vec<f64> = runs.iter().map(|o| problem.objective().value(&o.metrics)).collect();
            let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |s, y| (s.0.min(*y), s.1.max(*y)));
            let room = (high - low).max(1e-3 * high.abs()).max(1e-6);
            for m in SIZES.into_iter().take(2) {
                for (mean, variance) in surrogate.predict(&x, m) {
                    assert!(mean.is_finite() && variance.is_finite() && variance > 0.0, "{name}, {kernel:?}");
                    assert!(low - room <= mean && mean <= high + room, "{name}, {kernel:?}: {mean}");
                }
                for lookahead in surrogate.lookahead(&x, &[m]).remove(0) {
                    assert!(lookahead.reduction >= 0.0 && lookahead.reduction <= lookahead.variance, "{name}");
                }
            }
            assert!(surrogate.leave_one_out().iter().all(|(e, v)| e.is_finite() && *v > 0.0), "{name}");
        }
    }
}

#[test]
fn sizes_that_agree_are_told_from_sizes_that_do_not() {
    let (problem, other) = (Problem::new(4, 2, 2, 1), Problem::new(4, 2, 2, 99));
    let agreeing = Owned::new(&problem, KERNELS[0], problem.runs(&[16, 10], 2));
    let mut apart = Owned::new(&problem, KERNELS[0], agreeing.observations.clone());
    for o in apart.observations.iter_mut().filter(|o| o.fidelity == size(1)) {
        *o = other.observe(&o.mixture, size(1), &mut rng(3));
    }
    let (agreeing, apart) = (fit(&agreeing).agreement(), fit(&apart).agreement());
    assert!((agreeing[1].correlation - 1.0).abs() < 1e-12, "the target agrees with itself");
    assert!(agreeing[0].correlation > 0.9, "{agreeing:?}");
    assert!(apart[0].correlation < 0.7, "{apart:?}");
    for one in agreeing.iter().chain(&apart) {
        assert!(one.information <= 1.0 && one.information >= 0.0, "{one:?}");
    }
    assert!(agreeing[0].information > 2.0 * apart[0].information);
}

/// Two sizes agree at their ends, and what both report on their way has nothing to do with that. On one chain of all fidelities, reports of
/// the large size would agree with its end at least as well as the end of the small size.
#[test]
fn sizes_may_agree_although_runs_on_their_way_do_not() {
    let (law, on_the_way) = (Problem::new(4, 4, 2, 1), Problem::new(4, 4, 2, 99));
    let stage = |(params, tokens): (f64, f64)| Fidelity {
        name: format!("{params:e}@{tokens:e}"),
        params: Some(params),
        tokens: Some(tokens),
        cost: Some(params * tokens),
        max_trials: None,
        initial: None,
    };
    let stages = [(1e6, 2e8), (1e6, 1e9), (1e7, 2e8), (1e7, 1e9)].map(stage).to_vec();
    let mut owned = Owned::new(&law, KERNELS[0], Vec::new());
    owned.fidelities = Fidelities::new(stages, None);
    let mixtures = law.space().polytope().sample(26, &mut rng(2));
    for (i, mixture) in mixtures.into_iter().map(Mixture::new).enumerate() {
        let end = if i < 16 { 1 } else { 3 };
        owned.observations.push(on_the_way.observe(&mixture, size(end - 1), &mut rng(3 + i as u64)));
        owned.observations.push(law.observe(&mixture, size(end), &mut rng(103 + i as u64)));
    }
    let task = Task { curves: true, ..owned.task() };
    let agreement = Surrogate::fit(&task, None).unwrap().0.agreement();
    let [_, small, on_its_way, _] = agreement.as_slice() else { unreachable!("there are four stages") };
    assert!(small.correlation > 0.9 && on_its_way.correlation < 0.7, "{agreement:?}");
}

#[test]
fn replicates_without_noise_do_not_break_the_model() {
    // A training command that is a function of the mixture: the same few optima, again and again.
    let problem = Problem::new(3, 2, 1, 1);
    let run = |w: [f64; 3], m: usize| {
        let observation = problem.observe(&Mixture::new(w.to_vec()), size(m), &mut rng(1));
        Observation { metrics: vec![w[0]], ..observation }
    };
    let corners = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5], [0.0, 0.08, 0.92], [0.0, 0.25, 0.75]];
    let others =
        [[0.33, 0.33, 0.34], [0.002, 0.016, 0.982], [0.98, 0.012, 0.008], [0.437, 0.563, 0.0], [0.03, 0.08, 0.89]];
    let mut observations: Vec<Observation> = others.into_iter().map(|w| run(w, 0)).collect();
    observations.push(run([1.0, 0.0, 0.0], 1));
    for round in 0..8 {
        observations.extend(corners.into_iter().map(|w| run(w, 1)));
        observations.push(run(corners[round % 5], 0));
        for kernel in KERNELS {
            let surrogate = fit(&Owned::new(&problem, kernel, observations.clone()));
            let pending: Vec<(Mixture, FidelityId)> =
                (0..20).map(|i| (Mixture::new(corners[i % 5].to_vec()), size(i / 5 % 2))).collect();
            for under_way in 1..=pending.len() {
                let model = surrogate.with_pending(&pending[..under_way]);
                let model = model.unwrap_or_else(|_| panic!("{kernel:?}, round {round}, {under_way} under way"));
                assert!(model.mean(&points(&problem, 3, 2)).iter().all(|mean| mean.is_finite()));
            }
        }
    }
}

/// Runs of one metric, a function of the first weight.
fn of_first_weight(n: usize, value: impl Fn(f64) -> f64) -> Owned {
    let problem = Problem::new(3, 1, 1, 60);
    let mut owned = Owned::new(&problem, KERNELS[0], problem.runs(&[n], 61));
    let mut rng = rng(62);
    for run in &mut owned.observations {
        let luck: f64 = StandardNormal.sample(&mut rng);
        run.metrics = vec![value(run.mixture.weights()[0] + 0.02 * luck)];
    }
    owned
}

#[test]
fn the_scale_of_a_metric_is_chosen_by_evidence() {
    let smooth = |a: f64| 4.0 * (a - 0.3).abs().powf(1.5) - 2.0 * a;
    let logit = |t: f64| 1.0 / (1.0 + (-t).exp());
    let chosen = |owned: &Owned| Surrogate::fit(&owned.task(), None).unwrap().1.scales;
    for (what, owned, scales) in [
        ("a smooth function", of_first_weight(40, smooth), vec![]),
        ("its exponential", of_first_weight(40, |a| (3.0 * smooth(a)).exp()), vec![Scale::Logarithm]),
        ("an exponential that spans a factor of four", of_first_weight(40, |a| smooth(a).exp()), vec![]),
        ("an accuracy", of_first_weight(40, |a| logit(2.0 + 4.0 * smooth(a))), vec![Scale::Logit]),
    ] {
        assert_eq!(chosen(&owned), scales, "{what}");
    }
}

#[test]
fn a_perplexity_is_predicted_as_well_as_its_logarithm() {
    // Of both signs: it has no logarithm of its own.
    let smooth = |a: f64| 4.0 - 30.0 * a + 24.0 * a * a;
    let x = points(&Problem::new(3, 1, 1, 60), 40, 63);
    let (perplexity, logarithm) = (fit(&of_first_weight(30, |a| smooth(a).exp())), fit(&of_first_weight(30, smooth)));
    let (one, other) = (perplexity.predict(&x, size(0)), logarithm.predict(&x, size(0)));
    for (i, ((mean, variance), (log_mean, log_variance))) in one.into_iter().zip(other).enumerate() {
        // The lognormal distribution.
        close("mean", mean, (log_mean + 0.5 * log_variance).exp(), 0.05);
        let factor = log_variance.exp_m1().sqrt();
        assert!(
            mean > 0.0 && (variance.sqrt() / (mean * factor) - 1.0).abs() < 0.3,
            "{i}: {} {factor}",
            variance.sqrt() / mean
        );
    }
    // The difference of two mixtures knows how uncertain each of them is.
    let gains = perplexity.gains(&x.select(&[0, 1]), size(0));
    assert!(gains[0].variance > 0.0 && gains[0].mean.is_finite());
}

#[test]
fn a_value_that_has_no_place_on_the_scale_puts_the_metric_back_on_its_own() {
    let mut owned = of_first_weight(40, |a| (12.0 * (a - 0.3).abs().powf(1.5) - 6.0 * a).exp());
    let (surrogate, snapshot) = Surrogate::fit(&owned.task(), None).unwrap();
    assert_eq!(snapshot.scales, [Scale::Logarithm]);
    owned.observations[7].metrics = vec![-0.5];
    assert!(Surrogate::condition(&owned.task(), &snapshot).is_err());
    let one = Task { observations: &owned.observations[7..8], ..owned.task() };
    assert!(surrogate.extend(&one).is_err());
    let (_, snapshot) = Surrogate::fit(&owned.task(), Some(&snapshot)).unwrap();
    assert!(snapshot.scales.is_empty());
}

/// The worst of several metrics is larger on average than the largest of their means: here against draws of the metrics.
#[test]
fn the_worst_metric_has_the_moments_of_the_largest_of_independent_metrics() {
    let x = points(&Problem::new(4, 3, 3, 14), 12, 16);
    let (mut rng, mut beyond) = (rng(17), 0);
    for surrogate in both(&worst(KERNELS[0], &[12, 4, 3])) {
        let (metrics, noise) = (surrogate.predict_metrics(&x, SIZES[2]), surrogate.metric_noise(SIZES[2]));
        for (i, (mean, variance)) in surrogate.predict(&x, SIZES[2]).into_iter().enumerate() {
            let mut draws = |noisy: f64| -> Vec<f64> {
                let mut value = |j: usize| {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    metrics[j][i].0 + (metrics[j][i].1 + noisy * noise[j]).sqrt() * z
                };
                (0..20_000).map(|_| (0..3).map(&mut value).fold(f64::NEG_INFINITY, f64::max)).collect()
            };
            let square = |draws: &[f64]| draws.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let (worst, run) = (draws(0.0), draws(1.0));
            let (average, spread) = (worst.iter().sum::<f64>() / worst.len() as f64, square(&worst).sqrt());
            assert!((mean - average).abs() < 0.04 * spread, "{mean} against {average} ± {spread}");
            let largest = metrics.iter().map(|metric| metric[i].0).fold(f64::NEG_INFINITY, f64::max);
            beyond += usize::from(mean > largest + 0.2 * spread);
            // But for the factor that corrects for what the errors of metrics have in common, and for levels, which move together.
            let ratio = variance.sqrt() / spread;
            assert!((0.5..2.0).contains(&ratio), "{} against {spread}", variance.sqrt());
            let stated = surrogate.noise_of(&columns(4, [x.matrix().column(i).as_slice()]), SIZES[2]);
            let ratio = stated / (square(&run) - square(&worst));
            assert!((0.3..3.0).contains(&ratio), "noise: {stated}, {ratio} of that of draws");
        }
    }
    assert!(beyond > 4, "which metric is the worst is not known at some mixtures: {beyond}");
}

/// Against draws of the differences of each metric, whose errors the reference shares.
#[test]
fn compared_with_a_reference_the_worst_metric_is_the_largest_of_differences() {
    let (target, mut rng) = (SIZES[2], rng(18));
    let sampled = points(&Problem::new(4, 3, 3, 14), 6, 16);
    let mixtures: Vec<&[f64]> = sampled.matrix().column_iter().map(|w| w.data.into_slice()).collect();
    // The last one is the reference itself.
    let x = columns(4, mixtures.iter().copied().chain([&[0.25; 4][..]]));
    for surrogate in both(&compared(KERNELS[0], &[12, 4, 3])) {
        let predicted = surrogate.predict(&x, target);
        let from_reference = x.select(&[6, 0, 1, 2, 3, 4, 5]);
        let (metrics, gains) =
            (surrogate.metric_gains(&from_reference, target), surrogate.gains(&from_reference, target));
        for (i, (mean, variance)) in predicted[..6].iter().enumerate() {
            let mut value = |j: usize| {
                let z: f64 = StandardNormal.sample(&mut rng);
                metrics[j][i].mean + metrics[j][i].variance.sqrt() * z
            };
            let draws: Vec<f64> =
                (0..20_000).map(|_| (0..3).map(&mut value).fold(f64::NEG_INFINITY, f64::max)).collect();
            let n = draws.len() as f64;
            let average = draws.iter().sum::<f64>() / n;
            let spread = (draws.iter().map(|y| (y - average).powi(2)).sum::<f64>() / n).sqrt();
            assert!((mean - average).abs() < 0.04 * spread, "{mean} against {average} ± {spread}");
            let factor = (variance / spread.powi(2)).sqrt();
            assert!((0.5..2.0).contains(&factor), "{} against {spread}", variance.sqrt());
            // The gain of the reference over a mixture is what the mixture loses by it.
            close("gain", gains[i].mean, *mean, 1e-6);
            close("its variance", gains[i].variance, *variance, 1e-6);
        }
        let (mean, variance) = predicted[6];
        assert!(
            mean.abs() < 1e-6 && variance < 1e-6,
            "nothing is uncertain about the reference itself: {mean} {variance}"
        );
        // Guards and reports see metrics as they were reported.
        let of_metrics = surrogate.predict_metrics(&x, target);
        assert!(of_metrics.iter().flatten().all(|(mean, _)| *mean > 1.0), "{of_metrics:?}");
        let single = columns(4, [mixtures[0]]);
        for (j, metric) in of_metrics.iter().enumerate() {
            close("mean of a metric", surrogate.metric_mean_with_gradient(j, &single).0, metric[0].0, 1e-9);
        }
    }
}
