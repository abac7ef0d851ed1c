//! A study for logs that come without a config.

use std::collections::BTreeMap;

use super::error::ReplayError;
use crate::problem::Direction;
use crate::runs::RunLog;

/// What the rows of one fidelity say about it.
#[derive(Default)]
struct Scale {
    params: Option<f64>,
    tokens: Option<f64>,
    costs: Vec<f64>,
}

/// The config file that somebody with these logs would write: every `w:` column a free domain, every fidelity with its
/// size and mean cost, and, if `mean_objective` asks for one, the plain mean of the `y:` columns that are usual. Going through the config
/// makes overrides (`--set`) work, and fail, exactly as they do elsewhere. Returns the TOML and warnings.
///
/// Without a `cost` column, costs are taken as proportional to params × tokens, else to params, with the most expensive
/// fidelity at 1.
///
/// # Errors
/// No cost column and no sizes to estimate costs from.
pub fn infer_config(
    log: &RunLog,
    direction: Direction,
    mean_objective: bool,
) -> Result<(toml::Table, Vec<String>), ReplayError> {
    let scales = scales(log);
    let mut warnings = Vec::new();
    let costs = costs(&scales, &mut warnings)?;

    let mut config = toml::Table::new();
    config.insert("study".into(), table([("name", "replay".into())]).into());
    let domain = |name: &String| toml::Value::from(table([("name", name.as_str().into())]));
    config.insert("domain".into(), log.domains.iter().map(domain).collect::<Vec<_>>().into());
    let fidelity = |((name, scale), cost): ((&String, &Scale), f64)| {
        let mut entry = table([("name", name.as_str().into()), ("cost", cost.into())]);
        entry.extend(scale.params.map(|x| ("params".to_owned(), x.into())));
        entry.extend(scale.tokens.map(|x| ("tokens".to_owned(), x.into())));
        toml::Value::from(entry)
    };
    config.insert("fidelity".into(), scales.iter().zip(costs).map(fidelity).collect::<Vec<_>>().into());
    let mut objective = table([(
        "direction",
        match direction {
            Direction::Minimize => "minimize".into(),
            Direction::Maximize => "maximize".into(),
        },
    )]);
    if mean_objective {
        let names = usual_metrics(log, &mut warnings);
        let share = 1.0 / names.len() as f64;
        let metrics: toml::Table = names.into_iter().map(|name| (name.clone(), share.into())).collect();
        objective.insert("metrics".into(), metrics.into());
    }
    config.insert("objective".into(), objective.into());
    Ok((config, warnings))
}

/// The metrics that at least half as many runs have as have the most frequent one; the others would hide most runs.
fn usual_metrics<'a>(log: &'a RunLog, warnings: &mut Vec<String>) -> Vec<&'a String> {
    let count = |metric: usize| log.runs.iter().filter(|run| !run.metrics[metric].is_nan()).count();
    let counts: Vec<usize> = (0..log.metrics.len()).map(count).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let (usual, rare): (Vec<_>, Vec<_>) = log.metrics.iter().zip(counts).partition(|(_, n)| 2 * n >= most);
    if !rare.is_empty() {
        let rare: Vec<String> =
            rare.into_iter().map(|(name, n)| format!("\"{name}\" (in {n} of {})", log.runs.len())).collect();
        warnings.push(format!(
            "not part of the objective, because most runs lack it: {}; --set objective.metric=… says what is",
            rare.join(", ")
        ));
    }
    usual.into_iter().map(|(name, _)| name).collect()
}

fn table<const N: usize>(entries: [(&str, toml::Value); N]) -> toml::Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Sizes are those of the first run that states them; [`RunLog::separate_sizes`] has seen to it that others are nearly the same.
fn scales(log: &RunLog) -> BTreeMap<String, Scale> {
    let mut scales: BTreeMap<String, Scale> = BTreeMap::new();
    for run in &log.runs {
        let scale = scales.entry(run.fidelity.clone()).or_default();
        scale.costs.extend(run.cost);
        scale.params = scale.params.or(run.params);
        scale.tokens = scale.tokens.or(run.tokens);
    }
    scales
}

/// The cost of a run at each fidelity.
fn costs(scales: &BTreeMap<String, Scale>, warnings: &mut Vec<String>) -> Result<Vec<f64>, ReplayError> {
    if scales.values().all(|scale| !scale.costs.is_empty()) {
        return Ok(scales.values().map(|scale| scale.costs.iter().sum::<f64>() / scale.costs.len() as f64).collect());
    }
    let all = |size: fn(&Scale) -> Option<f64>| scales.values().map(size).collect::<Option<Vec<f64>>>();
    let (sizes, basis) = if let Some(compute) = all(|s| Some(s.params? * s.tokens?)) {
        (compute, "params × tokens")
    } else if let Some(params) = all(|s| s.params) {
        (params, "params")
    } else {
        return Err(ReplayError::Pool(
            "the logs state no cost for some fidelity, and no params to estimate it from; add a cost column, or give \
             costs in a config"
                .into(),
        ));
    };
    if scales.values().any(|scale| !scale.costs.is_empty()) {
        return Err(ReplayError::Pool(
            "some fidelities have costs in the logs and others none; fill the cost column, or give costs in a config"
                .into(),
        ));
    }
    let most = sizes.iter().copied().fold(0.0, f64::max);
    warnings.push(format!("the logs state no costs; assuming they are proportional to {basis}, the largest being 1"));
    Ok(sizes.iter().map(|size| size / most).collect())
}
