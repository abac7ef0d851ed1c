//! Which rows are of one training run, after more and more tokens.

use std::collections::BTreeMap;

use super::log::RunLog;

impl RunLog {
    /// The curves: rows of the same training run ([`LoggedRun::run`](super::LoggedRun::run)), parameters and mixture, each after another
    /// number of tokens; at least two rows each, from the fewest tokens to the most. Indices into [`Self::runs`]. Rows that state no
    /// tokens are on no curve, and neither are runs with two rows after the same tokens: these must be two runs.
    #[must_use]
    pub fn curves(&self) -> Vec<Vec<usize>> {
        let mut curves = BTreeMap::<_, Vec<(f64, usize)>>::new();
        for (i, run) in self.runs.iter().enumerate() {
            let weights: Vec<u64> = run.weights.iter().map(|w| w.to_bits()).collect();
            let key = (run.run.as_str(), run.params.map(f64::to_bits), weights);
            curves.entry(key).or_default().extend(run.tokens.map(|tokens| (tokens, i)));
        }
        let mut curves: Vec<_> = curves.into_values().collect();
        for curve in &mut curves {
            curve.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        curves.retain(|curve| curve.len() > 1 && curve.windows(2).all(|pair| pair[0].0 < pair[1].0));
        curves.into_iter().map(|curve| curve.into_iter().map(|(_, i)| i).collect()).collect()
    }

    /// Gives rows on the way that state no cost their share, by tokens, of what the last row of their run cost.
    pub(super) fn price_curves(&mut self) {
        for curve in self.curves() {
            let Some(&last) = curve.last() else { continue };
            let per_token = self.runs[last].cost.zip(self.runs[last].tokens).map(|(cost, tokens)| cost / tokens);
            for i in curve {
                let run = &mut self.runs[i];
                run.cost = run.cost.or(per_token.zip(run.tokens).map(|(per_token, tokens)| per_token * tokens));
            }
        }
    }
}
