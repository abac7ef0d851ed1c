//! Hyperparameters of one metric's Gaussian process: their natural values, their priors, and the unconstrained scale on
//! which they are fitted.
//!
//! Every parameter is a standard normal a priori: the fitted vector z relates to the natural value by
//! `mean + sd · z` (usually of a logarithm), so that the log prior is `−|z|²/2`, the start of a fit is `z = 0`, and the
//! optimizer sees one scale. The values assume targets of about unit variance ([`super::Surrogate`] standardizes) and
//! warped mixtures in the Hellinger geometry, where no two points are farther apart than √2 whatever the number of
//! domains.

use std::borrow::Cow;

use nalgebra::{DMatrix, DVector};

use super::kernel::{Component, ComponentGradient, Kernel};
use super::lanes::Prepared;
use super::saturation::Saturation;
use crate::problem::KernelKind;
use crate::space::Warped;

/// A prior's mean and standard deviation.
#[derive(Clone, Copy, Debug)]
struct Normal {
    mean: f64,
    sd: f64,
}

impl Normal {
    /// The value whose logarithm is `z` prior standard deviations above the mean.
    fn exp(self, z: f64) -> f64 {
        (self.mean + self.sd * z).exp()
    }
}

/// Log of the signal variance.
const LOG_VARIANCE: Normal = Normal { mean: 0.0, sd: 1.0 };
/// Common mean of the log length-scales: a median of 1, most of the diameter √2.
const LOG_LENGTHSCALE: Normal = Normal { mean: 0.0, sd: 1.0 };
/// Share of the variance of a domain's log length-scale, around the common mean, that it has in common with its family.
const FAMILY: f64 = 0.5;
/// Frequencies, in cycles per unit of √w: shrunk hard towards zero, as loose ones over-fit noise (docs/math.md).
const FREQUENCY_SD: f64 = 0.05;
/// Increment of the log scale from one size to the next.
const LOG_SCALE_STEP_SD: f64 = 0.5;
/// Common log rate of discrepancy variance (relative to the signal's) per unit of log size, hardly known: for sizes that
/// differ tenfold the prior's median correlation is 0.87, its central 90 % from 0.42 to 0.99. One that expects sizes to
/// agree takes what proxies say for certain before any target run could object.
const LOG_DISCREPANCY: Normal = Normal { mean: -2.0, sd: 1.5 };
/// Deviation of each step's log rate from the common one.
const LOG_DISCREPANCY_STEP_SD: f64 = 0.7;
/// Log variance of the fine part: a twentieth of the signal's, but hardly known.
const LOG_FINE_VARIANCE: Normal = Normal { mean: -3.0, sd: 1.5 };
/// Log ratio of the fine part's length-scales to the first component's: a third.
const LOG_FINE_RATIO: Normal = Normal { mean: -1.098_612_288_668_109_8, sd: 0.5 };
/// Log rate at which the fine parts of two sizes lose their correlation, per unit of log size: a half for sizes that differ tenfold, but
/// hardly known.
const LOG_FINE_DECLINE: Normal = Normal { mean: -1.2, sd: 1.5 };
/// Common log noise variance, relative to each size's scale, and log variance of what is peculiar to a training run: about an eighth of
/// the signal's, but hardly known. A prior that expects less noise believes the first few runs too much.
const LOG_NOISE: Normal = Normal { mean: -2.0, sd: 2.0 };
/// Deviation of each size's log noise from the common one.
const LOG_NOISE_STEP_SD: f64 = 0.7;

/// Fidelities of equal size (say, other token counts unstated) still differ by so much of log size.
pub const LEAST_STEP: f64 = 0.1;

/// Length-scale over which what is peculiar to a training run has to do with other mixtures: far below what weights can differ by.
const RUN_LENGTHSCALE: f64 = 1e-4;

/// Log of the epochs in which the value of repeated data decays: a median of 15 (Muennighoff et al. 2023), so that four epochs are nearly as
/// good as unique data, but hardly known.
const LOG_DECAY: Normal = Normal { mean: 2.708_050_201_102_21, sd: 1.0 };

