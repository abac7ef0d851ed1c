//! What a training run reports on its way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many reports of one attempt are kept, at most.
const MOST_KEPT: usize = 20;

/// By which factor a report is further than the last one that was kept, where nobody knows how far the run goes.
const GROWTH: f64 = 1.25;

/// A report of a training run on its way: how far it is, and what it measured there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps so far, at least 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Tokens trained on so far, at least 0. Without `step` it is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
    /// All finite metrics by name: every one of the objective, and whatever else was reported.
    pub metrics: BTreeMap<String, f64>,
}

impl Progress {
    /// Whether it is from further on than `other`: by tokens where both state them, else by steps. Reports that cannot be compared do
    /// not follow one another.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        let further = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a > b);
        further(self.tokens, other.tokens).or(further(self.step, other.step)).unwrap_or(false)
    }

    /// Which part of a run it is from, of one that trains on so many tokens: a 20th of it; where that cannot be told, parts
    /// grow by a quarter.
    fn part(&self, tokens: Option<f64>) -> f64 {
        match (self.tokens, tokens) {
            // A trainer that reports after every 20th hits the ends of the parts, but for rounding.
            (Some(done), Some(all)) => (MOST_KEPT as f64 * done / all - 1e-9).ceil().min(MOST_KEPT as f64),
            (done, _) => (done.or(self.step).unwrap_or(0.0).max(1.0).ln() / GROWTH.ln()).floor(),
        }
    }
}

/// Keeps few reports of a run, spread over all of it.
#[derive(Clone, Debug, Default)]
pub struct Thinning {
    last: Option<f64>,
    kept: usize,
}

impl Thinning {
    /// Whether the next report is kept, of a run that trains on so many tokens: the first of each 20th of the run. Where nobody
    /// knows how long the run is, a report is kept that is a quarter further than the last; at most 20 are kept.
    pub fn keeps(&mut self, progress: &Progress, tokens: Option<f64>) -> bool {
        let part = progress.part(tokens);
        let keeps = self.kept < MOST_KEPT && self.last.is_none_or(|last| part > last);
        if keeps {
            (self.last, self.kept) = (Some(part), self.kept + 1);
        }
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: Option<f64>, tokens: Option<f64>) -> Progress {
        Progress { step, tokens, ..Progress::default() }
    }

    #[test]
    fn a_report_follows_another_by_tokens_else_by_steps() {
        let (early, late) = (at(Some(9.0), Some(1e6)), at(Some(1.0), Some(2e6)));
        assert!(late.follows(&early) && !early.follows(&late) && !early.follows(&early));
        assert!(at(Some(10.0), None).follows(&early) && !at(Some(9.0), None).follows(&early));
        assert!(!at(None, Some(9e9)).follows(&at(Some(1.0), None)), "nothing says which is further");
    }

    #[test]
    fn of_any_number_of_reports_at_most_twenty_are_kept_over_the_whole_run() {
        for (reports, expected) in [(20, 20), (7, 7), (1000, 20)] {
            let mut thinning = Thinning::default();
            let shares = (1..=reports).map(|i| f64::from(i) / f64::from(reports));
            let kept: Vec<f64> = shares.filter(|s| thinning.keeps(&at(None, Some(s * 3e9)), Some(3e9))).collect();
            assert_eq!(kept.len(), expected, "{kept:?}");
            assert!(kept.windows(2).all(|pair| pair[1] - pair[0] < 0.2) && kept[expected - 1] > 0.95, "{kept:?}");
        }
        let mut thinning = Thinning::default();
        let kept: Vec<u32> = (1..100_000).filter(|i| thinning.keeps(&at(Some(f64::from(*i)), None), None)).collect();
        assert!(kept.len() == 20 && kept[0] == 1 && kept[19] > 60, "{kept:?}");
    }
}
