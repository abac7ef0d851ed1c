//! What any mixture would give, computed in the page.

use maud::{Markup, PreEscaped, html};
use serde::Serialize;
use serde_json::{Value, json};

use crate::text::{NINETY, number, percent};

const SCRIPT: &str = include_str!("explorer.js");

/// A page's explorer, or why it has none.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Explorer {
    Possible(Box<Exploration>),
    Impossible { why: String },
}

/// What the explorer shows and what it computes with. Weights, and indices of domains, are in the order of `domains`.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// Name of the target fidelity.
    pub target: String,
    /// The domains, as the model has them.
    pub domains: Vec<ExploredDomain>,
    /// Their indices in the order in which they are shown.
    pub order: Vec<usize>,
    /// The groups.
    pub groups: Vec<ExploredGroup>,
    /// The smallest weight above 0 that can be used, and the step of weights; 0 where any can be.
    pub granularity: (f64, f64),
    /// Mixtures to start from, with their names; not empty.
    pub starts: Vec<(String, Vec<f64>)>,
    /// Names of the metrics with their weights in the objective.
    pub metrics: Vec<(String, f64)>,
    /// 1 where small objectives are good, −1 where large ones are.
    pub sign: f64,
    /// The guards.
    pub guards: Vec<ExploredGuard>,
    /// The processes of the model, as the script reads them.
    pub model: Value,
}

/// A domain whose weight can be moved.
#[derive(Clone, Debug)]
pub struct ExploredDomain {
    /// Name.
    pub name: String,
    /// Its smallest and its largest weight, by its own bounds and its cap.
    pub bounds: (f64, f64),
    /// What it can reach, given all other bounds.
    pub reach: (f64, f64),
    /// How often the target run sees its data, per unit of weight.
    pub epochs: Option<f64>,
}

/// A group of domains.
#[derive(Clone, Debug, Serialize)]
pub struct ExploredGroup {
    /// Its domains.
    pub domains: Vec<usize>,
    /// Smallest sum of their weights.
    pub min: f64,
    /// Largest sum of their weights.
    pub max: f64,
    /// Ratios of their weights, where they are fixed.
    pub freeze: Option<Vec<f64>>,
}

/// A guard.
#[derive(Clone, Debug)]
pub struct ExploredGuard {
    /// In words.
    pub words: String,
    /// Index of its metric.
    pub metric: usize,
    /// +1 where the metric may not be too large, −1 where it may not be too small.
    pub sign: f64,
    /// What the metric may not pass.
    pub threshold: ExploredThreshold,
    /// Its tolerance: a value, and a share of what it may not pass.
    pub tolerance: (f64, f64),
    /// With which probability it has to hold.
    pub asked: f64,
}

/// What a guarded metric is compared with.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ExploredThreshold {
    Value(f64),
    Mixture(Vec<f64>),
}

impl Explorer {
    pub(super) fn render(&self) -> Markup {
        match self {
            Self::Possible(exploration) => exploration.render(),
            Self::Impossible { why } => html! { p { (why) } },
        }
    }
}

