"""Writes gp.json: golden values for the Gaussian process and the acquisitions from independent implementations.

    pip install torch==2.15.0 gpytorch==1.15.2 botorch==0.18.1 numpy==2.4.6 mpmath==1.3.0     # Python 3.11
    python tests/goldens/make_gp_goldens.py

Every number of the Gaussian process comes from gpytorch's own kernels, `ExactMarginalLogLikelihood`, autograd and
`ExactGP` predictions, and is asserted to agree to 1e-9 with a plain numpy implementation below. The acquisition values
are evaluated with mpmath at 60 digits and asserted to agree with botorch. Nothing is fitted, and the inputs are drawn
from a fixed seed and rounded, so a second run writes the same file up to the last digits of the linear algebra.

The model of one metric, observed at inputs x = sqrt(w) (w a mixture) and fidelities m in 0..F:

    y_i ~ Normal(f(x_i, m_i) + mean[m_i], noise[m_i] + se_i^2),     f ~ GP(0, k(x, x') B[m, m'])
    B[m, m'] = scale[m] scale[m'] (1 + sum of discrepancy[l] over l <= min(m, m')),   scale[0] = 1, discrepancy[0] = 0

    spectral-mixture  k = sum_q weight_q prod_d exp(-tau_d^2 / (2 lengthscale_qd^2)) cos(2 pi frequency_qd tau_d)
    matern52          k = weight (1 + a + a^2/3) exp(-a),  a^2 = 5 sum_d (tau_d / lengthscale_d)^2
    rbf               k = weight exp(-sum_d tau_d^2 / (2 lengthscale_d^2))

`gpytorch.kernels.SpectralMixtureKernel` (1.15) sums over q *before* it multiplies over d, which is not Wilson & Adams
(2013) eq. 12 for more than one component, and for one component puts weight^D in front. So here every component is a
one-component kernel of weight 1 inside a `ScaleKernel`, and the components are added.
"""

import json
import math
import pathlib
import types
import warnings

import botorch
import gpytorch
import mpmath
import numpy as np
import torch
from botorch.acquisition.analytic import LogExpectedImprovement, _log_ei_helper
from botorch.acquisition.max_value_entropy_search import CLAMP_LB, qLowerBoundMaxValueEntropy
from botorch.utils.testing import MockModel, MockPosterior
from gpytorch.constraints import Positive
from linear_operator.operators import DenseLinearOperator

TOLERANCE = 1e-9
SEED = 20250811
KERNELS = ("spectral-mixture", "matern52", "rbf")

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
mpmath.mp.dps = 60


def agree(what, one, other, atol=TOLERANCE, rtol=TOLERANCE):
    """Asserts that two implementations agree."""
    np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), atol=atol, rtol=rtol, err_msg=what)


# --- inputs -----------------------------------------------------------------------------------------------------------


