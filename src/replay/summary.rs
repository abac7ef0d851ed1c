//! The document that a replay ends with.

use serde::Serialize;

use super::curve::{median_cost, quantile};
use super::pool::Pool;
use super::run::Playback;
use super::strategy::Strategy;
use crate::problem::{Prediction, rank_correlation};

/// What is asked of the curves.
#[derive(Clone, Debug)]
pub struct Question {
    /// Costs at which regret is reported.
    pub at: Vec<f64>,
    /// Regret that counts as having found the best, in standard deviations of the logged target runs.
    pub tolerance: f64,
}

/// The result of a replay, as printed with `--format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What was to be found.
    pub target: Target,
    /// [`Question::tolerance`]
    pub tolerance: f64,
    /// What a strategy could spend.
    pub budget: f64,
    /// One entry per strategy, in the order played.
    pub strategies: Vec<StrategySummary>,
    /// What `admire` saved; `None` unless both strategies played.
    pub saving_vs_single_fidelity: Option<Saving>,
}

/// The target runs that could be recommended.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Name of the target fidelity.
    pub fidelity: String,
    /// Number of candidates.
    pub candidates: usize,
    /// The best candidate's objective, in the user's orientation.
    pub best: f64,
    /// Standard deviation of the objective over all logged target runs, the unit of regret.
    pub sd: f64,
    /// `run_id` of the best candidate.
    pub best_run: String,
    /// Mean cost of a target run.
    pub cost: f64,
}

/// How one strategy did.
#[derive(Clone, Debug, Serialize)]
pub struct StrategySummary {
    /// Name.
    pub name: &'static str,
    /// Number of seeds.
    pub seeds: usize,
    /// Each seed's [`Curve::first`](super::Curve::first).
    pub first: Vec<Option<f64>>,
    /// Each seed's [`Curve::stay`](super::Curve::stay).
    pub stay: Vec<Option<f64>>,
    /// What each seed had spent when `budget.gain` stopped it; `None` where it did not.
    pub stopped: Vec<Option<f64>>,
    /// Mean over seeds at the costs asked for.
    pub regret: Vec<RegretAt>,
    /// Share of seeds with a recommendation on which the guards hold, at the costs asked for; empty without guards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keeps_guards: Vec<KeptAt>,
    /// How long choosing a run took.
    pub suggest_ms: SuggestMs,
    /// How well held-out target runs were predicted at the end of the budget; `None` where there are none, or no
    /// predictions.
    pub calibration: Option<Calibration>,
}

/// Mean regret at a cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RegretAt {
    /// Cumulative cost.
    pub cost: f64,
    /// Mean regret over seeds, in standard deviations of the logged target runs.
    pub mean: f64,
}

/// How many recommendations the guards hold on, at a cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct KeptAt {
    /// Cumulative cost.
    pub cost: f64,
    /// Share of the seeds that recommend anything by then; `None` where there is none.
    pub share: Option<f64>,
}

/// Milliseconds a suggestion, over all purchases of all seeds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SuggestMs {
    /// Median; `None` without purchases.
    pub median: Option<f64>,
    /// Maximum; `None` without purchases.
    pub max: Option<f64>,
}

/// Predictions of held-out target runs, noise included, against what was logged, mean over seeds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Calibration {
    /// Number of held-out runs.
    pub runs: usize,
    /// Spearman's rank correlation of predicted mean and logged value; `None` where one of them is constant.
    pub rank_correlation: Option<f64>,
    /// Share of logged values inside the central 50 % interval.
    pub coverage50: f64,
    /// Share of logged values inside the central 90 % interval.
    pub coverage90: f64,
    /// Mean log density of the logged values, in nats with the objective in standard deviations of the logged target runs.
    pub log_score: Option<f64>,
}

/// `100 · (1 − admire / single-fidelity)` of the costs from which the two stay within tolerance, seed by seed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Saving {
    /// Seeds with which both settle within the budget, the only ones that count below.
    pub pairs: usize,
    /// Median in percent; `None` without such seeds.
    pub median_percent: Option<f64>,
    /// Smallest.
    pub min_percent: Option<f64>,
    /// Largest.
    pub max_percent: Option<f64>,
}

impl Summary {
    /// Summarizes playbacks (grouped by strategy, as [`play`](super::play) returns them).
    #[must_use]
    pub fn new(pool: &Pool, playbacks: &[Playback], budget: f64, question: &Question) -> Self {
        let strategies: Vec<StrategySummary> = playbacks
            .chunk_by(|a, b| a.strategy == b.strategy)
            .map(|group| StrategySummary::new(pool, group, question))
            .collect();
        Self {
            target: Target::new(pool),
            tolerance: question.tolerance,
            budget,
            saving_vs_single_fidelity: Saving::new(&strategies),
            strategies,
        }
    }
}

