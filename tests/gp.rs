//! The Gaussian process: every derivative against finite differences, positive definiteness, and what must not depend on
//! the order of domains.

use std::sync::Arc;

use admire::problem::{KernelKind, Warp, columns};
use admire::space::Warped;
use admire::surrogate::{
    Joint, Saturation,
    data::Data,
    fit::{fit, negative_log_posterior},
    gp::{Gp, differences},
    hyper::{Axis, Hyperparameters, Layout, Term},
    linalg::Cholesky,
};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

const KINDS: [KernelKind; 3] = [KernelKind::SpectralMixture, KernelKind::Matern52, KernelKind::Rbf];

/// A kernel with its number of components: only spectral mixtures have more than one, but all must be able to.
fn kernel() -> impl Strategy<Value = (KernelKind, usize)> {
    (prop::sample::select(&KINDS[..]), 1..=3usize)
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn mixtures(dim: usize, n: usize, rng: &mut impl Rng) -> Warped {
    let mixtures: Vec<Vec<f64>> = (0..n)
        .map(|_| {
            let shares: Vec<f64> = (0..dim).map(|_| Exp1.sample(rng)).collect();
            let total: f64 = shares.iter().sum();
            shares.iter().map(|s| s / total).collect()
        })
        .collect();
    Warp::Sqrt.warped(&columns(dim, mixtures.iter().map(Vec::as_slice)))
}

fn layout((kind, components): (KernelKind, usize), dim: usize, sizes: usize) -> Layout {
    Layout {
        kind,
        components,
        families: (0..dim).collect(),
        axes: vec![Axis::chain(vec![2.3, 1.1, 4.0][..sizes - 1].to_vec())],
        lengthscale_sd: 0.6,
        saturation: None,
        curves: false,
    }
}

/// Unique data that most weights repeat, and the more often the larger the run is.
fn saturation(dim: usize, sizes: usize) -> Saturation {
    let unique = (0..sizes).map(|m| (0..dim).map(|d| 0.03 / (1.0 + (m + d) as f64)).collect()).collect();
    Saturation { warp: Warp::Sqrt, unique: Arc::new(unique), decay: f64::INFINITY }
}

/// Runs of random mixtures at every size in turn, some with a known noise.
fn data(dim: usize, sizes: usize, n: usize, rng: &mut impl Rng) -> Data {
    let fidelity: Vec<usize> = (0..n).map(|i| i % sizes).collect();
    Data {
        x: mixtures(dim, n, rng),
        y: DVector::from_fn(n, |_, _| normal(rng)),
        known_noise: (0..n).map(|i| if i % 3 == 0 { 0.01 * rng.random::<f64>() } else { 0.0 }).collect(),
        level_sd: (0..sizes).map(|m| if m == 0 { 3.0 } else { 1.0 }).collect(),
        fidelity,
    }
}

fn parameters(layout: &Layout, rng: &mut impl Rng) -> Vec<f64> {
    (0..layout.len()).map(|_| 0.7 * normal(rng)).collect()
}

/// The derivative by central differences, with one Richardson step: error O(h⁴).
fn slope(h: f64, f: impl Fn(f64) -> f64) -> f64 {
    let central = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    (4.0 * central(h) - central(2.0 * h)) / 3.0
}

fn moved(x: &Warped, d: usize, by: f64) -> Warped {
    let mut x = x.matrix().clone();
    x[(d, 0)] += by;
    Warped::new(x)
}

/// The points with their domains in another order.
fn reordered(x: &Warped, order: &[usize]) -> Warped {
    Warped::new(x.matrix().select_rows(order))
}

#[track_caller]
fn close(what: &str, a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0), "{what}: {a} against {b}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_log_posterior_has_the_gradient_it_claims(
        kernel in kernel(), three in any::<bool>(), dim in 1..5usize, n in 1..12usize, pairs in any::<bool>(),
        repeats in any::<bool>(), curves in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let sizes = if three { 3 } else { 1 };
        let (mut layout, mut data) = (layout(kernel, dim, sizes), data(dim, sizes, n, rng));
        if curves {
            // One training run of each mixture, logged at every size.
            data.x = data.x.select(&(0..n).map(|i| i - i % sizes).collect::<Vec<_>>());
            layout.curves = true;
            if three {
                // A small model on its way and in the end, and a large one on its way.
                layout.axes = vec![Axis::through(&[0.0, 0.0, 2.3]), Axis::through(&[-1.1, 0.0, -1.1])];
            }
        }
        if pairs {
            layout.families = (0..dim).map(|d| d / 2).collect();
        }
        if repeats {
            layout.saturation = Some(saturation(dim, sizes));
        }
        let z = DVector::from_vec(parameters(&layout, rng));
        let (_, gradient) = negative_log_posterior(&data, &layout, &z).unwrap();
        prop_assert_eq!(gradient.len(), layout.len());
        for i in 0..z.len() {
            let along = slope(1e-3, |h| {
                let mut z = z.clone();
                z[i] += h;
                negative_log_posterior(&data, &layout, &z).unwrap().0
            });
            close(&format!("derivative {i} of {}", z.len()), gradient[i], along, 1e-6);
        }
    }

    #[test]
    fn covariance_matrices_are_symmetric_and_positive_definite(
        kernel in kernel(), dim in 1..6usize, n in 1..16usize, seed in any::<u64>(),
    ) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let layout = layout(kernel, dim, 4);
        let x = mixtures(dim, n, rng);
        let mut total = DMatrix::zeros(n, n);
        for Term { kernel, sizes } in layout.natural(&parameters(&layout, rng)).terms {
            let k = kernel.matrix(&kernel.prepare(&x));
            prop_assert_eq!(&k, &k.transpose());
            close("variance", k[(0, 0)], kernel.variance(), 1e-14);
            let cross = kernel.cross(&kernel.prepare(&x), &x);
            prop_assert!((&cross - &k).amax() < 1e-12 * kernel.variance());
            let smallest = |k: &DMatrix<f64>| k.symmetric_eigenvalues().min();
            prop_assert!(smallest(&k) > -1e-12 * n as f64 * kernel.variance());
            let b = DMatrix::from_fn(4, 4, |i, j| sizes[i][j]);
            prop_assert!(smallest(&b) > 0.0);
            total += DMatrix::from_fn(n, n, |i, j| k[(i, j)] * sizes[i % 4][j % 4]);
        }
        // With the least noise the whole matrix can be factored.
        (0..n).for_each(|i| total[(i, i)] += 1e-8);
        prop_assert!(Cholesky::new(total).is_some());
    }

    #[test]
    fn posteriors_have_the_gradients_they_claim(
        kernel in kernel(), dim in 2..5usize, n in 1..12usize, m in 0..3usize, target in 0..3usize,
        repeats in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let saturation = repeats.then(|| saturation(dim, 3));
        let (layout, data) = (Layout { saturation, ..layout(kernel, dim, 3) }, data(dim, 3, n, rng));
        let gp = Gp::condition(&data, layout.natural(&parameters(&layout, rng))).unwrap();
        let z = mixtures(dim, 1, rng);

        let (mean, by_mean) = gp.mean_with_gradient(&z, target);
        close("mean", mean, gp.mean(&z, target)[0], 1e-10);
        let (value, plain) = (gp.joint_with_gradient(&z, m, target), &gp.joint(&z, &[m], target)[0][0]);
        let numbers = |j: &Joint| [j.mean, j.variance, j.variance_observed, j.covariance, j.mean_observed];
        for (a, b) in numbers(&value).into_iter().zip(numbers(plain)) {
            close("joint() and joint_with_gradient()", a, b, 1e-8);
        }
        // Where a domain begins to be repeated, second derivatives jump.
        let tolerance = if repeats { 1e-3 } else { 1e-5 };
        for d in 0..dim {
            let along = |f: &dyn Fn(&Warped) -> f64| slope(1e-3, |h| f(&moved(&z, d, h)));
            close("mean", by_mean[d], along(&|z| gp.mean(z, target)[0]), tolerance);
            for (k, gradient) in value.gradient.iter().enumerate() {
                let numeric = along(&|z| numbers(&gp.joint(z, &[m], target)[0][0])[k]);
                close(&format!("joint number {k}"), gradient[d], numeric, tolerance);
            }
        }
    }

    #[test]
    fn sums_of_covariances_have_the_gradient_they_claim(
        kernel in kernel(), dim in 1..5usize, n in 1..8usize, seed in any::<u64>(),
    ) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let layout = layout(kernel, dim, 1);
        let kernel = layout.natural(&parameters(&layout, rng)).terms.swap_remove(0).kernel;
        let (x, z) = (mixtures(dim, n, rng), mixtures(dim, 1, rng));
        let prepared = kernel.prepare(&x);
        let coefficients: [Vec<f64>; 2] = std::array::from_fn(|_| (0..n).map(|_| normal(rng)).collect());
        let gradients = kernel.point_gradient(&prepared, &z, [&coefficients[0], &coefficients[1]]);
        for (c, gradient) in coefficients.iter().zip(gradients) {
            for d in 0..dim {
                let numeric = slope(1e-3, |h| {
                    kernel.cross(&prepared, &moved(&z, d, h)).column(0).dot(&DVector::from_column_slice(c))
                });
                close("point gradient", gradient[d], numeric, 1e-6);
            }
        }
    }

    #[test]
    fn posteriors_agree_with_one_another(kernel in kernel(), n in 1..12usize, m in 0..3usize, seed in any::<u64>()) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (dim, p) = (4, 5);
        let (layout, data) = (layout(kernel, dim, 3), data(dim, 3, n, rng));
        let gp = Gp::condition(&data, layout.natural(&parameters(&layout, rng))).unwrap();
        let z = mixtures(dim, p, rng);
        let (mean, covariance) = gp.posterior(&z, m);
        let (predicted, joint) = (gp.predict(&z, m), gp.joint(&z, &[(m + 1) % 3], m).remove(0));
        for i in 0..p {
            close("mean", mean[i], predicted[i].mean, 1e-10);
            close("mean", mean[i], joint[i].mean, 1e-10);
            close("variance", covariance[(i, i)], predicted[i].variance, 1e-10);
            close("variance", covariance[(i, i)], joint[i].variance, 1e-10);
            prop_assert!(predicted[i].level_variance >= 0.0);
            prop_assert!(joint[i].covariance.powi(2) <= joint[i].variance * joint[i].variance_observed * (1.0 + 1e-9));
        }
    }

    #[test]
    fn leave_one_out_is_what_leaving_one_out_gives(kernel in kernel(), n in 2..10usize, seed in any::<u64>()) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let layout = layout(kernel, 3, 1);
        // Levels are taken as known in the closed form: pin them.
        let all = Data { level_sd: vec![1e-7], ..data(3, 1, n, rng) };
        let hyper = layout.natural(&parameters(&layout, rng));
        let gp = Gp::condition(&all, hyper.clone()).unwrap();
        let (i, kept) = (rng.random_range(0..n), |i: usize| (0..n).filter(move |j| *j != i));
        let rest = Data {
            x: all.x.select(&kept(i).collect::<Vec<_>>()),
            fidelity: vec![0; n - 1],
            y: all.y.clone().remove_row(i),
            known_noise: kept(i).map(|j| all.known_noise[j]).collect(),
            level_sd: all.level_sd.clone(),
        };
        let noise = hyper.noise[0] + all.known_noise[i];
        let without = Gp::condition(&rest, hyper).unwrap().predict(&all.x.select(&[i]), 0)[0];
        let (mean, variance) = gp.leave_one_out()[i];
        close("mean", mean, without.mean, 1e-7);
        close("variance", variance, without.variance + noise, 1e-7);
    }

    #[test]
    fn domains_are_interchangeable(kernel in kernel(), seed in any::<u64>()) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (dim, sizes, n) = (5, 2, 10);
        let (layout, data) = (layout(kernel, dim, sizes), data(dim, sizes, n, rng));
        let mut order: Vec<usize> = (0..dim).collect();
        order.shuffle(rng);
        let permuted = Data { x: reordered(&data.x, &order), ..data.clone() };
        let z = mixtures(dim, 4, rng);

        let mut hyper = layout.natural(&parameters(&layout, rng));
        let one = Gp::condition(&data, hyper.clone()).unwrap();
        for component in hyper.terms.iter_mut().flat_map(|term| &mut term.kernel.components) {
            let pick = |v: &Vec<f64>| order.iter().filter_map(|i| v.get(*i).copied()).collect();
            component.lengthscales = pick(&component.lengthscales);
            component.frequencies = pick(&component.frequencies);
        }
        let other = Gp::condition(&permuted, hyper).unwrap();
        close("likelihood", one.log_likelihood(), other.log_likelihood(), 1e-9);
        let difference = one.mean(&z, 1) - other.mean(&reordered(&z, &order), 1);
        prop_assert!(difference.amax() < 1e-9);
    }
}

