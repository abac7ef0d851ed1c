//! Whether what was stated of trials before they ran came true: the record of the study itself. Nothing is fitted for it.

use std::fmt;

use serde::Serialize;

use crate::problem::{Fidelities, FidelityId, RunId, binomial_at_most};
use crate::study::Study;
use crate::text::{NINETY, Uncertain, agreeing, counted};

/// Half-width of the central 50 % interval of a standard normal.
const FIFTY: f64 = 0.674_489_750_196_081_7;
/// In how many studies the model may be called too sure or too unsure although its intervals hold.
const LEVEL: f64 = 0.01;
/// Tests of a study, which share [`LEVEL`] (Bonferroni): too sure or too unsure, over all trials or over those at the target.
const TESTS: f64 = 4.0;
/// Trials from which intervals are said to have held. Of ten, both kinds of tests can speak, and standard deviations that are a third
/// of what they should be are found in 80 % of studies.
const FEWEST: usize = 10;

/// A complete trial that was predicted before it ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foretold {
    /// Its fidelity.
    pub fidelity: FidelityId,
    /// The objective that it was expected to measure when it was suggested, noise included.
    pub expected: Uncertain,
    /// The objective that it measured.
    pub measured: f64,
}

impl Foretold {
    /// Measured minus expected, in standard deviations.
    #[must_use]
    pub fn error(&self) -> f64 {
        let difference = self.measured - self.expected.mean;
        if difference == 0.0 { 0.0 } else { difference / self.expected.sd }
    }
}

/// The trials of a study that were predicted before they ran.
#[derive(Clone, Debug)]
pub struct Record {
    /// All that the model learns from, in order.
    pub trials: Vec<Foretold>,
    /// How many complete trials are missing because the version of `admire` that suggested them did not journal the noise.
    pub unknown: usize,
}

/// How often intervals held the measurement, and how large errors were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// Trials, at least one.
    pub trials: usize,
    /// Those inside their central 50 % interval.
    pub inside_50: usize,
    /// Those inside their central 90 % interval.
    pub inside_90: usize,
    /// Mean of [`Foretold::error`].
    pub mean_error: f64,
    /// Its root mean square: 1 where standard deviations are right.
    pub rms_error: f64,
}

/// What a record says about the intervals that the model states.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub sureness: Sureness,
    /// Name of the fidelity whose trials alone give the answer; `None` where all trials do.
    pub at: Option<String>,
    /// These trials; `None` where there are none.
    pub coverage: Option<Coverage>,
}

/// How sure a model has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sureness {
    /// There are too few trials to say.
    Unknown,
    /// As sure as it should be, as far as these trials tell.
    Right,
    /// Too few trials were inside their 90 % intervals.
    TooSure,
    /// Too many trials were inside their 50 % intervals.
    TooUnsure,
}

impl Record {
    /// The record of `study`. The objective of a study cannot change, so all that was expected is in its present unit.
    #[must_use]
    pub fn of(study: &Study) -> Self {
        let objective = &study.config().objective;
        let mut record = Self { trials: Vec::new(), unknown: 0 };
        for run in study.evidence().observations {
            let RunId::Trial(id) = run.run else { continue };
            let Some(expected) = study.trial(id).ok().and_then(|trial| trial.expected) else { continue };
            let Some(sd) = expected.run_sd() else {
                record.unknown += 1;
                continue;
            };
            // The error of the measurement itself was known only afterwards.
            let sd = sd.hypot(objective.standard_error(&run.metrics, &run.se));
            let expected = Uncertain { mean: expected.mean, sd };
            let Some(measured) = study.trial(id).ok().and_then(|trial| study.measured(trial)) else { continue };
            record.trials.push(Foretold { fidelity: run.fidelity, expected, measured });
        }
        record
    }

    /// The trials at a fidelity.
    pub fn at(&self, fidelity: FidelityId) -> impl Iterator<Item = &Foretold> {
        self.trials.iter().filter(move |trial| trial.fidelity == fidelity)
    }

