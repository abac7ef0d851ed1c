use crate::problem::{FidelityId, Mixture};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::{ConfigArgs, UsageError, text};
use crate::advice::{self, Answer};
use crate::exchange::{ExportFormat, Ingredient, Recipe};
use crate::study::{ImportedRun, Study, TrialId};
use crate::text::counted;

/// Write a study's runs, or its mixture for a trainer
#[derive(Debug, Args)]
#[command(after_help = "Example: admire export --format megatron-args --out blend.txt")]
pub struct ExportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The recommended mixture, for this trainer [default: not the mixture but completed runs, as a wide CSV that `replay`
    /// and `import` read]
    #[arg(long, value_enum)]
    format: Option<ExportFormat>,
    /// The mixture of this trial instead of the recommended one
    #[arg(long, value_name = "N")]
    trial: Option<TrialId>,
    /// What trials reported on their way, as a long CSV: one row per report
    #[arg(long, conflicts_with = "format")]
    curves: bool,
    /// Where to write; stdout if left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<u8> {
    if args.format.is_none() && args.trial.is_some() {
        return Err(UsageError("--trial is about a mixture; say for which trainer with --format".into()).into());
    }
    let study = args.config.ask()?;
    super::warn(study.warnings());
    let text = match args.format {
        None if args.curves => curves(&study)?,
        None => runs(&study)?,
        Some(format) => {
            let (title, mixture) = mixture(&study, args.trial)?;
            if let [first, ..] = study.config().space.broken_bounds(&mixture).as_slice() {
                bail!("the mixture of {title} breaks the config: {first}; relax that, or export another mixture");
            }
            let recipe = recipe(&study, title, &mixture);
            super::warn(&format.warnings(&recipe));
            format.write(&recipe)?
        }
    };
    super::deliver(&text, args.out.as_deref())?;
    Ok(0)
}

/// What is exported, in one line, and its weights.
fn mixture(study: &Study, trial: Option<TrialId>) -> anyhow::Result<(String, Mixture)> {
    let config = study.config();
    let (what, mixture) = match trial {
        Some(id) => (format!("trial {id}"), study.trial(id)?.mixture.clone()),
        None => {
            let target = &config.fidelities[config.fidelities.target()].name;
            let Answer { mixture, caveats } = advice::answer(study, &advice::optimizer(study))?;
            super::warn(&caveats.iter().map(ToString::to_string).collect::<Vec<_>>());
            (format!("what is recommended for {target}"), mixture)
        }
    };
    Ok((format!("{what} in the study {}, written by admire", config.name), mixture))
}

fn recipe<'a>(study: &'a Study, title: String, mixture: &Mixture) -> Recipe<'a> {
    let config = study.config();
    let (weights, limits) = (mixture.weights(), config.space.limits());
    let implied = limits.map(|limits| config.space.epochs(mixture, limits.target_tokens));
    let domain = |name: &'a String| {
        let i = config.space.index(name)?;
        let implied = implied.as_ref().and_then(|epochs| epochs[i]);
        // Where tokens are not stated, nothing is known about epochs, whatever their limit.
        let epochs = implied.map(|implied| limits.and_then(|limits| limits.max_epochs).unwrap_or(implied).max(implied));
        Some(Ingredient { name, weight: weights[i], epochs })
    };
    let domains = config.domain_order.iter().filter_map(domain).collect();
    // What seeds NumPy has 32 bits.
    let seed = config.export.seed.unwrap_or(config.seed as u32);
    Recipe { title, domains, config: &config.export, seed }
}

