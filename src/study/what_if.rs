//! A study that is asked under another search space or objective than its own.

use serde_json::json;

use super::state::observation;
use super::{Change, Changes, ImportedRun, Study, StudyError, journal};
use crate::config::StudyConfig;
use crate::problem::{Direction, Objective};
use crate::text::counted;

/// Sections of the config that say what may be recommended.
const ALLOWED: [&str; 4] = ["domain", "group", "limits", "guard"];

impl Study {
    /// Reads the study for a question under `config`, whose objective may be another one than the study's `own`: trials report more
    /// metrics than the objective needs. What differs from the journal is a [what-if](Self::what_ifs).
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn what_if(config: StudyConfig, own: Objective) -> Result<Self, StudyError> {
        let contents = journal::read(&config.dir)?.ok_or_else(|| StudyError::Missing { dir: config.dir.clone() })?;
        let mut asked = config.objective.clone();
        // What-ifs of bounds compare with what the study compares with.
        if let (Some(own), Some(asked)) = (&own.reference, &mut asked.reference)
            && own.to == asked.to
        {
            asked.mixture = own.mixture.clone();
        }
        let mut study = Self::empty(StudyConfig { objective: own, ..config });
        study.replay(&contents)?;
        let mut changed = study.adopt()?;
        changed.retain(|key, _| ALLOWED.contains(&key.split('.').next().unwrap_or_default()));
        changed.extend(differences(&study.config.objective, &asked));
        study.what_ifs = changed;
        if study.config.objective != asked {
            study.ask_for(asked);
        }
        Ok(study)
    }

    /// In what this question differs from what the journal has; empty for the study as it is.
    #[must_use]
    pub fn what_ifs(&self) -> &Changes {
        &self.what_ifs
    }

    /// Goes on as if the objective had been this one. What was expected, and the model, are of the one before.
    fn ask_for(&mut self, objective: Objective) {
        let complete = |study: &Self| study.evidence().observations.len();
        let before = complete(self);
        self.config.objective = objective;
        self.baseline.take();
        let state = &mut self.state;
        state.model = None;
        for trial in &mut state.trials {
            (trial.expected, trial.incumbent) = (None, None);
        }
        state.imported.retain_mut(|ImportedRun { run, observation: known, .. }| {
            let place = (&known.mixture, known.fidelity);
            let found = observation(&self.config, known.run, place, &run.metrics, &run.se);
            found.map(|found| *known = found).is_some()
        });
        let lacking = before.saturating_sub(complete(self));
        if lacking > 0 {
            let runs = counted(lacking, "run");
            self.warnings.push(format!("{runs} did not report all metrics of this objective, and are left out"));
        }
    }
}

/// In what an objective differs from the study's own, by the keys of the config.
fn differences(own: &Objective, asked: &Objective) -> Changes {
    let weight = |objective: &Objective, name: &str| {
        objective.own().find(|metric| metric.name == name).map(|metric| json!(metric.weight))
    };
    let direction = |objective: &Objective| {
        Some(json!(match objective.direction {
            Direction::Minimize => "minimize",
            Direction::Maximize => "maximize",
        }))
    };
    let names = own.own().chain(asked.own()).map(|metric| &metric.name);
    let weights = names
        .map(|name| (format!("objective.metrics.{name}"), Change { from: weight(own, name), to: weight(asked, name) }));
    let directions = ("objective.direction".to_owned(), Change { from: direction(own), to: direction(asked) });
    let aggregate = |objective: &Objective| Some(json!(objective.aggregate));
    let aggregates = ("objective.aggregate".to_owned(), Change { from: aggregate(own), to: aggregate(asked) });
    let reference = |objective: &Objective| objective.reference.as_ref().map(|reference| json!(reference.to));
    let references = ("objective.relative_to".to_owned(), Change { from: reference(own), to: reference(asked) });
    weights.chain([directions, aggregates, references]).filter(|(_, change)| change.from != change.to).collect()
}
