//! What a value on the way says of a run's end.

/// Complete runs with a curve from which values on the way are understood: with fewer, the variance of Student's t is not finite.
const FEWEST_ENDS: usize = 5;
/// Share of the variance of ends that values on the way have to explain. What explains less says next to nothing, and its estimate of
/// the end would be far outside of what was ever measured.
const LEAST_EXPLAINED: f64 = 0.5;

/// An estimate of the end of a run, as of a measurement of it: it lies around the end, and knows nothing of what was expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
}

/// The estimate of the end of a run whose value on the way is `value`. `ends` has the value of each complete run as far on its way, and
/// its end; `others` the values of runs that were ended on their way after that place. `None` where too few runs came to their end, or
/// their ends have too little to do with values on the way.
///
/// Ends are regressed on values, which is unbiased whatever decided by the curve who was ended (only the ends of these runs are
/// missing; Anderson 1957, "Maximum likelihood estimates for a multivariate normal distribution when some observations are missing").
/// The spread of values is that of all runs. The regression's prediction is drawn towards the mean of the ends; what is wanted
/// is a measurement, to be combined with what a model expects of the run's mixture. It is what makes the prediction when it is
/// combined with the ends' own distribution: `value = mean + (prediction − mean) / R²`, `se² = s² / R²`, where R² is the share of the
/// ends' variance that values explain and s² the variance of the prediction's error: that of Student's t with `n − 2` degrees of
/// freedom.
#[must_use]
pub fn estimate_of_end(value: f64, ends: &[(f64, f64)], others: &[f64]) -> Option<Estimate> {
    if ends.len() < FEWEST_ENDS {
        return None;
    }
    let n = ends.len() as f64;
    let (x, y) = (ends.iter().map(|e| e.0).sum::<f64>() / n, ends.iter().map(|e| e.1).sum::<f64>() / n);
    let square_x: f64 = ends.iter().map(|e| (e.0 - x).powi(2)).sum();
    let slope = ends.iter().map(|e| (e.0 - x) * (e.1 - y)).sum::<f64>() / square_x;
    let freedom = n - 2.0;
    let residual = ends.iter().map(|e| (e.1 - y - slope * (e.0 - x)).powi(2)).sum::<f64>() / freedom;
    let error = residual * (1.0 + 1.0 / n + (value - x).powi(2) / square_x) * freedom / (freedom - 2.0);

    let all = || ends.iter().map(|e| e.0).chain(others.iter().copied());
    let count = n + others.len() as f64;
    let center = all().sum::<f64>() / count;
    let explained = slope.powi(2) * all().map(|x| (x - center).powi(2)).sum::<f64>() / (count - 1.0);
    let share = explained / (explained + error);
    // Where all values are alike, it is not a number.
    if share.is_nan() || share < LEAST_EXPLAINED {
        return None;
    }
    let (prediction, center) = (y + slope * (value - x), y + slope * (center - x));
    Some(Estimate { value: center + (prediction - center) / share, se: (error / share).sqrt() })
}

/// Values on the way of a run, by tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve(Vec<(f64, f64)>);

impl Curve {
    /// The curve through places after so many tokens, ascending, with their values.
    pub fn of(places: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self(places.into_iter().filter(|(tokens, _)| *tokens > 0.0).collect())
    }

    /// The curve with the end of the run.
    #[must_use]
    pub fn ended(mut self, tokens: f64, value: f64) -> Self {
        self.0.retain(|(place, _)| *place < tokens);
        self.0.push((tokens, value));
        self
    }

