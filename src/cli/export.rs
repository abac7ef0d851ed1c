use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::ConfigArgs;
use crate::study::{Study, TrialState};

/// Write a study's completed runs as a long CSV
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to write; stdout if left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<u8> {
    let study = Study::read(args.config.load()?)?;
    super::warn(study.warnings());
    match &args.out {
        None => write(&study, std::io::stdout().lock())?,
        Some(path) => {
            let place = || format!("cannot write {}", path.display());
            let file = std::fs::File::create(path).with_context(place)?;
            write(&study, file).with_context(place)?;
        }
    }
    Ok(0)
}

/// Imported runs come last, with the usual cost of their fidelity, and with a column that says where they come from.
fn write(study: &Study, out: impl Write) -> anyhow::Result<()> {
    let runs: Vec<_> = study
        .trials()
        .iter()
        .filter_map(|t| match &t.state {
            TrialState::Complete(outcome) => Some((t, outcome)),
            _ => None,
        })
        .collect();
    let reported = runs.iter().map(|(_, o)| &o.metrics).chain(study.imported().map(|run| &run.metrics));
    let metrics: BTreeSet<&String> = reported.flat_map(BTreeMap::keys).collect();
    let domains: Vec<&str> = study.config().space.domains().iter().map(|d| d.name.as_str()).collect();
    let (fidelities, costs) = (study.config().fidelities.list(), study.costs());
    let text = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
    let row = |id: String, m: usize, cost: f64, weights: &BTreeMap<String, f64>, values: &BTreeMap<String, f64>| {
        let fidelity = &fidelities[m];
        let mut row = vec![id, fidelity.name.clone(), text(fidelity.params), text(fidelity.tokens), cost.to_string()];
        row.extend(domains.iter().map(|d| text(weights.get(*d).copied())));
        row.extend(metrics.iter().map(|m| text(values.get(*m).copied())));
        row
    };

    let mut csv = csv::Writer::from_writer(out);
    let mut header = ["run_id", "fidelity", "params", "tokens", "cost"].map(str::to_owned).to_vec();
    header.extend(domains.iter().map(|d| format!("w:{d}")));
    header.extend(metrics.iter().map(|m| format!("y:{m}")));
    let source = |text: &str| (study.imported().len() > 0).then(|| text.to_owned());
    header.extend(source("source"));
    csv.write_record(header)?;
    for (trial, outcome) in runs {
        let m = trial.fidelity;
        let cost = outcome.cost.or(fidelities[m].cost).or(outcome.duration).unwrap_or(costs[m]);
        let row = row(trial.id.to_string(), m, cost, &study.named(&trial.mixture), &outcome.metrics);
        csv.write_record(row.into_iter().chain(source("")))?;
    }
    for (i, run) in study.imported().enumerate() {
        let Some(m) = study.config().fidelities.index(&run.fidelity) else { continue };
        let row = row(format!("imported-{}", i + 1), m, costs[m], &run.weights, &run.metrics);
        csv.write_record(row.into_iter().chain(source(&run.source)))?;
    }
    csv.flush()?;
    Ok(())
}
