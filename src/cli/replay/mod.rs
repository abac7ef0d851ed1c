//! `admire replay`

mod progress;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use self::progress::Shown;
use super::{Format, report, text};
use crate::config::StudyConfig;
use crate::input;
use crate::problem;
use crate::replay::{
    Ablation, AblationRow, Factor, Plan, Playback, Pool, Progress, Question, ReplayError, Strategy, StrategySummary,
    Summary, Target, cost_grid, grid, infer_config, play, quantile,
};
use crate::report::{Align, Band, RegretPlot, Series, Table, regret_svg};
use crate::runs::RunLog;
use crate::study::Study;
use crate::text::{counted, fixed, number};

/// Simulate on logged runs: what would the search have cost?
#[derive(Debug, Args)]
#[command(after_help = "Example: admire replay --runs runs.csv --seeds 10 --out replay")]
pub struct ReplayArgs {
    /// The study's config file; without one, the study is read off the columns of --runs
    #[arg(long, short, value_name = "FILE", required_unless_present = "runs")]
    config: Option<PathBuf>,
    /// Override a key of the config; the value is TOML, e.g. --set objective.metric='"github"'
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// CSV files of logged runs; overrides replay.runs
    #[arg(long, value_name = "FILE", num_args = 1..)]
    runs: Vec<PathBuf>,
    /// Strategies to compare [default: all]
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    strategy: Vec<Strategy>,
    /// Seeds a strategy [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: Option<u64>,
    /// What a strategy may spend [default: budget.cost, else three target runs]
    #[arg(long, value_name = "COST", value_parser = positive)]
    budget: Option<f64>,
    /// Runs under way at once, each taking as long as it costs [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: Option<u32>,
    /// Costs at which regret is reported [default: 1, 3, 10, … within the budget]
    #[arg(long, value_name = "COST", num_args = 1.., value_delimiter = ',', value_parser = positive)]
    at: Vec<f64>,
    /// Regret that counts as having found the best, in standard deviations of all logged target runs
    #[arg(long, value_name = "T", default_value = "0.1", value_parser = not_negative)]
    tolerance: f64,
    /// How many target runs, the first in the files, can be bought and recommended [default: all]
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Strategies with a surrogate know the runs of the study in DIR from the start, as a new study with this config would
    /// that is forked from it
    #[arg(long, value_name = "DIR", requires = "config")]
    fork: Option<PathBuf>,
    /// Without a config: whether smaller or larger metrics are better
    #[arg(long, conflicts_with = "config")]
    direction: Option<Direction>,
    /// Instead of comparing strategies, play `admire` with every combination of these choices of its optimizer; what is
    /// not named stays as configured [default: all but shrinkage]
    #[arg(long, value_name = "FACTOR", num_args = 0.., value_delimiter = ',', conflicts_with_all = ["strategy", "out"],
          default_missing_values = ["kernel", "warp", "structure", "acquisition"])]
    ablate: Option<Vec<Factor>>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write report.html, curves.csv, runs.json and regret.svg here
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    Minimize,
    Maximize,
}

fn positive(text: &str) -> Result<f64, String> {
    input::number(text).filter(|x| *x > 0.0 && x.is_finite()).ok_or_else(|| "expected a positive number".into())
}

fn not_negative(text: &str) -> Result<f64, String> {
    input::number(text).filter(|x| *x >= 0.0 && x.is_finite()).ok_or_else(|| "expected a number, 0 or more".into())
}

