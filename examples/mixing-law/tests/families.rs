//! Hundreds of domains in families: docs/measured.md has the figures.

use std::time::Instant;

use admire::optimizer::{Candidates, Optimizer};
use admire::problem::{
    Aggregate, Direction, Evidence, Fidelities, Fidelity, FidelityId, Metric, Objective, Observation, OptimizerSettings,
    Past, RunId, Structure,
};
use admire::space::{self, SearchSpace};
use mixing_law::{Domain, Law, Problem, Recipe, Regime, Size};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const FAMILIES: usize = 10;
const MEMBERS: usize = 10;
const CHEAPEST: FidelityId = FidelityId::new(0);

fn spread(sd: f64, rng: &mut ChaCha8Rng) -> f64 {
    let z: f64 = StandardNormal.sample(rng);
    (sd * z).exp()
}

/// Ten families of ten domains, and a metric for each family.
fn made_up(seed: u64, within: f64, metrics: usize) -> Problem {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = FAMILIES * MEMBERS;
    let laws = |rng: &mut ChaCha8Rng| -> Vec<Law> {
        let quality: Vec<f64> = (0..n).map(|_| spread(within, rng)).collect();
        (0..metrics)
            .map(|j| {
                let transfer: Vec<f64> = (0..FAMILIES)
                    .map(|f| if f == j { 1.0 } else { 0.3 * rng.random::<f64>().powi(2) })
                    .collect();
                let rate = 5.0 * spread(0.4, rng);
                let floor = 1.5 * spread(0.2, rng);
                let scale = spread(0.4, rng);
                Law { floor, scale, rates: (0..n).map(|i| rate * transfer[i / MEMBERS] * quality[i]).collect() }
            })
            .collect()
    };
    let target = laws(&mut rng);
    let cheap = target
        .iter()
        .map(|law| Law {
            floor: law.floor + 1.0,
            scale: law.scale * 1.5,
            rates: law.rates.iter().map(|r| r * spread(0.1, &mut rng)).collect(),
        })
        .collect();
    let name = |i: usize| format!("domain{i:02}");
    let size = |name: &str, params: f64, cost: f64, laws| Size { name: name.into(), params, tokens: 20.0 * params, cost, laws };
    Problem {
        name: "made-up".into(),
        noise: 0.005,
        domains: (0..n)
            .map(|i| Domain { name: name(i), family: format!("family{}", i / MEMBERS), tokens: 1e15 })
            .collect(),
        groups: vec![],
        max_epochs: 4.0,
        metrics: (0..metrics).map(|j| format!("family{j}")).collect(),
        sizes: vec![size("small", 1e7, 0.01, cheap), size("target", 1e9, 1.0, target)],
    }
}

/// The space of a problem, with families or without.
fn space(problem: &Problem, families: bool) -> SearchSpace {
    let space = problem.space().unwrap();
    let domains = problem.domains.iter().zip(space.domains());
    let domains = domains.map(|(d, domain)| space::Domain { family: families.then(|| d.family.clone()), ..domain.clone() });
    let groups = problem.groups.iter().map(|g| space::GroupSpec {
        name: g.name.clone(),
        domains: g.domains.clone(),
        min: g.min,
        max: g.max,
        freeze: None,
    });
    SearchSpace::new(domains.collect(), groups.collect(), space.limits()).unwrap()
}

fn search(problem: &Problem, families: bool, single: bool, runs: usize, seed: u64) -> (f64, f64) {
    let fidelity = |s: &Size| Fidelity {
        name: s.name.clone(),
        params: Some(s.params),
        tokens: Some(s.tokens),
        cost: Some(s.cost),
        max_trials: None,
        initial: None,
    };
    let fidelities = Fidelities::new(problem.sizes.iter().map(fidelity).collect(), None);
    let n = problem.metrics.len();
    let metric = |name: &String| Metric { name: name.clone(), weight: 1.0 / n as f64 };
    let objective = Objective::new(problem.metrics.iter().map(metric).collect(), Direction::Minimize, Aggregate::Mean);
    let mut settings = OptimizerSettings::default();
    settings.model.lengthscale_sd = std::env::var("LSD").ok().map(|s| s.parse().unwrap());
    if single {
        settings.model.structure = Some(Structure::Objective);
    }
    let mut optimizer = Optimizer::new(space(problem, families), fidelities, objective, settings);
    let mut evidence =
        Evidence { costs: problem.sizes.iter().map(|s| s.cost).collect(), ..Evidence::default() };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut longest = 0.0_f64;
    for i in 0..runs {
        let start = Instant::now();
        let next = optimizer.suggest(&evidence, Candidates::Space(&[CHEAPEST]), &mut rng).unwrap();
        longest = longest.max(start.elapsed().as_secs_f64());
        let metrics = problem.train(&problem.sizes[0], next.mixture.weights(), 1000 * seed + i as u64);
        evidence.observations.push(Observation {
            run: RunId::Trial(i as u64 + 1),
            mixture: next.mixture,
            fidelity: CHEAPEST,
            se: vec![None; metrics.len()],
            metrics,
            past: Past::default(),
        });
        if [50, 100, 150].contains(&(i + 1)) {
            let mut asked = optimizer.clone();
            asked.learn(&evidence);
            let best = asked.recommend(&evidence, None, &mut rng.clone());
            eprint!(" {}: {:.3}", i + 1, problem.share_closed(best.mixture.weights()).unwrap());
        }
    }
    optimizer.learn(&evidence);
    let best = optimizer.recommend(&evidence, None, &mut rng);
    (problem.share_closed(best.mixture.weights()).unwrap(), longest)
}

#[test]
#[ignore = "takes minutes"]
fn families_help_on_made_up_laws() {
    let number = |name: &str, default: f64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (kind, within) = (number("KIND", 0.0), number("WITHIN", 0.5));
    let single = number("SINGLE", 0.0) > 0.0;
    for seed in 0..number("PROBLEMS", 5.0) as u64 {
        let problem = if kind == 0.0 {
            made_up(seed, within, number("METRICS", 10.0) as usize)
        } else {
            Recipe { domains: 100, regime: Regime::Agree, noise: 0.005, seed }.problem().unwrap()
        };
        let gap = problem.gap().unwrap();
        let optimum = problem.optimum(problem.target()).unwrap().weights;
        let used = optimum.iter().filter(|w| **w > 1e-3).count();
        let cheap = problem.optimum(&problem.sizes[0]).unwrap().weights;
        eprintln!("{seed}: gap {gap:.4?}, {used} domains used; cheap optimum closes {:.3}", problem.share_closed(&cheap).unwrap());
        for families in [false, true] {
            if number("ONLY", 2.0) != 2.0 && (number("ONLY", 2.0) == 1.0) != families {
                continue;
            }
            let start = Instant::now();
            let (share, longest) = search(&problem, families, single, number("RUNS", 150.0) as usize, seed);
            eprintln!(" | families {families}: {share:.3}, {:.0} s, longest {longest:.2}", start.elapsed().as_secs_f64());
        }
    }
}
