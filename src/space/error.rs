//! What can be wrong with a search space.

use std::fmt;

use super::Granularity;

/// Why a search space, or weights in it, cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpaceError {
    /// There is nothing to mix.
    #[error("there are no domains; list at least one")]
    NoDomains,
    /// A domain is not usable.
    #[error("domain `{name}`: {reason}")]
    Domain {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A group is not usable.
    #[error("group `{name}`: {reason}")]
    Group {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Limits are not positive.
    #[error("target tokens and max epochs must be above zero")]
    Limits,
    /// Weights are not a mixture.
    #[error("weights: {0}")]
    Weights(String),
    /// No mixture satisfies these bounds together (those that only say `0 ≤ w ≤ 1` are left out).
    #[error("no mixture satisfies all bounds: weights sum to 1, but {}", list(.0))]
    Infeasible(Vec<TightBound>),
    /// No mixture that satisfies all bounds has such weights.
    #[error(
        "no mixture within the bounds can be used: each weight must be {granularity}{}. Lower these limits or relax the bounds",
        within(bounds)
    )]
    Unusable {
        /// What is asked of the weights.
        granularity: Granularity,
        /// The bounds that exclude it, if it is known which.
        bounds: Vec<TightBound>,
    },
}

/// A stated bound, in the user's words.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are what their names say")]
pub enum TightBound {
    /// `min` of a domain.
    Min { domain: String, min: f64 },
    /// `max` of a domain.
    Max { domain: String, max: f64 },
    /// What a domain's available tokens allow.
    TokenCap { domain: String, cap: f64, tokens: f64, max_epochs: f64, target_tokens: f64 },
    /// `min` of a group.
    GroupMin { group: String, min: f64 },
    /// `max` of a group.
    GroupMax { group: String, max: f64 },
    /// `freeze` of a group: the ratios of its weights, which sum to 1.
    Frozen { group: String, ratios: Vec<(String, f64)> },
    /// `limits.smallest_weight`, of a domain.
    Smallest { domain: String, smallest: f64 },
    /// `limits.step`
    Step { step: f64 },
}

impl TightBound {
    /// The bounding value, if it is one.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Frozen { .. } => None,
            Self::Min { min: value, .. }
            | Self::Max { max: value, .. }
            | Self::TokenCap { cap: value, .. }
            | Self::GroupMin { min: value, .. }
            | Self::GroupMax { max: value, .. }
            | Self::Smallest { smallest: value, .. }
            | Self::Step { step: value } => Some(*value),
        }
    }
}

impl fmt::Display for TightBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Min { domain, min } => write!(f, "`{domain}` ≥ {min}"),
            Self::Max { domain, max } => write!(f, "`{domain}` ≤ {max}"),
            Self::TokenCap { domain, cap, tokens, max_epochs, target_tokens } => write!(
                f,
                "`{domain}` ≤ {} (token cap: {} tokens × {} epochs / {} target tokens)",
                short(*cap),
                short(*tokens),
                short(*max_epochs),
                short(*target_tokens)
            ),
            Self::GroupMin { group, min } => write!(f, "group `{group}` ≥ {min}"),
            Self::GroupMax { group, max } => write!(f, "group `{group}` ≤ {max}"),
            Self::Frozen { group, ratios } => {
                let (names, shares): (Vec<&str>, Vec<String>) =
                    ratios.iter().map(|(n, r)| (n.as_str(), short(*r))).unzip();
                write!(f, "group `{group}` is frozen at {} = {}", names.join(" : "), shares.join(" : "))
            }
            Self::Smallest { domain, smallest } => {
                write!(f, "`{domain}` = 0 or `{domain}` ≥ {smallest} (limits.smallest_weight)")
            }
            Self::Step { step } => write!(f, "weights are multiples of {step} (limits.step)"),
        }
    }
}

/// Four significant digits, without the tail of a binary fraction; powers of ten where they are shorter.
fn short(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
        return format!("{:e}", format!("{x:.3e}").parse::<f64>().unwrap_or(x));
    }
    let digits = if x == 0.0 { 0 } else { (3 - x.abs().log10().floor() as i32).max(0) as usize };
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A sum with as many digits as tell it from 1, at least four.
fn apart(sum: f64) -> String {
    let texts = (3..=16).map(|digits| format!("{sum:.digits$}"));
    let told = texts.into_iter().find(|text| text.parse() != Ok(1.0)).unwrap_or_else(|| sum.to_string());
    told.trim_end_matches('0').to_owned()
}

/// The first of some bounds, and how many more there are.
fn shown(bounds: &[TightBound]) -> String {
    const SHOWN: usize = 8;
    let mut parts: Vec<String> = bounds.iter().take(SHOWN).map(ToString::to_string).collect();
    if bounds.len() > SHOWN {
        parts.push(format!("{} more", bounds.len() - SHOWN));
    }
    parts.join(", ")
}

fn within(bounds: &[TightBound]) -> String {
    if bounds.is_empty() { String::new() } else { format!(", but {}", shown(bounds)) }
}

fn list(bounds: &[TightBound]) -> String {
    let one_sided =
        |f: fn(&TightBound) -> bool| bounds.iter().all(f).then(|| bounds.iter().filter_map(TightBound::value).sum());
    let parts = shown(bounds);
    let least: Option<f64> = one_sided(|b| matches!(b, TightBound::Min { .. }));
    let most: Option<f64> = one_sided(|b| matches!(b, TightBound::Max { .. } | TightBound::TokenCap { .. }));
    match (least, most) {
        (Some(sum), _) if sum > 1.0 => format!("the smallest weights alone sum to {}: {parts}. Lower some", apart(sum)),
        (_, Some(sum)) if sum < 1.0 => format!("the largest weights sum to only {}: {parts}. Raise some", apart(sum)),
        _ => format!("these cannot hold together: {parts}. Relax one of them"),
    }
}
