//! Training scales.

use std::ops::{Index, IndexMut};

/// Whether `cost` is at most `limit`, but for what rounding leaves in sums of costs: 0.1 + 0.2 fits into 0.3.
#[must_use]
pub fn affordable(cost: f64, limit: f64) -> bool {
    cost <= limit * (1.0 + 1e-9)
}

/// A training scale: a model size with its token budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Fidelity {
    /// Unique name, as in the config file.
    pub name: String,
    /// Parameters of the model, when given.
    pub params: Option<f64>,
    /// Training tokens, when given.
    pub tokens: Option<f64>,
    /// Cost of one run in the config's unit; `None` when it is to be learned from measured durations.
    pub cost: Option<f64>,
    /// At most this many trials at this scale.
    pub max_trials: Option<usize>,
    /// Runs of the initial design at this scale; `None` leaves it to the optimizer.
    pub initial: Option<usize>,
}

/// The number of parameters in a name like `60M`, `0.5B`, `Qwen2.5-7B`, `60M@5B` (on 5 billion tokens).
#[must_use]
pub fn params_of(name: &str) -> Option<f64> {
    let last = name.split('@').next()?.rsplit(['-', '_', ' ']).next()?;
    let unit = last.chars().next_back()?;
    let scale = match unit.to_ascii_uppercase() {
        'K' => 1e3,
        'M' => 1e6,
        'B' => 1e9,
        'T' => 1e12,
        _ => return None,
    };
    let digits = &last[..last.len() - 1];
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits.parse::<f64>().ok().filter(|x| plain && *x > 0.0).map(|x| x * scale)
}

/// A fidelity of a study: its place in [`Fidelities::list`], cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FidelityId(usize);

impl FidelityId {
    /// The fidelity at this place of [`Fidelities::list`].
    #[must_use]
    pub const fn new(index: usize) -> Self {
        Self(index)
    }

    /// The place in [`Fidelities::list`], and in whatever has one entry per fidelity.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

// Whatever has one entry per fidelity is indexed by fidelity.
impl<T> Index<FidelityId> for [T] {
    type Output = T;

    fn index(&self, fidelity: FidelityId) -> &T {
        &self[fidelity.0]
    }
}

impl<T> Index<FidelityId> for Vec<T> {
    type Output = T;

    fn index(&self, fidelity: FidelityId) -> &T {
        &self[fidelity.0]
    }
}

impl<T> IndexMut<FidelityId> for [T] {
    fn index_mut(&mut self, fidelity: FidelityId) -> &mut T {
        &mut self[fidelity.0]
    }
}

impl<T> IndexMut<FidelityId> for Vec<T> {
    fn index_mut(&mut self, fidelity: FidelityId) -> &mut T {
        &mut self[fidelity.0]
    }
}

/// The fidelities of a study, cheapest first (by cost, then parameters, then tokens), one of them the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Fidelities {
    list: Vec<Fidelity>,
    target: FidelityId,
}

impl Fidelities {
    /// Sorts `list` from cheap to expensive and remembers which one is the target: the one named, or the last.
    ///
    /// `list` must not be empty and `target`, when given, must be the name of one of its entries (the config checks
    /// both and reports them with their key; here they are programming errors).
    #[must_use]
    pub fn new(mut list: Vec<Fidelity>, target: Option<&str>) -> Self {
        assert!(!list.is_empty(), "a study has at least one fidelity");
        let key = |x: Option<f64>| x.unwrap_or(0.0);
        list.sort_by(|a, b| {
            key(a.cost)
                .total_cmp(&key(b.cost))
                .then(key(a.params).total_cmp(&key(b.params)))
                .then(key(a.tokens).total_cmp(&key(b.tokens)))
                .then(a.name.cmp(&b.name))
        });
        let target = target.map_or(list.len() - 1, |name| {
            list.iter().position(|f| f.name == name).expect("the target is one of the fidelities")
        });
        Self { list, target: FidelityId(target) }
    }

    /// All fidelities, cheapest first.
    #[must_use]
    pub fn list(&self) -> &[Fidelity] {
        &self.list
    }

    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them, cheapest first.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = FidelityId> + use<> {
        (0..self.list.len()).map(FidelityId)
    }

