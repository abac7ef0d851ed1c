//! What the model says about a recommendation, whether its runs are a study's trials or a log's.

use super::uncertain;
use crate::config::StudyConfig;
use crate::optimizer::{Evidence, Gain, Optimizer};
use crate::report::html::{Comparison, DomainRow, Recommendation, Uncertain};
use crate::report::number;
use crate::space::Mixture;
use crate::study::Direction;

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

/// The domains' indices in the order of the config file.
fn order(config: &StudyConfig) -> impl Iterator<Item = usize> {
    config.domain_order.iter().filter_map(|name| config.space.index(name))
}

impl Findings<'_> {
    pub fn recommendation(&self, named: Vec<(String, Mixture)>) -> Recommendation {
        let Self { config, optimizer, evidence, mixture } = *self;
        let space = &config.space;
        let target = config.fidelities.target();
        let fidelity = &config.fidelities.list()[target];
        let expected = optimizer.predict(evidence, &[(mixture.clone(), target)]);
        let effects = optimizer.effects(evidence, mixture, POINTS);
        let tokens = space.limits().map(|l| l.target_tokens).or(fidelity.tokens);
        let epochs = tokens.map(|tokens| space.epochs(mixture, tokens));
        let domains = order(config).map(|i| DomainRow {
            name: space.domains()[i].name.clone(),
            weight: mixture.weights()[i],
            within_noise: effects.as_ref().map(|e| e[i].within_noise),
            epochs: epochs.as_ref().and_then(|e| e[i]),
        });
        Recommendation {
            target: fidelity.name.clone(),
            expected: expected.and_then(|p| p.first().copied()).map(uncertain),
            measured: None,
            confirmed: None,
            domains: domains.collect(),
            bounds: space.tight_bounds(mixture).iter().map(|b| b.to_string().replace('`', "")).collect(),
            comparisons: self.comparisons(named),
        }
    }

    /// Uniform, prior, natural, and what the user names.
    fn comparisons(&self, named: Vec<(String, Mixture)>) -> Vec<Comparison> {
        let space = &self.config.space;
        let mut others = vec![("uniform".to_owned(), space.uniform())];
        others.extend(space.prior().map(|prior| ("prior".to_owned(), prior)));
        let natural = space.natural().filter(|natural| others.iter().all(|(_, m)| m.distance(natural) > 1e-6));
        others.extend(natural.map(|natural| ("natural".to_owned(), natural)));
        others.extend(named);
        let mixtures: Vec<Mixture> = others.iter().map(|(_, mixture)| mixture.clone()).collect();
        let gains = self.optimizer.gains(self.evidence, self.mixture, &mixtures);
        let comparison = |(i, (name, mixture)): (usize, (String, Mixture))| {
            let gain = gains.as_ref().map(|gains| gains[i]);
            Comparison {
                name,
                weights: in_order(self.config, &mixture),
                meaning: gain.map(|gain| self.meaning(gain, &mixture)).unwrap_or_default(),
                gain: gain.map(|g| (Uncertain { mean: g.mean, sd: g.sd }, g.probability())),
            }
        };
        others.into_iter().enumerate().map(comparison).collect()
    }

    /// What a gain over `other` is worth, as far as it is one.
    fn meaning(&self, gain: Gain, other: &Mixture) -> Vec<String> {
        let mut meaning = Vec::new();
        if gain.mean <= 0.0 {
            return meaning;
        }
        if let Some(noise) = self.optimizer.noise_sd(self.evidence) {
            meaning.push(format!("{} times the noise of one run", number(gain.mean / noise, 2)));
        }
        if self.config.objective.direction == Direction::Minimize {
            let percent = 100.0 * (1.0 - (-gain.mean).exp());
            meaning.push(format!("{} % lower perplexity, if the objective is a loss in nats", number(percent, 2)));
        }
        meaning.extend(self.compute(gain, other));
        meaning
    }

    /// The gain as more compute for the other mixture: by the line, in the logarithm of the size, through what is expected
    /// of it at the target and at the next smaller size.
    fn compute(&self, gain: Gain, other: &Mixture) -> Option<String> {
        let fidelities = &self.config.fidelities;
        let target = fidelities.target();
        let sizes = fidelities.log_sizes();
        let smaller = (0..fidelities.len()).filter(|m| sizes[*m] < sizes[target]);
        let smaller = smaller.max_by(|a, b| sizes[*a].total_cmp(&sizes[*b]))?;
        let trained = |m: usize| self.evidence.observations.iter().any(|o| o.fidelity == m);
        let sized = |m: usize| fidelities.list()[m].params.is_some() || fidelities.list()[m].tokens.is_some();
        if ![smaller, target].into_iter().all(|m| trained(m) && sized(m)) {
            return None;
        }
        let points = [(other.clone(), smaller), (other.clone(), target)];
        let expected = self.optimizer.predict(self.evidence, &points)?;
        let progress = self.config.objective.sign() * (expected[0].mean - expected[1].mean);
        let factor = (gain.mean / progress * (sizes[target] - sizes[smaller])).exp();
        (progress > 0.0 && factor < 100.0).then(|| {
            format!(
                "as much as training that mixture at {} times the size would gain, by the trend from {} to {}",
                number(factor, 2),
                fidelities.list()[smaller].name,
                fidelities.list()[target].name
            )
        })
    }
}
