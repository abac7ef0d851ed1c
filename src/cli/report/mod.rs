//! `admire report`: gathers what the page shows.

mod explorer;
mod findings;
pub mod replay;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use self::findings::Findings;
use super::mixture::named;
use super::{ConfigArgs, best, text, tradeoff};
use crate::advice::{self, Confirmation, Coverage, Record};
use crate::files;
use crate::optimizer::Optimizer;
use crate::problem::{Direction, Fidelity, FidelityId, Mixture};
use crate::report::html::{
    Calibration, Costs, CoverageRow, Curve, Curves, Failure, Fate, Part, Progress, Report, SizeCosts, SizeCurves,
    SizeRecord, Step, TradeoffCurve, Tradeoffs, TrialRow, Trials,
};
use crate::study::{ImportedRun, Place, Purpose, Study, TrialState};
use crate::text::number;

/// Write what the study has found as one HTML file
///
/// The file needs nothing else: send it, print it, open it without a network.
#[derive(Debug, Args)]
#[command(after_help = "Example: admire report --compare web=0.5,code=0.5")]
pub struct ReportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to write [default: report.html in the study's directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also compare the recommendation with this mixture: trial:7, weights like web=0.5,code=0.5, or @FILE, a JSON file with
    /// weights by domain
    #[arg(long, value_name = "MIXTURE")]
    compare: Vec<String>,
}

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<u8> {
    let study = args.config.ask()?;
    super::warn(study.warnings());
    let optimizer = advice::optimizer(&study);
    let compared = args.compare.iter().map(|text| named(&study, &optimizer, "--compare", text));
    let compared = compared.map(|named| named.map(|named| (named.name, named.mixture)));
    let report = report(&study, &optimizer, compared.collect::<anyhow::Result<_>>()?);
    let path = match &args.out {
        Some(path) => {
            write(&report, path)?;
            path.clone()
        }
        None => {
            let path = study.config().dir.join("report.html");
            files::write(&path, page(&report)?.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            path
        }
    };
    data!("{}", path.display());
    Ok(0)
}

/// Writes the page to a file that the user names.
pub fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    fs::write(path, page(report)?).with_context(|| format!("cannot write {}", path.display()))
}

/// The page. What would act on the text rather than be seen is written as on a terminal.
fn page(report: &Report) -> anyhow::Result<String> {
    Ok(text::visible(&report.render()?).into_owned())
}

fn report(study: &Study, optimizer: &Optimizer, named: Vec<(String, Mixture)>) -> Report {
    let (config, evidence) = (study.config(), study.evidence());
    let recommended = advice::recommend(study, optimizer);
    let answer = advice::answer(study, optimizer);
    let mixture = answer.as_ref().map_or(&recommended.mixture, |answer| &answer.mixture).clone();
    let findings = Findings { config, optimizer, evidence: &evidence, mixture: &mixture };
    let others = findings.others(named);
    let (mut banner, mut parts) = (Vec::new(), Vec::new());
    if let Ok(answer) = &answer {
        let mut recommendation = findings.recommendation(&others);
        let words =
            |first: bool| answer.caveats.iter().filter(move |c| c.comes_first() == first).map(ToString::to_string);
        (banner, recommendation.caveats) = (words(true).collect(), words(false).collect());
        recommendation.regret = recommended.expected_regret;
        recommendation.measured =
            advice::best_measured(study).map(|(trial, loss)| (format!("trial {}", trial.id), loss));
        recommendation.confirmed =
            Confirmation::of(study, &mixture).as_ref().map(best::confirmation_words).unwrap_or_default();
        let guards = advice::guards(study, optimizer, &mixture, true);
        recommendation.guards = guards.iter().map(best::guard_words).collect();
        parts.push(Part::Recommendation(recommendation));
    }
    parts.push(Part::Explorer(findings.explorer(study, &others)));
    parts.extend(findings.limits().map(Part::Limits));
    parts.push(Part::Progress(progress(study)));
    parts.extend(curves(study).map(Part::Curves));
    parts.push(Part::Calibration(calibration(study)));
    parts.extend(findings.parts(&others));
    parts.extend(tradeoffs(study, optimizer, &mixture).map(Part::Tradeoffs));
    parts.extend([Part::Costs(costs(study)), Part::Trials(trials(study))]);
    let mut facts = facts(study);
    facts.extend(answer.err().map(|nothing| ("Recommendation", nothing.to_string())));
    Report {
        kind: "Mixture report",
        title: config.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        date: text::written(),
        banner,
        facts,
        parts,
    }
}

