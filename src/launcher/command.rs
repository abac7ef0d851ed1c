//! What the training command is told: its arguments, its environment, its mixture file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::config::{Piece, pieces};
use crate::files;
use crate::problem::{FIRST_RESULT, TrialId};

/// The facts about one attempt at a trial.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// Weights by domain.
    pub weights: BTreeMap<String, f64>,
    /// Name of the fidelity.
    pub fidelity: String,
    /// Parameters of the model, when configured.
    pub params: Option<f64>,
    /// Training tokens, when configured.
    pub tokens: Option<f64>,
    /// How often data is repeated, if the trial has to keep to it.
    #[serde(flatten)]
    pub repetition: Option<Repetition>,
    /// Tokens after which the trial was ended early, if it is continued from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_from: Option<f64>,
    /// Seed of the run.
    pub seed: u32,
    /// Number of the trial.
    pub trial: TrialId,
    /// The trial's directory, absolute.
    #[serde(skip)]
    pub dir: PathBuf,
    /// Number of the attempt, from 1.
    #[serde(skip)]
    pub attempt: u32,
    /// Name of the file in the directory where the attempt's result is expected.
    #[serde(skip)]
    pub result: String,
}

/// What makes a trial repeat data as the target run does (`limits.match_repetition`).
#[derive(Clone, Debug, Serialize)]
pub struct Repetition {
    /// How often the trial sees the data of each domain that it draws from.
    pub epochs: BTreeMap<String, f64>,
    /// The tokens of each domain that the trial draws from, a whole number.
    #[serde(serialize_with = "whole")]
    pub unique_tokens: BTreeMap<String, f64>,
}

fn whole<S: Serializer>(values: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(name, value)| (name, *value as u64)))
}

impl Facts {
    /// Where the mixture is.
    #[must_use]
    pub fn mixture_file(&self) -> PathBuf {
        self.dir.join("mixture.json")
    }

    /// Where the result is expected.
    #[must_use]
    pub fn result_file(&self) -> PathBuf {
        self.dir.join(&self.result)
    }

    /// Where the attempt may report on its way.
    #[must_use]
    pub fn progress_file(&self) -> PathBuf {
        self.dir.join(progress_name(self.attempt))
    }

    /// Where the attempt's stdout goes.
    #[must_use]
    pub fn stdout_file(&self) -> PathBuf {
        self.dir.join("stdout.log")
    }

    /// Where a job notes the exit code of the command.
    #[must_use]
    pub fn exit_file(&self) -> PathBuf {
        self.dir.join("exit.txt")
    }

    /// Where the job that runs the attempt notes its number.
    #[must_use]
    pub fn claim_file(&self) -> PathBuf {
        self.dir.join(format!("job.{}.txt", self.attempt))
    }

    /// Where the scripts of the attempt's jobs are, and what submitting them printed, for queues that are told by programs.
    #[must_use]
    pub fn submissions(&self) -> PathBuf {
        self.dir.join(format!("job.{}", self.attempt))
    }

    /// The value of a placeholder; `None` for an unknown one. Facts that the config does not state are empty.
    fn value(&self, name: &str) -> Option<String> {
        if let Some((kind, domain)) = name.split_once('.') {
            let values = match kind {
                "w" => Some(&self.weights),
                "epochs" => self.repetition.as_ref().map(|told| &told.epochs),
                "unique_tokens" => self.repetition.as_ref().map(|told| &told.unique_tokens),
                _ => None,
            };
            return values?.get(domain).map(ToString::to_string);
        }
        let text = match name {
            "mixture_file" => self.mixture_file().display().to_string(),
            "result_file" => self.result_file().display().to_string(),
            "progress_file" => self.progress_file().display().to_string(),
            "trial" => self.trial.to_string(),
            "fidelity" => self.fidelity.clone(),
            "params" => number(self.params),
            "tokens" => number(self.tokens),
            "continue_from" => number(self.continue_from),
            "seed" => self.seed.to_string(),
            "weights" => list(&self.weights),
            _ => return None,
        };
        Some(text)
    }

    /// `argument` with its placeholders filled in. The config has checked them; an unknown one stays as it is.
    #[must_use]
    pub fn render(&self, argument: &str) -> String {
        fill(argument, |name| self.value(name))
    }

