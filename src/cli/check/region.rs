//! The weights that can be had, and how often data would be repeated.

use serde_json::{Map, Value, json};

use super::{short, text};
use crate::config::StudyConfig;
use crate::problem::Mixture;
use crate::report::{Align, Table};
use crate::space::Granularity;
use crate::study::Trial;
use crate::text::{agreeing, number};

/// What is seen more often than this is repeated.
const FRESH: f64 = 1.0;

/// What is shown of a domain.
struct Row<'a> {
    name: &'a str,
    /// Its index in the space.
    index: usize,
    reach: (f64, f64),
    /// The token cap, where it is what limits the weight.
    cap: Option<f64>,
    /// What keeps the weight from being larger.
    limits: Vec<String>,
    /// Weight and, where tokens are known, epochs of the target run in the uniform and the prior mixture.
    uniform: (f64, Option<f64>),
    prior: Option<(f64, Option<f64>)>,
    /// By run (see [`runs`]), epochs at the largest weight.
    epochs: Vec<Option<f64>>,
}

/// A run that sees tokens.
struct Run {
    name: String,
    tokens: f64,
    /// Tokens of each domain that it draws from.
    unique: Vec<Option<f64>>,
}

/// Every size whose tokens are stated, and the run that the mixture is for where it is longer or shorter than the target's.
fn runs(config: &StudyConfig) -> Vec<Run> {
    let (list, target) = (config.fidelities.list(), config.fidelities.target());
    let stated = config.fidelities.iter().filter_map(|(m, f)| Some((m, f.name.clone(), f.tokens?)));
    let mut runs: Vec<Run> =
        stated.map(|(m, name, tokens)| Run { name, tokens, unique: config.unique_tokens(m) }).collect();
    if let Some(limits) = config.space.limits().filter(|l| list[target].tokens != Some(l.target_tokens)) {
        let unique = config.space.domains().iter().map(|domain| domain.tokens).collect();
        runs.push(Run { name: "final run".into(), tokens: limits.target_tokens, unique });
    }
    runs
}

/// One row per domain, in the order of the config file.
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
    let runs = runs(config);
    let order = config.domain_order.iter().filter_map(|name| space.index(name));
    order
        .map(|i| {
            let (domain, reach) = (&space.domains()[i], space.polytope().reach()[i]);
            Row {
                name: &domain.name,
                index: i,
                reach,
                cap: space.binding_token_cap(i),
                limits: space.limited_by(i).iter().map(ToString::to_string).collect(),
                uniform: (uniform.weights()[i], uniform_epochs[i]),
                prior: prior.as_ref().zip(prior_epochs.as_ref()).map(|(p, e)| (p.weights()[i], e[i])),
                epochs: runs.iter().map(|run| run.unique[i].map(|unique| reach.1 * run.tokens / unique)).collect(),
            }
        })
        .collect()
}

pub(super) fn table(config: &StudyConfig, design: &[Trial]) -> String {
    let tables = [Some(domains(config, design)), groups(config), repetition(config), Some(sizes(config))];
    let width = text::width();
    let tables: Vec<String> = tables.into_iter().flatten().map(|table| table.fitted(width).to_string()).collect();
    let granularity = config.space.granularity();
    let asked =
        if granularity == Granularity::default() { String::new() } else { format!("\neach weight is {granularity}\n") };
    format!("{}: valid\n\n{}{asked}", config.path.display(), tables.join("\n"))
}

/// What is asked of the weights.
pub(super) fn limits(config: &StudyConfig) -> Value {
    let granularity = config.space.granularity();
    json!({
        "smallest_weight": granularity.smallest,
        "step": granularity.step(),
        "match_repetition": config.match_repetition,
    })
}

