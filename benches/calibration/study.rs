//! Plays one study and asks at every stage what people ask.

use admire::optimizer::{Candidates, Gain, Optimizer, Recommendation, Suggestion};
use admire::problem::{
    Aggregate, Direction, Evidence, Fidelities, Fidelity, FidelityId, Guard, Metric, Mixture, Objective, Observation,
    OptimizerSettings, Past, Prediction, RunId, Threshold, Tolerance, affordable, seed_of, stream,
};
use admire::space::{Domain, SearchSpace};
use rand_chacha::ChaCha8Rng;

use super::law::{Law, SIZES, TARGET, Truth, mean, normal, standard_deviation};
use super::minimum::minimum;
use super::noise::Noise;
use super::regime::Regime;

/// The cost of a run at each size; parameters grow tenfold.
const COSTS: [f64; SIZES] = [0.1, 0.3, 1.0];
/// Random mixtures by which spreads are measured, and among which the search for the minimum starts.
const SAMPLED: usize = 4096;
/// Random mixtures that predictions are asked for; of each two, also the difference in single metrics.
const ASKED: usize = 8;
/// Fixed random mixtures that the recommendation is compared with, beside the uniform and the prior one.
const FIXED: usize = 3;
/// What takes the place of the spread between mixtures where there is none.
const NO_SPREAD: f64 = 0.05;

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The objective of the recommended mixture at the target.
    Recommended,
    /// Its gain over another mixture.
    Gain,
    /// The objective of a random mixture at the target.
    Target,
    /// The same at a smaller size.
    Smaller,
    /// The gain of one random mixture over another in a single metric.
    MetricGain,
    /// The value of a run at the target, stated before it is made.
    NextRun,
    /// The worst metric of a random mixture at the target.
    Worst,
    /// The worst metric of the mixture that is recommended for it.
    WorstRecommended,
}

impl Kind {
    /// Every kind with its name.
    pub const NAMED: [(Self, &str); 8] = [
        (Self::Recommended, "recommended"),
        (Self::Gain, "gain"),
        (Self::Target, "target"),
        (Self::Smaller, "smaller"),
        (Self::MetricGain, "metric gain"),
        (Self::NextRun, "next run"),
        (Self::Worst, "worst"),
        (Self::WorstRecommended, "worst, rec."),
    ];
}

/// A normal distribution that was stated, with what was true; in standard deviations of the noise-free value over random mixtures.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    pub kind: Kind,
    pub mean: f64,
    pub sd: f64,
    pub truth: f64,
}

/// A probability that guards hold on a mixture, and whether they do.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub probability: f64,
    pub holds: bool,
}

/// What was stated at one stage.
#[derive(Clone, Debug)]
pub struct Answers {
    pub statements: Vec<Statement>,
    /// That no metric of a random mixture is worse than the uniform one's by more than a unit.
    pub kept: Vec<Kept>,
    /// That one metric of the mixture that is recommended under this guard is no worse than the uniform one's.
    pub recommended_kept: Option<Kept>,
    /// By how much the recommended mixture is worse than the best one, in the same unit.
    pub regret: f64,
}

/// Standard deviations of noise-free values over random mixtures at the target.
struct Units {
    objective: f64,
    metrics: Vec<f64>,
    worst: f64,
}

/// A study under way.
struct Study {
    space: SearchSpace,
    truth: Truth,
    noise: Noise,
    metrics: Vec<Metric>,
    optimizer: Optimizer,
    evidence: Evidence,
    /// The units of the objective, of each metric and of the worst one.
    units: Units,
    references: Vec<Mixture>,
    asked: Vec<Mixture>,
    choices: ChaCha8Rng,
    luck: ChaCha8Rng,
    /// What was stated since the last stage of runs about to be made, and what they gave.
    next_runs: Vec<Statement>,
}