/// Where the fidelities lie on an axis, from cheap to expensive.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The place of each fidelity, from 0 on (length F).
    pub places: Vec<usize>,
    /// Steps between consecutive places, positive, in the same unit for all metrics.
    pub steps: Vec<f64>,
}

impl Axis {
    /// Fidelities in their order, each at a place of its own, with these steps between them (length F − 1).
    #[must_use]
    pub fn chain(steps: Vec<f64>) -> Self {
        Self { places: (0..=steps.len()).collect(), steps }
    }

    /// Fidelities at these coordinates (length F). Those that are less than [`LEAST_STEP`] beyond the first one of a place share it.
    #[must_use]
    pub fn through(coordinates: &[f64]) -> Self {
        let mut distinct = coordinates.to_vec();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup_by(|x, first| *x - *first < LEAST_STEP);
        let place = |x: &f64| distinct.partition_point(|first| first <= x) - 1;
        let steps = distinct.windows(2).map(|pair| pair[1] - pair[0]).collect();
        Self { places: coordinates.iter().map(place).collect(), steps }
    }

    /// How many parameters say how the fidelities are correlated along it.
    fn len(&self) -> usize {
        if self.steps.is_empty() { 0 } else { 2 + 2 * self.steps.len() }
    }
}

/// What the parameter vector means.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Covariance function.
    pub kind: KernelKind,
    /// Components of the kernel.
    pub components: usize,
    /// Index of the family of each domain, from 0 on. The length-scales of a family are alike.
    pub families: Vec<usize>,
    /// What fidelities differ in, at least one axis: their size or, where runs are logged on their way, size and how far a run has come.
    pub axes: Vec<Axis>,
    /// How far single length-scales may stray from their common mean: the standard deviation of their logarithms.
    pub lengthscale_sd: f64,
    /// What runs repeat, where that is known. The decay is a parameter.
    pub saturation: Option<Saturation>,
    /// Whether several values of one mixture are of the same training run. What is peculiar to a run is a last component of the kernel, with
    /// a variance of its own and no correlation with other mixtures.
    pub curves: bool,
}

/// Natural values of the hyperparameters.
#[derive(Clone, Debug)]
pub struct Hyperparameters {
    /// The covariance of noise-free values: the sum of these.
    pub terms: Vec<Term>,
    /// Noise variance at each size (length F).
    pub noise: Vec<f64>,
    /// How the value of repeated data saturates, where it is known what runs repeat.
    pub saturation: Option<Saturation>,
}

/// A product of a covariance over warped mixtures and one between sizes.
#[derive(Clone, Debug)]
pub struct Term {
    /// Covariance over warped mixtures.
    pub kernel: Kernel,
    /// Covariances between sizes (F × F).
    pub sizes: Vec<Vec<f64>>,
}

impl Term {
    /// The covariances between each fidelity and those of the runs `at` (F vectors of length n).
    pub(super) fn factors(&self, at: &[usize]) -> Vec<DVector<f64>> {
        let of = |sizes: &Vec<f64>| DVector::from_iterator(at.len(), at.iter().map(|m| sizes[*m]));
        self.sizes.iter().map(of).collect()
    }
}

impl Hyperparameters {
    /// Prior covariance of the values of one place at two fidelities.
    #[must_use]
    pub fn prior_covariance(&self, a: usize, b: usize) -> f64 {
        self.terms.iter().map(|term| term.kernel.variance() * term.sizes[a][b]).sum()
    }

    /// What [`Self::kernels`] and [`Self::crosses`] need of the n places `x`, by term and component.
    pub(super) fn prepare(&self, x: &Warped) -> Vec<Vec<Prepared>> {
        self.terms.iter().map(|term| term.kernel.prepare(x)).collect()
    }

    /// The n × n covariances of the prepared places by each term's kernel alone.
    pub(super) fn kernels(&self, prepared: &[Vec<Prepared>]) -> Vec<DMatrix<f64>> {
        self.terms.iter().zip(prepared).map(|(term, prepared)| term.kernel.matrix(prepared)).collect()
    }

