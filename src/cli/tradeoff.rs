//! A trade-off, as a table and as JSON.

use serde_json::{Value, json};

use super::text::{self, gain_json, uncertain, uncertain_gain};
use crate::advice::{Tradeoff, TradeoffStep, Varied};
use crate::report::{Align, Table};
use crate::study::Study;
use crate::text::{number, percent};

/// What varies, in words.
pub(super) fn title(tradeoff: &Tradeoff) -> String {
    match &tradeoff.varied {
        Varied::Distance => format!("by distance from the {} mixture", tradeoff.reference),
        Varied::Tolerance { words, .. } => format!("by the tolerance of `{words}`"),
    }
}

/// What the levels are called.
pub(super) fn levels(tradeoff: &Tradeoff) -> &'static str {
    match tradeoff.varied {
        Varied::Distance => "distance",
        Varied::Tolerance { .. } => "tolerance",
    }
}

/// What there is to say about its ends.
pub(super) fn remark(tradeoff: &Tradeoff) -> Option<String> {
    let nothing = tradeoff.steps.iter().take_while(|step| !step.hold).count();
    match (&tradeoff.varied, tradeoff.steps.as_slice()) {
        (Varied::Distance, [_]) => Some(format!("The {} mixture is the recommended one", tradeoff.reference)),
        (Varied::Tolerance { .. }, [_]) => Some("The guard holds without any tolerance and costs nothing".into()),
        _ if nothing > 0 => Some(
            "Where guards do not hold, no mixture is known on which they do as surely as they ask: the most likely one is \
             shown"
                .into(),
        ),
        _ => None,
    }
}

pub(super) fn show(tradeoff: &Tradeoff) {
    outln!("\nTrade-off {}\n", title(tradeoff));
    let metric = match &tradeoff.varied {
        Varied::Tolerance { metric, .. } => Some(metric),
        Varied::Distance => None,
    };
    let over = format!("gain over {}", tradeoff.reference);
    let mut columns = vec![(levels(tradeoff), Align::Right)];
    columns.extend(metric.map(|metric| (metric.as_str(), Align::Right)));
    columns.extend([("expected", Align::Right), (over.as_str(), Align::Right), ("90 % interval", Align::Right)]);
    columns.push(("of all", Align::Right));
    let broken = tradeoff.steps.iter().any(|step| !step.hold);
    columns.extend(broken.then_some(("guards", Align::Left)));
    let mut table = Table::new(columns);
    for step in &tradeoff.steps {
        let gain = uncertain_gain(step.gain);
        let mut row = vec![match tradeoff.varied {
            Varied::Distance => percent(step.level),
            Varied::Tolerance { .. } => number(step.level, 3),
        }];
        row.extend(step.metric.map(|metric| uncertain(metric).to_string()));
        row.extend([uncertain(step.expected).to_string(), gain.signed_mean(), gain.signed_interval()]);
        row.push(step.share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share)));
        row.extend(broken.then(|| if step.hold { String::new() } else { "do not hold".into() }));
        table.row(row);
    }
    out!("{}", table.fitted(text::width()));
    if let Some(remark) = remark(tradeoff) {
        outln!("{remark}.");
    }
}

pub(super) fn json(study: &Study, tradeoff: &Tradeoff) -> Value {
    let step = |step: &TradeoffStep| {
        json!({
            "level": step.level,
            "weights": study.named(&step.mixture),
            "distance": step.distance,
            "expected": step.expected,
            "gain": gain_json(step.gain),
            "share": step.share,
            "metric": step.metric,
            "guards_hold": step.hold,
        })
    };
    let (guard, metric) = match &tradeoff.varied {
        Varied::Distance => (None, None),
        Varied::Tolerance { words, metric } => (Some(words), Some(metric)),
    };
    json!({
        "varied": levels(tradeoff),
        "guard": guard,
        "metric": metric,
        "reference": tradeoff.reference,
        "steps": tradeoff.steps.iter().map(step).collect::<Vec<_>>(),
    })
}
