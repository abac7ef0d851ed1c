"""Studies that really train: the tiny language model, on the CPU. docs/measured.md has the results.

    cargo build --release --workspace && python3 benches/trained/trained.py changes
    python3 benches/trained/trained.py repetition

`changes`: a study mixes code, prose, manifests and lock files. Then code is split into library code and tests, prose into documentation
comments and Markdown, and compiler diagnostics are new. A search that forks the old study and one from scratch may spend the same.

`repetition`: library code has only a sixteenth of the bytes that a target run trains on. Three searches: small runs draw from all of it
and the model is not told that anything repeats; the model is told; small runs repeat as the target does.

At each cost, the mixture that each search recommends is trained at the target with seeds of its own, the same for all. Its figure is the
mean objective of these runs.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADMIRE, TINY_LM = (ROOT / "target/release" / name for name in ("admire", "tiny-lm"))

OBJECTIVE = {"rust": 0.4, "docs": 0.3, "markdown": 0.2, "tests": 0.1}
PARTS = {"code": ["rust", "tests"], "prose": ["docs", "markdown"]}
SCARCE, SHARE = "rust", 1 / 16


class Text:
    """The prepared text: its folder, and the training bytes of each domain."""

    def __init__(self, program: Path):
        table = subprocess.run([program, "prepare"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        manifest = json.loads(Path(ROOT, table.rsplit("in ", 1)[1].strip(), "manifest.json").read_text())
        self.bytes = {domain["name"]: domain["train_bytes"] for domain in manifest["domains"]}

    def share(self, whole: str, part: str) -> float:
        """What concatenating the parts of a domain would give one of them."""
        return self.bytes[part] / sum(self.bytes[d] for d in PARTS[whole])


def train(program: str, merge: list[str], scarce: int | None, mixture: str, options: list[str]):
    """Becomes the training command, on a mixture of the domains that it knows: parts of merged ones, at most so many bytes of the
    scarce one."""
    told = json.loads(Path(mixture).read_text())
    weights = told["weights"]
    for whole, part, share in (item.split(":") for item in merge):
        weights[part] = weights[whole] * float(share)
    known = Text(Path(program)).bytes
    told["weights"] = {domain: weights.get(domain, 0.0) for domain in known}
    if scarce is not None:
        told.setdefault("unique_tokens", {SCARCE: scarce})
    changed = Path(mixture).with_suffix(".tiny-lm.json")
    changed.write_text(json.dumps(told))
    os.execv(program, [program, "train", "--mixture", str(changed), *options])


class Bench:
    def __init__(self, args, folder: Path):
        self.args, self.folder, self.text = args, folder, Text(args.tiny_lm)
        # By mixture and seed.
        self.measured: dict[str, list[float]] = {}

    def config(self, domains: dict[str, str], arguments: list[str], limits: str = "") -> str:
        """A study of these domains, each with further keys. `arguments` are those of the training command; costs are parameters times
        tokens."""
        small, target = self.args.tokens
        told = ["--size", "{fidelity}", "--tokens", "{tokens}", "--seed", "{seed}", "--result", "{result_file}"]
        command = [sys.executable, str(Path(__file__).resolve()), "train", *arguments, "{mixture_file}", *told]
        stated = "".join(f'[[domain]]\nname = "{name}"\n{keys}\n' for name, keys in domains.items())
        metrics = ", ".join(f"{name} = {weight}" for name, weight in OBJECTIVE.items())
        return f"""
[study]
name = "trained"
{stated}
[[fidelity]]
name = "30k"
tokens = {small}
params = 34_816
cost = {34_816 * small / (135_168 * target):.2g}

[[fidelity]]
name = "140k"
tokens = {target}
params = 135_168
cost = 1.0
target = true

[objective]
metrics = {{ {metrics} }}