/// By distance, and by the tolerance of each guard.
fn tradeoffs(study: &Study, optimizer: &Optimizer, mixture: &Mixture) -> Option<Tradeoffs> {
    let config = study.config();
    let guarded = config.guards.iter().map(|guard| config.objective.metrics[guard.metric].name.as_str());
    let asked = std::iter::once("distance").chain(guarded);
    let found: Vec<_> =
        asked.map(|name| advice::tradeoff(study, optimizer, mixture, name)).collect::<Result<_, _>>().ok()?;
    let curve = |found: &advice::Tradeoff| TradeoffCurve {
        title: format!("Gain {}", tradeoff::title(found)),
        levels: tradeoff::levels(found),
        shares: matches!(found.varied, advice::Varied::Distance),
        points: found.steps.iter().map(|step| (step.level, text::uncertain_gain(step.gain))).collect(),
        remark: tradeoff::remark(found),
    };
    let curves = found.iter().map(curve).collect();
    Some(Tradeoffs { reference: found.first()?.reference.to_owned(), curves })
}

fn facts(study: &Study) -> Vec<(&'static str, String)> {
    let (config, counts) = (study.config(), study.counts());
    let state = match study.stopped() {
        Some(stopped) => format!("stopped ({})", advice::why(study, stopped.reason)),
        None => study.halted().map_or_else(|| "not finished".into(), |reason| format!("halted: {reason}")),
    };
    let mut trials = counts.to_string();
    match study.imported().count() {
        0 => {}
        imported => trials += &format!(", {imported} imported"),
    }
    vec![
        ("Target", config.fidelities[config.fidelities.target()].name.clone()),
        ("Objective", findings::objective(config)),
        ("Trials", trials),
        ("Spent", best::spent_words(study)),
        ("Search", state),
    ]
}

fn progress(study: &Study) -> Progress {
    let config = study.config();
    let (target, charges) = (config.fidelities.target(), study.charges());
    let mut spent = 0.0;
    let finished = study.trials().iter().filter(|t| t.searching() && t.finished());
    let steps = finished.map(|trial| {
        spent += charges.of(trial);
        Step {
            cost: spent,
            measured: study.measured(trial).filter(|_| trial.fidelity == target),
            expected: trial.incumbent.map(text::uncertain),
        }
    });
    Progress {
        target: config.fidelities[target].name.clone(),
        maximize: config.objective.direction == Direction::Maximize,
        steps: steps.collect(),
    }
}

/// What trials reported on their way, by fidelity; `None` if none did. Complete trials end with their result.
fn curves(study: &Study) -> Option<Curves> {
    let size = |(m, fidelity): (FidelityId, &Fidelity)| {
        let trials: Vec<_> = study.trials().iter().filter(|t| t.fidelity == m && !t.curve.is_empty()).collect();
        let by_tokens = trials.iter().all(|t| t.curve.iter().all(|report| report.tokens.is_some()));
        let point = |place: Place| Some((if by_tokens { place.tokens } else { place.step }?, place.objective));
        let curve = |trial: &&crate::study::Trial| {
            let mut points: Vec<(f64, f64)> = study.curve(trial).into_iter().filter_map(point).collect();
            points.extend(fidelity.tokens.filter(|_| by_tokens).zip(study.measured(trial)));
            let fate = match trial.state {
                TrialState::Pending | TrialState::Running { .. } => Fate::UnderWay,
                TrialState::Complete(_) => Fate::Complete,
                _ => Fate::EndedBefore,
            };
            Curve { trial: trial.id.to_string(), fate, points }
        };
        let curves: Vec<Curve> = trials.iter().map(curve).filter(|curve| !curve.points.is_empty()).collect();
        let unit = if by_tokens { "tokens" } else { "steps" };
        (!curves.is_empty()).then(|| SizeCurves { name: fidelity.name.clone(), unit, curves })
    };
    let sizes: Vec<SizeCurves> = study.config().fidelities.iter().filter_map(size).collect();
    (!sizes.is_empty()).then_some(Curves { sizes })
}

fn calibration(study: &Study) -> Calibration {
    let (record, config) = (Record::of(study), study.config());
    let row = |name: &str, Coverage { trials, inside_50, inside_90, mean_error, rms_error }| CoverageRow {
        name: name.to_owned(),
        trials,
        inside_50,
        inside_90,
        mean_error,
        rms_error,
    };
    let size = |(m, fidelity): (FidelityId, &Fidelity)| {
        let coverage = Coverage::of(record.at(m))?;
        let runs = record.at(m).map(|trial| (trial.expected, trial.measured)).collect();
        Some(SizeRecord { coverage: row(&fidelity.name, coverage), runs })
    };
    Calibration {
        judgement: record.judgement(&config.fidelities).to_string(),
        maximize: config.objective.direction == Direction::Maximize,
        sizes: config.fidelities.iter().filter_map(size).collect(),
        all: Coverage::of(&record.trials).map(|coverage| row("all", coverage)),
        unknown: record.unknown,
    }
}

