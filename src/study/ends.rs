//! What curves say of the ends of runs that did not come to them.

use std::collections::BTreeMap;

use super::{ImportedRun, Study, Trial, TrialState};
use crate::config::StudyConfig;
use crate::problem::{Curve, Estimate, FidelityId, Objective, Observation, Past, RunId, estimate_of_end};

/// Values by name.
type Metrics = BTreeMap<String, f64>;

/// A training run at a fidelity, as far as it is known: a trial, or a run from elsewhere.
struct Course<'a> {
    run: RunId,
    fidelity: FidelityId,
    /// What it reported after so many tokens, ascending.
    places: Vec<(f64, &'a Metrics)>,
    /// Its result, if it came to its end.
    end: Option<&'a Metrics>,
}

/// What of the metrics an estimate is about.
#[derive(Clone, Copy)]
enum Quantity {
    /// A metric of the objective, by its index.
    Metric(usize),
    /// The objective itself.
    Objective,
}

impl Quantity {
    fn read(self, objective: &Objective, metrics: &Metrics) -> Option<f64> {
        match self {
            Self::Metric(i) => metrics.get(&objective.metrics[i].name).copied(),
            Self::Objective => Some(objective.value(&objective.select(metrics)?)),
        }
    }
}

/// A quantity in the course of a run that is over.
struct Known {
    run: RunId,
    fidelity: FidelityId,
    curve: Curve,
    /// Its value in the end, if the run came to it.
    end: Option<f64>,
}

/// Estimates of ends, from the curves of the runs that are over.
pub(super) struct Ends<'a> {
    study: &'a Study,
    /// The quantities that are estimated: the metrics of the objective, and last the objective.
    quantities: Vec<(Quantity, Vec<Known>)>,
    /// Runs from elsewhere that are on their way, as far as each is known.
    imported: Vec<Course<'a>>,
}

impl Study {
    /// What curves say of ends, by what is known now.
    pub(super) fn ends(&self) -> Ends<'_> {
        let objective = &self.config.objective;
        // What has reported nothing on its way says nothing of others.
        let mut courses: Vec<Course<'_>> =
            self.trials().iter().filter(|t| !t.curve.is_empty()).filter_map(over).collect();
        let (complete, imported): (Vec<_>, Vec<_>) = self.elsewhere().into_iter().partition(|run| run.end.is_some());
        courses.extend(complete);
        let quantities = (0..objective.metrics.len()).map(Quantity::Metric).chain([Quantity::Objective]);
        let known = |quantity: Quantity| {
            let known = courses.iter().chain(&imported).filter_map(|course| course.known(&self.config, quantity));
            (quantity, known.collect())
        };
        let quantities = quantities.map(known).collect();
        Ends { study: self, quantities, imported }
    }

    /// The courses of the runs from elsewhere that have rows on their way, in the order of their numbers. Rows of one run have the same
    /// source.
    fn elsewhere(&self) -> Vec<Course<'_>> {
        let mut runs: BTreeMap<(&str, FidelityId), Vec<&ImportedRun>> = BTreeMap::new();
        let (on_the_way, ended): (Vec<_>, Vec<_>) = self.imported().partition(|row| row.run.tokens.is_some());
        for row in on_the_way {
            runs.entry((&row.run.source, row.observation.fidelity)).or_default().push(row);
        }
        for row in ended {
            if let Some(rows) = runs.get_mut(&(row.run.source.as_str(), row.observation.fidelity)) {
                rows.push(row);
            }
        }
        let mut courses: Vec<Course<'_>> = runs.into_values().filter_map(course_of_rows).collect();
        courses.sort_by_key(|course| course.run);
        courses
    }
}

/// The course of a run from elsewhere, by its rows.
fn course_of_rows(mut rows: Vec<&ImportedRun>) -> Option<Course<'_>> {
    let far = |row: &ImportedRun| row.run.tokens.unwrap_or(f64::INFINITY);
    rows.sort_by(|a, b| far(a).total_cmp(&far(b)));
    let last = *rows.last()?;
    Some(Course {
        run: last.observation.run,
        fidelity: last.observation.fidelity,
        places: rows.iter().filter_map(|row| Some((row.run.tokens?, &row.run.metrics))).collect(),
        end: last.run.tokens.is_none().then_some(&last.run.metrics),
    })
}

