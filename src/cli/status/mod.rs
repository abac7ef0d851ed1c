mod overview;
mod table;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use console::Term;

use super::{ConfigArgs, Format, text};
use crate::advice::{self, GuardReport};
use crate::config::{StudyConfig, duration};
use crate::study::{Study, StudyError, journal};
use overview::Overview;
use table::Screen;

/// Between two looks at a study that is watched, at least.
const SHORTEST: Duration = Duration::from_millis(50);

/// The width of a screen that is none.
const WIDTH: usize = 100;

/// Show what runs, what failed, how far a study is and how long it will take
#[derive(Debug, Args)]
#[command(after_help = "Example: admire status --watch")]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// List all trials, too
    #[arg(long)]
    trials: bool,
    /// Refresh so often (every 2s where no time is given) until the study has ended; Ctrl-C ends only the watching
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s",
          value_parser = duration::parse)]
    watch: Option<Duration>,
    /// How to print it; with --watch, JSON is one document a line whenever something has happened
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<u8> {
    let config = args.config.load()?;
    let study = Study::read(config.clone())?;
    super::warn(study.warnings());
    match args.watch {
        None => {
            args.print(&study, &Overview::new(&study, args.trials, &guards(&study)));
        }
        Some(pause) => args.watch(&config, study, pause.max(SHORTEST))?,
    }
    Ok(0)
}

impl StatusArgs {
    /// Says whether anybody reads it.
    fn print(&self, study: &Study, overview: &Overview) -> bool {
        match self.format {
            Format::Table => super::write_text(format_args!("{}", screen(study, overview))),
            Format::Json => super::write_data(format_args!("{}\n", serde_json::json!(overview))),
        }
    }

    /// Shows the study again and again: on a terminal in the same place, elsewhere whenever its journal has grown.
    fn watch(&self, config: &StudyConfig, mut study: Study, pause: Duration) -> Result<(), StudyError> {
        let stamp = || std::fs::metadata(journal::path(&config.dir)).and_then(|m| Ok((m.len(), m.modified()?))).ok();
        let terminal = self.format == Format::Table && std::io::stdout().is_terminal();
        let (mut seen, mut changed, mut guards_known) = (None, true, Vec::new());
        loop {
            let now = stamp();
            if now != seen || now.is_none() {
                study = Study::read(config.clone())?;
                guards_known = guards(&study);
                (seen, changed) = (now, true);
            }
            let overview = Overview::new(&study, self.trials, &guards_known);
            if terminal {
                redraw(&screen(&study, &overview), overview.ended);
            }
            let read = terminal || !changed || self.print(&study, &overview);
            if overview.ended || !read {
                return Ok(());
            }
            changed = false;
            std::thread::sleep(pause);
        }
    }
}

/// What is known of the guards at the mixture that is recommended now. That takes a model, so nothing is asked without guards.
fn guards(study: &Study) -> Vec<GuardReport> {
    if study.config().guards.is_empty() {
        return Vec::new();
    }
    let optimizer = advice::optimizer(study);
    let choice = advice::choice(study, &optimizer);
    choice.map_or_else(|_| Vec::new(), |choice| advice::guards(study, &optimizer, &choice.mixture, false))
}

/// The overview as a table, no wider than the terminal if that is where it goes: a word that is longer is cut.
fn screen(study: &Study, overview: &Overview) -> String {
    let width = text::width();
    let drawn = if width == usize::MAX { WIDTH } else { width };
    let text = Screen { study, overview, width: drawn }.to_string();
    let text = text::visible(&text);
    text::wrapped(&text, width).lines().map(|line| text::cut(line, width).into_owned() + "\n").collect()
}

/// Puts `text` in the place of what the terminal shows, as much of it as there is room for; all of it if it is to stay.
fn redraw(text: &str, stays: bool) {
    let terminal = Term::stdout();
    let rows = if stays { usize::MAX } else { usize::from(terminal.size().0).saturating_sub(1) };
    let text: Vec<&str> = text.lines().take(rows).collect();
    // A terminal that is gone is noticed by the signal that comes with it.
    let _ = terminal.clear_screen().and_then(|()| terminal.write_line(&text.join("\n")));
}
