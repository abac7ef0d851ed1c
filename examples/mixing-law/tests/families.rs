//! A hundred domains in families: docs/measured.md has the figures.

use std::time::Instant;

use admire::optimizer::{Candidates, Optimizer};
use admire::problem::{
    Aggregate, Direction, Evidence, Fidelities, Fidelity, FidelityId, Metric, Objective, Observation,
    OptimizerSettings, Past, RunId, Structure,
};
use admire::space::{Domain, SearchSpace};
use mixing_law::minimize;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const FAMILIES: usize = 10;
const MEMBERS: usize = 10;
const DOMAINS: usize = FAMILIES * MEMBERS;
const CHEAPEST: FidelityId = FidelityId::new(0);
const COSTS: [f64; 2] = [0.01, 1.0];
const NOISE: f64 = 0.005;

/// A log-normal variate around 1.
fn spread(sd: f64, rng: &mut ChaCha8Rng) -> f64 {
    let z: f64 = StandardNormal.sample(rng);
    (sd * z).exp()
}

/// Mixing laws of the first so many families: the rates of a metric are those of a domain's quality and of how much its family helps the
/// metric's.
struct Laws {
    /// Floor, scale and rates by size and metric.
    sizes: [Vec<(f64, f64, Vec<f64>)>; 2],
}

impl Laws {
    fn new(metrics: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let quality: Vec<f64> = (0..DOMAINS).map(|_| spread(0.5, &mut rng)).collect();
        let mut law = |j: usize| {
            let of_family =
                |f: usize, rng: &mut ChaCha8Rng| if f == j { 1.0 } else { 0.3 * rng.random::<f64>().powi(2) };
            let families: Vec<f64> = (0..FAMILIES).map(|f| of_family(f, &mut rng)).collect();
            let rate = 5.0 * spread(0.4, &mut rng);
            let rates = (0..DOMAINS).map(|i| rate * families[i / MEMBERS] * quality[i]).collect();
            (1.5 * spread(0.2, &mut rng), spread(0.4, &mut rng), rates)
        };
        let target: Vec<(f64, f64, Vec<f64>)> = (0..metrics).map(&mut law).collect();
        let mut small = |(floor, scale, rates): &(f64, f64, Vec<f64>)| {
            (floor + 1.0, 1.5 * scale, rates.iter().map(|r| r * spread(0.1, &mut rng)).collect())
        };
        Self { sizes: [target.iter().map(&mut small).collect(), target] }
    }

    /// The mean of the metrics at a size, a convex function, with its gradient.
    fn objective(&self, size: usize, w: &[f64]) -> (f64, Vec<f64>) {
        let (laws, mut value, mut gradient) = (&self.sizes[size], 0.0, vec![0.0; DOMAINS]);
        for (floor, scale, rates) in laws {
            let varying = scale * (-rates.iter().zip(w).map(|(r, x)| r * x).sum::<f64>()).exp();
            value += (floor + varying) / laws.len() as f64;
            gradient.iter_mut().zip(rates).for_each(|(g, r)| *g -= varying * r / laws.len() as f64);
        }
        (value, gradient)
    }
}

/// The share of the gap at the target that so many cheap runs close, and the longest time that a suggestion took.
fn search(laws: &Laws, families: bool, runs: usize, seed: u64) -> (f64, f64) {
    let domain = |i: usize| Domain {
        family: families.then(|| format!("family{}", i / MEMBERS)),
        ..Domain::new(format!("domain{i:02}"))
    };
    let space = SearchSpace::new((0..DOMAINS).map(domain).collect(), vec![], None).unwrap();
    let fidelity = |m: usize| Fidelity {
        name: format!("s{m}"),
        params: Some(1e7 * 100f64.powi(m as i32)),
        tokens: None,
        cost: Some(COSTS[m]),
        max_trials: None,
        initial: None,
    };
    let metric = Metric { name: "loss".into(), weight: 1.0 };
    let objective = Objective::new(vec![metric], Direction::Minimize, Aggregate::Mean);
    let mut settings = OptimizerSettings::default();
    settings.model.structure = Some(Structure::Objective);
    let mut optimizer =
        Optimizer::new(space.clone(), Fidelities::new((0..2).map(fidelity).collect(), None), objective, settings);
    let mut evidence = Evidence { costs: COSTS.to_vec(), ..Evidence::default() };
    let (mut rng, mut longest) = (ChaCha8Rng::seed_from_u64(seed), 0.0_f64);
    for run in 1..=runs as u64 {
        let start = Instant::now();
        let next = optimizer.suggest(&evidence, Candidates::Space(&[CHEAPEST]), &mut rng).unwrap();
        longest = longest.max(start.elapsed().as_secs_f64());
        let luck: f64 = StandardNormal.sample(&mut rng);
        evidence.observations.push(Observation {
            run: RunId::Trial(run),
            metrics: vec![laws.objective(0, next.mixture.weights()).0 + NOISE * luck],
            mixture: next.mixture,
            fidelity: CHEAPEST,
            se: vec![None],
            past: Past::default(),
        });
    }
    optimizer.learn(&evidence);
    let best = optimizer.recommend(&evidence, None, &mut rng).mixture;
    let at_target = |w: &[f64]| laws.objective(1, w);
    let (uniform, optimum) =
        (at_target(space.uniform().weights()).0, minimize(space.polytope(), at_target, 1e-9).value);
    ((uniform - at_target(best.weights()).0) / (uniform - optimum), longest)
}

/// `PROBLEMS=5 METRICS=3 RUNS=150 cargo test --release --package mixing-law --test families -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn on_made_up_laws_of_a_hundred_domains_cheap_runs_close_three_quarters_of_the_gap() {
    let number = |name: &str, default: usize| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let mut closed = [Vec::new(), Vec::new()];
    for seed in 0..number("PROBLEMS", 5) as u64 {
        let laws = Laws::new(number("METRICS", 3), 100 + seed);
        for (families, closed) in [false, true].into_iter().zip(&mut closed) {
            let (share, longest) = search(&laws, families, number("RUNS", 150), seed);
            closed.push(share);
            eprintln!("{seed}: {share:.3} of the gap, families: {families}; the longest suggestion {longest:.2} s");
        }
    }
    let [without, with] = closed.map(|mut shares| {
        shares.sort_by(f64::total_cmp);
        shares[shares.len() / 2]
    });
    eprintln!("median {without:.3} without families, {with:.3} with them");
    assert!(with > 0.75);
}
