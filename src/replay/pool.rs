//! The pool of a replay: which logged runs can be bought, and which can be recommended.

use crate::problem::{Baseline, Fidelities, Fidelity, FidelityId, Guard, Mixture, Objective, Observation, Threshold};
use std::collections::{BTreeMap, BTreeSet};

use super::error::ReplayError;
use crate::runs::{LogError, LoggedRun, RunLog};
use crate::space::SearchSpace;
use crate::text::{counted, hint, number};

/// Logged weights are rounded, so a bound of the config counts as kept within this.
const BOUND_TOLERANCE: f64 = 1e-3;

/// A logged run, matched to the study.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// `run_id` of the log.
    pub id: String,
    /// What was trained on.
    pub mixture: Mixture,
    /// Index of the fidelity it was trained at.
    pub fidelity: FidelityId,
    /// One finite value per metric of the objective, in its order and the user's orientation.
    pub metrics: Vec<f64>,
    /// What training costs up to here: what a strategy pays to see the metrics, unless it has paid for a part of the training run.
    pub cost: f64,
    /// Which training run it is of: rows of one [curve](RunLog::curves) have the same number, and cost the more the further they are
    /// on it.
    pub training: usize,
    /// The objective, turned so that smaller is better.
    pub loss: f64,
}

/// Everything a strategy may buy or recommend, and what it is judged by.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The space the mixtures lie in.
    pub space: SearchSpace,
    /// The fidelities that have logged runs, each with its mean cost.
    pub fidelities: Fidelities,
    /// What is optimized.
    pub objective: Objective,
    /// The runs for sale, in file order.
    pub runs: Vec<Run>,
    /// The runs that can be recommended: indices into [`Self::runs`], the first target runs in file order.
    pub candidates: Vec<usize>,
    /// Target runs past the candidates: never sold nor recommended, they score predictions.
    pub held_out: Vec<Run>,
    /// What the objective compares runs with.
    baseline: Baseline,
    /// What has to hold of a recommendation ([`Self::guarded`]).
    pub guards: Vec<Guard>,
    /// Whether the guards hold on each candidate, by what was logged; empty without guards.
    pub keeps: Vec<bool>,
    /// The smallest loss of a candidate on which the guards hold.
    pub best: f64,
    /// Runs that strategies with a surrogate know from the start, at no cost ([`Self::knowing`]).
    pub given: Vec<Observation>,
    /// Standard deviation of the losses of all logged target runs, candidates and held out (as a population); 1 if they
    /// are all equal, so that regrets can be divided by it.
    pub sd: f64,
    /// What the user should know although it stops nothing.
    pub warnings: Vec<String>,
}

