//! The folder in which Weights & Biases keeps runs, `wandb/run-TIME-ID` and `wandb/offline-run-TIME-ID`, whether they were sent
//! to a server or not.
//!
//! Only the log of a run is read, `run-ID.wandb`: it is the one file that every run has, also one that was killed. Its records
//! are messages of wandb/proto/wandb_internal.proto, of which the fields below are needed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::Value;

use super::wandb_log::{Records, records};
use super::{Run, entries, folders, unreadable, wrong};
use crate::input::number;
use crate::runs::LogError;
use crate::text::counted;

/// A record: one of these, or another kind.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(message, optional, tag = "2")]
    history: Option<History>,
    #[prost(message, optional, tag = "3")]
    summary: Option<Update>,
    #[prost(message, optional, tag = "5")]
    config: Option<Update>,
    #[prost(message, optional, tag = "17")]
    run: Option<About>,
    #[prost(message, optional, tag = "18")]
    exit: Option<Exit>,
}

/// What was logged at one step.
#[derive(Clone, PartialEq, Message)]
struct History {
    #[prost(message, repeated, tag = "1")]
    item: Vec<Item>,
}

/// A change of the config or of the summary.
#[derive(Clone, PartialEq, Message)]
struct Update {
    #[prost(message, repeated, tag = "1")]
    update: Vec<Item>,
    #[prost(message, repeated, tag = "2")]
    remove: Vec<Item>,
}

/// A value, by its name or by the names on the way to it.
#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, repeated, tag = "2")]
    nested_key: Vec<String>,
    #[prost(string, tag = "16")]
    value_json: String,
}

#[derive(Clone, PartialEq, Message)]
struct About {
    #[prost(string, tag = "1")]
    run_id: String,
    #[prost(string, tag = "3")]
    project: String,
    #[prost(message, optional, tag = "4")]
    config: Option<Update>,
    #[prost(string, tag = "6")]
    run_group: String,
    #[prost(string, tag = "8")]
    display_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Exit {
    #[prost(int32, tag = "1")]
    exit_code: i32,
}

/// Values as JSON, by their names with points between them.
type Values = BTreeMap<String, String>;

/// What the logs of a run add up to.
#[derive(Default)]
struct State {
    about: About,
    config: Values,
    /// The last values of what was logged, and those that the summary has instead: with `define_metric`, not the last.
    history: Values,
    summary: Values,
    exit: Option<Exit>,
}

/// A log is damaged after so many records.
struct Damaged {
    after: usize,
}

/// The runs of a folder, of one run's folder or of a log, in the order in which they were started, with `config.X` and
/// `summary.X`. Logs of one run, which was resumed, are one run. A run whose log does not say how it ended is incomplete: it was
/// killed, or goes on.
///
/// # Errors
/// Files that cannot be read, and a folder without a run that has ended.
pub(super) fn read(path: &Path) -> Result<Vec<Run>, LogError> {
    let (mut runs, mut places) = (Vec::<State>::new(), BTreeMap::new());
    for log in logs(path)? {
        let bytes = fs::read(&log).map_err(|source| unreadable(&log, source))?;
        let id = log.file_stem().unwrap_or_default().to_string_lossy();
        let id = id.strip_prefix("run-").unwrap_or(&id);
        let place = *places.entry(id.to_owned()).or_insert(runs.len());
        if place == runs.len() {
            runs.push(State { about: About { run_id: id.to_owned(), ..About::default() }, ..State::default() });
        }
        if let Err(Damaged { after }) = runs[place].read(&bytes) {
            let (log, records) = (log.display(), counted(after, "record"));
            tracing::warn!("{log}: damaged after {records}; what comes then is not read");
        }
    }
    if runs.is_empty() {
        let message = "no run of Weights & Biases is in it; name the folder `wandb`, or that of a run in it, which has a log \
                       called run-ID.wandb";
        return Err(wrong(path, message));
    }
    if runs.iter().all(|run| run.exit.is_none()) {
        let runs = counted(runs.len(), "run");
        return Err(wrong(path, format!("no run in it has ended ({runs}, killed or not over yet)")));
    }
    Ok(runs.into_iter().map(State::run).collect())
}

/// The logs in a folder, by the times in the names of their folders; or that log.
fn logs(path: &Path) -> Result<Vec<PathBuf>, LogError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let time = |folder: &Path| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_prefix("offline-").unwrap_or(&name).strip_prefix("run-").map(str::to_owned)
    };
    // Not `latest-run`, which is one of the others.
    let mut folders: Vec<PathBuf> = folders(path)?.into_iter().filter(|folder| time(folder).is_some()).collect();
    folders.sort_by_key(|folder| time(folder));
    folders.insert(0, path.to_owned());
    let files = folders.iter().map(|folder| entries(folder)).collect::<Result<Vec<_>, _>>()?;
    Ok(files.into_iter().flatten().filter(|file| file.extension() == Some(OsStr::new("wandb"))).collect())
}

