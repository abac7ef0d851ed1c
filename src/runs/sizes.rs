//! Which fidelity a run belongs to: by its name, and by its size where runs of one name have several.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::log::{LoggedRun, RunLog};
use crate::problem::{Fidelities, Fidelity, FidelityId, params_of};
use crate::text::{counted, number};

/// Sizes within this factor are the same, written with two digits or more.
const SAME_SIZE: f64 = 1.05;

/// What sizes are, in the order of [`LoggedRun::sizes`].
const WHAT: [&str; 2] = ["params", "tokens"];
/// The index of the parameters there.
const PARAMS: usize = 0;

/// So many fidelities of one name are listed in a warning.
const MOST_LISTED: usize = 8;

impl RunLog {
    /// Makes fidelities of their own of runs that have the name of one fidelity but state different parameters or tokens, such
    /// as checkpoints: `60M@5B` and `60M@20B`. A warning names and counts them. Runs that do not state what differs keep the
    /// name. To be called once all files are added.
    pub fn separate_sizes(&mut self) {
        let names: BTreeSet<String> = self.runs.iter().map(|run| run.fidelity.clone()).collect();
        for name in names {
            let mut runs: Vec<&mut LoggedRun> = self.runs.iter_mut().filter(|run| run.fidelity == name).collect();
            let sizes = [0, 1].map(|i| distinct(runs.iter().filter_map(|run| run.sizes()[i]).collect()));
            let several = [0, 1].map(|i| sizes[i].len() > 1);
            if several == [false; 2] {
                continue;
            }
            let mut counts = BTreeMap::new();
            for run in &mut runs {
                run.several = several;
                let place = [0, 1].map(|i| place(&sizes[i], run.sizes()[i]).filter(|_| several[i]));
                let parts = place.iter().zip(&sizes).filter_map(|(place, sizes)| Some(short(sizes[(*place)?])));
                run.fidelity.extend(parts.map(|size| format!("@{size}")));
                counts.entry(place).or_insert_with(|| (run.fidelity.clone(), 0)).1 += 1;
            }
            let differ = WHAT.iter().zip(several).filter(|(_, several)| *several).map(|(what, _)| *what);
            let differ = differ.collect::<Vec<_>>().join(" and ");
            let count = |(name, n): &(String, usize)| format!("{name} ({})", counted(*n, "run"));
            let mut listed: Vec<String> = counts.values().take(MOST_LISTED).map(count).collect();
            if counts.len() > MOST_LISTED {
                listed.push(format!("and {} more", counts.len() - MOST_LISTED));
            }
            let listed = listed.join(", ");
            self.warnings.push(format!(
                "runs at \"{name}\" state different {differ}; each size is a fidelity of its own: {listed}"
            ));
        }
    }
}

impl LoggedRun {
    /// Parameters and tokens.
    fn sizes(&self) -> [Option<f64>; 2] {
        [self.params, self.tokens]
    }

    /// The fidelity of a study that has the name of the run's, or the name that the log has for it.
    pub(crate) fn fidelity_in(&self, fidelities: &Fidelities) -> Option<FidelityId> {
        fidelities.find(&self.fidelity).or_else(|| fidelities.find(&self.written))
    }

    /// Why the run is not one of this fidelity, although it has its name. Parameters that only repeat the name, as `60M` does, say
    /// nothing more than the name. Where runs of that name have several sizes, the fidelity has to state which.
    pub(crate) fn misfit(&self, fidelity: &Fidelity) -> Option<String> {
        (0..WHAT.len()).find_map(|i| self.misfit_in(i, fidelity))
    }

    /// The same by parameters or tokens alone, which are numbered as in [`Self::sizes`].
    fn misfit_in(&self, i: usize, fidelity: &Fidelity) -> Option<String> {
        let (name, what) = (&fidelity.name, WHAT[i]);
        let named = [params_of(&self.written), None];
        let several = self.several[i] && *name != self.fidelity;
        let run = self.sizes()[i].filter(|size| several || named[i] != Some(*size))?;
        match [fidelity.params, fidelity.tokens][i] {
            Some(config) => {
                differ(run, config).then(|| format!("at \"{name}\" with other {what} than the config's {config:e}"))
            }
            None => several.then(|| {
                let own = &self.fidelity;
                format!("at \"{name}\", for which the config has to state {what}, or have a fidelity \"{own}\" instead")
            }),
        }
    }

    /// The fidelity that the run is on its way to, because a run there takes more tokens: the one that has its name, else of those of its
    /// parameters the one that takes the fewest tokens.
    pub(crate) fn on_the_way_to(&self, fidelities: &Fidelities) -> Option<FidelityId> {
        let run = self.tokens?;
        let longer = |fidelity: &Fidelity| fidelity.tokens.is_some_and(|tokens| tokens / run > SAME_SIZE);
        let by_name = self.fidelity_in(fidelities).filter(|m| {
            let fidelity = &fidelities[*m];
            longer(fidelity) && self.misfit_in(PARAMS, fidelity).is_none()
        });
        let alike = |fidelity: &Fidelity| fidelity.params.zip(self.params).is_some_and(|(a, b)| !differ(a, b));
        let by_params = || {
            let fitting = fidelities.iter().filter(|(_, fidelity)| longer(fidelity) && alike(fidelity));
            fitting.min_by(|(_, a), (_, b)| a.tokens.partial_cmp(&b.tokens).unwrap_or(Ordering::Equal)).map(|(m, _)| m)
        };
        by_name.or_else(by_params)
    }
}

/// Whether two sizes are not the same.
fn differ(a: f64, b: f64) -> bool {
    a / b > SAME_SIZE || b / a > SAME_SIZE
}

/// The smallest of every group of sizes that are the same, ascending.
fn distinct(mut sizes: Vec<f64>) -> Vec<f64> {
    sizes.sort_by(f64::total_cmp);
    sizes.dedup_by(|size, smallest| *size / *smallest <= SAME_SIZE);
    sizes
}

/// Which of several distinct sizes this is.
fn place(distinct: &[f64], size: Option<f64>) -> Option<usize> {
    distinct.iter().rposition(|smallest| Some(*smallest) <= size)
}

/// `5B`, `1.5M`: so that it can be part of a name.
fn short(size: f64) -> String {
    let units = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")];
    let unit = units.into_iter().find(|(scale, _)| size >= *scale);
    unit.map_or_else(|| number(size, 3), |(scale, unit)| format!("{}{unit}", number(size / scale, 3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_are_nearly_the_same_are_one() {
        assert_eq!(distinct(vec![2e9, 1.04e9, 1e9, 1.06e9, 2.01e9]), [1e9, 1.06e9, 2e9]);
        assert_eq!(place(&[1e9, 2e9], Some(1.04e9)), Some(0));
        assert_eq!(place(&[1e9, 2e9], None), None);
        assert_eq!([5e9, 1.25e8, 160_000.0, 999.0].map(short), ["5B", "125M", "160K", "999"]);
    }
}