impl Pool {
    /// Matches logged runs to a study by name. A run costs what its row says, else what its fidelity costs in the
    /// study. Runs without a finite value for every metric of the objective, and runs outside the space's bounds, are
    /// skipped and counted in the warnings. The first `candidates` target runs that remain can be recommended
    /// (`None`: all).
    ///
    /// # Errors
    /// Domains, metrics or fidelities that do not match, a run whose cost nobody states, no target run, no candidates.
    pub fn new(
        log: &RunLog,
        space: &SearchSpace,
        fidelities: &Fidelities,
        objective: &Objective,
        candidates: Option<usize>,
    ) -> Result<Self, ReplayError> {
        let (runs, skipped) = usable(log, space, fidelities, objective)?;
        let mut warnings = [log.warnings.clone(), skipped].concat();
        let target = fidelities[fidelities.target()].name.clone();
        let at_target = runs.iter().filter(|run| run.fidelity == fidelities.target()).count();
        if at_target == 0 {
            return Err(ReplayError::Pool(format!(
                "there is no usable run at the target fidelity \"{target}\", so nothing to compare with{}",
                warnings.last().map_or(String::new(), |w| format!(" ({w})")),
            )));
        }
        if candidates == Some(0) {
            return Err(ReplayError::Pool("with 0 candidates there is nothing to recommend; give at least 1".into()));
        }
        let limit = candidates.unwrap_or(at_target);
        if limit > at_target {
            let (wanted, runs) = (counted(limit, "candidate"), counted(at_target, "run"));
            warnings.push(format!("{wanted} were asked for; there are no more than {runs} at {target}"));
        }

        let (fidelities, index) = with_runs(fidelities, &runs);
        let (mut pool, mut held_out, mut chosen) = (Vec::with_capacity(runs.len()), Vec::new(), Vec::new());
        for mut run in runs {
            run.fidelity = index[&run.fidelity];
            if run.fidelity != fidelities.target() {
                pool.push(run);
            } else if chosen.len() < limit {
                chosen.push(pool.len());
                pool.push(run);
            } else {
                held_out.push(run);
            }
        }
        let mut objective = objective.clone();
        if let Some(reference) = &mut objective.reference {
            let at_target = pool.iter().filter(|run| run.fidelity == fidelities.target()).chain(&held_out);
            let what = format!("the objective compares with {}", reference.to.name());
            let (run, warning) = stand_in(at_target, &reference.mixture, &what);
            warnings.extend(warning);
            reference.mixture = run.map_or_else(|| reference.mixture.clone(), |run| run.mixture.clone());
        }
        let runs = || pool.iter().chain(&held_out).map(|run| (&run.mixture, run.fidelity, &run.metrics));
        let baseline = Baseline::of(&objective, runs());
        for run in pool.iter_mut().chain(&mut held_out) {
            run.loss = objective.loss(&run.metrics, run.fidelity, &baseline);
        }
        let losses: Vec<f64> = chosen.iter().map(|i| pool[*i].loss).collect();
        let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let all: Vec<f64> = losses.iter().copied().chain(held_out.iter().map(|run| run.loss)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / all.len() as f64;
        // Rounding leaves a tiny variance where all losses are the same number.
        let sd = if variance.sqrt() > 1e-12 * mean.abs() { variance.sqrt() } else { 1.0 };
        Ok(Self {
            space: space.clone(),
            fidelities,
            objective,
            baseline,
            runs: pool,
            candidates: chosen,
            held_out,
            guards: Vec::new(),
            keeps: Vec::new(),
            best,
            given: Vec::new(),
            sd,
            warnings,
        })
    }

    /// The pool where guards have to hold on what is recommended. What one compares with is the logged target run whose mixture is
    /// nearest to the one that it names.
    ///
    /// # Errors
    /// [`ReplayError::Pool`] where they hold on no candidate.
    pub fn guarded(mut self, guards: &[Guard]) -> Result<Self, ReplayError> {
        let at_target: Vec<&Run> = self.candidates.iter().map(|i| &self.runs[*i]).chain(&self.held_out).collect();
        let mut thresholds = Vec::new();
        for guard in guards {
            let mut guard = guard.clone();
            let value = match &mut guard.threshold {
                Threshold::Value(value) => *value,
                Threshold::Mixture { name, mixture } => {
                    let what = format!("a guard compares with {name}");
                    let (run, warning) = stand_in(at_target.iter().copied(), mixture, &what);
                    self.warnings.extend(warning);
                    let Some(run) = run else { continue };
                    *mixture = run.mixture.clone();
                    run.metrics[guard.metric]
                }
            };
            thresholds.push(value);
            self.guards.push(guard);
        }
        let holds = |run: &Run| {
            self.guards
                .iter()
                .zip(&thresholds)
                .all(|(guard, value)| guard.slack(run.metrics[guard.metric], *value) >= 0.0)
        };
        if !self.guards.is_empty() {
            self.keeps = self.candidates.iter().map(|i| holds(&self.runs[*i])).collect();
            let kept = self.candidates.iter().zip(&self.keeps).filter(|(_, keeps)| **keeps);
            self.best = kept.map(|(i, _)| self.runs[*i].loss).fold(f64::INFINITY, f64::min);
            if self.best == f64::INFINITY {
                return Err(ReplayError::Pool("the guards hold on no logged target run; raise a `tolerance`".into()));
            }
        }
        Ok(self)
    }

    /// The pool where strategies with a surrogate know these runs of an older study from the start. The runs are at the `fidelities` of
    /// the study that the pool was made for; those at fidelities that the pool does not have are left out.
    #[must_use]
    pub fn knowing(mut self, runs: Vec<Observation>, fidelities: &Fidelities) -> Self {
        let here = |run: Observation| {
            let fidelity = self.fidelities.find(&fidelities[run.fidelity].name)?;
            Some(Observation { fidelity, ..run })
        };
        self.given = runs.into_iter().filter_map(here).collect();
        self
    }

    /// The loss of these metrics (one value per metric) at the target.
    #[must_use]
    pub fn loss(&self, metrics: &[f64]) -> f64 {
        self.objective.loss(metrics, self.fidelities.target(), &self.baseline)
    }

    /// Whether the guards hold on a candidate (index into [`Self::candidates`]).
    #[must_use]
    pub fn keeps(&self, candidate: usize) -> bool {
        self.keeps.get(candidate).copied().unwrap_or(true)
    }

    /// Regret of recommending a candidate (index into [`Self::candidates`]), in standard deviations, ≥ 0: over the best one on which
    /// the guards hold. One on which they do not counts as a random one on which they do.
    #[must_use]
    pub fn regret(&self, candidate: usize) -> f64 {
        if self.keeps(candidate) {
            (self.runs[self.candidates[candidate]].loss - self.best) / self.sd
        } else {
            self.blind_regret()
        }
    }

    /// Regret to expect of a random candidate on which the guards hold: where everyone stands who has bought nothing.
    #[must_use]
    pub fn blind_regret(&self) -> f64 {
        let kept: Vec<usize> = (0..self.candidates.len()).filter(|candidate| self.keeps(*candidate)).collect();
        kept.iter().map(|candidate| self.regret(*candidate)).sum::<f64>() / kept.len() as f64
    }

    /// The target fidelity.
    #[must_use]
    pub fn target(&self) -> &Fidelity {
        &self.fidelities[self.fidelities.target()]
    }

    /// Whether some of the runs are of one training run.
    #[must_use]
    pub fn has_curves(&self) -> bool {
        let trained: BTreeSet<usize> = self.runs.iter().map(|run| run.training).collect();
        trained.len() < self.runs.len()
    }

    /// Mean cost of a run at each fidelity.
    #[must_use]
    pub fn costs(&self) -> Vec<f64> {
        self.fidelities.list().iter().map(|fidelity| fidelity.cost.unwrap_or(1.0)).collect()
    }
}

/// The runs that can be played, and a warning for each reason why others cannot.
fn usable(
    log: &RunLog,
    space: &SearchSpace,
    fidelities: &Fidelities,
    objective: &Objective,
) -> Result<(Vec<Run>, Vec<String>), ReplayError> {
    let domains = match_domains(log, space)?;
    let metrics = match_metrics(log, objective)?;
    let (mut runs, mut skipped) = (BTreeMap::new(), BTreeMap::<String, Skipped>::new());
    for (row, logged) in log.runs.iter().enumerate() {
        let index = match_fidelity(log, logged, fidelities)?;
        let fidelity = &fidelities[index];
        let values: Vec<f64> = metrics.iter().map(|m| logged.metrics[*m]).collect();
        let mixture = Mixture::new(domains.iter().map(|d| logged.weights[*d]).collect());
        let outside = || !space.polytope().contains(mixture.weights(), BOUND_TOLERANCE);
        let reason = lacking(objective, &values)
            .or_else(|| logged.misfit(fidelity))
            .or_else(|| outside().then(|| "whose mixture breaks a bound of the config".to_owned()));
        if let Some(reason) = reason {
            skipped.entry(reason).or_default().count(log, logged);
            continue;
        }
        let cost = logged.cost.or(fidelity.cost).ok_or_else(|| LogError::Cell {
            file: log.files[logged.file].clone(),
            line: logged.line,
            column: "cost".into(),
            message: "the run states no cost; add the column, or give the fidelity a cost in the config".into(),
        })?;
        let id = logged.id.clone();
        let run = Run { id, mixture, fidelity: index, metrics: values, cost, training: row, loss: f64::NAN };
        runs.insert(row, run);
    }
    let curves = joined(log, &mut runs)?;
    let skipped = skipped.iter().map(|(reason, runs)| runs.warning(reason));
    Ok((runs.into_values().collect(), skipped.chain(curves).collect()))
}

/// Gives the runs (by their rows in the log) of each curve the number of its first row, and says how many curves there are, if any.
fn joined(log: &RunLog, runs: &mut BTreeMap<usize, Run>) -> Result<Option<String>, LogError> {
    let mut curves = log.curves();
    curves.iter_mut().for_each(|curve| curve.retain(|row| runs.contains_key(row)));
    curves.retain(|curve| curve.len() > 1);
    for curve in &curves {
        for pair in curve.windows(2) {
            let (before, cost) = (runs[&pair[0]].cost, runs[&pair[1]].cost);
            if cost <= before {
                let LoggedRun { file, line, .. } = log.runs[pair[1]];
                return Err(LogError::Cell {
                    file: log.files[file].clone(),
                    line,
                    column: "cost".into(),
                    message: format!(
                        "{cost}, but the same run had cost {before} after fewer tokens; state what training up to here cost, or \
                         give different runs different names",
                    ),
                });
            }
        }
        for row in curve {
            runs.entry(*row).and_modify(|run| run.training = curve[0]);
        }
    }
    let count = counted(curves.len(), "run");
    let joined = format!("{count} logged after several numbers of tokens: to go on with one costs the difference");
    Ok((!curves.is_empty()).then_some(joined))
}

/// Which of the `runs` stands in for a mixture that is not among them, the nearest one, and a warning where it is another mixture.
fn stand_in<'a>(
    runs: impl Iterator<Item = &'a Run>,
    mixture: &Mixture,
    what: &str,
) -> (Option<&'a Run>, Option<String>) {
    let nearest = runs.map(|run| (run.mixture.distance(mixture), run)).min_by(|a, b| a.0.total_cmp(&b.0));
    let warning = nearest.filter(|(distance, _)| *distance > BOUND_TOLERANCE).map(|(distance, run)| {
        format!("{what}: run {} stands in for it, at a distance of {}", run.id, number(distance, 2))
    });
    (nearest.map(|(_, run)| run), warning)
}

