//! What a suggestion costs, by the number of observations: 17 domains at three sizes, one metric and thirteen.
//!
//!     cargo bench --bench surrogate                     everything: some minutes
//!     cargo bench --bench surrogate -- suggest/13       suggestions with thirteen metrics
//!     cargo bench --bench surrogate -- --quick          in a hurry
//!     LARGE_FITS=1 cargo bench --bench surrogate -- --quick fit       with the fits that take minutes
//!
//! docs/performance.md has results.

#[path = "../tests/common/problem.rs"]
mod problem;

use std::hint::black_box;
use std::time::Duration;

use admire::optimizer::policy::constants::MOST_EXPECTED;
use admire::optimizer::{Candidates, Optimizer};
use admire::problem::{KernelKind, Observation, OptimizerSettings, Warp, Weights, columns};
use admire::surrogate::{
    ModelSnapshot, Surrogate,
    data::Data,
    fit::negative_log_posterior,
    hyper::{Axis, Layout},
};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use nalgebra::DVector;
use problem::{Owned, Problem, rng};

const DOMAINS: usize = 17;
const METRICS: [usize; 2] = [1, 13];
const SIZES: [usize; 5] = [50, 100, 200, 400, 800];
const KERNEL: (KernelKind, usize) = (KernelKind::SpectralMixture, 1);
/// Metrics times the square of observations beyond which ten fits from scratch take minutes: only on demand.
const MOST_FIT: usize = 13 * 200 * 200;

/// `n` observations: six of ten at the cheapest size, one at the target.
fn runs(problem: &Problem, n: usize) -> Vec<Observation> {
    problem.runs(&[n * 6 / 10, n * 3 / 10, n - n * 6 / 10 - n * 3 / 10], 1)
}

/// Plausible hyperparameters without a fit to all of `runs`: those that fifty give.
fn snapshot(problem: &Problem, runs: &[Observation]) -> ModelSnapshot {
    let fifty = problem.runs(&[30, 15, 5], 1);
    let (_, snapshot) = Surrogate::fit(&Owned::new(problem, KERNEL, fifty).task(), None).expect("a fit");
    ModelSnapshot {
        observations: runs.len(),
        runs: runs.iter().map(|o| o.run).collect(),
        compared: runs.len(),
        ..snapshot
    }
}

fn points(problem: &Problem, p: usize) -> Weights {
    let points = problem.space().polytope().sample(p, &mut rng(2));
    columns(DOMAINS, points.iter().map(Vec::as_slice))
}

/// Every iteration is far slower than the clock is coarse: ten plain samples are enough.
fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    group
}

fn likelihood(c: &mut Criterion) {
    let problem = Problem::new(DOMAINS, 3, 1, 3);
    let mut group = group(c, "likelihood-and-gradient");
    for n in SIZES {
        let runs = runs(&problem, n);
        let y = DVector::from_iterator(n, runs.iter().map(|o| o.metrics[0]));
        let (mean, sd) = (y.mean(), y.variance().sqrt());
        let data = Data {
            x: Warp::Sqrt.warped(&columns(DOMAINS, runs.iter().map(|o| o.mixture.weights()))),
            fidelity: runs.iter().map(|o| o.fidelity.index()).collect(),
            y: y.map(|y| (y - mean) / sd),
            known_noise: vec![0.0; n],
            level_sd: vec![3.0; 3],
        };
        let steps = vec![std::f64::consts::LN_10; 2];
        let layout = Layout {
            kind: KERNEL.0,
            components: KERNEL.1,
            families: (0..DOMAINS).collect(),
            axes: vec![Axis::chain(steps)],
            lengthscale_sd: 0.6,
            saturation: None,
            curves: false,
        };
        let z = DVector::from_vec(layout.start());
        group.bench_function(BenchmarkId::new("1", n), |b| b.iter(|| negative_log_posterior(&data, &layout, &z)));
    }
}