    /// The environment variables that carry the same facts.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let repetition = |values: fn(&Repetition) -> &BTreeMap<String, f64>| {
            self.repetition.as_ref().map_or_else(String::new, |told| list(values(told)))
        };
        vec![
            ("ADMIRE_TRIAL_ID", self.trial.to_string()),
            ("ADMIRE_ATTEMPT", self.attempt.to_string()),
            ("ADMIRE_SEED", self.seed.to_string()),
            ("ADMIRE_FIDELITY", self.fidelity.clone()),
            ("ADMIRE_PARAMS", number(self.params)),
            ("ADMIRE_TOKENS", number(self.tokens)),
            ("ADMIRE_CONTINUE_FROM", number(self.continue_from)),
            ("ADMIRE_EPOCHS", repetition(|told| &told.epochs)),
            ("ADMIRE_UNIQUE_TOKENS", repetition(|told| &told.unique_tokens)),
            ("ADMIRE_MIXTURE_FILE", self.mixture_file().display().to_string()),
            ("ADMIRE_RESULT_FILE", self.result_file().display().to_string()),
            ("ADMIRE_PROGRESS_FILE", self.progress_file().display().to_string()),
            ("ADMIRE_TRIAL_DIR", self.dir.display().to_string()),
        ]
    }
}

/// `argument` with its placeholders replaced by their values; one without a value stays as it is.
pub(super) fn fill(argument: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    for piece in pieces(argument) {
        match piece {
            Piece::Text(part) | Piece::Single(part) => text += part,
            Piece::Placeholder(name) => text += &value(name).unwrap_or_else(|| format!("{{{name}}}")),
        }
    }
    text
}

/// The name of the result file of an attempt. Each has its own: what is left of an earlier attempt may still write to its.
#[must_use]
pub fn result_name(attempt: u32) -> String {
    if attempt <= 1 { FIRST_RESULT.into() } else { format!("result.{attempt}.json") }
}

/// The name of the file in which an attempt may report on its way.
fn progress_name(attempt: u32) -> String {
    if attempt <= 1 { "progress.jsonl".into() } else { format!("progress.{attempt}.jsonl") }
}

/// Makes the trial's directory ready for the attempt: logs of the last one are kept under its number. Where the attempt was
/// `tried` before, because it could not be started, that was done: it may be at work all the same, where the answer was lost.
///
/// Must happen before the attempt is journalled, else a crash in between would take an old result for a new one.
///
/// # Errors
/// Whatever the file system says.
pub fn prepare(facts: &Facts, tried: bool) -> io::Result<()> {
    // Not the study's folder: where that is gone, so is the study.
    for dir in facts.dir.ancestors().take(2).collect::<Vec<_>>().into_iter().rev() {
        fs::create_dir(dir).or_else(|e| if dir.is_dir() { Ok(()) } else { Err(e) })?;
    }
    if !tried {
        let last = facts.attempt.saturating_sub(1);
        let logs = [("stdout", "log"), ("stderr", "log"), ("exit", "txt")];
        let logs = logs.map(|(stem, ext)| (format!("{stem}.{ext}"), format!("{stem}.{last}.{ext}")));
        // No attempt that the journal knows has left them there.
        let strays = [facts.result.clone(), progress_name(facts.attempt)].map(|name| (name.clone(), name + ".old"));
        for (from, to) in logs.into_iter().chain(strays) {
            unless_missing(fs::rename(facts.dir.join(&from), facts.dir.join(to)))
                .map_err(|e| io::Error::new(e.kind(), format!("cannot rename {from}: {e}")))?;
        }
        // Of an earlier study in the same folder.
        unless_missing(fs::remove_file(facts.claim_file()))?;
        unless_missing(fs::remove_dir_all(facts.submissions()))?;
    }
    files::write(&facts.mixture_file(), &serde_json::to_vec_pretty(facts)?)
}

/// That a file is not there is no error.
fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// `a=0.25,b=0.75`
fn list(values: &BTreeMap<String, f64>) -> String {
    values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

/// Counts print without exponent or fraction, so that `int()` of any language reads them.
fn number(x: Option<f64>) -> String {
    x.map_or_else(String::new, |x| x.to_string())
}
