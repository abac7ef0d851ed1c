#!/usr/bin/env python3
"""Replays made-up logs of runs with learning curves: regret of each strategy, and how well ends are predicted from rows on the way.

    cargo build --release && benches/curves/replay.py [PROGRAM]

docs/measured.md says what is measured, and has results.
"""

import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

LAWS, RUNS, SHARES = 48, 60, (0.25, 0.5, 0.75, 1.0)
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/admire"


def dot(factors, weights):
    return sum(factor * weight for factor, weight in zip(factors, weights))


def log(law, one_run=True, shares=SHARES):
    """A log of a mixing law with a learning curve, a power of the tokens whose exponent depends on the mixture, so that ranks cross.

    Noise is that of a seed, common to all rows of a run, and that of each evaluation. Without `one_run` each row has a name of its own.
    """
    rng = random.Random(1000 + law)
    domains, noise = (4, 8, 12)[law % 3], (1, 3)[law // 3 % 2]
    rates = [[6 * rng.random() ** 2 for _ in range(domains)] for _ in range(3)]
    exponents = [rng.uniform(0.1, 0.6) for _ in range(domains)]
    names = [f"d{i:02}" for i in range(domains)]
    rows = [["run_id", "fidelity", "params", "tokens", "cost", *(f"w:{name}" for name in names), "y:loss"]]
    for run in range(RUNS):
        weights = [rng.expovariate(1) for _ in names]
        weights = [weight / sum(weights) for weight in weights]
        of_seed = rng.gauss(0, 0.008)
        for share in SHARES:
            loss = 2 + sum(math.exp(-dot(rate, weights)) for rate in rates) / 3 + 0.5 * share ** -dot(exponents, weights)
            loss += noise * (of_seed + rng.gauss(0, 0.002))
            if share in shares:
                name = str(run) if one_run else f"{run}@{share}"
                rows.append([name, f"p{share:.2f}", "1e9", f"{share * 1e9:.0f}", share, *weights, loss])
    return "\n".join(",".join(map(str, row)) for row in rows) + "\n"


def replay(text, *options):
    """What `admire replay` says of a log."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "runs.csv")
        file.write_text(text)
        command = [PROGRAM, "--quiet", "replay", "--runs", str(file), "--format", "json", *map(str, options)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["strategies"]


def mean(values):
    """The mean and its standard error."""
    middle = sum(values) / len(values)
    variance = sum((value - middle) ** 2 for value in values) / (len(values) - 1)
    return f"{middle:.3f} ± {math.sqrt(variance / len(values)):.3f}"


def main():
    strategies = ["admire", "single-fidelity", "hyperband", "random"]
    options = ["--strategy", *strategies, "--seeds", 3, "--budget", 6, "--at", 2, 4, 6]
    played = [replay(log(law), *options) for law in range(LAWS)]
    print("regret in sd at cost   2, 4, 6")
    for i, strategy in enumerate(strategies):
        at = [mean([law[i]["regret"][cost]["mean"] for law in played]) for cost in range(3)]
        print(f"{strategy:<20}", *at, sep="   ")
    print("log score of the ends of 45 runs, known up to half of their tokens, with 15 complete runs")
    options = ["--strategy", "admire", "--seeds", 1, "--candidates", 15, "--budget", 500]
    for name, one_run in [("rows of one run", True), ("rows apart", False)]:
        known = [replay(log(law, one_run, (0.5, 1.0)), *options) for law in range(LAWS)]
        print(f"{name:<20}", mean([law[0]["calibration"]["log_score"] for law in known]), sep="   ")


if __name__ == "__main__":
    main()
