//! Statistics of few numbers.

use std::f64::consts::PI;

/// The mean of `values`, not empty, and its standard error where there are two or more.
#[must_use]
pub fn mean_and_error(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|y| (y - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt()))
}

/// The standard deviation within groups of values, of one for all groups, with its degrees of freedom; `None` where no group has two
/// values.
#[must_use]
pub fn pooled_sd<'a>(groups: impl IntoIterator<Item = &'a [f64]>) -> Option<(f64, usize)> {
    let (mut squares, mut freedom) = (0.0, 0);
    for values in groups.into_iter().filter(|values| values.len() > 1) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        squares += values.iter().map(|y| (y - mean).powi(2)).sum::<f64>();
        freedom += values.len() - 1;
    }
    (freedom > 0).then(|| ((squares / freedom as f64).sqrt(), freedom))
}

/// The probability that Student's t with so many degrees of freedom, at least one, is farther from zero than `t`: the finite series of
/// Abramowitz & Stegun 26.7.3 and 26.7.4.
#[must_use]
pub fn two_sided_p(t: f64, freedom: usize) -> f64 {
    let angle = (t.abs() / (freedom as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let odd = freedom % 2;
    let (mut term, mut sum) = (if odd == 1 { cos } else { 1.0 }, 0.0);
    for j in (odd..freedom - 1).step_by(2) {
        sum += term;
        term *= cos * cos * (j + 1) as f64 / (j + 2) as f64;
    }
    let within = if odd == 1 { 2.0 / PI * (angle + sin * sum) } else { sin * sum };
    (1.0 - within).clamp(0.0, 1.0)
}

/// The probability of at most `k` successes in `n` trials that succeed with probability `p`, in (0, 1), each by itself.
#[must_use]
pub fn binomial_at_most(k: usize, n: usize, p: f64) -> f64 {
    let log_factorial = |m: usize| libm::lgamma(m as f64 + 1.0);
    let log_term = |i: usize| {
        let ways = log_factorial(n) - log_factorial(i) - log_factorial(n - i);
        ways + i as f64 * p.ln() + (n - i) as f64 * (-p).ln_1p()
    };
    (0..=k.min(n)).map(|i| log_term(i).exp()).sum::<f64>().min(1.0)
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
    fn students_t_is_that_of_tables() {
        for (freedom, five, one) in [
            (1, 12.706_204_74, 63.656_741_16),
            (2, 4.302_652_73, 9.924_843_20),
            (3, 3.182_446_31, 5.840_909_31),
            (4, 2.776_445_11, 4.604_094_87),
            (9, 2.262_157_16, 3.249_835_54),
            (30, 2.042_272_46, 2.749_995_65),
            (1000, 1.962_339_08, 2.580_754_70),
        ] {
            for (t, level) in [(five, 0.05), (-five, 0.05), (one, 0.01)] {
                let p = two_sided_p(t, freedom);
                assert!((p - level).abs() < 1e-9, "{p} beyond {t} with {freedom} degrees of freedom");
            }
            assert_eq!((two_sided_p(0.0, freedom), two_sided_p(f64::INFINITY, freedom)), (1.0, 0.0), "{freedom}");
        }
    }

    #[test]
    fn binomial_probabilities_are_those_of_tables() {
        for (k, n, p, expected) in [
            (0, 3, 0.9, 0.001),
            (5, 10, 0.9, 0.001_634_937_4),
            (2, 5, 0.5, 0.5),
            (7, 30, 0.5, 0.002_611_439_2),
            (850, 1000, 0.9, 4.489_442_9e-7),
            (5, 5, 0.3, 1.0),
            (0, 0, 0.9, 1.0),
        ] {
            let found = binomial_at_most(k, n, p);
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} for at most {k} of {n} at {p}");
        }
    }

    #[test]
    fn a_pooled_deviation_is_of_all_groups_with_two_values() {
        assert_eq!(pooled_sd([&[1.0, 3.0][..], &[10.0, 14.0], &[100.0]]), Some((5f64.sqrt(), 2)));
        assert_eq!(pooled_sd([&[1.0][..], &[2.0], &[]]), None);
    }

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
