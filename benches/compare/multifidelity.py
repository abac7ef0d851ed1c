"""A multi-fidelity search made of BoTorch's parts, as its documentation advises; docs/comparison.md says how."""

import warnings

import numpy as np
import torch
from botorch.acquisition import PosteriorMean
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, MultiTaskGP
from botorch.optim import optimize_acqf
from botorch.utils.sampling import draw_sobol_normal_samples
from gpytorch.mlls import ExactMarginalLogLikelihood

# A size is used where a run costs at most this share of the budget; the largest such size stands for the target.
AFFORDABLE = 0.1
# The initial design: at each size at most this share of the budget, and at most two runs for each parameter of a linear model.
DESIGN = 0.25
BATCH = 10
# More runs than this would only cost time.
MOST_RUNS = 350
CANDIDATES = 2000
# At each size the knowledge gradient is computed for so many of the candidates.
SCORED = 200
# Draws of what the runs will say, half of them the negatives of the others.
DRAWS = 64
# Hyperparameters are fitted again when the runs have grown by this factor.
GROWTH = 1.2


class Surrogate:
    """One Gaussian process per metric over weights and sizes: MultiTaskGP, whose covariance between sizes is a free matrix (ICM)."""

    def __init__(self, problem, features, metrics, states):
        """`features` (runs, domains + 1): weights in units of their caps, and the size; `metrics` (runs, metrics); `states`: the
        models' parameters, or None where they are to be fitted."""
        size = features[:, -1].long()
        self.target = int(size.max())
        # Each size has a mean, all have one scale: that of a size with two runs would be luck.
        means = torch.stack([metrics[size == s].mean(0) for s in range(self.target + 1)])
        centred = metrics - means[size]
        self.scale = centred.pow(2).mean(0).sqrt()
        self.weights = torch.tensor(problem.weights) * self.scale
        self.models = []
        for k, y in enumerate((centred / self.scale).T):
            model = MultiTaskGP(features, y[:, None], task_feature=-1, output_tasks=[self.target], outcome_transform=None)
            if states:
                model.load_state_dict(states[k])
            self.models.append(model.eval())

    def fit(self):
        for model in self.models:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model),
                             optimizer_kwargs={"options": {"maxiter": 100}})

    def states(self):
        return [model.state_dict() for model in self.models]

    def best(self, problem, starts):
        """The weights with the smallest posterior mean of the objective, from several starts (in rows)."""
        mean = PosteriorMean(ModelListGP(*self.models), posterior_transform=ScalarizedPosteriorTransform(-self.weights))
        caps = torch.tensor(problem.caps)
        groups = []
        for members, low, high in problem.groups:
            indices = torch.tensor(np.flatnonzero(members))
            groups += [(indices, caps[indices], low), (indices, -caps[indices], -high)]
        x, _ = optimize_acqf(
            mean, bounds=torch.stack([torch.zeros_like(caps), torch.ones_like(caps)]), q=1, num_restarts=len(starts),
            batch_initial_conditions=torch.tensor(starts)[:, None] / caps, options={"maxiter": 60},
            equality_constraints=[(torch.arange(len(caps)), caps, 1.0)], inequality_constraints=groups,
        )
        return problem.project((x[0] * caps).numpy())

    def batch(self, answers, questions, costs, fixed_cost, budget, runs):
        """Which of the `questions` (features in rows) to train: one after the other the highest knowledge gradient per cost, given that
        those before are trained. The gradient is what the smallest posterior mean among the `answers` is expected to fall by. A fixed
        cost is added to the cost of each run, as in BoTorch's AffineFidelityCostModel."""
        mean, cross, own, noise = self._joint(answers, questions)
        half = draw_sobol_normal_samples(d=len(self.models), n=DRAWS // 2).float()
        draws = torch.cat([half, -half])
        chosen = []
        while len(chosen) < runs and (costs <= budget).any():
            deviation = (own.diagonal(dim1=1, dim2=2) + noise).sqrt()
            value = torch.empty(len(questions), dtype=torch.float)
            for part in torch.arange(len(questions)).split(25):
                moves = cross[:, :, part] * (self.weights.float()[:, None] / deviation[:, part])[:, None]
                moved = mean[:, None] + torch.einsum("sm,max->xas", draws, moves)
                value[part] = mean.min() - moved.amin(1).mean(1)
            value = value / (costs + fixed_cost).float()
            value[costs > budget] = -torch.inf
            pick = int(value.argmax())
            chosen.append(pick)
            budget -= float(costs[pick])
            step = deviation[:, pick]
            over, along = cross[:, :, pick] / step[:, None], own[:, :, pick] / step[:, None]
            cross = cross - over[:, :, None] * along[:, None]
            own = own - along[:, :, None] * along[:, None]
        return chosen

    @torch.no_grad()
    def _joint(self, answers, questions):
        """Of the objective: its mean at the answers, up to a constant. Of each metric: covariances of answers with questions and of
        questions, and the noise of the questions. In the units of the models, but for the objective's mean."""
        mean, parts = torch.zeros(len(answers)), []
        for model, weight in zip(self.models, self.weights):
            x, y, kernel = model.train_inputs[0], model.train_targets, model.covar_module
            noise = model.likelihood.noise.flatten()
            covariance = kernel(x).to_dense() + noise[x[:, -1].long()].diag()
            root = torch.linalg.cholesky(covariance + 1e-8 * torch.eye(len(x)))
            solve = lambda k: torch.linalg.solve_triangular(root, k, upper=False)  # noqa: E731
            level = model.mean_module(x[:, :-1]).gather(-1, x[:, -1:].long()).squeeze(-1)
            there, here = solve(kernel(x, answers).to_dense()), solve(kernel(x, questions).to_dense())
            mean += weight * (there.T @ solve((y - level)[:, None])).squeeze(-1)
            cross = kernel(answers, questions).to_dense() - there.T @ here
            own = kernel(questions).to_dense() - here.T @ here
            parts.append((cross.float(), own.float(), noise[questions[:, -1].long()].float()))
        cross, own, noise = (torch.stack(part) for part in zip(*parts))
        return mean.float(), cross, own, noise


def search(problem, budget):
    """The recommended weights, and the runs at each size."""
    warnings.filterwarnings("ignore")
    torch.set_default_dtype(torch.double)
    torch.set_num_threads(1)
    torch.manual_seed(problem.seed)
    rng = np.random.default_rng(problem.seed)
    dim = len(problem.names)
    sizes = [s for s in problem.sizes if s["cost"] <= AFFORDABLE * budget]
    prices = np.array([s["cost"] for s in sizes])
    tried, metrics, left = [], [], budget

    def train(w, size):
        nonlocal left
        metrics.append(problem.measure(w, sizes[size], len(tried)))
        tried.append(np.append(w / problem.caps, size))
        left -= prices[size]

    def uniform(count, concentration=1.0):
        return problem.project(rng.dirichlet(np.full(dim, concentration), count))

    def candidates(best):
        """Mixtures (in rows) near the best, which is the first, and all over the space."""
        half = CANDIDATES // 2
        near = best * np.exp(rng.normal(size=(half, dim)) * rng.choice([0.1, 0.3, 1.0], (half, 1)))
        near += rng.dirichlet(np.ones(dim), half) * rng.choice([0.02, 0.1, 0.3], (half, 1))
        near = problem.project(near / near.sum(1, keepdims=True))
        return np.vstack([best, near, uniform(half // 2), uniform(half - half // 2 - 1, 0.3)])

    for size, price in enumerate(prices):
        for w in uniform(min(2 * (dim + 1), int(DESIGN * budget / price + 1e-9))):
            train(w, size)
    states, fitted_on, best = None, 0, uniform(1)[0]

    while True:
        model = Surrogate(problem, torch.tensor(np.array(tried)), torch.tensor(np.array(metrics)), states)
        if len(tried) >= GROWTH * fitted_on:
            model.fit()
            states, fitted_on = model.states(), len(tried)
        done = len(tried) >= MOST_RUNS or left < prices.min()
        others = uniform(9 if done else 1)
        best = model.best(problem, np.vstack([best, others]))
        if done:
            return best, np.bincount([int(x[-1]) for x in tried]).tolist()
        answers = candidates(best)
        scored = answers[np.append(0, rng.choice(np.arange(1, CANDIDATES), SCORED - 1, replace=False))]
        questions = np.vstack([np.column_stack([scored / problem.caps, np.full(SCORED, s)]) for s in range(len(sizes))])
        answers = torch.tensor(np.column_stack([answers / problem.caps, np.full(CANDIDATES, model.target)]))
        costs = torch.tensor(np.repeat(prices, SCORED))
        picks = model.batch(answers, torch.tensor(questions), costs, budget / MOST_RUNS, left, min(BATCH, MOST_RUNS - len(tried)))
        for pick in picks:
            train(problem.project(questions[pick, :-1] * problem.caps), int(questions[pick, -1]))
