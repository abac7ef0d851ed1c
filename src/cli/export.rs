use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{ConfigArgs, Output};
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

pub(super) fn run(args: &ExportArgs, output: Output) -> anyhow::Result<u8> {
    let study = Study::read(args.config.load()?)?;
    super::warn(output, study.warnings());
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

fn write(study: &Study, out: impl Write) -> anyhow::Result<()> {
    let runs: Vec<_> = study
        .trials()
        .iter()
        .filter_map(|t| match &t.state {
            TrialState::Complete(outcome) => Some((t, outcome)),
            _ => None,
        })
        .collect();
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|(_, o)| o.metrics.keys()).collect();
    let domains = study.config().space.domains().iter().map(|d| format!("w:{}", d.name));
    let mut csv = csv::Writer::from_writer(out);
    let fixed = ["run_id", "fidelity", "params", "tokens", "cost"].map(str::to_owned);
    csv.write_record(fixed.into_iter().chain(domains).chain(metrics.iter().map(|m| format!("y:{m}"))))?;
    let text = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
    let costs = study.costs();
    for (trial, outcome) in runs {
        let fidelity = &study.config().fidelities.list()[trial.fidelity];
        let cost = outcome.cost.or(fidelity.cost).or(outcome.duration).unwrap_or(costs[trial.fidelity]);
        let mut row = vec![trial.id.to_string(), fidelity.name.clone(), text(fidelity.params), text(fidelity.tokens)];
        row.push(cost.to_string());
        row.extend(trial.mixture.weights().iter().map(ToString::to_string));
        row.extend(metrics.iter().map(|m| text(outcome.metrics.get(*m).copied())));
        csv.write_record(row)?;
    }
    csv.flush()?;
    Ok(())
}
