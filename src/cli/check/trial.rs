//! One trial for real, in a study of its own.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tracing::warn;

use super::{suggest, text};
use crate::advice;
use crate::cli;
use crate::config::{Budget, StudyConfig};
use crate::launcher::{Facts, tail};
use crate::problem::Objective;
use crate::runner::{self, Ended, RunError, View, facts};
use crate::study::{Completed, Event, Rate, Study, TrialState, journal};
use crate::text::{counted, number};

/// What came of it.
pub(super) struct Tried {
    facts: Facts,
    command: Vec<String>,
    environment: Vec<(&'static str, String)>,
    objective: Objective,
    /// The objective's value, where there is one.
    value: Option<f64>,
    /// `None` where it was interrupted.
    state: Option<TrialState>,
    /// How its stderr ends.
    stderr: Vec<String>,
    /// Whether there is a result file; else a result was a line of stdout.
    has_file: bool,
    /// How many reports on the way were kept.
    reports: usize,
    /// What a unit of cost takes, by this trial.
    pub(super) rate: Option<Rate>,
    /// Where its files are, when they were kept.
    kept: Option<PathBuf>,
}

/// Runs the first trial at the cheapest size, once, beside the study's folder: nothing of it gets into the study.
pub(super) fn run(config: &StudyConfig) -> anyhow::Result<Tried> {
    let mut launcher = config.launcher.clone().ok_or(RunError::NoLauncher)?;
    (launcher.slots, launcher.retries, launcher.retry_diverged) = (1, 0, 0);
    // Whoever waits for notices waits for those of the study.
    launcher.on_event = None;
    let runtime = cli::runtime()?;
    clean_up(config, &runtime)?;
    let dir = beside(&config.dir)?;
    let config = StudyConfig {
        dir: dir.clone(),
        name: check_name(config),
        budget: Budget { trials: Some(1), ..Budget::default() },
        launcher: Some(launcher),
        confirm: None,
        ..config.clone()
    };
    match run_in(config, runtime) {
        Ok(tried) if tried.exit_code() != 0 => Ok(Tried { kept: Some(dir), ..tried }),
        tried => {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
            tried
        }
    }
}

fn run_in(config: StudyConfig, runtime: Runtime) -> anyhow::Result<Tried> {
    let mut study = Study::open(config, Duration::ZERO)?;
    let costs = study.costs();
    let cheapest = study.open_fidelities().into_iter().min_by(|a, b| costs[*a].total_cmp(&costs[*b]));
    let mut optimizer = advice::optimizer(&study);
    let id = study.next_id();
    suggest::next(&study, &mut optimizer, cheapest)?.into_iter().try_for_each(|event| study.record(event))?;
    let (refuse, mut refused) = tokio::sync::mpsc::unbounded_channel();
    // A study tries again and again what could not be started; whoever checks wants to know.
    let show = |view: View<'_>| {
        if let Some(why) = view.study.trials().iter().find_map(|trial| trial.not_started.clone()) {
            // Nobody listens any more once the first has been heard.
            let _ = refuse.send(why);
        }
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = runner::run(&mut study, show) => Ok(ended),
            why = refused.recv() => Err(why.unwrap_or_default()),
        }
    });
    runtime.shutdown_background();
    let not_started = ended.as_ref().err().map(|why| format!("could not be started: {why}"));
    let interrupted = match ended {
        Ok(Ok(ended)) => ended == Ended::Interrupted,
        // What became of the trial says more.
        Ok(Err(RunError::NothingComplete { .. })) | Err(_) => false,
        Ok(Err(error)) => return Err(error.into()),
    };

    let (trial, config) = (study.trial(id)?, study.config());
    let facts = facts(&study, trial, &config.dir.canonicalize()?);
    let command = config.launcher.iter().flat_map(|l| &l.command).map(|a| facts.render(a)).collect();
    let state = not_started.map_or_else(|| trial.state.clone(), |reason| TrialState::Failed { reason });
    Ok(Tried {
        command,
        environment: facts.environment(),
        objective: config.objective.clone(),
        value: study.measured(trial),
        state: (!interrupted).then_some(state),
        stderr: tail::last_lines(&facts.dir.join("stderr.log"), tail::SHOWN),
        has_file: facts.result_file().exists(),
        reports: trial.curve.len(),
        rate: Rate::measured(&study),
        kept: None,
        facts,
    })
}

/// Ends the trials of checks that were killed, and removes their folders. Those of trials that ended are kept for people.
fn clean_up(config: &StudyConfig, runtime: &Runtime) -> anyhow::Result<()> {
    let prefix = format!("{}.check-", name(&config.dir)?);
    let parent = config.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_check = |path: &PathBuf| {
        let number = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_prefix(&prefix));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for dir in entries.map(|entry| entry.path()).filter(is_check) {
        if journal::holder(&dir).is_some() || !was_killed(&dir, &check_name(config)) {
            continue;
        }
        let ended = Study::read(StudyConfig { dir: dir.clone(), ..config.clone() })
            .map_err(anyhow::Error::from)
            .and_then(|study| Ok(runtime.block_on(runner::end_orphans(&study))?));
        match ended {
            Ok(true) => fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?,
            Ok(false) => warn!("{} is of a check that was killed, and its trial runs on", dir.display()),
            Err(error) => {
                let dir = dir.display();
                warn!("{dir} is of a check that was killed, and its trial may run on: {error:#}");
            }
        }
    }
    Ok(())
}