/// One row per report, trial after trial, whatever has become of the trial. Of its result there is no row: that is among the runs.
fn curves(study: &Study) -> anyhow::Result<String> {
    let (config, trials) = (study.config(), study.trials());
    let metrics: BTreeSet<&String> = trials.iter().flat_map(|t| &t.curve).flat_map(|r| r.metrics.keys()).collect();
    let domains: Vec<&str> = config.space.domains().iter().map(|d| d.name.as_str()).collect();
    let mut csv = csv::Writer::from_writer(vec![]);
    let mut header = ["curve_of", "state", "fidelity", "params", "step", "tokens"].map(str::to_owned).to_vec();
    header.extend(domains.iter().map(|d| format!("w:{d}")));
    header.extend(metrics.iter().map(|m| format!("y:{m}")));
    csv.write_record(header)?;
    for trial in trials {
        let (fidelity, weights) = (&config.fidelities[trial.fidelity], study.named(&trial.mixture));
        for report in &trial.curve {
            let mut row = vec![trial.id.to_string(), trial.state.name().to_owned(), fidelity.name.clone()];
            row.extend([fidelity.params, report.step, report.tokens].map(cell));
            row.extend(domains.iter().map(|d| cell(weights.get(*d).copied())));
            row.extend(metrics.iter().map(|m| cell(report.metrics.get(*m).copied())));
            csv.write_record(row)?;
        }
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

fn cell(x: Option<f64>) -> String {
    x.map_or_else(String::new, |x| x.to_string())
}

/// Imported runs come last, with the usual cost of their fidelity. Where there are any, a column says where they come from; where
/// trials were corrected, one says how.
fn runs(study: &Study) -> anyhow::Result<String> {
    let runs: Vec<_> = study.trials().iter().filter_map(|t| Some((t, t.outcome()?))).collect();
    let (imported, past): (Vec<&ImportedRun>, Vec<_>) =
        study.imported().partition(|imported| imported.run.past.is_none());
    if !past.is_empty() {
        tracing::warn!(
            "{} left out, which drew data that this study no longer has",
            counted(past.len(), "imported run")
        );
    }
    let reported = runs.iter().map(|(_, o)| &o.metrics).chain(imported.iter().map(|imported| &imported.run.metrics));
    let metrics: BTreeSet<&String> = reported.flat_map(BTreeMap::keys).collect();
    let domains: Vec<&str> = study.config().space.domains().iter().map(|d| d.name.as_str()).collect();
    let (fidelities, costs, charges) = (study.config().fidelities.list(), study.costs(), study.charges());
    let row =
        |id: String, m: FidelityId, cost: f64, weights: &BTreeMap<String, f64>, values: &BTreeMap<String, f64>| {
            let fidelity = &fidelities[m];
            let mut row =
                vec![id, fidelity.name.clone(), cell(fidelity.params), cell(fidelity.tokens), cost.to_string()];
            row.extend(domains.iter().map(|d| cell(weights.get(*d).copied())));
            row.extend(metrics.iter().map(|m| cell(values.get(*m).copied())));
            row
        };

    let mut csv = csv::Writer::from_writer(vec![]);
    let mut header = ["run_id", "fidelity", "params", "tokens", "cost"].map(str::to_owned).to_vec();
    header.extend(domains.iter().map(|d| format!("w:{d}")));
    header.extend(metrics.iter().map(|m| format!("y:{m}")));
    let source = |text: &str| (!imported.is_empty()).then(|| text.to_owned());
    let any_corrected = runs.iter().any(|(trial, _)| trial.correction.is_some());
    let corrected = |text: String| any_corrected.then_some(text);
    header.extend(source("source").into_iter().chain(corrected("corrected".into())));
    csv.write_record(header)?;
    for (trial, outcome) in runs {
        let m = trial.fidelity;
        // A replay is to pay for a run that was had for nothing (from a cache, say) what it usually costs.
        let cost = Some(charges.complete(trial, outcome)).filter(|cost| *cost > 0.0).unwrap_or(costs[m]);
        let row = row(trial.id.to_string(), m, cost, &study.named(&trial.mixture), &outcome.metrics);
        let note = text::correction(study, trial).unwrap_or_default();
        csv.write_record(row.into_iter().chain(source("")).chain(corrected(note)))?;
    }
    for imported in &imported {
        let run = &imported.run;
        let Some(m) = study.config().fidelities.find(&run.fidelity) else { continue };
        let mut row = row(imported.name(), m, costs[m], &run.weights, &run.metrics);
        if let Some((tokens, all)) = run.tokens.zip(fidelities[m].tokens) {
            // It is on its way, and would have cost so much less.
            (row[3], row[4]) = (tokens.to_string(), (costs[m] * tokens / all).to_string());
        }
        csv.write_record(row.into_iter().chain(source(&run.source)).chain(corrected(String::new())))?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}
