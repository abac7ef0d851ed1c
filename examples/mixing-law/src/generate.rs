//! Random problems with stated properties.

use admire::space::SpaceError;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::optimum::Optimum;
use crate::problem::{Domain, Group, Law, Problem, Size};
use crate::stats::rank_correlation;

/// Name, parameters, tokens and cost of the sizes, the target last.
const SIZES: [(&str, f64, f64, f64); 3] = [("1M", 1e6, 1e9, 0.001), ("60M", 60e6, 1e9, 0.06), ("1B", 1e9, 25e9, 1.0)];
/// How often the target run may see a token.
const MAX_EPOCHS: f64 = 4.0;
/// Rank correlation between the cheapest size and the target where sizes agree.
const AGREEMENT: f64 = 0.97;
/// Share of the gap that the cheapest size's own optimum closes where sizes disagree.
const DISAGREEMENT: f64 = 0.55;
/// Mixtures that rank correlations are measured on.
const SAMPLE: usize = 1000;

/// Whether small sizes rank mixtures as the target does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// They nearly do: the rank correlation over random mixtures is 0.97.
    Agree,
    /// They do not: the cheapest size's own optimum closes 55 % of the gap from the uniform mixture to the optimum.
    Disagree,
}

/// What to generate; the same recipe gives the same problem.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Number of domains, at least 3.
    pub domains: usize,
    /// How the sizes relate.
    pub regime: Regime,
    /// Standard deviation of the noise of every metric, in nats.
    pub noise: f64,
    /// Seed of everything random.
    pub seed: u64,
}

/// Why there is no such problem.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Too few domains for groups and caps that bind.
    #[error("a problem has at least 3 domains, not {0}")]
    Domains(usize),
    /// No drift of the laws gives the regime.
    #[error("no drift between sizes gives this regime with seed {0}; take another seed")]
    Drift(u64),
    /// The bounds contradict one another.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

impl Recipe {
    /// Makes the problem.
    ///
    /// At the target, every domain belongs to a family (languages, code, …), three of four have a metric. A domain helps
    /// its own metric most, those of its family by a tenth to a half of that, the others by less than a tenth. Token caps
    /// and a group bound then cut off the optimum that the problem would have without them.
    ///
    /// At the other sizes the logarithm of every rate is off by a normal variate that grows linearly with the distance in
    /// log size. How fast it grows is what makes sizes agree or disagree: it is found by bisection.
    ///
    /// # Errors
    /// [`GenerateError`]
    pub fn problem(&self) -> Result<Problem, GenerateError> {
        if self.domains < 3 {
            return Err(GenerateError::Domains(self.domains));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (mut problem, families) = self.target(&mut rng);
        constrain(&mut problem, &families)?;
        let drift = Drift::draw(&problem, &mut rng);
        let sample = problem.space()?.polytope().sample(SAMPLE, &mut rng);
        let (uniform, best) = problem.gap()?;
        // Positive where the sizes are still too close to one another.
        let excess = |amount: f64| -> Result<f64, SpaceError> {
            let drifted = drift.apply(&problem, amount);
            let cheapest = &drifted.sizes[0];
            match self.regime {
                Regime::Agree => {
                    let losses = |size: &Size| sample.iter().map(|w| problem.objective(size, w).0).collect::<Vec<_>>();
                    Ok(rank_correlation(&losses(cheapest), &losses(problem.target())) - AGREEMENT)
                }
                Regime::Disagree => {
                    let proxy = drifted.optimum(cheapest)?.weights;
                    let loss = problem.objective(problem.target(), &proxy).0;
                    Ok((uniform - loss) / (uniform - best) - DISAGREEMENT)
                }
            }
        };
        let (mut low, mut high) = (0.0, 0.25);
        while excess(high)? > 0.0 {
            (low, high) = (high, 2.0 * high);
            if high > 8.0 {
                return Err(GenerateError::Drift(self.seed));
            }
        }
        while high - low > 1e-4 * high {
            let middle = 0.5 * (low + high);
            if excess(middle)? > 0.0 { low = middle } else { high = middle }
        }
        Ok(drift.apply(&problem, high))
    }

    /// A problem with the target size only and without bounds, and the family of every domain.
    fn target(&self, rng: &mut ChaCha8Rng) -> (Problem, Vec<usize>) {
        let n = self.domains;
        let regime = match self.regime {
            Regime::Agree => "agree",
            Regime::Disagree => "disagree",
        };
        let families = (n as f64).sqrt().round() as usize;
        let mut family: Vec<usize> = (0..n).map(|i| i % families).collect();
        family.shuffle(rng);
        let mut measured: Vec<usize> = (0..n).collect();
        measured.shuffle(rng);
        measured.truncate((3 * n).div_ceil(4));
        measured.sort_unstable();
        let name = |i: usize| format!("domain{i:02}");
        let law = |own: usize, rng: &mut ChaCha8Rng| {
            // However many domains there are, an equal share of its own makes a difference to a metric.
            let rate = 0.5 * n as f64 * spread(0.4, rng);
            let transfer = |i: usize, rng: &mut ChaCha8Rng| match i {
                _ if i == own => 1.0,
                _ if family[i] == family[own] => rng.random_range(0.1..0.5),
                _ => 0.1 * rng.random::<f64>().powi(2),
            };
            Law {
                floor: 1.5 * spread(0.2, rng),
                scale: spread(0.4, rng),
                rates: (0..n).map(|i| rate * transfer(i, rng)).collect(),
            }
        };
        let laws = measured.iter().map(|&own| law(own, rng)).collect();
        let (size, params, tokens, cost) = SIZES[SIZES.len() - 1];
        let problem = Problem {
            name: format!("mixing-law-{n}-{regime}-{}", self.seed),
            noise: self.noise,
            domains: (0..n).map(|i| Domain { name: name(i), tokens }).collect(),
            groups: Vec::new(),
            max_epochs: MAX_EPOCHS,
            metrics: measured.into_iter().map(name).collect(),
            sizes: vec![Size { name: size.into(), params, tokens, cost, laws }],
        };
        (problem, family)
    }
}

/// A log-normal variate around 1.
fn spread(sd: f64, rng: &mut impl Rng) -> f64 {
    let z: f64 = StandardNormal.sample(rng);
    (sd * z).exp()
}

/// Gives every domain a stock of tokens and bounds the families, so that the optimum meets some of the bounds: one domain
/// in eight (at least one), those with the largest weights, are capped at 60 % of what they would get, the largest family
/// at 80 %; the smallest that would get anything is promised half as much again.
fn constrain(problem: &mut Problem, families: &[usize]) -> Result<(), SpaceError> {
    let n = problem.domains.len();
    let best = |problem: &Problem| -> Result<Vec<f64>, SpaceError> {
        let Optimum { weights, .. } = problem.optimum(problem.target())?;
        Ok(weights)
    };
    let w = best(problem)?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| w[*j].total_cmp(&w[*i]));
    let per_weight = problem.target().tokens / problem.max_epochs;
    for (rank, &i) in order.iter().enumerate() {
        // Three significant digits: a stock is never known better.
        let cap = if rank < n.div_ceil(8) { 0.6 * w[i] } else { (3.0 * w[i]).max(4.0 / n as f64).min(1.0) };
        problem.domains[i].tokens = round_up(cap * per_weight);
    }
    let count = families.iter().max().map_or(0, |f| f + 1);
    let sums = |w: &[f64]| -> Vec<f64> {
        (0..count).map(|f| (0..n).filter(|i| families[*i] == f).map(|i| w[i]).sum()).collect()
    };
    let totals = sums(&best(problem)?);
    let mut by_total: Vec<usize> = (0..count).collect();
    by_total.sort_by(|a, b| totals[*a].total_cmp(&totals[*b]));
    let members = |f: usize| (0..n).filter(|i| families[*i] == f).map(|i| problem.domains[i].name.clone()).collect();
    let largest = by_total[count - 1];
    let mut groups = vec![Group {
        name: "largest".into(),
        domains: members(largest),
        min: 0.0,
        max: percent(0.8 * totals[largest]),
    }];
    if let Some(&small) = by_total.iter().find(|f| **f != largest && totals[**f] > 0.02 && count > 2) {
        groups.push(Group {
            name: "promised".into(),
            domains: members(small),
            min: percent(1.5 * totals[small]),
            max: 1.0,
        });
    }
    problem.groups = groups;
    Ok(())
}