/// Plays study `number` of a regime until costs of `stages` (ascending), and returns its answers at each.
pub fn play(regime: &Regime, number: u64, stages: &[f64]) -> Vec<Answers> {
    let name = regime.to_string().bytes().fold(0, |hash, byte| u64::from(seed_of(hash, u64::from(byte))));
    let mut study = Study::new(regime, u64::from(seed_of(name, number)));
    let mut advice = stream(u64::from(seed_of(name, number)), 3);
    let (mut next, mut spent) = (study.suggest(), 0.0);
    let mut stated = Vec::new();
    for &stage in stages {
        while affordable(spent + COSTS[next.fidelity.index()], stage) {
            spent += COSTS[next.fidelity.index()];
            study.run(&next);
            next = study.suggest();
        }
        stated.push(study.answer(&mut advice));
    }
    // The search for the minimum starts from the recommendations too, so that none is better than what it finds.
    let loss = |w: &[f64]| study.truth.objective(w, TARGET);
    let mut starts = study.space.polytope().sample(SAMPLED, &mut advice);
    starts.extend(stated.iter().map(|(mixture, _)| mixture.weights().to_vec()));
    let least = starts.iter().map(|w| loss(w)).fold(f64::INFINITY, f64::min);
    let (best, value) = minimum(loss, starts);
    assert!(value <= least && study.space.polytope().contains(&best, 1e-9), "{best:?} at {value}, not {least}");
    let regret = |mixture: &Mixture| (loss(mixture.weights()) - value) / study.units.objective;
    stated.into_iter().map(|(mixture, answers)| Answers { regret: regret(&mixture), ..answers }).collect()
}

impl Study {
    fn new(regime: &Regime, seed: u64) -> Self {
        let mut rng = stream(seed, 0);
        let weight = |rng: &mut ChaCha8Rng| Some(normal(rng).exp());
        let domain = |i: usize| Domain { prior: weight(&mut rng), ..Domain::new(format!("d{i:02}")) };
        let domains = (0..regime.domains).map(domain).collect();
        let space = SearchSpace::new(domains, vec![], None).expect("a simplex");
        let sample = space.polytope().sample(SAMPLED, &mut rng);
        let truth = Truth::new(regime.law, regime.metrics, regime.domains, &sample, &mut rng);
        let nothing = regime.law == Law::Nothing;
        let metric_units =
            if nothing { vec![NO_SPREAD; regime.metrics] } else { spreads(&sample, |w| truth.metrics(w, TARGET)) };
        let sd = metric_units.iter().map(|unit| regime.level * unit).collect();
        let noise = Noise::new(regime.shape, sd, &sample, &mut rng);
        let unit =
            if nothing { noise.objective_sd() } else { spreads(&sample, |w| vec![truth.objective(w, TARGET)])[0] };
        let mut random = |n: usize| space.polytope().sample(n, &mut rng).into_iter().map(Mixture::new);
        let asked = random(ASKED).collect();
        let references = [space.uniform()].into_iter().chain(space.prior()).chain(random(FIXED)).collect();
        let weight = 1.0 / regime.metrics as f64;
        let metrics: Vec<Metric> = (0..regime.metrics).map(|j| Metric { name: format!("m{j:02}"), weight }).collect();
        let objective = Objective::new(metrics.clone(), Direction::Minimize, Aggregate::Mean);
        let worst = if nothing { unit } else { spreads(&sample, |w| vec![largest(&truth.metrics(w, TARGET))])[0] };
        Self {
            optimizer: Optimizer::new(space.clone(), fidelities(), objective, OptimizerSettings::default()),
            space,
            truth,
            noise,
            evidence: Evidence { costs: COSTS.to_vec(), ..Evidence::default() },
            units: Units { objective: unit, metrics: metric_units, worst },
            metrics,
            references,
            asked,
            choices: stream(seed, 1),
            luck: stream(seed, 2),
            next_runs: Vec::new(),
        }
    }

    fn suggest(&mut self) -> Suggestion {
        let sizes: Vec<FidelityId> = (0..SIZES).map(FidelityId::new).collect();
        let suggestion = self.optimizer.suggest(&self.evidence, Candidates::Space(&sizes), &mut self.choices);
        suggestion.expect("a simplex of three domains has a mixture that is new")
    }

