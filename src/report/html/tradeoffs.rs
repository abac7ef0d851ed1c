//! How much of the gain there is for how much of a change.

use maud::{Markup, html};
use plotters::prelude::*;

use super::figure::{Axes, BLUE, DrawError, Drawing, Drawn, Figure, GREY, LARGE, band, range};
use crate::text::{Uncertain, number, percent};

/// Trade-offs of the recommendation.
#[derive(Clone, Debug)]
pub struct Tradeoffs {
    /// The mixture that gains are over.
    pub reference: String,
    /// One per thing that varies.
    pub curves: Vec<TradeoffCurve>,
}

/// The best objective as one thing varies.
#[derive(Clone, Debug)]
pub struct TradeoffCurve {
    /// What varies, in words.
    pub title: String,
    /// What its levels are called.
    pub levels: &'static str,
    /// Whether levels are shares of one.
    pub shares: bool,
    /// Levels, ascending, each with the gain over the reference.
    pub points: Vec<(f64, Uncertain)>,
    /// What there is to say about it.
    pub remark: Option<String>,
}

impl Tradeoffs {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let edges = self.curves.iter().flat_map(|c| &c.points).flat_map(|(_, gain)| {
            let (low, high) = gain.interval();
            [low, high]
        });
        let heights = range(edges.chain([0.0]));
        let drawn = self.curves.iter().enumerate().map(|(i, curve)| {
            Figure {
                id: &format!("tradeoff-{i}"),
                title: &curve.title,
                description: &curve.description(),
                caption: html! { @if let Some(remark) = &curve.remark { (remark) "." } },
            }
            .draw(LARGE, |root| curve.paint(root, heights.clone()))
        });
        let drawn = drawn.collect::<Result<Vec<_>, _>>()?;
        Ok(html! {
            p {
                "The gain over the " (self.reference) " mixture of the best mixture that each level allows, everything else as \
                in the study. " span.blue { "Band" } ": 90 % interval. Where the curve is nearly flat, less of the change would do."
            }
            div.figures { @for figure in drawn { (figure) } }
        })
    }
}

impl TradeoffCurve {
    fn description(&self) -> String {
        let points = self.points.iter().map(|(level, gain)| {
            let level = if self.shares { percent(*level) } else { number(*level, 3) };
            format!("{} at {level}", gain.signed_mean())
        });
        format!("Expected gain by {}: {}.", self.levels, points.collect::<Vec<_>>().join(", "))
    }

    fn paint(&self, root: &Drawing<'_>, y: std::ops::Range<f64>) -> Drawn {
        let end = self.points.last().map_or(1.0, |(level, _)| level.max(1e-9));
        let x_label = if self.shares { format!("{} (%)", self.levels) } else { self.levels.to_owned() };
        let axes = Axes { x: 0.0..end, y, x_label: &x_label, y_label: "gain", x_percent: self.shares };
        let mut chart = axes.draw(root)?;
        chart.draw_series(DashedLineSeries::new([(0.0, 0.0), (end, 0.0)], 4, 4, GREY.into()))?;
        let edge = |(level, gain): &(f64, Uncertain)| {
            let (low, high) = gain.interval();
            (*level, low, high)
        };
        chart.draw_series([band(&self.points.iter().map(edge).collect::<Vec<_>>(), BLUE)])?;
        let mean = self.points.iter().map(|(level, gain)| (*level, gain.mean));
        chart.draw_series(LineSeries::new(mean, BLUE.stroke_width(2)))?;
        Ok(())
    }
}