/// The covariance of the noise-free values at the points `x` of a process with one size.
fn noise_free(hyper: &Hyperparameters, x: &Warped) -> DMatrix<f64> {
    let of_term = |term: &Term| term.kernel.matrix(&term.kernel.prepare(x)) * term.sizes[0][0];
    hyper.terms.iter().map(of_term).sum()
}

/// At the mode of the prior: sizes whose logarithms differ by 2.3 and 3.4 have coarse parts that are nearly the same, and fine parts, a third
/// as wide and with a twentieth of the variance, that are less alike the farther they are apart.
#[test]
fn the_fine_parts_of_sizes_are_less_alike_than_the_coarse_ones() {
    let layout = layout((KernelKind::SpectralMixture, 1), 2, 3);
    let hyper = layout.natural(&vec![0.0; layout.len()]);
    let [coarse, fine] = hyper.terms.as_slice() else { panic!("{:?}", hyper.terms) };
    close("variance", fine.kernel.variance() / coarse.kernel.variance(), (-3.0f64).exp(), 1e-12);
    let lengthscale = |term: &Term| term.kernel.components[0].lengthscales[1];
    close("length-scale", lengthscale(fine) / lengthscale(coarse), 1.0 / 3.0, 1e-12);
    let correlation = |term: &Term, a: usize, b: usize| term.sizes[a][b] / (term.sizes[a][a] * term.sizes[b][b]).sqrt();
    let (rate, decline) = ((-2.0f64).exp(), (-1.2f64).exp());
    close("coarse", correlation(coarse, 0, 1), (1.0 + 2.3 * rate).sqrt().recip(), 1e-12);
    close("coarse", correlation(coarse, 0, 2), (1.0 + 3.4 * rate).sqrt().recip(), 1e-12);
    close("fine", correlation(fine, 0, 1), (-2.3 * decline).exp(), 1e-12);
    close("fine", correlation(fine, 1, 2), (-1.1 * decline).exp(), 1e-12);
    close("fine", correlation(fine, 2, 0), (-3.4 * decline).exp(), 1e-12);
}

