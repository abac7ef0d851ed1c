"""Other packages' searches, as their documentation advises; docs/comparison.md says how. Each package is imported where it is used: they
do not all fit into one environment."""

import logging
import tempfile
from datetime import datetime

import numpy as np

# A size is used where a run costs at most this share of the budget.
AFFORDABLE = 0.1
# Each domain is a parameter in this interval, which Problem.mixture maps to weights.
UNIT = (1e-6, 1.0 - 1e-6)


class Spent(Exception):
    """The next run costs more than is left."""


class Purse:
    """The runs of a search over all sizes, and what is left of its budget."""

    def __init__(self, problem, budget):
        self.problem, self.left = problem, budget
        self.sizes = [s for s in problem.sizes if s["cost"] <= AFFORDABLE * budget]
        self.runs = []
        # Successive halving is of resources that grow by one factor: the mean factor of the costs.
        steps = len(self.sizes) - 1
        self.factor = round((self.sizes[-1]["cost"] / self.sizes[0]["cost"]) ** (1.0 / steps))
        self.rungs = self.factor ** np.arange(steps + 1)

    def train(self, w, size):
        """The objective of a run at the size with this index."""
        if self.sizes[size]["cost"] > self.left + 1e-9:
            raise Spent
        self.left -= self.sizes[size]["cost"]
        loss = self.problem.train(w, self.sizes[size], len(self.runs))
        self.runs.append((-size, loss, len(self.runs), w))
        return loss

    def best(self):
        """The weights with the lowest loss at the largest size that was trained, and the runs at each size."""
        return min(self.runs)[-1], np.bincount([-run[0] for run in self.runs], minlength=len(self.sizes)).tolist()


def smac(problem, budget):
    """SMAC3's multi-fidelity facade: Hyperband over the sizes, whose configurations a random forest proposes."""
    import ConfigSpace
    from smac import MultiFidelityFacade, Scenario
    from smac.main.config_selector import ConfigSelector
    from smac.runhistory import TrialValue

    purse = Purse(problem, budget)
    space = ConfigSpace.ConfigurationSpace({name: UNIT for name in problem.names}, seed=problem.seed)
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=int(budget / purse.sizes[0]["cost"]), min_budget=purse.rungs[0],
                            max_budget=purse.rungs[-1], seed=problem.seed, output_directory=folder)
        # The forest is of the largest size with as many runs as BOHB asks for, not with one run.
        search = MultiFidelityFacade(scenario, lambda config, seed, budget: None, logging_level=False,
                                     intensifier=MultiFidelityFacade.get_intensifier(scenario, eta=purse.factor),
                                     config_selector=ConfigSelector(scenario, min_trials=len(space) + 1))
        try:
            while True:
                trial = search.ask()
                w = problem.mixture([trial.config[name] for name in problem.names])
                loss = purse.train(w, int(np.argmin(np.abs(purse.rungs - trial.budget))))
                search.tell(trial, TrialValue(cost=loss), save=False)
        except Spent:
            return purse.best()


def syne_tune(searcher):
    """Syne Tune's ASHA with the sizes as rungs. Its model-based searchers see the last loss of each trial, whatever the size."""

    def search(problem, budget):
        logging.disable(logging.WARNING)
        from syne_tune.backend.trial_status import Trial
        from syne_tune.config_space import uniform
        from syne_tune.optimizer.scheduler import SchedulerDecision
        from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving
        from syne_tune.optimizer.schedulers.searchers.last_value_multi_fidelity_searcher import LastValueMultiFidelitySearcher

        purse = Purse(problem, budget)
        space = {name: uniform(*UNIT) for name in problem.names}
        # Fits take most of the time: one for ten trials.
        proposals = LastValueMultiFidelitySearcher(space, random_seed=problem.seed, searcher=searcher, update_frequency=10)
        scheduler = AsynchronousSuccessiveHalving(space, "loss", searcher=proposals, time_attr="rung", max_t=purse.rungs[-1],
                                                  reduction_factor=purse.factor, random_seed=problem.seed)
        try:
            while True:
                trial = Trial(len(purse.runs), scheduler.suggest().config, datetime.now())
                scheduler.on_trial_add(trial)
                w = problem.mixture([trial.config[name] for name in problem.names])
                for size, rung in enumerate(purse.rungs):
                    found = {"loss": purse.train(w, size), "rung": rung}
                    if scheduler.on_trial_result(trial, found) == SchedulerDecision.STOP:
                        break
                scheduler.on_trial_remove(trial)
        except Spent:
            return purse.best()

    return search


def hebo(problem, size, runs):
    """HEBO (Cowen-Rivers et al. 2022, arXiv 2012.03826) at one size."""
    from hebo.design_space.design_space import DesignSpace
    from hebo.optimizers.hebo import HEBO

    space = DesignSpace().parse([{"name": name, "type": "num", "lb": UNIT[0], "ub": UNIT[1]} for name in problem.names])
    # By default one more run than parameters is random: at the target that would be all.
    search = HEBO(space, rand_sample=min(1 + len(problem.names), runs // 2), scramble_seed=problem.seed)
    for run in range(runs):
        asked = search.suggest(n_suggestions=1)
        w = problem.mixture(asked[problem.names].to_numpy()[0])
        search.observe(asked, np.array([[problem.train(w, size, run)]]))
    return problem.mixture(search.best_x[problem.names].to_numpy()[0])


def vizier(problem, size, runs):
    """Vizier's default, a Gaussian process bandit (Song et al. 2024, arXiv 2408.11527), at one size."""
    from vizier.service import clients, pyvizier

    # Studies are kept in a file otherwise, and go on.
    clients.environment_variables.servicer_use_sql_ram()
    config = pyvizier.StudyConfig(algorithm="DEFAULT")
    for name in problem.names:
        config.search_space.root.add_float_param(name, *UNIT)
    config.metric_information.append(pyvizier.MetricInformation("loss", goal=pyvizier.ObjectiveMetricGoal.MINIMIZE))
    study = clients.Study.from_study_config(config, owner="compare", study_id=f"{problem.folder.name}-{size['name']}")
    tried = []
    for run in range(runs):
        (trial,) = study.suggest(count=1)
        w = problem.mixture([trial.parameters[name] for name in problem.names])
        loss = problem.train(w, size, run)
        trial.complete(pyvizier.Measurement({"loss": loss}))
        tried.append((loss, run, w))
    return min(tried)[2]
