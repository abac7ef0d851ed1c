"""What are the runs of an older study worth after its domains have changed? docs/measured.md has the results.

    cargo build --release && python3 benches/changes/changes.py LOG --candidates 48

LOG is a CSV of logged runs as `admire replay` reads it. For each kind of change and each seed, a search is replayed on the log as it
would have looked before the change. The runs that this search bought become a study. Then two searches are replayed on the log as it is
after the change: one that knows this study, as a fork of it would, and one from scratch.

A domain that two others were merged into draws from them in fixed shares. No logged run does. So where domains are merged, the metrics
of a run are moved by what a kernel regression of the log says that these shares change.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
# A run without a domain may have this much of it: logged weights are rounded.
NO_WEIGHT = 0.005
PAIRS = 3


class Log:
    """Logged runs: per run its other columns, and its weights by domain."""

    def __init__(self, rows: list[tuple[dict, dict[str, float]]]):
        self.rows = rows

    @staticmethod
    def read(path: Path) -> "Log":
        rows = []
        for row in csv.DictReader(path.open()):
            weights = {name[2:]: float(row.pop(name)) for name in list(row) if name.startswith("w:")}
            rows.append((row, weights))
        return Log(rows)

    @property
    def domains(self) -> list[str]:
        return list(self.rows[0][1])

    def natural(self) -> dict[str, float]:
        """Each domain's share of the data, as far as the log knows: its mean weight."""
        return {d: statistics.fmean(w[d] for _, w in self.rows) for d in self.domains}

    @property
    def metrics(self) -> list[str]:
        return [name for name in self.rows[0][0] if name.startswith("y:")]

    def sizes(self) -> list["Log"]:
        names = dict.fromkeys(row["fidelity"] for row, _ in self.rows)
        return [Log([(row, w) for row, w in self.rows if row["fidelity"] == name]) for name in names]

    def merged(self, pairs: list[tuple[str, str]], share: dict[str, float]) -> "Log":
        """The log of runs that draw from these pairs in these shares, with each pair as one domain."""

        def in_shares(weights):
            total = {d: weights[a] + weights[b] for a, b in pairs for d in (a, b)}
            return {d: share[d] * total[d] if d in total else x for d, x in weights.items()}

        def merge(weights):
            alone = {d: x for d, x in weights.items() if d not in share}
            return {**alone, **{f"{a}+{b}": weights[a] + weights[b] for a, b in pairs}}

        rows = []
        for log in self.sizes():
            moves = log.predicted([in_shares(w) for _, w in log.rows]) - log.predicted([w for _, w in log.rows])
            for (row, weights), move in zip(log.rows, moves):
                moved = {name: float(row[name]) + change for name, change in zip(self.metrics, move)}
                rows.append(({**row, **moved}, merge(weights)))
        return Log(rows)

    def predicted(self, mixtures: list[dict[str, float]]) -> np.ndarray:
        """The metrics (columns) of mixtures (rows), by kernel ridge regression on the square roots of weights; the length-scale and the
        ridge have the smallest leave-one-out error."""
        place = lambda all: np.sqrt([[w[d] for d in self.domains] for w in all])
        x, z = place([w for _, w in self.rows]), place(mixtures)
        y = np.array([[float(row[name]) for name in self.metrics] for row, _ in self.rows])
        level, y = y.mean(0), y - y.mean(0)
        squares = lambda a, b: (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T

        def fit(scale, ridge):
            inverse = np.linalg.inv(np.exp(-0.5 * squares(x, x) / scale**2) + ridge * np.eye(len(x)))
            return (((inverse @ y) / np.diag(inverse)[:, None]) ** 2).mean(), scale, inverse

        _, scale, inverse = min((fit(s, r) for s in (0.5, 1.0, 2.0) for r in (1e-4, 1e-3, 1e-2, 1e-1)), key=lambda f: f[0])
        return level + np.exp(-0.5 * squares(z, x) / scale**2) @ (inverse @ y)

    def without(self, domain: str) -> "Log":
        return Log([(row, {d: x for d, x in w.items() if d != domain}) for row, w in self.rows if w[domain] <= NO_WEIGHT])

    def shuffled(self, domain: str, rng: random.Random) -> "Log":
        """Every run has the weight of this domain from another run at its size."""
        rows = []
        for log in self.sizes():
            given = [w[domain] for _, w in log.rows]
            rng.shuffle(given)
            rows += [(row, {**w, domain: x}) for (row, w), x in zip(log.rows, given)]
        return Log(rows)

    def only(self, ids: list[str]) -> "Log":
        return Log([(row, w) for row, w in self.rows if row["run_id"] in set(ids)])

    def write(self, path: Path) -> Path:
        with path.open("w", newline="") as file:
            columns = [*self.rows[0][0], *(f"w:{d}" for d in self.domains)]
            out = csv.DictWriter(file, columns)
            out.writeheader()
            for row, weights in self.rows:
                total = sum(weights.values())
                out.writerow({**row, **{f"w:{d}": x / total for d, x in weights.items()}})
        return path

    def config(self, path: Path, direction: str, keys: dict[str, str]) -> Path:
        """A study of these runs; `keys` are further keys of domains."""
        sizes = {row["fidelity"]: row for row, _ in self.rows}
        text = f'[study]\nname = "log"\ndir = "{path.stem}"\n[launcher]\ncommand = ["true", "{{mixture_file}}"]\n'
        text += "".join(f'[[domain]]\nname = "{d}"\n{keys.get(d, "")}\n' for d in self.domains)
        for name, row in sizes.items():
            text += f'[[fidelity]]\nname = "{name}"\nparams = {float(row["params"])}\ncost = {float(row["cost"])}\n'
        text += f'[objective]\ndirection = "{direction}"\n[objective.metrics]\n'
        text += "".join(f'"{m[2:]}" = 1.0\n' for m in self.metrics)
        path.write_text(text)
        return path


def change(kind: str, log: Log, rng: random.Random) -> tuple[Log, Log, dict[str, str]]:
    """The log before and after a change, and what the config after it says of its domains."""
    natural = log.natural()
    if kind in ("split", "merge", "split and add"):
        chosen = rng.sample(log.domains, 2 * PAIRS)
        pairs = list(zip(chosen[::2], chosen[1::2]))
        share = {d: natural[d] / (natural[a] + natural[b]) for a, b in pairs for d in (a, b)}
        if kind == "merge":
            of = "merge_of = {{ {0} = {1}, {2} = {3} }}"
            return log, log.merged(pairs, share), {f"{a}+{b}": of.format(a, share[a], b, share[b]) for a, b in pairs}
        keys = {d: f'split_of = "{a}+{b}"\nshare = {share[d]}' for a, b in pairs for d in (a, b)}
        before = log
        if kind == "split and add":
            before = log.without(rng.choice([d for d in log.domains if d not in chosen]))
        return before.merged(pairs, share), log, keys
    domain = rng.choice([d for d in log.domains if natural[d] > 1 / len(log.domains)])
    return {
        "add": lambda: (log.without(domain), log, {}),
        "drop": lambda: (log, log.without(domain), {}),
        "revise": lambda: (log.shuffled(domain, rng), log, {domain: "revised = true"}),
    }[kind]()


def play(args, kind: str, seed: int) -> tuple[str, int, float | None, float | None]:
    """The cost from which the recommendation stays near the best: with the old runs, and from scratch."""
    before, after, keys = change(kind, Log.read(args.log), random.Random(f"{kind} {seed}"))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def admire(*arguments) -> str:
            command = [args.program, "--quiet", *map(str, arguments)]
            return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout

        def replay(log: Path, config: Path, budget: float, *more) -> dict:
            return json.loads(admire(
                "replay", "--config", config, "--runs", log, "--strategy", "admire", "--seeds", 1, "--set", f"study.seed={seed}",
                "--budget", budget, "--candidates", args.candidates, "--format", "json", *more,
            ))["strategies"][0]

        config = before.config(folder / "before.toml", args.direction, {})
        replay(before.write(folder / "before.csv"), config, args.before, "--out", "curves")
        bought = [row["run_id"] for row in csv.DictReader((folder / "curves/curves.csv").open())]
        admire("import", "--from", "wide", before.only(bought).write(folder / "bought.csv"), "--config", config)
        log, config = after.write(folder / "after.csv"), after.config(folder / "after.toml", args.direction, keys)
        with_old = replay(log, config, args.budget, "--fork", "before")["stay"][0]
        return kind, seed, with_old, replay(log, config, args.budget)["stay"][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("--candidates", type=int, default=10**6, help="as of `replay`")
    parser.add_argument("--direction", default="minimize")
    parser.add_argument("--before", type=float, default=0.05, help="what the search before the change may spend")
    parser.add_argument("--budget", type=float, default=0.1, help="what the searches after the change may spend")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kinds", nargs="*", default=["split", "add", "split and add", "merge", "drop", "revise"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/admire")
    args = parser.parse_args()
    args.log, args.program = args.log.resolve(), args.program.resolve()
    tasks = [(kind, seed) for kind in args.kinds for seed in range(1, args.seeds + 1)]
    results = {kind: [] for kind in args.kinds}
    with ThreadPoolExecutor(args.threads) as pool:
        for kind, seed, with_old, scratch in pool.map(lambda task: play(args, *task), tasks):
            print(f"{kind}, seed {seed}: stays from {with_old} with the old runs, {scratch} from scratch", flush=True)
            results[kind].append((with_old, scratch))
    never = lambda cost: float("inf") if cost is None else cost
    print("\nchange: median stay with the old runs, from scratch; seeds in which it is more than a tenth later with them")
    for kind, pairs in results.items():
        with_old, scratch = ([never(pair[i]) for pair in pairs] for i in (0, 1))
        later = sum(a > 1.1 * b for a, b in zip(with_old, scratch))
        print(f"{kind}: {statistics.median(with_old):.4g} {statistics.median(scratch):.4g}; {later} of {len(pairs)}")


if __name__ == "__main__":
    main()