impl Course<'_> {
    /// The curve of a quantity.
    fn curve(&self, objective: &Objective, quantity: Quantity) -> Curve {
        let places = self.places.iter();
        Curve::of(places.filter_map(|(tokens, metrics)| Some((*tokens, quantity.read(objective, metrics)?))))
    }

    /// A quantity in the course of the run; `None` where it came to its end without it.
    fn known(&self, config: &StudyConfig, quantity: Quantity) -> Option<Known> {
        let (run, fidelity, objective) = (self.run, self.fidelity, &config.objective);
        let end = self.end.map(|metrics| quantity.read(objective, metrics));
        let curve = self.curve(objective, quantity);
        Some(match end {
            Some(end) => Known { run, fidelity, curve: curve.ended(config.fidelities[fidelity].tokens?, end?), end },
            None => Known { run, fidelity, curve, end: None },
        })
    }
}

/// The course of a trial that came to its end, or was ended early.
fn over(trial: &Trial) -> Option<Course<'_>> {
    match &trial.state {
        TrialState::Complete(outcome) => Some(Course { end: Some(&outcome.metrics), ..course(trial) }),
        TrialState::Stopped(_) => Some(course(trial)),
        _ => None,
    }
}

/// The course of a trial so far.
fn course(trial: &Trial) -> Course<'_> {
    let places = trial.curve.iter().filter_map(|place| Some((place.tokens?, &place.metrics))).collect();
    Course { run: RunId::Trial(trial.id), fidelity: trial.fidelity, places, end: None }
}

impl Ends<'_> {
    /// The end of a trial that did not come to it, as an observation; `None` where the curves do not say enough.
    pub(super) fn of_trial(&self, trial: &Trial) -> Option<Observation> {
        let (metrics, se) = self.estimated(&course(trial))?;
        let (mixture, past) = (trial.mixture.clone(), Past::default());
        Some(Observation { run: RunId::Trial(trial.id), mixture, fidelity: trial.fidelity, metrics, se, past })
    }

    /// The end of a run from elsewhere that is on its way, as an observation; `None` where the curves do not say enough, where its end
    /// is known, and where another row is from further on in it.
    pub(super) fn of_imported(&self, imported: &ImportedRun) -> Option<Observation> {
        let known = self.imported.binary_search_by_key(&imported.observation.run, |course| course.run);
        let (metrics, se) = self.estimated(&self.imported[known.ok()?])?;
        Some(Observation { metrics, se, ..imported.observation.clone() })
    }

    /// The metrics in the end of a run that did not come to it ([`estimate_of_end`]), with the standard errors that make that of the
    /// objective as large as its own estimate has it, because the errors of metrics go together.
    fn estimated(&self, course: &Course<'_>) -> Option<(Vec<f64>, Vec<Option<f64>>)> {
        let estimates = self.quantities.iter().map(|(quantity, known)| self.estimate(course, *quantity, known));
        let mut estimates = estimates.collect::<Option<Vec<Estimate>>>()?;
        let whole = estimates.pop()?;
        let (metrics, se): (Vec<f64>, Vec<f64>) = estimates.into_iter().map(|end| (end.value, end.se)).unzip();
        let scaled = |factor: f64| se.iter().map(|se| Some(factor * se)).collect::<Vec<_>>();
        let apart = self.study.config.objective.standard_error(&metrics, &scaled(1.0));
        Some((metrics, scaled(if apart > 0.0 { whole.se / apart } else { 1.0 })))
    }

    /// The estimate of a quantity in the end of a run, from its own curve and those of the other runs at its fidelity.
    fn estimate(&self, course: &Course<'_>, quantity: Quantity, known: &[Known]) -> Option<Estimate> {
        let (at, _) = *course.places.last()?;
        let value = course.curve(&self.study.config.objective, quantity).at(at)?;
        let (mut ends, mut others) = (Vec::new(), Vec::new());
        for other in known.iter().filter(|other| other.fidelity == course.fidelity && other.run != course.run) {
            match (other.curve.at(at), other.end) {
                (Some(value), Some(end)) => ends.push((value, end)),
                (Some(value), None) => others.push(value),
                (None, _) => {}
            }
        }
        estimate_of_end(value, &ends, &others)
    }
}
