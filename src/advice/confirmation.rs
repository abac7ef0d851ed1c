//! What a confirmation has shown.

use std::fmt;

use crate::problem::{Mixture, Objective, mean_and_error};
use crate::study::{Purpose, Study};

/// Standard errors of the mean difference that noise is taken to reach.
const WITHIN_NOISE: f64 = 2.0;

/// The recommended mixture against the uniform one, trained with the same seeds: objectives in the user's orientation.
#[derive(Clone, Debug)]
pub struct Confirmation {
    /// Runs of the recommended mixture.
    pub recommended: Vec<f64>,
    /// Runs of the uniform mixture.
    pub uniform: Vec<f64>,
    /// Differences (recommended − uniform) of runs that share a seed; not empty.
    pub differences: Vec<f64>,
    /// What they say.
    pub verdict: Verdict,
}

/// Whether the recommended mixture is better than the uniform one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One difference does not tell a gain from noise.
    OneSeed,
    /// The mean difference is at most `WITHIN_NOISE` of its standard errors.
    WithinNoise,
    /// It is better.
    Better,
    /// It is worse.
    Worse,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneSeed => "not judged: one seed says nothing about noise",
            Self::WithinNoise => "within noise",
            Self::Better => "better",
            Self::Worse => "worse",
        })
    }
}

impl Verdict {
    /// By a paired test: seeds that both mixtures share have part of their noise in common.
    fn of(differences: &[f64], objective: &Objective) -> Self {
        let (mean, error) = mean_and_error(differences);
        let gain = -objective.sign() * mean;
        match error {
            None => Self::OneSeed,
            Some(error) if gain.abs() <= WITHIN_NOISE * error => Self::WithinNoise,
            Some(_) if gain > 0.0 => Self::Better,
            Some(_) => Self::Worse,
        }
    }
}

impl Confirmation {
    /// Of `recommended`, as far as it has been trained; `None` before both mixtures have a complete run with the same seed.
    #[must_use]
    pub fn of(study: &Study, recommended: &Mixture) -> Option<Self> {
        let uniform = study.config().space.uniform();
        let runs = |purpose, mixture| -> Vec<(u32, f64)> {
            study.confirmations(purpose, mixture).filter_map(|t| Some((t.seed, study.measured(t)?))).collect()
        };
        let ours = runs(Purpose::ConfirmRecommended, recommended);
        let theirs = runs(Purpose::ConfirmUniform, &uniform);
        let paired = |(seed, y): &(u32, f64)| theirs.iter().find(|(s, _)| s == seed).map(|(_, z)| y - z);
        let differences: Vec<f64> = ours.iter().filter_map(paired).collect();
        if differences.is_empty() {
            return None;
        }
        let verdict = Verdict::of(&differences, &study.config().objective);
        let values = |runs: Vec<(u32, f64)>| runs.into_iter().map(|(_, y)| y).collect();
        Some(Self { recommended: values(ours), uniform: values(theirs), differences, verdict })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Direction;

    #[test]
    fn a_gain_counts_beyond_two_standard_errors_in_the_direction_of_the_objective() {
        let verdict =
            |differences: &[f64], direction| Verdict::of(differences, &Objective { metrics: vec![], direction });
        let (minimize, maximize) = (Direction::Minimize, Direction::Maximize);
        assert_eq!(verdict(&[-5.0], minimize), Verdict::OneSeed);
        // A mean of −3 with a standard error of 1, and of −1.9.
        assert_eq!(verdict(&[-4.0, -2.0], minimize), Verdict::Better);
        assert_eq!(verdict(&[-4.0, -2.0], maximize), Verdict::Worse);
        assert_eq!(verdict(&[-2.9, -0.9], minimize), Verdict::WithinNoise);
        assert_eq!(verdict(&[4.0, 2.0], minimize), Verdict::Worse);
        assert_eq!(verdict(&[0.0, 0.0], minimize), Verdict::WithinNoise);
    }
}
