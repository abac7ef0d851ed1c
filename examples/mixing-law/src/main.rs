//! Test problems of known optimum, and the "training" command for them.
//!
//! `mixing-law generate` writes a problem and a study's config; `mixing-law train` stands for a team's training script: it
//! has its own flags and knows nothing of the program that chooses its mixtures. `mixing-law score` says how good a mixture
//! really is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use mixing_law::{Problem, Recipe, Regime, Size, rank_correlation};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::json;

/// Analytic test problems for data mixtures: losses follow a mixing law, the optimum is known.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a problem: `problem.json`, and `study.toml` to optimize it with.
    Generate(GenerateArgs),
    /// Say what is known about a problem (JSON).
    Describe {
        /// The problem.
        problem: PathBuf,
    },
    /// "Train" on a mixture: write the metrics that it gives, with noise.
    Train(TrainArgs),
    /// Say what share of the gap, from the uniform mixture to the optimum, a mixture closes at the target (JSON).
    Score {
        /// The problem.
        problem: PathBuf,
        /// JSON file `{"weights": {"domain00": 0.5, …}}`; other keys are ignored.
        mixture: PathBuf,
    },
}

#[derive(Args)]
struct GenerateArgs {
    /// Where to put it; made if need be.
    dir: PathBuf,
    /// Number of domains.
    #[arg(long, default_value_t = 17)]
    domains: usize,
    /// Whether the sizes rank mixtures alike.
    #[arg(long, default_value = "agree")]
    regime: Sizes,
    /// Standard deviation of the noise of every metric, in nats.
    #[arg(long, default_value_t = 0.005)]
    noise: f64,
    /// Another seed gives another problem.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sizes {
    Agree,
    Disagree,
}

#[derive(Args)]
struct TrainArgs {
    /// The problem.
    #[arg(long, value_name = "FILE")]
    problem: PathBuf,
    /// JSON file `{"weights": {"domain00": 0.5, …}}`; weights sum to 1, other keys are ignored.
    #[arg(long, value_name = "FILE")]
    mixture: PathBuf,
    /// Name of the size.
    #[arg(long)]
    size: String,
    /// Seed of the noise.
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Where to write `{"metrics": {metric: loss, …}}`.
    #[arg(long, value_name = "FILE")]
    result: PathBuf,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Generate(args) => generate(&args)?,
        Command::Describe { problem } => println!("{:#}", describe(&read(&problem)?)?),
        Command::Train(args) => train(&args)?,
        Command::Score { problem, mixture } => println!("{}", score(&read(&problem)?, &mixture)?),
    }
    Ok(())
}

fn read(path: &Path) -> Result<Problem> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the problem {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no problem", path.display()))
}

fn generate(args: &GenerateArgs) -> Result<()> {
    ensure!(args.noise >= 0.0 && args.noise.is_finite(), "--noise is a standard deviation: it must be at least 0");
    let regime = match args.regime {
        Sizes::Agree => Regime::Agree,
        Sizes::Disagree => Regime::Disagree,
    };
    let problem = Recipe { domains: args.domains, regime, noise: args.noise, seed: args.seed }.problem()?;
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    let dir = args.dir.canonicalize()?;
    let file = dir.join("problem.json");
    let program = std::env::current_exe()?;
    let command = [
        &program.display().to_string(),
        "train",
        "--problem",
        &file.display().to_string(),
        "--mixture",
        "{mixture_file}",
        "--size",
        "{fidelity}",
        "--seed",
        "{seed}",
        "--result",
        "{result_file}",
    ];
    let study = format!("{}\n[launcher]\ncommand = {command:?}\n", problem.study());
    let write =
        |path: &Path, text: &str| fs::write(path, text).with_context(|| format!("cannot write {}", path.display()));
    write(&file, &(serde_json::to_string(&problem)? + "\n"))?;
    write(&dir.join("study.toml"), &study)
}

/// Mixtures that a problem is described by.
const SAMPLE: usize = 1000;

