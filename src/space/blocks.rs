//! Weights that move together.

use super::constraints::{Bound, Group, dot};

/// Bounds that miss each other by less meet.
const SAME: f64 = 1e-9;

/// The coordinates of a polytope. Each is a weight, or a frozen group, whose weights have fixed ratios.
///
/// The weights of a block with coordinate `u` are `e_i · u`, where the entries `e` have norm 1. So distances between weights are those
/// between coordinates, and a projection in coordinates is one in weights. Without frozen groups, weights are coordinates.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    list: Vec<Block>,
    /// Whether weights are coordinates.
    plain: bool,
}

#[derive(Clone, Debug)]
struct Block {
    /// Its weights, ascending, with their entries.
    entries: Vec<(usize, f64)>,
}

impl Blocks {
    /// Those of `dim` weights. No weight is in two frozen groups.
    pub fn new(dim: usize, groups: &[Group]) -> Self {
        let mut block_of = vec![None; dim];
        for (g, group) in groups.iter().enumerate() {
            if group.freeze.is_some() {
                group.domains.iter().for_each(|i| block_of[*i] = Some(g));
            }
        }
        let block = |i: usize| match block_of[i] {
            None => Some(Block { entries: vec![(i, 1.0)] }),
            Some(g) if groups[g].domains[0] == i => {
                let ratios = groups[g].freeze.as_deref().unwrap_or_default();
                let norm = dot(ratios, ratios).sqrt();
                let entries = groups[g].domains.iter().zip(ratios).map(|(i, ratio)| (*i, ratio / norm)).collect();
                Some(Block { entries })
            }
            Some(_) => None,
        };
        let list: Vec<Block> = (0..dim).filter_map(block).collect();
        let plain = block_of.iter().all(Option::is_none);
        Self { list, plain }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The coordinates of the nearest weights to `w` with the fixed ratios.
    pub fn coordinates(&self, w: &[f64]) -> Vec<f64> {
        if self.plain {
            return w.to_vec();
        }
        self.list.iter().map(|block| block.entries.iter().map(|(i, e)| e * w[*i]).sum()).collect()
    }

    /// The weights at coordinates `u`, which are within their bounds but for rounding.
    pub fn weights(&self, u: Vec<f64>, lower: &[f64], upper: &[f64]) -> Vec<f64> {
        if self.plain {
            return u;
        }
        let mut w = vec![0.0; lower.len()];
        for (block, u) in self.list.iter().zip(u) {
            for &(i, e) in &block.entries {
                w[i] = (e * u).clamp(lower[i], upper[i]);
            }
        }
        w
    }

    /// By how much a weight of `w` misses the fixed ratios, at most.
    pub fn miss(&self, w: &[f64]) -> f64 {
        if self.plain {
            return 0.0;
        }
        let u = self.coordinates(w);
        let miss = self
            .list
            .iter()
            .zip(u)
            .flat_map(|(block, u)| block.entries.iter().map(move |(i, e)| (w[*i] - e * u).abs()));
        miss.fold(0.0, f64::max)
    }

    /// The weights of coordinate `j`.
    pub fn members(&self, j: usize) -> impl Iterator<Item = usize> {
        self.list[j].entries.iter().map(|(i, _)| *i)
    }

    /// The largest weight of coordinate `j`.
    pub fn leader(&self, j: usize) -> usize {
        let entries = &self.list[j].entries;
        entries.iter().fold(entries[0], |most, next| if next.1 > most.1 { *next } else { most }).0
    }

    /// The coefficients of the sum of the weights that `has` selects.
    pub fn sum(&self, has: impl Fn(usize) -> bool) -> Vec<f64> {
        let sum = |block: &Block| block.entries.iter().filter(|(i, _)| has(*i)).map(|(_, e)| e).sum();
        self.list.iter().map(sum).collect()
    }

    /// Bounds of the coordinates, from those of the weights.
    ///
    /// # Errors
    /// Bounds that no multiple of the fixed ratios keeps.
    pub fn bounds(&self, lower: &[f64], upper: &[f64]) -> Result<(Vec<f64>, Vec<f64>), Vec<Bound>> {
        if self.plain {
            return Ok((lower.to_vec(), upper.to_vec()));
        }
        let (mut least, mut most) = (Vec::with_capacity(self.len()), Vec::with_capacity(self.len()));
        for block in &self.list {
            if let Some((i, _)) = block.entries.iter().find(|(i, e)| *e == 0.0 && lower[*i] > 0.0) {
                return Err(vec![Bound::Lower(*i)]);
            }
            let ((i, l), (j, u)) = (block.tightest(lower, f64::gt), block.tightest(upper, f64::lt));
            if l > u + SAME {
                return Err(vec![Bound::Lower(i), Bound::Upper(j)]);
            }
            least.push(l);
            most.push(u.max(l));
        }
        Ok((least, most))
    }

    /// The bounds of weights that bounds of coordinates stand for.
    pub fn stated(&self, bounds: Vec<Bound>, lower: &[f64], upper: &[f64]) -> Vec<Bound> {
        let stated = |bound| match bound {
            Bound::Lower(j) => Bound::Lower(self.list[j].tightest(lower, f64::gt).0),
            Bound::Upper(j) => Bound::Upper(self.list[j].tightest(upper, f64::lt).0),
            group => group,
        };
        bounds.into_iter().map(stated).collect()
    }
}

impl Block {
    /// The weight whose bound binds the coordinate first, and where.
    fn tightest(&self, bounds: &[f64], tighter: fn(&f64, &f64) -> bool) -> (usize, f64) {
        let mut at = self.entries.iter().filter(|(_, e)| *e > 0.0).map(|(i, e)| (*i, bounds[*i] / e));
        let first = at.next().unwrap_or((self.entries[0].0, 0.0));
        at.fold(first, |best, next| if tighter(&next.1, &best.1) { next } else { best })
    }
}