impl State {
    /// Adds what a log says. Of a damaged log, this is what comes before.
    fn read(&mut self, log: &[u8]) -> Result<(), Damaged> {
        // A log that goes on with a run says anew how that ended.
        self.exit = None;
        let Records { records, damaged } = records(log);
        for (after, record) in records.iter().enumerate() {
            self.add(Record::decode(&record[..]).map_err(|_| Damaged { after })?);
        }
        if damaged { Err(Damaged { after: records.len() }) } else { Ok(()) }
    }

    fn add(&mut self, record: Record) {
        if let Some(about) = record.run {
            change(&mut self.config, about.config.as_ref());
            self.about = about;
        }
        change(&mut self.config, record.config.as_ref());
        change(&mut self.summary, record.summary.as_ref());
        let logged = record.history.map(|history| Update { update: history.item, remove: vec![] });
        change(&mut self.history, logged.as_ref());
        self.exit = record.exit.or(self.exit.take());
    }

    fn run(self) -> Run {
        let state = match self.exit {
            Some(Exit { exit_code: 0 }) => "finished",
            Some(_) => "failed",
            None => "incomplete",
        };
        let About { run_id, project, run_group, display_name, .. } = self.about;
        let about =
            [("run.id", run_id), ("run.project", project), ("run.group", run_group), ("run.name", display_name)];
        let mut run = Run::from(about.map(|(column, cell)| (column.to_owned(), cell)));
        run.insert("state".into(), state.into());
        for (name, text) in &self.config {
            flatten(&format!("config.{name}"), text, &mut run);
        }
        let mut summary = Run::new();
        for (name, text) in self.history.iter().chain(&self.summary) {
            flatten(&format!("summary.{name}"), text, &mut summary);
        }
        // What is logged beside numbers, such as pictures and text, is no result.
        run.extend(summary.into_iter().filter(|(_, cell)| number(cell).is_some()));
        run
    }
}

/// Carries out an update. What W&B itself keeps there has a name that begins with `_`.
fn change(values: &mut Values, update: Option<&Update>) {
    let name = |item: &Item| if item.nested_key.is_empty() { item.key.clone() } else { item.nested_key.join(".") };
    let Some(Update { update, remove }) = update else { return };
    for item in remove {
        values.remove(&name(item));
    }
    let own = |item: &&Item| !name(item).starts_with('_');
    values.extend(update.iter().filter(own).map(|item| (name(item), item.value_json.clone())));
}

/// The cells of a value: of an object those of its values, by their names. NaN and infinities are no JSON, but W&B has them.
fn flatten(name: &str, text: &str, cells: &mut Run) {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => {
            for (key, value) in object {
                flatten(&format!("{name}.{key}"), &value.to_string(), cells);
            }
        }
        Ok(Value::String(text)) => drop(cells.insert(name.to_owned(), text)),
        Ok(Value::Null) => {}
        _ => drop(cells.insert(name.to_owned(), text.to_owned())),
    }
}
