//! The database in which MLflow keeps runs where it is SQLite, as it is without further settings: `mlflow.db`.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use super::{Run, wrong};
use crate::runs::LogError;

/// Runs that are not deleted, with the experiments that they are of.
const RUNS: &str = "
    SELECT runs.run_uuid, runs.status, experiments.name
    FROM runs JOIN experiments USING (experiment_id)
    WHERE runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'
    ORDER BY runs.start_time, runs.run_uuid";

/// What is known of runs, by the names of `mlflow experiments csv`; of a metric the value at its last step.
const CELLS: &str = "
    SELECT run_uuid, 'params.' || key, value FROM params
    UNION ALL SELECT run_uuid, 'metrics.' || key, CASE WHEN is_nan THEN 'NaN' ELSE value END FROM latest_metrics
    UNION ALL SELECT run_uuid, 'tags.' || key, value FROM tags WHERE key NOT LIKE 'mlflow.%'";

/// The runs of a database in the order in which they were started, as the table that `mlflow experiments csv` writes, with the
/// experiment's name in a column more. Deleted experiments and runs are left out, and MLflow's own tags.
///
/// # Errors
/// A database that is damaged, in use or none of MLflow, and one without any run.
pub(super) fn read(file: &Path) -> Result<Vec<Run>, LogError> {
    match runs(file) {
        Ok(runs) if runs.is_empty() => Err(wrong(file, "no run is in this database of MLflow that is not deleted")),
        Ok(runs) => Ok(runs),
        Err(error) => Err(wrong(file, format!("cannot be read as a database of MLflow: {error}; {}", remedy(&error)))),
    }
}

fn runs(file: &Path) -> Result<Vec<Run>, Error> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // The file may be anybody's.
    database.pragma_update(None, "trusted_schema", false)?;
    // What is read in one transaction is of one moment.
    let database = database.unchecked_transaction()?;
    let (mut runs, mut places) = (vec![], BTreeMap::new());
    let mut query = database.prepare(RUNS)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id = text(row.get_ref(0)?);
        places.insert(id.clone(), runs.len());
        let cells = [("run_id", id), ("status", text(row.get_ref(1)?)), ("experiment", text(row.get_ref(2)?))];
        runs.push(Run::from(cells.map(|(column, cell)| (column.to_owned(), cell))));
    }
    let mut query = database.prepare(CELLS)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(place) = places.get(&text(row.get_ref(0)?)) {
            runs[*place].insert(text(row.get_ref(1)?), text(row.get_ref(2)?));
        }
    }
    Ok(runs)
}

/// A value as text: in SQLite, any column may have values of any type.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// What to do about an error.
fn remedy(error: &Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "end what writes to it, and try again",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "restore it from a backup, or save what is left: sqlite3 FILE .recover | sqlite3 NEW"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            "a program that wrote to it was killed; let SQLite mend it where it may write: sqlite3 FILE .schema"
        }
        _ => "if it is of an old MLflow: mlflow db upgrade sqlite:///FILE",
    }
}
