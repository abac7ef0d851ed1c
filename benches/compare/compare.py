"""The same test problems for admire and for other optimizers; docs/comparison.md says how.

    python3 -m venv target/compare-venv && target/compare-venv/bin/pip install -r benches/compare/requirements.txt
    target/compare-venv/bin/python benches/compare/compare.py --domains 17 --regime disagree --seeds 3

Every finished run is a line of `results.jsonl` in the output folder and is not repeated; the table is of all lines that
were asked for.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings
from pathlib import Path

# Small matrices: more threads only wait for one another. Read when numpy and torch are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

import searchers  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


class Problem:
    """A generated problem: its bounds, its trainer, its score."""

    def __init__(self, programs: Path, folder: Path, domains: int, regime: str, noise: float, seed: int):
        self.programs, self.folder, self.seed = programs, folder, seed
        subprocess.run(
            [programs / "mixing-law", "generate", folder, "--domains", str(domains), "--regime", regime,
             "--noise", str(noise), "--seed", str(seed)],
            check=True,
        )
        self.config = tomllib.loads((folder / "study.toml").read_text())
        self.names = [d["name"] for d in self.config["domain"]]
        self.sizes = sorted(self.config["fidelity"], key=lambda s: s["cost"])
        target = self.sizes[-1]
        self.metrics, self.weights = zip(*self.config["objective"]["metrics"].items())
        per_weight = target["tokens"] / self.config["limits"]["max_epochs"]
        self.caps = np.minimum([d["tokens"] / per_weight for d in self.config["domain"]], 1.0)
        self.groups = [
            (np.isin(self.names, g["domains"]), g["min"], g["max"]) for g in self.config.get("group", [])
        ]

    def project(self, w: np.ndarray) -> np.ndarray:
        """The nearest allowed mixtures (along the last axis): Dykstra's alternating projections onto the capped simplex and each
        group."""
        corrections = [np.zeros_like(w) for _ in range(len(self.groups) + 1)]
        for _ in range(10_000):
            before = w
            for k, correction in enumerate(corrections):
                y = w + correction
                w = self._group(y, *self.groups[k]) if k < len(self.groups) else self._simplex(y)
                corrections[k] = y - w
            totals = ((w[..., m].sum(-1), low, high) for m, low, high in self.groups)
            inside = all(((low - 1e-9 <= t) & (t <= high + 1e-9)).all() for t, low, high in totals)
            if inside and np.abs(w - before).max() < 1e-10:
                break
        return w

    def mixture(self, u) -> np.ndarray:
        """The allowed mixture nearest to the proportions −log u, for optimizers of a cube: uniform u give uniform proportions."""
        x = -np.log(u)
        return self.project(x / x.sum())

    def _group(self, y, members, low, high):
        total = y[..., members].sum(-1, keepdims=True)
        return y + members * (np.clip(total, low, high) - total) / members.sum()

    def _simplex(self, y):
        low, high = y.min(-1, keepdims=True) - 1.0, y.max(-1, keepdims=True)
        for _ in range(60):
            shift = 0.5 * (low + high)
            above = np.clip(y - shift, 0.0, self.caps).sum(-1, keepdims=True) > 1.0
            low, high = np.where(above, shift, low), np.where(above, high, shift)
        return np.clip(y - high, 0.0, self.caps)

    def train(self, w: np.ndarray, size: dict, seed: int) -> float:
        """One training run; the objective."""
        return float(self.measure(w, size, seed) @ self.weights)

    def measure(self, w: np.ndarray, size: dict, seed: int) -> np.ndarray:
        """One training run, by the contract of docs/training-command.md; the metrics."""
        with tempfile.TemporaryDirectory() as folder:
            mixture, result = Path(folder, "mixture.json"), Path(folder, "result.json")
            mixture.write_text(json.dumps({"weights": dict(zip(self.names, w.tolist())), "fidelity": size["name"]}))
            values = {"{mixture_file}": str(mixture), "{result_file}": str(result), "{seed}": str(seed),
                      "{fidelity}": size["name"]}
            command = self.config["launcher"]["command"]
            subprocess.run([values.get(argument, argument) for argument in command], check=True)
            metrics = json.loads(result.read_text())["metrics"]
        return np.array([metrics[name] for name in self.metrics])

    def score(self, weights: dict) -> float:
        """The share of the gap that a mixture closes, without noise."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"weights": weights}, file)
            file.flush()
            command = [self.programs / "mixing-law", "score", self.folder / "problem.json", file.name]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        if not found["allowed"]:
            raise RuntimeError(f"recommended mixture breaks a bound: {weights}")
        return found["share"]


# Optimizers of one size: (problem, size, runs) -> weights of the recommended mixture. The best trial is the one whose
# measured objective, noise included, is lowest: what each tool itself calls its best.


