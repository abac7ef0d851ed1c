//! What was learned at what cost.

use std::ops::Range;

use maud::{Markup, html};
use plotters::prelude::*;

use super::figure::{Axes, BLUE, DrawError, Drawing, Drawn, Figure, INK, LARGE, ORANGE, band, range};
use crate::text::{Uncertain, number};

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

/// What a picture shows of the search.
struct View {
    x: Range<f64>,
    y: Range<f64>,
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
        let all = Figure {
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
        };
        let last = Figure {
            id: "last-tenth",
            title: "The last tenth",
            description: "The end of the search, on an axis of its own.",
            caption: html! { "of the improvement: the same from where the best so far came that near to where it ended" },
        };
        let all = all.draw(LARGE, |root| self.paint(root, &self.whole(), &best))?;
        let last = self.last_tenth(&best).map(|view| last.draw(LARGE, |root| self.paint(root, &view, &best)));
        let last = last.transpose()?;
        Ok(html! { div.pair { (all) @if let Some(last) = last { (last) } } })
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

    /// What was expected, after the cost `start`.
    fn expected(&self, start: f64) -> impl Iterator<Item = (f64, Uncertain)> {
        self.steps.iter().filter(move |s| s.cost >= start).filter_map(|s| Some((s.cost, s.expected?)))
    }

    fn end(&self) -> f64 {
        self.steps.iter().map(|s| s.cost).fold(0.0, f64::max).max(1e-9) * 1.02
    }

    /// All trials. The band is wide at first; what was measured and expected is what one wants to see.
    fn whole(&self) -> View {
        let measured = self.steps.iter().filter_map(|s| s.measured);
        let last = self.expected(0.0).last().into_iter().flat_map(|(_, e)| [e.mean - 2.0 * e.sd, e.mean + 2.0 * e.sd]);
        View { x: 0.0..self.end(), y: range(measured.chain(self.expected(0.0).map(|(_, e)| e.mean)).chain(last)) }
    }

    /// From where the best so far was within a tenth of all improvement of its last value; `None` where that is all of it.
    fn last_tenth(&self, best: &[(f64, f64)]) -> Option<View> {
        let ((_, first), (_, last)) = (best.first()?, best.last()?);
        let near = best.iter().position(|(_, value)| (value - last).abs() <= 0.1 * (first - last).abs())?;
        let start = best[near].0;
        let seen = best[near..].iter().map(|(_, value)| *value).chain(self.expected(start).map(|(_, e)| e.mean));
        (near > 0).then(|| View { x: start..self.end(), y: range(seen) })
    }

    fn paint(&self, root: &Drawing<'_>, View { x, y }: &View, best: &[(f64, f64)]) -> Drawn {
        let expected: Vec<(f64, Uncertain)> = self.expected(x.start).collect();
        let inside = |v: f64| v.clamp(y.start, y.end);
        let edges: Vec<(f64, f64, f64)> =
            expected.iter().map(|(x, e)| (*x, inside(e.mean - e.sd), inside(e.mean + e.sd))).collect();
        let axes = Axes { x: x.clone(), y: y.clone(), x_label: "cost spent", y_label: "objective", x_percent: false };
        let mut chart = axes.draw(root)?;
        chart.draw_series([band(&edges, BLUE)])?;
        chart.draw_series(LineSeries::new(expected.iter().map(|(x, e)| (*x, e.mean)), BLUE.stroke_width(2)))?;
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for (cost, value) in best.iter().filter(|(cost, _)| *cost >= x.start) {
            steps.extend(steps.last().map(|(_, before)| (*cost, *before)));
            steps.push((*cost, *value));
        }
        steps.extend(steps.last().map(|(_, value)| (x.end / 1.02, *value)));
        chart.draw_series(LineSeries::new(steps, ORANGE.stroke_width(2)))?;
        let dots = self.steps.iter().filter_map(|s| Some((s.cost, s.measured?)));
        let dots = dots.filter(|(cost, value)| *cost >= x.start && (y.start..=y.end).contains(value));
        chart.draw_series(dots.map(|at| Circle::new(at, 4, INK.filled())))?;
        Ok(())
    }
}
