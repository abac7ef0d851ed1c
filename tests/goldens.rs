//! The Gaussian process and the acquisition functions against independent implementations: GPyTorch, BoTorch and mpmath
//! (goldens/make_gp_goldens.py wrote the numbers and says what model they belong to; goldens/make_acquisition_goldens.py those of
//! the confidence bound and the knowledge gradient).

use admire::acquisition::{Choices, Criterion, LogValue, gibbon, log_knowledge_gradient};
use admire::problem::KernelKind;
use admire::space::Warped;
use admire::surrogate::{
    Lookahead,
    data::Data,
    gp::Gp,
    hyper::{Hyperparameters, Term},
    kernel::{Component, Kernel},
};
use nalgebra::{DMatrix, DVector};
use serde::Deserialize;

/// The goldens know each level; the process estimates them with this prior around the golden's value.
const LEVEL_SD: f64 = 1e-8;
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Goldens {
    gp: Vec<Case>,
    expected_improvement: Cases<Improvement>,
    gibbon: Cases<Gibbon>,
}

#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
    #[serde(default)]
    averaged: Vec<Averaged>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kernel: KernelKind,
    x: Vec<Vec<f64>>,
    fidelity: Vec<usize>,
    y: Vec<f64>,
    se: Vec<f64>,
    params: Params,
    fidelity_covariance: Vec<Vec<f64>>,
    covariance_row0: Vec<f64>,
    log_marginal_likelihood: f64,
    gradient: Gradient,
    test: Posterior,
    loo: LeaveOneOut,
}

#[derive(Deserialize)]
struct Params {
    weight: Vec<f64>,
    lengthscale: Vec<Vec<f64>>,
    frequency: Vec<Vec<f64>>,
    scale: Vec<f64>,
    discrepancy: Vec<f64>,
    noise: Vec<f64>,
    mean: Vec<f64>,
}

#[derive(Deserialize)]
struct Gradient {
    log_weight: Vec<f64>,
    log_lengthscale: Vec<Vec<f64>>,
    frequency: Vec<Vec<f64>>,
    log_scale: Vec<f64>,
    log_discrepancy: Vec<f64>,
    log_noise: Vec<f64>,
    mean: Vec<f64>,
}

#[derive(Deserialize)]
struct Posterior {
    x: Vec<Vec<f64>>,
    fidelity: Vec<usize>,
    mean: Vec<f64>,
    covariance: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct LeaveOneOut {
    mean: Vec<f64>,
    variance: Vec<f64>,
    log_density: f64,
}

#[derive(Deserialize)]
struct Improvement {
    mean: f64,
    sd: f64,
    best: f64,
    log_ei: f64,
    d_mean: f64,
    d_sd: f64,
}

#[derive(Deserialize)]
struct Gibbon {
    rho2: f64,
    gamma: f64,
    value: f64,
    d_rho2: f64,
    d_gamma: f64,
}

#[derive(Deserialize)]
struct Averaged {
    mean: f64,
    sd: f64,
    rho2: f64,
    minima: Vec<f64>,
    value: f64,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/gp.json")).unwrap()
}

#[track_caller]
fn agree(what: &str, ours: f64, golden: f64, tolerance: f64) {
    let error = (ours - golden).abs();
    assert!(error <= tolerance * golden.abs().max(1.0), "{what}: {ours} is not {golden} (off by {error:e})");
}

#[track_caller]
fn all_agree(what: &str, ours: &[f64], golden: &[f64]) {
    assert_eq!(ours.len(), golden.len(), "{what}: as many values");
    for (i, (a, b)) in ours.iter().zip(golden).enumerate() {
        agree(&format!("{what}[{i}]"), *a, *b, TOLERANCE);
    }
}

fn columns(points: &[Vec<f64>]) -> Warped {
    Warped::new(DMatrix::from_vec(points[0].len(), points.len(), points.concat()))
}

impl Case {
    fn hyperparameters(&self) -> Hyperparameters {
        let p = &self.params;
        let components = (0..p.weight.len()).map(|q| Component {
            variance: p.weight[q],
            lengthscales: p.lengthscale[q].clone(),
            frequencies: p.frequency.get(q).cloned().unwrap_or_default(),
        });
        Hyperparameters {
            terms: vec![Term {
                kernel: Kernel { kind: self.kernel, components: components.collect() },
                sizes: self.fidelity_covariance.clone(),
            }],
            noise: p.noise.clone(),
            saturation: None,
        }
    }

    /// The derivatives with respect to the logarithms of the scales and the discrepancies, from those with respect to the covariances
    /// between sizes (F × F).
    fn by_size_parameters(&self, slopes: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
        let (scale, discrepancy) = (&self.params.scale, &self.params.discrepancy);
        let (mut log_scale, mut log_discrepancy) = (vec![0.0; scale.len()], vec![0.0; scale.len()]);
        for (a, row) in slopes.iter().enumerate() {
            for (b, slope) in row.iter().enumerate() {
                log_scale[a] += slope * self.fidelity_covariance[a][b];
                log_scale[b] += slope * self.fidelity_covariance[a][b];
                (0..=a.min(b)).for_each(|l| log_discrepancy[l] += slope * scale[a] * scale[b] * discrepancy[l]);
            }
        }
        (log_scale, log_discrepancy)
    }

