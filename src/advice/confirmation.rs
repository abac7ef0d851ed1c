//! What a confirmation has shown.

use std::fmt;

use super::guards::words;
use crate::config::Reference;
use crate::problem::{Guard, Mixture, Objective, Threshold, mean_and_error, pooled_sd, two_sided_p};
use crate::study::{Study, Trial};

/// In how many studies without any difference a confirmation may state one.
const LEVEL: f64 = 0.05;

/// The recommended mixture against others, trained with the same seeds: objectives in the user's orientation.
#[derive(Clone, Debug)]
pub struct Confirmation {
    /// Runs of the recommended mixture.
    pub recommended: Vec<f64>,
    /// The noise of one run at the target; `None` where no mixture was trained twice.
    pub noise: Option<Noise>,
    /// One per mixture that shares a seed with the recommended one; not empty.
    pub against: Vec<Comparison>,
    /// One per guard.
    pub guards: Vec<GuardTest>,
}

/// A guard on the recommended mixture, by the confirmation runs alone.
#[derive(Clone, Debug)]
pub struct GuardTest {
    /// The guard in words.
    pub words: String,
    /// Name of its metric.
    pub metric: String,
    /// The metric of the runs of the recommended mixture.
    pub measured: Vec<f64>,
    /// The mean distance from breaking the guard, in the metric's unit, tolerance included: below 0 the runs break it. `None` where the
    /// mixture that the guard compares with was not trained with the same seeds.
    pub slack: Option<f64>,
    /// Its standard error, by the noise of the metric of one run.
    pub error: Option<f64>,
    /// What it says.
    pub verdict: GuardVerdict,
}

/// Whether the recommended mixture keeps a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardVerdict {
    /// The mixture that the guard compares with was not trained with the same seeds.
    Untested,
    /// One run of each mixture says nothing about noise.
    OneSeed,
    /// Noise alone makes such a distance too often.
    WithinNoise,
    /// It is kept.
    Kept,
    /// It is broken.
    Broken,
}

impl fmt::Display for GuardVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untested => "not tested: the mixture that it compares with is not among those of `confirm.against`",
            Self::OneSeed => "not judged: one seed says nothing about noise",
            Self::WithinNoise => "within noise",
            Self::Kept => "kept",
            Self::Broken => "broken",
        })
    }
}

/// The noise of one confirmation run, as far as the seeds tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Standard deviation of runs of the same mixture.
    pub sd: f64,
    /// Degrees of freedom: all confirmation runs, less one for each mixture.
    pub freedom: usize,
}

/// The recommended mixture against another one.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What the other mixture is called.
    pub name: String,
    /// The other mixture.
    pub mixture: Mixture,
    /// Its runs.
    pub runs: Vec<f64>,
    /// How many seeds both share, at least one.
    pub seeds: usize,
    /// The mean difference (recommended − other) over these.
    pub difference: f64,
    /// Its standard error, by the noise of one run.
    pub error: Option<f64>,
    /// What it says.
    pub verdict: Verdict,
}

/// Whether the recommended mixture is better than another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One run of each does not tell a gain from noise.
    OneSeed,
    /// Noise alone makes such a difference too often.
    WithinNoise,
    /// It is better.
    Better,
    /// It is worse.
    Worse,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneSeed => "not judged: one seed says nothing about noise",
            Self::WithinNoise => "within noise",
            Self::Better => "better",
            Self::Worse => "worse",
        })
    }
}

impl Noise {
    /// Of one run, from runs of several mixtures, each with as much noise as any other.
    fn pooled(mixtures: &[&Runs]) -> Option<Self> {
        let values: Vec<Vec<f64>> = mixtures.iter().map(|runs| runs.values()).collect();
        pooled_sd(values.iter().map(Vec::as_slice)).map(|(sd, freedom)| Self { sd, freedom })
    }

    /// The standard error of the mean difference of two mixtures over so many seeds. What the two runs of a seed have in common is in
    /// it, although it cancels: then it is too large.
    fn of_difference(&self, seeds: usize) -> f64 {
        self.sd * (2.0 / seeds as f64).sqrt()
    }
}

/// Runs of one mixture: seed and objective.
#[derive(Clone, Debug, Default)]
struct Runs(Vec<(u32, f64)>);

impl Runs {
    fn of<'a>(trials: impl Iterator<Item = &'a Trial>, value: impl Fn(&Trial) -> Option<f64>) -> Self {
        Self(trials.filter_map(|t| Some((t.seed, value(t)?))).collect())
    }

    fn values(&self) -> Vec<f64> {
        self.0.iter().map(|(_, value)| *value).collect()
    }

    /// What `compare` makes of each run and the one of another mixture with the same seed.
    fn paired(&self, others: &Self, compare: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let pair = |(seed, y): &(u32, f64)| others.0.iter().find(|(s, _)| s == seed).map(|(_, z)| compare(*y, *z));
        self.0.iter().filter_map(pair).collect()
    }

    /// Differences to the runs of another mixture with the same seeds.
    fn differences(&self, others: &Self) -> Vec<f64> {
        self.paired(others, |y, z| y - z)
    }
}

