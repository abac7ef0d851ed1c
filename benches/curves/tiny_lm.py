#!/usr/bin/env python3
"""Replays the shipped sweep of tiny models with what its runs reported on their way, and without: what reports save.

    cargo build --release && benches/curves/tiny_lm.py [PROGRAM]

docs/measured.md says what is measured, and has results.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile
from collections import defaultdict

from replay import mean

DATA = pathlib.Path(__file__).parents[2] / "examples/data"
ENDS, REPORTS = DATA / "tiny-lm-curves/runs.csv", DATA / "tiny-lm-curves/reports.csv"
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/admire"
SEEDS, BUDGET = 40, 4.0
COSTS, LEVELS = (0.2, 0.5, 1, 2, 3, 4), (0.8, 0.1)
OBJECTIVE = {"rust": 0.4, "docs": 0.3, "markdown": 0.2, "tests": 0.1}


def play(logs, strategies):
    """The purchases of each strategy, by seed: what was spent, and the regret then."""
    with tempfile.TemporaryDirectory() as out:
        command = [PROGRAM, "--quiet", "replay", "--runs", *logs, "--seeds", SEEDS, "--budget", BUDGET, "--out", out]
        command += ["--strategy", ",".join(strategies)]
        for metric, weight in OBJECTIVE.items():
            command += ["--set", f"objective.metrics.{metric}={weight}"]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        played = defaultdict(lambda: defaultdict(list))
        with pathlib.Path(out, "curves.csv").open() as file:
            for row in csv.DictReader(file):
                played[row["strategy"]][row["seed"]].append((float(row["cost"]), float(row["regret"])))
    return {strategy: list(seeds.values()) for strategy, seeds in played.items()}


def regret(steps, cost):
    """The regret of the last recommendation that so much pays for; before the first purchase, that after it."""
    return next((regret for spent, regret in reversed(steps) if spent <= cost * (1 + 1e-9)), steps[0][1])


def reached(steps, level):
    """The cost at which the regret is at most at the level for the first time; the budget where it never is."""
    return next((spent for spent, regret in steps if regret <= level), BUDGET)


def settled(steps, level):
    """The cost from which the regret stays at most at the level; the budget where it does not."""
    cost = BUDGET
    for spent, regret in reversed(steps):
        if regret > level:
            break
        cost = spent
    return cost


def main():
    played = {
        "with reports": play([ENDS, REPORTS], ["admire", "hyperband"]),
        "without": play([ENDS], ["admire", "single-fidelity", "hyperband", "random"]),
    }
    rows = [(f"{strategy}, {log}", seeds) for log, of in played.items() for strategy, seeds in of.items()]
    print("regret in sd at cost     ", *COSTS, sep="   ")
    for name, seeds in rows:
        print(f"{name:<25}", *(mean([regret(steps, cost) for steps in seeds]) for cost in COSTS), sep="   ")
    for what, cost_to in [("first reach", reached), ("stay within", settled)]:
        print(f"cost to {what}      ", *LEVELS, sep="   ")
        for name, seeds in rows:
            print(f"{name:<25}", *(mean([cost_to(steps, level) for steps in seeds]) for level in LEVELS), sep="   ")


if __name__ == "__main__":
    main()