fn describe(problem: &Problem) -> Result<serde_json::Value> {
    let space = problem.space()?;
    let sample = space.polytope().sample(SAMPLE, &mut ChaCha8Rng::seed_from_u64(0));
    let losses = |size: &Size| -> Vec<f64> { sample.iter().map(|w| problem.objective(size, w).0).collect() };
    let at_target = losses(problem.target());
    let (uniform, best) = problem.gap()?;
    let optimum = problem.optimum(problem.target())?;
    let weights = |w: &[f64]| -> serde_json::Map<String, serde_json::Value> {
        problem.domains.iter().zip(w).map(|(d, w)| (d.name.clone(), json!(w))).collect()
    };
    let sizes = problem.sizes.iter().map(|size| {
        let losses = losses(size);
        let own = problem.optimum(size)?;
        Ok(json!({
            "size": size.name, "cost": size.cost,
            "sd": deviation(&losses),
            "rank_correlation": rank_correlation(&losses, &at_target),
            "optimum_closes": problem.share_closed(&own.weights)?,
        }))
    });
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    // The expected best of 20 random mixtures: the mean over 50 lots.
    let lots: Vec<f64> = at_target.chunks(20).map(|lot| lot.iter().copied().fold(f64::INFINITY, f64::min)).collect();
    let random = (uniform - lots.iter().sum::<f64>() / lots.len() as f64) / (uniform - best);
    let tight = space.tight_bounds(&admire::problem::Mixture::new(optimum.weights.clone()));
    Ok(json!({
        "name": problem.name,
        "domains": problem.domains.len(), "metrics": problem.metrics.len(),
        "noise": {"metric": problem.noise, "objective": problem.noise / (problem.metrics.len() as f64).sqrt()},
        "uniform": uniform, "optimum": best, "gap": uniform - best, "optimum_uncertainty": optimum.gap,
        "sizes": sizes,
        "best_of_20_random_closes": random,
        "bounds_met": tight.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "weights": weights(&optimum.weights),
    }))
}

/// The standard deviation.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0)).sqrt()
}

#[derive(Deserialize)]
struct MixtureFile {
    weights: BTreeMap<String, f64>,
}

/// The weights in a mixture file, in the order of the problem's domains.
fn mixture(problem: &Problem, path: &Path) -> Result<Vec<f64>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the mixture {}", path.display()))?;
    let file: MixtureFile = serde_json::from_str(&text)
        .with_context(|| format!("{}: expected JSON like {{\"weights\": {{\"domain00\": 1}}}}", path.display()))?;
    let w = problem
        .weights(&file.weights)
        .with_context(|| format!("{}: a domain that the problem does not have", path.display()))?;
    let sum: f64 = w.iter().sum();
    ensure!(
        w.iter().all(|x| *x >= 0.0) && (sum - 1.0).abs() <= 1e-6,
        "{}: weights must be at least 0 and sum to 1, not {sum}",
        path.display()
    );
    Ok(w)
}

fn train(args: &TrainArgs) -> Result<()> {
    let problem = read(&args.problem)?;
    let w = mixture(&problem, &args.mixture)?;
    let size = problem.sizes.iter().find(|s| s.name == args.size);
    let size = size.with_context(|| format!("the problem has no size {}", args.size))?;
    let losses = problem.train(size, &w, args.seed);
    let metrics: BTreeMap<&String, f64> = problem.metrics.iter().zip(losses).collect();
    let temporary = args.result.with_extension(format!("tmp{}", std::process::id()));
    // A reader must never see half of it.
    fs::write(&temporary, json!({ "metrics": metrics }).to_string())
        .and_then(|()| fs::rename(&temporary, &args.result))
        .with_context(|| format!("cannot write the result to {}", args.result.display()))
}

fn score(problem: &Problem, path: &Path) -> Result<serde_json::Value> {
    let w = mixture(problem, path)?;
    let (uniform, best) = problem.gap()?;
    let loss = problem.objective(problem.target(), &w).0;
    let allowed = problem.space()?.polytope().contains(&w, 1e-6);
    Ok(json!({"share": (uniform - loss) / (uniform - best), "loss": loss, "uniform": uniform, "optimum": best,
              "allowed": allowed}))
}
