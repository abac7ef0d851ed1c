//! Studies of a law with learning curves, without `optimizer.stop_early`, with it, and with `launcher.resumable` too: what is reached at
//! which cost, and whether the stated probability that a running trial would be the best one holds. Nothing is trained.
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
use admire::problem::{Completed, Evidence, FidelityId, Mixture, Progress, RunId, TrialId, mean_and_error, stream};
use admire::study::{Ending, Event, Plan, Purpose, Study};
use clap::Parser;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

/// Plays studies of a law with learning curves.
#[derive(Parser)]
struct Options {
    /// Studies, each in all three ways
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

/// A way to deal with running trials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Trials that are hopeless are ended, and continued where that is worth it.
    Resumes,
    /// Trials that are hopeless are ended.
    StopsEarly,
    /// All trials come to their ends.
    Neither,
}

impl Way {
    const NAMED: [(Self, &str); 3] =
        [(Self::Resumes, "with resumable"), (Self::StopsEarly, "with stop_early"), (Self::Neither, "without")];
}

/// What came of a study.
struct Played {
    /// Cost and regret after each trial.
    steps: Vec<(f64, f64)>,
    /// How often trials were ended, and continued.
    ended: usize,
    continued: usize,
    /// What the seed and the last evaluation do to each trial, in standard deviations.
    luck: Vec<[f64; 2]>,
    /// Of each trial that was weighed: the stated probability that it would be the best at its fidelity, and whether it was.
    stated: Vec<(f64, bool)>,
}

fn config(seed: u64, way: Way) -> StudyConfig {
    let (stop_early, resumable) = (way != Way::Neither, way == Way::Resumes);
    let domains: String = (0..DOMAINS).map(|i| format!("[[domain]]\nname = \"d{i}\"\n")).collect();
    let text = format!(
        "[study]\nname = \"curves\"\nseed = {seed}\ndir = \"/nonexistent\"\n{domains}\
         [[fidelity]]\nname = \"small\"\nparams = 1e8\ntokens = {TOKENS}\ncost = 0.2\n\
         [[fidelity]]\nname = \"large\"\nparams = 1e9\ntokens = {TOKENS}\ncost = 1.0\n\
         [objective]\nmetric = \"loss\"\n[optimizer]\nstop_early = {stop_early}\n\
         [launcher]\ncommand = [\"none\"]\nresumable = {resumable}\n"
    );
    StudyConfig::parse(Path::new("study.toml"), &text, &[]).expect("the config is valid")
}

fn play(seed: u64, way: Way, cost: f64) -> Played {
    let law = Law::new(seed);
    let mut study = Study::peek(config(seed, way)).expect("the study is new");
    let mut optimizer = advice::optimizer(&study);
    let luck = &mut stream(seed, 2);
    let starts = study.config().space.polytope().sample(512, luck);
    let least = minimum::minimum(|w| law.loss(w, "large", 1.0), starts).1;
    let mut played = Played { steps: Vec::new(), ended: 0, continued: 0, luck: Vec::new(), stated: Vec::new() };
    while study.spent().cost < cost {
        let ids: Vec<FidelityId> = study.config().fidelities.ids().collect();
        let stopped = if way == Way::Resumes { study.stopped_on_the_way() } else { Vec::new() };
        let thought = advice::think(optimizer, &study.evidence(), ids, &stopped, (seed, study.next_id()));
        optimizer = thought.optimizer;
        let regret = law.loss(thought.recommendation.mixture.weights(), "large", 1.0) - least;
        played.steps.push((study.spent().cost, regret));
        let Ok(suggestion) = thought.suggestion else { break };
        let trial = match thought.continued.map(|outlook| outlook.run) {
            Some(RunId::Trial(trial)) => {
                study.assume(Event::TrialContinued { trial, reason: String::new() }).expect("it was ended");
                played.continued += 1;
                trial
            }
            _ => {
                played.luck.push([luck.sample(StandardNormal), luck.sample(StandardNormal)]);
                suggest(&mut study, &suggestion.mixture, suggestion.fidelity)
            }
        };
        run(&mut study, &optimizer, &law, trial, luck, &mut played);
    }
    played
}

/// Trains a trial, as far as it gets; one that was ended from there.
fn run(
    study: &mut Study,
    optimizer: &Optimizer,
    law: &Law,
    trial: TrialId,
    luck: &mut ChaCha8Rng,
    played: &mut Played,
) {
    let launched = Event::Launched { trial, attempt: 1, backend: Some("none".into()), job: None, result: None };
    study.assume(launched).expect("the trial waits");
    let known = study.trial(trial).expect("it is under way");
    let (mixture, fidelity) = (known.mixture.clone(), known.fidelity);
    let done = (known.stopped_at * f64::from(REPORTS)).round() as u32;
    let name = study.config().fidelities[fidelity].name.clone();
    let [of_seed, of_evaluation] = played.luck[trial as usize - 1];
    let loss =
        |share: f64, noise: f64| law.loss(mixture.weights(), &name, share) + NOISE[0] * of_seed + NOISE[1] * noise;
    let end = loss(1.0, of_evaluation);
    for report in done + 1..REPORTS {
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

/// Suggests a trial.
fn suggest(study: &mut Study, mixture: &Mixture, fidelity: FidelityId) -> TrialId {
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
    trial
}

/// The best loss at a fidelity so far.
fn best(evidence: &Evidence, fidelity: FidelityId) -> f64 {
    let at = evidence.observations.iter().filter(|o| o.fidelity == fidelity && matches!(o.run, RunId::Trial(_)));
    at.map(|o| o.metrics[0]).fold(f64::INFINITY, f64::min)
}

fn main() {
    let Options { studies, cost, .. } = Options::parse();
    let played: Vec<[Played; 3]> =
        (0..studies).into_par_iter().map(|seed| Way::NAMED.map(|(way, _)| play(seed, way, cost))).collect();
    println!("regret at cost     {}", STAGES.map(|stage| format!("{:>16.1}", stage * cost)).join(""));
    for (i, (_, name)) in Way::NAMED.into_iter().enumerate() {
        let at = |stage: f64| {
            let regret = |p: &[Played; 3]| p[i].steps.iter().rfind(|s| s.0 <= stage).map_or(f64::NAN, |s| s.1);
            let (mean, error) = mean_and_error(&played.iter().map(regret).collect::<Vec<_>>());
            format!("{mean:.4} ± {:.4}", error.unwrap_or(f64::NAN))
        };
        println!("{name:<19}{}", STAGES.map(|stage| format!("{:>16}", at(stage * cost))).join(""));
    }
    for (i, (_, name)) in Way::NAMED.into_iter().enumerate().take(2) {
        let sum = |count: fn(&Played) -> usize| played.iter().map(|p| count(&p[i])).sum::<usize>();
        let [trials, ended, continued] = [sum(|p| p.luck.len()), sum(|p| p.ended), sum(|p| p.continued)];
        println!("{name:<19}{trials} trials, ended {ended} times, continued {continued} times");
    }
    println!("probability of the best end   weighed   stated   happened");
    for (low, high) in [(0.0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.1)] {
        let stated = played.iter().flat_map(|p| &p[1].stated).filter(|(p, _)| (low..high).contains(p));
        let (n, sum, hits) =
            stated.fold((0, 0.0, 0), |(n, sum, hits), (p, hit)| (n + 1, sum + p, hits + usize::from(*hit)));
        let share = |x: f64| x / f64::from(n);
        println!("{low:.2} to {:.2}{:>27}{:>9.3}{:>11.3}", high.min(1.0), n, share(sum), share(hits as f64));
    }
}
