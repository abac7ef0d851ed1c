//! What one reads before spending anything.

mod budget;
mod doubts;
mod region;
mod trial;

use std::fmt::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{ConfigArgs, Format, suggest, text};
use crate::advice;
use crate::config::{LauncherKind, StudyConfig};
use crate::launcher::{self, Facts, queue, ray, slurm};
use crate::optimizer::{Candidates, NoTrial};
use crate::runner::facts;
use crate::study::{Forecast, Forked, Rate, Study, Trial};
use trial::Tried;

/// Trials of the initial design that are worked out; further ones are only said to exist.
const MOST_DESIGNED: usize = 200;

/// Validate a config and show what it means, before anything is spent
#[derive(Debug, Args)]
#[command(after_help = "Example: admire check --trial")]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Also run one trial at the cheapest size for real, in a folder of its own, and see whether it keeps to the contract
    #[arg(long)]
    trial: bool,
    /// Show the new study that learns from the one in DIR: how many of its runs count fully, in part or not, and why
    #[arg(long, value_name = "DIR")]
    fork: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &CheckArgs, verbose: bool) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    let mut study = match &args.fork {
        Some(from) => Study::forked(config.clone(), from)?,
        None => Study::peek(config.clone())?,
    };
    super::warn(study.warnings());
    let begun = study.trials().len();
    let measured = Rate::measured(&study);
    let design = design(&mut study)?;
    let first = First::of(&study)?;
    let tried = if args.trial { Some(trial::run(&config)?) } else { None };
    let rate = measured.or_else(|| tried.as_ref()?.rate.clone());
    let design = &study.trials()[begun..begun + design];
    let plan = budget::Plan(Forecast::new(&study, begun, design, rate));
    let notes = [region::notes(&config), plan.notes(), doubts::notes(&config)].concat();
    let origin = study.origin().filter(|_| args.fork.is_some());
    match args.format {
        Format::Table => {
            out!("{}", region::table(&config, design));
            if let Some(origin) = origin {
                out!("{}", old_runs(origin));
            }
            out!("{plan}");
            notes.iter().for_each(|note| outln!("note: {note}"));
            if verbose && !design.is_empty() {
                out!("{}", designed(&study, design));
            }
            // A command is to be copied as it is.
            data!("{}", first.to_string().trim_end());
            if let Some(tried) = &tried {
                out!("{tried}");
            }
        }
        Format::Json => {
            let mut object = json!({
                "study": config.name,
                "forked": origin,
                "domains": region::json(&config),
                "limits": region::limits(&config),
                "fidelities": fidelities(&config),
                "budget": budget::limits(&config),
                "first_trial": first.json(),
                "design": design.iter().map(|t| planned(&study, t)).collect::<Vec<_>>(),
                "notes": notes,
                "trial": tried.as_ref().map(Tried::json),
            });
            object["expected"] = plan.json();
            data!("{object}");
        }
    }
    Ok(tried.map_or(0, |tried| tried.exit_code()))
}

/// How many runs of another study count, and why others do not.
fn old_runs(origin: &Forked) -> String {
    let mut text = format!("\nruns of {} in {}\n  {} count fully\n", origin.name, origin.from, origin.fully());
    for (reason, n) in &origin.partly {
        let _ = writeln!(text, "  {n} count in part, {reason}");
    }
    for (reason, n) in &origin.dropped {
        let _ = writeln!(text, "  {n} left out, {reason}");
    }
    text
}

/// Adds to a study that was only read what is left of its initial design, at least one trial, where it has none yet; how
/// many trials the design still needs.
fn design(study: &mut Study) -> anyhow::Result<usize> {
    let (mut optimizer, begun) = (advice::optimizer(study), study.trials().len());
    loop {
        let open = study.open_fidelities();
        let missing = optimizer.design_fidelity(&study.evidence(), Candidates::Space(&open)).is_some();
        let done = study.trials().len() - begun;
        let enough = study.config().budget.trials.unwrap_or(usize::MAX).min(begun + MOST_DESIGNED);
        if !study.trials().is_empty() && (!missing || study.trials().len() >= enough) {
            return Ok(done);
        }
        match suggest::next(study, &mut optimizer, None) {
            // The space has no more mixtures than that.
            Err(error) if error.is::<NoTrial>() => return Ok(done),
            events => events?.into_iter().try_for_each(|event| study.assume(event))?,
        }
        if !missing {
            // Without a design: the first trial is shown, but is none of it.
            return Ok(0);
        }
    }
}