def mixtures(rng, n, d):
    """n mixtures in 1024ths, so that they are exact in binary and sum to exactly 1; some weights are exactly 0."""
    rows = []
    for i in range(n):
        support = rng.permutation(d)[: 1 if i == 1 else rng.integers(max(2, d // 3), d + 1)]
        row = np.zeros(d, int)
        row[support] = rng.multinomial(1024, rng.dirichlet(np.ones(len(support))))
        rows.append(row)
    return np.array(rows) / 1024


def rounded(values, digits=4):
    return np.round(np.asarray(values, float), digits)


def make_case(rng, name, kernel, components, d, per_fidelity, fits):
    """The inputs of one case. `fits` are the ranges of the length-scales and of the frequencies."""
    fidelity = np.repeat(np.arange(len(per_fidelity)), per_fidelity)
    n, f = len(fidelity), len(per_fidelity)
    w = mixtures(rng, n, d)
    for m in range(1, f):  # one mixture is measured at every fidelity
        w[np.flatnonzero(fidelity == m)[0]] = w[0]
    spectral = kernel == "spectral-mixture"
    params = {
        "weight": rounded(rng.uniform(0.3, 1.2, components)),
        "lengthscale": rounded(np.exp(rng.uniform(*np.log(fits[0]), (components, d)))),
        "frequency": rounded(rng.uniform(*fits[1], (components, d))) if spectral else np.zeros((0, d)),
        "scale": rounded([1.0, 1.25, 0.8][:f]),
        "discrepancy": rounded([0.0, 0.06, 0.15][:f]),
        "noise": rounded([0.04, 0.015, 0.025][:f]),
        "mean": rounded([0.1, -0.35, 0.6][:f]),
    }
    if spectral:
        params["frequency"][0, 0] = 0.0
    case = {
        "name": name,
        "kernel": kernel,
        "w": w,
        "x": np.sqrt(w),
        "fidelity": fidelity,
        "se": np.where(rng.random(n) < 0.5, 0.0, rounded(rng.uniform(0.05, 0.3, n))),
        "params": params,
    }
    covariance = np_covariance(case, params, case["x"], fidelity, case["x"], fidelity)
    noisy = covariance + np.diag(np_noise(case, params))
    y = params["mean"][fidelity] + np.linalg.cholesky(noisy) @ rng.standard_normal(n)
    case["y"] = rounded(y)
    # A new point, a vertex, the shared training mixture at its highest fidelity, and one new point at two fidelities.
    test_w = mixtures(rng, 4, d)
    test_w = np.stack([test_w[0], test_w[1], w[0], test_w[2], test_w[2]])
    case["test"] = {"w": test_w, "x": np.sqrt(test_w), "fidelity": np.array([f - 1, 0, f - 1, 0, f - 1])}
    return case


# --- the plain numpy implementation -----------------------------------------------------------------------------------


def np_kernel(case, params, x1, x2):
    """k(x1, x2), n1 x n2; analytic in the parameters, so that complex steps through it give derivatives."""
    tau = x1[:, None, :] - x2[None, :, :]
    k = 0.0
    for q, weight in enumerate(params["weight"]):
        squares = (tau / params["lengthscale"][q]) ** 2
        if case["kernel"] == "matern52":
            a = np.sqrt(5 * squares.sum(-1))
            k = k + weight * (1 + a + a**2 / 3) * np.exp(-a)
        elif case["kernel"] == "rbf":
            k = k + weight * np.exp(-squares.sum(-1) / 2)
        else:
            waves = np.cos(2 * np.pi * params["frequency"][q] * tau)
            k = k + weight * (np.exp(-squares / 2) * waves).prod(-1)
    return k


def np_fidelity_covariance(params):
    scale, level = params["scale"], 1 + np.cumsum(params["discrepancy"])
    index = np.arange(len(scale))
    return np.outer(scale, scale) * level[np.minimum.outer(index, index)]


def np_covariance(case, params, x1, m1, x2, m2):
    return np_kernel(case, params, x1, x2) * np_fidelity_covariance(params)[np.ix_(m1, m2)]


def np_noise(case, params):
    return params["noise"][case["fidelity"]] + case["se"] ** 2


def np_results(case):
    """Everything that is stored for a case, by textbook formulas."""
    params, x, m = case["params"], case["x"], case["fidelity"]

    def noisy(p):
        return np_covariance(case, p, x, m, x, m) + np.diag(np_noise(case, p))

    k = noisy(params)
    inverse = np.linalg.inv(k)
    residual = case["y"] - params["mean"][m]
    alpha = np.linalg.solve(k, residual)
    lml = -0.5 * (residual @ alpha + np.linalg.slogdet(k)[1] + len(m) * math.log(2 * math.pi))

    def slope(name, index, logarithmic):
        """The derivative of lml along one parameter or its logarithm: the covariance by a complex step."""
        step = 1e-30
        moved = {key: value.astype(complex) for key, value in params.items()}
        moved[name][index] += 1j * step * (params[name][index] if logarithmic else 1.0)
        derivative = noisy(moved).imag / step
        return 0.5 * (alpha @ derivative @ alpha - np.sum(inverse * derivative))

    gradient = {}
    for name, value in params.items():
        if name == "mean":
            gradient["mean"] = np.array([alpha[m == level].sum() for level in range(len(value))])
            continue
        logarithmic = name != "frequency"
        slopes = np.zeros(value.shape)
        for index in np.ndindex(value.shape):
            slopes[index] = slope(name, index, logarithmic)
        gradient["log_" + name if logarithmic else name] = slopes
    for name in ("log_scale", "log_discrepancy"):
        gradient[name] = gradient[name][1:]

    tx, tm = case["test"]["x"], case["test"]["fidelity"]
    cross = np_covariance(case, params, tx, tm, x, m)
    prior = np_covariance(case, params, tx, tm, tx, tm)
    return {
        "covariance_row0": np_covariance(case, params, x, m, x, m)[0],
        "log_marginal_likelihood": lml,
        "gradient": gradient,
        "mean": params["mean"][tm] + cross @ alpha,
        "covariance": prior - cross @ np.linalg.solve(k, cross.T),
        "loo_mean": case["y"] - alpha / np.diag(inverse),
        "loo_variance": 1 / np.diag(inverse),
    }


# --- gpytorch ---------------------------------------------------------------------------------------------------------


class FidelityMean(gpytorch.means.Mean):
    """A constant for each fidelity."""

    def __init__(self, f):
        super().__init__()
        self.register_parameter("constants", torch.nn.Parameter(torch.zeros(f)))

    def forward(self, m):
        return self.constants[m.squeeze(-1)]


class Gp(gpytorch.models.ExactGP):
    """The data kernel times an IndexKernel over the fidelities."""

    def __init__(self, case, keep, likelihood):
        x, m, y = torch.tensor(case["x"]), torch.tensor(case["fidelity"])[:, None], torch.tensor(case["y"])
        super().__init__((x[keep], m[keep]), y[keep], likelihood)
        components, d = case["params"]["lengthscale"].shape
        f = len(case["params"]["scale"])

        def log():
            return Positive(transform=torch.exp, inv_transform=torch.log)

        def free():
            return Positive(transform=None)

        def base():
            if case["kernel"] == "matern52":
                return gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=d, lengthscale_constraint=log())
            if case["kernel"] == "rbf":
                return gpytorch.kernels.RBFKernel(ard_num_dims=d, lengthscale_constraint=log())
            return gpytorch.kernels.SpectralMixtureKernel(
                num_mixtures=1,
                ard_num_dims=d,
                mixture_scales_constraint=log(),
                mixture_means_constraint=free(),
                mixture_weights_constraint=log(),
            )

        self.mean_module = FidelityMean(f)
        self.data_kernel = gpytorch.kernels.AdditiveKernel(
            *(gpytorch.kernels.ScaleKernel(base(), outputscale_constraint=log()) for _ in range(components))
        )
        self.fidelity_kernel = gpytorch.kernels.IndexKernel(num_tasks=f, rank=f, var_constraint=free())

    def forward(self, x, m):
        # Multiplied densely: linear_operator's product operator may approximate its factors.
        covariance = self.data_kernel(x).to_dense() * self.fidelity_kernel(m).to_dense()
        return gpytorch.distributions.MultivariateNormal(self.mean_module(m), DenseLinearOperator(covariance))


class Evidence(torch.nn.Module):
    """n times gpytorch's marginal log-likelihood per observation."""

    def __init__(self, model):
        super().__init__()
        self.mll = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)

    def forward(self):
        model = self.mll.model
        return self.mll(model(*model.train_inputs), model.train_targets) * len(model.train_targets)


def leaves(params):
    """The coordinates of the gradient, as tensors that require gradients."""
    values = {
        "log_weight": np.log(params["weight"]),
        "log_lengthscale": np.log(params["lengthscale"]),
        "frequency": params["frequency"],
        "log_scale": np.log(params["scale"][1:]),
        "log_discrepancy": np.log(params["discrepancy"][1:]),
        "log_noise": np.log(params["noise"]),
        "mean": params["mean"],
    }
    return {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}


def gpytorch_parameters(case, theta):
    """gpytorch's raw parameters of `Gp` as differentiable functions of the leaves."""
    scale = torch.cat([torch.ones(1), theta["log_scale"].exp()])
    level = 1 + torch.cat([torch.zeros(1), theta["log_discrepancy"].exp()]).cumsum(0)
    index = torch.arange(len(scale))
    b = scale[:, None] * scale[None, :] * level[torch.minimum(index[:, None], index[None, :])]
    raw = {
        "mean_module.constants": theta["mean"],
        "fidelity_kernel.covar_factor": torch.linalg.cholesky(b),
        "fidelity_kernel.raw_var": torch.zeros(len(scale)),
    }
    for q, log_weight in enumerate(theta["log_weight"]):
        prefix = f"data_kernel.kernels.{q}."
        raw[prefix + "raw_outputscale"] = log_weight
        log_lengthscale = theta["log_lengthscale"][q]
        if case["kernel"] == "spectral-mixture":
            # v = 1 / (2 pi lengthscale)^2, and gpytorch's mixture scale is sqrt(v).
            raw[prefix + "base_kernel.raw_mixture_scales"] = (-log_lengthscale - math.log(2 * math.pi))[None, None, :]
            raw[prefix + "base_kernel.raw_mixture_means"] = theta["frequency"][q][None, None, :]
            raw[prefix + "base_kernel.raw_mixture_weights"] = torch.zeros(1)
        else:
            raw[prefix + "base_kernel.raw_lengthscale"] = log_lengthscale[None, :]
    return raw


def gpytorch_model(case, theta, keep):
    noise = theta["log_noise"].exp()[torch.tensor(case["fidelity"])] + torch.tensor(case["se"]) ** 2
    likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(noise=noise[keep])
    return Gp(case, keep, likelihood)


def gpytorch_predict(case, theta, keep, x, m):
    """Posterior mean and covariance of the noise-free f at (x, m), given the observations in `keep`."""
    with torch.no_grad():
        model = gpytorch_model(case, theta, keep)
        parameters = dict(model.named_parameters())
        raw = gpytorch_parameters(case, theta)
        assert parameters.keys() == raw.keys(), (parameters.keys(), raw.keys())
        for name, value in raw.items():
            assert parameters[name].shape == value.shape, name
            parameters[name].copy_(value)
        model.eval()
        posterior = model(torch.tensor(x), torch.tensor(m)[:, None])
        return posterior.mean.numpy(), posterior.covariance_matrix.numpy(), model


def gpytorch_results(case):
    n = len(case["y"])
    everything = torch.arange(n)
    theta = leaves(case["params"])
    evidence = Evidence(gpytorch_model(case, theta, everything))
    raw = {"mll.model." + name: value for name, value in gpytorch_parameters(case, theta).items()}
    assert raw.keys() <= dict(evidence.named_parameters(remove_duplicate=False)).keys()
    lml = torch.func.functional_call(evidence, raw, (), tie_weights=False)
    lml.backward()
    gradient = {
        name: (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).numpy() for name, leaf in theta.items()
    }
    x, m = case["x"], case["fidelity"]
    mean, covariance, model = gpytorch_predict(case, theta, everything, case["test"]["x"], case["test"]["fidelity"])
    with torch.no_grad():
        prior = model.forward(torch.tensor(x), torch.tensor(m)[:, None]).covariance_matrix
    loo_mean, loo_variance = np.zeros(n), np.zeros(n)
    for i in range(n):
        # Left out literally: a GP conditioned on the other observations predicts this one.
        one_mean, one_variance, _ = gpytorch_predict(case, theta, everything[everything != i], x[[i]], m[[i]])
        loo_mean[i] = one_mean[0]
        loo_variance[i] = one_variance[0, 0] + np_noise(case, case["params"])[i]
    return {
        "covariance_row0": prior[0].numpy(),
        "log_marginal_likelihood": lml.item(),
        "gradient": gradient,
        "mean": mean,
        "covariance": covariance,
        "loo_mean": loo_mean,
        "loo_variance": loo_variance,
    }


def solved(case):
    """The case with its golden values, after both implementations agreed on them."""
    ours, theirs = np_results(case), gpytorch_results(case)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if name == "gradient":
            assert value.keys() == theirs[name].keys()
            for key in value:
                agree(f"{case['name']}: d lml / d {key}", value[key], theirs[name][key])
        else:
            agree(f"{case['name']}: {name}", value, theirs[name])
    covariance = (theirs["covariance"] + theirs["covariance"].T) / 2
    density = -0.5 * (
        np.log(2 * np.pi * theirs["loo_variance"]) + (case["y"] - theirs["loo_mean"]) ** 2 / theirs["loo_variance"]
    )
    return {
        "name": case["name"],
        "kernel": case["kernel"],
        "w": case["w"],
        "x": case["x"],
        "fidelity": case["fidelity"],
        "y": case["y"],
        "se": case["se"],
        "params": case["params"],
        "fidelity_covariance": np_fidelity_covariance(case["params"]),
        "covariance_row0": theirs["covariance_row0"],
        "log_marginal_likelihood": theirs["log_marginal_likelihood"],
        "gradient": theirs["gradient"],
        "test": case["test"] | {"mean": theirs["mean"], "covariance": covariance},
        "loo": {"mean": theirs["loo_mean"], "variance": theirs["loo_variance"], "log_density": density.sum()},
    }


# --- acquisitions -----------------------------------------------------------------------------------------------------


def expected_improvement():
    """log E[max(best - f, 0)] for f ~ Normal(mean, sd^2), and its derivatives."""
    rows = []
    us = [-1000, -100, -40, -30, -20, -10, -5, -3, -2, -1.0078125, -1, -0.9921875, -0.5, 0, 0.5, 1, 2, 3, 5, 20]
    for mean, sd in [(0.0, 1.0), (2.25, 0.001), (-3.5, 25.0)]:
        for u in us:
            best = mean + sd * u
            sharp = (mpmath.mpf(best) - mpmath.mpf(mean)) / mpmath.mpf(sd)
            phi, cdf = mpmath.npdf(sharp), mpmath.ncdf(sharp)
            unit = phi + sharp * cdf
            value = float(mpmath.log(unit) + mpmath.log(mpmath.mpf(sd)))
            helper = _log_ei_helper(torch.tensor([(best - mean) / sd])).item() + math.log(sd)
            agree("_log_ei_helper", value, helper)
            model = MockModel(MockPosterior(mean=torch.tensor([[mean]]), variance=torch.tensor([[sd**2]])))
            acquisition = LogExpectedImprovement(model, best_f=best, maximize=False)
            agree("LogExpectedImprovement", value, acquisition(torch.zeros(1, 1)).item())
            rows.append(
                {
                    "mean": mean,
                    "sd": sd,
                    "best": best,
                    "log_ei": value,
                    "d_mean": float(-cdf / (mpmath.mpf(sd) * unit)),
                    "d_sd": float(phi / (mpmath.mpf(sd) * unit)),
                }
            )
    return {
        "convention": "minimization: log_ei = log E[max(best - f, 0)] = log sd + log(phi(u) + u Phi(u)), "
        "u = (best - mean) / sd; d_mean, d_sd: its derivatives at fixed best",
        "cases": rows,
    }


def gibbon_term(rho2, gamma):
    """-1/2 log(1 - rho2 t), t = r (gamma + r), r = phi(gamma) / Phi(gamma); its derivatives."""
    rho2, gamma = mpmath.mpf(rho2), mpmath.mpf(gamma)
    r = mpmath.npdf(gamma) / mpmath.ncdf(gamma)
    t = r * (gamma + r)
    inner = 1 - rho2 * t
    t_slope = -t * (gamma + r) + r * (1 - t)
    return -mpmath.log1p(-rho2 * t) / 2, t / (2 * inner), rho2 * t_slope / (2 * inner)


def botorch_gibbon(mean, sd, rho2, minima):
    """botorch's GIBBON at one point. It maximizes: the mean and the minima change sign."""
    noisy_variance = 1.7
    posterior = MockPosterior(mean=torch.tensor([[-mean]]), variance=torch.tensor([[noisy_variance]]))
    acquisition = types.SimpleNamespace(
        model=MockModel(posterior),
        posterior_transform=None,
        posterior_max_values=-torch.tensor(minima)[:, None],
        X_pending=None,
    )
    covariance = sd * math.sqrt(rho2 * noisy_variance)
    gain = qLowerBoundMaxValueEntropy._compute_information_gain(
        acquisition,
        X=torch.zeros(1, 1, 1),
        mean_M=torch.tensor([[-mean]]),
        variance_M=torch.tensor([[sd**2]]),
        covar_mM=torch.tensor([[[covariance]]]),
    )
    return gain.item()


def gibbon():
    rows = []
    for rho2 in [1e-9, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999, 0.999999]:
        for gamma in [-30.0, -20.0, -10.0, -5.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0]:
            value, d_rho2, d_gamma = gibbon_term(rho2, gamma)
            # botorch clamps Phi(gamma) from below and computes it as (1 + erf) / 2, which loses digits for gamma << 0.
            if mpmath.ncdf(gamma) > CLAMP_LB:
                rtol = TOLERANCE if gamma >= -3 else 1e-6
                agree("GIBBON", value, botorch_gibbon(0.0, 1.0, rho2, [-gamma]), rtol=rtol)
            rows.append(
                {
                    "rho2": rho2,
                    "gamma": gamma,
                    "value": float(value),
                    "d_rho2": float(d_rho2),
                    "d_gamma": float(d_gamma),
                }
            )
    averaged = []
    for mean, sd, rho2, minima in [
        (0.0, 1.0, 0.8, [-1.5, -1.1, -2.3, -0.9]),
        (2.31, 0.02, 0.35, [2.25, 2.28, 2.262, 2.301, 2.29]),
        (-0.4, 0.3, 0.97, [-0.5, -0.35, -0.9]),
    ]:
        gammas = [(mpmath.mpf(mean) - mpmath.mpf(minimum)) / mpmath.mpf(sd) for minimum in minima]
        value = mpmath.fsum(gibbon_term(rho2, gamma)[0] for gamma in gammas) / len(gammas)
        agree("averaged GIBBON", value, botorch_gibbon(mean, sd, rho2, minima))
        averaged.append({"mean": mean, "sd": sd, "rho2": rho2, "minima": minima, "value": float(value)})
    return {
        "convention": "minimization: gamma = (mean - f*) / sd with f* a sampled minimum, so Phi(gamma) = P(f > f*); "
        "value = -1/2 log(1 - rho2 r (gamma + r)), r = phi(gamma) / Phi(gamma); d_rho2, d_gamma: its derivatives; "
        "averaged: the mean of the value over the minima",
        "cases": rows,
        "averaged": averaged,
    }


# --- the file ---------------------------------------------------------------------------------------------------------


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value  # no negative zeros


def text(value, indent=0):
    """JSON with short values and arrays of scalars on one line, and floats that parse back to the same double."""
    line = json.dumps(value, allow_nan=False)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    if len(line) <= 200 or not isinstance(value, dict) and not any(isinstance(item, (dict, list)) for item in items):
        return line
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        lines = [f"{pad}{json.dumps(key)}: {text(item, indent + 1)}" for key, item in value.items()]
        opening, closing = "{}"
    else:
        lines = [pad + text(item, indent + 1) for item in value]
        opening, closing = "[]"
    return opening + "\n" + ",\n".join(lines) + "\n" + " " * indent + closing


def main():
    warnings.simplefilter("error", gpytorch.utils.warnings.NumericalWarning)  # clamped noise or added jitter
    settings = gpytorch.settings
    rng = np.random.default_rng(SEED)
    plans = [
        ("spectral-mixture-1", "spectral-mixture", 1, 3, [6, 4, 2], ((0.4, 1.5), (0.05, 0.6))),
        ("spectral-mixture-2", "spectral-mixture", 2, 3, [6, 4, 2], ((0.4, 1.5), (0.05, 0.6))),
        ("matern52", "matern52", 1, 3, [6, 4, 2], ((0.4, 1.5), None)),
        ("rbf", "rbf", 1, 3, [6, 4, 2], ((0.4, 1.5), None)),
        ("spectral-mixture-1-wide", "spectral-mixture", 1, 17, [21, 9], ((0.8, 3.0), (0.02, 0.2))),
    ]
    with (
        settings.fast_computations(covar_root_decomposition=False, log_prob=False, solves=False),
        settings.fast_pred_var(False),
        settings.cholesky_jitter(float_value=0.0, double_value=0.0, half_value=0.0),
        settings.cholesky_max_tries(1),
        settings.min_fixed_noise(float_value=0.0, double_value=0.0, half_value=0.0),
    ):
        cases = [solved(make_case(rng, *plan)) for plan in plans]
    document = {
        "header": {
            "generator": "tests/goldens/make_gp_goldens.py",
            "torch": torch.__version__.split("+")[0],
            "gpytorch": gpytorch.__version__,
            "botorch": botorch.__version__,
            "numpy": np.__version__,
            "mpmath": mpmath.__version__,
            "seed": SEED,
            "checked_to": TOLERANCE,
        },
        "gp": cases,
        "expected_improvement": expected_improvement(),
        "gibbon": gibbon(),
    }
    path = pathlib.Path(__file__).with_name("gp.json")
    path.write_text(text(plain(document)) + "\n", encoding="utf-8")
    print(f"wrote {path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
