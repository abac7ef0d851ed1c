//! What keeps a weight from being larger.

use std::fmt;

use super::{Group, SearchSpace, TightBound};
use crate::problem::Mixture;

/// Weights closer than this are the same.
const CLOSE: f64 = 1e-9;

/// What holds a domain's largest weight where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// Its `min` is its `max`.
    Pinned,
    /// Its available tokens.
    TokenCap,
    /// Its `max`.
    Max,
    /// The `min` of another domain.
    MinOf(String),
    /// The `max` of a group that it belongs to.
    GroupMax(String),
    /// The `min` of a group that it does not belong to.
    GroupMin(String),
    /// The ratios of a group that it belongs to, and what limits another one of its domains.
    Frozen(String),
}

impl fmt::Display for LimitedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned => f.write_str("pinned: min = max"),
            Self::TokenCap => f.write_str("token cap"),
            Self::Max => f.write_str("its max"),
            Self::MinOf(name) | Self::GroupMin(name) => write!(f, "min of {name}"),
            Self::GroupMax(name) => write!(f, "max of {name}"),
            Self::Frozen(name) => write!(f, "freeze of {name}"),
        }
    }
}

impl SearchSpace {
    /// The bounds that hold the largest weight of domain `i` where it is; none where it can have all the weight.
    #[must_use]
    pub fn limited_by(&self, i: usize) -> Vec<LimitedBy> {
        let (domain, polytope) = (&self.domains()[i], self.polytope());
        if domain.min == domain.max {
            return vec![LimitedBy::Pinned];
        }
        let most = polytope.reach()[i].1;
        if most >= 1.0 - CLOSE {
            return vec![];
        }
        if most >= polytope.upper()[i] - CLOSE {
            let capped = self.token_cap(i).is_some_and(|cap| cap < domain.max);
            return vec![if capped { LimitedBy::TokenCap } else { LimitedBy::Max }];
        }
        let freezes = |group: &&Group| group.freeze.is_some() && group.domains.contains(&i);
        if let Some(group) = polytope.groups().iter().find(freezes) {
            return vec![LimitedBy::Frozen(group.name.clone())];
        }
        let mut direction = vec![0.0; self.dim()];
        direction[i] = 1.0;
        let extreme = Mixture::new(polytope.maximize(&direction));
        let has = |group: &str| polytope.groups().iter().any(|g| g.name == group && g.domains.contains(&i));
        let binding = self.tight_bounds(&extreme).into_iter().filter_map(|bound| match bound {
            TightBound::Min { domain: other, .. } if other != domain.name => Some(LimitedBy::MinOf(other)),
            TightBound::GroupMax { group, .. } if has(&group) => Some(LimitedBy::GroupMax(group)),
            TightBound::GroupMin { group, .. } if !has(&group) => Some(LimitedBy::GroupMin(group)),
            _ => None,
        });
        binding.collect()
    }

    /// [`Self::token_cap`], where that is what limits the weight of domain `i`.
    #[must_use]
    pub fn binding_token_cap(&self, i: usize) -> Option<f64> {
        let most = self.polytope().reach()[i].1;
        self.token_cap(i).filter(|cap| *cap < self.domains()[i].max && *cap <= most + CLOSE)
    }

    /// Whether the bounds leave one weight only to domain `i`.
    #[must_use]
    pub fn is_pinned(&self, i: usize) -> bool {
        let (least, most) = self.polytope().reach()[i];
        most - least <= CLOSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Domain, GroupSpec, Limits};

    fn space(domains: Vec<Domain>, groups: Vec<GroupSpec>) -> SearchSpace {
        let limits = Limits { target_tokens: 100.0, max_epochs: Some(1.0) };
        SearchSpace::new(domains, groups, Some(limits)).unwrap()
    }

    fn domain(name: &str, min: f64, max: f64) -> Domain {
        Domain { min, max, ..Domain::new(name) }
    }

    #[test]
    fn the_bound_that_holds_a_weight_down_is_named() {
        let few = Domain { tokens: Some(30.0), ..Domain::new("a") };
        let space = space(vec![few, domain("b", 0.0, 0.4), domain("c", 0.1, 1.0), domain("d", 0.1, 0.1)], vec![]);
        assert_eq!(space.limited_by(0), [LimitedBy::TokenCap]);
        assert_eq!(space.binding_token_cap(0), Some(0.3));
        assert_eq!(space.limited_by(1), [LimitedBy::Max]);
        assert_eq!(space.limited_by(2), [LimitedBy::MinOf("d".into())]);
        assert_eq!(space.limited_by(3), [LimitedBy::Pinned]);
        assert_eq!((0..4).map(|i| space.is_pinned(i)).collect::<Vec<_>>(), [false, false, false, true]);
    }

    #[test]
    fn groups_limit_their_members_from_above_and_others_from_below() {
        let group = |name: &str, domain: &str, min, max| GroupSpec {
            name: name.into(),
            domains: vec![domain.into()],
            min,
            max,
            freeze: None,
        };
        let groups = vec![group("first", "a", 0.0, 0.6), group("second", "b", 0.2, 1.0)];
        let space = space(["a", "b", "c"].map(Domain::new).into(), groups);
        assert_eq!(space.limited_by(0), [LimitedBy::GroupMax("first".into())]);
        assert_eq!(space.limited_by(1), []);
        assert_eq!(space.limited_by(2), [LimitedBy::GroupMin("second".into())]);
        assert_eq!(space.limited_by(2)[0].to_string(), "min of second");
    }
}