/// From scratch, all metrics.
fn fit(c: &mut Criterion) {
    let mut group = group(c, "fit");
    let large = std::env::var_os("LARGE_FITS").is_some();
    for metrics in METRICS {
        let problem = Problem::new(DOMAINS, 3, metrics, 3);
        for n in SIZES.into_iter().filter(|n| large || metrics * n * n <= MOST_FIT) {
            let owned = Owned::new(&problem, KERNEL, runs(&problem, n));
            group.bench_function(BenchmarkId::new(metrics.to_string(), n), |b| {
                b.iter(|| Surrogate::fit(&owned.task(), None));
            });
        }
    }
}

/// Conditioning on the observations, then the joint posterior of the target objective at 128 mixtures.
fn posterior(c: &mut Criterion) {
    let mut group = group(c, "posterior");
    for metrics in METRICS {
        let problem = Problem::new(DOMAINS, 3, metrics, 3);
        let x = points(&problem, 128);
        for n in SIZES {
            let owned = Owned::new(&problem, KERNEL, runs(&problem, n));
            let snapshot = snapshot(&problem, &owned.observations);
            group.bench_function(BenchmarkId::new(metrics.to_string(), n), |b| {
                b.iter(|| Surrogate::condition(&owned.task(), &snapshot).map(|s| s.posterior(black_box(&x))));
            });
        }
    }
}

/// The next trial anywhere in the space at any size, after the result of a run at the cheapest size, when no refit is due.
fn suggest(c: &mut Criterion) {
    suggestions(&mut group(c, "suggest"), |n| n - 1);
}

/// The same when a refit is due, from the last hyperparameters: the observations have grown by a tenth since.
fn refit_and_suggest(c: &mut Criterion) {
    suggestions(&mut group(c, "refit-and-suggest"), |n| n * 10 / 11);
}

/// Suggestions from `n` observations, `fitted(n)` of which the hyperparameters were fitted to. As in a study, there are models of all
/// observations but the last.
fn suggestions(group: &mut BenchmarkGroup<'_, WallTime>, fitted: impl Fn(usize) -> usize) {
    for metrics in METRICS {
        let problem = Problem::new(DOMAINS, 3, metrics, 3);
        for n in SIZES {
            let mut runs = runs(&problem, n);
            runs.rotate_left(n / 11);
            let snapshot = snapshot(&problem, &runs[..fitted(n)]);
            let (earlier, now) = (problem.evidence(runs[..n - 1].to_vec()), problem.evidence(runs));
            let optimizer = || {
                let mut optimizer = problem.optimizer(OptimizerSettings::default());
                optimizer.restore(snapshot.clone());
                black_box(optimizer.recommend(&earlier, None, &mut rng(4)));
                optimizer
            };
            group.bench_function(BenchmarkId::new(metrics.to_string(), n), |b| {
                let next = |mut optimizer: Optimizer| {
                    (optimizer.suggest(&now, Candidates::Space(&problem::SIZES), &mut rng(4)), optimizer)
                };
                b.iter_batched(optimizer, next, BatchSize::PerIteration);
            });
        }
    }
}

/// What is expected of a mixture, hyperparameters integrated over, as `best` asks once.
fn statement(c: &mut Criterion) {
    let mut group = group(c, "statement");
    for metrics in METRICS {
        let problem = Problem::new(DOMAINS, 3, metrics, 3);
        for n in SIZES.into_iter().filter(|n| *n <= MOST_EXPECTED) {
            let evidence = problem.evidence(runs(&problem, n));
            let snapshot = snapshot(&problem, &evidence.observations);
            let point = [(problem.space().uniform(), problem::SIZES[2])];
            group.bench_function(BenchmarkId::new(metrics.to_string(), n), |b| {
                b.iter(|| {
                    let mut optimizer = problem.optimizer(OptimizerSettings::default());
                    optimizer.restore(snapshot.clone());
                    optimizer.predict(&evidence, &point)
                });
            });
        }
    }
}

criterion_group!(benches, likelihood, fit, posterior, suggest, refit_and_suggest, statement);
criterion_main!(benches);
