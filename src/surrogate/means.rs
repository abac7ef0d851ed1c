//! Posterior means, each computed once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nalgebra::DVector;

use crate::space::Warped;

/// A fidelity, and the bits of a point's coordinates.
type Place = (usize, Vec<u64>);

/// The posterior means that a process was asked for: a search asks for those of the mixtures that were trained, and of those that it starts
/// from, several times.
#[derive(Clone, Debug, Default)]
pub(super) struct Means(Arc<Mutex<HashMap<Place, f64>>>);

impl Means {
    /// Those at the p points `z`, fidelity `m`. `compute` yields those at points that are new.
    pub fn at(&self, z: &Warped, m: usize, compute: impl FnOnce(&Warped) -> DVector<f64>) -> DVector<f64> {
        let bits = |j: usize| z.matrix().column(j).iter().map(|x| x.to_bits()).collect();
        let places: Vec<Place> = (0..z.len()).map(|j| (m, bits(j))).collect();
        let new: Vec<usize> = {
            let known = self.known();
            (0..z.len()).filter(|j| !known.contains_key(&places[*j])).collect()
        };
        // Others may compute while this does: they would wait for one another if the lock were held.
        let computed = compute(&z.select(&new));
        let mut known = self.known();
        known.extend(new.iter().map(|j| places[*j].clone()).zip(computed.iter().copied()));
        DVector::from_iterator(z.len(), places.iter().map(|place| known[place]))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Place, f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;

    use super::*;

    #[test]
    fn a_mean_is_computed_once_for_each_fidelity_and_point() {
        let means = Means::default();
        let points = |first: &[f64]| Warped::new(DMatrix::from_fn(2, first.len(), |d, j| first[j] + d as f64));
        let at = |first: &[f64], m: usize, new: &[f64]| {
            let compute = |z: &Warped| {
                assert_eq!(*z.matrix(), *points(new).matrix());
                DVector::from_iterator(z.len(), z.matrix().row(0).iter().map(|x| x + 10.0 * m as f64))
            };
            means.at(&points(first), m, compute).as_slice().to_vec()
        };
        assert_eq!(at(&[1.0, 2.0], 0, &[1.0, 2.0]), [1.0, 2.0]);
        assert_eq!(at(&[3.0, 2.0, 1.0], 0, &[3.0]), [3.0, 2.0, 1.0]);
        assert_eq!(at(&[1.0], 1, &[1.0]), [11.0]);
        assert_eq!(at(&[1.0, 3.0], 0, &[]), [1.0, 3.0]);
    }
}
