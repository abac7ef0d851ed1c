//! When a search has converged.

/// Whether a quantity has fallen to the limit set for it: the expected regret to `budget.regret`, what the next trial is expected to
/// gain per unit of its cost to `budget.gain`. Where there is no limit, or nothing is known of the quantity, it has not.
#[must_use]
pub fn reached(limit: Option<f64>, value: Option<f64>) -> bool {
    limit.zip(value).is_some_and(|(limit, value)| value <= limit)
}

#[cfg(test)]
mod tests {
    use super::reached;

    #[test]
    fn what_is_not_known_has_not_fallen() {
        assert!(reached(Some(0.1), Some(0.1)) && reached(Some(0.1), Some(0.0)));
        assert!(!reached(Some(0.1), Some(0.2)) && !reached(None, Some(0.0)) && !reached(Some(0.1), None));
        assert!(!reached(Some(0.1), Some(f64::NAN)));
    }
}