    /// What it says of all trials, and of those at the target alone: many cheap runs would hide that a few dear ones miss.
    #[must_use]
    pub fn judgement(&self, fidelities: &Fidelities) -> Judgement {
        let target = fidelities.target();
        let (all, there) = (Coverage::of(&self.trials), Coverage::of(self.at(target)));
        let groups = || [(None, all), (Some(fidelities[target].name.clone()), there)];
        let found = |sureness: Sureness, test: fn(&Coverage) -> bool| {
            let fails = groups().into_iter().find(|(_, coverage)| coverage.as_ref().is_some_and(test));
            fails.map(|(at, coverage)| Judgement { sureness, at, coverage })
        };
        found(Sureness::TooSure, Coverage::too_sure)
            .or_else(|| found(Sureness::TooUnsure, Coverage::too_unsure))
            .unwrap_or_else(|| {
                let enough = self.trials.len() >= FEWEST;
                let sureness = if enough { Sureness::Right } else { Sureness::Unknown };
                Judgement { sureness, at: None, coverage: all }
            })
    }
}

impl Coverage {
    /// Of some trials; `None` where there are none.
    #[must_use]
    pub fn of<'a>(trials: impl IntoIterator<Item = &'a Foretold>) -> Option<Self> {
        let errors: Vec<f64> = trials.into_iter().map(Foretold::error).collect();
        let inside = |width: f64| errors.iter().filter(|error| error.abs() <= width).count();
        let n = errors.len() as f64;
        (!errors.is_empty()).then(|| Self {
            trials: errors.len(),
            inside_50: inside(FIFTY),
            inside_90: inside(NINETY),
            mean_error: errors.iter().sum::<f64>() / n,
            rms_error: (errors.iter().map(|error| error * error).sum::<f64>() / n).sqrt(),
        })
    }

    /// Whether so few trials are inside their 90 % intervals by chance in less than the test's share of [`LEVEL`].
    fn too_sure(&self) -> bool {
        binomial_at_most(self.inside_90, self.trials, 0.9) < LEVEL / TESTS
    }

    /// Whether so many trials are inside their 50 % intervals by chance as rarely. (All trials may well be inside 90 % intervals.)
    fn too_unsure(&self) -> bool {
        binomial_at_most(self.trials - self.inside_50, self.trials, 0.5) < LEVEL / TESTS
    }
}

impl Judgement {
    /// Whether the model was found to be wrong about how sure it may be.
    #[must_use]
    pub fn finds_fault(&self) -> bool {
        matches!(self.sureness, Sureness::TooSure | Sureness::TooUnsure)
    }
}

