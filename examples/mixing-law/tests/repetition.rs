//! Searches where the target repeats data: docs/measured.md has the figures.

use admire::optimizer::{Candidates, Optimizer};
use admire::problem::{
    Aggregate, Direction, Evidence, Fidelities, Fidelity, FidelityId, Metric, Objective, Observation,
    OptimizerSettings, Past, Repetition, RunId, effective_weight,
};
use admire::space::{Domain, SearchSpace};
use mixing_law::minimize;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const DOMAINS: usize = 17;
const METRICS: usize = 2;
/// Tokens and costs of the sizes, as shares of the target's.
const TOKENS: [f64; 3] = [0.01, 0.1, 1.0];
const COSTS: [f64; 3] = [0.05, 0.2, 1.0];
const NOISE: f64 = 0.003;
/// Epochs in which the value of repeated data decays.
const DECAY: f64 = 15.0;

/// Exponential mixing laws over effective weights.
struct Law {
    /// By metric and domain.
    rates: Vec<Vec<f64>>,
    /// Unique data by size and domain.
    unique: Vec<Vec<f64>>,
}

/// What small runs draw from.
#[derive(Clone, Copy, PartialEq)]
enum Data {
    /// There is plenty of everything.
    Plenty,
    /// All that there is: only the target repeats it.
    All,
    /// As much as makes them repeat it as the target does.
    Matched,
}

impl Law {
    fn new(seed: u64, data: Data) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rates = (0..METRICS).map(|_| (0..DOMAINS).map(|_| 8.0 * rng.random::<f64>().powi(3)).collect()).collect();
        // The uniform mixture repeats a domain half a time to sixteen times at the target.
        let epochs: Vec<f64> = (0..DOMAINS).map(|_| 0.5 * 32f64.powf(rng.random::<f64>())).collect();
        let unique = |tokens: f64| {
            let share = |epochs: &f64| match data {
                Data::Plenty => f64::INFINITY,
                Data::All => 1.0 / (DOMAINS as f64 * epochs * tokens),
                Data::Matched => 1.0 / (DOMAINS as f64 * epochs),
            };
            epochs.iter().map(share).collect()
        };
        Self { rates, unique: TOKENS.map(unique).into() }
    }

    fn metrics(&self, w: &[f64], m: usize) -> Vec<f64> {
        let worth: Vec<f64> = w.iter().zip(&self.unique[m]).map(|(w, u)| effective_weight(*w, *u, DECAY).0).collect();
        let exponent = |rates: &Vec<f64>| rates.iter().zip(&worth).map(|(t, e)| t * e).sum::<f64>();
        let slope = 1.5 - 0.2 * m as f64;
        self.rates.iter().map(|rates| 2.5 - 0.4 * m as f64 + slope * (-exponent(rates)).exp()).collect()
    }

    /// The objective at the target, a convex function, with its gradient.
    fn objective(&self, w: &[f64]) -> (f64, Vec<f64>) {
        let worth: Vec<_> = w.iter().zip(&self.unique[2]).map(|(w, u)| effective_weight(*w, *u, DECAY)).collect();
        let (mut value, mut gradient) = (0.0, vec![0.0; DOMAINS]);
        for rates in &self.rates {
            let varying = 1.1 * (-rates.iter().zip(&worth).map(|(t, e)| t * e.0).sum::<f64>()).exp() / METRICS as f64;
            value += 1.7 / METRICS as f64 + varying;
            gradient.iter_mut().zip(rates.iter().zip(&worth)).for_each(|(g, (t, e))| *g -= varying * t * e.1);
        }
        (value, gradient)
    }
}

/// The share of the gap that a search closes.
fn search(law: &Law, modelled: bool, budget: f64, seed: u64) -> (f64, usize) {
    let space =
        SearchSpace::new((0..DOMAINS).map(|i| Domain::new(format!("d{i:02}"))).collect(), vec![], None).unwrap();
    let fidelity = |m: usize| Fidelity {
        name: format!("s{m}"),
        params: Some(1e7 * 10f64.powi(m as i32)),
        tokens: Some(1e9 * TOKENS[m]),
        cost: Some(COSTS[m]),
        max_trials: None,
        initial: None,
    };
    let metric = |j: usize| Metric { name: format!("m{j}"), weight: 1.0 / METRICS as f64 };
    let objective = Objective::new((0..METRICS).map(metric).collect(), Direction::Minimize, Aggregate::Mean);
    let fidelities = Fidelities::new((0..3).map(fidelity).collect(), None);
    let mut optimizer = Optimizer::new(space.clone(), fidelities, objective, OptimizerSettings::default())
        .with_repetition(modelled.then(|| Repetition(law.unique.clone())));
    let sizes: Vec<FidelityId> = (0..3).map(FidelityId::new).collect();
    let (mut evidence, mut spent) = (Evidence { costs: COSTS.to_vec(), ..Evidence::default() }, 0.0);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    while spent < budget {
        let next = optimizer.suggest(&evidence, Candidates::Space(&sizes), &mut rng).unwrap();
        spent += COSTS[next.fidelity.index()];
        let noisy = |y: f64| {
            let z: f64 = StandardNormal.sample(&mut rng);
            y + NOISE * z
        };
        evidence.observations.push(Observation {
            run: RunId::Trial(evidence.observations.len() as u64 + 1),
            metrics: law.metrics(next.mixture.weights(), next.fidelity.index()).into_iter().map(noisy).collect(),
            mixture: next.mixture,
            fidelity: next.fidelity,
            se: vec![None; METRICS],
            past: Past::default(),
        });
    }
    optimizer.learn(&evidence);
    let best = optimizer.recommend(&evidence, None, &mut rng).mixture;
    let optimum = minimize(space.polytope(), |w| law.objective(w), 1e-9).value;
    let uniform = law.objective(space.uniform().weights()).0;
    ((uniform - law.objective(best.weights()).0) / (uniform - optimum), evidence.observations.len())
}

/// `BUDGET=10 PROBLEMS=10 cargo test --release --package mixing-law --test repetition -- --ignored --nocapture`
#[test]
#[ignore = "takes many minutes"]
fn on_made_up_laws_a_model_of_repetition_finds_what_the_target_repeats() {
    let number = |name: &str, default: f64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (budget, problems) = (number("BUDGET", 10.0), number("PROBLEMS", 10.0) as u64);
    let first = number("FIRST", 0.0) as u64;
    let kinds = [
        ("nothing repeats", Data::Plenty, false),
        ("without matching, not modelled", Data::All, false),
        ("without matching, modelled", Data::All, true),
        ("with matching, not modelled", Data::Matched, false),
        ("with matching, modelled", Data::Matched, true),
    ];
    let mut closed = kinds.map(|_| Vec::new());
    for seed in first..first + problems {
        for ((kind, data, modelled), closed) in kinds.into_iter().zip(&mut closed) {
            let (share, runs) = search(&Law::new(seed, data), modelled, budget, seed);
            closed.push(share);
            eprintln!("{seed}: {share:.3} of the gap with {runs} runs, {kind}");
        }
    }
    let medians = closed.map(|mut shares| {
        shares.sort_by(f64::total_cmp);
        0.5 * (shares[(shares.len() - 1) / 2] + shares[shares.len() / 2])
    });
    for ((kind, ..), median) in kinds.into_iter().zip(medians) {
        eprintln!("median {median:.3}, {kind}");
    }
}
