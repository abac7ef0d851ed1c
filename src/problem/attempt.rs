//! What the journal and the launcher both say about an attempt at a trial.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Number of a trial in its study, from 1.
pub type TrialId = u64;

/// Name of the result file of every first attempt, and of all attempts whose launch does not name it.
pub const FIRST_RESULT: &str = "result.json";

/// What the journal keeps of a launch, so that a later `admire` finds the attempt again.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The backend that launched the attempt.
    pub backend: String,
    /// The name that the backend reserved for it before anything existed under that name, if it uses names.
    pub name: Option<String>,
    /// By what the backend recognizes it; `None` until that is journalled.
    pub handle: Option<Handle>,
}

/// By what a backend recognizes an attempt: keys and values that mean something to that backend alone. In the journal they
/// stand in the event itself, so that they cannot have the names of the event's own keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(Map<String, Value>);

impl Handle {
    /// The handle with the fields of `value`.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => Self(fields),
            _ => Self::default(),
        }
    }

    /// The value that it was made of; `None` where it is no handle of that kind.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(Value::Object(self.0.clone())).ok()
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a completed trial reported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Completed {
    /// All finite metrics by name, also those that the objective does not use.
    pub metrics: BTreeMap<String, f64>,
    /// Standard errors, where reported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub se: BTreeMap<String, f64>,
    /// Cost as reported by the command.
    #[serde(default)]
    pub cost: Option<f64>,
    /// Seconds from start to end, where it was measured.
    #[serde(default)]
    pub duration: Option<f64>,
}