    /// The data around the golden's levels, so that the process's own levels are zero.
    fn data(&self) -> Data {
        let above_level = self.y.iter().zip(&self.fidelity).map(|(y, m)| y - self.params.mean[*m]);
        Data {
            x: columns(&self.x),
            fidelity: self.fidelity.clone(),
            y: DVector::from_iterator(self.y.len(), above_level),
            known_noise: self.se.iter().map(|se| se * se).collect(),
            level_sd: vec![LEVEL_SD; self.params.mean.len()],
        }
    }

    fn level(&self, m: usize) -> f64 {
        self.params.mean[m]
    }
}

/// Runs `check` on every golden process, conditioned at the golden's hyperparameters.
fn on_every_case(check: impl Fn(&Case, &Data, &Gp)) {
    let cases = goldens().gp;
    assert_eq!(cases.len(), 5);
    for case in cases {
        let data = case.data();
        let gp = Gp::condition(&data, case.hyperparameters()).unwrap();
        check(&case, &data, &gp);
    }
}

#[test]
fn covariances() {
    on_every_case(|case, data, gp| {
        let term = &gp.hyperparameters().terms[0];
        let k = term.kernel.matrix(&term.kernel.prepare(&data.x));
        let sizes = &term.sizes[case.fidelity[0]];
        let row: Vec<f64> = (0..case.y.len()).map(|i| k[(0, i)] * sizes[case.fidelity[i]]).collect();
        all_agree(&format!("{}: K[0]", case.name), &row, &case.covariance_row0);
    });
}

#[test]
fn log_marginal_likelihood_and_its_gradient() {
    on_every_case(|case, data, gp| {
        let name = |what: &str| format!("{}: {what}", case.name);
        agree(&name("log likelihood"), gp.log_likelihood(), case.log_marginal_likelihood, TOLERANCE);
        let (_, ours) = Gp::condition_with_gradient(data, case.hyperparameters()).unwrap();
        let golden = &case.gradient;
        let log_variance: Vec<f64> = ours.terms[0].kernel.iter().map(|g| g.log_variance).collect();
        all_agree(&name("log weight"), &log_variance, &golden.log_weight);
        for (q, component) in ours.terms[0].kernel.iter().enumerate() {
            all_agree(&name("log length-scale"), &component.log_lengthscales, &golden.log_lengthscale[q]);
            let frequency = golden.frequency.get(q).map_or(&[][..], Vec::as_slice);
            all_agree(&name("frequency"), &component.frequencies, frequency);
        }
        let (log_scale, log_discrepancy) = case.by_size_parameters(&ours.terms[0].sizes);
        all_agree(&name("log scale"), &log_scale[1..], &golden.log_scale);
        all_agree(&name("log discrepancy"), &log_discrepancy[1..], &golden.log_discrepancy);
        all_agree(&name("log noise"), &ours.log_noise, &golden.log_noise);
        // A tight prior makes the levels one small step up the gradient of the likelihood.
        let by_level: Vec<f64> = gp.levels().iter().map(|b| b / LEVEL_SD.powi(2)).collect();
        all_agree(&name("mean"), &by_level, &golden.mean);
    });
}

#[test]
fn posterior_means_and_covariances() {
    on_every_case(|case, _, gp| {
        let test = &case.test;
        for (i, point) in test.x.iter().enumerate() {
            let (name, m) = (format!("{}: test point {i}", case.name), test.fidelity[i]);
            let z = columns(std::slice::from_ref(point));
            let (mean, variance) = (test.mean[i], test.covariance[i][i]);
            let predicted = gp.predict(&z, m)[0];
            agree(&name, predicted.mean + case.level(m), mean, TOLERANCE);
            agree(&name, predicted.variance, variance, TOLERANCE);
            agree(&name, predicted.level_variance, 0.0, TOLERANCE);
            agree(&name, gp.mean(&z, m)[0] + case.level(m), mean, TOLERANCE);
            for (j, other) in test.x.iter().enumerate() {
                let (l, both) = (test.fidelity[j], [point.clone(), other.clone()]);
                let golden = test.covariance[i][j];
                if l == m {
                    let (means, covariance) = gp.posterior(&columns(&both), m);
                    agree(&name, means[1] + case.level(m), test.mean[j], TOLERANCE);
                    agree(&name, covariance[(0, 1)], golden, TOLERANCE);
                } else if point == other {
                    let joint = &gp.joint(&z, &[l], m)[0][0];
                    agree(&name, joint.mean + case.level(m), mean, TOLERANCE);
                    agree(&name, joint.variance, variance, TOLERANCE);
                    agree(&name, joint.variance_observed, test.covariance[j][j], TOLERANCE);
                    agree(&name, joint.covariance, golden, TOLERANCE);
                }
            }
        }
    });
}

#[test]
fn leave_one_out_predictions() {
    on_every_case(|case, _, gp| {
        let mut log_density = 0.0;
        for (i, (mean, variance)) in gp.leave_one_out().into_iter().enumerate() {
            let name = format!("{}: without run {i}", case.name);
            let mean = mean + case.level(case.fidelity[i]);
            agree(&name, mean, case.loo.mean[i], TOLERANCE);
            agree(&name, variance, case.loo.variance[i], TOLERANCE);
            log_density -= 0.5 * ((std::f64::consts::TAU * variance).ln() + (case.y[i] - mean).powi(2) / variance);
        }
        agree(&case.name, log_density, case.loo.log_density, TOLERANCE);
    });
}

#[test]
fn log_expected_improvement() {
    let cases = goldens().expected_improvement.cases;
    assert!(cases.len() >= 60);
    for case in cases {
        let Improvement { mean, sd, best, .. } = case;
        let variance = sd * sd;
        let half = Lookahead { mean, variance, reduction: 0.5 * variance, ..Lookahead::default() };
        let value = Criterion::ExpectedImprovement { best }.value(&half);
        let name = format!("mean {mean}, sd {sd}, best {best}");
        agree(&name, value.log - 0.5_f64.ln(), case.log_ei, TOLERANCE);
        agree(&name, value.d_mean, case.d_mean, TOLERANCE);
        // The reduction is a fixed share of the variance in the golden: its derivative comes on top.
        let by_variance = value.d_variance + 0.5 * value.d_reduction;
        agree(&name, 2.0 * sd * by_variance, case.d_sd, 1e-8);
    }
}

#[test]
fn gibbon_bound() {
    let Cases { cases, averaged } = goldens().gibbon;
    assert!(cases.len() >= 165 && averaged.len() >= 3);
    for case in cases {
        let name = format!("rho² {}, gamma {}", case.rho2, case.gamma);
        let (value, d_rho2, d_gamma) = gibbon(case.rho2, case.gamma);
        for (ours, golden) in [(value, case.value), (d_rho2, case.d_rho2), (d_gamma, case.d_gamma)] {
            // Relative, however small the value: the optimizer sees its logarithm.
            let error = (ours - golden).abs();
            assert!(error <= 1e-9 * golden.abs() + f64::MIN_POSITIVE, "{name}: {ours:e} is not {golden:e}");
        }
    }
    for case in averaged {
        let variance = case.sd * case.sd;
        let lookahead =
            Lookahead { mean: case.mean, variance, reduction: case.rho2 * variance, ..Lookahead::default() };
        let value = Criterion::Entropy { minima: case.minima }.value(&lookahead);
        agree("averaged", value.log, case.value.ln(), TOLERANCE);
    }
}

#[derive(Deserialize)]
struct AcquisitionGoldens {
    confidence_bound: Vec<Bound>,
    knowledge_gradient: Vec<SwitchCase>,
}

#[derive(Deserialize)]
struct Bound {
    mean: f64,
    variance: f64,
    reduction: f64,
    best: f64,
    log: f64,
    d_mean: f64,
    d_variance: f64,
    d_reduction: f64,
}

#[derive(Deserialize)]
struct SwitchCase {
    mean: Vec<f64>,
    margin: Vec<f64>,
    after: Vec<f64>,
    moves: Vec<Vec<f64>>,
    /// `None` where nothing is gained.
    log: Option<f64>,
}

fn acquisition_goldens() -> AcquisitionGoldens {
    serde_json::from_str(include_str!("goldens/acquisition.json")).unwrap()
}

#[test]
fn confidence_bound() {
    let cases = acquisition_goldens().confidence_bound;
    assert!(cases.len() >= 28);
    for Bound { mean, variance, reduction, best, log, d_mean, d_variance, d_reduction } in cases {
        let lookahead = Lookahead { mean, variance, reduction, ..Lookahead::default() };
        let value = Criterion::ConfidenceBound { best }.value(&lookahead);
        let LogValue { log: ours, d_mean: by_mean, d_variance: by_variance, d_reduction: by_reduction } = value;
        for (ours, golden) in [(ours, log), (by_mean, d_mean), (by_variance, d_variance), (by_reduction, d_reduction)] {
            assert!((ours - golden).abs() <= 1e-9 * golden.abs().max(1.0), "{ours} is not {golden} at mean {mean}");
        }
    }
}

#[test]
fn knowledge_gradient() {
    let cases = acquisition_goldens().knowledge_gradient;
    assert!(cases.len() >= 24 && cases.iter().any(|case| case.log.is_none()));
    for SwitchCase { mean, margin, after, moves, log } in cases {
        let choices = Choices::new(DVector::from_vec(mean), DVector::from_vec(margin));
        let moves = DMatrix::from_fn(moves.len(), 2, |t, j| moves[t][j]);
        let certain = DVector::zeros(after.len());
        let ours = log_knowledge_gradient(&choices, &moves, &DVector::from_vec(after), &certain);
        match log {
            Some(golden) => agree(&format!("{choices:?}"), ours, golden, TOLERANCE),
            None => assert_eq!(ours, f64::NEG_INFINITY, "{choices:?}"),
        }
    }
}
