//! The overview for people.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use super::overview::{Failed, Overview, Row, Running, Size};
use crate::advice;
use crate::cli::text::{self, counted, moment, seconds};
use crate::config::Budget;
use crate::report::{Align, Table, bar, sparkline};
use crate::study::{Confirmed, Counts, Stopped, Study, journal::Holder};
use crate::text::{number, percent};

use Align::{Left, Right};

/// The widest bar.
const BAR: usize = 20;

/// What is drawn on `width` columns. Lines may be longer, and are broken later; bars are shorter where that helps.
pub(super) struct Screen<'a> {
    pub study: &'a Study,
    pub overview: &'a Overview,
    pub width: usize,
}

impl Display for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = self.overview;
        self.head(f)?;
        write!(f, "\n{}", sizes(&o.fidelities, self.study.cost_unit()))?;
        if !o.running.is_empty() {
            write!(f, "\n{}", running(&o.running))?;
        }
        if o.running.iter().any(|trial| !trial.curve.is_empty()) {
            write!(f, "\n{}", on_the_way(&o.running, self.width))?;
        }
        let names = &self.study.config().domain_order;
        match &o.recommended {
            Some(weights) => write!(f, "\n{}", bars(names, &[("recommended".into(), weights)], self.width))?,
            None if !o.running.is_empty() => {
                let columns: Vec<_> = o.running.iter().map(|t| (format!("trial {}", t.trial), &t.weights)).collect();
                write!(f, "\n{}", bars(names, &columns, self.width))?;
            }
            None => {}
        }
        for (i, words) in o.guard_words.iter().enumerate() {
            writeln!(f, "{}{:8}{words}", if i == 0 { "\n" } else { "" }, if i == 0 { "guards" } else { "" })?;
        }
        o.failures.iter().try_for_each(|failed| failure(f, failed))?;
        match &o.list {
            Some(rows) => write!(f, "\n{}", list(rows)),
            None => Ok(()),
        }
    }
}

impl Screen<'_> {
    /// In a few words, what goes on.
    fn state(&self) -> String {
        let o = self.overview;
        // Where trials are asked for and told, nobody has to be.
        let idle = o.writer.is_none() && self.study.config().launcher.is_some();
        let idle = if idle { ", nobody is at work on it" } else { "" };
        let why = |reason| advice::why(self.study, reason);
        match o.stopped {
            Some(reason) if o.ended => format!("stopped ({})", why(reason)),
            Some(reason) => format!("stopped ({}), to be confirmed{idle}", why(reason)),
            None if o.halted.is_some() && o.writer.is_none() => "halted".into(),
            None => format!("searching{idle}"),
        }
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (o, Budget { cost, trials, patience, .. }) = (self.overview, &self.study.config().budget);
        writeln!(f, "study {} in {}: {}", o.study, o.dir.display(), self.state())?;
        match &o.writer {
            Some(Holder { holder, at_work: Some(true), .. }) => writeln!(f, "writer  {holder}")?,
            Some(Holder { holder, .. }) => writeln!(f, "writer  {holder}, if it still runs")?,
            None => {}
        }
        if let Some(reason) = o.halted.as_ref().filter(|_| o.writer.is_none()) {
            writeln!(f, "halted  {reason}")?;
        }
        if let Some(reason) = o.not_started.as_ref() {
            writeln!(f, "waits   no trial can be started, which costs nothing: {reason}")?;
        }
        if o.stopped.is_some() && o.recommended.is_none() {
            writeln!(f, "note    what was recommended breaks the present config; `admire best` recommends anew")?;
        }
        if let (Some(news), Some(_)) = (self.study.stopped().and_then(Stopped::news), &o.recommended) {
            writeln!(f, "note    the recommendation is older than {news}; `admire best` says what it would be now")?;
        }
        let mut meter = |name, value, limit, what| writeln!(f, "{name}  {}", meter(value, limit, what, self.width / 5));
        let unit = self.study.cost_unit().map_or_else(String::new, |unit| format!(" {unit}"));
        meter("cost  ", o.spent.cost, *cost, &unit)?;
        meter("trials", o.spent.trials as f64, trials.map(|limit| limit as f64), "")?;
        if let (Some(limit), None) = (patience, o.stopped) {
            let what = " trials without a change of the recommendation";
            meter("stays ", self.study.stagnation(None) as f64, Some(*limit as f64), what)?;
        }
        let Confirmed { cost: confirmation, trials: confirmed } = o.spent.confirmation;
        if confirmed > 0 {
            let cost = text::cost(self.study, confirmation);
            writeln!(f, "confirm cost {cost} in {}, beyond the budget", counted(confirmed, "trial"))?;
        }
        if o.imported > 0 {
            writeln!(f, "imported runs: {}, at no cost", o.imported)?;
        }
        if o.failed_attempts > 0 {
            writeln!(f, "failed  {}", counted(o.failed_attempts as usize, "attempt"))?;
        }
        if let Some(time) = o.latest {
            writeln!(f, "latest  {}", moment(time))?;
        }
        match (o.expected_end, o.left_s) {
            (Some(end), Some(left)) => writeln!(f, "end     about {}, in {}", moment(end), seconds(left)),
            (None, Some(left)) => writeln!(f, "left    about {} of work", seconds(left)),
            _ => Ok(()),
        }
    }
}

