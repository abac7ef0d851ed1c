use std::time::Duration;

use clap::Args;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::info;

use super::{ConfigArgs, ForkArgs, Format, WriterArgs, best, log, text};
use crate::runner::{self, Ended, RunError, View};
use crate::study::TrialState;
use crate::text::number;

/// Run the whole loop, launching training jobs; goes on where an earlier run stopped
#[derive(Debug, Args)]
#[command(after_help = "Example: admire optimize --set budget.trials=20")]
pub struct OptimizeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    writer: WriterArgs,
    #[command(flatten)]
    fork: ForkArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &OptimizeArgs, bars: bool) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    if config.launcher.is_none() {
        return Err(RunError::NoLauncher.into());
    }
    let mut study = args.fork.open(config, &args.writer)?;
    super::warn(study.warnings());
    let runtime = super::runtime()?;
    let bar = if bars { progress_bar() } else { ProgressBar::hidden() };
    log::above(&bar);
    let ended = runtime.block_on(runner::run(&mut study, |view| {
        bar.set_message(text::visible(&summary(view)).into_owned());
        bar.tick();
    }));
    bar.finish_and_clear();
    // A suggestion in the making is not worth waiting for.
    runtime.shutdown_background();
    match ended? {
        Ended::Finished(reason) => {
            best::print(&study, args.format, Some(reason), &best::Extra::default())?;
            Ok(0)
        }
        Ended::Interrupted => {
            const LABEL: &str = "resume with: ";
            let command = args.config.command("optimize");
            info!("{LABEL}{}", text::command(&command, LABEL.len(), text::columns(&Term::stderr())));
            Ok(130)
        }
    }
}

/// A line that is redrawn; on terminals only.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// One line: what was spent, what is known, what runs. The end is cut off on a narrow terminal.
fn summary(view: View<'_>) -> String {
    let (study, spent) = (view.study, view.study.spent());
    let budget = &study.config().budget;
    let of = |limit: Option<String>| limit.map_or_else(String::new, |limit| format!("/{limit}"));
    let mut parts = vec![
        format!("cost {}{}", number(spent.cost, 4), of(budget.cost.map(|limit| text::cost(study, limit)))),
        format!("trials {}{}", spent.trials, of(budget.trials.map(|n| n.to_string()))),
    ];
    if let Some(expected) = view.recommendation.and_then(|r| r.expected) {
        parts.push(format!("best {}", text::uncertain(expected)));
    }
    if let Some(left) = study.time_left(view.began.elapsed()) {
        parts.push(format!("{} left", text::seconds(left)));
    }
    let now = text::now();
    let running = study.trials().iter().filter_map(|t| {
        let TrialState::Running { since, .. } = t.state else { return None };
        let elapsed = Duration::try_from_secs_f64(now - since).unwrap_or_default();
        let fidelity = &study.config().fidelities[t.fidelity].name;
        Some(format!("{} ({fidelity}, {})", t.id, text::duration(elapsed)))
    });
    let running: Vec<String> = running.collect();
    if !running.is_empty() {
        parts.push(format!("running {}", running.join(", ")));
    }
    parts.join(" · ")
}
