use std::fmt::{self, Write};

use clap::Args;
use serde_json::{Map, Value, json};

use super::{ConfigArgs, Format, suggest, text};
use crate::config::{LauncherConfig, LauncherKind, StudyConfig};
use crate::launcher::{Facts, slurm};
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

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    match args.format {
        Format::Table => out!("{}{}", table(&config), First::of(&config)?),
        Format::Json => outln!("{}", json(&config, &First::of(&config)?)),
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
    fn of(config: &StudyConfig) -> anyhow::Result<Self> {
        let mut study = Study::peek(config.clone())?;
        super::warn(study.warnings());
        if study.trials().is_empty() {
            let mut optimizer = runner::optimizer(&study);
            suggest::next(&mut study, &mut optimizer, None)?;
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
    let rows = rows(config);
    let has_prior = rows.iter().any(|r| r.prior.is_some());
    let has_epochs = rows.iter().any(|r| r.uniform.1.is_some());
    let weight = |w: f64| format!("{w:.4}");
    let epochs = |e: Option<f64>| e.map_or_else(|| "-".into(), |e| format!("{e:.2}"));
    let mut header = vec!["domain", "smallest", "largest"];
    let mut columns = |mixture| {
        header.push(mixture);
        header.extend(has_epochs.then_some("epochs"));
    };
    columns("uniform");
    if has_prior {
        columns("prior");
    }
    header.push("limited by");
    let mut cells = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in &rows {
        let mut line = vec![row.name.to_owned(), weight(row.reach.0), weight(row.reach.1)];
        for (w, e) in [Some(row.uniform), row.prior].into_iter().flatten() {
            line.push(weight(w));
            line.extend(has_epochs.then(|| epochs(e)));
        }
        line.push(row.cap.map_or_else(String::new, |_| "token cap".into()));
        cells.push(line);
    }
    let mut text = format!("{}: valid\n\n", config.path.display());
    align(&mut text, &cells);

    let groups = config.space.polytope().groups();
    if !groups.is_empty() {
        let mut cells = vec![["group", "min", "max", "domains"].map(str::to_owned).to_vec()];
        for g in groups {
            let members: Vec<&str> = g.domains.iter().map(|&i| config.space.domains()[i].name.as_str()).collect();
            cells.push(vec![g.name.clone(), weight(g.min), weight(g.max), members.join(", ")]);
        }
        text.push('\n');
        align(&mut text, &cells);
    }

    let list = config.fidelities.list();
    let optional = |x: Option<f64>| x.map_or_else(|| "-".into(), short);
    let mut cells = vec![["fidelity", "params", "tokens", "cost", "max trials", ""].map(str::to_owned).to_vec()];
    for (i, f) in list.iter().enumerate() {
        let trials = f.max_trials.map_or_else(|| "-".into(), |n| n.to_string());
        let target = if i == config.fidelities.target() { "target" } else { "" };
        cells.push(vec![
            f.name.clone(),
            optional(f.params),
            optional(f.tokens),
            optional(f.cost),
            trials,
            target.to_owned(),
        ]);
    }
    text.push('\n');
    align(&mut text, &cells);
    let _ = writeln!(text, "\n{}", budget(config));
    text
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

/// Appends a table: columns of numbers to the right, of words to the left, two spaces between.
fn align(text: &mut String, cells: &[Vec<String>]) {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |c: usize| cells.iter().map(|line| line[c].chars().count()).max().unwrap_or(0);
    let numeric =
        |c: usize| cells[1..].iter().all(|line| line[c] == "-" || line[c].parse::<f64>().is_ok()) && cells.len() > 1;
    let layout: Vec<(usize, bool)> = (0..columns).map(|c| (width(c), numeric(c))).collect();
    for line in cells {
        let padded = line
            .iter()
            .zip(&layout)
            .map(|(cell, &(width, right))| if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
        let _ = writeln!(text, "{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    }
}