    /// Makes a run, and keeps what was stated of it.
    fn run(&mut self, next: &Suggestion) {
        let (w, m) = (next.mixture.weights(), next.fidelity.index());
        let errors = self.noise.draw(w, m, &mut self.luck);
        let metrics: Vec<f64> = self.truth.metrics(w, m).iter().zip(errors).map(|(y, error)| y + error).collect();
        if let Some(expected) = next.expected.filter(|_| m == TARGET)
            && let Some(sd) = expected.run_sd()
        {
            self.next_runs.push(self.of_objective(Kind::NextRun, expected.mean, sd, mean(&metrics)));
        }
        self.evidence.observations.push(Observation {
            run: RunId::Trial(self.evidence.observations.len() as u64 + 1),
            mixture: next.mixture.clone(),
            fidelity: next.fidelity,
            se: vec![None; metrics.len()],
            metrics,
            past: Past::default(),
        });
    }

    /// The recommended mixture, and everything that is stated now. The study goes on as if nobody had asked.
    fn answer(&mut self, rng: &mut ChaCha8Rng) -> (Mixture, Answers) {
        let mut asked = self.optimizer.clone();
        asked.learn(&self.evidence);
        let Recommendation { mixture: best, expected, .. } = asked.recommend(&self.evidence, None, rng);
        assert!(self.space.polytope().contains(best.weights(), 1e-6), "{best:?} is no mixture");
        let mut statements = std::mem::take(&mut self.next_runs);
        let loss = |mixture: &Mixture, m: usize| self.truth.objective(mixture.weights(), m);
        statements.extend(expected.map(|p| self.of_objective(Kind::Recommended, p.mean, p.sd, loss(&best, TARGET))));
        let mut predict = |kind: Kind, mixtures: &[Mixture], m: usize| {
            let points: Vec<_> = mixtures.iter().map(|mixture| (mixture.clone(), FidelityId::new(m))).collect();
            let predictions = asked.predict(&self.evidence, &points).into_iter().flatten().zip(mixtures);
            statements.extend(predictions.map(|(p, mixture)| self.of_objective(kind, p.mean, p.sd, loss(mixture, m))));
        };
        predict(Kind::Target, &self.asked, TARGET);
        for m in 0..TARGET {
            predict(Kind::Smaller, &self.asked, m);
        }
        let gains = asked.gains(&self.evidence, &best, &self.references).into_iter().flatten().zip(&self.references);
        statements.extend(gains.map(|(Gain { mean, sd }, reference)| {
            self.of_objective(Kind::Gain, mean, sd, loss(reference, TARGET) - loss(&best, TARGET))
        }));
        statements.extend(self.metric_gains(&asked));
        let mut answers = Answers { statements, kept: Vec::new(), recommended_kept: None, regret: f64::NAN };
        // With one metric the worst one is the objective, and a guard compares what gains do.
        if self.metrics.len() > 1 {
            answers.statements.extend(self.of_worst(&asked, rng));
            (answers.kept, answers.recommended_kept) = self.of_guards(&asked, rng);
        }
        (best, answers)
    }

    /// What a study of the same runs states of the worst metric, which it minimizes.
    fn of_worst(&self, asked: &Optimizer, rng: &mut ChaCha8Rng) -> Vec<Statement> {
        let metrics = self.metrics.iter().map(|metric| Metric { weight: 1.0, ..metric.clone() }).collect();
        let objective = Objective::new(metrics, Direction::Minimize, Aggregate::Worst);
        let mut optimizer = Optimizer::new(self.space.clone(), fidelities(), objective, OptimizerSettings::default());
        asked.snapshot().cloned().into_iter().for_each(|snapshot| optimizer.restore(snapshot));
        optimizer.learn(&self.evidence);
        let recommended = optimizer.recommend(&self.evidence, None, rng).mixture;
        let mixtures: Vec<&Mixture> = self.asked.iter().chain([&recommended]).collect();
        let points: Vec<_> = mixtures.iter().map(|mixture| ((*mixture).clone(), FidelityId::new(TARGET))).collect();
        let predictions = optimizer.predict(&self.evidence, &points).into_iter().flatten().enumerate();
        let statement = |(i, p): (usize, Prediction)| Statement {
            kind: if i < self.asked.len() { Kind::Worst } else { Kind::WorstRecommended },
            mean: p.mean / self.units.worst,
            sd: p.sd / self.units.worst,
            truth: largest(&self.truth.metrics(mixtures[i].weights(), TARGET)) / self.units.worst,
        };
        predictions.map(statement).collect()
    }

