//! What was expected of trials before they ran, against what they measured.

use maud::{Markup, html};
use plotters::prelude::*;

use super::figure::{Axes, BLUE, DrawError, Drawing, Drawn, Figure, GREY, ORANGE, SIZE, range};
use crate::text::{Uncertain, counted, number};

/// The record of a study: trials that were predicted before they ran.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// What it says about the intervals that are stated, without the full stop.
    pub judgement: String,
    /// Whether larger objectives are better.
    pub maximize: bool,
    /// One per fidelity that has such trials, cheapest first.
    pub sizes: Vec<SizeRecord>,
    /// All of them.
    pub all: Option<CoverageRow>,
    /// How many trials cannot be shown because an earlier version did not record their noise.
    pub unknown: usize,
}

/// The trials at one fidelity.
#[derive(Clone, Debug)]
pub struct SizeRecord {
    /// How often intervals held the measurement.
    pub coverage: CoverageRow,
    /// What was expected, noise included, and what was measured.
    pub runs: Vec<(Uncertain, f64)>,
}

/// How often intervals of some trials held the measurement, and how large errors were.
#[derive(Clone, Debug)]
pub struct CoverageRow {
    /// Which trials.
    pub name: String,
    /// How many.
    pub trials: usize,
    /// How many were inside their central 50 % interval.
    pub inside_50: usize,
    /// How many were inside their central 90 % interval.
    pub inside_90: usize,
    /// Mean of measured − expected, in standard deviations.
    pub mean_error: f64,
    /// Root mean square of the same.
    pub rms_error: f64,
}

impl Calibration {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let figures = self.sizes.iter().enumerate().map(|(i, size)| size.figure(i)).collect::<Result<Vec<_>, _>>()?;
        Ok(html! {
            p { strong { (capitalized(&self.judgement)) "." } }
            p {
                "Every trial that the model knew enough to predict, with what was expected of it when it was suggested: this is "
                "the record of the study, and no model is fitted for it. Of an honest model, half of the trials are inside "
                "their 50 % intervals and nine of ten inside their 90 % intervals."
            }
            @if self.unknown > 0 {
                p.note {
                    (counted(self.unknown, "trial")) " of an earlier version of admire cannot be shown: it did not record the noise that "
                    "it expected."
                }
            }
            @if let Some(all) = &self.all { (self.table(all)) }
            @if !figures.is_empty() { div.figures { @for figure in figures { (figure) } } }
        })
    }

    fn table(&self, all: &CoverageRow) -> Markup {
        let single = self.sizes.iter().map(|size| &size.coverage);
        let rows: Vec<&CoverageRow> = single.chain((self.sizes.len() > 1).then_some(all)).collect();
        html! {
            div.scroll {
                table {
                    caption { "Trials predicted before they ran" }
                    thead {
                        tr {
                            th scope="col" { "Size" }
                            @for title in ["Trials", "Inside 50 %", "Inside 90 %", "Mean error", "Typical error"] {
                                th.number scope="col" { (title) }
                            }
                        }
                    }
                    tbody { @for row in rows { (row.render()) } }
                }
            }
            p.note {
                "Errors: measured − expected, in standard deviations of the prediction. Mean: above 0, trials were "
                @if self.maximize { "better" } @else { "worse" } " than expected. Typical: root mean square; 1 where the standard "
                "deviations are right."
            }
        }
    }
}

impl CoverageRow {
    fn render(&self) -> Markup {
        let share = |inside: usize| format!("{inside} ({:.0} %)", 100.0 * inside as f64 / self.trials as f64);
        html! {
            tr {
                th scope="row" { (self.name) }
                td.number { (self.trials) }
                td.number { (share(self.inside_50)) }
                td.number { (share(self.inside_90)) }
                td.number { (number(self.mean_error, 2).replace('-', "−")) }
                td.number { (number(self.rms_error, 2)) }
            }
        }
    }
}

impl SizeRecord {
    fn figure(&self, i: usize) -> Result<Markup, DrawError> {
        let CoverageRow { name, trials, inside_90, .. } = &self.coverage;
        Figure {
            id: &format!("foretold-{i}"),
            title: &format!("Predicted at {name}"),
            description: &format!(
                "Measured against expected objective of {}; {inside_90} inside their 90 % intervals.",
                counted(*trials, "trial"),
            ),
            caption: html! {
                "measured against expected, with 90 % intervals; on the line they are equal"
                @if inside_90 < trials { "; " span.orange { "orange" } ": outside the interval" }
            },
        }
        .draw(SIZE, |root| self.paint(root))
    }

    fn paint(&self, root: &Drawing<'_>) -> Drawn {
        let both = range(self.runs.iter().flat_map(|(expected, measured)| [expected.mean, *measured]));
        let axes =
            Axes { x: both.clone(), y: both.clone(), x_label: "expected", y_label: "measured", x_percent: false };
        let mut chart = axes.draw(root)?;
        chart.draw_series(DashedLineSeries::new(
            [(both.start, both.start), (both.end, both.end)],
            4,
            4,
            GREY.into(),
        ))?;
        let color = |(expected, measured): &(Uncertain, f64)| {
            let (low, high) = expected.interval();
            if (low..=high).contains(measured) { BLUE } else { ORANGE }
        };
        let inside = |x: f64| x.clamp(both.start, both.end);
        chart.draw_series(self.runs.iter().map(|run| {
            let ((low, high), measured) = (run.0.interval(), run.1);
            PathElement::new([(inside(low), measured), (inside(high), measured)], color(run).mix(0.35).stroke_width(2))
        }))?;
        chart.draw_series(self.runs.iter().map(|run| Circle::new((run.0.mean, run.1), 4, color(run).filled())))?;
        Ok(())
    }
}

fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
