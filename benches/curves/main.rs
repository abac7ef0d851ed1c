//! Studies of a law with learning curves, with `optimizer.stop_early` and without: what is reached at which cost, and whether the stated
//! probability that a running trial would be the best one holds. Nothing is trained.
//!
//!     just curves --studies 10 --cost 8
//!
//! docs/measured.md says what is measured, and has results.

#[path = "../../tests/common/minimum.rs"]
mod minimum;

use std::path::Path;

use admire::advice;
use admire::config::StudyConfig;
use admire::optimizer::Optimizer;
use admire::problem::{Completed, Evidence, FidelityId, Mixture, Progress, RunId, mean_and_error, stream};
use admire::study::{Ending, Event, Plan, Purpose, Study};
use clap::Parser;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

/// Plays studies of a law with learning curves.
#[derive(Parser)]
struct Options {
    /// Studies, each with `stop_early` and without
    #[arg(long, default_value_t = 10)]
    studies: u64,
    /// Cost of a study, in target runs
    #[arg(long, default_value_t = 8.0)]
    cost: f64,
    /// `cargo bench` says it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

const DOMAINS: usize = 4;
/// Tokens of every run, and reports on its way, the last of which is its result.
const TOKENS: f64 = 1e9;
const REPORTS: u32 = 10;
/// Standard deviation of what a seed does to a whole run, and of what the noise of an evaluation does to each report.
const NOISE: [f64; 2] = [0.008, 0.002];
/// Costs, as shares of the whole, at which regret is printed.
const STAGES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// Loss after a share of the tokens: a mixing law, and a learning curve whose exponent depends on the mixture, so that ranks cross late.
struct Law {
    rates: Vec<Vec<f64>>,
    exponents: Vec<f64>,
}

impl Law {
    fn new(seed: u64) -> Self {
        let rng = &mut stream(seed, 1);
        let mut rate = |_| 6.0 * rng.random::<f64>().powi(2);
        let rates = (0..3).map(|_| (0..DOMAINS).map(&mut rate).collect()).collect();
        let exponents = (0..DOMAINS).map(|_| rng.random_range(0.1..0.6)).collect();
        Self { rates, exponents }
    }

