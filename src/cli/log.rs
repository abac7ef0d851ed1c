//! The log on stderr: lines for people, or a JSON object each.

use std::io::{self, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use console::Term;
use indicatif::ProgressBar;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::text;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line, with time, level, event, trial, attempt, fidelity, cost
    Json,
}

/// The bar above which lines are to be written.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Begins to log on stderr what is at least of `level`; as text with the time where `times`.
pub(super) fn install(format: LogFormat, level: Level, times: bool) {
    let writer = move || Stderr { wraps: format == LogFormat::Text };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(writer).with_ansi(false);
    // Refused when somebody has begun to log before, as a program might that uses the library.
    let _ = match format {
        LogFormat::Json => log.json().flatten_event(true).with_target(false).with_current_span(false).try_init(),
        LogFormat::Text => {
            let message = |writer: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
            };
            log.fmt_fields(debug_fn(message)).event_format(Text { times }).try_init()
        }
    };
}

/// From now on, lines are written above `bar`. There is one bar in a program.
pub(super) fn above(bar: &ProgressBar) {
    let _ = BAR.set(bar.clone());
}

/// The message, after what has to be heeded is marked as such.
struct Text {
    times: bool,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        if self.times {
            write!(to, "{} ", text::clock())?;
        }
        to.write_str(match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        })?;
        context.format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}

/// Stderr. That nobody can read it any more (a closed terminal, a broken pipe) is no reason to stop.
struct Stderr {
    /// Whether lines are broken where the terminal ends.
    wraps: bool,
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text::visible(&text);
        let width = if self.wraps { text::columns(&Term::stderr()) } else { usize::MAX };
        let write = || {
            let _ = io::stderr().write_all(text::wrapped(&text, width).as_bytes());
        };
        match BAR.get() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
