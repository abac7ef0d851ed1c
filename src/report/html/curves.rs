//! What trials reported on their way.

use maud::{Markup, html};
use plotters::prelude::*;

use super::figure::{Axes, BLUE, DrawError, Drawing, Drawn, Figure, GREY, LARGE, ORANGE, range};
use crate::text::{counted, number};

/// Curves of trials.
#[derive(Clone, Debug)]
pub struct Curves {
    /// One per fidelity that has any.
    pub sizes: Vec<SizeCurves>,
}

/// Curves at one fidelity.
#[derive(Clone, Debug)]
pub struct SizeCurves {
    /// Name of the fidelity.
    pub name: String,
    /// What places are counted in: `tokens`, `steps`.
    pub unit: &'static str,
    /// One per trial.
    pub curves: Vec<Curve>,
}

/// The curve of a trial.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Number of the trial.
    pub trial: String,
    /// What has become of the trial.
    pub fate: Fate,
    /// How far the run was, and the objective there.
    pub points: Vec<(f64, f64)>,
}

/// What has become of a trial, as far as its curve is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has not finished.
    UnderWay,
    /// It came to its end.
    Complete,
    /// It ended before that.
    EndedBefore,
}

impl Fate {
    fn color(self) -> RGBColor {
        match self {
            Self::UnderWay => BLUE,
            Self::Complete => GREY,
            Self::EndedBefore => ORANGE,
        }
    }
}

impl Curves {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let drawn = self.sizes.iter().enumerate().map(|(i, size)| size.draw(i)).collect::<Result<Vec<_>, _>>()?;
        Ok(html! {
            p {
                "The objective as trials reported it on their way. Grey: complete; " span.blue { "blue" } ": under way; "
                span.orange { "orange" } ": ended before they were complete."
            }
            div.figures { @for figure in drawn { (figure) } }
        })
    }
}

impl SizeCurves {
    fn draw(&self, place: usize) -> Result<Markup, DrawError> {
        let last = |curve: &Curve| {
            let (at, objective) = curve.points.last()?;
            let (trial, at) = (&curve.trial, number(*at, 4));
            Some(format!("trial {trial} came to {} at {at} {}", number(*objective, 4), self.unit))
        };
        let lasts: Vec<String> = self.curves.iter().filter_map(last).collect();
        let figure = Figure {
            id: &format!("curves-{place}"),
            title: &self.name,
            description: &format!("Objective by {}: {}.", self.unit, lasts.join(", ")),
            caption: html! { (counted(self.curves.len(), "trial")) },
        };
        figure.draw(LARGE, |root| self.paint(root))
    }

    fn paint(&self, root: &Drawing<'_>) -> Drawn {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let end = points().map(|(x, _)| *x).fold(0.0, f64::max).max(1e-9);
        let y = range(points().map(|(_, y)| *y));
        let axes = Axes { x: 0.0..end, y, x_label: self.unit, y_label: "objective", x_percent: false };
        let mut chart = axes.draw(root)?;
        // What is under way is what one looks for: it is drawn last.
        for fate in [Fate::Complete, Fate::EndedBefore, Fate::UnderWay] {
            for curve in self.curves.iter().filter(|curve| curve.fate == fate) {
                chart.draw_series(LineSeries::new(curve.points.iter().copied(), fate.color().stroke_width(1)))?;
                let end = curve.points.last().map(|at| Circle::new(*at, 2, fate.color().filled()));
                chart.draw_series(end)?;
            }
        }
        Ok(())
    }
}
