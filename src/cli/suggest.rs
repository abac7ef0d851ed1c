use crate::problem::FidelityId;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{ConfigArgs, ForkArgs, WriterArgs, best, text};
use crate::advice;
use crate::optimizer::{NoTrial, Optimizer};
use crate::study::{Plan, Purpose, Study, Trial, TrialId};

/// Ask for the next mixture(s) to train
#[derive(Debug, Args)]
pub struct SuggestArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    writer: WriterArgs,
    #[command(flatten)]
    fork: ForkArgs,
    /// How many trials to suggest
    #[arg(short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Suggest trials at this fidelity only
    #[arg(long, value_name = "NAME")]
    fidelity: Option<String>,
    /// Do not record them as pending
    #[arg(long, conflicts_with = "fork")]
    dry_run: bool,
    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    format: SuggestFormat,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SuggestFormat {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line and trial
    Jsonl,
}

pub(super) fn run(args: &SuggestArgs) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    let only = match &args.fidelity {
        None => None,
        Some(name) => Some(config.fidelities.find(name).ok_or_else(|| {
            let known: Vec<&str> = config.fidelities.list().iter().map(|f| f.name.as_str()).collect();
            super::UsageError(format!("--fidelity {name}: no such fidelity; there are {}", known.join(", ")))
        })?),
    };
    let mut study = if args.dry_run { Study::peek(config)? } else { args.fork.open(config, &args.writer)? };
    super::warn(study.warnings());
    let mut optimizer = advice::optimizer(&study);
    let (mut ids, mut missing) = (Vec::new(), None);
    for _ in 0..args.n {
        match next(&mut study, &mut optimizer, only) {
            Ok(id) => ids.push(id),
            // Those before it are recorded, and so have to be handed out.
            Err(error) if error.is::<NoTrial>() && !ids.is_empty() => {
                missing = Some(error);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let costs = study.costs();
    let trials = ids.iter().map(|id| study.trial(*id)).collect::<Result<Vec<&Trial>, _>>()?;
    let objects = || trials.iter().map(|t| object(&study, t, costs[t.fidelity]));
    match args.format {
        SuggestFormat::Json => data!("{}", json!({"trials": objects().collect::<Vec<_>>()})),
        SuggestFormat::Jsonl => objects().for_each(|o| data!("{o}")),
        SuggestFormat::Table => {
            for (i, trial) in trials.iter().enumerate() {
                let fidelity = &study.config().fidelities[trial.fidelity].name;
                let expected =
                    trial.expected.map_or_else(String::new, |e| format!(", expected {}", best::uncertain(e)));
                let cost = study.known_cost(trial.fidelity);
                let cost = cost.map_or_else(String::new, |cost| format!(", cost {}", text::cost(&study, cost)));
                let gap = if i == 0 { "" } else { "\n" };
                outln!("{gap}trial {} at {fidelity}, seed {}{cost}{expected}\n", trial.id, trial.seed);
                best::show_weights(&study, &trial.mixture);
            }
        }
    }
    missing.map_or(Ok(0), Err)
}

/// Decides on one more trial, at fidelity `only` where that is given, and records it (where the study is open).
///
/// # Errors
/// [`NoTrial`]; the journal cannot be written.
pub(super) fn next(study: &mut Study, optimizer: &mut Optimizer, only: Option<FidelityId>) -> anyhow::Result<TrialId> {
    let offered: Vec<FidelityId> =
        study.open_fidelities().into_iter().filter(|i| only.is_none_or(|o| o == *i)).collect();
    let (evidence, id) = (study.evidence(), study.next_id());
    let suggestion = advice::suggest(optimizer, &evidence, &offered, study.config().seed, id)?;
    super::warn(suggestion.warning.as_slice());
    if let Some(fitted) = advice::fitted(study, optimizer) {
        study.record(fitted)?;
    }
    Ok(study.suggest(&Plan {
        mixture: &suggestion.mixture,
        fidelity: suggestion.fidelity,
        purpose: Purpose::Search,
        seed_index: id,
        expected: suggestion.expected,
        offered: &offered,
        incumbent: None,
    })?)
}

fn object(study: &Study, trial: &Trial, cost: f64) -> Value {
    json!({
        "trial": trial.id,
        "fidelity": study.config().fidelities[trial.fidelity].name,
        "weights": study.named(&trial.mixture),
        "cost": cost,
        "seed": trial.seed,
        "expected": trial.expected,
    })
}