    /// The n × p covariances between the prepared places and the places `z` by each term's kernel alone.
    pub(super) fn crosses(&self, prepared: &[Vec<Prepared>], z: &Warped) -> Vec<DMatrix<f64>> {
        self.terms.iter().zip(prepared).map(|(term, prepared)| term.kernel.cross(prepared, z)).collect()
    }

    /// The covariances of runs that lie at the fidelities `rows` (length n) and `columns`, given those of their places by each term's
    /// kernel alone (n × p each).
    pub(super) fn total(
        &self,
        kernels: Vec<DMatrix<f64>>,
        rows: &[usize],
        columns: impl Fn(usize) -> usize,
    ) -> DMatrix<f64> {
        let weighted = self.terms.iter().zip(kernels).map(|(term, mut k)| {
            let factors = term.factors(rows);
            k.column_iter_mut()
                .enumerate()
                .for_each(|(j, mut column)| column.component_mul_assign(&factors[columns(j)]));
            k
        });
        weighted.reduce(|sum, k| sum + k).expect("there is a term")
    }

    /// Where runs of the n mixtures `z` at the fidelities `at` lie (length n).
    pub(super) fn places<'a>(&self, z: &'a Warped, at: impl Fn(usize) -> usize) -> Cow<'a, Warped> {
        self.saturation.as_ref().map_or(Cow::Borrowed(z), |saturation| Cow::Owned(saturation.places(z, at)))
    }

    /// The chain rule of [`Self::places`]: turns derivatives with respect to the place of the mixture `z` at fidelity `m` into those with
    /// respect to the mixture.
    pub(super) fn pull_back<const N: usize>(&self, z: &Warped, m: usize, gradients: [&mut Vec<f64>; N]) {
        let Some(saturation) = &self.saturation else { return };
        let slopes = saturation.slopes(z, 0, m);
        for gradient in gradients {
            gradient.iter_mut().zip(&slopes).for_each(|(g, slope)| *g *= slope);
        }
    }
}

/// How fidelities are correlated: a product over the axes.
///
/// Along each axis the coarse part of a metric is an autoregressive chain from cheap to expensive (Kennedy & O'Hagan 2000), in which each
/// place adds an independent discrepancy, with the same dependence on the mixture as the signal:
/// `B[m, m'] = s_m s_m' (1 + Σ_{l ≤ min(m, m')} d_l)`, where `s_0 = 1` and `d_0 = 0`. The correlation of its fine parts declines with the
/// distance `u` of places: `B[m, m'] = s_m s_m' exp(−β |u_m − u_m'|)`.
struct Sizes<'a>(Vec<Along<'a>>);

/// The factors that one axis with P places contributes.
struct Along<'a> {
    /// The place of each fidelity (length F).
    places: &'a [usize],
    /// Scale at each place (length P).
    scale: Vec<f64>,
    /// Discrepancy variance added at each place, relative to the cheapest one's signal (length P; the first is 0).
    discrepancy: Vec<f64>,
    /// How far each place is from the cheapest, times the rate β (length P).
    distance: Vec<f64>,
}

impl<'a> Along<'a> {
    /// The factors of an axis, given its part of the parameter vector (empty with one place).
    fn new(axis: &'a Axis, z: &[f64]) -> Self {
        let Axis { places, steps } = axis;
        let mut along = Self { places, scale: vec![1.0], discrepancy: vec![0.0], distance: vec![0.0] };
        let Some((decline, z)) = z.split_first() else { return along };
        let (scales, rates) = z.split_at(steps.len());
        let decline = LOG_FINE_DECLINE.exp(*decline);
        let rate = LOG_DISCREPANCY.mean + LOG_DISCREPANCY.sd * rates[0];
        for (p, step) in steps.iter().enumerate() {
            along.scale.push(along.scale[p] * (LOG_SCALE_STEP_SD * scales[p]).exp());
            along.discrepancy.push(step * (rate + LOG_DISCREPANCY_STEP_SD * rates[p + 1]).exp());
            along.distance.push(along.distance[p] + step * decline);
        }
        along
    }

    /// `1 + Σ_{l ≤ min(a, b)} d_l` of two fidelities.
    fn shared(&self, a: usize, b: usize) -> f64 {
        1.0 + self.discrepancy[..=self.places[a].min(self.places[b])].iter().sum::<f64>()
    }