impl Target {
    /// What is to be found in `pool`.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let best = pool.candidates.iter().map(|i| &pool.runs[*i]).find(|run| run.loss == pool.best);
        Self {
            fidelity: pool.target().name.clone(),
            candidates: pool.candidates.len(),
            best: pool.objective.sign() * pool.best,
            sd: pool.sd,
            best_run: best.map(|run| run.id.clone()).unwrap_or_default(),
            cost: pool.costs()[pool.fidelities.target()],
        }
    }
}

impl StrategySummary {
    /// Summarizes one strategy's playbacks, not empty.
    #[must_use]
    pub fn new(pool: &Pool, group: &[Playback], question: &Question) -> Self {
        let curves = || group.iter().map(|playback| &playback.curve);
        let mean_at = |cost: f64| curves().map(|curve| curve.regret(cost)).sum::<f64>() / group.len() as f64;
        let kept_at = |cost: f64| {
            let kept: Vec<bool> = curves().filter_map(|curve| curve.keeps(cost)).collect();
            let share = kept.iter().filter(|kept| **kept).count() as f64 / kept.len() as f64;
            (!kept.is_empty()).then_some(share)
        };
        let ms: Vec<f64> =
            group.iter().flat_map(|playback| &playback.suggest).map(|time| time.as_secs_f64() * 1e3).collect();
        let round = |x: f64| (x * 1e3).round() / 1e3;
        Self {
            name: group[0].strategy.name(),
            seeds: group.len(),
            first: curves().map(|curve| curve.first(question.tolerance)).collect(),
            stay: curves().map(|curve| curve.stay(question.tolerance)).collect(),
            stopped: group.iter().map(|p| p.curve.steps.last().filter(|_| p.stopped).map(|step| step.cost)).collect(),
            regret: question.at.iter().map(|&cost| RegretAt { cost, mean: mean_at(cost) }).collect(),
            keeps_guards: if pool.guards.is_empty() {
                Vec::new()
            } else {
                question.at.iter().map(|&cost| KeptAt { cost, share: kept_at(cost) }).collect()
            },
            suggest_ms: SuggestMs { median: quantile(&ms, 0.5).map(round), max: quantile(&ms, 1.0).map(round) },
            calibration: calibration(pool, group),
        }
    }

    /// Median over seeds of [`Self::first`]; `None`: not in most seeds.
    #[must_use]
    pub fn median_first(&self) -> Option<f64> {
        median_cost(&self.first)
    }

    /// Median over seeds of [`Self::stay`]; `None`: not in most seeds.
    #[must_use]
    pub fn median_stay(&self) -> Option<f64> {
        median_cost(&self.stay)
    }
}

impl Saving {
    fn new(strategies: &[StrategySummary]) -> Option<Self> {
        let stay = |strategy: Strategy| strategies.iter().find(|s| s.name == strategy.name()).map(|s| &s.stay);
        let (ours, theirs) = (stay(Strategy::Admire)?, stay(Strategy::SingleFidelity)?);
        let saved: Vec<f64> =
            ours.iter().zip(theirs).filter_map(|(a, b)| Some(100.0 * (1.0 - (*a)? / (*b)?))).collect();
        Some(Self {
            pairs: saved.len(),
            median_percent: quantile(&saved, 0.5),
            min_percent: quantile(&saved, 0.0),
            max_percent: quantile(&saved, 1.0),
        })
    }
}

fn calibration(pool: &Pool, group: &[Playback]) -> Option<Calibration> {
    let logged: Vec<f64> = pool.held_out.iter().map(|run| pool.objective.sign() * run.loss).collect();
    let all: Vec<&[Prediction]> = group.iter().filter_map(|playback| playback.predictions.as_deref()).collect();
    if logged.is_empty() || all.is_empty() {
        return None;
    }
    let mean = |score: &dyn Fn(&Prediction, f64) -> f64| {
        let scores = all.iter().flat_map(|p| p.iter().zip(&logged).map(|(p, y)| score(p, *y)));
        scores.sum::<f64>() / (all.len() * logged.len()) as f64
    };
    // Half-widths of the central intervals of a standard normal.
    let covered = |half: f64| mean(&|p, y| f64::from(u8::from((y - p.mean).abs() <= half * p.sd)));
    let log_density = |p: &Prediction, y: f64| {
        let (z, sd) = ((y - p.mean) / p.sd, p.sd / pool.sd);
        -0.5 * (z * z + std::f64::consts::TAU.ln()) - sd.ln()
    };
    let correlations: Option<Vec<f64>> =
        all.iter().map(|p| rank_correlation(&p.iter().map(|p| p.mean).collect::<Vec<_>>(), &logged)).collect();
    Some(Calibration {
        runs: logged.len(),
        rank_correlation: correlations.map(|c| c.iter().sum::<f64>() / c.len() as f64),
        coverage50: covered(0.674_489_750_196_082),
        coverage90: covered(1.644_853_626_951_473),
        log_score: Some(mean(&log_density)).filter(|score| score.is_finite()),
    })
}
