//! `[confirm]`: which mixtures are trained once the search has stopped.

use super::stated::StatedMixture;
use super::tree::Section;
use super::{Confirm, Reference};
use crate::space::{Domain, SearchSpace};

/// The section, and what the recommendation is compared with: by default the uniform mixture and, where one is stated, the prior.
pub(super) fn read(document: &Section<'_>, domains: &[Domain]) -> (Option<Confirm>, Vec<StatedMixture>) {
    let section = document.section("confirm");
    let seeds = section.count("seeds", 1).unwrap_or(1);
    let entry = "\"uniform\", \"prior\" or a table of weights such as { web = 0.6, code = 0.4 }";
    let against = section.items("against", &format!("an array of {entry}"), entry, StatedMixture::read);
    if against.as_ref().is_some_and(Vec::is_empty) {
        section.report(Some("against"), "is empty; leave it out for the default, or leave [confirm] out");
    }
    for problem in against.iter().flatten().filter_map(|entry| entry.problem(domains)) {
        section.report(Some("against"), problem);
    }
    let confirm = section.present().then_some(Confirm { seeds });
    section.finish();
    let prior = Some(StatedMixture::Prior).filter(|prior| prior.problem(domains).is_none());
    (confirm, against.unwrap_or_else(|| [StatedMixture::Uniform].into_iter().chain(prior).collect()))
}

/// The mixtures that [`read`] has found no fault with, each once: those within `tolerance` of an earlier one are left out.
pub(super) fn references(against: Vec<StatedMixture>, space: &SearchSpace, tolerance: f64) -> Vec<Reference> {
    let (mut references, mut tables): (Vec<Reference>, usize) = (Vec::new(), 0);
    for entry in against {
        let name = match entry {
            StatedMixture::Uniform => "uniform".into(),
            StatedMixture::Prior => "prior".into(),
            StatedMixture::Weights(_) => {
                tables += 1;
                format!("mixture #{tables}")
            }
        };
        let new = |mixture: &_| references.iter().all(|known| known.mixture.distance(mixture) >= tolerance);
        if let Some(mixture) = entry.mixture(space).ok().filter(new) {
            references.push(Reference { name, mixture });
        }
    }
    references
}