/// Sixty runs at a small size have a rough shape, and details that the target does not have, as eight runs there show. The target is
/// predicted well by the shape alone. With one correlation for both, the error would be six times as large, and inside of the stated
/// intervals at a third of the places.
#[test]
fn the_shape_of_a_small_size_is_expected_of_the_target_without_its_details() {
    let places: Vec<f64> = (0..60).map(|i| (f64::from(i) + 0.5) / 60.0).collect();
    let at_target: Vec<f64> = (0..8).map(|i| (f64::from(i) + 0.5) / 8.0).collect();
    let x = |places: &[f64]| {
        let mixtures: Vec<[f64; 2]> = places.iter().map(|a| [*a, 1.0 - a]).collect();
        Warp::Sqrt.warped(&columns(2, mixtures.iter().map(|w| w.as_slice())))
    };
    let shape = |a: f64| 2.0 * (a - 0.3).powi(2) / 0.3;
    let details = |a: f64| 0.3 * (25.0 * a).sin();
    let small = places.iter().map(|a| shape(*a) + details(*a));
    let y: Vec<f64> = small.chain(at_target.iter().map(|a| shape(*a))).collect();
    let data = Data {
        x: x(&places).followed_by(&x(&at_target)),
        fidelity: [vec![0; 60], vec![1; 8]].concat(),
        known_noise: vec![0.0; y.len()],
        y: DVector::from_vec(y),
        level_sd: vec![3.0; 2],
    };
    let layout = layout((KernelKind::SpectralMixture, 1), 2, 2);
    let (z, _) = fit(&data, &layout, &[layout.start()], 200).unwrap();
    let gp = Gp::condition(&data, layout.natural(&z)).unwrap();
    let predicted = gp.predict(&x(&places), 1);
    let over = |value: &dyn Fn(usize) -> f64| (0..60).map(value).sum::<f64>() / 60.0;
    let error = |i: usize| predicted[i].mean - shape(places[i]);
    let rms = over(&|i| error(i).powi(2)).sqrt();
    let inside = over(&|i| f64::from(u8::from(error(i).abs() < 1.645 * predicted[i].variance.sqrt())));
    assert!(rms < 0.06, "{rms}");
    assert!(inside > 0.8, "{inside}");
}