pub(super) fn run(args: &ReplayArgs, bars: bool) -> anyhow::Result<u8> {
    let (study, log, mut warnings) = study(args)?;
    let candidates = args.candidates.or(study.replay.candidates);
    let mut pool =
        Pool::new(&log, &study.space, &study.fidelities, &study.objective, candidates)?.guarded(&study.guards)?;
    if let Some(from) = &args.fork {
        let known = Study::forked(study.clone(), from)?.evidence().observations;
        pool = pool.knowing(known, &study.fidelities);
    }
    warnings.extend(pool.warnings.iter().cloned());
    super::warn(&warnings);

    let target_cost = pool.costs()[pool.fidelities.target()];
    let cheapest = pool.runs.iter().map(|run| run.cost).fold(f64::INFINITY, f64::min);
    let seeds = args.seeds.or(study.replay.seeds.map(|n| n as u64)).unwrap_or(5);
    let plan = Plan {
        strategies: strategies(args, &study)?,
        seeds: (0..seeds).map(|i| study.seed.wrapping_add(i)).collect(),
        budget: args.budget.or(study.budget.cost).unwrap_or(3.0 * target_cost),
        slots: args.slots.map_or(1, |n| n as usize),
        gain: study.budget.gain,
        settings: study.optimizer.clone(),
    };
    let at = if args.at.is_empty() { cost_grid(cheapest, plan.budget) } else { args.at.clone() };
    let question = Question { at, tolerance: args.tolerance };

    if let Some(factors) = &args.ablate {
        return ablate(&pool, &plan, &question, factors, args.format, bars);
    }
    let shown = Shown::new(bars, &plan);
    let playbacks = play(&pool, &plan, &|progress| shown.advance(&plan, progress));
    shown.finish();

    let summary = Summary::new(&pool, &playbacks, plan.budget, &question);
    let json = serde_json::to_string(&summary)?;
    if let Some(dir) = &args.out {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        write(&dir.join("curves.csv"), &curves_csv(&pool, &playbacks)?)?;
        write(&dir.join("runs.json"), format!("{json}\n").as_bytes())?;
        let plot = picture(&pool, &playbacks, &plan, args.tolerance, cheapest);
        write(&dir.join("regret.svg"), regret_svg(&plot).map_err(anyhow::Error::msg)?.as_bytes())?;
        let page = report::replay::report(&study, &pool, &summary, plot, conclusions(&summary));
        report::write(&page, &dir.join("report.html"))?;
    }
    match args.format {
        Format::Json => data!("{json}"),
        Format::Table => out!("{}", table(&summary, text::width())),
    }
    Ok(0)
}

fn ablate(
    pool: &Pool,
    plan: &Plan,
    question: &Question,
    factors: &[Factor],
    format: Format,
    bars: bool,
) -> anyhow::Result<u8> {
    let variants = grid(&plan.settings, factors);
    let plan = Plan { strategies: vec![Strategy::Admire], ..plan.clone() };
    let shown = Shown::new(bars, &plan);
    let share = 1.0 / variants.len() as f64;
    let rows = variants.into_iter().map(|variant| {
        let playbacks = play(pool, &Plan { settings: variant.settings, ..plan.clone() }, &|progress| {
            shown.advance(&plan, Progress { share: progress.share * share, ..progress });
        });
        AblationRow { levels: variant.levels, result: StrategySummary::new(pool, &playbacks, question) }
    });
    let ablation = Ablation { target: Target::new(pool), factors: factors.to_vec(), rows: rows.collect() };
    shown.finish();
    match format {
        Format::Json => data!("{}", serde_json::to_string(&ablation)?),
        Format::Table => out!("{}", ablation_table(&ablation)),
    }
    Ok(0)
}

fn ablation_table(ablation: &Ablation) -> String {
    let mut columns: Vec<_> = ablation.factors.iter().map(|factor| (factor.to_string(), Align::Left)).collect();
    let at = ablation.rows.first().map_or(&[][..], |row| row.result.regret.as_slice());
    let numeric = ["stay".to_owned()].into_iter().chain(at.iter().map(|r| format!("@{}", number(r.cost, 3))));
    columns.extend(
        numeric.chain(["rank", "50 %", "90 %", "score", "suggest"].map(String::from)).map(|t| (t, Align::Right)),
    );
    let mut table = Table::new(columns);
    for AblationRow { levels, result } in &ablation.rows {
        let mut row = levels.clone();
        row.push(result.median_stay().map_or_else(|| "never".into(), |cost| number(cost, 3)));
        row.extend(result.regret.iter().map(|r| format!("{:.2}", r.mean)));
        let calibration = result.calibration.as_ref();
        let cell = |value: Option<f64>| value.map_or_else(|| "–".into(), |x| fixed(x, 2));
        row.push(cell(calibration.and_then(|c| c.rank_correlation)));
        row.extend([calibration.map(|c| c.coverage50), calibration.map(|c| c.coverage90)].map(cell));
        row.push(cell(calibration.and_then(|c| c.log_score)));
        row.push(result.suggest_ms.median.map_or_else(String::new, |ms| format!("{ms:.0} ms")));
        table.row(row);
    }
    format!(
        "{table}\nstay: median cost from which the recommendation stays near the best; @cost: mean regret in sd\n\
         rank, 50 %, 90 %, score: rank correlation, coverage of central intervals and mean log score (nats, in sd) of \
         predictions of held-out target runs\n"
    )
}

