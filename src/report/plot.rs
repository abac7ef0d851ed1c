//! Pictures, as SVG.

use std::io;

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::text::number;

/// Regret of one strategy over its seeds.
#[derive(Clone, Debug)]
pub struct Series {
    /// Label.
    pub name: String,
    /// One band a cost of [`RegretPlot::costs`].
    pub bands: Vec<Band>,
}

/// Mean and spread over seeds at one cost.
#[derive(Clone, Copy, Debug)]
pub struct Band {
    /// Lower edge.
    pub low: f64,
    /// Mean.
    pub mean: f64,
    /// Upper edge.
    pub high: f64,
}

/// Regret against cumulative cost on a logarithmic axis: a line and a band per strategy.
#[derive(Clone, Debug)]
pub struct RegretPlot {
    /// Title.
    pub title: String,
    /// A line below the title: what lines and bands are.
    pub subtitle: String,
    /// Label of the cost axis.
    pub cost_label: String,
    /// Label of the regret axis.
    pub regret_label: String,
    /// Costs, positive and increasing, at least two.
    pub costs: Vec<f64>,
    /// Regret below which the best counts as found; drawn as a dashed line.
    pub tolerance: f64,
    /// The strategies; the first is drawn on top.
    pub series: Vec<Series>,
}

/// Okabe and Ito's palette: the hues stay apart for all common kinds of colour blindness.
const PALETTE: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(117, 117, 117),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];
const INK: RGBColor = RGBColor(45, 45, 45);
const FAINT: RGBColor = RGBColor(226, 226, 226);
pub(super) const SIZE: (u32, u32) = (860, 480);
const LABEL_GAP: i32 = 18;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, RangedCoordf64>>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// Draws the picture.
///
/// # Errors
/// A description of what the drawing library could not do.
pub fn regret_svg(plot: &RegretPlot) -> Result<String, String> {
    let mut svg = String::new();
    draw(plot, &SVGBackend::with_string(&mut svg, SIZE).into_drawing_area()).map_err(|error| error.to_string())?;
    Ok(svg)
}

pub(super) fn draw(plot: &RegretPlot, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
    root.fill(&WHITE)?;
    root.draw(&Text::new(plot.title.as_str(), (28, 18), font(20.0, INK)))?;
    root.draw(&Text::new(plot.subtitle.as_str(), (28, 46), font(13.0, PALETTE[2])))?;
    let (Some(&first), Some(&last)) = (plot.costs.first(), plot.costs.last()) else { return Ok(()) };
    let highest = plot.series.iter().flat_map(|s| &s.bands).map(|band| band.high).fold(4.0 * plot.tolerance, f64::max);
    let mut chart = ChartBuilder::on(root)
        .margin_top(72)
        .margin_left(14)
        .margin_bottom(10)
        .margin_right(130)
        .x_label_area_size(48)
        .y_label_area_size(54)
        .build_cartesian_2d((first..last).log_scale(), 0.0..1.05 * highest)?;
    plot.draw_axes(&mut chart)?;
    plot.draw_lines(&mut chart, (first, last))?;
    plot.draw_labels(&chart, root, (first, last))?;
    root.present()
}

impl RegretPlot {
    fn draw_axes(&self, chart: &mut Chart<'_, '_>) -> Drawn {
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(INK.mix(0.5))
            .x_desc(self.cost_label.as_str())
            .y_desc(self.regret_label.as_str())
            .axis_desc_style(font(14.0, INK))
            .label_style(font(13.0, INK))
            .x_label_formatter(&|cost| number(*cost, 3))
            .y_label_formatter(&|regret| number(*regret, 3))
            .y_labels(6)
            .draw()
    }

    /// The tolerance, and a band and a line per strategy, between the first and the last cost.
    fn draw_lines(&self, chart: &mut Chart<'_, '_>, (first, last): (f64, f64)) -> Drawn {
        chart.draw_series(DashedLineSeries::new(
            [(first, self.tolerance), (last, self.tolerance)],
            4,
            4,
            INK.mix(0.6).into(),
        ))?;
        let colored: Vec<(&Series, &RGBColor)> = self.colored().collect();
        for (series, color) in colored.iter().rev() {
            let upper = self.costs.iter().zip(&series.bands).map(|(cost, band)| (*cost, band.high));
            let lower = self.costs.iter().zip(&series.bands).map(|(cost, band)| (*cost, band.low));
            let outline: Vec<(f64, f64)> = upper.chain(lower.rev()).collect();
            chart.draw_series([Polygon::new(outline, color.mix(0.13))])?;
        }
        for (series, color) in colored.iter().rev() {
            let mean = self.costs.iter().zip(&series.bands).map(|(cost, band)| (*cost, band.mean));
            chart.draw_series(LineSeries::new(mean, color.stroke_width(2)))?;
        }
        Ok(())
    }

    /// Labels at the ends of the lines need no legend, but must be kept from covering each other.
    fn draw_labels(
        &self,
        chart: &Chart<'_, '_>,
        root: &DrawingArea<SVGBackend<'_>, Shift>,
        (first, last): (f64, f64),
    ) -> Drawn {
        let end = |series: &Series| chart.backend_coord(&(last, series.bands.last().map_or(0.0, |band| band.mean)));
        let ends: Vec<(i32, i32)> = self.series.iter().map(end).collect();
        let heights = spread(&ends.iter().map(|end| end.1).collect::<Vec<_>>(), chart.backend_coord(&(last, 0.0)).1);
        for (((series, color), (x, _)), y) in self.colored().zip(ends).zip(heights) {
            let style = font(14.0, *color).pos(Pos::new(HPos::Left, VPos::Center));
            root.draw(&Text::new(series.name.as_str(), (x + 8, y), style))?;
        }
        let (x, y) = chart.backend_coord(&(first, self.tolerance));
        let style = font(12.0, INK).pos(Pos::new(HPos::Left, VPos::Bottom));
        root.draw(&Text::new(format!("within {} sd of the best", number(self.tolerance, 3)), (x + 6, y - 2), style))
    }

    /// The strategies with their colours.
    fn colored(&self) -> impl Iterator<Item = (&Series, &RGBColor)> {
        self.series.iter().zip(PALETTE.iter().cycle())
    }
}

fn font(size: f64, color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color)
}

/// Vertical positions near `wanted`, at least [`LABEL_GAP`] apart, none below `bottom`.
fn spread(wanted: &[i32], bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(wanted[*i]));
    let mut placed = wanted.to_vec();
    let mut limit = bottom;
    for i in order {
        placed[i] = placed[i].min(limit);
        limit = placed[i] - LABEL_GAP;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_overlap() {
        assert_eq!(spread(&[100, 98, 20], 200), [100, 82, 20]);
        assert_eq!(spread(&[200, 200, 200], 200), [200, 182, 164]);
    }
}