[launcher]
slots = 1
command = {json.dumps(command)}
{limits}
"""

    def search(self, name: str, text: str, seed: int, costs: list[float], *fork) -> list[dict[str, float]]:
        """What a study recommends at each of these costs."""
        path = self.folder / f"{name}-{seed}.toml"
        path.write_text(text)
        recommended = []
        for cost in costs:
            study = [f"--config={path}", f"--dir={path.with_suffix('')}", f"--set=study.seed={seed}", f"--set=budget.cost={cost}"]
            command = [self.args.program, "optimize", "--quiet", "--format=json", *study, *(fork if cost == costs[0] else [])]
            out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
            recommended.append(json.loads(out)["weights"])
        return recommended

    def measure(self, mixtures: list[dict[str, float]], scarce: int | None):
        """Trains these mixtures at the target with every seed, and keeps their objectives."""

        def objective(task):
            at, weights, seed = task
            told, result = (self.folder / f"truth-{at}-{seed}.{kind}" for kind in ("json", "result"))
            told.write_text(json.dumps({"weights": weights}))
            run = [sys.executable, __file__, "train", f"--tiny-lm={self.args.tiny_lm}", *limit(scarce), told]
            run += ["--size", "140k", "--tokens", str(self.args.tokens[1]), "--seed", str(10_000 + seed), "--result", result]
            subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            metrics = json.loads(result.read_text())["metrics"]
            return sum(weight * metrics[name] for name, weight in OBJECTIVE.items())

        new = {key(m): m for m in mixtures if key(m) not in self.measured}
        seeds = range(self.args.truth_seeds)
        tasks = [(len(self.measured) + i, m, s) for i, m in enumerate(new.values()) for s in seeds]
        with ThreadPoolExecutor(self.args.threads) as pool:
            losses = list(pool.map(objective, tasks))
        for i, name in enumerate(new):
            self.measured[name] = losses[i * len(seeds) : (i + 1) * len(seeds)]

    def mean(self, mixture: dict[str, float]) -> float:
        return statistics.fmean(self.measured[key(mixture)])

    def noise(self) -> float:
        """The standard error of such a mean where mixtures are compared: what a seed does to all of them does not count."""
        rows = list(self.measured.values())
        of_seed = [statistics.fmean(column) for column in zip(*rows)]
        left = [(x - statistics.fmean(row) - s + statistics.fmean(of_seed)) ** 2 for row in rows for x, s in zip(row, of_seed)]
        return math.sqrt(sum(left) / ((len(rows) - 1) * (len(of_seed) - 1)) / len(of_seed))

    def changes(self, seed: int) -> dict[str, list[dict[str, float]]]:
        parts = {part: whole for whole, parts in PARTS.items() for part in parts}
        merge = [f"--merge={whole}:{part}:{self.text.share(whole, part)}" for part, whole in parts.items()]
        program = f"--tiny-lm={self.args.tiny_lm}"
        before = dict.fromkeys([*PARTS, "manifests", "lockfiles"], "")
        self.search("before", self.config(before, [program, *merge]), seed, [self.args.before])
        after = {d: "" if d not in parts else f'split_of = "{parts[d]}"\nshare = {self.text.share(parts[d], d)}' for d in self.text.bytes}
        scratch = self.config(dict.fromkeys(after, ""), [program])
        fork = f"--fork={self.folder / f'before-{seed}'}"
        return {
            "with the old runs": self.search("fork", self.config(after, [program]), 100 + seed, self.args.costs, fork),
            "from scratch": self.search("scratch", scratch, 100 + seed, self.args.costs),
        }

    def repetition(self, seed: int) -> dict[str, list[dict[str, float]]]:
        scarce = int(SHARE * self.args.tokens[1])
        arguments = [f"--tiny-lm={self.args.tiny_lm}", *limit(scarce)]
        there = {d: f"tokens = {scarce if d == SCARCE else n}" for d, n in self.text.bytes.items()}
        arms = {
            "not told": self.config(dict.fromkeys(there, ""), arguments),
            "told": self.config(there, arguments),
            "matched": self.config(there, arguments, "[limits]\nmatch_repetition = true"),
        }
        return {name: self.search(name.replace(" ", "-"), text, seed, self.args.costs) for name, text in arms.items()}

    def run(self):
        found = {}
        scarce = int(SHARE * self.args.tokens[1]) if self.args.check == "repetition" else None
        uniform = dict.fromkeys(self.text.bytes, 1 / len(self.text.bytes))
        for seed in range(1, self.args.seeds + 1):
            arms = getattr(self, self.args.check)(seed)
            self.measure([uniform, *(m for recommended in arms.values() for m in recommended)], scarce)
            for name, recommended in arms.items():
                found.setdefault(name, []).append([self.mean(m) for m in recommended])
                shown = ", ".join(f"{cost:g}: {loss:.4f}" for cost, loss in zip(self.args.costs, found[name][-1]))
                print(f"seed {seed}, {name}: {shown}; in the end {short(recommended[-1])}", flush=True)
        best = min((json.loads(name) for name in self.measured), key=self.mean)
        print(f"\nbest measured {self.mean(best):.4f} ± {self.noise():.4f}: {short(best)}; uniform {self.mean(uniform):.4f}")
        print("mean over seeds of what is measured, less the best, at cost " + ", ".join(f"{c:g}" for c in self.args.costs))
        for name, losses in found.items():
            gaps = [statistics.fmean(at) - self.mean(best) for at in zip(*losses)]
            print(f"{name}: " + ", ".join(f"{gap:.4f}" for gap in gaps))


def key(mixture: dict[str, float]) -> str:
    return json.dumps(mixture, sort_keys=True)


def short(mixture: dict[str, float]) -> str:
    return " ".join(f"{name} {weight:.2f}" for name, weight in mixture.items() if weight >= 0.005)


def limit(scarce: int | None) -> list[str]:
    return [] if scarce is None else [f"--scarce={scarce}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="check", required=True)
    for name in ("changes", "repetition"):
        check = commands.add_parser(name)
        check.add_argument("--costs", type=float, nargs="*", default=[1.0, 2.0, 4.0], help="what a search may have spent, in target runs")
        check.add_argument("--before", type=float, default=4.0, help="what the study before the change may spend")
        check.add_argument("--tokens", type=int, nargs=2, default=[30_000, 100_000], help="what a small and a target run train on")
        check.add_argument("--seeds", type=int, default=3, help="studies of each kind")
        check.add_argument("--truth-seeds", type=int, default=2, help="runs of a recommended mixture, at least 2")
        check.add_argument("--threads", type=int, default=1)
        check.add_argument("--program", type=Path, default=ADMIRE)
        check.add_argument("--tiny-lm", type=Path, default=TINY_LM)
    command = commands.add_parser("train")
    command.add_argument("--tiny-lm", required=True)
    command.add_argument("--merge", action="append", default=[])
    command.add_argument("--scarce", type=int)
    command.add_argument("mixture")
    command.add_argument("options", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if args.check == "train":
        return train(args.tiny_lm, args.merge, args.scarce, args.mixture, args.options)
    with tempfile.TemporaryDirectory() as folder:
        Bench(args, Path(folder)).run()


if __name__ == "__main__":
    main()
