//! Which metrics gain and lose.

use maud::{Markup, html};

use super::bar::centered;
use crate::text::{Uncertain, number};

/// Single metrics at the target, recommended against other mixtures.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// What the other mixtures are called.
    pub others: Vec<String>,
    /// One per metric of the objective.
    pub rows: Vec<MetricRow>,
}

/// One metric.
#[derive(Clone, Debug)]
pub struct MetricRow {
    /// Name.
    pub name: String,
    /// Its weight in the objective.
    pub weight: f64,
    /// By how much the recommendation is better than each other mixture, in the metric's unit; below zero it is worse.
    pub gains: Vec<Uncertain>,
}

impl Metrics {
    pub(super) fn render(&self) -> Markup {
        let first = self.rows.iter().filter_map(|row| row.gains.first());
        let limit = first.map(|gain| gain.mean.abs() + 2.0 * gain.sd).fold(1e-12, f64::max);
        html! {
            p {
                "By how much the recommendation is better in each metric, in the metric's own unit, ± one "
                "standard deviation. Below zero it is worse. The bars are about the first comparison, with 90 % intervals as lines."
            }
            div.scroll {
                table.weights {
                    caption { "Gains by metric" }
                    thead {
                        tr {
                            th scope="col" { "Metric" }
                            th.number scope="col" { "Weight in objective" }
                            th.wide scope="col" aria-hidden="true" {}
                            th scope="col" { "Verdict" }
                            @for other in &self.others { th.number scope="col" { "Against " (other) } }
                        }
                    }
                    tbody { @for row in &self.rows { (row.render(limit)) } }
                }
            }
        }
    }
}

impl MetricRow {
    fn render(&self, limit: f64) -> Markup {
        let first = self.gains.first();
        html! {
            tr {
                th scope="row" { (self.name) }
                td.number { (number(self.weight, 3)) }
                td.wide aria-hidden="true" { @if let Some(gain) = first { (centered(gain.mean, gain.interval(), limit)) } }
                td { @if let Some(gain) = first { (verdict(*gain)) } }
                @for gain in &self.gains { td.number { (gain.signed()) } }
            }
        }
    }
}

fn verdict(gain: Uncertain) -> &'static str {
    match gain.interval() {
        (low, _) if low > 0.0 => "gains",
        (_, high) if high < 0.0 => "loses",
        _ => "not clear",
    }
}