fn costs(study: &Study) -> Costs {
    let (list, costs, charges) = (study.config().fidelities.list(), study.costs(), study.charges());
    let empty = |(fidelity, each): (&Fidelity, &f64)| SizeCosts {
        name: fidelity.name.clone(),
        each: *each,
        ..SizeCosts::default()
    };
    let mut sizes: Vec<SizeCosts> = list.iter().zip(&costs).map(empty).collect();
    let mut failures = Vec::new();
    for trial in study.trials() {
        let size = &mut sizes[trial.fidelity];
        size.cost += charges.of(trial);
        let (count, reason) = match &trial.state {
            TrialState::Pending | TrialState::Running { .. } => (&mut size.unfinished, None),
            TrialState::Complete(_) => (&mut size.complete, None),
            TrialState::Failed { reason } => (&mut size.failed, Some(reason.clone())),
            TrialState::Stopped(ending) => (&mut size.stopped, Some(format!("ended early: {}", ending.reason))),
            TrialState::Diverged => (&mut size.diverged, Some("diverged: a metric was not finite".to_owned())),
            TrialState::Withdrawn => (&mut size.withdrawn, None),
            TrialState::Cancelled => continue,
        };
        *count += 1;
        let fidelity = list[trial.fidelity].name.clone();
        failures.extend(reason.map(|reason| Failure { trial: trial.id.to_string(), fidelity, reason }));
    }
    Costs { sizes, failures }
}

fn trials(study: &Study) -> Trials {
    let config = study.config();
    let (list, charges) = (config.fidelities.list(), study.charges());
    let names = findings::metrics(config);
    let metrics = |reported: Option<&BTreeMap<String, f64>>| {
        names.iter().map(|name| reported.and_then(|reported| reported.get(name).copied())).collect()
    };
    let row = |trial: &crate::study::Trial| TrialRow {
        id: trial.id.to_string(),
        fidelity: (list[trial.fidelity].name.clone(), trial.fidelity.index()),
        purpose: match trial.purpose {
            Purpose::Search => "search",
            Purpose::ConfirmRecommended => "confirm recommended",
            Purpose::ConfirmUniform => "confirm uniform",
            Purpose::ConfirmReference => "confirm reference",
        },
        state: trial.state.name(),
        objective: study.measured(trial),
        expected: trial.expected.map(text::uncertain),
        cost: Some(charges.of(trial)).filter(|cost| trial.finished() || *cost > 0.0),
        duration: trial.ran().map(|seconds| (seconds, text::seconds(seconds))),
        metrics: metrics(trial.outcome().map(|outcome| &outcome.metrics)),
        weights: findings::in_order(config, &trial.mixture),
        note: text::note(study, trial).unwrap_or_default(),
    };
    let imported = study.imported().chain(study.withdrawn()).filter_map(|imported| {
        let ImportedRun { run, withdrawn, .. } = imported;
        let fidelity = config.fidelities.find(&run.fidelity)?;
        let after = |tokens: f64| format!(", on its way, after {} tokens", number(tokens, 4));
        let on_the_way = run.tokens.map_or_else(String::new, after);
        let why = withdrawn.as_ref().map_or_else(String::new, |reason| format!("; withdrawn: {reason}"));
        Some(TrialRow {
            id: imported.name(),
            fidelity: (run.fidelity.clone(), fidelity.index()),
            purpose: "imported",
            state: match withdrawn {
                Some(_) => "withdrawn",
                None if run.tokens.is_some() => "on the way",
                None => "complete",
            },
            objective: study.objective(&run.metrics, fidelity).filter(|_| run.tokens.is_none()),
            expected: None,
            cost: Some(0.0),
            duration: None,
            metrics: metrics(Some(&run.metrics)),
            weights: config.domain_order.iter().map(|d| run.weights.get(d).copied().unwrap_or(0.0)).collect(),
            note: format!("{}{on_the_way}{why}", run.source),
        })
    });
    let rows = study.trials().iter().map(row).chain(imported).collect();
    Trials { domains: config.domain_order.clone(), metrics: names, rows }
}
