//! Statistics of few numbers.

/// The mean of `values`, not empty, and its standard error where there are two or more.
#[must_use]
pub fn mean_and_error(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|y| (y - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt()))
}

/// Spearman's rank correlation, ties sharing their mean rank; `None` where either side is constant or there are fewer
/// than two values.
#[must_use]
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let ranks = |x: &[f64]| -> Vec<f64> {
        let rank = |v: &f64| x.iter().map(|u| f64::from(u8::from(u < v)) + 0.5 * f64::from(u8::from(u == v))).sum();
        x.iter().map(rank).collect()
    };
    let center = |mut x: Vec<f64>| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        x.iter_mut().for_each(|v| *v -= mean);
        x
    };
    let (a, b) = (center(ranks(a)), center(ranks(b)));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let norm = (dot(&a, &a) * dot(&b, &b)).sqrt();
    (norm > 0.0).then(|| dot(&a, &b) / norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_handles_order_ties_and_constants() {
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[10.0, 200.0, 3000.0]), Some(1.0));
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(rank_correlation(&[1.0, 1.0], &[3.0, 2.0]), None);
        assert_eq!(rank_correlation(&[], &[]), None);
        let tied = rank_correlation(&[1.0, 1.0, 2.0], &[1.0, 2.0, 3.0]).unwrap_or_default();
        assert!((tied - 3f64.sqrt() / 2.0).abs() < 1e-12, "{tied}");
    }
}