    fn loss(&self, w: &[f64], fidelity: &str, share: f64) -> f64 {
        let dot = |rates: &[f64]| rates.iter().zip(w).map(|(t, w)| t * w).sum::<f64>();
        let (level, scale) = if fidelity == "large" { (2.0, 1.0) } else { (2.6, 1.2) };
        let mixing = self.rates.iter().map(|rates| (-dot(rates)).exp()).sum::<f64>() / self.rates.len() as f64;
        level + scale * mixing + 0.5 * share.powf(-dot(&self.exponents))
    }
}

/// What came of a study.
struct Played {
    /// Cost and regret after each trial.
    steps: Vec<(f64, f64)>,
    /// How many trials were ended.
    ended: usize,
    /// Of each trial that was weighed: the stated probability that it would be the best at its fidelity, and whether it was.
    stated: Vec<(f64, bool)>,
}

fn config(seed: u64, stop_early: bool) -> StudyConfig {
    let domains: String = (0..DOMAINS).map(|i| format!("[[domain]]\nname = \"d{i}\"\n")).collect();
    let text = format!(
        "[study]\nname = \"curves\"\nseed = {seed}\ndir = \"/nonexistent\"\n{domains}\
         [[fidelity]]\nname = \"small\"\nparams = 1e8\ntokens = {TOKENS}\ncost = 0.2\n\
         [[fidelity]]\nname = \"large\"\nparams = 1e9\ntokens = {TOKENS}\ncost = 1.0\n\
         [objective]\nmetric = \"loss\"\n[optimizer]\nstop_early = {stop_early}\n[launcher]\ncommand = [\"none\"]\n"
    );
    StudyConfig::parse(Path::new("study.toml"), &text, &[]).expect("the config is valid")
}

fn play(seed: u64, stop_early: bool, cost: f64) -> Played {
    let law = Law::new(seed);
    let mut study = Study::peek(config(seed, stop_early)).expect("the study is new");
    let mut optimizer = advice::optimizer(&study);
    let luck = &mut stream(seed, 2);
    let starts = study.config().space.polytope().sample(512, luck);
    let least = minimum::minimum(|w| law.loss(w, "large", 1.0), starts).1;
    let mut played = Played { steps: Vec::new(), ended: 0, stated: Vec::new() };
    while study.spent().cost < cost {
        let ids: Vec<FidelityId> = study.config().fidelities.ids().collect();
        let thought = advice::think(optimizer, &study.evidence(), ids, seed, study.next_id());
        optimizer = thought.optimizer;
        let regret = law.loss(thought.recommendation.mixture.weights(), "large", 1.0) - least;
        played.steps.push((study.spent().cost, regret));
        let Ok(suggestion) = thought.suggestion else { break };
        run(&mut study, &optimizer, &law, (&suggestion.mixture, suggestion.fidelity), luck, &mut played);
    }
    played
}

/// Trains a trial, as far as it gets.
fn run(
    study: &mut Study,
    optimizer: &Optimizer,
    law: &Law,
    (mixture, fidelity): (&Mixture, FidelityId),
    luck: &mut ChaCha8Rng,
    played: &mut Played,
) {
    let (trial, name) = (study.next_id(), study.config().fidelities[fidelity].name.clone());
    begin(study, mixture, fidelity);
    let (of_seed, of_evaluation): (f64, f64) = (luck.sample(StandardNormal), luck.sample(StandardNormal));
    let loss =
        |share: f64, noise: f64| law.loss(mixture.weights(), &name, share) + NOISE[0] * of_seed + NOISE[1] * noise;
    let end = loss(1.0, of_evaluation);
    for report in 1..REPORTS {
        let share = f64::from(report) / f64::from(REPORTS);
        let metrics = [("loss".to_owned(), loss(share, luck.sample(StandardNormal)))].into();
        let progress = Progress { step: None, tokens: Some(share * TOKENS), metrics };
        study.assume(Event::Progress { trial, attempt: 1, progress }).expect("it is under way");
        let (running, evidence) = (study.on_the_way(), study.evidence());
        let offered: Vec<FidelityId> = study.config().fidelities.ids().collect();
        let Some(running) = running.first().filter(|_| study.config().optimizer.stop_early) else { continue };
        let rng = &mut stream(study.config().seed, study.next_id());
        let Some(outlook) = optimizer.outlook(&evidence, running, &offered, rng) else { continue };
        played.stated.push((outlook.probability, end < best(&evidence, fidelity)));
        if outlook.is_hopeless() {
            let ending = Ending { share, probability: outlook.probability, reason: String::new() };
            study.assume(Event::TrialStopping { trial, ending }).expect("it is under way");
            study.assume(Event::TrialStopped { trial, share, duration: None }).expect("it is to be ended");
            played.ended += 1;
            return;
        }
    }
    let outcome = Completed { metrics: [("loss".to_owned(), end)].into(), ..Completed::default() };
    study.assume(Event::Completed { trial, outcome }).expect("it is under way");
}

/// Suggests and launches a trial.
fn begin(study: &mut Study, mixture: &Mixture, fidelity: FidelityId) {
    let trial = study.next_id();
    let plan = Plan {
        mixture,
        fidelity,
        purpose: Purpose::Search,
        seed_index: trial,
        expected: None,
        offered: &[],
        incumbent: None,
    };
    let suggested = study.suggestion(&plan);
    study.assume(suggested).expect("the trial is due");
    let launched = Event::Launched { trial, attempt: 1, backend: Some("none".into()), job: None, result: None };
    study.assume(launched).expect("the trial waits");
}

/// The best loss at a fidelity so far.
fn best(evidence: &Evidence, fidelity: FidelityId) -> f64 {
    let at = evidence.observations.iter().filter(|o| o.fidelity == fidelity && matches!(o.run, RunId::Trial(_)));
    at.map(|o| o.metrics[0]).fold(f64::INFINITY, f64::min)
}

fn main() {
    let Options { studies, cost, .. } = Options::parse();
    let played: Vec<[Played; 2]> =
        (0..studies).into_par_iter().map(|seed| [true, false].map(|stop_early| play(seed, stop_early, cost))).collect();
    println!("regret at cost     {}", STAGES.map(|stage| format!("{:>16.1}", stage * cost)).join(""));
    for (i, name) in ["with stop_early", "without"].into_iter().enumerate() {
        let at = |stage: f64| {
            let regret = |p: &[Played; 2]| p[i].steps.iter().rfind(|s| s.0 <= stage).map_or(f64::NAN, |s| s.1);
            let (mean, error) = mean_and_error(&played.iter().map(regret).collect::<Vec<_>>());
            format!("{mean:.4} ± {:.4}", error.unwrap_or(f64::NAN))
        };
        println!("{name:<19}{}", STAGES.map(|stage| format!("{:>16}", at(stage * cost))).join(""));
    }
    let trials: usize = played.iter().map(|p| p[0].steps.len()).sum();
    println!("{} of {trials} trials were ended", played.iter().map(|p| p[0].ended).sum::<usize>());
    println!("probability of the best end   weighed   stated   happened");
    for (low, high) in [(0.0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.1)] {
        let stated = played.iter().flat_map(|p| &p[0].stated).filter(|(p, _)| (low..high).contains(p));
        let (n, sum, hits) =
            stated.fold((0, 0.0, 0), |(n, sum, hits), (p, hit)| (n + 1, sum + p, hits + usize::from(*hit)));
        let share = |x: f64| x / f64::from(n);
        println!("{low:.2} to {:.2}{:>27}{:>9.3}{:>11.3}", high.min(1.0), n, share(sum), share(hits as f64));
    }
}