/// A level with a normal prior is a constant added to the covariance of all runs: with it, differences are plain conditionals.
#[test]
fn differences_know_that_the_level_is_not_known() {
    let rng = &mut ChaCha8Rng::seed_from_u64(9);
    let (dim, n) = (3, 6);
    let data = data(dim, 1, n, rng);
    let layout = layout((KernelKind::Rbf, 1), dim, 1);
    let hyper = layout.natural(&parameters(&layout, rng));
    let z = mixtures(dim, 3, rng);
    let found = Gp::condition(&data, hyper.clone()).unwrap().combinations(&z, 0, &differences(&vec![1.0; z.len()]));

    let all = data.x.followed_by(&z);
    let k = noise_free(&hyper, &all).add_scalar(data.level_sd[0].powi(2));
    let mut runs = k.view((0, 0), (n, n)).into_owned();
    (0..n).for_each(|i| runs[(i, i)] += hyper.noise[0] + data.known_noise[i]);
    let weights = Cholesky::new(runs).unwrap().solve(k.view((0, n), (n, 3)).into_owned());
    let mean = weights.tr_mul(&data.y);
    let covariance = k.view((n, n), (3, 3)) - weights.tr_mul(&k.view((0, n), (n, 3)));
    for (i, (difference, variance)) in (1..3).zip(found) {
        close("difference", difference, mean[i] - mean[0], 1e-9);
        let expected = covariance[(0, 0)] + covariance[(i, i)] - 2.0 * covariance[(0, i)];
        close("variance of the difference", variance, expected, 1e-7);
    }
}