    /// What is stated of guards against the uniform mixture.
    fn of_guards(&self, asked: &Optimizer, rng: &mut ChaCha8Rng) -> (Vec<Kept>, Option<Kept>) {
        let uniform = self.space.uniform();
        let limits = self.truth.metrics(uniform.weights(), TARGET);
        let guard = |metric: usize, tolerance: f64| Guard {
            metric,
            sign: 1.0,
            threshold: Threshold::Mixture { name: "uniform".into(), mixture: uniform.clone() },
            tolerance: Tolerance::Absolute(tolerance),
            probability: 0.9,
        };
        let guarded = |guards: &[Guard]| {
            let mut optimizer = asked.clone().with_guards(guards.to_vec());
            optimizer.learn(&self.evidence);
            optimizer
        };
        let kept = |optimizer: &Optimizer, guards: &[Guard], mixture: &Mixture| {
            let probability = optimizer.guard_states(&self.evidence, mixture)?.probability;
            let values = self.truth.metrics(mixture.weights(), TARGET);
            let holds = |guard: &Guard| guard.slack(values[guard.metric], limits[guard.metric]) >= 0.0;
            Some(Kept { probability, holds: guards.iter().all(holds) })
        };
        let all: Vec<Guard> = self.units.metrics.iter().enumerate().map(|(j, unit)| guard(j, *unit)).collect();
        let optimizer = guarded(&all);
        let of_random = self.asked.iter().filter_map(|mixture| kept(&optimizer, &all, mixture)).collect();
        let one = [guard(0, 0.0)];
        let optimizer = guarded(&one);
        let recommended = optimizer.recommend(&self.evidence, None, rng).mixture;
        (of_random, kept(&optimizer, &one, &recommended))
    }

    fn metric_gains(&self, asked: &Optimizer) -> Vec<Statement> {
        let metrics = |mixture: &Mixture| self.truth.metrics(mixture.weights(), TARGET);
        let of_pair = |pair: &[Mixture]| {
            let gains =
                asked.advantages(&self.evidence, &pair[0], &pair[1..], FidelityId::new(TARGET)).into_iter().flatten();
            let gains = gains.flat_map(|gain| gain.metrics);
            let truth = metrics(&pair[1]).into_iter().zip(metrics(&pair[0])).map(|(other, one)| other - one);
            let gains = gains.zip(truth).zip(&self.units.metrics);
            let statement = |((Gain { mean, sd }, truth), unit): ((Gain, f64), &f64)| Statement {
                kind: Kind::MetricGain,
                mean: mean / unit,
                sd: sd / unit,
                truth: truth / unit,
            };
            gains.map(statement).collect::<Vec<_>>()
        };
        self.asked.chunks(2).flat_map(of_pair).collect()
    }

    fn of_objective(&self, kind: Kind, mean: f64, sd: f64, truth: f64) -> Statement {
        let unit = self.units.objective;
        Statement { kind, mean: mean / unit, sd: sd / unit, truth: truth / unit }
    }
}

fn largest(metrics: &[f64]) -> f64 {
    metrics.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The standard deviation over the mixtures of `sample` of each value that `values` gives.
fn spreads(sample: &[Vec<f64>], values: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let values: Vec<Vec<f64>> = sample.iter().map(|w| values(w)).collect();
    (0..values[0].len()).map(|j| standard_deviation(&values.iter().map(|v| v[j]).collect::<Vec<_>>())).collect()
}

fn fidelities() -> Fidelities {
    let fidelity = |(m, cost): (usize, f64)| Fidelity {
        name: format!("s{m}"),
        params: Some(1e7 * 10f64.powi(m as i32)),
        tokens: None,
        cost: Some(cost),
        max_trials: None,
        initial: None,
    };
    Fidelities::new(COSTS.into_iter().enumerate().map(fidelity).collect(), None)
}
