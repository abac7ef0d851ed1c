//! The report of a replay.

use crate::problem::{Evidence, Observation, Past, RunId};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::findings::{self, Findings};
use crate::cli::text;
use crate::config::StudyConfig;
use crate::optimizer::Optimizer;
use crate::replay::{Pool, Run, StrategySummary, Summary};
use crate::report::{
    RegretPlot,
    html::{Part, Regret, Report, StrategyRow, TrialRow, Trials},
};
use crate::text::number;

/// What a replay found, and what all logged runs together say. `config` is the study that the pool belongs to.
pub fn report(
    config: &StudyConfig,
    pool: &Pool,
    summary: &Summary,
    plot: RegretPlot,
    conclusions: Vec<String>,
) -> Report {
    // Of the fidelities only those have meaning here that were logged.
    let config = &StudyConfig { fidelities: pool.fidelities.clone(), ..config.clone() };
    let runs = || pool.runs.iter().chain(&pool.held_out);
    let observation = |(i, run): (usize, &Run)| Observation {
        run: RunId::Trial(i as u64),
        mixture: run.mixture.clone(),
        fidelity: run.fidelity,
        metrics: run.metrics.clone(),
        se: vec![None; run.metrics.len()],
        past: Past::default(),
    };
    let evidence = Evidence {
        observations: runs().enumerate().map(observation).collect(),
        costs: pool.costs(),
        ..Evidence::default()
    };
    let (space, fidelities) = (config.space.clone(), config.fidelities.clone());
    let optimizer = Optimizer::new(space, fidelities, config.objective.clone(), config.optimizer.clone());
    let mut optimizer = optimizer.with_guards(config.guards.clone());
    optimizer.learn(&evidence);
    let recommended = optimizer.recommend(&evidence, None, &mut ChaCha8Rng::seed_from_u64(config.seed));
    let findings = Findings { config, optimizer: &optimizer, evidence: &evidence, mixture: &recommended.mixture };
    let others = findings.others(Vec::new());
    let mut recommendation = findings.recommendation(&others);
    let target = &summary.target;
    recommendation.regret = recommended.expected_regret;
    recommendation.measured = Some((format!("run {}", target.best_run), target.best));

    let regret = Regret {
        plot,
        at: summary.strategies.first().map_or_else(Vec::new, |s| s.regret.iter().map(|r| r.cost).collect()),
        strategies: summary.strategies.iter().map(strategy).collect(),
        conclusions,
    };
    let mut parts = vec![Part::Regret(regret), Part::Recommendation(recommendation)];
    parts.extend(findings.parts(&others));
    parts.push(Part::Trials(trials(config, pool)));
    Report {
        kind: "Replay of logged runs",
        title: config.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        date: text::written(),
        banner: Vec::new(),
        facts: vec![
            ("Target", target.fidelity.clone()),
            ("Objective", findings::objective(config)),
            ("Logged runs", runs().count().to_string()),
            ("Candidates", target.candidates.to_string()),
            ("Budget", number(summary.budget, 4)),
            ("Seeds", summary.strategies.first().map_or(0, |s| s.seeds).to_string()),
        ],
        parts,
    }
}

fn strategy(summary: &StrategySummary) -> StrategyRow {
    let calibration = summary.calibration;
    StrategyRow {
        name: summary.name.to_owned(),
        first: summary.median_first(),
        stay: summary.median_stay(),
        regret: summary.regret.iter().map(|r| r.mean).collect(),
        rank_correlation: calibration.and_then(|c| c.rank_correlation),
        coverage: calibration.map(|c| (c.coverage50, c.coverage90)),
    }
}

fn trials(config: &StudyConfig, pool: &Pool) -> Trials {
    let metrics = findings::metrics(config);
    let row = |(run, purpose): (&Run, &'static str)| TrialRow {
        id: run.id.clone(),
        fidelity: (config.fidelities[run.fidelity].name.clone(), run.fidelity.index()),
        purpose,
        state: "logged",
        objective: Some(config.objective.sign() * run.loss),
        expected: None,
        cost: Some(run.cost),
        duration: None,
        metrics: if metrics.is_empty() { Vec::new() } else { run.metrics.iter().copied().map(Some).collect() },
        weights: findings::in_order(config, &run.mixture),
        note: String::new(),
    };
    let purpose = |i: usize| if pool.candidates.contains(&i) { "candidate" } else { "for sale" };
    let sold = pool.runs.iter().enumerate().map(|(i, run)| (run, purpose(i)));
    let held_out = pool.held_out.iter().map(|run| (run, "held out"));
    let rows = sold.chain(held_out).map(row).collect();
    Trials { domains: config.domain_order.clone(), metrics, rows }
}
