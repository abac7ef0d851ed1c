//! What one Gaussian process is conditioned on.

use std::borrow::Cow;

use nalgebra::DVector;

use crate::space::Warped;

/// Training data of one Gaussian process.
#[derive(Clone, Debug)]
pub struct Data {
    /// The n mixtures, warped.
    pub x: Warped,
    /// Fidelity of each run (length n).
    pub fidelity: Vec<usize>,
    /// Standardized targets (length n).
    pub y: DVector<f64>,
    /// Known noise variance of each run, from reported standard errors, in squared units of `y` (length n; 0 where none
    /// was reported). It adds to the fitted noise.
    pub known_noise: Vec<f64>,
    /// Prior standard deviation of each fidelity's level (its constant mean, length F), around zero.
    pub level_sd: Vec<f64>,
}

impl Data {
    /// At most `most` of the runs ([`thin`]).
    #[must_use]
    pub fn thinned(&self, most: usize) -> Cow<'_, Self> {
        if self.y.len() <= most {
            return Cow::Borrowed(self);
        }
        Cow::Owned(self.select(&thin(&self.fidelity, most)))
    }

    /// The runs of these indices.
    pub(super) fn select(&self, kept: &[usize]) -> Self {
        Self {
            x: self.x.select(kept),
            fidelity: kept.iter().map(|i| self.fidelity[*i]).collect(),
            y: DVector::from_iterator(kept.len(), kept.iter().map(|i| self.y[*i])),
            known_noise: kept.iter().map(|i| self.known_noise[*i]).collect(),
            level_sd: self.level_sd.clone(),
        }
    }

    /// These runs, then those of `later`.
    pub(super) fn followed_by(&self, later: &Self) -> Self {
        let n = self.y.len() + later.y.len();
        Self {
            x: self.x.followed_by(&later.x),
            fidelity: [self.fidelity.as_slice(), &later.fidelity].concat(),
            y: DVector::from_iterator(n, self.y.iter().chain(later.y.iter()).copied()),
            known_noise: [self.known_noise.as_slice(), &later.known_noise].concat(),
            level_sd: self.level_sd.clone(),
        }
    }
}

/// Indices of at most `most` runs, given the fidelity of each: of every fidelity as many as of any other while there are
/// that many, evenly spaced in time and with the latest; ascending.
#[must_use]
pub fn thin(fidelity: &[usize], most: usize) -> Vec<usize> {
    if fidelity.len() <= most {
        return (0..fidelity.len()).collect();
    }
    let sizes = fidelity.iter().max().map_or(0, |m| m + 1);
    let mut by_fidelity: Vec<Vec<usize>> = vec![Vec::new(); sizes];
    for (i, m) in fidelity.iter().enumerate() {
        by_fidelity[*m].push(i);
    }
    by_fidelity.sort_by_key(Vec::len);
    let mut kept = Vec::with_capacity(most);
    for (done, runs) in by_fidelity.iter().enumerate() {
        let quota = runs.len().min((most - kept.len()) / (sizes - done));
        kept.extend((1..=quota).map(|q| runs[q * runs.len() / quota - 1]));
    }
    kept.sort_unstable();
    kept
}