/// The same for the likelihood: it differs from the normal density with a constant in the covariance by a constant.
#[test]
fn the_marginal_likelihood_has_its_levels_integrated_out() {
    let rng = &mut ChaCha8Rng::seed_from_u64(10);
    let (dim, n) = (3, 6);
    let data = data(dim, 1, n, rng);
    let layout = layout((KernelKind::Rbf, 1), dim, 1);
    let mut offset = || {
        let hyper = layout.natural(&parameters(&layout, rng));
        let k = noise_free(&hyper, &data.x).add_scalar(data.level_sd[0].powi(2));
        let k = Cholesky::new(
            k + DMatrix::from_fn(n, n, |i, j| if i == j { hyper.noise[0] + data.known_noise[i] } else { 0.0 }),
        )
        .unwrap();
        let density = -0.5 * (k.solve(data.y.clone()).dot(&data.y) + k.log_determinant());
        Gp::condition(&data, hyper).unwrap().log_marginal() - density
    };
    let (one, other) = (offset(), offset());
    close("log marginal likelihood", one, other, 1e-8);
}

#[test]
fn fits_do_not_depend_on_the_order_of_domains() {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let (dim, n) = (5, 24);
    let order = [3, 0, 4, 1, 2];
    let mut data = data(dim, 2, n, rng);
    // One domain matters, so that the length-scales differ.
    data.y = DVector::from_fn(n, |i, _| 6.0 * (data.x.matrix()[(1, i)] - 0.4) + 0.1 * normal(rng));
    let permuted = Data { x: reordered(&data.x, &order), ..data.clone() };
    let z = mixtures(dim, 6, rng);
    for kind in KINDS {
        let layout = layout((kind, 1), dim, 2);
        let (one, value) = fit(&data, &layout, &[layout.start()], 40).unwrap();
        let (other, other_value) = fit(&permuted, &layout, &[layout.start()], 40).unwrap();
        close("log posterior", value, other_value, 1e-6);
        let (one, other) = (layout.natural(&one), layout.natural(&other));
        let lengthscales = |h: &Hyperparameters| h.terms[0].kernel.components[0].lengthscales.clone();
        for (a, b) in order.iter().map(|i| lengthscales(&one)[*i]).zip(lengthscales(&other)) {
            close("length-scale", a, b, 1e-6);
        }
        let (one, other) = (Gp::condition(&data, one).unwrap(), Gp::condition(&permuted, other).unwrap());
        assert!((one.mean(&z, 1) - other.mean(&reordered(&z, &order), 1)).amax() < 1e-6, "{kind:?}");
    }
}

