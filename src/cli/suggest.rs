use crate::problem::{FidelityId, Mixture};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{ConfigArgs, ForkArgs, WriterArgs, best, mixture, text};
use crate::advice;
use crate::config::StudyConfig;
use crate::launcher::Repetition;
use crate::optimizer::{NoTrial, Optimizer};
use crate::runner::repetition;
use crate::study::{Event, OpenStudy, Plan, Purpose, Study, StudyError, Trial};

/// Ask for the next mixture(s) to train
#[derive(Debug, Args)]
#[command(after_help = "Example: admire suggest -n 4 --format jsonl > trials.jsonl")]
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
    /// Put a mixture of your own into the study, as many trials of it as -n says, each with its own seed: recommended, uniform, prior,
    /// trial:N, weights like web=0.5,code=0.5, or @FILE
    #[arg(long, value_name = "MIXTURE", requires = "fidelity")]
    mixture: Option<String>,
    /// With --mixture: train it with so many seeds, to measure the noise of a run (the same as -n)
    #[arg(long, value_name = "K", requires = "mixture", conflicts_with = "n",
          value_parser = clap::value_parser!(u32).range(1..))]
    seeds: Option<u32>,
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

/// Where suggestions go.
enum Subject {
    /// To the journal.
    Open(OpenStudy),
    /// Nowhere: this is a dry run.
    Dry(Study),
}

impl Subject {
    fn study(&self) -> &Study {
        match self {
            Self::Open(study) => study,
            Self::Dry(study) => study,
        }
    }

    fn take(&mut self, event: Event) -> Result<(), StudyError> {
        match self {
            Self::Open(study) => study.record(event),
            Self::Dry(study) => study.assume(event),
        }
    }
}

pub(super) fn run(args: &SuggestArgs) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    let only = args.fidelity.as_ref().map(|name| super::fidelity(&config, name)).transpose()?;
    // Looked at before the study is opened: a mistake must not begin one.
    let own = args.mixture.as_ref().map(|text| stated(&config, text)).transpose()?;
    let mut subject = match args.dry_run {
        true => Subject::Dry(Study::peek(config)?),
        false => Subject::Open(args.fork.open(config, &args.writer)?),
    };
    super::warn(subject.study().warnings());
    let mut optimizer = advice::optimizer(subject.study());
    let (mut ids, mut missing) = (Vec::new(), None);
    for _ in 0..args.seeds.unwrap_or(args.n) {
        let id = subject.study().next_id();
        let trial = match (&own, only) {
            (Some(mixture), Some(fidelity)) => decided(subject.study(), &optimizer, mixture, fidelity),
            _ => next(subject.study(), &mut optimizer, only),
        };
        match trial {
            Ok(events) => {
                events.into_iter().try_for_each(|event| subject.take(event))?;
                ids.push(id);
            }
            // Those before it are recorded, and so have to be handed out.
            Err(error) if error.is::<NoTrial>() && !ids.is_empty() => {
                missing = Some(error);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let study = subject.study();
    if own.is_some() {
        super::warn(&study.excess());
    }
    let costs = study.costs();
    let trials = ids.iter().map(|id| study.trial(*id)).collect::<Result<Vec<&Trial>, _>>()?;
    let objects = || trials.iter().map(|t| object(study, t, costs[t.fidelity]));
    match args.format {
        SuggestFormat::Json => data!("{}", json!({"trials": objects().collect::<Vec<_>>()})),
        SuggestFormat::Jsonl => objects().for_each(|o| data!("{o}")),
        SuggestFormat::Table => show(study, &trials),
    }
    missing.map_or(Ok(0), Err)
}

/// Decides on one more trial, at fidelity `only` where that is given: the events of it.
///
/// # Errors
/// [`NoTrial`]
pub(super) fn next(study: &Study, optimizer: &mut Optimizer, only: Option<FidelityId>) -> anyhow::Result<Vec<Event>> {
    let offered: Vec<FidelityId> =
        study.open_fidelities().into_iter().filter(|i| only.is_none_or(|o| o == *i)).collect();
    let (evidence, id) = (study.evidence(), study.next_id());
    let suggestion = advice::suggest(optimizer, &evidence, &offered, study.config().seed, id)?;
    super::warn(suggestion.warning.as_slice());
    let fitted = advice::fitted(study, optimizer);
    let suggested = study.suggestion(&Plan {
        mixture: &suggestion.mixture,
        fidelity: suggestion.fidelity,
        purpose: Purpose::Search,
        seed_index: id,
        expected: suggestion.expected,
        offered: &offered,
        incumbent: None,
    });
    Ok(fitted.into_iter().chain([suggested]).collect())
}

/// The mixture that the user states.
fn stated(config: &StudyConfig, text: &str) -> anyhow::Result<Mixture> {
    let study = Study::peek(config.clone())?;
    let mixture = mixture::named(&study, &advice::optimizer(&study), "--mixture", text)?.mixture;
    let broken = config.space.broken_bounds(&mixture);
    super::warn(&broken.iter().map(|bound| format!("--mixture {text} breaks {bound}")).collect::<Vec<_>>());
    Ok(mixture)
}

/// One more trial, of a mixture that the user has decided on: the events of it.
///
/// # Errors
/// [`NoTrial`]
fn decided(
    study: &Study,
    optimizer: &Optimizer,
    mixture: &Mixture,
    fidelity: FidelityId,
) -> anyhow::Result<Vec<Event>> {
    if !study.open_fidelities().contains(&fidelity) {
        return Err(NoTrial::Limit.into());
    }
    Ok(vec![study.suggestion(&Plan {
        mixture,
        fidelity,
        purpose: Purpose::Search,
        seed_index: study.next_id(),
        expected: advice::expected(study, optimizer, mixture, fidelity),
        offered: &[],
        incumbent: None,
    })])
}

fn show(study: &Study, trials: &[&Trial]) {
    for (i, trial) in trials.iter().enumerate() {
        let fidelity = &study.config().fidelities[trial.fidelity].name;
        let expected = trial.expected.map_or_else(String::new, |e| format!(", expected {}", text::uncertain(e)));
        let cost = study.known_cost(trial.fidelity);
        let cost = cost.map_or_else(String::new, |cost| format!(", cost {}", text::cost(study, cost)));
        let gap = if i == 0 { "" } else { "\n" };
        outln!("{gap}trial {} at {fidelity}, seed {}{cost}{expected}\n", trial.id, trial.seed);
        best::show_weights(study, &trial.mixture);
        if let Some(told) = repetition(study.config(), trial) {
            let tokens = told.unique_tokens.iter().map(|(name, tokens)| format!("{name} {tokens}"));
            outln!("\nunique tokens: {}", tokens.collect::<Vec<_>>().join(", "));
        }
    }
}

fn object(study: &Study, trial: &Trial, cost: f64) -> Value {
    let mut object = json!({
        "trial": trial.id,
        "fidelity": study.config().fidelities[trial.fidelity].name,
        "weights": study.named(&trial.mixture),
        "cost": cost,
        "seed": trial.seed,
        "expected": trial.expected,
    });
    tell_repetition(&mut object, repetition(study.config(), trial).as_ref());
    object
}

/// Adds to a trial how often it repeats data, if it has to keep to that.
pub(super) fn tell_repetition(trial: &mut Value, told: Option<&Repetition>) {
    if let Some(told) = told {
        let told = json!(told);
        for key in ["epochs", "unique_tokens"] {
            trial[key] = told[key].clone();
        }
    }
}
