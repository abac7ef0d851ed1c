//! How far the model can be trusted.

use maud::{Markup, html};
use plotters::prelude::*;

use super::bar::bar;
use super::figure::{Axes, BLUE, DrawError, Drawing, Drawn, Figure, GREY, INK, SIZE, range, shortened};
use crate::text::{Uncertain, counted, fixed, number};

/// The model, against the runs it was made from.
#[derive(Clone, Debug)]
pub struct Model {
    /// Name of the target fidelity.
    pub target: String,
    /// One per fidelity, cheapest first.
    pub sizes: Vec<SizeModel>,
}

/// One fidelity.
#[derive(Clone, Debug)]
pub struct SizeModel {
    /// Name.
    pub name: String,
    /// Correlation of its noise-free objective, over mixtures, with the target's.
    pub correlation: f64,
    /// Information about the target per unit cost of a run, as a multiple of that of a target run.
    pub worth: Option<f64>,
    /// How many runs it has.
    pub trained: usize,
    /// Those that the model knows, each predicted from all the others that it knows.
    pub runs: Vec<LeftOut>,
    /// Of mixtures trained both here and at the target: the mean objective here and there.
    pub pairs: Vec<(f64, f64)>,
    /// Rank correlation of these pairs.
    pub rank: Option<f64>,
}

/// A run, predicted from all the others.
#[derive(Clone, Copy, Debug)]
pub struct LeftOut {
    /// What was measured.
    pub measured: f64,
    /// What was to be expected, noise included.
    pub predicted: Uncertain,
    /// The share of the smallest central interval of the prediction that has the measurement.
    pub share: f64,
}

