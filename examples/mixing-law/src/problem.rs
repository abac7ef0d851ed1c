//! A test problem: domains, bounds, and a mixing law for every metric at every size.

use std::collections::BTreeMap;

use admire::space::{self, GroupSpec, Limits, SearchSpace, SpaceError};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::optimum::{Optimum, minimize};

/// A data source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Tokens available.
    pub tokens: f64,
}

/// A bound on a sum of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Names of its domains.
    pub domains: Vec<String>,
    /// Smallest sum.
    pub min: f64,
    /// Largest sum.
    pub max: f64,
}

/// The mixing law of one metric at one size, `floor + scale · exp(−Σ_i rates_i w_i)`, in nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Law {
    /// Loss that no mixture gets below.
    pub floor: f64,
    /// How much of the loss depends on the mixture, > 0.
    pub scale: f64,
    /// How much each domain helps, in the order of the problem's domains; ≥ 0.
    pub rates: Vec<f64>,
}

/// A training scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Its name.
    pub name: String,
    /// Parameters.
    pub params: f64,
    /// Training tokens.
    pub tokens: f64,
    /// Cost of a run; 1 at the target.
    pub cost: f64,
    /// One per metric.
    pub laws: Vec<Law>,
}

/// A test problem. The target is the last size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Names the study.
    pub name: String,
    /// Standard deviation of the Gaussian noise of every metric of a run, in nats.
    pub noise: f64,
    /// Sorted by name.
    pub domains: Vec<Domain>,
    /// Bounds on sums of weights.
    pub groups: Vec<Group>,
    /// How often a run at the target may see the same token.
    pub max_epochs: f64,
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// From cheap to expensive.
    pub sizes: Vec<Size>,
}

impl Problem {
    /// The size that counts.
    ///
    /// # Panics
    /// On a problem without sizes, which the generator does not make.
    #[must_use]
    pub fn target(&self) -> &Size {
        self.sizes.last().expect("a problem has sizes")
    }

    /// The allowed mixtures; weights are in the order of [`Self::domains`].
    ///
    /// # Errors
    /// [`SpaceError`] if the file that the problem comes from contradicts itself.
    pub fn space(&self) -> Result<SearchSpace, SpaceError> {
        let domain = |d: &Domain| space::Domain { tokens: Some(d.tokens), ..space::Domain::new(&d.name) };
        let group = |g: &Group| GroupSpec {
            name: g.name.clone(),
            domains: g.domains.clone(),
            min: g.min,
            max: g.max,
            freeze: None,
        };
        let limits = Limits { target_tokens: self.target().tokens, max_epochs: Some(self.max_epochs) };
        let domains = self.domains.iter().map(domain).collect();
        SearchSpace::new(domains, self.groups.iter().map(group).collect(), Some(limits))
    }

    /// Noise-free metrics of the mixture `w` at a size.
    #[must_use]
    pub fn losses(&self, size: &Size, w: &[f64]) -> Vec<f64> {
        size.laws.iter().map(|law| law.floor + law.scale * law.decay(w)).collect()
    }

    /// The objective, the mean of the noise-free metrics, and its gradient.
    #[must_use]
    pub fn objective(&self, size: &Size, w: &[f64]) -> (f64, Vec<f64>) {
        let share = 1.0 / size.laws.len() as f64;
        let (mut value, mut gradient) = (0.0, vec![0.0; w.len()]);
        for law in &size.laws {
            let varying = share * law.scale * law.decay(w);
            value += share * law.floor + varying;
            gradient.iter_mut().zip(&law.rates).for_each(|(g, r)| *g -= varying * r);
        }
        (value, gradient)
    }

    /// The metrics of a training run: those of the mixture with noise, which the seed and the mixture determine.
    #[must_use]
    pub fn train(&self, size: &Size, w: &[f64], seed: u64) -> Vec<f64> {
        // Runs with the same seed but another mixture or size are independent: FNV-1a over all of them.
        let words = w.iter().map(|x| x.to_bits()).chain([size.params.to_bits(), seed]);
        let hash = words
            .flat_map(u64::to_le_bytes)
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mut rng = ChaCha8Rng::seed_from_u64(hash);
        let noisy = |loss: f64| {
            let z: f64 = StandardNormal.sample(&mut rng);
            loss + self.noise * z
        };
        self.losses(size, w).into_iter().map(noisy).collect()
    }

    /// The best mixture at a size, certified to a millionth of the spread between the uniform mixture and it.
    ///
    /// # Errors
    /// As [`Self::space`].
    pub fn optimum(&self, size: &Size) -> Result<Optimum, SpaceError> {
        let space = self.space()?;
        // Losses differ by hundredths of a nat at least.
        Ok(minimize(space.polytope(), |w| self.objective(size, w), 1e-9))
    }

    /// The share of the gap at the target, from the uniform to the best mixture, that `w` closes; noise-free.
    ///
    /// # Errors
    /// As [`Self::space`].
    pub fn share_closed(&self, w: &[f64]) -> Result<f64, SpaceError> {
        let (uniform, best) = self.gap()?;
        Ok((uniform - self.objective(self.target(), w).0) / (uniform - best))
    }

    /// The objective at the target of the uniform and of the best mixture.
    ///
    /// # Errors
    /// As [`Self::space`].
    pub fn gap(&self) -> Result<(f64, f64), SpaceError> {
        let uniform = self.space()?.uniform();
        Ok((self.objective(self.target(), uniform.weights()).0, self.optimum(self.target())?.value))
    }

    /// Weights by name in the order of the domains; those that are not named are zero. `None` for an unknown name.
    #[must_use]
    pub fn weights(&self, by_name: &BTreeMap<String, f64>) -> Option<Vec<f64>> {
        let known = |name: &String| self.domains.iter().any(|d| d.name == *name);
        let weight = |d: &Domain| by_name.get(&d.name).copied().unwrap_or(0.0);
        by_name.keys().all(known).then(|| self.domains.iter().map(weight).collect())
    }

    /// The study's config, without `[launcher]` and `[budget]`.
    #[must_use]
    pub fn study(&self) -> String {
        let mut sections = vec![format!("[study]\nname = \"{}\"\n", self.name)];
        for Domain { name, tokens } in &self.domains {
            sections.push(format!("[[domain]]\nname = \"{name}\"\ntokens = {tokens:e}\n"));
        }
        for Group { name, domains, min, max } in &self.groups {
            sections.push(format!("[[group]]\nname = \"{name}\"\ndomains = {domains:?}\nmin = {min}\nmax = {max}\n"));
        }
        sections.push(format!("[limits]\nmax_epochs = {}\n", self.max_epochs));
        for Size { name, params, tokens, cost, .. } in &self.sizes {
            sections.push(format!(
                "[[fidelity]]\nname = \"{name}\"\nparams = {params:e}\ntokens = {tokens:e}\ncost = {cost}\n"
            ));
        }
        let share = 1.0 / self.metrics.len() as f64;
        let metrics: String = self.metrics.iter().map(|m| format!("{m} = {share}\n")).collect();
        sections.push(format!("[objective.metrics]\n{metrics}"));
        sections.join("\n")
    }
}

impl Law {
    fn decay(&self, w: &[f64]) -> f64 {
        (-self.rates.iter().zip(w).map(|(r, x)| r * x).sum::<f64>()).exp()
    }
}