fn percent(x: f64) -> f64 {
    (100.0 * x).round() / 100.0
}

/// Up to three significant digits.
fn round_up(x: f64) -> f64 {
    let unit = 10f64.powf(x.log10().floor() - 2.0);
    (x / unit).ceil() * unit
}

/// How the laws change with size, up to its amount.
struct Drift {
    /// Per size but the target, metric and domain.
    directions: Vec<Vec<f64>>,
    /// Per metric, how its floor and its scale change over the whole range of sizes.
    levels: Vec<(f64, f64)>,
}

impl Drift {
    fn draw(problem: &Problem, rng: &mut ChaCha8Rng) -> Self {
        let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
        let metrics = problem.metrics.len();
        Self {
            directions: (0..metrics).map(|_| (0..problem.domains.len()).map(|_| normal(rng)).collect()).collect(),
            levels: (0..metrics).map(|_| (spread(0.2, rng), spread(0.2, rng))).collect(),
        }
    }

    /// The problem with all sizes.
    fn apply(&self, problem: &Problem, amount: f64) -> Problem {
        let target = problem.target();
        let range = (target.params / SIZES[0].1).ln();
        let size = |&(name, params, tokens, cost): &(&str, f64, f64, f64)| {
            // From 1 at the smallest size to 0 at the target.
            let distance = (target.params / params).ln() / range;
            let law = |(j, law): (usize, &Law)| Law {
                floor: law.floor + distance * self.levels[j].0,
                scale: law.scale * (1.0 + 0.5 * distance * self.levels[j].1),
                rates: law
                    .rates
                    .iter()
                    .zip(&self.directions[j])
                    .map(|(r, z)| r * (amount * distance * z).exp())
                    .collect(),
            };
            let laws = target.laws.iter().enumerate().map(law).collect();
            Size { name: name.into(), params, tokens, cost, laws }
        };
        Problem { sizes: SIZES.iter().map(size).collect(), ..problem.clone() }
    }
}