/// The study and its logs, and what deserves a warning.
fn study(args: &ReplayArgs) -> anyhow::Result<(StudyConfig, RunLog, Vec<String>)> {
    if let Some(path) = &args.config {
        let study = super::load(path, &args.set)?;
        let files = if args.runs.is_empty() { &study.replay.runs } else { &args.runs };
        if files.is_empty() {
            let message = "there are no logged runs; give --runs FILE, or set replay.runs in the config".to_owned();
            return Err(ReplayError::Pool(message).into());
        }
        let log = RunLog::read(files)?;
        return Ok((study, log, Vec::new()));
    }
    let log = RunLog::read(&args.runs)?;
    let direction = match args.direction {
        Some(Direction::Maximize) => problem::Direction::Maximize,
        Some(Direction::Minimize) | None => problem::Direction::Minimize,
    };
    // An override that picks metrics replaces the mean of all rather than adding to it.
    let picks_metrics = args.set.iter().any(|set| set.trim_start().starts_with("objective.metric"));
    let (config, warnings) = infer_config(&log, direction, !picks_metrics)?;
    let text = toml::to_string(&config)?;
    let study = StudyConfig::parse(Path::new("(columns of --runs)"), &text, &args.set)?;
    Ok((study, log, warnings))
}

/// The strategies to play, each once.
fn strategies(args: &ReplayArgs, study: &StudyConfig) -> Result<Vec<Strategy>, ReplayError> {
    let mut chosen = args.strategy.clone();
    if chosen.is_empty() {
        chosen = study.replay.strategies.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    }
    if chosen.is_empty() {
        chosen = Strategy::ALL.to_vec();
    }
    let mut seen = HashSet::new();
    chosen.retain(|strategy| seen.insert(strategy.name()));
    Ok(chosen)
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn curves_csv(pool: &Pool, playbacks: &[Playback]) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["strategy", "seed", "cost", "fidelity", "run_id", "recommended", "regret", "expected_regret"])?;
    for playback in playbacks {
        for step in &playback.curve.steps {
            let run = &pool.runs[step.run];
            csv.write_record([
                playback.strategy.name(),
                &playback.seed.to_string(),
                &step.cost.to_string(),
                &pool.fidelities[run.fidelity].name,
                &run.id,
                &pool.runs[pool.candidates[step.recommended]].id,
                &step.regret.to_string(),
                &step.expected_regret.map_or_else(String::new, |regret| regret.to_string()),
            ])?;
        }
    }
    csv.into_inner().context("cannot finish curves.csv")
}

fn picture(pool: &Pool, playbacks: &[Playback], plan: &Plan, tolerance: f64, cheapest: f64) -> RegretPlot {
    const POINTS: usize = 600;
    // Leaves a little of the blind start to be seen, and never an empty axis.
    let start = (cheapest / 2.0).min(plan.budget / 10.0);
    let costs: Vec<f64> = (0..=POINTS).map(|i| start * (plan.budget / start).powf(i as f64 / POINTS as f64)).collect();
    let series = playbacks.chunk_by(|a, b| a.strategy == b.strategy).map(|group| {
        let band = |cost: &f64| {
            let regrets: Vec<f64> = group.iter().map(|playback| playback.curve.regret(*cost)).collect();
            let mean = regrets.iter().sum::<f64>() / regrets.len() as f64;
            // With few seeds the mean may lie outside the quantiles; a band that leaves its line looks broken.
            let edge = |q: f64| quantile(&regrets, q).unwrap_or(mean);
            Band { low: edge(0.1).min(mean), mean, high: edge(0.9).max(mean) }
        };
        Series { name: group[0].strategy.name().into(), bands: costs.iter().map(band).collect() }
    });
    let target = pool.target();
    let unit = number(pool.costs()[pool.fidelities.target()], 3);
    RegretPlot {
        title: format!("Regret of the recommended mixture at {}", target.name),
        subtitle: format!(
            "{}; mean over {}, bands from the 10 % to the 90 % quantile",
            counted(pool.candidates.len(), "candidate"),
            counted(plan.seeds.len(), "seed")
        ),
        cost_label: format!("cumulative cost of the runs bought (one {} run: {unit})", target.name),
        regret_label: "regret (standard deviations)".into(),
        series: series.collect(),
        costs,
        tolerance,
    }
}