fn domains(config: &StudyConfig, design: &[Trial]) -> Table {
    let rows = rows(config);
    let has_prior = rows.iter().any(|r| r.prior.is_some());
    let has_epochs = rows.iter().any(|r| r.uniform.1.is_some());
    let mut columns = vec![("domain", Align::Left), ("smallest", Align::Right), ("largest", Align::Right)];
    columns.push(("0      to      1", Align::Bar));
    for mixture in ["uniform"].into_iter().chain(has_prior.then_some("prior")) {
        columns.push((mixture, Align::Right));
        columns.extend(has_epochs.then_some(("epochs", Align::Right)));
    }
    columns.extend((!design.is_empty()).then_some(("in the design", Align::Right)));
    columns.push(("limited by", Align::Left));
    let mut table = Table::new(columns);
    for row in &rows {
        let (low, high) = row.reach;
        let mut line = vec![row.name.to_owned(), weight(low), weight(high), stretch(low, high)];
        for (w, e) in [Some(row.uniform), row.prior].into_iter().flatten() {
            line.push(weight(w));
            line.extend(has_epochs.then(|| epochs(e)));
        }
        line.extend(covered(row.index, design));
        line.push(row.limits.join(", "));
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

/// From where to where the design goes in domain `i`.
fn covered(i: usize, design: &[Trial]) -> Option<String> {
    let weights = || design.iter().map(|t| t.mixture.weights()[i]);
    let (least, most) = (weights().fold(f64::INFINITY, f64::min), weights().fold(0.0, f64::max));
    (!design.is_empty()).then(|| format!("{least:.2} – {most:.2}"))
}

fn groups(config: &StudyConfig) -> Option<Table> {
    let groups = config.space.polytope().groups();
    let columns = [("group", Align::Left), ("min", Align::Right), ("max", Align::Right), ("domains", Align::Left)];
    let mut table = Table::new(columns);
    for g in groups {
        let names = g.domains.iter().map(|&i| config.space.domains()[i].name.clone());
        let members: Vec<String> = match &g.freeze {
            None => names.collect(),
            Some(ratios) => names.zip(ratios).map(|(name, ratio)| format!("{} {name}", number(*ratio, 4))).collect(),
        };
        table.row([g.name.clone(), weight(g.min), weight(g.max), members.join(", ")]);
    }
    (!groups.is_empty()).then_some(table)
}

/// How often the data of every domain is seen at its largest weight.
fn repetition(config: &StudyConfig) -> Option<Table> {
    let mut columns = vec![("epochs at most".to_owned(), Align::Left)];
    columns.extend(runs(config).into_iter().map(|run| (run.name, Align::Right)));
    let mut table = Table::new(columns);
    let rows = rows(config);
    let known: Vec<&Row<'_>> = rows.iter().filter(|r| r.epochs.iter().any(Option::is_some)).collect();
    for row in &known {
        table.row([row.name.to_owned()].into_iter().chain(row.epochs.iter().map(|e| epochs(*e))));
    }
    (!known.is_empty()).then_some(table)
}

fn sizes(config: &StudyConfig) -> Table {
    let optional = |x: Option<f64>| x.map_or_else(|| "-".into(), short);
    let right = ["params", "tokens", "cost", "max trials"].map(|title| (title, Align::Right));
    let mut table = Table::new([("fidelity", Align::Left)].into_iter().chain(right).chain([("", Align::Left)]));
    for (i, f) in config.fidelities.iter() {
        let trials = f.max_trials.map_or_else(|| "-".into(), |n| n.to_string());
        let target = if i == config.fidelities.target() { "target" } else { "" };
        table.row([f.name.clone(), optional(f.params), optional(f.tokens), optional(f.cost), trials, target.into()]);
    }
    table
}

/// What one should know about the region before spending anything.
pub(super) fn notes(config: &StudyConfig) -> Vec<String> {
    let rows = rows(config);
    let mut notes = vec![];
    let stated: f64 = config.space.domains().iter().filter_map(|d| d.prior).sum();
    let moved = rows.iter().filter_map(|r| {
        let share = config.space.domains()[r.index].prior.unwrap_or(0.0) / stated;
        r.prior.filter(|(w, _)| (w - share).abs() > 5e-4).map(|(w, _)| format!("{} {share:.3} → {w:.3}", r.name))
    });
    let moved: Vec<String> = moved.collect();
    if stated > 0.0 && !text::is_one(stated) {
        let sum = number(stated, 4);
        notes.push(format!("the priors sum to {sum}, not to 1; the prior mixture has each divided by {sum}"));
    }
    if !moved.is_empty() {
        notes.push(format!("the prior breaks the bounds; the nearest mixture that does not: {}", moved.join(", ")));
    }
    notes.extend(unmatched(config, &rows));
    notes.extend(lonely(config));
    let (least, upper) = (config.space.granularity().least(), config.space.polytope().upper());
    let excluded = rows.iter().filter(|r| upper[r.index] > 0.0 && upper[r.index] < least).map(|r| r.name);
    notes.extend(
        excluded.map(|name| format!("{name} gets no weight: its token cap is below the smallest weight, {least}")),
    );
    if (0..config.space.dim()).all(|i| config.space.is_pinned(i)) {
        notes.push("the bounds leave one mixture only: there is nothing to search".into());
    }
    notes
}

/// What the final run repeats, and at which sizes a run repeats it more or less often.
fn unmatched(config: &StudyConfig, rows: &[Row<'_>]) -> Option<String> {
    let target = config.target_tokens().filter(|_| !config.match_repetition)?;
    let epochs = |row: &Row<'_>| Some(row.reach.1 * target / config.space.domains()[row.index].tokens?);
    let repeated = rows.iter().filter(|row| epochs(row).is_some_and(|epochs| epochs > FRESH));
    let repeated: Vec<&str> = repeated.map(|row| row.name).collect();
    let sizes = config.fidelities.list().iter().filter(|f| f.tokens.is_some_and(|tokens| tokens != target));
    let sizes: Vec<&str> = sizes.map(|f| f.name.as_str()).collect();
    (!repeated.is_empty() && !sizes.is_empty()).then(|| {
        format!(
            "large weights repeat {} in the final run; runs at {} see data less or more often and cannot show what \
             repetition costs; limits.match_repetition makes the epochs equal, limits.max_epochs bounds them",
            repeated.join(", "),
            sizes.join(", "),
        )
    })
}

/// Families of one domain, which say nothing: a name may be misspelled.
fn lonely(config: &StudyConfig) -> Option<String> {
    let domains = config.space.domains();
    let alone = |name: &&String| domains.iter().filter(|domain| domain.family.as_ref() == Some(*name)).count() == 1;
    let families: Vec<String> =
        domains.iter().filter_map(|d| d.family.as_ref()).filter(alone).map(|name| format!("`{name}`")).collect();
    let has = agreeing(families.len(), "family {} has", "families {} have");
    let note = || format!("{} one domain only, which learns from no other", has.replace("{}", &families.join(", ")));
    (!families.is_empty()).then(note)
}

pub(super) fn json(config: &StudyConfig) -> Map<String, Value> {
    let runs = runs(config);
    let object = |r: Row<'_>| {
        let mixture = |(weight, epochs): (f64, Option<f64>)| json!({ "weight": weight, "epochs": epochs });
        let epochs: Map<String, Value> =
            runs.iter().zip(&r.epochs).map(|(run, e)| (run.name.clone(), json!(e))).collect();
        let value = json!({
            "family": config.space.domains()[r.index].family,
            "min": r.reach.0,
            "max": r.reach.1,
            "token_cap": r.cap,
            "limited_by": r.limits,
            "uniform": mixture(r.uniform),
            "prior": r.prior.map(mixture),
            "epochs_at_most": epochs,
        });
        (r.name.to_owned(), value)
    };
    rows(config).into_iter().map(object).collect()
}

fn weight(w: f64) -> String {
    format!("{w:.4}")
}

fn epochs(e: Option<f64>) -> String {
    e.map_or_else(|| "-".into(), |e| format!("{e:.2}"))
}
