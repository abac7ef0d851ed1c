//! Logged runs as a CSV file.

use super::recipe::ExportError;
use super::text::csv;
use crate::runs::RunLog;

/// The CSV that [`RunLog::read`] reads.
///
/// # Errors
/// What the writer of CSV says.
pub fn write(log: &RunLog) -> Result<String, ExportError> {
    let mut header = ["run_id", "fidelity", "params", "tokens", "cost"].map(str::to_owned).to_vec();
    header.extend(log.domains.iter().map(|name| format!("w:{name}")));
    header.extend(log.metrics.iter().map(|name| format!("y:{name}")));
    let text = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or_else(String::new, |x| x.to_string());
    let rows = log.runs.iter().map(|run| {
        let mut row = vec![run.id.clone(), run.fidelity.clone(), text(run.params), text(run.tokens), text(run.cost)];
        row.extend(run.weights.iter().chain(&run.metrics).map(|x| text(Some(*x))));
        row
    });
    csv([header].into_iter().chain(rows))
}