/// Which metrics of the objective a run lacks, as a clause.
fn lacking(objective: &Objective, values: &[f64]) -> Option<String> {
    let names = objective.metrics.iter().zip(values).filter(|(_, y)| y.is_nan());
    let names: Vec<String> = names.map(|(metric, _)| format!("\"{}\"", metric.name)).collect();
    match names.len() {
        0 => None,
        n if n == values.len() => Some("without a finite value of the objective".into()),
        _ => Some(format!(
            "without a finite value of {}, a part of the objective; --set objective.metric=… says what to go by",
            names.join(", ")
        )),
    }
}

/// The column of each domain of the space.
fn match_domains(log: &RunLog, space: &SearchSpace) -> Result<Vec<usize>, LogError> {
    let header = |message| LogError::Header { file: log.files[0].clone(), message };
    let known: Vec<&str> = space.domains().iter().map(|domain| domain.name.as_str()).collect();
    if let Some(extra) = log.domains.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(header(format!("column \"w:{extra}\" is not a domain of the config; {}", hint(extra, known))));
    }
    let column = |name: &&str| {
        log.domains
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| header(format!("domain \"{name}\" of the config has no column \"w:{name}\"")))
    };
    known.iter().map(column).collect()
}

/// The column of each metric of the objective.
fn match_metrics(log: &RunLog, objective: &Objective) -> Result<Vec<usize>, LogError> {
    let column = |name: &str| {
        log.metrics.iter().position(|column| column == name).ok_or_else(|| LogError::Header {
            file: log.files[0].clone(),
            message: format!(
                "metric \"{name}\" of the objective has no column \"y:{name}\"; {}",
                hint(name, log.metrics.iter().map(String::as_str))
            ),
        })
    };
    objective.metrics.iter().map(|metric| column(&metric.name)).collect()
}

