//! The validated search space over mixtures.

use std::collections::HashMap;

use super::granularity::Usable;
use super::{Bound, Granularity, Group, Polytope, SpaceError, TightBound};
use crate::problem::{Mixture, check_domain_name};

/// Domains that a config can have, at most. Time and memory for the space grow with the square of their number, and a model
/// learns a length-scale of each: with more, a search says little and a config is most likely not what was meant.
pub const MOST_DOMAINS: usize = 1000;

/// A data source whose weight in the mixture is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Unique name, as in the config file.
    pub name: String,
    /// Smallest weight (a fraction of the mixture), in `[0, 1]`.
    pub min: f64,
    /// Largest weight before token caps, in `[min, 1]`.
    pub max: f64,
    /// Tokens available, when known.
    pub tokens: Option<f64>,
    /// Share in the reference ("natural") mixture, when given; not necessarily normalized.
    pub prior: Option<f64>,
    /// The kind of data that it is, when given. Domains of a family are expected to matter alike.
    pub family: Option<String>,
}

impl Domain {
    /// A domain without bounds of its own.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), min: 0.0, max: 1.0, tokens: None, prior: None, family: None }
    }

    /// The largest weight that `max` and the available tokens allow.
    #[must_use]
    pub fn largest(&self, limits: Option<Limits>) -> f64 {
        cap(self, limits).unwrap_or(1.0).min(self.max)
    }
}

/// A bound on the sum of some domains' weights, whose ratios may be fixed, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// Unique name.
    pub name: String,
    /// Names of its domains, without repetition; at least one.
    pub domains: Vec<String>,
    /// Smallest sum of their weights, in `[0, 1]`.
    pub min: f64,
    /// Largest sum of their weights, in `[min, 1]`.
    pub max: f64,
    /// Fixed ratios of their weights, in the order of `domains`: not negative, with a sum above 0.
    pub freeze: Option<Vec<f64>>,
}

/// How much of the available data the target run may use: `w_i ≤ tokens_i · max_epochs / target_tokens`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Tokens that the target run trains on, > 0.
    pub target_tokens: f64,
    /// How often it may see the same token, > 0; `None` sets no cap.
    pub max_epochs: Option<f64>,
}

/// The validated search space over mixtures.
///
/// Domains are held in the order of their names, whatever the order in the config file, so that reordering a config
/// changes nothing about a study. Every weight vector in the crate is in this order.
#[derive(Clone, Debug)]
pub struct SearchSpace {
    domains: Vec<Domain>,
    limits: Option<Limits>,
    /// Index of the family of each domain.
    families: Vec<usize>,
    polytope: Polytope,
    /// Which of its mixtures can be used, if not all.
    usable: Option<Usable>,
}

impl SearchSpace {
    /// Checks domains, groups and token caps, and that some mixture satisfies all of them.
    ///
    /// # Errors
    /// [`SpaceError`] says which domain or group is wrong, or which bounds cannot hold together.
    pub fn new(mut domains: Vec<Domain>, groups: Vec<GroupSpec>, limits: Option<Limits>) -> Result<Self, SpaceError> {
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        check_domains(&domains)?;
        if let Some(limits) = limits
            && !(limits.target_tokens > 0.0 && limits.max_epochs.is_none_or(|e| e > 0.0))
        {
            return Err(SpaceError::Limits);
        }
        let groups = resolve_groups(groups, &domains)?;
        let lower: Vec<f64> = domains.iter().map(|d| d.min).collect();
        let upper: Vec<f64> = domains.iter().map(|d| d.largest(limits)).collect();
        let names = |bounds: Vec<Bound>| {
            let frozen = frozen(&bounds, &domains, &groups);
            let stated = bounds.into_iter().filter_map(|b| describe(b, &domains, &groups, limits));
            SpaceError::Infeasible(stated.chain(frozen).collect())
        };
        if let Some(i) = (0..domains.len()).find(|&i| lower[i] > upper[i]) {
            return Err(names(vec![Bound::Lower(i), Bound::Upper(i)]));
        }
        let polytope = Polytope::new(lower, upper, groups.clone()).map_err(names)?;
        Ok(Self { families: families(&domains), domains, limits, polytope, usable: None })
    }

