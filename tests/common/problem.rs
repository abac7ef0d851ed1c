//! A synthetic study whose truth is known: a mixing law at several sizes.

#![expect(dead_code, reason = "each test binary uses its part")]

use std::sync::atomic::{AtomicU64, Ordering};

use admire::optimizer::Optimizer;
use admire::problem::{
    Aggregate, Direction, Evidence, Fidelities, Fidelity, FidelityId, KernelKind, Metric, Mixture, ModelSpec,
    Objective, Observation, OptimizerSettings, Past, RunId,
};
use admire::space::{Domain, SearchSpace};
use admire::surrogate::Task;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The sizes of a problem with three.
pub const SIZES: [FidelityId; 3] = [FidelityId::new(0), FidelityId::new(1), FidelityId::new(2)];

/// The size of this place.
pub fn size(m: usize) -> FidelityId {
    FidelityId::new(m)
}

/// An identity that no other run of this process has.
pub fn new_run() -> RunId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    RunId::Trial(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `metrics` exponential mixing laws over `domains` domains at `sizes` sizes, each ten times the one before in
/// parameters and cost: metric `j` at size `m` is `c_j(m) + k(m) exp(−Σ_i t_ji w_i)`.
#[derive(Clone, Debug)]
pub struct Problem {
    pub domains: usize,
    pub sizes: usize,
    /// One row per metric.
    rates: Vec<Vec<f64>>,
    pub noise: f64,
    pub aggregate: Aggregate,
}

impl Problem {
    pub fn new(domains: usize, sizes: usize, metrics: usize, seed: u64) -> Self {
        let mut rng = rng(seed);
        // A few domains matter much to a metric, the others little.
        let rate = |rng: &mut ChaCha8Rng| 8.0 * rng.random::<f64>().powi(3);
        let rates = (0..metrics).map(|_| (0..domains).map(|_| rate(&mut rng)).collect()).collect();
        Self { domains, sizes, rates, noise: 0.002, aggregate: Aggregate::Mean }
    }

    pub fn space(&self) -> SearchSpace {
        let domains = (0..self.domains).map(|i| Domain::new(format!("d{i:02}"))).collect();
        SearchSpace::new(domains, vec![], None).unwrap()
    }

    pub fn fidelities(&self) -> Fidelities {
        let fidelity = |m: usize| {
            let scale = 10f64.powi(m as i32);
            Fidelity {
                name: format!("s{m}"),
                params: Some(1e6 * scale),
                tokens: None,
                cost: Some(0.01 * scale),
                max_trials: None,
                initial: None,
            }
        };
        Fidelities::new((0..self.sizes).map(fidelity).collect(), None)
    }

    /// The same with the worst metric as the objective.
    pub fn worst(self) -> Self {
        Self { aggregate: Aggregate::Worst, ..self }
    }

    /// The mean of the metrics, or the worst of them, minimized.
    pub fn objective(&self) -> Objective {
        let n = self.rates.len();
        let metrics = (0..n).map(|j| Metric { name: format!("m{j:02}"), weight: 1.0 / n as f64 }).collect();
        Objective::new(metrics, Direction::Minimize, self.aggregate)
    }

    /// Noise-free metrics.
    pub fn truth(&self, w: &[f64], m: usize) -> Vec<f64> {
        let size = m as f64;
        self.rates
            .iter()
            .enumerate()
            .map(|(j, rates)| {
                let exponent: f64 = rates.iter().zip(w).map(|(t, x)| t * x).sum();
                2.5 - 0.4 * size + 0.1 * j as f64 + (1.5 - 0.2 * size) * (-exponent).exp()
            })
            .collect()
    }

    /// The noise-free objective.
    pub fn loss(&self, w: &[f64], m: usize) -> f64 {
        self.objective().value(&self.truth(w, m))
    }

    /// A training run.
    pub fn observe(&self, mixture: &Mixture, fidelity: FidelityId, rng: &mut impl Rng) -> Observation {
        let noisy = |y: f64, rng: &mut dyn rand::RngCore| {
            let z: f64 = StandardNormal.sample(rng);
            y + self.noise * z
        };
        let metrics: Vec<f64> =
            self.truth(mixture.weights(), fidelity.index()).into_iter().map(|y| noisy(y, rng)).collect();
        Observation {
            run: new_run(),
            mixture: mixture.clone(),
            fidelity,
            se: vec![None; metrics.len()],
            metrics,
            past: Past::default(),
        }
    }

    /// Runs of random mixtures, `counts[m]` at size `m`.
    pub fn runs(&self, counts: &[usize], seed: u64) -> Vec<Observation> {
        let (space, mut rng) = (self.space(), rng(seed));
        let mut runs = Vec::new();
        for (m, n) in counts.iter().enumerate() {
            for w in space.polytope().sample(*n, &mut rng) {
                runs.push(self.observe(&Mixture::new(w), size(m), &mut rng));
            }
        }
        runs
    }

    pub fn evidence(&self, observations: Vec<Observation>) -> Evidence {
        let costs = self.fidelities().list().iter().map(|f| f.cost.unwrap()).collect();
        Evidence { observations, costs, ..Evidence::default() }
    }

    pub fn optimizer(&self, settings: OptimizerSettings) -> Optimizer {
        Optimizer::new(self.space(), self.fidelities(), self.objective(), settings)
    }
}

/// What a surrogate is fitted to, by value.
pub struct Owned {
    pub objective: Objective,
    pub fidelities: Fidelities,
    pub spec: ModelSpec,
    pub observations: Vec<Observation>,
}

impl Owned {
    pub fn new(problem: &Problem, kernel: (KernelKind, usize), observations: Vec<Observation>) -> Self {
        let spec = ModelSpec { kernel: kernel.0, components: kernel.1, ..ModelSpec::default() };
        Self { objective: problem.objective(), fidelities: problem.fidelities(), spec, observations }
    }

    pub fn task(&self) -> Task<'_> {
        Task {
            objective: &self.objective,
            fidelities: &self.fidelities,
            spec: self.spec,
            families: &[],
            repetition: None,
            curves: false,
            observations: &self.observations,
        }
    }
}

/// A number from the environment.
pub fn number(name: &str, default: f64) -> f64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What becomes of each of so many seeds, all at the same time.
pub fn in_parallel<T: Send>(seeds: u64, of: impl Fn(u64) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..seeds)
            .map(|seed| {
                scope.spawn({
                    let of = &of;
                    move || of(seed)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