/// The first trial, as it was or will be started.
struct First {
    facts: Facts,
    /// The training command with everything filled in, where there is one.
    command: Option<Vec<String>>,
    /// The script of its job, where it is one.
    script: Option<String>,
    /// The command that submits the script, where the config states one.
    submit: Option<Vec<String>>,
}

impl First {
    fn of(study: &Study) -> anyhow::Result<Self> {
        let config = study.config();
        let facts = facts(study, study.trial(1)?, &std::path::absolute(&config.dir)?);
        let command = config.launcher.as_ref().map(|l| l.command.iter().map(|a| facts.render(a)).collect());
        let (mut script, mut submit) = (None, None);
        if let Some(launcher) = &config.launcher {
            match &launcher.kind {
                LauncherKind::Local => {}
                LauncherKind::Slurm { .. } => {
                    script = Some(slurm::script(launcher, &slurm::job_name(&config.name, 1, facts.attempt), &facts)?);
                }
                LauncherKind::Ray(_) => script = Some(ray::script(launcher, &facts)?),
                LauncherKind::Queue(programs) => {
                    script = Some(queue::script(launcher, &facts, 1)?);
                    let (name, file) =
                        (launcher::unique_name(&config.name, &facts), queue::script_file(&facts.submissions(), 1));
                    submit = Some(queue::arguments(programs, &name, &facts, &file));
                }
            }
        }
        Ok(Self { facts, command, script, submit })
    }

    fn json(&self) -> Value {
        let mut object = json!({
            "fidelity": self.facts.fidelity,
            "weights": self.facts.weights,
            "seed": self.facts.seed,
            "command": self.command,
            "script": self.script,
            "submit": self.submit,
        });
        suggest::tell_repetition(&mut object, self.facts.repetition.as_ref());
        object
    }
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fidelity = &self.facts.fidelity;
        match (&self.script, &self.command) {
            (Some(script), _) => {
                if let Some(submit) = &self.submit {
                    writeln!(
                        f,
                        "\nfirst trial, at {fidelity}, is submitted by:\n  {}",
                        text::command(submit, 2, text::width())
                    )?;
                    writeln!(f, "\nthe script of its job:\n")?;
                } else {
                    writeln!(f, "\nfirst trial, at {fidelity}; the script of its job:\n")?;
                }
                script.lines().try_for_each(|line| writeln!(f, "{}", format!("  {line}").trim_end()))
            }
            (None, Some(command)) => {
                writeln!(f, "\nfirst trial, at {fidelity}:\n  {}", text::command(command, 2, text::width()))
            }
            (None, None) => writeln!(f, "\nno [launcher]: use `admire suggest` and `admire tell`"),
        }
    }
}

/// A trial of the design, as an object.
fn planned(study: &Study, trial: &Trial) -> Value {
    json!({
        "trial": trial.id,
        "fidelity": study.config().fidelities[trial.fidelity].name,
        "weights": study.named(&trial.mixture),
        "seed": trial.seed,
    })
}

/// Every trial of the design, a line each.
fn designed(study: &Study, design: &[Trial]) -> String {
    let decimals = study.config().space.granularity().decimals().max(3);
    let mut text = "\ninitial design\n".to_owned();
    for trial in design {
        let fidelity = &study.config().fidelities[trial.fidelity].name;
        let weights = study.named(&trial.mixture).into_iter().filter(|(_, w)| *w > 0.0);
        let weights: Vec<String> = weights.map(|(name, w)| format!("{name}={w:.decimals$}")).collect();
        let _ = writeln!(text, "  trial {} at {fidelity}: {}", trial.id, weights.join(" "));
    }
    text
}

fn fidelities(config: &StudyConfig) -> Vec<Value> {
    let target = config.fidelities.target();
    let list = config.fidelities.iter();
    list.map(|(i, f)| {
        json!({ "name": f.name, "params": f.params, "tokens": f.tokens, "cost": f.cost, "target": i == target })
    })
    .collect()
}

/// At most four significant digits: `0.02`, `1e9`.
fn short(x: f64) -> String {
    let rounded: f64 = format!("{x:.3e}").parse().unwrap_or(x);
    if rounded != 0.0 && !(1e-3..1e6).contains(&rounded.abs()) { format!("{rounded:e}") } else { rounded.to_string() }
}