    /// The same space, of which only mixtures with such weights are suggested and recommended.
    ///
    /// # Errors
    /// [`SpaceError::Unusable`]: the bounds allow no such mixture.
    pub fn with_granularity(self, granularity: Granularity) -> Result<Self, SpaceError> {
        if granularity == Granularity::default() {
            return Ok(Self { usable: None, ..self });
        }
        let described = |bound| describe(bound, &self.domains, self.polytope.groups(), self.limits);
        let usable = Usable::new(granularity, &self.polytope).map_err(|bounds| SpaceError::Unusable {
            granularity,
            bounds: bounds.into_iter().filter_map(described).collect(),
        })?;
        Ok(Self { usable: Some(usable), ..self })
    }

    /// Which weights can be used.
    #[must_use]
    pub fn granularity(&self) -> Granularity {
        self.usable.as_ref().map_or_else(Granularity::default, |usable| usable.granularity)
    }

    /// The mixture of the space that is nearest to `weights` and that can be used.
    #[must_use]
    pub fn usable(&self, weights: &[f64]) -> Vec<f64> {
        self.usable.as_ref().map_or_else(|| self.polytope.project(weights), |usable| usable.nearest(weights))
    }

    /// The mixtures with the same domains as `weights`, which can be used, and with weights that are not too small. They form a polytope,
    /// but not all of its mixtures are round. `None` if all mixtures of the space can be used.
    #[must_use]
    pub fn face(&self, weights: &[f64]) -> Option<Polytope> {
        self.usable.as_ref()?.face(weights)
    }

