use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{ConfigArgs, ForkArgs, Format, Output, WriterArgs, best, text};
use crate::launcher::Facts;
use crate::runner::{self, Ended, Notice, RunError, View};
use crate::study::{Mark, Spent, Study, TrialId, TrialState};

/// Run the whole loop, launching training jobs; goes on where an earlier run stopped
#[derive(Debug, Args)]
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

pub(super) fn run(args: &OptimizeArgs, output: Output) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    if config.launcher.is_none() {
        return Err(RunError::NoLauncher.into());
    }
    let mut study = args.fork.open(config, &args.writer, output)?;
    super::warn(output, study.warnings());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut progress = Progress::new(output);
    let ended = runtime.block_on(runner::run(&mut study, |view, notice| progress.show(view, &notice)));
    progress.finish();
    // A suggestion in the making is not worth waiting for.
    runtime.shutdown_background();
    match ended? {
        Ended::Finished(reason) => {
            best::print(&study, args.format, Some(reason))?;
            Ok(0)
        }
        Ended::Interrupted => {
            let command = args.config.command_line();
            super::say(format_args!("interrupted; everything is saved. Resume with: admire optimize {command}"));
            Ok(130)
        }
    }
}

/// A line that is redrawn on a terminal; elsewhere one line an event.
pub(super) struct Progress {
    bar: ProgressBar,
    /// Whether the bar is drawn.
    live: bool,
    output: Output,
}

impl Progress {
    pub(super) fn new(output: Output) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if output.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar, live: false, output }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn show(&mut self, view: View<'_>, notice: &Notice) {
        let line = match notice {
            Notice::Tick => None,
            Notice::Note(note) => Some(note.clone()),
            Notice::Warning(warning) => Some(format!("warning: {warning}")),
            Notice::Suggested(id) => (self.output.verbose > 0).then(|| suggested(view, *id)).flatten(),
            Notice::Launched(id) => launched(view.study, *id, self.output.verbose > 0),
            Notice::Ended(id) => ended(view.study, *id),
        };
        // Not before the first tick: what the set-up prints would run into the bar.
        self.live |= matches!(notice, Notice::Tick) && !self.bar.is_hidden();
        if let Some(line) = line.filter(|_| !self.output.quiet) {
            if self.live { self.bar.println(text::visible(&line)) } else { super::say(format_args!("{line}")) }
        }
        if self.live {
            self.bar.set_message(text::visible(&summary(view)).into_owned());
            self.bar.tick();
        }
    }
}

/// What was decided on, and what was known then.
fn suggested(view: View<'_>, id: TrialId) -> Option<String> {
    let trial = view.study.trial(id).ok()?;
    let weights = view.study.named(&trial.mixture);
    let weights: Vec<String> = weights.iter().map(|(n, w)| format!("{n}={}", text::short(*w))).collect();
    let regret = view.recommendation.and_then(|r| r.expected_regret);
    let regret = regret.map_or_else(String::new, |r| format!("; expected regret so far {}", text::short(r)));
    Some(format!("trial {id} is {}{regret}", weights.join(" ")))
}

fn launched(study: &Study, id: TrialId, verbose: bool) -> Option<String> {
    let trial = study.trial(id).ok()?;
    let config = study.config();
    let fidelity = &config.fidelities.list()[trial.fidelity].name;
    let how = match &trial.state {
        TrialState::Running { mark: Some(Mark::Job { id: Some(job), .. }), .. } => format!("submitted as job {job}"),
        _ => "started".into(),
    };
    let line = format!("trial {id} {how} at {fidelity}, attempt {}", trial.attempts);
    let Some(launcher) = config.launcher.as_ref().filter(|_| verbose) else { return Some(line) };
    let facts = Facts::new(study, trial, &config.dir.canonicalize().ok()?);
    let command: Vec<String> = launcher.command.iter().map(|a| facts.render(a)).collect();
    Some(format!("{line}\n  {}\n  files in {}", text::command_line(&command), facts.dir.display()))
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

/// One line: what was spent, what is known, what runs. The end is cut off on a narrow terminal.
fn summary(view: View<'_>) -> String {
    let (study, spent) = (view.study, view.study.spent());
    let budget = &study.config().budget;
    let of = |limit: Option<String>| limit.map_or_else(String::new, |limit| format!("/{limit}"));
    let mut parts = vec![
        format!("cost {}{}", text::short(spent.cost), of(budget.cost.map(text::short))),
        format!("trials {}{}", spent.trials, of(budget.trials.map(|n| n.to_string()))),
    ];
    if let Some(expected) = view.recommendation.and_then(|r| r.expected) {
        parts.push(format!("best {} ± {}", text::short(expected.mean), text::short(expected.sd)));
    }
    if let Some(left) = left(view, spent) {
        parts.push(format!("{} left", text::duration(left)));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let running = study.trials().iter().filter_map(|t| {
        let TrialState::Running { since, .. } = t.state else { return None };
        let elapsed = Duration::try_from_secs_f64(now - since).unwrap_or_default();
        let fidelity = &study.config().fidelities.list()[t.fidelity].name;
        Some(format!("{} ({fidelity}, {})", t.id, text::duration(elapsed)))
    });
    let running: Vec<String> = running.collect();
    if !running.is_empty() {
        parts.push(format!("running {}", running.join(", ")));
    }
    parts.join(" · ")
}

/// Time left: of the wall-time budget, or at the rate at which cost and trials were used up since this run began.
fn left(view: View<'_>, spent: Spent) -> Option<Duration> {
    let budget = &view.study.config().budget;
    let elapsed = view.began.elapsed();
    let at_rate = |begun: f64, spent: f64, limit: f64| {
        let rate = (spent - begun) / elapsed.as_secs_f64();
        Duration::try_from_secs_f64((limit - spent).max(0.0) / rate).ok().filter(|_| rate > 0.0)
    };
    let wall = budget.wall_time.map(|limit| limit.saturating_sub(elapsed));
    let cost = budget.cost.and_then(|limit| at_rate(view.spent.cost, spent.cost, limit));
    let trials = budget.trials.and_then(|limit| at_rate(view.spent.trials as f64, spent.trials as f64, limit as f64));
    [wall, cost, trials].into_iter().flatten().min()
}