impl Model {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let (pairs, figures) = (self.pairs()?, self.figures()?);
        let known: usize = self.sizes.iter().map(|size| size.runs.len()).sum();
        let trained: usize = self.sizes.iter().map(|size| size.trained).sum();
        Ok(html! {
            h3 { "Do small sizes speak for the target?" }
            (self.agreement())
            @if !pairs.is_empty() { div.figures { @for figure in pairs { (figure) } } }
            h3 { "Does it predict runs that it has not seen?" }
            @if known < trained {
                p { "The model knows " (known) " of the " (trained) " runs; what follows is about those." }
            }
            p {
                "Every run is left out in turn and predicted from the others. If the model is honest, half of "
                "the runs are inside their 50 % interval and nine of ten inside their 90 % interval; far fewer means "
                "that it is too sure of itself."
            }
            (self.calibration())
            div.figures { @for figure in figures { (figure) } }
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

    fn calibration(&self) -> Markup {
        let all: Vec<LeftOut> = self.sizes.iter().flat_map(|s| s.runs.iter().copied()).collect();
        let row = |name: &str, runs: &[LeftOut]| {
            html! {
                tr {
                    th scope="row" { (name) }
                    td.number { (runs.len()) }
                    td.number { (inside(runs, 0.5)) }
                    td.number { (inside(runs, 0.9)) }
                    td.number { (number(typical_error(runs), 2)) }
                }
            }
        };
        html! {
            div.scroll {
                table {
                    caption { "Runs predicted from the others" }
                    thead {
                        tr {
                            th scope="col" { "Size" }
                            th.number scope="col" { "Runs" }
                            th.number scope="col" { "Inside 50 %" }
                            th.number scope="col" { "Inside 90 %" }
                            th.number scope="col" { "Typical error" }
                        }
                    }
                    tbody {
                        @for size in self.sizes.iter().filter(|s| !s.runs.is_empty()) { (row(&size.name, &size.runs)) }
                        (row("all", &all))
                    }
                }
            }
        }
    }

    fn figures(&self) -> Result<Vec<Markup>, DrawError> {
        let sizes = self.sizes.iter().enumerate().filter(|(_, size)| size.runs.len() > 1);
        let scatter = sizes.map(|(i, size)| {
            Figure {
                id: &format!("left-out-{i}"),
                title: &format!("Left out at {}", size.name),
                description: &format!(
                    "Measured against predicted objective of {}; {} inside their 90 % intervals.",
                    counted(size.runs.len(), "run"),
                    inside(&size.runs, 0.9)
                ),
                caption: html! { "measured against predicted, with 90 % intervals; on the line they are equal" },
            }
            .draw(SIZE, |root| size.paint(root))
        });
        let mut figures = scatter.collect::<Result<Vec<_>, _>>()?;
        let mut shares: Vec<f64> = self.sizes.iter().flat_map(|s| &s.runs).map(|run| run.share).collect();
        shares.sort_by(f64::total_cmp);
        if shares.len() > 1 {
            let figure = Figure {
                id: "calibration",
                title: "Calibration",
                description: "Share of runs inside the central interval of their prediction, against its nominal share.",
                caption: html! {
                    "share of runs inside their interval, for intervals of every width; above the line the "
                    "model is cautious, below it too sure"
                },
            };
            figures.push(figure.draw(SIZE, |root| paint_shares(root, &shares))?);
        }
        Ok(figures)
    }
}

impl SizeModel {
    fn paint(&self, root: &Drawing<'_>) -> Drawn {
        let values = self.runs.iter().flat_map(|run| [run.measured, run.predicted.mean]);
        let both = range(values);
        let axes =
            Axes { x: both.clone(), y: both.clone(), x_label: "predicted", y_label: "measured", x_percent: false };
        let mut chart = axes.draw(root)?;
        chart.draw_series(DashedLineSeries::new(
            [(both.start, both.start), (both.end, both.end)],
            4,
            4,
            GREY.into(),
        ))?;
        let inside = |x: f64| x.clamp(both.start, both.end);
        chart.draw_series(self.runs.iter().map(|run| {
            let (low, high) = run.predicted.interval();
            PathElement::new(
                [(inside(low), run.measured), (inside(high), run.measured)],
                BLUE.mix(0.35).stroke_width(2),
            )
        }))?;
        chart.draw_series(self.runs.iter().map(|r| Circle::new((r.predicted.mean, r.measured), 4, BLUE.filled())))?;
        Ok(())
    }
}

fn paint_pairs(root: &Drawing<'_>, size: &SizeModel, target: &str) -> Drawn {
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

/// The shares, sorted, as a distribution function.
fn paint_shares(root: &Drawing<'_>, shares: &[f64]) -> Drawn {
    let axes = Axes {
        x: 0.0..1.0,
        y: 0.0..1.02,
        x_label: "width of the interval (%)",
        y_label: "share of runs inside",
        x_percent: true,
    };
    let mut chart = axes.draw(root)?;
    chart.draw_series(DashedLineSeries::new([(0.0, 0.0), (1.0, 1.0)], 4, 4, GREY.into()))?;
    let n = shares.len() as f64;
    let steps = shares.iter().enumerate().flat_map(|(i, share)| [(*share, i as f64 / n), (*share, (i + 1) as f64 / n)]);
    let line = std::iter::once((0.0, 0.0)).chain(steps).chain([(1.0, 1.0)]);
    chart.draw_series(LineSeries::new(line, BLUE.stroke_width(2)))?;
    chart.draw_series([0.5, 0.9].map(|p| Circle::new((p, share_inside(shares, p)), 4, INK.filled())))?;
    Ok(())
}

fn share_inside(shares: &[f64], p: f64) -> f64 {
    shares.iter().filter(|share| **share <= p).count() as f64 / shares.len() as f64
}

fn inside(runs: &[LeftOut], p: f64) -> String {
    let shares: Vec<f64> = runs.iter().map(|run| run.share).collect();
    format!("{:.0} %", 100.0 * share_inside(&shares, p))
}

/// Root mean square of the errors.
fn typical_error(runs: &[LeftOut]) -> f64 {
    let squares: f64 = runs.iter().map(|run| (run.measured - run.predicted.mean).powi(2)).sum();
    (squares / runs.len() as f64).sqrt()
}
