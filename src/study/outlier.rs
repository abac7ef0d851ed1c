//! Runs whose objective can hardly be a measurement: trainers that crash report made-up numbers.

use std::fmt;

use super::{ImportedRun, Study, TrialState};

/// Runs at a size from which one of them can be told to be odd: itself and three others.
const ENOUGH: usize = 4;
/// Median absolute deviations from the median beyond which a value is one. Half of the runs may be odd without hiding each other.
const FAR: f64 = 1e3;
/// The least that the median absolute deviation is taken to be, as a share of the median: a few runs may agree by chance.
const LEAST_SPREAD: f64 = 0.01;

/// A run that is far from all others at its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlier {
    /// The trial, or where an imported run comes from.
    pub run: String,
    /// Its objective.
    pub value: f64,
    /// Name of its fidelity.
    pub fidelity: String,
    /// The smallest and the largest objective of the other runs there, but for those that are odd as well.
    pub others: (f64, f64),
}

impl fmt::Display for Outlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |x: f64| if x.abs() < 1e6 { x.to_string() } else { format!("{x:e}") };
        let (run, value, fidelity, [least, most]) =
            (&self.run, text(self.value), &self.fidelity, [self.others.0, self.others.1].map(text));
        write!(
            f,
            "{run} reports {value}, the others at {fidelity} {least} to {most}: is that a placeholder? A run that crashes or \
             diverges is to report NaN: a made-up number spoils the model (docs/faq.md)"
        )
    }
}

impl Study {
    /// The runs that are far from the others at their size, imported ones included.
    #[must_use]
    pub fn outliers(&self) -> Vec<Outlier> {
        let mut runs: Vec<Vec<(String, f64)>> = vec![Vec::new(); self.config.fidelities.list().len()];
        // Whatever they are compared with, these numbers were reported.
        let value = |metrics: &[f64]| self.config.objective.value(metrics);
        let ended = |imported: &&ImportedRun| imported.run.tokens.is_none();
        for ImportedRun { run, observation, .. } in self.imported().filter(ended) {
            runs[observation.fidelity].push((run.source.clone(), value(&observation.metrics)));
        }
        for trial in &self.state.trials {
            if let TrialState::Complete(outcome) = &trial.state
                && let Some(metrics) = self.config.objective.select(&outcome.metrics)
            {
                runs[trial.fidelity].push((format!("trial {}", trial.id), value(&metrics)));
            }
        }
        let fidelities = self.config.fidelities.list().iter().zip(runs);
        fidelities
            .flat_map(|(fidelity, runs)| {
                let values: Vec<f64> = runs.iter().map(|(_, value)| *value).collect();
                let (far, others) = far(&values);
                far.into_iter().map(move |i| {
                    let (run, value) = runs[i].clone();
                    Outlier { run, value, fidelity: fidelity.name.clone(), others }
                })
            })
            .collect()
    }

    /// The outliers that were not among those `known` before.
    #[must_use]
    pub fn outliers_since(&self, known: &[Outlier]) -> Vec<String> {
        let new = |outlier: &Outlier| known.iter().all(|known| known.run != outlier.run);
        self.outliers().iter().filter(|outlier| new(outlier)).map(Outlier::to_string).collect()
    }
}

/// Indices of the values that are far from most, and the smallest and the largest of the rest.
fn far(values: &[f64]) -> (Vec<usize>, (f64, f64)) {
    if values.len() < ENOUGH {
        return (Vec::new(), (0.0, 0.0));
    }
    let center = median(values.to_vec());
    let spread = median(values.iter().map(|y| (y - center).abs()).collect()).max(LEAST_SPREAD * center.abs());
    let (far, near): (Vec<usize>, Vec<usize>) =
        (0..values.len()).partition(|i| spread > 0.0 && (values[*i] - center).abs() > FAR * spread);
    let near = near.into_iter().map(|i| values[i]);
    (far, (near.clone().fold(f64::INFINITY, f64::min), near.fold(f64::NEG_INFINITY, f64::max)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { 0.5 * (values[middle - 1] + values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::far;

    #[test]
    fn placeholders_are_far_and_poor_runs_are_not() {
        for (values, expected) in [
            (vec![2.1, 2.2, 1e9, 2.4], vec![2]),
            (vec![2.1, 2.2, 1e9, 2.4, -1e9], vec![2, 4]),
            (vec![2.1, 1e9, 2.2, 2.4, 1e9], vec![1, 4]),
            (vec![-7.0, -1e10, -7.1, -7.3], vec![1]),
            // Equal values say little about the spread.
            (vec![2.0, 2.0, 2.0, 1e4], vec![3]),
            (vec![2.0, 2.0, 2.0, 15.0], vec![]),
            // Poor, but a measurement: within a thousand deviations, on both sides of the limit.
            (vec![2.1, 2.2, 11.0, 2.4], vec![]),
            (vec![1.0, 2.0, 3.0, 4.0, 5.0, 1400.0], vec![]),
            (vec![1.0, 2.0, 3.0, 4.0, 5.0, 1600.0], vec![5]),
            // Too few to tell, or nothing to measure with.
            (vec![2.1, 2.2, 1e9], vec![]),
            (vec![0.0, 0.0, 0.0, 0.1], vec![]),
            (vec![1e-300, 2e-300, 3e-300, 4e-300], vec![]),
        ] {
            assert_eq!(far(&values).0, expected, "{values:?}");
        }
        assert_eq!(far(&[2.1, 2.2, 1e9, 2.4]).1, (2.1, 2.4));
    }
}
