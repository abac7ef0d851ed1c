//! What was spent where, and what went wrong.

use maud::{Markup, html};

use super::bar::bar;
use crate::text::number;

/// Costs of all trials.
#[derive(Clone, Debug)]
pub struct Costs {
    /// One per fidelity, cheapest first.
    pub sizes: Vec<SizeCosts>,
    /// Trials that failed, diverged or were ended early.
    pub failures: Vec<Failure>,
}

/// What trials at one fidelity came to.
#[derive(Clone, Debug, Default)]
pub struct SizeCosts {
    /// Name.
    pub name: String,
    /// Cost of one run, configured or as measured.
    pub each: f64,
    /// Trials with metrics.
    pub complete: usize,
    /// Trials given up after failures.
    pub failed: usize,
    /// Trials that diverged.
    pub diverged: usize,
    /// Trials that were ended early.
    pub stopped: usize,
    /// Trials whose result was withdrawn.
    pub withdrawn: usize,
    /// Trials that run or wait.
    pub unfinished: usize,
    /// Cost of all of them.
    pub cost: f64,
}

/// How many trials at a fidelity are of a kind.
type Count = fn(&SizeCosts) -> usize;

/// A trial without a result.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its number.
    pub trial: String,
    /// Name of the fidelity.
    pub fidelity: String,
    /// What happened.
    pub reason: String,
}

impl Costs {
    pub(super) fn render(&self) -> Markup {
        let total: f64 = self.sizes.iter().map(|size| size.cost).sum();
        let rare: [(&str, Count); 2] = [("Ended early", |size| size.stopped), ("Withdrawn", |size| size.withdrawn)];
        let rare = rare.into_iter().filter(|(_, count)| self.sizes.iter().any(|size| count(size) > 0));
        let (titles, counts): (Vec<&str>, Vec<_>) = rare.unzip();
        html! {
            div.scroll {
                table.weights {
                    caption { "Cost by size, confirmation included" }
                    thead {
                        tr {
                            th scope="col" { "Size" }
                            @for title in ["One run", "Complete", "Failed", "Diverged"] { th.number scope="col" { (title) } }
                            @for title in &titles { th.number scope="col" { (title) } }
                            @for title in ["Unfinished", "Cost", "Share"] { th.number scope="col" { (title) } }
                            th.wide scope="col" aria-hidden="true" {}
                        }
                    }
                    tbody { @for size in &self.sizes { (size.render(total, &counts)) } }
                    tfoot {
                        tr {
                            th scope="row" colspan=(6 + titles.len()) { "All" }
                            td.number { (number(total, 4)) }
                            td colspan="2" {}
                        }
                    }
                }
            }
            @if self.failures.is_empty() {
                p { "No trial failed or diverged." }
            } @else {
                div.scroll {
                    table {
                        caption { "Trials without a result" }
                        thead { tr { @for title in ["Trial", "Size", "What happened"] { th scope="col" { (title) } } } }
                        tbody {
                            @for failure in &self.failures {
                                tr {
                                    th scope="row" { (failure.trial) }
                                    td { (failure.fidelity) }
                                    td.text { (failure.reason) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl SizeCosts {
    /// With what `rare` counts in columns of their own.
    fn render(&self, total: f64, rare: &[Count]) -> Markup {
        let share = if total > 0.0 { self.cost / total } else { 0.0 };
        html! {
            tr {
                th scope="row" { (self.name) }
                td.number { (number(self.each, 3)) }
                @for n in [self.complete, self.failed, self.diverged] { td.number { (n) } }
                @for count in rare { td.number { (count(self)) } }
                td.number { (self.unfinished) }
                td.number { (number(self.cost, 4)) }
                td.number { (format!("{:.0} %", 100.0 * share)) }
                td.wide aria-hidden="true" { (bar(share, None)) }
            }
        }
    }
}
