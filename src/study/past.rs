//! What runs of older studies drew that no run of this one draws, as further domains of the model.

use std::collections::BTreeSet;

use super::state::State;
use crate::problem::{Evidence, Past, RunId};
use crate::space::Drawn;

impl State {
    /// Gives all observations the further domains of all imported runs, also of those that were withdrawn: a model stays one of the
    /// same domains.
    pub fn look_back(&self, evidence: &mut Evidence) {
        let drawn = || self.imported.iter().map(|imported| &imported.run.past);
        let gone: BTreeSet<&String> = drawn().flat_map(|drawn| drawn.gone.keys()).collect();
        let changed: BTreeSet<&String> = drawn().flat_map(|drawn| drawn.changed.keys()).collect();
        let nothing = Drawn::default();
        for observation in &mut evidence.observations {
            let drawn = match observation.run {
                RunId::Imported(number) => self.imported.get(number as usize - 1).map(|imported| &imported.run.past),
                RunId::Trial(_) => None,
            };
            let drawn = drawn.unwrap_or(&nothing);
            let gone = gone.iter().map(|name| drawn.gone.get(*name));
            let columns = gone.chain(changed.iter().map(|name| drawn.changed.get(*name)));
            observation.past =
                Past { kept: drawn.kept(), columns: columns.map(|weight| weight.copied().unwrap_or(0.0)).collect() };
        }
    }
}