/// So much, of a limit where there is one, with a bar.
fn meter(value: f64, limit: Option<f64>, what: &str, room: usize) -> String {
    let room = room.min(BAR);
    let (share, of) = match limit {
        Some(limit) => (bar(value / limit, room), format!(" of {}", number(limit, 4))),
        None => Default::default(),
    };
    format!("{share:room$}  {}{of}{what}", number(value, 4))
}

fn sizes(sizes: &[Size], unit: Option<&str>) -> Table {
    let states = Counts::default().named();
    // A state that no trial is in takes no room.
    let any = |i: &usize| sizes.iter().any(|size| size.trials.named()[*i].1 > 0);
    let shown: Vec<usize> = (0..states.len()).filter(|i| *i == 0 || any(i)).collect();
    let titles = shown.iter().map(|i| states[*i].0).chain(["takes", unit.unwrap_or("cost")]);
    let mut table = Table::new([("fidelity", Left)].into_iter().chain(titles.map(|title| (title, Right))));
    for size in sizes {
        let mut cells = vec![format!("{}{}", size.fidelity, if size.target { " (target)" } else { "" })];
        cells.extend(shown.iter().map(|i| size.trials.named()[*i].1.to_string()));
        cells.push(size.duration_s.map_or_else(|| "?".into(), seconds));
        cells.push(if size.is_known { number(size.cost, 4) } else { "?".into() });
        table.row(cells);
    }
    table
}

/// The fidelity of a trial, with what it is for where that is not the search.
fn fidelity(name: &str, confirmation: bool) -> String {
    format!("{name}{}", if confirmation { " (confirmation)" } else { "" })
}

fn running(trials: &[Running]) -> Table {
    let mut table = Table::new([
        ("running", Right),
        ("fidelity", Left),
        ("attempt", Right),
        ("since", Left),
        ("for", Right),
        ("expected end", Left),
        ("", Left),
    ]);
    for trial in trials {
        let place = match (&trial.job, trial.pid, trial.alive) {
            (Some(job), ..) => format!("job {job}"),
            (None, Some(pid), Some(false)) => format!("process {pid}, which has ended"),
            (None, Some(pid), _) => format!("process {pid}"),
            (None, None, _) => String::new(),
        };
        let now = text::now();
        let end = trial.expected_end.map(|end| {
            let distance =
                if end < now { format!("{} late", seconds(now - end)) } else { format!("in {}", seconds(end - now)) };
            // A job's time in the queue counts, but not towards what it takes.
            format!("{}{}, {distance}", if trial.job.is_some() { "from " } else { "" }, moment(end))
        });
        table.row([
            trial.trial.to_string(),
            fidelity(&trial.fidelity, trial.confirmation),
            trial.attempt.to_string(),
            moment(trial.since),
            seconds(now - trial.since),
            end.unwrap_or_else(|| "?".into()),
            place,
        ]);
    }
    table
}

