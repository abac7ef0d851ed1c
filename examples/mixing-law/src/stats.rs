//! Rank correlation.

/// Spearman's rank correlation of two samples of the same length without ties, at least two.
#[must_use]
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    assert!(a.len() == b.len() && a.len() > 1, "two samples of the same length");
    let n = a.len() as f64;
    let squared: f64 = ranks(a).iter().zip(ranks(b)).map(|(x, y)| (x - y) * (x - y)).sum();
    1.0 - 6.0 * squared / (n * (n * n - 1.0))
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    order.into_iter().enumerate().for_each(|(rank, i)| ranks[i] = rank as f64);
    ranks
}

#[cfg(test)]
mod tests {
    use super::rank_correlation;

    #[test]
    fn a_monotone_function_has_rank_correlation_one_and_a_swap_of_neighbours_less() {
        let x = [0.3, -1.0, 2.0, 0.9];
        assert_eq!(rank_correlation(&x, &x.map(f64::exp)), 1.0);
        assert_eq!(rank_correlation(&x, &x.map(|v| -v)), -1.0);
        // Two neighbours exchanged: 1 − 6·2 / (4·15).
        assert!((rank_correlation(&x, &[0.9, -1.0, 2.0, 0.3]) - 0.8).abs() < 1e-12);
    }
}