impl Confirmation {
    /// Of `recommended`, as far as it has been trained; `None` before it and another mixture have a complete run with the same seed.
    #[must_use]
    pub fn of(study: &Study, recommended: &Mixture) -> Option<Self> {
        let objective = |mixture: &Mixture| Runs::of(study.confirmations(mixture), |trial| study.measured(trial));
        let references = study.references(recommended).map(|r| (r, objective(&r.mixture))).collect();
        let mut confirmation =
            Self::judged(&objective(recommended), references, noise_of(study, objective), &study.config().objective)?;
        confirmation.guards =
            study.config().guards.iter().map(|guard| GuardTest::of(study, recommended, guard)).collect();
        Some(confirmation)
    }

    fn judged(
        recommended: &Runs,
        mut references: Vec<(&Reference, Runs)>,
        noise: Option<Noise>,
        objective: &Objective,
    ) -> Option<Self> {
        references.retain(|(_, runs)| !recommended.differences(runs).is_empty());
        let comparisons = references.len();
        let compared = |(reference, runs): (&Reference, Runs)| {
            let differences = recommended.differences(&runs);
            let (seeds, difference) = (differences.len(), mean_and_error(&differences).0);
            let (name, mixture) = (reference.name.clone(), reference.mixture.clone());
            let error = noise.map(|noise| noise.of_difference(seeds));
            let gain = -objective.sign() * difference;
            let verdict = noise.map_or(Verdict::OneSeed, |noise| Verdict::of(gain, noise, seeds, comparisons));
            Comparison { name, mixture, runs: runs.values(), seeds, difference, error, verdict }
        };
        let against: Vec<Comparison> = references.into_iter().map(compared).collect();
        (!against.is_empty()).then(|| Self { recommended: recommended.values(), noise, against, guards: Vec::new() })
    }
}

/// The noise of one run in what `runs` takes of the confirmation runs of a mixture.
fn noise_of(study: &Study, runs: impl Fn(&Mixture) -> Runs) -> Option<Noise> {
    let mut mixtures: Vec<&Mixture> = Vec::new();
    for trial in study.trials().iter().filter(|t| !t.searching()) {
        if !mixtures.contains(&&trial.mixture) {
            mixtures.push(&trial.mixture);
        }
    }
    let all: Vec<Runs> = mixtures.into_iter().map(runs).collect();
    Noise::pooled(&all.iter().collect::<Vec<_>>())
}

impl GuardTest {
    fn of(study: &Study, recommended: &Mixture, guard: &Guard) -> Self {
        let config = study.config();
        let metric = &config.objective.metrics[guard.metric].name;
        let value = |trial: &Trial| trial.outcome()?.metrics.get(metric).copied();
        let runs = |mixture: &Mixture| Runs::of(study.confirmations(mixture), value);
        let noise = noise_of(study, runs);
        let ours = runs(recommended);
        let (slacks, mixtures) = match &guard.threshold {
            Threshold::Value(limit) => (ours.0.iter().map(|(_, y)| guard.slack(*y, *limit)).collect(), 1),
            Threshold::Mixture { mixture, .. } => (ours.paired(&runs(mixture), |y, limit| guard.slack(y, limit)), 2),
        };
        let slack = (!slacks.is_empty()).then(|| mean_and_error(&slacks).0);
        let error = noise.map(|noise| noise.sd * (f64::from(mixtures) / slacks.len() as f64).sqrt());
        Self {
            words: words(config, guard),
            metric: metric.clone(),
            measured: ours.values(),
            verdict: GuardVerdict::of(slack, error.zip(noise.map(|noise| noise.freedom)), config.guards.len()),
            slack,
            error: error.filter(|_| slack.is_some()),
        }
    }
}

impl GuardVerdict {
    /// Of a mean slack with its standard error and the degrees of freedom of that, in a study of so many guards: a two-sided test by
    /// Student's t. The guards of a study share [`LEVEL`] (Bonferroni).
    fn of(slack: Option<f64>, error: Option<(f64, usize)>, guards: usize) -> Self {
        let Some(slack) = slack else { return Self::Untested };
        let Some((error, freedom)) = error else { return Self::OneSeed };
        match (two_sided_p(slack / error, freedom) <= LEVEL / guards as f64, slack > 0.0) {
            (false, _) => Self::WithinNoise,
            (true, true) => Self::Kept,
            (true, false) => Self::Broken,
        }
    }
}

