//! CSV files of anybody: wide (one row per run) and long (one row per run and weight or metric).

use std::collections::HashMap;

use csv::StringRecord;

use super::columns::{ColumnMap, Rule};
use super::table::{Part, SIZES, Table, identity};
use crate::runs::{LogError, is_state};

/// The columns of logged runs, under their own names.
const LOGGED: [(&str, &str); 7] = [
    ("run_id", "run_id"),
    ("fidelity", "fidelity"),
    ("params", "params"),
    ("tokens", "tokens"),
    ("cost", "cost"),
    ("w:*", "w:*"),
    ("y:*", "y:*"),
];

/// Reads one row per run.
pub(super) fn wide(table: Table, rules: &[Rule]) -> Part {
    table.rename(&ColumnMap::new(rules, &LOGGED))
}

/// Reads one row per run and quantity: its columns `name` and `value` say what and how much; the others are the run's. The
/// rules are for columns and for names alike. A weight that a run does not have is 0.
pub(super) fn long(table: Table, rules: &[Rule]) -> Result<Part, LogError> {
    let map = ColumnMap::new(rules, &LOGGED);
    let (name, value) = (table.require("name")?, table.require("value")?);
    let fixed: Vec<(usize, String)> =
        table.header.iter().enumerate().filter_map(|(i, column)| Some((i, map.target(column)?.name))).collect();
    let is = |target: &str| fixed.iter().find(|(_, t)| t == target).map(|(i, _)| *i);
    let id = is("run_id").ok_or_else(|| table.wrong("no column is the run_id; say which with --map run_id=COLUMN"))?;
    // Rows of one run at several sizes, as of checkpoints, are several runs.
    let sizes: Vec<usize> = SIZES.into_iter().filter_map(is).collect();

    let (mut quantities, mut ignored): (Vec<String>, Vec<String>) = (vec![], vec![]);
    let (mut runs, mut place) = (Vec::<(&StringRecord, HashMap<String, &str>)>::new(), HashMap::new());
    for row in &table.rows {
        let of_runs = |target: &String| target.starts_with("w:") || target.starts_with("y:") || is_state(target);
        let Some(quantity) = map.target(&row[name]).map(|target| target.name).filter(of_runs) else {
            if !ignored.contains(&row[name].to_owned()) {
                ignored.push(row[name].to_owned());
            }
            continue;
        };
        if !quantities.contains(&quantity) {
            quantities.push(quantity.clone());
        }
        let run = *place
            .entry((identity(&row[id]), sizes.iter().map(|size| &row[*size]).collect::<Vec<_>>()))
            .or_insert_with(|| {
                runs.push((row, HashMap::new()));
                runs.len() - 1
            });
        if runs[run].1.insert(quantity.clone(), &row[value]).is_some() {
            return Err(LogError::Cell {
                file: table.file.clone(),
                line: row.position().map_or(0, csv::Position::line),
                column: "name".into(),
                message: format!("run \"{}\" has a second \"{quantity}\"", &row[id]),
            });
        }
    }
    let header = fixed.iter().map(|(_, target)| target.clone()).chain(quantities.iter().cloned()).collect();
    let rows = runs.iter().map(|(first, values)| {
        let missing = |quantity: &str| if quantity.starts_with("w:") { "0" } else { "" };
        let cells = quantities.iter().map(|q| values.get(q).copied().unwrap_or(missing(q)));
        let mut record: StringRecord = fixed.iter().map(|(i, _)| &first[*i]).chain(cells).collect();
        record.set_position(first.position().cloned());
        record
    });
    let rows = rows.collect();
    Ok(Part { table: Table { file: table.file.clone(), header, rows }, ignored, guessed: vec![], skipped: 0 })
}