    /// `β |u_a − u_b|` of two fidelities.
    fn apart(&self, a: usize, b: usize) -> f64 {
        (self.distance[self.places[a]] - self.distance[self.places[b]]).abs()
    }

    /// The chain rule of [`Self::new`]: derivatives with respect to the axis's part of the parameter vector, given those with respect to the
    /// log of each covariance of the coarse and of the fine part (F × F each), and of each noise variance (length F).
    fn pull_back(&self, by_coarse: &[Vec<f64>], by_fine: &[Vec<f64>], log_noise: &[f64]) -> Vec<f64> {
        let places = self.scale.len();
        let (mut log_scale, mut log_discrepancy, mut log_decline) = (vec![0.0; places], vec![0.0; places], 0.0);
        for (place, noise) in self.places.iter().zip(log_noise) {
            log_scale[*place] += 2.0 * noise;
        }
        let fidelities = self.places.len();
        for (a, b) in (0..fidelities).flat_map(|a| (0..fidelities).map(move |b| (a, b))) {
            let (p, q) = (self.places[a], self.places[b]);
            let by_both = by_coarse[a][b] + by_fine[a][b];
            log_scale[p] += by_both;
            log_scale[q] += by_both;
            log_decline -= by_fine[a][b] * self.apart(a, b);
            let share = by_coarse[a][b] / self.shared(a, b);
            let shared = log_discrepancy[..=p.min(q)].iter_mut();
            shared.zip(&self.discrepancy).for_each(|(g, d)| *g += share * d);
        }
        let mut z = vec![LOG_FINE_DECLINE.sd * log_decline];
        // A step of the log scale moves every larger place.
        z.extend((1..places).map(|p| LOG_SCALE_STEP_SD * log_scale[p..].iter().sum::<f64>()));
        z.push(LOG_DISCREPANCY.sd * log_discrepancy[1..].iter().sum::<f64>());
        z.extend(log_discrepancy[1..].iter().map(|x| LOG_DISCREPANCY_STEP_SD * x));
        z
    }
}

impl Sizes<'_> {
    /// The scale of each fidelity (length F).
    fn scales(&self) -> Vec<f64> {
        let scale = |m: usize| self.0.iter().map(|along| along.scale[along.places[m]]).product();
        (0..self.0[0].places.len()).map(scale).collect()
    }

    /// The F × F matrix of `s_a s_b value(a, b)`, by rows.
    fn matrix(&self, value: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
        let scales = self.scales();
        let row = |a: usize| scales.iter().enumerate().map(|(b, scale)| scales[a] * scale * value(a, b)).collect();
        (0..scales.len()).map(row).collect()
    }

    /// Covariances of the coarse part (F × F).
    fn coarse(&self) -> Vec<Vec<f64>> {
        self.matrix(|a, b| self.0.iter().map(|along| along.shared(a, b)).product())
    }

    /// Covariances of the fine part (F × F).
    fn fine(&self) -> Vec<Vec<f64>> {
        self.matrix(|a, b| (-self.0.iter().map(|along| along.apart(a, b)).sum::<f64>()).exp())
    }
}

/// Derivatives of a function with respect to the natural values.
#[derive(Clone, Debug)]
pub struct NaturalGradient {
    /// One entry per term.
    pub terms: Vec<TermGradient>,
    /// With respect to the log of each noise variance (length F).
    pub log_noise: Vec<f64>,
    /// With respect to the log of the decay; 0 without saturation.
    pub log_decay: f64,
}

/// Derivatives with respect to one term.
#[derive(Clone, Debug)]
pub struct TermGradient {
    /// One entry per component of its kernel.
    pub kernel: Vec<ComponentGradient>,
    /// With respect to its covariances between sizes (F × F).
    pub sizes: Vec<Vec<f64>>,
}

impl Layout {
    fn spectral(&self) -> bool {
        self.kind == KernelKind::SpectralMixture
    }

    /// How many families there are.
    fn count(&self) -> usize {
        self.families.iter().max().map_or(0, |last| last + 1)
    }

