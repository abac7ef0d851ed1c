//! Pictures of the page: drawn by `plotters` in fixed colours, which the style sheet replaces by those of its theme.

use std::io;
use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::text::number;

/// What the drawing library could not do.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a picture of the report: {0}")]
pub struct DrawError(String);

pub(super) type Drawing<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = DrawingAreaErrorKind<io::Error>;
pub(super) type Drawn = Result<(), Failed>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

// Names of colours rather than colours: `style.css` maps each of them, light and dark.
pub(super) const INK: RGBColor = RGBColor(45, 45, 45);
pub(super) const FAINT: RGBColor = RGBColor(226, 226, 226);
pub(super) const GREY: RGBColor = RGBColor(117, 117, 117);
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const ORANGE: RGBColor = RGBColor(213, 94, 0);

/// Of pictures in a row, and of those that stand alone. On a telephone both become about 340 wide, with their labels.
pub(super) const SIZE: (u32, u32) = (400, 280);
pub(super) const LARGE: (u32, u32) = (520, 300);

/// A picture with its title and what one sees on it, for those who do not see it; and a caption for everybody.
pub(super) struct Figure<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub description: &'a str,
    pub caption: Markup,
}

impl Figure<'_> {
    pub fn draw(&self, size: (u32, u32), paint: impl FnOnce(&Drawing<'_>) -> Drawn) -> Result<Markup, DrawError> {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            paint(&root).and_then(|()| root.present()).map_err(|e| DrawError(e.to_string()))?;
        }
        // The element's own start goes: it has a size in pixels, and no name.
        let (_, content) = svg.split_once('>').ok_or_else(|| DrawError("no picture".into()))?;
        let content = content.rsplit_once("</svg>").map_or(content, |(content, _)| content);
        let (title, description) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        Ok(html! {
            figure {
                svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox={ "0 0 " (size.0) " " (size.1) }
                    aria-labelledby={ (title) " " (description) } {
                    title id=(title) { (self.title) }
                    desc id=(description) { (self.description) }
                    (PreEscaped(content))
                }
                figcaption { strong { (self.title) } " " (self.caption) }
            }
        })
    }
}

/// What a chart is drawn in.
pub(super) struct Axes<'a> {
    pub x: Range<f64>,
    pub y: Range<f64>,
    pub x_label: &'a str,
    pub y_label: &'a str,
    /// Whether the horizontal axis is a share of one, to be shown in percent.
    pub x_percent: bool,
}

impl Axes<'_> {
    /// Draws the axes; what is drawn next goes between them.
    pub fn draw<'a, 'b>(&self, root: &'a Drawing<'b>) -> Result<Chart<'a, 'b>, Failed> {
        let (x_digits, y_digits) = (digits(&self.x), digits(&self.y));
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .margin_right(20)
            .x_label_area_size(44)
            // The axis's own label, and those of its ticks: so many digits, a sign and a point.
            .y_label_area_size(24 + 8 * (y_digits as u32 + 2))
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let x_unit = if self.x_percent { 100.0 } else { 1.0 };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(INK.mix(0.5))
            .x_desc(self.x_label)
            .y_desc(self.y_label)
            .axis_desc_style(font(14.0, INK))
            .label_style(font(13.0, INK))
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|x| number(x_unit * x, x_digits))
            .y_label_formatter(&|y| number(*y, y_digits))
            .draw()?;
        Ok(chart)
    }
}

/// Digits that tell the labels of an axis apart.
fn digits(range: &Range<f64>) -> usize {
    let largest = range.start.abs().max(range.end.abs());
    ((largest / (range.end - range.start)).log10().floor().max(0.0) as usize + 3).min(9)
}

/// The area between two lines over the same places: place, lower and upper edge.
pub(super) fn band(edges: &[(f64, f64, f64)], color: RGBColor) -> Polygon<(f64, f64)> {
    let upper = edges.iter().map(|(x, _, high)| (*x, *high));
    let lower = edges.iter().rev().map(|(x, low, _)| (*x, *low));
    Polygon::new(upper.chain(lower).collect::<Vec<_>>(), color.mix(0.18))
}

/// Text of a size in pixels.
pub(super) fn font(size: f64, color: RGBColor) -> TextStyle<'static> {
    // The library takes the height of a line, 1.24 times the size.
    ("sans-serif", size * 1.24).into_font().color(&color)
}

/// A name that fits into a picture.
pub(super) fn shortened(name: &str) -> String {
    const LONGEST: usize = 22;
    if name.chars().count() <= LONGEST {
        name.to_owned()
    } else {
        name.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

/// The smallest range with a margin that has all of `values`; never empty.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> Range<f64> {
    let finite = values.into_iter().filter(|x| x.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = if high > low { 0.06 * (high - low) } else { (0.05 * high.abs()).max(1e-6) };
    low - margin..high + margin
}