    /// Number of domains, ≥ 1.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.domains.len()
    }

    /// The domains, sorted by name.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// The family of each domain, as indices from 0 on. A domain that states none is a family of its own.
    #[must_use]
    pub fn families(&self) -> &[usize] {
        &self.families
    }

    /// The feasible weights.
    #[must_use]
    pub fn polytope(&self) -> &Polytope {
        &self.polytope
    }

    /// The part of the space whose total-variation distance to `center`, one of its mixtures, is at most `distance`. There may be no mixture
    /// near `center` that can be used, so weights are not restricted further.
    #[must_use]
    pub fn within(&self, center: &Mixture, distance: f64) -> Self {
        let polytope = self.polytope.within(center.weights().to_vec(), distance);
        Self { polytope, usable: None, ..self.clone() }
    }

    /// What the token caps were computed from.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// Index of the domain of this name.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.domains.binary_search_by(|d| d.name.as_str().cmp(name)).ok()
    }

    /// The largest weight of domain `i` that its available tokens allow at the target; `None` without such a cap.
    #[must_use]
    pub fn token_cap(&self, i: usize) -> Option<f64> {
        cap(&self.domains[i], self.limits)
    }

    /// The stated bounds that a mixture meets with equality (within 1e-9), described for people. Bounds at 0 and 1 that
    /// say nothing are left out.
    #[must_use]
    pub fn tight_bounds(&self, mixture: &Mixture) -> Vec<TightBound> {
        self.bounds_where(mixture, |slack| slack.abs() <= 1e-9)
    }

    /// The stated bounds that a mixture breaks (by more than 1e-6), described for people; what is asked of its weights included.
    #[must_use]
    pub fn broken_bounds(&self, mixture: &Mixture) -> Vec<TightBound> {
        let mut broken = self.bounds_where(mixture, |slack| slack < -1e-6);
        let unlike = |group: &&Group| {
            group.freeze.as_ref().is_some_and(|ratios| {
                let total: f64 = group.domains.iter().map(|&i| mixture.weights()[i]).sum();
                group.domains.iter().zip(ratios).any(|(&i, ratio)| (mixture.weights()[i] - ratio * total).abs() > 1e-6)
            })
        };
        let unlike = self.polytope.groups().iter().filter(unlike);
        broken.extend(unlike.filter_map(|group| ratios(group, &self.domains)));
        let granularity = self.granularity();
        let (small, uneven): (Vec<bool>, Vec<bool>) = mixture.weights().iter().map(|w| granularity.breaks(*w)).unzip();
        let domains = self.domains.iter().zip(small).filter(|(_, small)| *small).map(|(domain, _)| &domain.name);
        let smallest = |(domain, smallest): (&String, f64)| TightBound::Smallest { domain: domain.clone(), smallest };
        broken.extend(domains.zip(granularity.smallest.into_iter().cycle()).map(smallest));
        broken.extend(granularity.step().filter(|_| uneven.contains(&true)).map(|step| TightBound::Step { step }));
        broken
    }

    /// The stated bounds to which `test` applies, given by how much a mixture keeps each (below 0: by how much it breaks it).
    fn bounds_where(&self, mixture: &Mixture, test: impl Fn(f64) -> bool) -> Vec<TightBound> {
        let (w, polytope) = (mixture.weights(), &self.polytope);
        let mut found = Vec::new();
        for i in 0..self.dim() {
            found.extend(test(w[i] - polytope.lower()[i]).then_some(Bound::Lower(i)));
            found.extend(test(polytope.upper()[i] - w[i]).then_some(Bound::Upper(i)));
        }
        for (g, group) in polytope.groups().iter().enumerate() {
            let sum: f64 = group.domains.iter().map(|&i| w[i]).sum();
            found.extend(test(sum - group.min).then_some(Bound::GroupMin(g)));
            found.extend(test(group.max - sum).then_some(Bound::GroupMax(g)));
        }
        found.into_iter().filter_map(|b| describe(b, &self.domains, polytope.groups(), self.limits)).collect()
    }

    /// The feasible mixture nearest to equal weights.
    #[must_use]
    pub fn uniform(&self) -> Mixture {
        Mixture::new(self.polytope.project(&vec![1.0 / self.dim() as f64; self.dim()]))
    }

    /// The feasible mixture nearest to the normalized priors; `None` unless some domain states a prior above zero
    /// (domains without one then count as zero).
    #[must_use]
    pub fn prior(&self) -> Option<Mixture> {
        let priors: Vec<f64> = self.domains.iter().map(|d| d.prior.unwrap_or(0.0)).collect();
        let total: f64 = priors.iter().sum();
        (total > 0.0)
            .then(|| Mixture::new(self.polytope.project(&priors.iter().map(|p| p / total).collect::<Vec<_>>())))
    }

    /// The feasible mixture nearest to what there is of each domain: shares of the available tokens; `None` unless all
    /// domains state theirs.
    #[must_use]
    pub fn natural(&self) -> Option<Mixture> {
        let tokens: Vec<f64> = self.domains.iter().map(|d| d.tokens).collect::<Option<_>>()?;
        let total: f64 = tokens.iter().sum();
        Some(Mixture::new(self.polytope.project(&tokens.iter().map(|t| t / total).collect::<Vec<_>>())))
    }

    /// A mixture from weights by name. Domains that are not named get none; weights are divided by their sum, which
    /// must be positive. Bounds are not enforced: a run outside the space is still a run.
    ///
    /// # Errors
    /// [`SpaceError::Weights`] for an unknown or repeated domain, a negative or non-finite weight, or a sum of zero.
    pub fn mixture<S: AsRef<str>>(&self, weights: impl IntoIterator<Item = (S, f64)>) -> Result<Mixture, SpaceError> {
        let mut w = vec![None; self.dim()];
        for (name, weight) in weights {
            let name = name.as_ref();
            let wrong = |reason: &str| SpaceError::Weights(format!("domain `{name}` {reason}"));
            let i = self.index(name).ok_or_else(|| wrong("is not in the search space"))?;
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(wrong(&format!("has weight {weight}; weights are finite and not negative")));
            }
            if w[i].replace(weight).is_some() {
                return Err(wrong("appears twice"));
            }
        }
        let w: Vec<f64> = w.into_iter().map(Option::unwrap_or_default).collect();
        let total: f64 = w.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err(SpaceError::Weights(format!("they sum to {total}; at least one must be above zero")));
        }
        // Weights that sum to 1 but for rounding stay as they were stated.
        let is_one = (total - 1.0).abs() <= f64::EPSILON * w.len() as f64;
        Ok(Mixture::new(if is_one { w } else { w.iter().map(|x| x / total).collect() }))
    }

    /// Names and weights of a mixture, in the order of the space.
    pub fn named<'a>(&'a self, mixture: &'a Mixture) -> impl Iterator<Item = (&'a str, f64)> {
        self.domains.iter().map(|d| d.name.as_str()).zip(mixture.weights().iter().copied())
    }

    /// How often a run on `target_tokens` tokens of this mixture sees each domain's data: `w_i · target_tokens /
    /// tokens_i`, `None` where the available tokens are not known.
    #[must_use]
    pub fn epochs(&self, mixture: &Mixture, target_tokens: f64) -> Vec<Option<f64>> {
        let weights = mixture.weights().iter();
        self.domains.iter().zip(weights).map(|(d, w)| d.tokens.map(|t| w * target_tokens / t)).collect()
    }
}

