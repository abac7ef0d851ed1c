//! Every trial.

use maud::{Markup, html};

use crate::text::{Uncertain, counted, number, percent};

/// All trials of a study.
#[derive(Clone, Debug)]
pub struct Trials {
    /// Names of the domains, in the order of the weights.
    pub domains: Vec<String>,
    /// Names of the metrics, in the order of their values; none where the objective is the only one.
    pub metrics: Vec<String>,
    /// One per trial.
    pub rows: Vec<TrialRow>,
}

/// A trial, or a run from elsewhere.
#[derive(Clone, Debug)]
pub struct TrialRow {
    /// Number or name.
    pub id: String,
    /// Name of the fidelity, and its place among all, cheapest first.
    pub fidelity: (String, usize),
    /// What it is for.
    pub purpose: &'static str,
    /// How it ended, or how far it is.
    pub state: &'static str,
    /// The objective, where it completed.
    pub objective: Option<f64>,
    /// The objective that was expected of it.
    pub expected: Option<Uncertain>,
    /// What it has cost, once that is known.
    pub cost: Option<f64>,
    /// Seconds that it ran, and that in words.
    pub duration: Option<(f64, String)>,
    /// Metrics, where they were reported.
    pub metrics: Vec<Option<f64>>,
    /// Weights of the domains.
    pub weights: Vec<f64>,
    /// Why it failed, where it comes from.
    pub note: String,
}

impl Trials {
    pub(super) fn render(&self) -> Markup {
        let notes = self.rows.iter().any(|row| !row.note.is_empty());
        let durations = self.rows.iter().any(|row| row.duration.is_some());
        html! {
            p.note.screen { "Press a column's title to sort by it." }
            div.scroll tabindex="0" role="region" aria-label="All trials" {
                table.sortable id="all-trials" {
                    caption { (counted(self.rows.len(), "trial")) "; weights in percent" }
                    thead {
                        tr {
                            (column("Trial", true))
                            (column("Size", false))
                            (column("For", false))
                            (column("State", false))
                            (column("Objective", true))
                            (column("Expected", true))
                            (column("Cost", true))
                            @if durations { (column("Ran for", true)) }
                            @for metric in &self.metrics { (column(metric, true)) }
                            @for domain in &self.domains { (column(domain, true)) }
                            @if notes { (column("Note", false)) }
                        }
                    }
                    tbody { @for (i, row) in self.rows.iter().enumerate() { (row.render(i, notes, durations)) } }
                }
            }
        }
    }
}

fn column(title: &str, numeric: bool) -> Markup {
    html! { th scope="col" .number[numeric] aria-sort="none" { button type="button" { (title) } } }
}

impl TrialRow {
    fn render(&self, place: usize, notes: bool, durations: bool) -> Markup {
        html! {
            tr {
                th.number scope="row" data-v=(place) { (self.id) }
                td data-v=(self.fidelity.1) { (self.fidelity.0) }
                td { (self.purpose) }
                td { (self.state) }
                td.number data-v=[self.objective] { @if let Some(y) = self.objective { (number(y, 5)) } }
                td.number data-v=[self.expected.map(|e| e.mean)] { @if let Some(e) = self.expected { (e) } }
                td.number data-v=[self.cost] { @if let Some(cost) = self.cost { (number(cost, 4)) } }
                @if durations {
                    td.number data-v=[self.duration.as_ref().map(|d| d.0)] {
                        @if let Some((_, words)) = &self.duration { (words) }
                    }
                }
                @for metric in &self.metrics {
                    td.number data-v=[metric] { @if let Some(y) = metric { (number(*y, 5)) } }
                }
                @for weight in &self.weights { td.number data-v=(weight) { (percent(*weight).trim_end_matches(" %")) } }
                @if notes { td.text { (self.note) } }
            }
        }
    }
}
