//! The regimes: which kinds of problems are played.
//!
//! **The split.** What is chosen by calibration (a prior, a constant, a kind of model) is chosen on the regimes of [`Use::Choosing`]
//! alone. The others are reported, and nothing is chosen on them. Every law has two regimes of each use, `Smooth` one, and in each use every
//! noise shape, noise level, number of metrics and number of domains occurs.

use std::fmt;

use super::law::Law::{self, Agree, Disagree, Nothing, Repetition, Smooth, Top};
use super::noise::Shape::{self, Correlated, Falling, Mixture, Same};
use Use::{Choosing, Reporting};

/// What a regime's figures may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To choose by.
    Choosing,
    /// To be reported.
    Reporting,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Choosing { "choosing" } else { "reporting" })
    }
}

/// A kind of problem.
#[derive(Clone, Copy, Debug)]
pub struct Regime {
    pub used: Use,
    pub law: Law,
    pub metrics: usize,
    pub domains: usize,
    pub shape: Shape,
    /// The noise of a metric, in standard deviations of its noise-free value over random mixtures at the target.
    pub level: f64,
}

/// Its name.
impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, law, metrics, domains, shape, level } = self;
        let words = format!("{used}/{law:?}-{metrics}m-{domains}d-{shape:?}-{level}");
        f.write_str(&words.to_lowercase())
    }
}

const fn regime(used: Use, law: Law, metrics: usize, domains: usize, shape: Shape, level: f64) -> Regime {
    Regime { used, law, metrics, domains, shape, level }
}

pub const REGIMES: [Regime; 22] = [
    regime(Choosing, Agree, 1, 3, Same, 0.2),
    regime(Choosing, Agree, 6, 6, Correlated, 1.0),
    regime(Choosing, Disagree, 1, 6, Falling, 3.0),
    regime(Choosing, Disagree, 6, 3, Mixture, 1.0),
    regime(Choosing, Repetition, 1, 17, Falling, 1.0),
    regime(Choosing, Repetition, 6, 6, Same, 0.2),
    regime(Choosing, Top, 1, 6, Mixture, 0.2),
    regime(Choosing, Top, 6, 3, Same, 1.0),
    regime(Choosing, Smooth, 1, 3, Same, 0.2),
    regime(Choosing, Nothing, 1, 6, Same, 1.0),
    regime(Choosing, Nothing, 13, 3, Correlated, 1.0),
    regime(Reporting, Agree, 1, 6, Falling, 1.0),
    regime(Reporting, Agree, 6, 17, Correlated, 0.2),
    regime(Reporting, Disagree, 1, 3, Same, 0.2),
    regime(Reporting, Disagree, 6, 6, Mixture, 3.0),
    regime(Reporting, Repetition, 1, 3, Same, 1.0),
    regime(Reporting, Repetition, 13, 6, Correlated, 1.0),
    regime(Reporting, Top, 1, 6, Falling, 1.0),
    regime(Reporting, Top, 6, 6, Same, 0.2),
    regime(Reporting, Smooth, 6, 6, Same, 1.0),
    regime(Reporting, Nothing, 1, 3, Mixture, 1.0),
    regime(Reporting, Nothing, 6, 6, Correlated, 1.0),
];
