use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::{ConfigArgs, WriterArgs};
use crate::launcher::{Outcome, protocol};
use crate::study::{Event, Study, StudyError, TrialId, TrialState};

/// Report how a suggested trial ended
#[derive(Debug, Args)]
pub struct TellArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    writer: WriterArgs,
    /// Number of the trial, as suggested
    #[arg(long)]
    trial: TrialId,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct How {
    /// Its loss (for a study of the one metric `loss`)
    #[arg(long, allow_negative_numbers = true)]
    loss: Option<f64>,
    /// A result file, as a training command writes it
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// The training run failed
    #[arg(long)]
    failed: bool,
    /// The loss diverged
    #[arg(long)]
    diverged: bool,
}

pub(super) fn run(args: &TellArgs) -> anyhow::Result<u8> {
    let mut study = Study::open(args.config.load()?, args.writer.wait)?;
    super::warn(study.warnings());
    let objective = study.config().objective.clone();
    let report = |text: &str| protocol::parse(text, &objective).map_err(anyhow::Error::msg);
    let outcome = match (&args.how.loss, &args.how.result) {
        (Some(loss), _) if !loss.is_finite() => Some(Outcome::Diverged),
        (Some(loss), _) => Some(report(&json!({"loss": loss}).to_string()).context("--loss")?),
        (_, Some(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(report(&text).with_context(|| path.display().to_string())?)
        }
        _ => args.how.diverged.then_some(Outcome::Diverged),
    };
    let trial = args.trial;
    let same = match (&study.trial(trial)?.state, &outcome) {
        (TrialState::Complete(known), Some(Outcome::Completed(told, _))) => {
            known.metrics == told.metrics && known.se == told.se
        }
        (TrialState::Diverged, Some(Outcome::Diverged)) | (TrialState::Failed { .. }, None) => true,
        (TrialState::Pending | TrialState::Running { .. }, _) => {
            study.record(match outcome {
                Some(Outcome::Completed(outcome, ignored)) => {
                    super::warn(&ignored);
                    Event::Completed { trial, outcome }
                }
                Some(Outcome::Diverged) => Event::Diverged { trial, attempt: 0, last: true, duration: None },
                None => {
                    let reason = "told so".into();
                    Event::Failed { trial, attempt: 0, reason, last: true, duration: None, unseen: false }
                }
            })?;
            true
        }
        _ => false,
    };
    if same {
        return Ok(0);
    }
    let known = match &study.trial(trial)?.state {
        TrialState::Complete(outcome) => format!("completed with {}", json!(outcome.metrics)),
        TrialState::Diverged => "diverged".into(),
        _ => "failed".into(),
    };
    Err(StudyError::Contradiction { trial, known }.into())
}
