//! What has to hold of the recommended mixture besides a good objective.

use super::Mixture;

/// A bound on one metric at the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Index of its metric in the objective's.
    pub metric: usize,
    /// +1 where the metric may not be too large, −1 where it may not be too small.
    pub sign: f64,
    /// What it may not pass.
    pub threshold: Threshold,
    /// By how much it may pass that.
    pub tolerance: Tolerance,
    /// With which probability it has to hold for a mixture to be recommended, in (0, 1).
    pub probability: f64,
}

/// What a guarded metric is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Threshold {
    /// A value.
    Value(f64),
    /// What the metric is of a mixture at the target.
    Mixture {
        /// What people call it.
        name: String,
        /// Its weights.
        mixture: Mixture,
    },
}

/// By how much a guarded metric may pass its threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// In the metric's unit.
    Absolute(f64),
    /// As a share of the threshold's absolute value.
    Relative(f64),
}

impl Guard {
    /// The mixture whose metric it is compared with, if it is with one.
    #[must_use]
    pub fn mixture(&self) -> Option<&Mixture> {
        match &self.threshold {
            Threshold::Mixture { mixture, .. } => Some(mixture),
            Threshold::Value(_) => None,
        }
    }

    /// The tolerance in the metric's unit, where the threshold has this value.
    #[must_use]
    pub fn allowance(&self, threshold: f64) -> f64 {
        match self.tolerance {
            Tolerance::Absolute(tolerance) => tolerance,
            Tolerance::Relative(share) => share * threshold.abs(),
        }
    }

    /// How far a metric of this value is from breaking the guard, in the metric's unit; below 0 it breaks it.
    #[must_use]
    pub fn slack(&self, value: f64, threshold: f64) -> f64 {
        self.sign * (threshold - value) + self.allowance(threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_is_the_distance_to_the_threshold_and_its_tolerance() {
        let guard = |sign: f64, tolerance: Tolerance| Guard {
            metric: 0,
            sign,
            threshold: Threshold::Value(2.0),
            tolerance,
            probability: 0.9,
        };
        assert_eq!(guard(1.0, Tolerance::Absolute(0.5)).slack(2.25, 2.0), 0.25);
        assert_eq!(guard(-1.0, Tolerance::Absolute(0.0)).slack(2.25, 2.0), 0.25);
        assert_eq!(guard(1.0, Tolerance::Relative(0.25)).slack(-1.0, -2.0), -0.5, "a share of the absolute value");
    }
}
