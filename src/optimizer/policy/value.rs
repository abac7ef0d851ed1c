//! The value of trials: by how much they are expected to improve the recommendation.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::guards::Slack;
use super::recommendation::caution;
use crate::acquisition::{Choices, log_knowledge_gradient};
use crate::optimizer::Optimizer;
use crate::problem::normal::{log_distribution, quantile};
use crate::problem::{Evidence, FidelityId, Guard, Observation, Weights};
use crate::surrogate::{Surrogate, View};

/// Trials that could be run at one fidelity.
pub(super) struct Trials<'a> {
    pub fidelity: FidelityId,
    /// The c mixtures.
    pub x: &'a Weights,
    /// For each, the index of the target whose value its run would reveal exactly, noise included, if any.
    pub reveals: &'a [Option<usize>],
}

/// The p mixtures that the recommendation is chosen from, at the target.
pub(super) struct Targets {
    /// The mixtures, and after them the references of guards, as the surrogate sees them.
    pub view: Vec<View>,
    /// Expected value of each mixture, of whatever counts (minimized).
    mean: DVector<f64>,
    /// Its variance; 0 where it is known.
    variance: DVector<f64>,
    /// Which are known: no observation moves them.
    known: Vec<bool>,
    /// How many mixtures have known values, including mixtures that are not among these.
    pub bought: usize,
    /// By how much each process enters the objective of each mixture ([`Surrogate::shares`]).
    shares: DMatrix<f64>,
    /// The guards, one entry each.
    guards: Vec<Guarded>,
    /// Which mixtures may be recommended today, because the guards hold on them surely enough.
    qualified: Vec<bool>,
}

/// A guard at the targets.
struct Guarded {
    /// Index of its process.
    metric: usize,
    /// How far it is from being broken, at each target.
    slack: Vec<Slack>,
    /// Index of its reference mixture in the view, if it has one.
    reference: Option<usize>,
    /// By how many standard deviations the slack must be above 0 for the guard to hold surely enough.
    quantile: f64,
}

impl Guarded {
    /// Log probability that the guard holds surely enough at target `t` after an observation that moves the mean of its slack by a normal
    /// with standard deviation `sd`.
    fn log_chance(&self, t: usize, sd: f64) -> f64 {
        let Slack { mean, variance } = self.slack[t];
        let beyond = mean - self.quantile * (variance - sd * sd).max(0.0).sqrt();
        match sd {
            sd if sd > 0.0 => log_distribution(beyond / sd),
            _ if beyond >= 0.0 => 0.0,
            _ => f64::NEG_INFINITY,
        }
    }
}

impl Targets {
    /// What is recommended today, and from what. If no mixture may be recommended, all are compared with the one of the worst mean.
    pub fn choices(&self) -> Choices {
        let mut choices = Choices::new(self.mean.clone(), margin(self.bought, &self.variance));
        if !self.guards.is_empty() {
            let bound = |t: usize| choices.mean[t] + choices.margin[t];
            let qualified = (0..self.mean.len()).filter(|t| self.qualified[*t]);
            let best = qualified.min_by(|a, b| bound(*a).total_cmp(&bound(*b)));
            choices.best = best.unwrap_or_else(|| self.mean.imax());
        }
        choices
    }