fn check_domains(domains: &[Domain]) -> Result<(), SpaceError> {
    if domains.is_empty() {
        return Err(SpaceError::NoDomains);
    }
    for (i, domain) in domains.iter().enumerate() {
        let wrong = |reason: String| Err(SpaceError::Domain { name: domain.name.clone(), reason });
        if let Err(reason) = check_domain_name(&domain.name) {
            return wrong(format!("the name {reason}"));
        }
        if i > 0 && domains[i - 1].name == domain.name {
            return wrong("appears twice".into());
        }
        if !(0.0 <= domain.min && domain.min <= domain.max && domain.max <= 1.0) {
            return wrong(format!("needs 0 ≤ min ≤ max ≤ 1, not min = {}, max = {}", domain.min, domain.max));
        }
        let sensible = |x: Option<f64>| x.is_none_or(|x| x >= 0.0 && x.is_finite());
        if !sensible(domain.prior) || !sensible(domain.tokens) || domain.tokens == Some(0.0) {
            return wrong("needs prior ≥ 0 and tokens > 0".into());
        }
    }
    Ok(())
}

/// [`SearchSpace::families`]
fn families(domains: &[Domain]) -> Vec<usize> {
    let mut seen: Vec<Option<&String>> = Vec::new();
    domains
        .iter()
        .map(|domain| {
            let family = domain.family.as_ref();
            let known = seen.iter().position(|other| family.is_some() && *other == family);
            known.unwrap_or_else(|| {
                seen.push(family);
                seen.len() - 1
            })
        })
        .collect()
}

