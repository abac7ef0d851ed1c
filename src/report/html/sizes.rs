//! How sizes agree with the target.

use maud::{Markup, html};
use plotters::prelude::*;

use super::bar::bar;
use super::figure::{Axes, BLUE, DrawError, Drawing, Drawn, Figure, SIZE, range, shortened};
use crate::text::{counted, fixed, number};

/// How sizes agree with the target.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Name of the target fidelity.
    pub target: String,
    /// One per fidelity, cheapest first.
    pub sizes: Vec<SizeRow>,
}

/// One fidelity.
#[derive(Clone, Debug)]
pub struct SizeRow {
    /// Name.
    pub name: String,
    /// Correlation of its noise-free objective, over mixtures, with the target's.
    pub correlation: f64,
    /// Information about the target per unit cost of a run, as a multiple of that of a target run.
    pub worth: Option<f64>,
    /// How many runs it has.
    pub trained: usize,
    /// Of mixtures trained both here and at the target: the mean objective here and there.
    pub pairs: Vec<(f64, f64)>,
    /// Rank correlation of these pairs.
    pub rank: Option<f64>,
}

impl Sizes {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let pairs = self.pairs()?;
        Ok(html! {
            (self.agreement())
            @if !pairs.is_empty() { div.figures { @for figure in pairs { (figure) } } }
        })
    }

    fn agreement(&self) -> Markup {
        html! {
            div.scroll {
                table {
                    caption { "Agreement of sizes with " (self.target) }
                    thead {
                        tr {
                            th scope="col" { "Size" }
                            th.number scope="col" { "Runs" }
                            th.number scope="col" { "Correlation" }
                            th.wide scope="col" aria-hidden="true" {}
                            th.number scope="col" { "Information per cost" }
                        }
                    }
                    tbody {
                        @for size in &self.sizes {
                            tr {
                                th scope="row" { (size.name) }
                                td.number { (size.trained) }
                                td.number { (fixed(size.correlation, 2)) }
                                td.wide aria-hidden="true" { (bar(size.correlation, None)) }
                                td.number { @if let Some(worth) = size.worth { (number(worth, 2)) " ×" } }
                            }
                        }
                    }
                }
            }
            p.note {
                "Correlation: of the noise-free objective over mixtures, as the model sees it; with few runs at "
                (self.target) " it is mostly the prior's. Information per cost: what a run says about " (self.target)
                " for its cost, as a multiple of what a run at " (self.target) " does; below 1 it does not earn its cost."
            }
        }
    }

    /// What was measured of mixtures that two sizes share: no model is needed to compare them.
    fn pairs(&self) -> Result<Vec<Markup>, DrawError> {
        let sizes = self.sizes.iter().enumerate().filter(|(_, size)| size.name != self.target && size.pairs.len() > 2);
        sizes
            .map(|(i, size)| {
                let mixtures = counted(size.pairs.len(), "mixture");
                let rank = size.rank.map_or_else(String::new, |rank| format!("; rank correlation {}", fixed(rank, 2)));
                Figure {
                    id: &format!("pairs-{i}"),
                    title: &format!("{} against {}", self.target, size.name),
                    description: &format!("Objective of {mixtures} trained at both sizes{rank}."),
                    caption: html! { "as measured, " (mixtures) " trained at both" (rank) },
                }
                .draw(SIZE, |root| paint_pairs(root, size, &self.target))
            })
            .collect()
    }
}

fn paint_pairs(root: &Drawing<'_>, size: &SizeRow, target: &str) -> Drawn {
    let axes = Axes {
        x: range(size.pairs.iter().map(|pair| pair.0)),
        y: range(size.pairs.iter().map(|pair| pair.1)),
        x_label: &format!("at {}", shortened(&size.name)),
        y_label: &format!("at {}", shortened(target)),
        x_percent: false,
    };
    let mut chart = axes.draw(root)?;
    chart.draw_series(size.pairs.iter().map(|pair| Circle::new(*pair, 4, BLUE.filled())))?;
    Ok(())
}