impl Sureness {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Right => "right",
            Self::TooSure => "too_sure",
            Self::TooUnsure => "too_unsure",
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_ref().map_or_else(String::new, |name| format!(" at {name}"));
        let trials = self.coverage.map_or(0, |coverage| coverage.trials);
        let count = |what: &str, inside: fn(&Coverage) -> usize, share: f64| {
            let (inside, expected) = (self.coverage.as_ref().map_or(0, inside), share * trials as f64);
            format!(
                "{inside} of {} were inside their {what} intervals, {expected:.0} expected",
                counted(trials, "trial")
            )
        };
        let ninety = || count("90 %", |c| c.inside_90, 0.9);
        match self.sureness {
            Sureness::Unknown => {
                let were = agreeing(trials, "was", "were");
                write!(
                    f,
                    "too few trials to say how sure the model may be: {} {were} predicted before running, and it takes {FEWEST}",
                    counted(trials, "trial")
                )
            }
            Sureness::Right => write!(f, "the model has been about as sure as it should be: {}", ninety()),
            Sureness::TooSure => {
                write!(
                    f,
                    "the model has been too sure{at}: {}; its other intervals may be too narrow as well",
                    ninety()
                )
            }
            Sureness::TooUnsure => {
                let fifty = count("50 %", |c| c.inside_50, 0.5);
                write!(f, "the model has been too unsure{at}: {fifty}; its other intervals may be too wide as well")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Fidelity, stream};
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    /// Names, so that the first is cheaper.
    fn fidelities() -> Fidelities {
        let size = |name: &str, params: f64| Fidelity {
            name: name.into(),
            params: Some(params),
            tokens: None,
            cost: None,
            max_trials: None,
            initial: None,
        };
        Fidelities::new(vec![size("1M", 1e6), size("1B", 1e9)], None)
    }

    /// Trials whose standard deviations are `factors` (at the small size, at the target) times what they should be: so many at each.
    fn record(trials: [usize; 2], factors: [f64; 2], rng: &mut ChaCha8Rng) -> Record {
        let mut record = Record { trials: Vec::new(), unknown: 0 };
        for (fidelity, (n, factor)) in fidelities().ids().zip(trials.into_iter().zip(factors)) {
            for _ in 0..n {
                let (mean, sd): (f64, f64) = (rng.random_range(-3.0..3.0), rng.random_range(0.01..1.0));
                let luck: f64 = StandardNormal.sample(rng);
                let expected = Uncertain { mean, sd: factor * sd };
                record.trials.push(Foretold { fidelity, expected, measured: mean + sd * luck });
            }
        }
        record
    }

    /// In how many of so many studies what is found.
    fn found(studies: u64, factors: [f64; 2], trials: impl Fn(&mut ChaCha8Rng) -> [usize; 2]) -> [usize; 4] {
        let mut counts = [0; 4];
        for seed in 0..studies {
            let rng = &mut stream(seed, 1);
            let trials = trials(rng);
            counts[record(trials, factors, rng).judgement(&fidelities()).sureness as usize] += 1;
        }
        counts
    }

    #[test]
    fn a_model_that_is_right_is_hardly_ever_called_wrong() {
        let some = |rng: &mut ChaCha8Rng| {
            let all = rng.random_range(10..=200);
            let there = rng.random_range(0..=all);
            [all - there, there]
        };
        let [unknown, right, sure, unsure] = found(2000, [1.0, 1.0], some);
        assert_eq!(unknown + right + sure + unsure, 2000);
        assert!(unknown == 0 && sure + unsure <= 20, "{sure} too sure and {unsure} too unsure, of 2000");
    }

    #[test]
    fn deviations_that_are_wrong_by_a_factor_of_three_are_found_in_thirty_trials() {
        let sure = found(200, [1.0 / 3.0; 2], |_| [24, 6])[Sureness::TooSure as usize];
        let unsure = found(200, [3.0; 2], |_| [24, 6])[Sureness::TooUnsure as usize];
        assert!(sure >= 198 && unsure >= 198, "{sure} too sure, {unsure} too unsure, of 200");
    }

    #[test]
    fn many_cheap_trials_do_not_hide_that_the_few_at_the_target_miss() {
        let rng = &mut stream(1, 1);
        let judgement = record([90, 6], [1.0, 0.05], rng).judgement(&fidelities());
        assert_eq!((judgement.sureness, judgement.at.as_deref()), (Sureness::TooSure, Some("1B")), "{judgement}");
        assert!(judgement.to_string().starts_with("the model has been too sure at 1B: "), "{judgement}");
    }

    #[test]
    fn few_trials_say_nothing_unless_all_of_them_miss() {
        let judged = |n: usize, miss: f64| {
            let trial = |i: usize| Foretold {
                fidelity: fidelities().target(),
                expected: Uncertain { mean: 2.0, sd: 0.1 },
                measured: 2.0 + miss + 0.05 * (i % 5) as f64,
            };
            Record { trials: (0..n).map(trial).collect(), unknown: 0 }.judgement(&fidelities())
        };
        for (n, miss, sureness, said) in [
            (0, 0.0, Sureness::Unknown, "0 trials were predicted before running, and it takes 10"),
            (9, 0.0, Sureness::Unknown, "9 trials were predicted before running, and it takes 10"),
            (
                10,
                0.0,
                Sureness::Right,
                "about as sure as it should be: 8 of 10 trials were inside their 90 % intervals, 9 expected",
            ),
            (2, 1.0, Sureness::Unknown, "2 trials"),
            (3, 1.0, Sureness::TooSure, "too sure: 0 of 3 trials were inside their 90 % intervals, 3 expected"),
        ] {
            let judgement = judged(n, miss);
            assert_eq!(judgement.sureness, sureness, "{judgement}");
            assert!(judgement.to_string().contains(said), "{judgement}");
        }
    }

    #[test]
    fn a_value_that_was_known_for_certain_has_no_error() {
        let fidelity = fidelities().target();
        let trial = |measured| Foretold { fidelity, expected: Uncertain { mean: 1.0, sd: 0.0 }, measured };
        assert_eq!(Coverage::of(&[trial(1.0), trial(2.0)]).map(|c| (c.inside_50, c.inside_90)), Some((1, 1)));
    }
}
