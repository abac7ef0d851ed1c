//! The scale on which a metric is modelled: one on which its values are roughly normal.

use serde::{Deserialize, Serialize};

/// A scale for the values of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// The values as they are.
    #[default]
    Identity,
    /// Their logarithms: for positive values that span orders of magnitude, such as perplexities.
    Logarithm,
    /// Their log odds: for values between 0 and 1, such as accuracies near their ends.
    Logit,
}

/// What is known of a value whose place on a scale is normally distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation per standard deviation of the place: the linear function of the place that has the mean and the variance
    /// of the value has this slope.
    pub slope: f64,
}

/// Half-width and step of the trapezoidal rule for means over a standard normal, whose error falls with exp(−2π²/step²).
const NODES: i32 = 16;
const STEP: f64 = 0.5;
/// Variances of a place on a scale below this are none: the slope is the derivative.
const NO_VARIANCE: f64 = 1e-12;
/// Variance of a logarithm beyond which the moments of the value grow no further: they are those of a far tail that nothing is known
/// of, and would be all that is left of an objective. By argument.
const MOST_LOGNORMAL: f64 = 1.0;
/// Step of central differences, relative to what is varied.
const DIFFERENCE: f64 = 1e-5;

impl Scale {
    pub(super) const ALL: [Self; 3] = [Self::Identity, Self::Logarithm, Self::Logit];

    /// The place of a value; not a number where it has none.
    pub(super) fn place(self, value: f64) -> f64 {
        match self {
            Self::Identity => value,
            Self::Logarithm => value.ln(),
            Self::Logit => (value / (1.0 - value)).ln(),
        }
    }

    /// Derivative of the place of a value.
    pub(super) fn derivative(self, value: f64) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::Logarithm => 1.0 / value,
            Self::Logit => 1.0 / (value * (1.0 - value)),
        }
    }

    /// The value at a place.
    pub(super) fn value(self, place: f64) -> f64 {
        match self {
            Self::Identity => place,
            Self::Logarithm => place.exp(),
            Self::Logit => 1.0 / (1.0 + (-place).exp()),
        }
    }

    /// The moments of the value whose place is normal with this mean and variance: closed forms but for log odds, which have none.
    pub(super) fn moments(self, mean: f64, variance: f64) -> Moments {
        if variance < NO_VARIANCE {
            let value = self.value(mean);
            return Moments { mean: value, slope: 1.0 / self.derivative(value) };
        }
        match self {
            Self::Identity => Moments { mean, slope: 1.0 },
            // The lognormal distribution.
            Self::Logarithm => {
                let variance = variance.min(MOST_LOGNORMAL);
                let value = (mean + 0.5 * variance).exp();
                Moments { mean: value, slope: value * (variance.exp_m1() / variance).sqrt() }
            }
            Self::Logit => {
                let nodes = (-NODES..=NODES).map(|node| f64::from(node) * STEP);
                let weighed = |z: f64| ((-0.5 * z * z).exp(), self.value(mean + variance.sqrt() * z));
                let average = |of: &dyn Fn(f64) -> f64| {
                    let (weight, sum) = nodes
                        .clone()
                        .map(weighed)
                        .fold((0.0, 0.0), |(w, s), (weight, value)| (w + weight, s + weight * of(value)));
                    sum / weight
                };
                let value = average(&|value| value);
                Moments { mean: value, slope: (average(&|other| (other - value).powi(2)) / variance).sqrt() }
            }
        }
    }

    /// [`Self::moments`], with the derivatives of the mean and of the slope with respect to the mean and the variance of the place: by
    /// central differences, but for a metric's own scale, whose values may be so large that they have no digits left for differences.
    pub(super) fn moments_with_gradient(self, mean: f64, variance: f64) -> (Moments, [Moments; 2]) {
        if self == Self::Identity {
            let by_mean = Moments { mean: 1.0, slope: 0.0 };
            return (self.moments(mean, variance), [by_mean, Moments { mean: 0.0, slope: 0.0 }]);
        }
        let difference = |step: f64, one: Moments, other: Moments| Moments {
            mean: (one.mean - other.mean) / step,
            slope: (one.slope - other.slope) / step,
        };
        let (h, k) = (DIFFERENCE * variance.sqrt().max(DIFFERENCE), DIFFERENCE * variance);
        let at = |mean: f64, variance: f64| self.moments(mean, variance);
        let gradient = [
            difference(2.0 * h, at(mean + h, variance), at(mean - h, variance)),
            difference(2.0 * k, at(mean, variance + k), at(mean, variance - k)),
        ];
        (at(mean, variance), gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and standard deviation of the value, by a fine midpoint rule.
    fn brute(scale: Scale, mean: f64, sd: f64) -> (f64, f64) {
        let steps = 40_000;
        let node = |i: i32| -10.0 + 20.0 * (f64::from(i) + 0.5) / f64::from(steps);
        let average = |of: &dyn Fn(f64) -> f64| {
            let (mut total, mut sum) = (0.0, 0.0);
            for z in (0..steps).map(node) {
                let weight = (-0.5 * z * z).exp();
                (total, sum) = (total + weight, sum + weight * of(scale.value(mean + sd * z)));
            }
            sum / total
        };
        let mean = average(&|value| value);
        (mean, average(&|value| (value - mean).powi(2)).sqrt())
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        for scale in Scale::ALL {
            for mean in [-3.0, -0.2, 0.0, 1.0, 4.0] {
                for sd in [1e-8, 1e-3, 0.1, 0.7, 1.0] {
                    let found = scale.moments(mean, sd * sd);
                    let (value, spread) = brute(scale, mean, sd);
                    assert!((found.mean - value).abs() < 1e-7 * value.abs().max(1e-3), "{scale:?} {mean} {sd}");
                    let near = (found.slope * sd / spread - 1.0).abs() < 1e-5;
                    assert!(near, "{scale:?} {mean} {sd}: {} {spread}", found.slope * sd);
                }
            }
        }
    }

    #[test]
    fn what_is_hardly_known_has_moments_of_the_order_of_what_is_known() {
        for variance in [2.0, 100.0, 1e12] {
            let found = Scale::Logarithm.moments(3.0, variance);
            assert_eq!(found, Scale::Logarithm.moments(3.0, MOST_LOGNORMAL));
            assert!((0.49..0.51).contains(&Scale::Logit.moments(0.0, variance).mean));
        }
    }

    #[test]
    fn a_metrics_own_scale_has_exact_derivatives_however_large_its_values_are() {
        let (moments, [by_mean, by_variance]) = Scale::Identity.moments_with_gradient(1e12, 1e-8);
        assert_eq!((moments.mean, moments.slope), (1e12, 1.0));
        assert_eq!((by_mean.mean, by_mean.slope, by_variance.mean, by_variance.slope), (1.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn a_place_leads_back_to_its_value() {
        for scale in Scale::ALL {
            for value in [1e-9, 0.02, 0.5, 0.97] {
                let place = scale.place(value);
                assert!((scale.value(place) / value - 1.0).abs() < 1e-12);
                let h = 1e-6 * value;
                let numeric = (scale.place(value + h) - scale.place(value - h)) / (2.0 * h);
                assert!((numeric / scale.derivative(value) - 1.0).abs() < 1e-6, "{scale:?} {value}");
            }
        }
        assert!(!Scale::Logarithm.place(0.0).is_finite() && !Scale::Logarithm.place(-1.0).is_finite());
        assert!(!Scale::Logit.place(1.0).is_finite() && !Scale::Logit.place(1.5).is_finite());
    }
}