impl Exploration {
    fn render(&self) -> Markup {
        html! {
            p {
                "Move a weight, and the others make room in proportion, as bounds and groups allow. A weight that is held stays. "
                "What " code { "admire predict" } " would say of the mixture at " (self.target) " is computed here, by the same model."
            }
            p.note #explorer-wait { "The explorer needs a screen and JavaScript." }
            div.explorer.screen #explorer-panel hidden {
                (self.controls())
                output.lede #explorer-summary {}
                div #explorer-weights { @for i in &self.order { (self.domains[*i].render(*i)) } }
                div.details {
                    (self.values())
                    @if !self.guards.is_empty() { (self.guards()) }
                }
            }
            script #explorer-data type="application/json" { (PreEscaped(self.data().to_string())) }
            script { (PreEscaped(SCRIPT)) }
        }
    }

    fn controls(&self) -> Markup {
        html! {
            p.controls {
                label for="explorer-start" { "Start from" }
                select #explorer-start {
                    @for (i, (name, _)) in self.starts.iter().enumerate() { option value=(i) { (name) } }
                }
                button.action #explorer-reset type="button" { "Back to the start" }
                a #explorer-link href="#explorer" { "Link to this mixture" }
            }
        }
    }

    fn values(&self) -> Markup {
        let row = |name: &str| {
            html! { tr { th scope="row" { (name) } @for _ in 0..4 { td.number {} } } }
        };
        html! {
            div.scroll tabindex="0" role="region" aria-label="What is expected" {
                table #explorer-values {
                    thead {
                        tr {
                            th scope="col" { "At " (self.target) }
                            @for title in ["Expected", "90 % interval", "Gain over start", "Better with"] {
                                th.number scope="col" { (title) }
                            }
                        }
                    }
                    tbody {
                        (row("objective"))
                        @for (name, _) in &self.metrics { (row(name)) }
                    }
                }
            }
        }
    }

    fn guards(&self) -> Markup {
        html! {
            div.scroll tabindex="0" role="region" aria-label="Guards" {
                table #explorer-guards {
                    thead {
                        tr {
                            th scope="col" { "Guard" }
                            th.number scope="col" { "Holds with" }
                            th scope="col" { "Enough" }
                        }
                    }
                    tbody {
                        @for guard in &self.guards { tr { th.text scope="row" { (guard.words) } td.number {} td {} } }
                    }
                }
            }
        }
    }

    /// What the script reads: numbers and words of the program, nothing that a user named.
    fn data(&self) -> Value {
        let guard = |guard: &ExploredGuard| {
            let (threshold, reference) = match &guard.threshold {
                ExploredThreshold::Value(value) => (Some(value), None),
                ExploredThreshold::Mixture(weights) => (None, Some(weights)),
            };
            let (absolute, relative) = guard.tolerance;
            json!({
                "metric": guard.metric, "sign": guard.sign, "threshold": threshold, "reference": reference,
                "absolute": absolute, "relative": relative, "asked": guard.asked,
            })
        };
        json!({
            "ninety": NINETY,
            "sign": self.sign,
            "weights": self.metrics.iter().map(|(_, weight)| weight).collect::<Vec<_>>(),
            "lower": self.domains.iter().map(|domain| domain.bounds.0).collect::<Vec<_>>(),
            "upper": self.domains.iter().map(|domain| domain.bounds.1).collect::<Vec<_>>(),
            "reach": self.domains.iter().map(|domain| domain.reach).collect::<Vec<_>>(),
            "groups": self.groups,
            "smallest": self.granularity.0,
            "step": self.granularity.1,
            "starts": self.starts.iter().map(|(_, weights)| weights).collect::<Vec<_>>(),
            "guards": self.guards.iter().map(guard).collect::<Vec<_>>(),
            "model": self.model,
        })
    }
}

/// Weights are moved by this much by the keys of arrows, or by a hundredth of what a weight can reach.
const STEP: f64 = 0.001;

impl ExploredDomain {
    fn render(&self, i: usize) -> Markup {
        let (least, most) = self.reach;
        let (id, step) = (format!("explorer-weight-{i}"), STEP.min((most - least) / 100.0));
        let fixed = most - least < 1e-9;
        html! {
            div.weight data-domain=(i) {
                label for=(id) { (self.name) }
                input type="range" min=(least) max=(most) step=(if fixed { STEP } else { step }) disabled[fixed]
                    aria-label={ "Weight of " (self.name) } title={ (percent(least)) " to " (percent(most)) };
                span.field {
                    input id=(id) type="number" inputmode="decimal" step="any" min=(percent_value(least)) max=(percent_value(most))
                        disabled[fixed];
                    " %"
                }
                label.hold { input type="checkbox" aria-label={ "Hold " (self.name) } disabled[fixed]; " hold" }
                @if let Some(each) = self.epochs {
                    span.note { span.epochs data-each=(each) { (number(each, 2)) } " epochs" }
                }
            }
        }
    }
}

fn percent_value(weight: f64) -> String {
    format!("{:.4}", 100.0 * weight)
}