    /// What a length-scale has in common with those of its family and what it has of its own: the factors of two standard normals in its
    /// deviation, and how many normals of the second kind there are. Where every domain is a family of its own, the first say it all.
    fn shares(&self) -> (f64, f64, usize) {
        let dim = self.families.len();
        if self.count() == dim { (1.0, 0.0, 0) } else { (FAMILY.sqrt(), (1.0 - FAMILY).sqrt(), dim) }
    }

    fn component_len(&self) -> usize {
        let frequencies = if self.spectral() { self.families.len() } else { 0 };
        2 + self.count() + self.shares().2 + frequencies
    }

    /// How many parameters say how sizes are correlated.
    fn size_len(&self) -> usize {
        self.axes.iter().map(Axis::len).sum()
    }

    /// Length of the parameter vector.
    #[must_use]
    pub fn len(&self) -> usize {
        let (fine, noise) = (2, 1 + self.axes[0].places.len());
        self.components * self.component_len()
            + fine
            + self.size_len()
            + noise
            + usize::from(self.saturation.is_some())
            + usize::from(self.curves)
    }

    /// Whether the vector would be empty (it never is).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where a fit starts: the prior's mode, but for the frequencies, whose derivative vanishes at zero. All domains
    /// start alike.
    #[must_use]
    pub fn start(&self) -> Vec<f64> {
        let mut z = vec![0.0; self.len()];
        if self.spectral() {
            for q in 0..self.components {
                let end = (q + 1) * self.component_len();
                z[end - self.families.len()..end].fill(0.5);
            }
        }
        z
    }

    /// Common prior mean of a component's log length-scales: further components start at half the length-scale of the
    /// one before, so that they are told apart.
    fn log_lengthscale_mean(&self, q: usize) -> f64 {
        LOG_LENGTHSCALE.mean - q as f64 * std::f64::consts::LN_2
    }

    /// Prior mean of a component's log variance: components share the signal's variance.
    fn log_variance_mean(&self) -> f64 {
        LOG_VARIANCE.mean - (self.components as f64).ln()
    }

