//! What the model says about a recommendation, whether its runs are a study's trials or a log's.

use crate::advice::{self, GainWorth, SizeAgreement};
use crate::cli::text::{uncertain, uncertain_gain};
use crate::config::StudyConfig;
use crate::optimizer::{Gain, Optimizer};
use crate::problem::{Aggregate, Direction, Evidence, Fidelity, FidelityId, Metric, Mixture};
use crate::report::html::{
    Cell, Comparison, DomainRow, EffectCurve, Effects, GroupRow, LimitRow, Limits, MetricRow, Metrics, Part,
    Recommendation, SizeRow, Sizes, Ternary,
};
use crate::space::{Granularity, Group};
use crate::text::{Uncertain, number};

/// Weights at which effects are looked at.
const POINTS: usize = 33;

/// A recommendation and what it is based on.
pub struct Findings<'a> {
    pub config: &'a StudyConfig,
    pub optimizer: &'a Optimizer,
    pub evidence: &'a Evidence,
    pub mixture: &'a Mixture,
}

/// The weights of a mixture in the order of the config file.
pub fn in_order(config: &StudyConfig, mixture: &Mixture) -> Vec<f64> {
    order(config).map(|i| mixture.weights()[i]).collect()
}

/// The objective in words, with all of its terms where these are few.
pub fn objective(config: &StudyConfig) -> String {
    const MOST_TERMS: usize = 6;
    let objective = &config.objective;
    let verb = match objective.direction {
        Direction::Minimize => "minimize",
        Direction::Maximize => "maximize",
    };
    let metrics: Vec<&Metric> = objective.own().collect();
    let (kind, separator) = match (objective.aggregate, objective.direction) {
        (Aggregate::Mean, _) => ("", " + "),
        (Aggregate::Worst, Direction::Minimize) => ("the largest of ", ", "),
        (Aggregate::Worst, Direction::Maximize) => ("the smallest of ", ", "),
    };
    let reference = objective.reference.as_ref();
    let relative = reference.map_or_else(String::new, |reference| format!(", relative to {}", reference.to.name()));
    if metrics.len() > MOST_TERMS {
        let kind = if kind.is_empty() { "a weighted mean of " } else { kind };
        return format!("{verb} {kind}{} metrics{relative}", metrics.len());
    }
    let term =
        |m: &&Metric| if m.weight == 1.0 { m.name.clone() } else { format!("{} {}", number(m.weight, 3), m.name) };
    format!("{verb} {kind}{}{relative}", metrics.iter().map(term).collect::<Vec<_>>().join(separator))
}

/// The metrics that are shown beside the objective: all, unless the objective is the only one.
pub fn metrics(config: &StudyConfig) -> Vec<String> {
    match config.objective.metrics.as_slice() {
        [only] if only.weight == 1.0 && config.objective.reference.is_none() => Vec::new(),
        metrics => metrics.iter().map(|metric| metric.name.clone()).collect(),
    }
}

/// The domains' indices in the order of the config file.
pub fn order(config: &StudyConfig) -> impl Iterator<Item = usize> {
    config.domain_order.iter().filter_map(|name| config.space.index(name))
}

