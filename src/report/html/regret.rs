//! What a replay found: regret against cost.

use maud::{Markup, html};

use super::figure::{DrawError, Figure};
use crate::report::plot::{self, RegretPlot};
use crate::text::{fixed, number};

/// The strategies of a replay.
#[derive(Clone, Debug)]
pub struct Regret {
    /// The curves.
    pub plot: RegretPlot,
    /// Costs of the columns of mean regret.
    pub at: Vec<f64>,
    /// One per strategy.
    pub strategies: Vec<StrategyRow>,
    /// What that means, a sentence each.
    pub conclusions: Vec<String>,
}

/// One strategy.
#[derive(Clone, Debug)]
pub struct StrategyRow {
    /// Name.
    pub name: String,
    /// Median cost at which its recommendation first is near the best, and from which it stays there.
    pub first: Option<f64>,
    /// See above.
    pub stay: Option<f64>,
    /// Mean regret at the costs of the columns.
    pub regret: Vec<f64>,
    /// Rank correlation of predictions of held-out target runs, where there are such.
    pub rank_correlation: Option<f64>,
    /// Shares of held-out target runs inside the central 50 % and 90 % intervals.
    pub coverage: Option<(f64, f64)>,
}

impl Regret {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let names: Vec<&str> = self.strategies.iter().map(|s| s.name.as_str()).collect();
        let figure = Figure {
            id: "regret-curves",
            title: "Regret",
            description: &format!(
                "Mean regret against cumulative cost of {}. {}",
                names.join(", "),
                self.conclusions.join(" ")
            ),
            caption: html! { "against cumulative cost, both as in the table below" },
        };
        let drawn = figure.draw(plot::SIZE, |root| plot::draw(&self.plot, root))?;
        let predictions = self.strategies.iter().any(|s| s.coverage.is_some());
        Ok(html! {
            @for conclusion in &self.conclusions { p { (conclusion) } }
            div.scroll.picture { (drawn) }
            div.scroll {
                table {
                    caption { "Strategies" }
                    thead {
                        tr {
                            th scope="col" { "Strategy" }
                            th.number scope="col" { "First" }
                            th.number scope="col" { "Stays" }
                            @for cost in &self.at { th.number scope="col" { "at " (number(*cost, 3)) } }
                            @if predictions {
                                @for title in ["Rank", "Inside 50 %", "Inside 90 %"] { th.number scope="col" { (title) } }
                            }
                        }
                    }
                    tbody { @for strategy in &self.strategies { (strategy.render(predictions)) } }
                }
            }
            p.note {
                "First, stays: median cost at which the recommendation first is within "
                (number(self.plot.tolerance, 3)) " standard deviations of the best, and from which it stays there. "
                "At a cost: mean regret by then, in standard deviations of the logged target runs."
                @if predictions {
                    " Rank: rank correlation of predicted and logged held-out target runs; inside: share of them in "
                    "the central intervals."
                }
            }
        })
    }
}

impl StrategyRow {
    fn render(&self, predictions: bool) -> Markup {
        let cost = |cost: Option<f64>| cost.map_or_else(|| "never".into(), |cost| number(cost, 3));
        let share = |x: f64| format!("{:.0} %", 100.0 * x);
        html! {
            tr {
                th scope="row" { (self.name) }
                td.number { (cost(self.first)) }
                td.number { (cost(self.stay)) }
                @for regret in &self.regret { td.number { (format!("{regret:.2}")) } }
                @if predictions {
                    td.number { @if let Some(rank) = self.rank_correlation { (fixed(rank, 2)) } }
                    td.number { @if let Some((half, _)) = self.coverage { (share(half)) } }
                    td.number { @if let Some((_, ninety)) = self.coverage { (share(ninety)) } }
                }
            }
        }
    }
}