/// Whether a folder is that of the check `name`, and nobody saw its trial end.
fn was_killed(dir: &Path, name: &str) -> bool {
    let ends = |event: &Event| {
        use Event::{Completed, Diverged, Failed, Interrupted};
        matches!(event, Completed { .. } | Failed { .. } | Diverged { .. } | Interrupted { .. })
    };
    let Ok(Some(contents)) = journal::read(dir) else { return false };
    let mut events = contents.lines.iter().flat_map(|line| &line.entry).map(|entry| &entry.event);
    let is_check = matches!(events.next(), Some(Event::Study(header)) if header.name == name);
    is_check && !events.any(ends)
}

/// What the study of a check is called.
fn check_name(config: &StudyConfig) -> String {
    format!("{}-check", config.name)
}

fn name(dir: &Path) -> anyhow::Result<Cow<'_, str>> {
    Ok(dir.file_name().context("study.dir has no name")?.to_string_lossy())
}

/// A new folder beside that of the study: on the file system that the study's trials will use, too.
fn beside(dir: &Path) -> anyhow::Result<PathBuf> {
    let name = name(dir)?;
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let made = (1_u32..).find_map(|n| {
        let path = dir.with_file_name(format!("{name}.check-{n}"));
        match fs::create_dir(&path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => None,
            made => Some(made.with_context(|| format!("cannot make {}", path.display())).map(|()| path)),
        }
    });
    made.context("every number is taken")?
}

impl Tried {
    pub(super) fn exit_code(&self) -> u8 {
        match self.state {
            None => 130,
            Some(TrialState::Complete(_)) => 0,
            Some(_) => 1,
        }
    }

    /// How it ended, in a word, and why.
    fn ending(&self) -> (&str, Option<&str>) {
        match &self.state {
            Some(TrialState::Complete(_)) => ("complete", None),
            Some(TrialState::Failed { reason }) => ("failed", Some(reason)),
            Some(TrialState::Diverged) => ("diverged", Some("a metric of the objective is NaN or infinite")),
            Some(
                TrialState::Pending
                | TrialState::Running { .. }
                | TrialState::Stopped(_)
                | TrialState::Withdrawn
                | TrialState::Cancelled,
            )
            | None => ("interrupted", None),
        }
    }

    fn outcome(&self) -> Option<&Completed> {
        if let Some(TrialState::Complete(outcome)) = &self.state { Some(outcome) } else { None }
    }

    /// Metrics that were reported and do not count.
    fn further(&self) -> Vec<&str> {
        let counts = |name: &str| self.objective.metrics.iter().any(|m| m.name == name);
        let names = self.outcome().into_iter().flat_map(|o| o.metrics.keys());
        names.map(String::as_str).filter(|name| !counts(name)).collect()
    }

    pub(super) fn json(&self) -> Value {
        let (state, reason) = self.ending();
        let outcome = self.outcome();
        let environment: serde_json::Map<String, Value> =
            self.environment.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "fidelity": self.facts.fidelity,
            "weights": self.facts.weights,
            "seed": self.facts.seed,
            "command": self.command,
            "environment": environment,
            "state": state,
            "reason": reason,
            "stderr": self.stderr,
            "objective": self.value,
            "metrics": outcome.map(|o| &o.metrics),
            "not_in_objective": self.further(),
            "se": outcome.map(|o| &o.se),
            "cost": outcome.and_then(|o| o.cost),
            "duration": outcome.and_then(|o| o.duration),
            "result": outcome.map(|_| if self.has_file { "file" } else { "stdout" }),
            "reports": self.reports,
            "dir": self.kept,
        })
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, reason) = self.ending();
        writeln!(f, "\none trial for real, at {}:", self.facts.fidelity)?;
        writeln!(f, "  command    {}", text::command(&self.command, 13, text::width()))?;
        // With blanks between members, where lines can break.
        let mixture = serde_json::to_string(&self.facts).map_err(|_| fmt::Error)?.replace(",\"", ", \"");
        writeln!(f, "  mixture    {mixture}")?;
        for (i, (name, value)) in self.environment.iter().enumerate() {
            let title = if i == 0 { "exported" } else { "" };
            writeln!(f, "  {title:<9}  {name}={}", text::quote(value))?;
        }
        let after = self.outcome().and_then(|o| o.duration);
        let after = after.map_or_else(String::new, |d| format!(" after {} s", number(d, 4)));
        writeln!(f, "  ended      {state}{after}{}", reason.map_or_else(String::new, |r| format!(": {r}")))?;
        if self.outcome().is_none() {
            self.stderr.iter().try_for_each(|line| writeln!(f, "  │ {line}"))?;
        }
        if self.reports > 0 {
            writeln!(f, "  on the way {} kept", counted(self.reports, "report"))?;
        }
        if let Some(outcome) = self.outcome() {
            let source = if self.has_file { "the result file" } else { "the last `admire: ` line of stdout" };
            writeln!(f, "  result     from {source}")?;
            for metric in &self.objective.metrics {
                let se = outcome.se.get(&metric.name).map_or_else(String::new, |se| format!(" ± {}", number(*se, 4)));
                let value = outcome.metrics.get(&metric.name).map_or_else(|| "?".into(), |y| number(*y, 4));
                writeln!(f, "  metric     {} = {value}{se}, weight {}", metric.name, super::short(metric.weight))?;
            }
            if !self.further().is_empty() {
                writeln!(f, "  recorded   {} (not in the objective)", self.further().join(", "))?;
            }
            if let Some(cost) = outcome.cost {
                writeln!(f, "  cost       {}, as reported", number(cost, 4))?;
            }
            writeln!(f, "  objective  {}", self.value.map_or_else(|| "?".into(), |y| number(y, 4)))?;
        }
        match &self.kept {
            Some(dir) => writeln!(f, "  files      kept in {}", dir.join("trials/0001").display()),
            None => writeln!(f, "the contract holds"),
        }
    }
}