fn match_fidelity(log: &RunLog, run: &LoggedRun, fidelities: &Fidelities) -> Result<FidelityId, LogError> {
    run.fidelity_in(fidelities).ok_or_else(|| LogError::Cell {
        file: log.files[run.file].clone(),
        line: run.line,
        column: "fidelity".into(),
        message: format!(
            "\"{}\" is not a fidelity of the config; {}",
            run.fidelity,
            hint(&run.fidelity, fidelities.list().iter().map(|fidelity| fidelity.name.as_str()))
        ),
    })
}

/// The fidelities that have runs, each with the mean cost of its runs (by which they are sorted), and the new index of
/// each old one. The target must have runs.
fn with_runs(fidelities: &Fidelities, runs: &[Run]) -> (Fidelities, BTreeMap<FidelityId, FidelityId>) {
    let mut kept = Vec::new();
    for (index, fidelity) in fidelities.iter() {
        let costs: Vec<f64> = runs.iter().filter(|run| run.fidelity == index).map(|run| run.cost).collect();
        if !costs.is_empty() {
            let mean = costs.iter().sum::<f64>() / costs.len() as f64;
            kept.push(Fidelity { cost: Some(mean), ..fidelity.clone() });
        }
    }
    let target = &fidelities[fidelities.target()].name;
    let kept = Fidelities::new(kept, Some(target));
    let index = fidelities.iter().filter_map(|(old, f)| Some((old, kept.find(&f.name)?))).collect();
    (kept, index)
}

/// Rows that were left out for one reason.
#[derive(Default)]
struct Skipped {
    count: usize,
    first: String,
}

impl Skipped {
    fn count(&mut self, log: &RunLog, run: &LoggedRun) {
        if self.count == 0 {
            self.first = format!("{}, line {}", log.files[run.file].display(), run.line);
        }
        self.count += 1;
    }

    fn warning(&self, reason: &str) -> String {
        format!("skipped {} {reason} (first: {})", counted(self.count, "run"), self.first)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::StudyConfig;
    use crate::problem::Direction;
    use crate::replay::infer_config;

    /// Two runs, each logged after 1, 2 and 4 billion tokens.
    pub fn two_runs_on_their_way() -> Pool {
        let mut csv = "run_id,fidelity,params,tokens,cost,w:a,w:b,y:loss\n".to_owned();
        for (run, a) in [("one", 0.2), ("two", 0.6)] {
            for tokens in [1, 2, 4] {
                csv += &format!("{run},p{tokens},1e9,{tokens}e9,{tokens},{a},{},{}\n", 1.0 - a, 3.0 - a);
            }
        }
        let mut log = RunLog::default();
        log.add(Path::new("runs.csv"), csv.as_bytes()).unwrap();
        let text = infer_config(&log, Direction::Minimize, true).unwrap().0.to_string();
        let config = StudyConfig::parse(Path::new("study.toml"), &text, &[]).unwrap();
        Pool::new(&log, &config.space, &config.fidelities, &config.objective, None).unwrap()
    }
}
