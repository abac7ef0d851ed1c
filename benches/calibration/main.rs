//! Calibration: whether stated intervals and probabilities hold, in whole studies whose truth is known. Nothing is trained.
//!
//!     just calibration --quick                   one small regime per law, few studies: minutes
//!     just calibration                           everything
//!     just calibration --regime choosing         the regimes to choose by; also part of any other name, such as `/agree`
//!     just calibration --stages 2,5 --studies 50
//!
//! docs/measured.md says what is measured, and has results.

mod law;
#[path = "../../tests/common/minimum.rs"]
mod minimum;
mod noise;
mod regime;
mod score;
mod study;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use law::Law;
use regime::{REGIMES, Regime, Use};
use score::Tally;
use study::Answers;

/// Plays studies whose truth is known, and prints whether what they state is true.
#[derive(Parser)]
struct Options {
    /// The regimes to choose by that have one metric, few studies, early stages
    #[arg(long)]
    quick: bool,
    /// Studies per regime
    #[arg(long)]
    studies: Option<u64>,
    /// Only regimes whose name contains this
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    regime: String,
    /// Costs at which studies are asked, in target runs
    #[arg(long, value_delimiter = ',')]
    stages: Option<Vec<f64>>,
    /// `cargo bench` says it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let studies = options.studies.unwrap_or(if options.quick { 20 } else { 200 });
    let mut stages = options.stages.unwrap_or(if options.quick { vec![2.0, 5.0] } else { vec![2.0, 5.0, 15.0, 40.0] });
    stages.sort_by(f64::total_cmp);
    let quick = |regime: &&Regime| !options.quick || regime.used == Use::Choosing && regime.metrics == 1;
    let chosen = REGIMES.iter().filter(quick).filter(|regime| regime.to_string().contains(&options.regime));
    let mut all: Vec<(Regime, Vec<Tally>)> = Vec::new();
    for regime in chosen {
        let started = Instant::now();
        let tallies = tally(&play(regime, studies, &stages), stages.len());
        let seconds = started.elapsed().as_secs_f64() * threads().min(studies as usize) as f64 / studies as f64;
        println!("{regime}: {studies} studies, {seconds:.1} s of one core each");
        print(&stages, &tallies, regime.law != Law::Nothing);
        all.push((*regime, tallies));
    }
    for used in [Use::Choosing, Use::Reporting] {
        summarize(used, &all, &stages);
    }
    print_faults(&all, &stages);
}

/// As many studies as there are cores at a time.
fn threads() -> usize {
    rayon::current_num_threads()
}

/// The answers of studies 0, 1, … of a regime. Each depends on the regime and its number alone.
fn play(regime: &Regime, studies: u64, stages: &[f64]) -> Vec<Vec<Answers>> {
    let (next, played) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                // A pool of one thread: a study that waited for parallel work of its own would begin another one meanwhile.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= studies {
                        break;
                    }
                    let answers = pool.install(|| study::play(regime, number, stages));
                    played.lock().expect("no study panicked").insert(number, answers);
                }
            });
        }
    });
    played.into_inner().expect("no study panicked").into_values().collect()
}

fn tally(studies: &[Vec<Answers>], stages: usize) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); stages];
    for answers in studies {
        tallies.iter_mut().zip(answers).for_each(|(tally, answers)| tally.add(answers));
    }
    tallies
}

fn print(stages: &[f64], tallies: &[Tally], signal: bool) {
    println!("{}", score::head());
    for (stage, tally) in stages.iter().zip(tallies) {
        println!("{}", tally.row(*stage, signal));
    }
    println!();
}

/// All regimes of one use in which there is something to find.
fn summarize(used: Use, all: &[(Regime, Vec<Tally>)], stages: &[f64]) {
    let mut together = vec![Tally::default(); stages.len()];
    let regimes: Vec<_> = all.iter().filter(|(regime, _)| regime.used == used && regime.law != Law::Nothing).collect();
    if regimes.is_empty() {
        return;
    }
    let mut total = Tally::default();
    for (_, tallies) in &regimes {
        for (sum, tally) in together.iter_mut().zip(tallies) {
            sum.absorb(tally);
            total.absorb(tally);
        }
    }
    println!("all {} of the regimes for {used} that have a signal", regimes.len());
    print(stages, &together, true);
    println!("stated probabilities there, at all stages\n{}", score::reliability(&total));
}

fn print_faults(all: &[(Regime, Vec<Tally>)], stages: &[f64]) {
    let mut faults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (regime, tallies) in all {
        for (stage, tally) in stages.iter().zip(tallies) {
            for (kind, fault) in tally.faults(regime.law != Law::Nothing) {
                faults.entry(format!("{regime}: {kind} {fault}")).or_default().push(stage.to_string());
            }
        }
    }
    println!("outside of the bounds");
    for (what, stages) in faults {
        println!("  {what} at {}", stages.join(", "));
    }
}