fn resolve_groups(groups: Vec<GroupSpec>, domains: &[Domain]) -> Result<Vec<Group>, SpaceError> {
    let index: HashMap<&str, usize> = domains.iter().enumerate().map(|(i, d)| (d.name.as_str(), i)).collect();
    let mut resolved: Vec<Group> = Vec::with_capacity(groups.len());
    for group in groups {
        let wrong = |reason: String| SpaceError::Group { name: group.name.clone(), reason };
        let sum = group.freeze.as_ref().map_or(1.0, |ratios| ratios.iter().sum());
        if group
            .freeze
            .as_ref()
            .is_some_and(|ratios| ratios.len() != group.domains.len() || ratios.iter().any(|r| *r < 0.0))
            || !(sum > 0.0 && sum.is_finite())
        {
            return Err(wrong("needs one ratio of at least 0 per domain, and one above 0".into()));
        }
        let mut members = Vec::with_capacity(group.domains.len());
        for (i, name) in group.domains.iter().enumerate() {
            let member = index.get(name.as_str()).ok_or_else(|| wrong(format!("unknown domain `{name}`")))?;
            members.push((*member, group.freeze.as_ref().map(|ratios| ratios[i] / sum)));
        }
        members.sort_unstable_by_key(|(member, _)| *member);
        if members.is_empty() || members.windows(2).any(|w| w[0].0 == w[1].0) {
            return Err(wrong("needs at least one domain, each once".into()));
        }
        let (members, freeze): (Vec<usize>, Vec<Option<f64>>) = members.into_iter().unzip();
        let overlaps = |g: &Group| g.freeze.is_some() && g.domains.iter().any(|i| members.contains(i));
        if group.freeze.is_some() && resolved.iter().any(overlaps) {
            return Err(wrong("shares a domain with another frozen group".into()));
        }
        if !(0.0 <= group.min && group.min <= group.max && group.max <= 1.0) {
            return Err(wrong(format!("needs 0 ≤ min ≤ max ≤ 1, not min = {}, max = {}", group.min, group.max)));
        }
        if resolved.iter().any(|g| g.name == group.name) {
            return Err(wrong("appears twice".into()));
        }
        let freeze = freeze.into_iter().collect();
        resolved.push(Group { name: group.name, domains: members, min: group.min, max: group.max, freeze });
    }
    // The order in the config must not matter, not even to the last bit.
    resolved.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(resolved)
}

fn cap(domain: &Domain, limits: Option<Limits>) -> Option<f64> {
    let limits = limits?;
    Some(domain.tokens? * limits.max_epochs? / limits.target_tokens)
}

/// What fixes the ratios of weights that bounds are about.
fn frozen(bounds: &[Bound], domains: &[Domain], groups: &[Group]) -> Vec<TightBound> {
    let about = |group: &&Group| {
        bounds.iter().any(|bound| matches!(bound, Bound::Lower(i) | Bound::Upper(i) if group.domains.contains(i)))
    };
    groups.iter().filter(about).filter_map(|group| ratios(group, domains)).collect()
}

/// What a frozen group asks of its weights.
fn ratios(group: &Group, domains: &[Domain]) -> Option<TightBound> {
    let ratios = group.domains.iter().zip(group.freeze.as_ref()?).map(|(i, ratio)| (domains[*i].name.clone(), *ratio));
    Some(TightBound::Frozen { group: group.name.clone(), ratios: ratios.collect() })
}

/// A bound in the user's words; `None` for those that nobody stated (`w ≥ 0`, `w ≤ 1`).
fn describe(bound: Bound, domains: &[Domain], groups: &[Group], limits: Option<Limits>) -> Option<TightBound> {
    let stated = |value: f64, trivial: f64| (value != trivial).then_some(value);
    match bound {
        Bound::Lower(i) => Some(TightBound::Min { domain: domains[i].name.clone(), min: stated(domains[i].min, 0.0)? }),
        Bound::Upper(i) => {
            let domain = &domains[i];
            match (cap(domain, limits), domain.tokens, limits) {
                (Some(cap), Some(tokens), Some(Limits { target_tokens, max_epochs: Some(max_epochs) }))
                    if cap < domain.max =>
                {
                    Some(TightBound::TokenCap { domain: domain.name.clone(), cap, tokens, max_epochs, target_tokens })
                }
                _ => Some(TightBound::Max { domain: domain.name.clone(), max: stated(domain.max, 1.0)? }),
            }
        }
        Bound::GroupMin(g) => {
            Some(TightBound::GroupMin { group: groups[g].name.clone(), min: stated(groups[g].min, 0.0)? })
        }
        Bound::GroupMax(g) => {
            Some(TightBound::GroupMax { group: groups[g].name.clone(), max: stated(groups[g].max, 1.0)? })
        }
    }
}