def random_search(problem, size, runs):
    rng = np.random.default_rng(problem.seed)
    tried = (problem.project(rng.dirichlet(np.ones(len(problem.names)))) for _ in range(runs))
    return min(((problem.train(w, size, k), k, w) for k, w in enumerate(tried)))[2]


def optuna_search(sampler):
    def search(problem, size, runs):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)

        def objective(trial):
            u = [trial.suggest_float(name, *searchers.UNIT) for name in problem.names]
            return problem.train(problem.mixture(u), size, trial.number)

        study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=problem.seed))
        study.optimize(objective, n_trials=runs)
        return problem.mixture([study.best_params[name] for name in problem.names])

    return search


def ax_search(problem, size, runs):
    logging.disable(logging.WARNING)
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    # The last weight is what the others leave: the domain whose cap is widest.
    last = int(np.argmax(problem.caps))
    free = [i for i in range(len(problem.names)) if i != last]

    def sum_of(indices):
        return " + ".join(problem.names[i] for i in indices)

    constraints = [f"{sum_of(free)} <= 1"]
    if problem.caps[last] < 1.0:
        constraints.append(f"{sum_of(free)} >= {1.0 - problem.caps[last]:.12f}")
    for members, low, high in problem.groups:
        inside = members
        if members[last]:
            inside, low, high = ~members, 1.0 - high, 1.0 - low
        indices = [i for i in free if inside[i]]
        constraints += [f"{sum_of(indices)} >= {low:.12f}"] if low > 0.0 else []
        constraints += [f"{sum_of(indices)} <= {high:.12f}"] if high < 1.0 else []

    client = Client(random_seed=problem.seed)
    client.configure_experiment(
        parameters=[
            RangeParameterConfig(name=problem.names[i], parameter_type="float", bounds=(0.0, float(problem.caps[i])))
            for i in free
        ],
        parameter_constraints=constraints,
    )
    client.configure_optimization(objective="-loss")
    client.configure_generation_strategy(method="fast", initialization_random_seed=problem.seed)

    def mixture(params):
        w = np.zeros(len(problem.names))
        w[free] = [params[problem.names[i]] for i in free]
        w[last] = 1.0 - w.sum()
        # Ax meets its constraints up to rounding.
        return problem.project(w)

    for _ in range(runs):
        for index, params in client.get_next_trials(max_trials=1).items():
            client.complete_trial(index, raw_data={"loss": problem.train(mixture(params), size, index)})
    return mixture(client.get_best_parameterization()[0])


def regression(name):
    def search(problem, size, runs):
        import regressions

        return getattr(regressions, name)(problem, size, runs)

    return search


REGRESSIONS = {"regmix": regression("regmix"), "log-linear": regression("log_linear")}

SEARCHES = {
    "random": random_search,
    "optuna-gp": optuna_search("GPSampler"),
    "optuna-tpe": optuna_search("TPESampler"),
    "ax": ax_search,
    "hebo": searchers.hebo,
    "vizier": searchers.vizier,
    **REGRESSIONS,
}

# Runs at the cheapest size, where thinking costs more time than the runs do.
CHEAP_RUNS = {"random": 1000, "optuna-gp": 100, "optuna-tpe": 1000, "ax": 40, "hebo": 40, "vizier": 20, "regmix": 1000,
              "log-linear": 1000}


# Searches over all sizes: (problem, budget, slots) -> weights of the recommended mixture, and what was spent.


def admire(problem, budget, slots):
    """The search as a user runs it; the recommendation and its cost."""
    with tempfile.TemporaryDirectory() as folder:
        command = [problem.programs / "admire", "optimize", "--config", problem.folder / "study.toml", "--dir", folder,
                   "--set", f"study.seed={problem.seed}", "--set", f"budget.cost={budget}",
                   "--set", f"launcher.slots={slots}", "--format", "json", "--quiet"]
        best = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return best["weights"], best["spent"]


def botorch(problem, budget):
    """BoTorch, in batches."""
    import multifidelity

    return multifidelity.search(problem, budget)


def priced(search):
    """A search (problem, budget) -> weights and runs at each size, with what they cost. It does not use slots."""

    def found(problem, budget, slots):
        w, counts = search(problem, budget)
        cost = sum(count * size["cost"] for count, size in zip(counts, problem.sizes))
        return dict(zip(problem.names, w.tolist())), {"cost": cost, "trials": sum(counts), "by_size": counts}

    return found


ALL_SIZES = {
    "admire": admire,
    "botorch": priced(botorch),
    "smac": priced(searchers.smac),
    "syne-asha": priced(searchers.syne_tune("random_search")),
    "syne-bore": priced(searchers.syne_tune("bore")),
}


