//! What was learned at what cost.

use maud::{Markup, html};
use plotters::prelude::*;

use super::figure::{BLUE, DrawError, Drawing, Drawn, FAINT, Figure, INK, ORANGE, SIZE, font, range};
use super::words::Uncertain;
use crate::report::number;

/// How the search went.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Name of the target fidelity.
    pub target: String,
    /// Whether larger objectives are better.
    pub maximize: bool,
    /// One a finished trial of the search, in order.
    pub steps: Vec<Step>,
}

/// A finished trial.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Cumulative cost, with this trial.
    pub cost: f64,
    /// The objective, where it was trained at the target and completed.
    pub measured: Option<f64>,
    /// What was expected of the recommendation before this trial.
    pub expected: Option<Uncertain>,
}

impl Progress {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        if self.steps.is_empty() {
            return Ok(html! { p { "No trial has finished yet." } });
        }
        let best = self.best();
        let description = best.last().map_or_else(
            || format!("Nothing was measured at {} yet.", self.target),
            |(cost, value)| {
                format!("The best measured at {} is {} at cost {}.", self.target, number(*value, 5), number(*cost, 4))
            },
        );
        Figure {
            id: "best-so-far",
            title: "Best so far",
            description: &description,
            caption: html! {
                "Dots: trials at " (self.target) "; " span.orange { "steps" } ": the best of them. "
                @if self.steps.iter().any(|s| s.expected.is_some()) {
                    span.blue { "Line and band" } ": what was expected of the recommendation at that time, ± one standard \
                    deviation; it also learns from smaller sizes."
                }
            },
        }
        .draw((2 * SIZE.0, SIZE.1), |root| self.paint(root, &best))
    }

    /// Cost and value whenever a trial at the target was better than all before.
    fn best(&self) -> Vec<(f64, f64)> {
        let mut best: Vec<(f64, f64)> = Vec::new();
        for (cost, value) in self.steps.iter().filter_map(|s| Some((s.cost, s.measured?))) {
            let better = |(_, b): &(f64, f64)| if self.maximize { value > *b } else { value < *b };
            if best.last().is_none_or(better) {
                best.push((cost, value));
            }
        }
        best
    }

    fn paint(&self, root: &Drawing<'_>, best: &[(f64, f64)]) -> Drawn {
        let end = self.steps.iter().map(|s| s.cost).fold(0.0, f64::max).max(1e-9);
        let expected: Vec<(f64, Uncertain)> = self.steps.iter().filter_map(|s| Some((s.cost, s.expected?))).collect();
        let measured = self.steps.iter().filter_map(|s| s.measured);
        let heights = range(measured.chain(expected.iter().flat_map(|(_, e)| [e.mean - e.sd, e.mean + e.sd])));
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..end * 1.02, heights)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(INK.mix(0.5))
            .x_desc("cost spent")
            .y_desc("objective")
            .axis_desc_style(font(14.0, INK))
            .label_style(font(13.0, INK))
            .x_label_formatter(&|x| number(*x, 3))
            .y_label_formatter(&|y| number(*y, 4))
            .y_labels(6)
            .draw()?;
        let upper = expected.iter().map(|(x, e)| (*x, e.mean + e.sd));
        let lower = expected.iter().rev().map(|(x, e)| (*x, e.mean - e.sd));
        chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BLUE.mix(0.18))])?;
        chart.draw_series(LineSeries::new(expected.iter().map(|(x, e)| (*x, e.mean)), BLUE.stroke_width(2)))?;
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for (cost, value) in best {
            steps.extend(steps.last().map(|(_, before)| (*cost, *before)));
            steps.push((*cost, *value));
        }
        steps.extend(steps.last().map(|(_, value)| (end, *value)));
        chart.draw_series(LineSeries::new(steps, ORANGE.stroke_width(2)))?;
        let dots = self.steps.iter().filter_map(|s| Some((s.cost, s.measured?)));
        chart.draw_series(dots.map(|at| Circle::new(at, 4, INK.filled())))?;
        Ok(())
    }
}
