//! How far a replay is: a bar on a terminal, elsewhere a line now and then.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::text;
use crate::replay::{Plan, Progress};
use crate::text::{counted, number};

/// Steps of the progress bar: fine enough that rounding shares of it down loses nothing one could see.
const BAR: u64 = 1_000_000_000;
/// When the first line comes, and how long after it the next.
const FIRST: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_secs(30);

/// What is shown on stderr while a replay runs.
pub(super) enum Shown {
    Bar(ProgressBar),
    Lines { started: Instant, lines: Mutex<Lines> },
}

/// When the next line is due.
pub(super) struct Lines {
    /// The share of the replay that is done.
    done: f64,
    next: Duration,
}

impl Shown {
    /// A bar where stderr is a terminal and `bars` are wanted; lines elsewhere, which go through the log.
    pub fn new(bars: bool, plan: &Plan) -> Self {
        if !bars || !io::stderr().is_terminal() {
            let lines = Lines { done: 0.0, next: FIRST };
            return Self::Lines { started: Instant::now(), lines: Mutex::new(lines) };
        }
        let bar = ProgressBar::with_draw_target(Some(BAR), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} %, {elapsed} spent, {eta} left")
        {
            bar.set_style(style);
        }
        Self::Bar(bar.with_message(format!(
            "replaying {} × {}",
            plan.strategies.len(),
            counted(plan.seeds.len(), "seed")
        )))
    }

    /// After a run or a playback.
    pub fn advance(&self, plan: &Plan, progress: Progress) {
        match self {
            Self::Bar(bar) => bar.inc((progress.share * BAR as f64) as u64),
            Self::Lines { started, lines } => {
                let line = lines.lock().unwrap_or_else(PoisonError::into_inner).line(plan, progress, started.elapsed());
                if let Some(line) = line {
                    tracing::info!("{line}");
                }
            }
        }
    }

    /// Leaves the terminal as it was.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    /// The line to write after `elapsed`, if one is due.
    fn line(&mut self, plan: &Plan, progress: Progress, elapsed: Duration) -> Option<String> {
        self.done += progress.share;
        if elapsed < self.next {
            return None;
        }
        self.next = elapsed + EVERY;
        let seed = plan.seeds.iter().position(|seed| *seed == progress.seed)? + 1;
        let left = elapsed.as_secs_f64() * (1.0 - self.done).max(0.0) / self.done;
        Some(format!(
            "{}, seed {seed} of {}: cost {} of {}; {:.0} % of the replay done, about {} left",
            progress.strategy,
            plan.seeds.len(),
            number(progress.spent, 3),
            number(plan.budget, 3),
            100.0 * self.done,
            text::seconds(left),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::OptimizerSettings;
    use crate::replay::Strategy;

    #[test]
    fn a_line_comes_now_and_then_and_says_how_long_it_will_take() {
        let plan = Plan {
            strategies: vec![Strategy::Admire, Strategy::Random],
            seeds: vec![7, 8],
            budget: 3.0,
            slots: 1,
            gain: None,
            settings: OptimizerSettings::default(),
        };
        let progress = Progress { strategy: Strategy::Admire, seed: 8, spent: 1.5, share: 0.125 };
        let mut lines = Lines { done: 0.0, next: FIRST };
        assert_eq!(lines.line(&plan, progress, FIRST / 2), None);
        let line = lines.line(&plan, progress, Duration::from_secs(10));
        let expected = "admire, seed 2 of 2: cost 1.5 of 3; 25 % of the replay done, about 30s left";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(lines.line(&plan, progress, Duration::from_secs(39)), None);
        assert!(lines.line(&plan, progress, Duration::from_secs(40)).is_some());
    }
}