impl Verdict {
    /// Of a mean gain over so many seeds, one of so many `comparisons` in a study: a two-sided test by Student's t. The comparisons of
    /// a study share [`LEVEL`] (Bonferroni).
    fn of(gain: f64, noise: Noise, seeds: usize, comparisons: usize) -> Self {
        let level = LEVEL / comparisons as f64;
        let differs = two_sided_p(gain / noise.of_difference(seeds), noise.freedom) <= level;
        match (differs, gain > 0.0) {
            (false, _) => Self::WithinNoise,
            (true, true) => Self::Better,
            (true, false) => Self::Worse,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::problem::{Aggregate, Direction, stream};

    fn objective(direction: Direction) -> Objective {
        Objective::new(Vec::new(), direction, Aggregate::Mean)
    }

    /// The verdicts on runs of the recommended mixture (the first) and others, each a list with a value per seed.
    fn verdicts(values: &[Vec<f64>], direction: Direction) -> Vec<Verdict> {
        let runs: Vec<Runs> = values.iter().map(|values| Runs((1..).zip(values.iter().copied()).collect())).collect();
        let reference = Reference { name: "other".into(), mixture: Mixture::new(vec![1.0]) };
        let references = runs[1..].iter().map(|runs| (&reference, runs.clone())).collect();
        let noise = Noise::pooled(&runs.iter().collect::<Vec<_>>());
        let confirmation = Confirmation::judged(&runs[0], references, noise, &objective(direction)).unwrap();
        confirmation.against.iter().map(|comparison| comparison.verdict).collect()
    }

    #[test]
    fn a_gain_counts_beyond_noise_in_the_direction_of_the_objective() {
        let verdict = |ours: &[f64], theirs: &[f64], direction| verdicts(&[ours.to_vec(), theirs.to_vec()], direction);
        let (minimize, maximize) = (Direction::Minimize, Direction::Maximize);
        assert_eq!(verdict(&[-5.0], &[0.0], minimize), [Verdict::OneSeed]);
        // Standard errors of 1, with two degrees of freedom: 4.3 of them are beyond noise.
        let (low, high) = ([-4.4 - 0.5f64.sqrt(), -4.4 + 0.5f64.sqrt()], [-0.5f64.sqrt(), 0.5f64.sqrt()]);
        assert_eq!(verdict(&low, &high, minimize), [Verdict::Better]);
        assert_eq!(verdict(&low, &high, maximize), [Verdict::Worse]);
        assert_eq!(verdict(&high, &low, minimize), [Verdict::Worse]);
        assert_eq!(verdict(&low.map(|y| y + 0.2), &high, minimize), [Verdict::WithinNoise]);
        assert_eq!(verdict(&[0.0, 0.0], &[0.0, 0.0], minimize), [Verdict::WithinNoise]);
        assert_eq!(verdict(&[-1.0, -1.0], &[0.0, 0.0], minimize), [Verdict::Better], "nothing is noisy");
    }

    /// In how many of 4,000 studies a verdict differs from "within noise". The recommended mixture is better by `gain` standard
    /// deviations of a run, of whose variance a part `shared` is common to all runs of a seed.
    fn found(others: usize, seeds: usize, shared: f64, gain: f64) -> f64 {
        let rng = &mut stream(others as u64, seeds as u64);
        let studies = 4000;
        let mut normal = |variance: f64| variance.sqrt() * rng.sample::<f64, _>(StandardNormal);
        let differ = (0..studies).filter(|_| {
            let common: Vec<f64> = (0..seeds).map(|_| normal(shared)).collect();
            let mut mixture = |level: f64| common.iter().map(|c| level + c + normal(1.0 - shared)).collect();
            let values: Vec<Vec<f64>> = [mixture(-gain)].into_iter().chain((0..others).map(|_| mixture(0.0))).collect();
            verdicts(&values, Direction::Minimize).iter().any(|verdict| *verdict != Verdict::WithinNoise)
        });
        differ.count() as f64 / f64::from(studies)
    }

    #[test]
    fn of_studies_without_a_difference_one_in_twenty_states_one() {
        for others in [1, 2, 4] {
            for seeds in [2, 3, 5] {
                for shared in [0.0, 0.5, 0.9] {
                    let wrong = found(others, seeds, shared, 0.0);
                    assert!(wrong <= 0.06, "{others} others, {seeds} seeds, {shared} of the noise shared: {wrong}");
                    let exact = others == 1 && shared == 0.0;
                    assert!(!exact || wrong >= 0.04, "{seeds} seeds: more cautious than it has to be, {wrong}");
                }
            }
        }
    }

    #[test]
    fn a_guard_is_kept_or_broken_beyond_noise() {
        // Two degrees of freedom at 5 %: 4.3 standard errors; shared by two guards 6.2.
        let of = |slack: f64, guards: usize| GuardVerdict::of(Some(slack), Some((1.0, 2)), guards);
        assert_eq!([of(4.4, 1), of(-4.4, 1)], [GuardVerdict::Kept, GuardVerdict::Broken]);
        assert_eq!([of(4.2, 1), of(-4.2, 1), of(4.4, 2)], [GuardVerdict::WithinNoise; 3]);
        assert_eq!(GuardVerdict::of(None, Some((1.0, 2)), 1), GuardVerdict::Untested);
        assert_eq!(GuardVerdict::of(Some(9.0), None, 1), GuardVerdict::OneSeed);
    }

    #[test]
    fn clear_differences_are_found() {
        for (others, seeds, gain) in [(1, 2, 8.0), (1, 3, 4.0), (1, 5, 3.0), (2, 2, 8.0), (2, 3, 4.0)] {
            let right = found(others, seeds, 0.0, gain);
            assert!(right >= 0.9, "{others} others, {seeds} seeds, {gain} standard deviations: {right}");
        }
    }
}