#[test]
fn a_fit_improves_on_every_start_and_finds_a_stationary_point() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let data = data(3, 2, 20, rng);
    for kind in KINDS {
        let layout = layout((kind, 1), 3, 2);
        let starts = [layout.start(), parameters(&layout, rng)];
        let (z, value) = fit(&data, &layout, &starts, 200).unwrap();
        for start in &starts {
            let (from, _) = negative_log_posterior(&data, &layout, &DVector::from_column_slice(start)).unwrap();
            assert!(value <= from);
        }
        let (again, gradient) = negative_log_posterior(&data, &layout, &DVector::from_vec(z)).unwrap();
        assert_eq!(value, again);
        assert!(gradient.amax() < 0.02, "{kind:?}: {}", gradient.amax());
    }
}

#[test]
fn fidelities_that_are_nearly_as_far_share_a_place() {
    let Axis { places, steps } = Axis::through(&[-1.61, 0.0, -1.58, -0.9]);
    assert_eq!(places, [0, 2, 0, 1]);
    assert!((steps[0] - 0.71).abs() < 1e-12 && (steps[1] - 0.9).abs() < 1e-12);
}

/// Of four domains the first matters. What runs say nothing about, the second of its family and another domain, differs by the family.
#[test]
fn domains_of_a_family_are_expected_to_matter_alike() {
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    let mut data = data(4, 1, 24, rng);
    let mut points = data.x.matrix().clone();
    points.rows_mut(2, 2).fill(0.1);
    data.y = DVector::from_fn(24, |i, _| 4.0 * (9.0 * points[(0, i)]).sin());
    data.x = Warped::new(points);
    let lengthscales = |families: [usize; 4]| {
        let layout = Layout { families: families.to_vec(), ..layout((KernelKind::Rbf, 1), 4, 1) };
        let (z, _) = fit(&data, &layout, &[layout.start()], 40).unwrap();
        layout.natural(&z).terms[0].kernel.components[0].lengthscales.clone()
    };
    let alone = lengthscales([0, 1, 2, 3]);
    assert!((alone[2] - alone[3]).abs() < 1e-3 && alone[0] < 0.8 * alone[2], "{alone:?}");
    let families = lengthscales([0, 1, 0, 2]);
    assert!(families[2] < 0.9 * families[3] && families[0] < families[2], "{families:?}");
}
