//! Aligned tables for terminals.

use std::fmt;

use unicode_width::UnicodeWidthStr;

/// On which side of its column a cell sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
    /// Left, and first to go where there is little room: a picture of a number that is there too.
    Bar,
}

/// A table whose columns are as wide as their widest cell, measured in terminal columns (not bytes or characters).
///
/// ```
/// use admire::report::{Align, Table};
///
/// let mut table = Table::new([("domain", Align::Left), ("weight", Align::Right)]);
/// table.row(["web", "0.61"]);
/// table.row(["código", "0.39"]);
/// assert_eq!(table.to_string(), "domain  weight\nweb       0.61\ncódigo    0.39\n");
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles; the title row is printed first, aligned as its column.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        let (titles, align) = columns.into_iter().map(|(title, align)| (title.into(), align)).unzip();
        Self { align, rows: vec![titles] }
    }

    /// Adds a row. Cells that are missing are blank, cells past the last column are not printed.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl Table {
    /// The table in at most `width` terminal columns, as far as that can be had by leaving out bars and shortening the longest
    /// cells of a column of text.
    #[must_use]
    pub fn fitted(mut self, width: usize) -> Self {
        while let Some(bar) = self.align.iter().position(|a| *a == Align::Bar).filter(|_| self.width() > width) {
            self.align.remove(bar);
            self.rows.iter_mut().filter(|row| bar < row.len()).for_each(|row| drop(row.remove(bar)));
        }
        let (total, widths) = (self.width(), self.widths());
        let texts = (0..widths.len()).filter(|column| self.align[*column] == Align::Left);
        if let Some(column) = texts.max_by_key(|column| widths[*column]).filter(|_| total > width) {
            let room = widths[column].saturating_sub(total - width).max(LEAST);
            for row in &mut self.rows {
                if let Some(cell) = row.get_mut(column).filter(|cell| cell.width() > room) {
                    *cell = shortened(cell, room);
                }
            }
        }
        self
    }

    fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
    }

    fn widths(&self) -> Vec<usize> {
        let widest = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
        (0..self.align.len()).map(|column| widest(column).unwrap_or(0)).collect()
    }
}

/// Between two columns.
const GAP: &str = "  ";
/// No column is shortened below this.
const LEAST: usize = 8;

/// The start of `text` in `width` terminal columns, with an ellipsis.
fn shortened(text: &str, width: usize) -> String {
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if short.width() >= width {
            short.pop();
            break;
        }
    }
    short + "…"
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (align, width)) in self.align.iter().zip(&widths).enumerate() {
                let text = row.get(column).map_or("", String::as_str);
                let padding = " ".repeat(width - text.width());
                if column > 0 {
                    line.push_str(GAP);
                }
                match align {
                    Align::Left | Align::Bar => line.extend([text, &padding]),
                    Align::Right => line.extend([&padding, text]),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A horizontal bar for `fraction` (clamped to 0–1) of `width` terminal columns, exact to an eighth of a column.
#[must_use]
pub fn bar(fraction: f64, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
    let eighths = (fraction * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

/// Values as a line of characters, the smallest as the lowest: at most `width` of them, the last value of each part.
#[must_use]
pub fn sparkline(values: &[f64], width: usize) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = values.len().min(width);
    let last_of = |part: usize| values[(part + 1) * values.len() / shown - 1];
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(*y), h.max(*y)));
    let height = |y: f64| if high > low { ((y - low) / (high - low) * 7.0).round() as usize } else { 3 };
    (0..shown).map(|part| HEIGHTS[height(last_of(part))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_shows_the_last_value_of_each_part() {
        assert_eq!(sparkline(&[2.0, 1.5, 1.0], 9), "█▅▁");
        assert_eq!(sparkline(&[9.0, 8.0, 5.0, 4.0, 1.0], 2), "▇▁");
        assert_eq!((sparkline(&[], 3), sparkline(&[1.0, 1.0], 3)), (String::new(), "▄▄".into()));
    }

    #[test]
    fn columns_are_as_wide_as_they_look() {
        let mut table = Table::new([("name", Align::Left), ("x", Align::Right), ("note", Align::Left)]);
        table.row(["混合", "1.5", "wide characters"]);
        table.row(["ab", "-10"]);
        assert_eq!(table.to_string(), "name    x  note\n混合  1.5  wide characters\nab    -10\n");
    }

    #[test]
    fn long_names_give_way_where_there_is_little_room() {
        let mut table = Table::new([("name", Align::Left), ("weight", Align::Right)]);
        table.row(["a very long name of a domain", "0.5"]);
        table.row(["混合混合混合混合", "0.5"]);
        let fitted = table.clone().fitted(20).to_string();
        assert_eq!(fitted, "name          weight\na very long…     0.5\n混合混合混…      0.5\n");
        assert!(fitted.lines().all(|line| line.width() <= 20));
        assert_eq!(table.clone().fitted(80).to_string(), table.to_string());
        let mut bars = Table::new([("name", Align::Left), ("", Align::Bar), ("x", Align::Right)]);
        bars.row(["web".to_owned(), bar(1.0, 20), "1".to_owned()]);
        assert_eq!(bars.fitted(20).to_string(), "name  x\nweb   1\n");
        assert!(table.fitted(0).to_string().starts_with("name      weight\na very …"));
    }

    #[test]
    fn bars_end_at_an_eighth() {
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(0.53125, 4), "██▏");
        assert_eq!(bar(2.0, 3), "███");
        assert_eq!(bar(f64::NAN, 3), "");
    }
}