    /// Log knowledge gradient of observations that move the value of process j at the points in the view by `moves(j)` (one row per point,
    /// one column per independent standard normal). After them, `bought` mixtures have known values.
    pub fn log_value(&self, choices: &Choices, moves: impl Fn(usize) -> DMatrix<f64>, bought: usize) -> f64 {
        let p = self.mean.len();
        let moves: Vec<DMatrix<f64>> = (0..self.shares.ncols())
            .map(|j| {
                let mut moves = moves(j);
                let known = self.known.iter().zip(moves.row_iter_mut()).filter(|(known, _)| **known);
                known.for_each(|(_, mut row)| row.fill(0.0));
                moves
            })
            .collect();
        let mut objective = DMatrix::zeros(p, moves.iter().map(DMatrix::ncols).sum());
        let mut column = 0;
        for (moves, shares) in moves.iter().zip(self.shares.column_iter()) {
            for moves in moves.column_iter() {
                objective.set_column(column, &moves.rows(0, p).component_mul(&shares));
                column += 1;
            }
        }
        let after = margin(bought, &self.variance.map_with_location(|t, _, v| v - objective.row(t).norm_squared()));
        let chance = |guard: &Guarded, t: usize| {
            let moves = &moves[guard.metric];
            let sd = guard.reference.map_or_else(|| moves.row(t).norm(), |r| (moves.row(t) - moves.row(r)).norm());
            guard.log_chance(t, sd)
        };
        let log_chance = DVector::from_fn(p, |t, _| self.guards.iter().map(|guard| chance(guard, t)).sum());
        log_knowledge_gradient(choices, &objective, &after, &log_chance)
    }
}

/// How cautious a recommendation is about values with these variances, when so many mixtures (`bought`) have known values.
fn margin(bought: usize, variance: &DVector<f64>) -> DVector<f64> {
    variance.map(|v| caution(bought) * v.max(0.0).sqrt())
}

impl Optimizer {
    /// The [`Targets`] of the p mixtures `x`, whose expected values are `mean`. Where single runs are what counts, `known` has those of the
    /// mixtures; it may be shorter. `bought` is the number of mixtures with known values.
    pub(super) fn targets(
        &self,
        surrogate: &Surrogate,
        evidence: &Evidence,
        (x, mean): (&Weights, DVector<f64>),
        known: &[Option<&Observation>],
        bought: usize,
    ) -> Targets {
        let p = x.len();
        let references: Vec<&[f64]> = self.guards.iter().filter_map(|guard| Some(guard.mixture()?.weights())).collect();
        let all = x.matrix().as_slice().chunks(self.space.dim()).chain(references.iter().copied());
        let view = surrogate.view(&self.columns(all));
        let is_known: Vec<bool> = (0..p).map(|t| known.get(t).copied().flatten().is_some()).collect();
        let shares = surrogate.shares(x);
        let mut variance = surrogate.view_variance(&view, &shares).add_scalar(self.goal_noise(surrogate));
        variance.iter_mut().zip(&is_known).filter(|(_, known)| **known).for_each(|(variance, _)| *variance = 0.0);
        let slacks = self.slacks(surrogate, evidence, x, known);
        let qualified = self.risks(&slacks, p).into_iter().map(|risk| risk <= 1.0).collect();
        let mut reference = p..;
        let guarded = |(guard, slack): (&Guard, Vec<Slack>)| Guarded {
            metric: guard.metric,
            slack,
            reference: guard.mixture().and_then(|_| reference.next()),
            quantile: quantile(guard.probability),
        };
        let guards = self.guards.iter().zip(slacks).map(guarded).collect();
        Targets { view, mean, variance, known: is_known, bought, shares, guards, qualified }
    }

    /// Log knowledge gradient of each of `trials`, under the rule that chooses the recommendation.
    pub(super) fn knowledge_gradient(&self, surrogate: &Surrogate, trials: &Trials<'_>, targets: &Targets) -> Vec<f64> {
        let influence = surrogate.influence(trials.x, trials.fidelity, &targets.view);
        let choices = targets.choices();
        (0..trials.x.len())
            .into_par_iter()
            .map(|c| {
                let revealed = trials.reveals[c];
                let moves = |j: usize| {
                    let (moves, sd) = &influence[j];
                    let mut moves: DMatrix<f64> = moves.columns(c, 1).into_owned();
                    if let Some(t) = revealed {
                        moves[(t, 0)] = sd[c];
                    }
                    moves
                };
                targets.log_value(&choices, moves, targets.bought + usize::from(revealed.is_some()))
            })
            .collect()
    }
}