/// The summary for people.
fn table(summary: &Summary, width: usize) -> String {
    let target = &summary.target;
    let mut text = format!(
        "{} at {}, the best {} (run {}), standard deviation {}; budget {}\n\n",
        counted(target.candidates, "candidate"),
        target.fidelity,
        number(target.best, 5),
        target.best_run,
        number(target.sd, 3),
        number(summary.budget, 4),
    );
    let at = summary.strategies.first().map_or(&[][..], |s| s.regret.as_slice());
    let mut columns = vec![("strategy".to_owned(), Align::Left)];
    let mut numeric = vec!["first".to_owned(), "stay".to_owned()];
    numeric.extend(at.iter().map(|r| format!("@{}", number(r.cost, 3))));
    let guarded = summary.strategies.iter().any(|s| !s.keeps_guards.is_empty());
    numeric.extend(at.iter().filter(|_| guarded).map(|r| format!("kept@{}", number(r.cost, 3))));
    numeric.push("suggest".to_owned());
    columns.extend(numeric.into_iter().map(|title| (title, Align::Right)));
    let mut table = Table::new(columns);
    let reached = |cost: Option<f64>| cost.map_or_else(|| "never".into(), |cost| number(cost, 3));
    for strategy in &summary.strategies {
        let mut row = vec![strategy.name.to_owned(), reached(strategy.median_first()), reached(strategy.median_stay())];
        row.extend(strategy.regret.iter().map(|r| format!("{:.2}", r.mean)));
        let kept = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share));
        row.extend(strategy.keeps_guards.iter().map(|k| kept(k.share)));
        row.push(strategy.suggest_ms.median.map_or_else(String::new, |ms| format!("{ms:.1} ms")));
        table.row(row);
    }
    text += &table.fitted(width).to_string();
    text += &format!(
        "\nfirst, stay: median cost at which the recommendation first is within {} sd of the best, and from which it \
         stays there\n@cost: mean regret in sd once that much is spent; suggest: median time to choose a run\n\n",
        number(summary.tolerance, 3)
    );
    if guarded {
        text += "kept@cost: share of seeds whose recommendation keeps the guards; one that does not counts in @cost as a random one \
                 that does\n\n";
    }
    text + &conclusions(summary).join("\n") + "\n"
}

/// What the numbers mean, a sentence each.
fn conclusions(summary: &Summary) -> Vec<String> {
    let strategies = summary.strategies.iter();
    let mut conclusions: Vec<String> =
        strategies.map(|s| sentence(summary, s.name, s.seeds, s.median_stay())).collect();
    conclusions.extend(summary.strategies.iter().filter_map(stop));
    if let Some(saving) = &summary.saving_vs_single_fidelity
        && let (Some(median), Some(min), Some(max)) = (saving.median_percent, saving.min_percent, saving.max_percent)
    {
        conclusions.push(format!(
            "admire saves {median:.1} % of what single-fidelity spends to get there ({min:.1} to {max:.1} %; median of \
             the {} of {} in which both do).",
            saving.pairs,
            counted(summary.strategies.first().map_or(0, |s| s.seeds), "seed"),
        ));
    }
    conclusions
}

/// Where `budget.gain` stopped a strategy, if it did.
fn stop(strategy: &StrategySummary) -> Option<String> {
    let costs: Vec<f64> = strategy.stopped.iter().copied().flatten().collect();
    let [least, median, most] = [0.0, 0.5, 1.0].map(|q| quantile(&costs, q).map(|cost| number(cost, 3)));
    Some(format!(
        "{} stops by budget.gain at cost {} ({} to {}; median of the {} of {} that it stops).",
        strategy.name,
        median?,
        least?,
        most?,
        costs.len(),
        counted(strategy.seeds, "seed"),
    ))
}

fn sentence(summary: &Summary, name: &str, seeds: usize, stay: Option<f64>) -> String {
    let tolerance = number(summary.tolerance, 3);
    let of = if seeds == 1 { "one seed".to_owned() } else { format!("median of {}", counted(seeds, "seed")) };
    match stay {
        Some(cost) => {
            let share = cost / summary.target.cost;
            let runs = if (share - 1.0).abs() < 1e-9 { "run" } else { "runs" };
            format!(
                "{name}'s recommendation is within {tolerance} sd of the best from cost {} on ({} {} {runs}; {of}).",
                number(cost, 3),
                number(share, 3),
                summary.target.fidelity,
            )
        }
        None => format!(
            "{name}'s recommendation does not settle within {tolerance} sd of the best by cost {} ({of}).",
            number(summary.budget, 4)
        ),
    }
}
