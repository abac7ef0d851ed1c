//! What changing one weight does.

use maud::{Markup, html};
use plotters::prelude::*;

use super::figure::{Axes, BLUE, DrawError, Drawing, Drawn, Figure, GREY, INK, SIZE, band, range};
use super::ternary::Ternary;
use crate::text::{Uncertain, percent};

/// Effects of the weights on the objective at the target.
#[derive(Clone, Debug)]
pub struct Effects {
    /// Name of the target fidelity.
    pub target: String,
    /// Standard deviation of the noise of one run, in the objective's unit.
    pub noise: f64,
    /// One per domain.
    pub curves: Vec<EffectCurve>,
    /// The whole space, where there are three domains.
    pub ternary: Option<Ternary>,
}

/// The effect of one weight.
#[derive(Clone, Debug)]
pub struct EffectCurve {
    /// Name of the domain.
    pub domain: String,
    /// Its recommended weight.
    pub present: f64,
    /// Weights, ascending, each with the change of the objective against the recommendation.
    pub points: Vec<(f64, Uncertain)>,
}

impl Effects {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let edges = self.curves.iter().flat_map(|c| &c.points).flat_map(|(_, change)| {
            let (low, high) = change.interval();
            [low, high]
        });
        let heights = range(edges.chain([-2.0 * self.noise, 2.0 * self.noise]));
        let figures = self.curves.iter().enumerate().map(|(i, curve)| {
            Figure {
                id: &format!("effect-{i}"),
                title: &curve.domain,
                description: &curve.description(),
                caption: html! { "now " (percent(curve.present)) },
            }
            .draw(SIZE, |root| self.paint(root, curve, heights.clone()))
        });
        let figures = figures.collect::<Result<Vec<_>, _>>()?;
        let ternary = self.ternary.as_ref().map(Ternary::render).transpose()?;
        Ok(html! {
            p {
                "How the objective at " (self.target) " is expected to change when one weight moves from the "
                "recommendation and the other domains make room in proportion, as far as bounds allow. "
                span.blue { "Band" } ": 90 % interval of the change. Between the dashed lines a change is "
                "within the noise of one run. All pictures have the same vertical scale: where a curve is flat, the weight hardly matters."
            }
            div.figures { @for figure in figures { (figure) } }
            @if let Some(ternary) = ternary { (ternary) }
        })
    }

    fn paint(&self, root: &Drawing<'_>, curve: &EffectCurve, y: std::ops::Range<f64>) -> Drawn {
        let weights = curve.points.iter().map(|(weight, _)| *weight);
        let (low, high) = weights.fold((1.0, 0.0), |(l, h): (f64, f64), w| (l.min(w), h.max(w)));
        let x = if high - low > 1e-6 { low..high } else { low - 0.01..high + 0.01 };
        let mut chart =
            Axes { x: x.clone(), y: y.clone(), x_label: "weight (%)", y_label: "change of objective", x_percent: true }
                .draw(root)?;
        for level in [-self.noise, self.noise] {
            let ends = [(x.start, level), (x.end, level)];
            chart.draw_series(DashedLineSeries::new(ends, 4, 4, GREY.into()))?;
        }
        let edges: Vec<(f64, f64, f64)> = curve
            .points
            .iter()
            .map(|(weight, change)| {
                let (low, high) = change.interval();
                (*weight, low, high)
            })
            .collect();
        chart.draw_series([band(&edges, BLUE)])?;
        let mean = curve.points.iter().map(|(weight, change)| (*weight, change.mean));
        chart.draw_series(LineSeries::new(mean, BLUE.stroke_width(2)))?;
        chart.draw_series([Circle::new((curve.present, 0.0), 5, INK.filled())])?;
        Ok(())
    }
}

impl EffectCurve {
    fn description(&self) -> String {
        let end = |point: Option<&(f64, Uncertain)>| {
            point.map_or_else(String::new, |(weight, change)| {
                format!(" At {} it changes by {}.", percent(*weight), change.signed_mean())
            })
        };
        format!(
            "Expected change of the objective against the weight of {}, which is {} in the recommendation.{}{}",
            self.domain,
            percent(self.present),
            end(self.points.first()),
            end(self.points.last())
        )
    }
}
