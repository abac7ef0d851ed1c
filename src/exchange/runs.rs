//! Logged runs as a CSV file.

use std::io::Write;

use crate::replay::RunLog;

/// Writes the CSV that [`RunLog::read`] reads.
///
/// # Errors
/// What `out` says.
pub fn write(log: &RunLog, out: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let fixed = ["run_id", "fidelity", "params", "tokens", "cost"].map(str::to_owned);
    let domains = log.domains.iter().map(|name| format!("w:{name}"));
    csv.write_record(fixed.into_iter().chain(domains).chain(log.metrics.iter().map(|name| format!("y:{name}"))))?;
    let text = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or_else(String::new, |x| x.to_string());
    for run in &log.runs {
        let mut row = vec![run.id.clone(), run.fidelity.clone(), text(run.params), text(run.tokens), text(run.cost)];
        row.extend(run.weights.iter().chain(&run.metrics).map(|x| text(Some(*x))));
        csv.write_record(row)?;
    }
    csv.flush()?;
    Ok(())
}
