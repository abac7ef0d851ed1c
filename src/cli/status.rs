use clap::Args;
use serde_json::json;

use super::{ConfigArgs, Format, text};
use crate::study::{Mark, Study, TrialState};

/// Show the state of a study
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<u8> {
    let study = Study::read(args.config.load()?)?;
    super::warn(study.warnings());
    let (counts, spent, name) = (study.counts(), study.spent(), &study.config().name);
    let imported = study.imported().len();
    if args.format == Format::Json {
        let stopped = study.stopped().map(|s| s.reason);
        outln!(
            "{}",
            json!({"study": name, "trials": counts, "imported": imported, "spent": spent, "stopped": stopped})
        );
        return Ok(0);
    }
    outln!("study {name}: cost {} in {} finished trials", text::short(spent.cost), spent.trials);
    if imported > 0 {
        outln!("imported runs: {imported}, at no cost");
    }
    outln!("{:>5}  {:10}  {:9}  objective", "trial", "fidelity", "state");
    for trial in study.trials() {
        let (state, detail) = match &trial.state {
            TrialState::Pending => ("pending", String::new()),
            TrialState::Running { mark: Some(Mark::Job { id: Some(id), .. }), .. } => ("running", format!("job {id}")),
            TrialState::Running { .. } => ("running", String::new()),
            TrialState::Complete(o) => ("complete", study.objective(o).map_or_else(String::new, text::short)),
            TrialState::Failed { reason } => ("failed", reason.clone()),
            TrialState::Diverged => ("diverged", String::new()),
        };
        let fidelity = &study.config().fidelities.list()[trial.fidelity].name;
        let confirm = if trial.searching() { "" } else { " (confirmation)" };
        outln!("{:>5}  {fidelity:10}  {state:9}  {detail}{confirm}", trial.id);
    }
    Ok(0)
}
