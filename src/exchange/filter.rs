//! Which rows of a file are runs that are wanted.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::table::{InputFile, Table};
use crate::input::number;
use crate::runs::LogError;
use crate::text::hint;

/// So many values of a column are listed where none is the one asked for.
const MOST_LISTED: usize = 10;

/// One condition: only rows whose `column` is `value`. Several values of one column are alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Where {
    column: String,
    value: String,
}

impl FromStr for Where {
    type Err = String;

    /// Reads `COLUMN=VALUE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (column, value) = text.split_once('=').ok_or("expected COLUMN=VALUE, such as state=finished")?;
        Ok(Self { column: column.trim().to_owned(), value: value.trim().to_owned() })
    }
}

impl Where {
    /// Whether a cell is the value, as text or as a number.
    fn holds(&self, cell: &str) -> bool {
        cell == self.value || number(cell).is_some_and(|x| number(&self.value) == Some(x))
    }
}

/// The tables of files that belong together, with the rows that meet the conditions; and how many do not. A condition is about
/// every file that has its column.
///
/// # Errors
/// A file that is no CSV, a column that no file has, a file without such rows.
pub(super) fn tables(files: &[InputFile], conditions: &[Where]) -> Result<(Vec<Table>, usize), LogError> {
    let mut tables = files.iter().map(Table::read).collect::<Result<Vec<_>, _>>()?;
    let columns: BTreeSet<&str> = conditions.iter().map(|condition| condition.column.as_str()).collect();
    let mut left_out = 0;
    for column in columns {
        let mut found = false;
        for table in &mut tables {
            let Some(place) = table.column(column) else { continue };
            let values: Vec<&Where> = conditions.iter().filter(|condition| condition.column == column).collect();
            let (kept, others): (Vec<_>, Vec<_>) = std::mem::take(&mut table.rows)
                .into_iter()
                .partition(|row| values.iter().any(|v| v.holds(&row[place])));
            if kept.is_empty() {
                let there: BTreeSet<&str> = others.iter().map(|row| &row[place]).collect();
                let there: Vec<&str> = there.into_iter().take(MOST_LISTED).collect();
                let wanted: Vec<&str> = values.iter().map(|condition| condition.value.as_str()).collect();
                let (wanted, there) = (wanted.join(" or "), there.join(", "));
                return Err(table.wrong(format!("no row has {column}={wanted}; there are {there}")));
            }
            (found, left_out) = (true, left_out + others.len());
            table.rows = kept;
        }
        if let (false, Some(first)) = (found, tables.first()) {
            let known = tables.iter().flat_map(|table| table.header.iter().map(String::as_str));
            return Err(first.wrong(format!("no column is called \"{column}\" (--where); {}", hint(column, known))));
        }
    }
    Ok((tables, left_out))
}
