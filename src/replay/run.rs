//! Plays strategies on a pool, many seeds at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::curve::{Curve, Step};
use super::policy::Advice;
use super::pool::Pool;
use super::purse::Purse;
use super::strategy::Strategy;
use crate::problem::{OptimizerSettings, Prediction};

/// What to play.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Strategies, each with every seed.
    pub strategies: Vec<Strategy>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// What a strategy may spend with one seed.
    pub budget: f64,
    /// Runs under way at once.
    pub slots: usize,
    /// `budget.gain`, by which `admire` may stop before its budget is spent.
    pub gain: Option<f64>,
    /// Settings of the strategies that search.
    pub settings: OptimizerSettings,
}

/// One strategy played with one seed.
#[derive(Clone, Debug)]
pub struct Playback {
    /// Who played.
    pub strategy: Strategy,
    /// With which seed.
    pub seed: u64,
    /// Regret against cost.
    pub curve: Curve,
    /// How long each choice of a run took (not the recommendation that follows it).
    pub suggest: Vec<Duration>,
    /// Whether it stopped by [`Plan::gain`].
    pub stopped: bool,
    /// Predictions of the held-out target runs at the end, from strategies that make them.
    pub predictions: Option<Vec<Prediction>>,
}

/// How far a replay is, after a run or a playback has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Who plays.
    pub strategy: Strategy,
    /// With which seed.
    pub seed: u64,
    /// What this playback has spent.
    pub spent: f64,
    /// The share of the whole replay that was just done.
    pub share: f64,
}

/// Plays every strategy with every seed and returns the playbacks in that order. Each depends on the pool, the
/// settings, the strategy and the seed alone, whatever the number of threads (only the measured durations differ).
///
/// `progress` is called from any thread.
pub fn play(pool: &Pool, plan: &Plan, progress: &(dyn Fn(Progress) + Sync)) -> Vec<Playback> {
    let tasks: Vec<(Strategy, u64)> =
        plan.strategies.iter().flat_map(|strategy| plan.seeds.iter().map(|seed| (*strategy, *seed))).collect();
    let share = 1.0 / tasks.len() as f64;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(tasks.len())));
    // Not on rayon's own threads: one that waits for parallel work inside a suggestion would take up another playback
    // meanwhile, and the suggestion would seem to have taken as long as that playback.
    let work = || {
        while let Some((strategy, seed)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (strategy, seed) = (*strategy, *seed);
            let playback = play_one(pool, plan, strategy, seed, &|spent, part| {
                progress(Progress { strategy, seed, spent, share: part * share });
            });
            done.lock().unwrap_or_else(PoisonError::into_inner).push(playback);
        }
    };
    std::thread::scope(|scope| {
        // As many as can be started; this one is one of them.
        for _ in 1..rayon::current_num_threads().min(tasks.len()) {
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut playbacks = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    playbacks.sort_by_key(|playback| tasks.iter().position(|task| *task == (playback.strategy, playback.seed)));
    playbacks
}

/// `progress` is told what has been spent, and the share of the playback that was just done.
fn play_one(pool: &Pool, plan: &Plan, strategy: Strategy, seed: u64, progress: &dyn Fn(f64, f64)) -> Playback {
    // A stream for choices and one for recommendations, so that being asked for advice changes no choice; and streams
    // of its own for each strategy, so that it plays the same whoever else plays.
    let stream = |offset: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(2 * strategy as u64 + offset);
        rng
    };
    let (mut choices, mut advice) = (stream(0), stream(1));
    let mut player = strategy.player(pool, &plan.settings, plan.gain, &mut choices);
    let mut curve = Curve::new(pool);
    let mut suggest = Vec::new();
    let (mut purse, mut spent) = (Purse::new(pool, plan.budget), 0.0);
    // Rows under way with their prices, and the time at which each is there: training takes as long as it costs.
    let (mut under_way, mut now): (Vec<(f64, usize, f64)>, f64) = (Vec::new(), 0.0);
    loop {
        while under_way.len() < plan.slots {
            let started = Instant::now();
            let choice = player.buy(&purse, &mut choices);
            let Some((run, price)) = choice.and_then(|run| Some((run, purse.price(run)?))) else { break };
            suggest.push(started.elapsed());
            purse.pay(run, price);
            under_way.push((now + price, run, price));
        }
        let Some(first) = (0..under_way.len()).min_by(|a, b| under_way[*a].0.total_cmp(&under_way[*b].0)) else {
            break;
        };
        let (finished, run, price) = under_way.remove(first);
        now = finished;
        spent += price;
        purse.arrived(run);
        player.see(run);
        let Advice { candidate, expected_regret } = player.recommend(&mut advice);
        curve.steps.push(Step {
            cost: tidy(spent),
            run,
            recommended: candidate,
            regret: pool.regret(candidate),
            keeps: pool.keeps(candidate),
            expected_regret: expected_regret.map(|regret| regret / pool.sd),
        });
        progress(spent, price / plan.budget);
    }
    progress(spent, 1.0 - spent / plan.budget);
    let predictions = if pool.held_out.is_empty() { None } else { player.predict(&pool.held_out) };
    Playback { strategy, seed, curve, suggest, stopped: player.stopped(), predictions }
}

/// Rounds away what adding costs up has left behind (0.30000000000000004).
fn tidy(cost: f64) -> f64 {
    format!("{cost:.11e}").parse().unwrap_or(cost)
}