    /// The value after so many tokens, between two places on a logarithmic axis; `None` before the first place and beyond the last.
    #[must_use]
    pub fn at(&self, tokens: f64) -> Option<f64> {
        let after = self.0.iter().position(|(place, _)| *place >= tokens)?;
        let (end, value) = self.0[after];
        if end == tokens {
            return Some(value);
        }
        let (start, before) = *self.0.get(after.checked_sub(1)?)?;
        Some(before + (value - before) * (tokens / start).ln() / (end / start).ln())
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::problem::normal::{distribution, quantile};
    use crate::problem::stream;

    fn normal(rng: &mut impl Rng) -> f64 {
        rng.sample(StandardNormal)
    }

    /// What is expected of a run, its value on the way, and its end. The end is what the mixture makes it, and noise; the value on the
    /// way is the end, and what changes later.
    fn run(rng: &mut impl Rng) -> (f64, f64, f64) {
        let expected = normal(rng);
        let end = expected + 0.7 * normal(rng);
        (expected, 3.0 + 1.5 * end + 0.8 * normal(rng), end)
    }

    #[test]
    fn a_curve_is_read_between_its_places_and_nowhere_else() {
        let curve = Curve::of([(0.0, 9.0), (1.0, 3.0), (4.0, 2.0)]).ended(16.0, 1.5);
        assert_eq!([1.0, 4.0, 16.0].map(|tokens| curve.at(tokens)), [Some(3.0), Some(2.0), Some(1.5)]);
        assert!((curve.at(2.0).unwrap() - 2.5).abs() < 1e-12 && (curve.at(8.0).unwrap() - 1.75).abs() < 1e-12);
        assert_eq!((curve.at(0.5), curve.at(17.0), Curve::of([]).at(1.0)), (None, None, None));
    }

    #[test]
    fn few_ends_or_values_that_say_nothing_of_them_give_no_estimate() {
        let ends: Vec<(f64, f64)> = (0..8).map(|i| (f64::from(i), 2.0 * f64::from(i))).collect();
        assert_eq!(estimate_of_end(3.0, &ends[..4], &[]), None);
        let exact = estimate_of_end(3.0, &ends[..5], &[]).unwrap();
        assert!((exact.value - 6.0).abs() < 1e-9 && exact.se < 1e-6);
        let unrelated: Vec<(f64, f64)> = (0..8).map(|i| (f64::from(i), f64::from(i * 5 % 8))).collect();
        assert_eq!(estimate_of_end(3.0, &unrelated, &[]), None);
        let alike: Vec<(f64, f64)> = (0..8).map(|i| (1.0, f64::from(i))).collect();
        assert_eq!(estimate_of_end(1.0, &alike, &[]), None);
    }

    /// Combined with what is expected of the run, the estimate gives the probability with which its end is better than a bound: also when
    /// the runs with bad values were ended on their way, so that only good ones came to their end.
    #[test]
    fn the_probability_that_the_end_is_better_holds_whoever_was_ended() {
        let rng = &mut stream(3, 0);
        for (n, selects) in [(6, false), (6, true), (20, false), (20, true)] {
            let (mut stated, mut happened, mut studies, mut inside, mut drawn) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for _ in 0..4000 {
                let (mut ends, mut ended) = (Vec::new(), Vec::new());
                while ends.len() < n {
                    let (_, value, end) = run(rng);
                    if selects && value > 3.5 { ended.push(value) } else { ends.push((value, end)) }
                }
                let (expected, value, end) = run(rng);
                let Some(Estimate { value, se }) = estimate_of_end(value, &ends, &ended) else { continue };
                let (prior, measured) = (0.49, se * se);
                let mean = expected + prior / (prior + measured) * (value - expected);
                let sd = (prior * measured / (prior + measured)).sqrt();
                let bound = -1.0;
                stated += distribution((bound - mean) / sd);
                happened += f64::from(u8::from(end < bound));
                inside += f64::from(u8::from((end - mean).abs() < quantile(0.95) * sd));
                drawn += (end - mean) * expected;
                studies += 1.0;
            }
            assert!(studies > 2000.0, "{studies}");
            assert!((stated / studies - happened / studies).abs() < 0.02, "{n}: {stated} {happened} {studies}");
            assert!((inside / studies - 0.9).abs() < 0.05, "{n}: {}", inside / studies);
            // Where enough runs are known, the error has nothing to do with what was expected: nothing is counted twice.
            assert!(n < 20 || (drawn / studies).abs() < 0.06, "{n}: {}", drawn / studies);
        }
    }
}