    /// Natural values of the parameter vector `z` (length [`Self::len`]).
    #[must_use]
    pub fn natural(&self, z: &[f64]) -> Hyperparameters {
        let mut rest = z;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n);
            rest = tail;
            head
        };
        let (count, (together, apart, deviations)) = (self.count(), self.shares());
        let frequencies = if self.spectral() { self.families.len() } else { 0 };
        let mut components: Vec<Component> = (0..self.components)
            .map(|q| {
                let variance = (self.log_variance_mean() + LOG_VARIANCE.sd * take(1)[0]).exp();
                let mean = self.log_lengthscale_mean(q) + LOG_LENGTHSCALE.sd * take(1)[0];
                let (of_family, own) = (take(count), take(deviations));
                let deviation =
                    |(d, f): (usize, &usize)| together * of_family[*f] + own.get(d).map_or(0.0, |own| apart * own);
                let lengthscales = self.families.iter().enumerate().map(deviation);
                let lengthscales = lengthscales.map(|u| (mean + self.lengthscale_sd * u).exp()).collect();
                let frequencies = take(frequencies).iter().map(|u| FREQUENCY_SD * u).collect();
                Component { variance, lengthscales, frequencies }
            })
            .collect();
        let (variance, ratio) = (LOG_FINE_VARIANCE.exp(take(1)[0]), LOG_FINE_RATIO.exp(take(1)[0]));
        let lengthscales = components[0].lengthscales.iter().map(|l| ratio * l).collect();
        let fine = Component { variance, lengthscales, frequencies: Vec::new() };
        let sizes = self.sizes(take(self.size_len()));
        let level = LOG_NOISE.mean + LOG_NOISE.sd * take(1)[0];
        let scales = sizes.scales();
        let noise = take(scales.len())
            .iter()
            .zip(&scales)
            .map(|(u, s)| s * s * (level + LOG_NOISE_STEP_SD * u).exp())
            .collect();
        let saturation =
            self.saturation.clone().map(|saturation| Saturation { decay: LOG_DECAY.exp(take(1)[0]), ..saturation });
        if self.curves {
            let variance = LOG_NOISE.exp(take(1)[0]);
            let lengthscales = vec![RUN_LENGTHSCALE; self.families.len()];
            components.push(Component { variance, lengthscales, frequencies: vec![0.0; frequencies] });
        }
        let coarse = Term { kernel: Kernel { kind: self.kind, components }, sizes: sizes.coarse() };
        let kernel = Kernel { kind: KernelKind::Matern52, components: vec![fine] };
        Hyperparameters { terms: vec![coarse, Term { kernel, sizes: sizes.fine() }], noise, saturation }
    }

    /// How fidelities are correlated, by their part of the parameter vector: one axis after the other.
    fn sizes(&self, z: &[f64]) -> Sizes<'_> {
        let mut rest = z;
        let along = |axis| {
            let (own, further) = rest.split_at(Axis::len(axis));
            rest = further;
            Along::new(axis, own)
        };
        Sizes(self.axes.iter().map(along).collect())
    }

    /// The chain rule of [`Self::natural`] at `z`: derivatives with respect to z.
    #[must_use]
    pub fn pull_back(&self, at: &[f64], gradient: &NaturalGradient) -> Vec<f64> {
        let mut z = Vec::with_capacity(self.len());
        let (together, apart, deviations) = self.shares();
        let [coarse, fine] = gradient.terms.as_slice() else { unreachable!("there are two terms") };
        let (components, of_run) = coarse.kernel.split_at(self.components);
        let none = vec![0.0; self.families.len()];
        for (q, g) in components.iter().enumerate() {
            // The length-scales of the fine part move with the first component's.
            let further = if q == 0 { &fine.kernel[0].log_lengthscales } else { &none };
            let by_lengthscale: Vec<f64> = g.log_lengthscales.iter().zip(further).map(|(a, b)| a + b).collect();
            z.push(LOG_VARIANCE.sd * g.log_variance);
            z.push(LOG_LENGTHSCALE.sd * by_lengthscale.iter().sum::<f64>());
            let mut of_family = vec![0.0; self.count()];
            by_lengthscale.iter().zip(&self.families).for_each(|(x, f)| of_family[*f] += x);
            z.extend(of_family.iter().map(|x| self.lengthscale_sd * together * x));
            z.extend(by_lengthscale.iter().take(deviations).map(|x| self.lengthscale_sd * apart * x));
            z.extend(g.frequencies.iter().map(|x| FREQUENCY_SD * x));
        }
        z.push(LOG_FINE_VARIANCE.sd * fine.kernel[0].log_variance);
        z.push(LOG_FINE_RATIO.sd * fine.kernel[0].log_lengthscales.iter().sum::<f64>());
        z.extend(self.pull_back_sizes(&at[z.len()..z.len() + self.size_len()], gradient));
        z.push(LOG_NOISE.sd * gradient.log_noise.iter().sum::<f64>());
        z.extend(gradient.log_noise.iter().map(|x| LOG_NOISE_STEP_SD * x));
        z.extend(self.saturation.as_ref().map(|_| LOG_DECAY.sd * gradient.log_decay));
        z.extend(of_run.iter().map(|g| LOG_NOISE.sd * g.log_variance));
        z
    }

    /// The chain rule of [`Self::sizes`] at its part of the parameter vector, `at`; the scales move the noise, too.
    fn pull_back_sizes(&self, at: &[f64], gradient: &NaturalGradient) -> Vec<f64> {
        let [coarse, fine] = gradient.terms.as_slice() else { unreachable!("there are two terms") };
        let sizes = self.sizes(at);
        let product = |g: &[Vec<f64>], value: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            g.iter().zip(value).map(|(g, value)| g.iter().zip(value).map(|(g, value)| g * value).collect()).collect()
        };
        let (by_coarse, by_fine) = (product(&coarse.sizes, sizes.coarse()), product(&fine.sizes, sizes.fine()));
        let along = sizes.0.iter().filter(|along| along.scale.len() > 1);
        along.flat_map(|along| along.pull_back(&by_coarse, &by_fine, &gradient.log_noise)).collect()
    }
}
