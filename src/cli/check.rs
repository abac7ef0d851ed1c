use std::fmt;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{ConfigArgs, Format, Output, suggest, text};
use crate::config::{LauncherConfig, LauncherKind, StudyConfig};
use crate::launcher::{Facts, slurm};
use crate::report::{Align, Table};
use crate::runner;
use crate::space::Mixture;
use crate::study::Study;

/// Validate a config and show what it means
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &CheckArgs, output: Output) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    match args.format {
        Format::Table => {
            let first = First::of(&config, output)?;
            show!("{}{first}", table(&config));
        }
        Format::Json => outln!("{}", json(&config, &First::of(&config, output)?)),
    }
    Ok(0)
}

/// The first trial, as it was or will be started.
struct First {
    facts: Facts,
    /// The training command with everything filled in, where there is one.
    command: Option<Vec<String>>,
    /// The script that `sbatch` gets, where it does.
    script: Option<String>,
}

impl First {
    fn of(config: &StudyConfig, output: Output) -> anyhow::Result<Self> {
        let mut study = Study::peek(config.clone())?;
        super::warn(output, study.warnings());
        if study.trials().is_empty() {
            let mut optimizer = runner::optimizer(&study);
            suggest::next(&mut study, &mut optimizer, None, output)?;
        }
        let facts = Facts::new(&study, study.trial(1)?, &std::path::absolute(&config.dir)?);
        let command = config.launcher.as_ref().map(|l| l.command.iter().map(|a| facts.render(a)).collect());
        let script = match &config.launcher {
            Some(launcher @ LauncherConfig { kind: LauncherKind::Slurm { .. }, .. }) => {
                Some(slurm::script(launcher, &slurm::job_name(&config.name, 1, 1), &facts, 1)?)
            }
            _ => None,
        };
        Ok(Self { facts, command, script })
    }

    fn json(&self) -> Value {
        json!({
            "fidelity": self.facts.fidelity,
            "weights": self.facts.weights,
            "seed": self.facts.seed,
            "command": self.command,
            "script": self.script,
        })
    }
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fidelity = &self.facts.fidelity;
        match (&self.script, &self.command) {
            (Some(script), _) => {
                writeln!(f, "\nfirst trial, at {fidelity}; the script of its job:\n")?;
                script.lines().try_for_each(|line| writeln!(f, "{}", format!("  {line}").trim_end()))
            }
            (None, Some(command)) => writeln!(f, "\nfirst trial, at {fidelity}:\n  {}", text::command_line(command)),
            (None, None) => writeln!(f, "\nno [launcher]: use `admire suggest` and `admire tell`"),
        }
    }
}

/// What is shown of a domain.
struct Row<'a> {
    name: &'a str,
    reach: (f64, f64),
    /// The token cap, where it is what limits the weight.
    cap: Option<f64>,
    /// Weight and, where tokens are known, epochs in the uniform and the prior mixture.
    uniform: (f64, Option<f64>),
    prior: Option<(f64, Option<f64>)>,
}

/// One row a domain, in the order of the config file.
fn rows(config: &StudyConfig) -> Vec<Row<'_>> {
    let space = &config.space;
    let target_tokens = space.limits().map(|l| l.target_tokens);
    let epochs = |mixture: &Mixture| match target_tokens {
        Some(tokens) => space.epochs(mixture, tokens),
        None => vec![None; space.dim()],
    };
    let uniform = space.uniform();
    let prior = space.prior();
    let (uniform_epochs, prior_epochs) = (epochs(&uniform), prior.as_ref().map(&epochs));
    let order = config.domain_order.iter().filter_map(|name| space.index(name));
    order
        .map(|i| {
            let reach = space.polytope().reach()[i];
            Row {
                name: &space.domains()[i].name,
                reach,
                cap: space.token_cap(i).filter(|cap| *cap < space.domains()[i].max && *cap <= reach.1 + 1e-9),
                uniform: (uniform.weights()[i], uniform_epochs[i]),
                prior: prior.as_ref().zip(prior_epochs.as_ref()).map(|(p, e)| (p.weights()[i], e[i])),
            }
        })
        .collect()
}

fn table(config: &StudyConfig) -> String {
    let tables = [Some(domains(config)), groups(config), Some(fidelities(config))];
    let width = text::width();
    let tables: Vec<String> = tables.into_iter().flatten().map(|table| table.fitted(width).to_string()).collect();
    format!("{}: valid\n\n{}\n{}\n", config.path.display(), tables.join("\n"), budget(config))
}

fn weight(w: f64) -> String {
    format!("{w:.4}")
}

fn domains(config: &StudyConfig) -> Table {
    let rows = rows(config);
    let has_prior = rows.iter().any(|r| r.prior.is_some());
    let has_epochs = rows.iter().any(|r| r.uniform.1.is_some());
    let epochs = |e: Option<f64>| e.map_or_else(|| "-".into(), |e| format!("{e:.2}"));
    let mut columns = vec![("domain", Align::Left), ("smallest", Align::Right), ("largest", Align::Right)];
    columns.push(("0      to      1", Align::Bar));
    for mixture in ["uniform"].into_iter().chain(has_prior.then_some("prior")) {
        columns.push((mixture, Align::Right));
        columns.extend(has_epochs.then_some(("epochs", Align::Right)));
    }
    columns.push(("limited by", Align::Left));
    let mut table = Table::new(columns);
    for row in &rows {
        let (low, high) = row.reach;
        let mut line = vec![row.name.to_owned(), weight(low), weight(high), stretch(low, high)];
        for (w, e) in [Some(row.uniform), row.prior].into_iter().flatten() {
            line.push(weight(w));
            line.extend(has_epochs.then(|| epochs(e)));
        }
        line.push(row.cap.map_or_else(String::new, |_| "token cap".into()));
        table.row(line);
    }
    table
}

