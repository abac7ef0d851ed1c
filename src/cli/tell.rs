use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::json;

use super::{ConfigArgs, WriterArgs};
use crate::launcher::{Outcome, protocol};
use crate::problem::{Objective, Progress, Thinning};
use crate::study::{Completed, Event, OpenStudy, Study, StudyError, TrialId, TrialState};
use crate::text::counted;

/// Report how a suggested trial ended, or what it said on its way
#[derive(Debug, Args)]
#[command(after_help = "Example: admire tell --trial 7 --loss 2.31")]
#[command(group(ArgGroup::new("told").required(true).multiple(true)))]
pub struct TellArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    writer: WriterArgs,
    /// Number of the trial, as suggested
    #[arg(long)]
    trial: TrialId,
    /// What it reported on its way: lines of JSON, as a training command writes them; alone, or with how it ended
    #[arg(long, value_name = "FILE", group = "told")]
    progress: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct How {
    /// Its loss (for a study of the one metric `loss`)
    #[arg(long, group = "told", allow_hyphen_values = true)]
    loss: Option<f64>,
    /// A result file, as a training command writes it
    #[arg(long, group = "told", value_name = "FILE")]
    result: Option<PathBuf>,
    /// The training run failed
    #[arg(long, group = "told")]
    failed: bool,
    /// The loss diverged
    #[arg(long, group = "told")]
    diverged: bool,
    /// The trial waits and will not be run: it costs nothing, and its mixture may be suggested again
    #[arg(long, group = "told")]
    cancel: bool,
}

/// What is told of the end of a trial.
enum Told {
    Reported(Outcome),
    Failed,
    Cancelled,
}

impl How {
    fn told(&self, objective: &Objective) -> anyhow::Result<Option<Told>> {
        Ok(Some(match (self.loss, &self.result) {
            (Some(loss), _) => Told::Reported(of_loss(loss, objective)?),
            (_, Some(path)) => Told::Reported(of_file(path, objective)?),
            _ if self.diverged => Told::Reported(Outcome::Diverged("told so".into())),
            _ if self.cancel => Told::Cancelled,
            _ if self.failed => Told::Failed,
            _ => return Ok(None),
        }))
    }
}

/// The result of `--loss`.
pub(super) fn of_loss(loss: f64, objective: &Objective) -> anyhow::Result<Outcome> {
    parse(&format!("{{\"loss\": {loss:e}}}"), objective).context("--loss")
}

/// The result in a file.
pub(super) fn of_file(path: &Path, objective: &Objective) -> anyhow::Result<Outcome> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {}", name()))?;
    let text = protocol::text(file).map_err(anyhow::Error::msg).with_context(name)?;
    parse(&text, objective).with_context(name)
}

/// The reports on the way in a file; what does not count is a warning.
fn on_the_way(path: &Path, trial: TrialId, objective: &Objective) -> anyhow::Result<Vec<Progress>> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {}", name()))?;
    let text = protocol::text(file).map_err(anyhow::Error::msg).with_context(name)?;
    let (mut reports, mut odd) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match protocol::parse_progress(line.trim(), objective, trial) {
            Ok(Some(report)) => reports.push(report),
            Ok(None) => odd.push((i, "it has neither `step` nor `tokens`".to_owned())),
            Err(why) => odd.push((i, why)),
        }
    }
    if let [(i, why), others @ ..] = odd.as_slice() {
        let (line, others) = (i + 1, counted(others.len(), "other"));
        super::warn(&[format!("{}, line {line} and {others} do not count: {why}", name())]);
    }
    Ok(reports)
}

fn parse(text: &str, objective: &Objective) -> anyhow::Result<Outcome> {
    let outcome = protocol::parse(text, objective).map_err(anyhow::Error::msg)?;
    if let Outcome::Diverged(why) = &outcome {
        tracing::info!("this counts as diverged: {why}");
    }
    Ok(outcome)
}

