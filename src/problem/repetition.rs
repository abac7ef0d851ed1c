//! Data that a run sees more than once.

/// The unique data that runs draw from: for each fidelity and domain, the tokens that there are as a share of the tokens of a run; infinite
/// where that is not known. A run with a weight above the share repeats the domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Repetition(pub Vec<Vec<f64>>);

/// The weight that is worth as much as weight `w` of a domain whose unique data is the share `unique` of the run's tokens, had the run
/// not repeated any: `U (1 + R (1 − exp(−(E − 1) / R)))` for `E = w / U` epochs, with the decay `R` in epochs (Muennighoff et al. 2023, eq. 5).
/// With the derivatives with respect to the weight and to the logarithm of the decay.
#[must_use]
pub fn effective_weight(w: f64, unique: f64, decay: f64) -> (f64, f64, f64) {
    let repeated = w / unique - 1.0;
    if repeated <= 0.0 {
        return (w, 1.0, 0.0);
    }
    let left = (-repeated / decay).exp();
    (unique * (1.0 + decay * (1.0 - left)), left, unique * (decay * (1.0 - left) - repeated * left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_epochs_are_nearly_as_good_as_unique_data_and_forty_are_not() {
        assert_eq!(effective_weight(0.1, 0.2, 15.0), (0.1, 1.0, 0.0));
        assert_eq!(effective_weight(0.1, f64::INFINITY, 15.0), (0.1, 1.0, 0.0));
        let worth = |epochs: f64| effective_weight(0.01 * epochs, 0.01, 15.0).0 / 0.01;
        assert!(worth(4.0) > 3.7 && worth(40.0) < 16.0, "{} {}", worth(4.0), worth(40.0));
        assert!((worth(1.0 + 1e-9) - 1.0).abs() < 1e-8);
    }

    #[test]
    fn derivatives_are_those_of_the_weight() {
        let (w, unique, decay, h) = (0.3, 0.02, 7.0, 1e-6);
        let (_, by_weight, by_decay) = effective_weight(w, unique, decay);
        let central = |f: &dyn Fn(f64) -> f64| (f(h) - f(-h)) / (2.0 * h);
        let along_weight = central(&|h| effective_weight(w + h, unique, decay).0);
        let along_decay = central(&|h: f64| effective_weight(w, unique, decay * h.exp()).0);
        assert!((by_weight - along_weight).abs() < 1e-6 && (by_decay - along_decay).abs() < 1e-6);
    }
}