/// From where to where a weight can be, on a line from 0 to 1.
fn stretch(low: f64, high: f64) -> String {
    const CELLS: f64 = 16.0;
    let (start, end) = ((low * CELLS).floor() as usize, (high * CELLS).ceil() as usize);
    format!("{}{}", "·".repeat(start), "█".repeat(end.saturating_sub(start)))
        + &"·".repeat((CELLS as usize).saturating_sub(end))
}

fn groups(config: &StudyConfig) -> Option<Table> {
    let groups = config.space.polytope().groups();
    let columns = [("group", Align::Left), ("min", Align::Right), ("max", Align::Right), ("domains", Align::Left)];
    let mut table = Table::new(columns);
    for g in groups {
        let members: Vec<&str> = g.domains.iter().map(|&i| config.space.domains()[i].name.as_str()).collect();
        table.row([g.name.clone(), weight(g.min), weight(g.max), members.join(", ")]);
    }
    (!groups.is_empty()).then_some(table)
}

fn fidelities(config: &StudyConfig) -> Table {
    let numeric = ["params", "tokens", "cost", "max trials"].map(|title| (title, Align::Right));
    let mut table = Table::new([("fidelity", Align::Left)].into_iter().chain(numeric).chain([("", Align::Left)]));
    let optional = |x: Option<f64>| x.map_or_else(|| "-".into(), short);
    for (i, f) in config.fidelities.list().iter().enumerate() {
        let trials = f.max_trials.map_or_else(|| "-".into(), |n| n.to_string());
        let target = if i == config.fidelities.target() { "target" } else { "" };
        let [params, tokens, cost] = [f.params, f.tokens, f.cost].map(optional);
        table.row([f.name.clone(), params, tokens, cost, trials, target.to_owned()]);
    }
    table
}

/// What the budget buys, in a sentence.
fn budget(config: &StudyConfig) -> String {
    let budget = &config.budget;
    let target = &config.fidelities.list()[config.fidelities.target()];
    let mut limits = vec![];
    if let Some(cost) = budget.cost {
        let worth = target.cost.map(|c| format!(" (worth {} runs at {})", short(cost / c), target.name));
        limits.push(format!("cost {}{}", short(cost), worth.unwrap_or_default()));
    }
    if let Some(trials) = budget.trials {
        let bounds = cost_range(config).map(|(a, b)| format!(" (cost between {} and {})", short(a), short(b)));
        limits.push(format!("{trials} trials{}", bounds.unwrap_or_default()));
    }
    limits.extend(budget.wall_time.map(|t| format!("{} s of wall time", short(t.as_secs_f64()))));
    limits.extend(budget.patience.map(|n| format!("patience of {n} trials")));
    limits.extend(budget.regret.map(|r| format!("expected regret below {}", short(r))));
    if limits.is_empty() {
        "budget: none, the study goes on until it is interrupted".into()
    } else {
        format!("budget: {}, whichever is reached first", limits.join(", "))
    }
}

/// The least and the most that `budget.trials` can cost; `None` without such a limit or without costs.
fn cost_range(config: &StudyConfig) -> Option<(f64, f64)> {
    let trials = config.budget.trials? as f64;
    let costs: Vec<f64> = config.fidelities.list().iter().map(|f| f.cost).collect::<Option<_>>()?;
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = costs.iter().copied().fold(0.0, f64::max);
    Some((trials * least, trials * most))
}

fn json(config: &StudyConfig, first: &First) -> Value {
    let domains: Map<String, Value> = rows(config)
        .into_iter()
        .map(|r| {
            let mixture = |(weight, epochs): (f64, Option<f64>)| json!({ "weight": weight, "epochs": epochs });
            let value = json!({
                "min": r.reach.0,
                "max": r.reach.1,
                "token_cap": r.cap,
                "uniform": mixture(r.uniform),
                "prior": r.prior.map(mixture),
            });
            (r.name.to_owned(), value)
        })
        .collect();
    let target = config.fidelities.target();
    let fidelities: Vec<Value> = config
        .fidelities
        .list()
        .iter()
        .enumerate()
        .map(|(i, f)| {
            json!({ "name": f.name, "params": f.params, "tokens": f.tokens, "cost": f.cost, "target": i == target })
        })
        .collect();
    json!({
        "study": config.name,
        "domains": domains,
        "fidelities": fidelities,
        "budget": {
            "cost": config.budget.cost,
            "trials": config.budget.trials,
            "wall_time": config.budget.wall_time.map(|t| t.as_secs_f64()),
            "patience": config.budget.patience,
            "regret": config.budget.regret,
        },
        "first_trial": first.json(),
    })
}

/// At most four significant digits: `0.02`, `1e9`.
fn short(x: f64) -> String {
    let rounded: f64 = format!("{x:.3e}").parse().unwrap_or(x);
    if rounded != 0.0 && !(1e-3..1e6).contains(&rounded.abs()) { format!("{rounded:e}") } else { rounded.to_string() }
}