    /// All of them with their identities, cheapest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (FidelityId, &Fidelity)> {
        self.list.iter().enumerate().map(|(i, fidelity)| (FidelityId(i), fidelity))
    }

    /// The target fidelity.
    #[must_use]
    pub fn target(&self) -> FidelityId {
        self.target
    }

    /// The fidelity of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<FidelityId> {
        self.list.iter().position(|f| f.name == name).map(FidelityId)
    }

    /// Coordinates of the fidelities on a logarithmic size axis, for the surrogate's correlation between sizes: the
    /// logarithm of compute (parameters × tokens) where all fidelities state both, else of parameters, else of tokens,
    /// else the index.
    #[must_use]
    pub fn log_sizes(&self) -> Vec<f64> {
        let all = |f: fn(&Fidelity) -> Option<f64>| self.list.iter().map(f).collect::<Option<Vec<f64>>>();
        let sizes = match (all(|f| f.params), all(|f| f.tokens)) {
            (Some(p), Some(t)) => Some(p.iter().zip(&t).map(|(p, t)| p * t).collect()),
            (Some(x), None) | (None, Some(x)) => Some(x),
            (None, None) => None,
        };
        sizes.map_or_else(
            || (0..self.list.len()).map(|i| i as f64).collect(),
            |s: Vec<f64>| s.iter().map(|x| x.ln()).collect(),
        )
    }

    /// The logarithm of compute in two parts, where fidelities are stages of training runs: that of the compute of a complete run, which
    /// takes the most tokens that a fidelity of these parameters states, and that of the share of its tokens. `None` where a fidelity
    /// states no parameters or no tokens.
    #[must_use]
    pub fn log_sizes_and_shares(&self) -> Option<[Vec<f64>; 2]> {
        let stated: Vec<(f64, f64)> = self.list.iter().map(|f| f.params.zip(f.tokens)).collect::<Option<_>>()?;
        let complete = |params: f64| stated.iter().filter(|s| s.0 == params).map(|s| s.1).fold(0.0, f64::max);
        let sizes = stated.iter().map(|(params, _)| (params * complete(*params)).ln()).collect();
        let shares = stated.iter().map(|(params, tokens)| (tokens / complete(*params)).ln()).collect();
        Some([sizes, shares])
    }
}

impl Index<FidelityId> for Fidelities {
    type Output = Fidelity;

    fn index(&self, id: FidelityId) -> &Fidelity {
        &self.list[id.0]
    }
}

#[cfg(test)]
mod tests {
    use super::{Fidelities, Fidelity, params_of};

    #[test]
    fn compute_is_that_of_a_complete_run_times_a_share() {
        let fidelity = |params, tokens| Fidelity {
            name: format!("{params} {tokens:?}"),
            params: Some(params),
            tokens,
            cost: tokens.map(|tokens| params * tokens),
            max_trials: None,
            initial: None,
        };
        let stages = [(1.0, 2.0), (1.0, 8.0), (4.0, 4.0), (4.0, 16.0)].map(|(p, t)| fidelity(p, Some(t)));
        let [sizes, shares] = Fidelities::new(stages.to_vec(), None).log_sizes_and_shares().unwrap();
        assert_eq!(sizes.iter().map(|x| x.exp().round()).collect::<Vec<_>>(), [8.0, 8.0, 64.0, 64.0]);
        assert_eq!(shares.iter().map(|x| 4.0 * x.exp()).collect::<Vec<_>>(), [1.0, 4.0, 1.0, 4.0]);
        let unstated = Fidelities::new(vec![fidelity(1.0, Some(2.0)), fidelity(4.0, None)], None);
        assert_eq!(unstated.log_sizes_and_shares(), None);
    }

    #[test]
    fn sizes_are_read_off_names_that_are_sizes() {
        let sizes = [("1M", 1e6), ("60m", 6e7), ("0.5B", 5e8), ("Qwen2.5-7B", 7e9), ("tiny 30k", 3e4), ("1M@5B", 1e6)];
        assert!(sizes.iter().all(|(name, params)| params_of(name) == Some(*params)));
        assert!(["", "B", "small", "1e3M", "-B", "0M", "model", "1Mé"].iter().all(|name| params_of(name).is_none()));
    }
}
