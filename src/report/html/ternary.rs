//! Three domains: the whole space at a glance.

use maud::{Markup, html};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figure::{BLUE, DrawError, Drawing, Drawn, Figure, INK, ORANGE, font, shortened};
use crate::text::{number, percent};

/// Side of the picture.
const SIDE: u32 = 480;

/// The objective over all mixtures of three domains.
#[derive(Clone, Debug)]
pub struct Ternary {
    /// Names of the domains.
    pub domains: [String; 3],
    /// Whether larger objectives are better.
    pub maximize: bool,
    /// Feasible parts of the space with the objective expected there.
    pub cells: Vec<Cell>,
    /// Mixtures of trials, and whether they were trained at the target.
    pub trials: Vec<([f64; 3], bool)>,
    /// The recommended mixture.
    pub recommended: [f64; 3],
}

/// A small triangle of mixtures.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its corners.
    pub corners: [[f64; 3]; 3],
    /// The objective expected in its middle.
    pub expected: f64,
}

impl Ternary {
    pub(super) fn render(&self) -> Result<Markup, DrawError> {
        let weights: Vec<String> =
            self.domains.iter().zip(self.recommended).map(|(name, w)| format!("{name} {}", percent(w))).collect();
        let values = || self.cells.iter().map(|cell| cell.expected);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let (best, worst) = if self.maximize { (high, low) } else { (low, high) };
        let figure = Figure {
            id: "ternary",
            title: "All mixtures",
            description: &format!(
                "Every mixture is a point of a triangle; at a corner it is one domain alone. The expected objective is \
                 best, {}, where the colour is strongest. The recommendation is {}.",
                number(best, 4),
                weights.join(", ")
            ),
            caption: html! {
                "the stronger the colour, the better the expected objective (" (number(worst, 4)) " to "
                (number(best, 4))
                "). Filled dots: trials at the target; rings: at other sizes; " span.orange { "cross" } ": recommended."
            },
        };
        let drawn = figure.draw((SIDE, SIDE * 9 / 10), |root| self.paint(root, best, worst))?;
        Ok(html! { div.single id="ternary-figure" { (drawn) } })
    }

    fn paint(&self, root: &Drawing<'_>, best: f64, worst: f64) -> Drawn {
        let span = best - worst;
        for cell in &self.cells {
            // The square tells good mixtures apart, which is what one looks for.
            let share = if span == 0.0 { 0.0 } else { ((cell.expected - worst) / span).powi(2) };
            let color = BLUE.mix(0.04 + 0.82 * share);
            root.draw(&Polygon::new(cell.corners.map(place).to_vec(), color))?;
        }
        let corners = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(place);
        let outline: Vec<(i32, i32)> = corners.iter().chain(corners.first()).copied().collect();
        root.draw(&PathElement::new(outline, INK.stroke_width(1)))?;
        for (weights, target) in &self.trials {
            let style = if *target { INK.filled() } else { INK.stroke_width(1) };
            root.draw(&Circle::new(place(*weights), 4, style))?;
        }
        root.draw(&Cross::new(place(self.recommended), 9, ORANGE.stroke_width(4)))?;
        let positions = [
            (HPos::Center, VPos::Bottom, (0, -8)),
            (HPos::Left, VPos::Top, (-30, 10)),
            (HPos::Right, VPos::Top, (30, 10)),
        ];
        for ((name, (x, y)), (horizontal, vertical, (dx, dy))) in self.domains.iter().zip(corners).zip(positions) {
            let style = font(15.0, INK).pos(Pos::new(horizontal, vertical));
            root.draw(&Text::new(shortened(name), (x + dx, y + dy), style))?;
        }
        Ok(())
    }
}

/// The first domain is on top, the second on the left, the third on the right.
fn place(weights: [f64; 3]) -> (i32, i32) {
    let (side, height) = (f64::from(SIDE) - 90.0, (f64::from(SIDE) - 90.0) * 0.866);
    let x = 45.0 + side * (weights[2] + 0.5 * weights[0]);
    let y = 40.0 + height * (1.0 - weights[0]);
    (x.round() as i32, y.round() as i32)
}
