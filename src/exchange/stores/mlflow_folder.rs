//! The folder in which MLflow keeps runs where there is no database: `mlruns/EXPERIMENT/RUN` with `meta.yaml` and a file for each
//! parameter and metric.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Run, entries, folders, unreadable, wrong};
use crate::input;
use crate::runs::LogError;

/// How MLflow writes the states of runs into `meta.yaml`, from 1 on.
const STATES: [&str; 5] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

/// The runs of a store, or of one experiment in it, in the order in which they were started: the table that `mlflow experiments
/// csv` writes, with the experiment's name in a column more. Deleted experiments and runs are left out, and MLflow's own tags.
///
/// # Errors
/// Files that cannot be read, and a folder without any run.
pub(super) fn read(folder: &Path) -> Result<Vec<Run>, LogError> {
    let own = meta(folder)?;
    let experiments = if own.contains_key("experiment_id") { vec![folder.to_owned()] } else { folders(folder)? };
    let mut runs = vec![];
    for experiment in experiments {
        let about = meta(&experiment)?;
        if !is_active(&about) {
            continue;
        }
        for path in folders(&experiment)? {
            let about_run = meta(&path)?;
            if is_active(&about_run) && about_run.contains_key("run_id") {
                let mut run = run(&path, &about_run)?;
                run.insert("experiment".into(), about.get("name").cloned().unwrap_or_default());
                let started = about_run.get("start_time").and_then(|time| time.parse::<i64>().ok());
                runs.push((started, run));
            }
        }
    }
    if runs.is_empty() {
        let message = "no run of MLflow is in it; name its `mlruns`, the folder of an experiment in that, or the database, \
                       `mlflow.db`";
        return Err(wrong(folder, message));
    }
    // Their names are random.
    runs.sort();
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// What is in the folder of a run.
fn run(folder: &Path, about: &BTreeMap<String, String>) -> Result<Run, LogError> {
    let state = about.get("status").and_then(|code| code.parse::<usize>().ok());
    let state = state.and_then(|code| STATES.get(code.wrapping_sub(1))).copied().unwrap_or_default();
    let mut run: Run = [("run_id".into(), about["run_id"].clone()), ("status".into(), state.into())].into();
    for (name, value) in files(&folder.join("params"))? {
        run.insert(format!("params.{name}"), value);
    }
    for (name, value) in files(&folder.join("tags"))? {
        if !name.starts_with("mlflow.") {
            run.insert(format!("tags.{name}"), value);
        }
    }
    for (name, history) in files(&folder.join("metrics"))? {
        run.insert(format!("metrics.{name}"), last(&history).unwrap_or_default());
    }
    Ok(run)
}

/// The value of a metric at its last step, and of those the last in time. A line is `TIME VALUE STEP`, and may go on.
fn last(history: &str) -> Option<String> {
    let points = history.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (time, value, step) = (words.next()?.parse::<i64>().ok()?, words.next()?, words.next().unwrap_or("0"));
        Some((step.parse::<i64>().ok()?, time, value))
    });
    points.max_by_key(|(step, time, _)| (*step, *time)).map(|(_, _, value)| value.to_owned())
}

/// The files in a folder and those below it, by their paths from there, with what is in them. None where there is no folder.
fn files(folder: &Path) -> Result<Vec<(String, String)>, LogError> {
    let mut found = vec![];
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path)?.into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            found.push((name, text(&path)?));
        }
    }
    Ok(found)
}

/// The keys of `meta.yaml`, which has one in each line; none where there is no such file.
fn meta(folder: &Path) -> Result<BTreeMap<String, String>, LogError> {
    let path = folder.join("meta.yaml");
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = text(&path)?;
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    Ok(lines.map(|(key, value)| (key.to_owned(), value.trim().trim_matches(['\'', '"']).to_owned())).collect())
}

fn is_active(about: &BTreeMap<String, String>) -> bool {
    about.get("lifecycle_stage").is_some_and(|stage| stage == "active")
}

fn text(path: &Path) -> Result<String, LogError> {
    input::read(path).map_err(|source| unreadable(path, source))
}