impl Findings<'_> {
    /// What is known about the recommendation, as far as there is a model: the parts after its own and the study's.
    pub fn parts(&self, others: &[(String, Mixture)]) -> Vec<Part> {
        let parts =
            [self.effects().map(Part::Effects), self.metrics(others).map(Part::Metrics), self.sizes().map(Part::Sizes)];
        parts.into_iter().flatten().collect()
    }

    pub fn recommendation(&self, others: &[(String, Mixture)]) -> Recommendation {
        let Self { config, optimizer, evidence, mixture } = *self;
        let space = &config.space;
        let target = config.fidelities.target();
        let fidelity = self.target();
        let expected = optimizer.predict(evidence, &[(mixture.clone(), target)]);
        let effects = optimizer.effects(evidence, mixture, POINTS);
        let epochs = config.target_tokens().map(|tokens| space.epochs(mixture, tokens));
        let domains = order(config).map(|i| DomainRow {
            name: space.domains()[i].name.clone(),
            weight: mixture.weights()[i],
            within_noise: effects.as_ref().map(|e| e[i].within_noise),
            epochs: epochs.as_ref().and_then(|e| e[i]),
        });
        Recommendation {
            target: fidelity.name.clone(),
            caveats: Vec::new(),
            expected: expected.and_then(|p| p.first().copied()).map(uncertain),
            regret: None,
            measured: None,
            confirmed: Vec::new(),
            guards: Vec::new(),
            domains: domains.collect(),
            bounds: space.tight_bounds(mixture).iter().map(|b| b.to_string().replace('`', "")).collect(),
            comparisons: self.comparisons(others),
        }
    }

    /// What the recommendation is compared with: uniform, prior, natural, and what the user names.
    pub fn others(&self, named: Vec<(String, Mixture)>) -> Vec<(String, Mixture)> {
        let space = &self.config.space;
        let mut others = vec![("uniform".to_owned(), space.uniform())];
        others.extend(space.prior().map(|prior| ("prior".to_owned(), prior)));
        let natural = space.natural().filter(|natural| others.iter().all(|(_, m)| m.distance(natural) > 1e-6));
        others.extend(natural.map(|natural| ("natural".to_owned(), natural)));
        others.extend(named);
        others
    }

    /// What limits the weights, if anything does.
    pub fn limits(&self) -> Option<Limits> {
        let space = &self.config.space;
        let (domains, polytope) = (space.domains(), space.polytope());
        let row = |i: usize| LimitRow {
            name: domains[i].name.clone(),
            stated: (domains[i].min, domains[i].max),
            cap: space.token_cap(i),
            reach: polytope.reach()[i],
            limited_by: space.limited_by(i).iter().map(ToString::to_string).collect(),
        };
        let group = |group: &Group| GroupRow {
            name: group.name.clone(),
            domains: group.domains.iter().map(|i| domains[*i].name.clone()).collect(),
            bounds: (group.min, group.max),
            recommended: group.domains.iter().map(|i| self.mixture.weights()[*i]).sum(),
        };
        let free = |i: usize| domains[i].min == 0.0 && polytope.upper()[i] >= 1.0;
        let granularity = space.granularity();
        let usable = granularity == Granularity::default();
        let limited = !usable || !polytope.groups().is_empty() || !(0..space.dim()).all(free);
        limited.then(|| Limits {
            domains: order(self.config).map(row).collect(),
            groups: polytope.groups().iter().map(group).collect(),
            smallest: granularity.smallest,
            step: granularity.step(),
        })
    }

    fn comparisons(&self, others: &[(String, Mixture)]) -> Vec<Comparison> {
        let mixtures: Vec<Mixture> = others.iter().map(|(_, mixture)| mixture.clone()).collect();
        let gains = self.optimizer.gains(self.evidence, self.mixture, &mixtures);
        let comparison = |(i, (name, mixture)): (usize, &(String, Mixture))| {
            let gain = gains.as_ref().map(|gains| gains[i]);
            Comparison {
                name: name.clone(),
                weights: in_order(self.config, mixture),
                meaning: gain.map(|gain| self.meaning(gain, mixture)).unwrap_or_default(),
                gain: gain.map(|g| (uncertain_gain(g), g.probability())),
            }
        };
        others.iter().enumerate().map(comparison).collect()
    }

    fn effects(&self) -> Option<Effects> {
        let sign = self.config.objective.sign();
        let effects = self.optimizer.effects(self.evidence, self.mixture, POINTS)?;
        let curve = |i: usize| EffectCurve {
            domain: self.config.space.domains()[i].name.clone(),
            present: self.mixture.weights()[i],
            // What is a gain makes a minimized objective smaller.
            points: effects[i]
                .points
                .iter()
                .map(|(w, gain)| (*w, Uncertain { mean: -sign * gain.mean, sd: gain.sd }))
                .collect(),
        };
        Some(Effects {
            target: self.target().name.clone(),
            noise: self.optimizer.noise_sd(self.evidence)?,
            curves: order(self.config).map(curve).collect(),
            ternary: self.ternary(),
        })
    }

    /// Triangles of mixtures, where there are three domains.
    fn ternary(&self) -> Option<Ternary> {
        let config = self.config;
        let order: [usize; 3] = order(config).collect::<Vec<_>>().try_into().ok()?;
        let shown = |mixture: &Mixture| order.map(|i| mixture.weights()[i]);
        // In the order of the space.
        let mixture = |shown: [f64; 3]| {
            let mut weights = vec![0.0; 3];
            order.iter().zip(shown).for_each(|(i, w)| weights[*i] = w);
            Mixture::new(weights)
        };
        let target = config.fidelities.target();
        let (corners, points): (Vec<_>, Vec<_>) = triangles()
            .into_iter()
            .map(|corners| (corners, mixture(middle(corners))))
            .filter(|(_, point)| config.space.polytope().contains(point.weights(), 1e-9))
            .map(|(corners, point)| (corners, (point, target)))
            .unzip();
        let expected = self.optimizer.predict(self.evidence, &points)?;
        Some(Ternary {
            domains: order.map(|i| config.space.domains()[i].name.clone()),
            maximize: config.objective.direction == Direction::Maximize,
            cells: corners.into_iter().zip(expected).map(|(corners, e)| Cell { corners, expected: e.mean }).collect(),
            trials: self.evidence.observations.iter().map(|o| (shown(&o.mixture), o.fidelity == target)).collect(),
            recommended: shown(self.mixture),
        })
    }

    /// Single metrics, where there are several.
    fn metrics(&self, others: &[(String, Mixture)]) -> Option<Metrics> {
        let metrics = &self.config.objective.metrics;
        if metrics.len() < 2 {
            return None;
        }
        let (names, mixtures): (Vec<String>, Vec<Mixture>) = others.iter().cloned().unzip();
        let target = self.config.fidelities.target();
        let gains = self.optimizer.advantages(self.evidence, self.mixture, &mixtures, target)?;
        let row = |(j, metric): (usize, &Metric)| MetricRow {
            name: metric.name.clone(),
            weight: metric.weight,
            gains: gains.iter().map(|gain| uncertain_gain(gain.metrics[j])).collect(),
        };
        let rows = metrics.iter().enumerate().map(row).collect();
        Some(Metrics { others: names, rows })
    }

    /// How sizes agree, where there are several.
    fn sizes(&self) -> Option<Sizes> {
        let sizes = advice::sizes(self.config, self.optimizer, self.evidence)?;
        let row = |size: SizeAgreement| SizeRow {
            name: self.config.fidelities[size.fidelity].name.clone(),
            correlation: size.correlation,
            worth: size.worth,
            trained: size.runs,
            rank: size.rank,
            pairs: size.pairs,
        };
        let sizes: Vec<SizeRow> = sizes.into_iter().map(row).collect();
        (sizes.len() > 1).then(|| Sizes { target: self.target().name.clone(), sizes })
    }

    pub fn target(&self) -> &Fidelity {
        &self.config.fidelities[self.config.fidelities.target()]
    }

    /// What a gain over `other` is worth, in words.
    fn meaning(&self, gain: Gain, other: &Mixture) -> Vec<String> {
        let GainWorth { noise, perplexity, compute } =
            GainWorth::of(self.config, self.optimizer, self.evidence, gain, other);
        let name = |m: FidelityId| &self.config.fidelities[m].name;
        let noise = noise.map(|times| format!("{} times the noise of one run", number(times, 2)));
        let perplexity = perplexity
            .map(|percent| format!("{} % lower perplexity, if the objective is a loss in nats", number(percent, 2)));
        let compute = compute.map(|(factor, smaller)| {
            format!(
                "as much as {} times the size would gain for that mixture, by the trend from {} to {}",
                number(factor, 2),
                name(smaller),
                self.target().name
            )
        });
        [noise, perplexity, compute].into_iter().flatten().collect()
    }
}

/// The space of three weights in small triangles, by their corners.
fn triangles() -> Vec<[[f64; 3]; 3]> {
    const N: usize = 24;
    let at = |i: usize, j: usize| [i, j, N - i - j].map(|k| k as f64 / N as f64);
    let mut triangles = Vec::with_capacity(N * N);
    for i in 0..N {
        for j in 0..N - i {
            triangles.push([at(i, j), at(i + 1, j), at(i, j + 1)]);
            if i + j + 2 <= N {
                triangles.push([at(i + 1, j), at(i, j + 1), at(i + 1, j + 1)]);
            }
        }
    }
    triangles
}

fn middle(corners: [[f64; 3]; 3]) -> [f64; 3] {
    std::array::from_fn(|k| corners.iter().map(|corner| corner[k]).sum::<f64>() / 3.0)
}
