"""The field's regressions at one size, as their papers use them; docs/comparison.md says how."""

import numpy as np
from scipy.optimize import LinearConstraint, least_squares, minimize


def design(problem, size, runs):
    """Random mixtures (in rows) and their metrics."""
    w = problem.project(np.random.default_rng(problem.seed).dirichlet(np.ones(len(problem.names)), runs))
    return w, np.array([problem.measure(row, size, k) for k, row in enumerate(w)])


def regmix(problem, size, runs):
    """RegMix (Liu et al. 2024, arXiv 2407.01492): boosted trees for each metric; the mean of the 100 best of 20,000 mixtures."""
    import lightgbm

    w, metrics = design(problem, size, runs)
    held = max(1, runs // 10)
    simulated = problem.project(np.random.default_rng(problem.seed + 1).dirichlet(np.ones(w.shape[1]), 20_000))
    objective = np.zeros(len(simulated))
    for weight, y in zip(problem.weights, metrics.T):
        trees = lightgbm.LGBMRegressor(n_estimators=1000, learning_rate=0.01, random_state=42, n_jobs=1, verbosity=-1)
        stop = lightgbm.early_stopping(stopping_rounds=3, verbose=False)
        trees.fit(w[held:], y[held:], eval_set=[(w[:held], y[:held])], callbacks=[stop])
        objective += weight * trees.predict(simulated)
    return problem.project(simulated[np.argsort(objective)[:100]].mean(0))


def log_linear(problem, size, runs):
    """Data mixing laws (Ye et al. 2024, arXiv 2403.16952): c + k exp(t w) for each metric; the minimum of their mean."""
    w, metrics = design(problem, size, runs)
    laws = np.array([law(w, y) for y in metrics.T])
    t = laws[:, 1:]

    def objective(x):
        terms = problem.weights * np.exp(t @ x)
        return terms.sum(), terms @ t

    sums = [LinearConstraint(np.ones(w.shape[1]), 1.0, 1.0)]
    sums += [LinearConstraint(members.astype(float), low, high) for members, low, high in problem.groups]
    start = problem.project(np.full(w.shape[1], 1.0 / w.shape[1]))
    bounds = list(zip(np.zeros_like(problem.caps), problem.caps))
    found = minimize(objective, start, jac=True, method="SLSQP", bounds=bounds, constraints=sums, options={"maxiter": 500})
    return problem.project(found.x)


def law(w, y):
    """Floor and rates of the law with the smallest squared errors, from several floors. The factor k is in the rates: weights sum to 1."""

    def values(p):
        return p[0] + np.exp(np.minimum(w @ p[1:], 50.0))

    def slopes(p):
        return np.column_stack([np.ones(len(w)), np.exp(np.minimum(w @ p[1:], 50.0))[:, None] * w])

    fits = []
    for below in (0.03, 0.2, 1.0, 5.0):
        floor = y.min() - below * np.ptp(y)
        start = np.append(floor, np.linalg.lstsq(w, np.log(y - floor), rcond=None)[0])
        fits.append(least_squares(lambda p: values(p) - y, start, jac=slopes, x_scale="jac", max_nfev=200))
    return min(fits, key=lambda fit: fit.cost).x
