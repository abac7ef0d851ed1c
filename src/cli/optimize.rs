use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{ConfigArgs, Format, Output, best, text};
use crate::runner::{self, Ended, Notice, RunError, View};
use crate::study::{Study, TrialId, TrialState};

/// Run the whole loop, launching training jobs; goes on where an earlier run stopped
#[derive(Debug, Args)]
pub struct OptimizeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &OptimizeArgs, output: Output) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    if config.launcher.is_none() {
        return Err(RunError::NoLauncher.into());
    }
    let mut study = Study::open(config)?;
    super::warn(output, study.warnings());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut progress = Progress::new(output);
    let ended = runtime.block_on(runner::run(&mut study, |view, notice| progress.show(view, &notice)));
    progress.bar.finish_and_clear();
    // A suggestion in the making is not worth waiting for.
    runtime.shutdown_background();
    match ended? {
        Ended::Finished(reason) => {
            best::print(&study, args.format, Some(reason))?;
            Ok(0)
        }
        Ended::Interrupted => {
            let config = text::quote(&args.config.config.display().to_string());
            eprintln!("interrupted; everything is saved. Resume with: admire optimize --config {config}");
            Ok(130)
        }
    }
}

/// A line that is redrawn on a terminal; elsewhere one line an event.
struct Progress {
    bar: ProgressBar,
    output: Output,
}

impl Progress {
    fn new(output: Output) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if output.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar, output }
    }

    fn show(&mut self, view: View<'_>, notice: &Notice) {
        let line = match notice {
            Notice::Tick => None,
            Notice::Note(note) => Some(note.clone()),
            Notice::Warning(warning) => Some(format!("warning: {warning}")),
            Notice::Suggested(_) => None,
            Notice::Launched(id) => launched(view.study, *id),
            Notice::Ended(id) => ended(view.study, *id),
        };
        if let Some(line) = line.filter(|_| !self.output.quiet) {
            if self.bar.is_hidden() { eprintln!("{line}") } else { self.bar.println(line) }
        }
        self.bar.set_message(summary(view));
        self.bar.tick();
    }
}

fn launched(study: &Study, id: TrialId) -> Option<String> {
    let trial = study.trial(id).ok()?;
    let fidelity = &study.config().fidelities.list()[trial.fidelity].name;
    Some(format!("trial {id} started at {fidelity}, attempt {}", trial.attempts))
}

fn ended(study: &Study, id: TrialId) -> Option<String> {
    let trial = study.trial(id).ok()?;
    let how = match &trial.state {
        TrialState::Complete(outcome) => {
            let value = study.objective(outcome).map_or_else(|| "?".into(), text::short);
            let expected = trial
                .expected
                .map_or_else(String::new, |e| format!(" (expected {} ± {})", text::short(e.mean), text::short(e.sd)));
            format!("complete: {value}{expected}")
        }
        TrialState::Failed { reason } => format!("failed: {reason}"),
        TrialState::Diverged => "diverged".into(),
        TrialState::Pending | TrialState::Running { .. } => "did not succeed; it will be started again".into(),
    };
    Some(format!("trial {id} {how}"))
}

fn summary(view: View<'_>) -> String {
    let (study, spent) = (view.study, view.study.spent());
    let budget = &study.config().budget;
    let since = |t: f64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        format!("{:.0}s", (now.as_secs_f64() - t).max(0.0))
    };
    let running: Vec<String> = study
        .trials()
        .iter()
        .filter_map(|t| match t.state {
            TrialState::Running { since: at, .. } => {
                let fidelity = &study.config().fidelities.list()[t.fidelity].name;
                Some(format!("{}@{fidelity} {}", t.id, since(at)))
            }
            _ => None,
        })
        .collect();
    let limit = budget.cost.map_or_else(String::new, |c| format!(" of {}", text::short(c)));
    let mut parts = vec![format!("cost {}{limit}", text::short(spent.cost)), format!("{} trials", spent.trials)];
    if let Some(expected) = view.recommendation.and_then(|r| r.expected) {
        parts.push(format!("best {} ± {}", text::short(expected.mean), text::short(expected.sd)));
    }
    if !running.is_empty() {
        parts.push(format!("running {}", running.join(", ")));
    }
    if let Some(left) = left(view, spent.cost) {
        parts.push(format!("about {}s left", left.as_secs()));
    }
    parts.join(" · ")
}

/// Time left: of the wall-time budget, or at the rate at which cost and trials were used up since this run began.
fn left(view: View<'_>, cost: f64) -> Option<Duration> {
    let budget = &view.study.config().budget;
    let elapsed = Instant::now().duration_since(view.began);
    let wall = budget.wall_time.map(|limit| limit.saturating_sub(elapsed));
    let share = budget.cost.map(|limit| cost / limit).filter(|s| *s > 0.02);
    let rate = share.and_then(|s| Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 / s - 1.0).max(0.0)).ok());
    [wall, rate].into_iter().flatten().min()
}