pub(super) fn run(args: &TellArgs) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    // What is told may be about another study.
    Study::peek(config.clone())?;
    // Before the lock is taken: a pipe, or a file system that hangs, must not hold up others.
    let told = args.how.told(&config.objective)?;
    let reports = args.progress.as_ref().map(|path| on_the_way(path, args.trial, &config.objective)).transpose()?;
    let mut study = Study::open(config, args.writer.wait)?;
    super::warn(study.warnings());
    let trial = args.trial;
    record_reports(&mut study, trial, reports.unwrap_or_default())?;
    let Some(told) = told else { return Ok(0) };
    let known = match (&study.trial(trial)?.state, &told) {
        (TrialState::Pending | TrialState::Running { .. }, _) => {
            record(&mut study, trial, told)?;
            return Ok(0);
        }
        (TrialState::Diverged, Told::Reported(Outcome::Diverged(_)))
        | (TrialState::Failed { .. }, Told::Failed)
        | (TrialState::Cancelled, Told::Cancelled) => return Ok(0),
        (TrialState::Complete(known), Told::Reported(Outcome::Completed(told, _))) => match differences(known, told) {
            differing if differing.is_empty() => return Ok(0),
            differing => format!("completed, with {}", differing.join(", ")),
        },
        (TrialState::Complete(known), _) => format!("completed with {}", json!(known.metrics)),
        (TrialState::Diverged, _) => "diverged".into(),
        (TrialState::Failed { .. }, _) => "failed".into(),
        (TrialState::Stopped(_), _) => "was ended early".into(),
        (TrialState::Withdrawn, _) => "is withdrawn".into(),
        (TrialState::Cancelled, _) => "is cancelled".into(),
    };
    Err(StudyError::Contradiction { trial, known }.into())
}

/// Records those reports of a trial on its way that are news, thinned as those of a training command are. Once it has finished, none
/// is.
fn record_reports(study: &mut OpenStudy, id: TrialId, reports: Vec<Progress>) -> Result<(), StudyError> {
    const BY_HAND: u32 = 0;
    let (mut thinning, tokens) = (Thinning::default(), study.config().fidelities[study.trial(id)?.fidelity].tokens);
    for progress in reports.into_iter().filter(|report| thinning.keeps(report, tokens)) {
        let trial = study.trial(id)?;
        if !trial.finished() && trial.is_news(BY_HAND, &progress) {
            study.record(Event::Progress { trial: id, attempt: BY_HAND, progress })?;
        }
    }
    Ok(())
}

fn record(study: &mut OpenStudy, trial: TrialId, told: Told) -> Result<(), StudyError> {
    let outliers = study.outliers();
    let event = match told {
        Told::Reported(Outcome::Completed(outcome, ignored)) => {
            super::warn(&ignored);
            Event::Completed { trial, outcome }
        }
        Told::Reported(Outcome::Diverged(_)) => Event::Diverged { trial, attempt: 0, last: true, duration: None },
        Told::Cancelled => Event::Cancelled { trial },
        Told::Failed => {
            let reason = "told so".into();
            Event::Failed { trial, attempt: 0, reason, last: true, duration: None, unseen: false }
        }
    };
    study.record(event)?;
    super::warn(&study.outliers_since(&outliers));
    Ok(())
}

/// Where what is told about a completed trial differs from what is known.
fn differences(known: &Completed, told: &Completed) -> Vec<String> {
    let of = |outcome: &Completed| -> BTreeMap<String, f64> {
        let metrics = outcome.metrics.iter().map(|(name, y)| (name.clone(), *y));
        let se = outcome.se.iter().map(|(name, se)| (format!("standard error (se) of {name}"), *se));
        metrics.chain(se).chain(outcome.cost.map(|cost| ("cost".into(), cost))).collect()
    };
    let (known, told) = (of(known), of(told));
    let what: BTreeSet<&String> = known.keys().chain(told.keys()).collect();
    let show = |x: Option<&f64>| x.map_or_else(|| "none".into(), ToString::to_string);
    what.into_iter()
        .map(|what| (what, known.get(what), told.get(what)))
        .filter(|(_, known, told)| known != told)
        .map(|(what, known, told)| format!("{what} {} (told: {})", show(known), show(told)))
        .collect()
}
