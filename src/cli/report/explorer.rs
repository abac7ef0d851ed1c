//! What the page needs in order to predict mixtures by itself.

use serde_json::json;

use super::findings::{self, Findings};
use crate::advice;
use crate::problem::{Guard, Mixture, Threshold, Tolerance};
use crate::report::html::{Exploration, ExploredDomain, ExploredGroup, ExploredGuard, ExploredThreshold, Explorer};
use crate::space::Group;
use crate::study::Study;
use crate::text::number;

/// Multiplications that a browser does in a few seconds.
const MOST_WORK: f64 = 2.5e9;

impl Findings<'_> {
    /// The explorer. It starts from the recommendation.
    pub fn explorer(&self, study: &Study, others: &[(String, Mixture)]) -> Explorer {
        let Some(tables) = self.optimizer.tables(self.evidence) else {
            return Explorer::Impossible {
                why: "There is no model of the runs yet that could predict mixtures.".into(),
            };
        };
        if tables.work() > MOST_WORK {
            let why = "There are too many runs for a browser to predict mixtures. Ask `admire predict` instead.";
            return Explorer::Impossible { why: why.into() };
        }
        let objective = &self.config.objective;
        let mut starts = vec![("the recommendation".to_owned(), self.mixture.clone())];
        starts.extend(others.iter().cloned());
        starts.extend(study.trials().iter().map(|trial| {
            let (size, measured) = (&self.config.fidelities[trial.fidelity].name, study.measured(trial));
            let measured = measured.map_or_else(String::new, |value| format!(", {}", number(value, 5)));
            (format!("trial {} ({size}{measured})", trial.id), trial.mixture.clone())
        }));
        let granularity = self.config.space.granularity();
        Explorer::Possible(Box::new(Exploration {
            target: self.target().name.clone(),
            domains: self.explored_domains(),
            order: findings::order(self.config).collect(),
            groups: self.explored_groups(),
            granularity: (granularity.least(), granularity.step().unwrap_or(0.0)),
            starts: starts.into_iter().map(|(name, mixture)| (name, mixture.weights().to_vec())).collect(),
            metrics: objective.metrics.iter().map(|metric| (metric.name.clone(), metric.weight)).collect(),
            sign: objective.sign(),
            guards: self.config.guards.iter().map(|guard| self.explored_guard(guard)).collect(),
            model: json!(tables),
        }))
    }

    fn explored_domains(&self) -> Vec<ExploredDomain> {
        let (space, tokens) = (&self.config.space, self.config.target_tokens());
        let polytope = space.polytope();
        let domain = |i: usize| ExploredDomain {
            name: space.domains()[i].name.clone(),
            bounds: (polytope.lower()[i], polytope.upper()[i]),
            reach: polytope.reach()[i],
            epochs: tokens.zip(space.domains()[i].tokens).map(|(target, available)| target / available),
        };
        (0..space.dim()).map(domain).collect()
    }

    fn explored_groups(&self) -> Vec<ExploredGroup> {
        let explored = |group: Group| ExploredGroup {
            domains: group.domains,
            min: group.min,
            max: group.max,
            freeze: group.freeze,
        };
        self.config.space.polytope().groups().iter().cloned().map(explored).collect()
    }

    fn explored_guard(&self, guard: &Guard) -> ExploredGuard {
        ExploredGuard {
            words: advice::guard_words(self.config, guard),
            metric: guard.metric,
            sign: guard.sign,
            threshold: match &guard.threshold {
                Threshold::Value(value) => ExploredThreshold::Value(*value),
                Threshold::Mixture { mixture, .. } => ExploredThreshold::Mixture(mixture.weights().to_vec()),
            },
            tolerance: match guard.tolerance {
                Tolerance::Absolute(tolerance) => (tolerance, 0.0),
                Tolerance::Relative(share) => (0.0, share),
            },
            asked: guard.probability,
        }
    }
}
