//! How often a run sees the data of each domain, and `limits.match_repetition`, which makes all runs repeat data as the target
//! run does.

use super::StudyConfig;
use super::tree::Section;
use crate::problem::{Fidelities, FidelityId, Mixture, Repetition};
use crate::space::Domain;
use crate::text::agreeing;

const KEY: &str = "match_repetition";

/// Reads `limits.match_repetition`, which needs every count of tokens.
pub(super) fn read(section: &Section<'_>, domains: &[Domain], fidelities: Option<&Fidelities>) -> bool {
    let matched = section.bool(KEY).unwrap_or_default();
    let domains = domains.iter().filter(|d| d.tokens.is_none()).map(|d| format!("domain `{}`", d.name));
    let sizes = fidelities.into_iter().flat_map(Fidelities::list).filter(|f| f.tokens.is_none());
    let missing: Vec<String> = domains.chain(sizes.map(|f| format!("fidelity `{}`", f.name))).collect();
    if matched && !missing.is_empty() {
        let have = agreeing(missing.len(), "has", "have");
        let missing = missing.join(", ");
        section
            .report(Some(KEY), format!("needs `tokens` in every [[domain]] and [[fidelity]]; {missing} {have} none"));
    }
    matched
}

impl StudyConfig {
    /// Tokens of each domain that a run at this fidelity draws from, where they are known: those that there are, or with
    /// `limits.match_repetition` so many that the run repeats them as often as the target run repeats all of them.
    #[must_use]
    pub fn unique_tokens(&self, fidelity: FidelityId) -> Vec<Option<f64>> {
        let run = self.fidelities[fidelity].tokens.filter(|_| self.match_repetition);
        let share = run.zip(self.target_tokens()).map(|(run, target)| (run / target).min(1.0));
        let drawn = |tokens: f64| share.map_or(tokens, |share| (tokens * share).round().max(1.0));
        self.space.domains().iter().map(|domain| domain.tokens.map(drawn)).collect()
    }

    /// How often a run of this mixture at this fidelity sees the data of each domain, where tokens are known.
    #[must_use]
    pub fn epochs(&self, mixture: &Mixture, fidelity: FidelityId) -> Vec<Option<f64>> {
        let run = self.fidelities[fidelity].tokens;
        let unique = self.unique_tokens(fidelity).into_iter();
        unique.zip(mixture.weights()).map(|(unique, weight)| Some(weight * run? / unique?)).collect()
    }

    /// The unique data that runs draw from, if a run of some mixture may repeat a domain.
    #[must_use]
    pub fn repetition(&self) -> Option<Repetition> {
        let shares = |m: FidelityId| -> Vec<f64> {
            let run = self.fidelities[m].tokens;
            let share = |unique: Option<f64>| unique.zip(run).map_or(f64::INFINITY, |(unique, run)| unique / run);
            self.unique_tokens(m).into_iter().map(share).collect()
        };
        let shares: Vec<Vec<f64>> = self.fidelities.ids().map(shares).collect();
        let reach = self.space.polytope().reach();
        let repeats = |unique: &Vec<f64>| unique.iter().zip(reach).any(|(unique, (_, most))| most > unique);
        shares.iter().any(repeats).then_some(Repetition(shares))
    }
}
