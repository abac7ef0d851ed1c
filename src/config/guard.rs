//! `[[guard]]`: conditions that the recommended mixture has to keep.

use super::stated::StatedMixture;
use super::tree::Section;
use super::value::Value;
use crate::problem::{
    Direction, Guard, Metric, Objective, OptimizerSettings, Structure, Threshold, Tolerance, check_name,
};
use crate::space::{Domain, SearchSpace};

/// A guard as it is written, without faults.
pub(super) struct Written {
    metric: String,
    sign: f64,
    bound: Bound,
    tolerance: Tolerance,
    probability: f64,
}

enum Bound {
    Value(f64),
    Mixture(StatedMixture),
}

/// The two keys that state a value, each with the sign of its guards.
const VALUES: [(&str, f64); 2] = [("at_most", 1.0), ("at_least", -1.0)];

/// The sections without faults. The objective says which values of its own metrics are better. For any other metric, the guard may say so.
pub(super) fn read(
    document: &Section<'_>,
    domains: &[Domain],
    objective: &Objective,
    optimizer: &OptimizerSettings,
) -> Vec<Written> {
    let mut guards: Vec<Written> = Vec::new();
    for section in document.sections("guard") {
        let guard = one(&section, domains, objective);
        if let Some(guard) = guard {
            if let Some(message) = guards.iter().find_map(|earlier| contradiction(earlier, &guard)) {
                section.report(None, message);
            }
            guards.push(guard);
        }
        section.finish();
    }
    if !guards.is_empty() && optimizer.model.structure == Some(Structure::Objective) {
        let message =
            "has no model of single metrics, which a [[guard]] needs; leave it out, or set it to \"per-metric\"";
        document.section("optimizer").report(Some("structure"), message);
    }
    guards
}

fn one(section: &Section<'_>, domains: &[Domain], objective: &Objective) -> Option<Written> {
    let metric = section.text("metric");
    match metric.as_deref().map(check_name) {
        None => section.report(Some("metric"), "is missing or no string; name the metric that is guarded"),
        Some(Err(reason)) => section.report(Some("metric"), format!("the name {reason}")),
        Some(Ok(())) => {}
    }
    let values = VALUES.map(|(key, sign)| Some((section.number(key, "a finite number", |_| true)?, sign)));
    let entry = "\"uniform\", \"prior\" or a table of weights such as { web = 0.6, code = 0.4 }";
    let mixture = section.value("no_worse_than", entry, StatedMixture::read);
    if let Some(problem) = mixture.as_ref().and_then(|mixture| mixture.problem(domains)) {
        section.report(Some("no_worse_than"), problem);
    }
    let stated = [VALUES[0].0, VALUES[1].0, "no_worse_than"].iter().filter(|key| section.node(key).is_some()).count();
    if stated != 1 {
        section
            .report(None, "needs one of `at_most`, `at_least` and `no_worse_than`, and no more: one guard per bound");
    }
    let directions = [("minimize", Direction::Minimize), ("maximize", Direction::Maximize)];
    let direction = section.choice("direction", &directions);
    let known = metric.as_ref().and_then(|name| objective.metrics.iter().find(|known| known.name == *name));
    if direction.is_some() && (mixture.is_none() || known.is_some()) {
        let why = if known.is_some() { "the objective says it" } else { "the bound says it" };
        section.report(Some("direction"), format!("is not needed: {why}; leave it out"));
    }
    let better = direction.map_or_else(|| objective.sign() * known.map_or(1.0, |m| m.weight.signum()), Direction::sign);
    let tolerance = section.value("tolerance", "a number of at least 0, or a share such as \"0.5%\"", tolerance);
    let probability =
        section.number("probability", "a number above 0 and below 1, such as 0.9", |p| p > 0.0 && p < 1.0);
    let (bound, sign) = match (values.into_iter().flatten().next(), mixture) {
        (Some((value, sign)), _) => (Bound::Value(value), sign),
        (None, Some(mixture)) => (Bound::Mixture(mixture), better),
        (None, None) => return None,
    };
    Some(Written {
        metric: metric?,
        sign,
        bound,
        tolerance: tolerance.unwrap_or(Tolerance::Absolute(0.0)),
        probability: probability.unwrap_or(0.9),
    })
}

fn tolerance(value: &Value) -> Option<Tolerance> {
    let share = |text: String| {
        let percent: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
        Some(Tolerance::Relative(percent / 100.0))
    };
    let tolerance = value.number().map(Tolerance::Absolute).or_else(|| value.text().and_then(share))?;
    let (Tolerance::Absolute(amount) | Tolerance::Relative(amount)) = tolerance;
    (amount >= 0.0 && amount.is_finite()).then_some(tolerance)
}

/// Why no mixture can keep both guards, if that is certain.
fn contradiction(a: &Written, b: &Written) -> Option<String> {
    let limit = |guard: &Written| match (&guard.bound, guard.tolerance) {
        (Bound::Value(value), Tolerance::Absolute(tolerance)) => Some(value + guard.sign * tolerance),
        (Bound::Value(value), Tolerance::Relative(share)) => Some(value + guard.sign * share * value.abs()),
        (Bound::Mixture(_), _) => None,
    };
    let (a, b) = if a.sign > b.sign { (a, b) } else { (b, a) };
    let (most, least) = (limit(a)?, limit(b)?);
    (a.metric == b.metric && a.sign != b.sign && least > most).then(|| {
        format!(
            "no value of `{}` is at least {least} and at most {most}, as two guards want it; lower the one or raise the other",
            a.metric
        )
    })
}

/// The guards, given the search space. Metrics that are not part of the objective are added to it, with a weight of 0.
pub(super) fn guards(written: Vec<Written>, space: &SearchSpace, objective: &mut Objective) -> Vec<Guard> {
    for guard in &written {
        if objective.metrics.iter().all(|metric| metric.name != guard.metric) {
            objective.metrics.push(Metric { name: guard.metric.clone(), weight: 0.0 });
        }
    }
    objective.metrics.sort_by(|a, b| a.name.cmp(&b.name));
    let guard = |written: Written| {
        let threshold = match written.bound {
            Bound::Value(value) => Threshold::Value(value),
            Bound::Mixture(against) => {
                let mixture = against.mixture(space).ok()?;
                Threshold::Mixture { name: against.to_string(), mixture }
            }
        };
        let metric = objective.metrics.iter().position(|metric| metric.name == written.metric)?;
        let Written { sign, tolerance, probability, .. } = written;
        Some(Guard { metric, sign, threshold, tolerance, probability })
    };
    written.into_iter().filter_map(guard).collect()
}