/// What running trials reported on their way, where they did.
fn on_the_way(trials: &[Running], width: usize) -> Table {
    let mut table = Table::new([("on the way", Right), ("done", Right), ("objective", Right), ("", Left)]);
    for Running { trial, share_done, curve, .. } in trials {
        let Some(last) = curve.last() else { continue };
        let done = match (share_done, last.step) {
            (Some(share), _) => percent(*share),
            (None, Some(step)) => format!("step {}", number(step, 6)),
            (None, None) => String::new(),
        };
        let values: Vec<f64> = curve.iter().map(|place| place.objective).collect();
        table.row([trial.to_string(), done, number(last.objective, 4), sparkline(&values, width / 4)]);
    }
    table
}

/// Weights of one or more mixtures side by side, as many as there is room for.
fn bars(names: &[String], mixtures: &[(String, &BTreeMap<String, f64>)], width: usize) -> String {
    let widest = names.iter().map(|name| console::measure_text_width(name)).max().unwrap_or(0);
    let left = width.saturating_sub(widest);
    // Two spaces, a number of six characters, two spaces, a bar of at least three.
    let shown = mixtures.len().min(left / 13).max(1);
    let room = (left / shown).saturating_sub(10).clamp(3, BAR);
    let titles = mixtures.iter().take(shown).flat_map(|(title, _)| [("", Right), (title.as_str(), Left)]);
    let mut table = Table::new([("weights", Left)].into_iter().chain(titles));
    for name in names {
        let weights = mixtures.iter().take(shown).map(|(_, weights)| weights.get(name).copied().unwrap_or(0.0));
        let cells = weights.flat_map(|w| [format!("{w:6.4}"), format!("{:room$}", bar(w, room))]);
        table.row([name.clone()].into_iter().chain(cells));
    }
    let mut text = table.to_string();
    if shown < mixtures.len() {
        let _ = writeln!(text, "(and {} more)", mixtures.len() - shown);
    }
    text
}

fn failure(f: &mut fmt::Formatter<'_>, failed: &Failed) -> fmt::Result {
    let Failed { trial, fidelity, attempt, time, reason, state, .. } = failed;
    let attempt = if *attempt == 0 { "told by hand".into() } else { format!("attempt {attempt}") };
    writeln!(f, "\ntrial {trial} at {fidelity}, {attempt}, {}: {}", moment(*time), reason.replace('\n', " "))?;
    failed.stderr.iter().try_for_each(|line| writeln!(f, "  │ {line}"))?;
    let now = match *state {
        "pending" => "it will start again",
        "running" => "it has started again",
        _ => "it was given up",
    };
    match &failed.stderr_file {
        Some(file) => writeln!(f, "  └ {now}; {}", file.display()),
        None => writeln!(f, "  └ {now}"),
    }
}

fn list(rows: &[Row]) -> Table {
    let mut table = Table::new([
        ("trial", Right),
        ("fidelity", Left),
        ("state", Left),
        ("attempts", Right),
        ("objective", Right),
        ("took", Right),
        ("ended", Left),
        ("", Left),
    ]);
    for row in rows {
        table.row([
            row.trial.to_string(),
            fidelity(&row.fidelity, row.confirmation),
            row.state.to_owned(),
            row.attempts.to_string(),
            row.objective.map_or_else(String::new, |y| number(y, 4)),
            row.duration_s.map_or_else(String::new, seconds),
            row.ended.map_or_else(String::new, moment),
            row.note.as_ref().map_or_else(String::new, |note| note.replace('\n', " ")),
        ]);
    }
    table
}