def jobs(args):
    """What is compared: (optimizer, where, budget in trials or cost)."""
    for name in (n for n in ALL_SIZES if n in args.optimizers):
        for budget in args.budgets:
            yield name, "all sizes", budget
    for name in (n for n in SEARCHES if n in args.optimizers):
        yield name, "cheapest", args.cheap_runs.get(name, CHEAP_RUNS[name])
        # Ten runs are too few for a regression.
        yield (name, "middle", args.middle_runs) if name in REGRESSIONS else (name, "target", args.target_runs)


def run(args, folder, job, seed):
    name, where, amount = job
    problem = Problem(args.programs, folder, args.domains, args.regime, args.noise, seed)
    start = time.monotonic()
    if name in ALL_SIZES:
        weights, spent = ALL_SIZES[name](problem, amount, args.slots)
    else:
        size = problem.sizes[("cheapest", "middle", "target").index(where)]
        w = SEARCHES[name](problem, size, int(amount))
        weights, spent = dict(zip(problem.names, w.tolist())), {"cost": amount * size["cost"], "trials": amount}
    seconds = time.monotonic() - start
    found = {"share": problem.score(weights), "cost": spent["cost"], "runs": spent["trials"], "seconds": seconds}
    return found | ({"by_size": spent["by_size"]} if "by_size" in spent else {})


def table(rows):
    heads = ("optimizer", "trains at", "runs", "cost", "share closed: median", "quartiles", "seconds", "seeds")
    lines = [heads, tuple("---" for _ in heads)]
    for (name, where, _), found in rows:
        median = {key: statistics.median(r[key] for r in found) for key in ("runs", "cost", "seconds")}
        low, middle, high = np.percentile([r["share"] for r in found], [25, 50, 75])
        lines.append((name, where, f"{median['runs']:g}", f"{median['cost']:.3g}", f"{middle:.1%}",
                      f"{low:.1%} – {high:.1%}", f"{median['seconds']:.0f}", str(len(found))))
    widths = [max(len(line[k]) for line in lines) for k in range(len(heads))]
    return "\n".join("| " + " | ".join(cell.ljust(n) for cell, n in zip(line, widths)) + " |" for line in lines)


def cheap_runs(text):
    name, count = text.split("=")
    if name not in CHEAP_RUNS:
        raise ValueError(name)
    return name, int(count)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--domains", type=int, default=17)
    add("--regime", choices=("agree", "disagree"), default="agree")
    add("--noise", type=float, default=0.005, help="standard deviation of every metric, in nats")
    add("--seeds", type=int, default=3, help="seed k is problem k, optimized with seed k")
    add("--first-seed", type=int, default=0)
    add("--optimizers", nargs="+", choices=(*ALL_SIZES, *SEARCHES),
        default=[name for name in (*ALL_SIZES, *SEARCHES) if name != "hebo"],
        help="hebo needs the packages of requirements-hebo.txt [default: all the others]")
    add("--budgets", type=float, nargs="+", default=(1.0, 10.0), help="cost that searches over all sizes may spend")
    add("--cheap-runs", type=cheap_runs, nargs="+", default=(), metavar="NAME=N",
        help=f"runs at the cheapest size [default: {' '.join(f'{k}={v}' for k, v in CHEAP_RUNS.items())}]")
    add("--middle-runs", type=int, default=166)
    add("--target-runs", type=int, default=10)
    add("--slots", type=int, default=1, help="trials that admire runs at the same time")
    add("--out", type=Path, default=ROOT / "target" / "compare")
    add("--programs", type=Path, help="folder of admire and mixing-law [default: built now]")
    args = parser.parse_args()
    args.cheap_runs = dict(args.cheap_runs)
    if args.programs is None:
        subprocess.run(["cargo", "build", "--release", "--package", "admire", "--package", "mixing-law"],
                       check=True, cwd=ROOT)
        args.programs = ROOT / "target" / "release"
    warnings.filterwarnings("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    results = args.out / "results.jsonl"
    known = {}
    if results.exists():
        for line in results.read_text().splitlines():
            row = json.loads(line)
            known[tuple(row["key"])] = row
    rows = []
    for job in jobs(args):
        found = []
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            key = (args.domains, args.regime, args.noise, *job, seed, args.slots if job[0] == "admire" else 1)
            if key not in known:
                folder = args.out / f"{args.domains}-{args.regime}-{args.noise}-{seed}"
                known[key] = {"key": key, **run(args, folder, job, seed)}
                with results.open("a") as file:
                    print(json.dumps(known[key]), file=file)
                print(json.dumps(known[key]), file=sys.stderr)
            found.append(known[key])
        rows.append((job, found))
    cores = len(os.sched_getaffinity(0))
    print(f"{args.domains} domains, sizes {args.regime}, noise {args.noise} nats a metric, {cores} cores\n")
    print(table(rows))


if __name__ == "__main__":
    main()
