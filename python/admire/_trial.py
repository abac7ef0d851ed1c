"""The trial that a training script is run for: docs/training-command.md from Python."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, SupportsFloat, TypeVar, Union

from ._errors import NoTrialError
from ._processes import is_first, replica
from ._sampler import Indexed, MixtureSampler

T = TypeVar("T")

_OUTSIDE = (
    "this is no trial: ADMIRE_MIXTURE_FILE is not set. Let `admire optimize` or `admire check --trial` start the script, "
    'or run it by hand with admire.trial(default={"weights": {"web": 0.6, "code": 0.4}})'
)


def trial(default: Optional[Mapping[str, Any]] = None) -> Trial:
    """The trial that this process belongs to, as `admire` describes it in the environment.

    `default` is for runs by hand: what a mixture file has, of which only `weights` is needed. In a trial it is not used.

    Raises NoTrialError outside of a trial if there is no default.
    """
    path = os.environ.get("ADMIRE_MIXTURE_FILE")
    if path:
        return Trial._of(
            json.loads(Path(path).read_text("utf-8")),
            attempt=int(os.environ["ADMIRE_ATTEMPT"]),
            directory=Path(os.environ["ADMIRE_TRIAL_DIR"]),
            result_file=Path(os.environ["ADMIRE_RESULT_FILE"]),
        )
    if default is None:
        raise NoTrialError(_OUTSIDE)
    return Trial._of(default, attempt=1, directory=Path.cwd(), result_file=None)


@dataclass(frozen=True)
class Trial:
    """What to train, and where the result goes. `admire.trial()` makes one."""

    weights: Dict[str, float]
    """The mixture: a weight of at least 0 per domain. They sum to 1."""
    fidelity: str
    """The name of the training scale; empty in a run by hand that does not state it."""
    params: Optional[int]
    """Parameters of the model, if the config states them."""
    tokens: Optional[int]
    """Tokens to train on, if the config states them."""
    continue_from: Optional[int]
    """Tokens after which the trial was ended early, if it is continued from there (`launcher.resumable`)."""
    seed: int
    """The seed of the run, below 2**31 and the same in every attempt."""
    epochs: Dict[str, float]
    """How often the run sees the unique tokens of each domain; empty without `limits.match_repetition`."""
    unique_tokens: Dict[str, int]
    """How many tokens of each domain to draw from; empty without `limits.match_repetition`."""
    number: Optional[int]
    """The number of the trial in its study; None in a run by hand."""
    attempt: int
    """The number of this attempt at the trial, from 1."""
    directory: Path
    """The folder of the trial, for checkpoints for example; in a run by hand the current one."""
    _result_file: Optional[Path] = field(repr=False)

    @classmethod
    def _of(
        cls, mixture: Mapping[str, Any], *, attempt: int, directory: Path, result_file: Optional[Path]
    ) -> Trial:
        def count(key: str) -> Optional[int]:
            return None if mixture.get(key) is None else int(mixture[key])

        return cls(
            weights={name: float(weight) for name, weight in mixture["weights"].items()},
            fidelity=mixture.get("fidelity", ""),
            params=count("params"),
            tokens=count("tokens"),
            continue_from=count("continue_from"),
            seed=mixture.get("seed", 0),
            epochs=dict(mixture.get("epochs", {})),
            unique_tokens=dict(mixture.get("unique_tokens", {})),
            number=count("trial"),
            attempt=attempt,
            directory=directory,
            _result_file=result_file,
        )

    def report(self, /, step: int, tokens: Optional[int] = None, **metrics: SupportsFloat) -> None:
        """Reports metrics of the run on the way, after `step` steps and `tokens` tokens.

        Metrics with names that are no Python names go in as `**{"val/loss": 2.3}`. Of several processes only the one of
        rank 0 reports.
        """
        if not is_first():
            return
        counts = {"step": int(step)} if tokens is None else {"step": int(step), "tokens": int(tokens)}
        line = json.dumps({**counts, "metrics": _floats(metrics)})
        path = os.environ.get("ADMIRE_PROGRESS_FILE")
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        else:
            print(f"admire: {line}", flush=True)

    def finish(
        self,
        loss: Optional[SupportsFloat] = None,
        *,
        metrics: Optional[Mapping[str, SupportsFloat]] = None,
        se: Union[None, SupportsFloat, Mapping[str, SupportsFloat]] = None,
        cost: Optional[SupportsFloat] = None,
    ) -> None:
        """Reports the result: `loss` (short for the metric of that name) or `metrics`.

        `se` is their standard error, one number for all or one per metric. `cost` is what the run has cost, in the unit of
        the config. A metric of the objective that is NaN or infinite means that the run has diverged. The script must then
        end with exit code 0. Of several processes only the one of rank 0 reports; the last call counts. In a run by hand
        the result is printed.
        """
        self._write(result(loss, metrics, se, cost))

    def diverged(self, reason: str = "the training script says so") -> None:
        """Reports that the run has diverged. The script must then end with exit code 0: any other means that it failed."""
        self._write({"diverged": reason})

    def sampler(
        self,
        datasets: Mapping[str, Indexed[T]],
        *,
        tokens_per_sample: Optional[int] = None,
        samples: Optional[int] = None,
        rank: Optional[int] = None,
        num_replicas: Optional[int] = None,
    ) -> MixtureSampler[T]:
        """Draws from map-style datasets, one per domain, by their weights and the seed: for PyTorch's DataLoader.

            sampler = trial.sampler(datasets, tokens_per_sample=2048)
            loader = DataLoader(sampler.dataset, batch_size=8, sampler=sampler)

        An iteration has `samples` samples over all processes, by default as many as make `tokens`. With
        `limits.match_repetition` a domain's data are the beginning of its dataset, which has to be shuffled already;
        `tokens_per_sample` is needed for that. Rank and number of processes are those of PyTorch's process group or of
        torchrun. State `rank=0, num_replicas=1` where the loader's samples are divided later, as accelerate does.
        """
        chosen = self._chosen(datasets)
        sizes = {name: self._size(name, tokens_per_sample) or len(dataset) for name, dataset in chosen.items()}
        for name, dataset in chosen.items():
            if not 0 < sizes[name] <= len(dataset):
                raise ValueError(f"{name} has {len(dataset)} samples, and the trial needs {max(sizes[name], 1)}")
        if samples is None:
            if self.tokens is None or tokens_per_sample is None:
                raise TypeError("sampler() takes samples, or tokens_per_sample if the config states tokens")
            samples = self.tokens // tokens_per_sample
        here, processes = replica()
        rank = here if rank is None else rank
        num_replicas = processes if num_replicas is None else num_replicas
        if samples < num_replicas:
            raise ValueError(f"{samples} samples are too few for {num_replicas} processes")
        return MixtureSampler(
            chosen,
            self.weights,
            seed=self.seed,
            samples=samples // num_replicas,
            sizes=sizes,
            rank=rank,
            num_replicas=num_replicas,
        )

    def interleave(self, datasets: Mapping[str, Any], *, tokens_per_sample: Optional[int] = None) -> Any:
        """Interleaves Hugging Face datasets, one per domain, by their weights and the seed.

        They are `datasets.Dataset` or `IterableDataset`, all of one kind, in an order that is random already. Domains without
        weight are left out; a domain that ends begins again until every one has ended. With `limits.match_repetition` a
        domain's data are the beginning of its dataset, and `tokens_per_sample` is needed for that.
        """
        from datasets import interleave_datasets  # type: ignore[import-not-found,unused-ignore]

        parts = []
        for name, dataset in self._chosen(datasets).items():
            size = self._size(name, tokens_per_sample)
            if size is None:
                parts.append(dataset)
            elif not hasattr(dataset, "select"):
                # An IterableDataset, whose length is not known.
                parts.append(dataset.take(size))
            elif size <= len(dataset):
                parts.append(dataset.select(range(size)))
            else:
                raise ValueError(f"{name} has {len(dataset)} samples, and the trial needs {size}")
        return interleave_datasets(
            parts,
            probabilities=[weight for weight in self.weights.values() if weight > 0],
            seed=self.seed,
            stopping_strategy="all_exhausted",
        )

    def _chosen(self, datasets: Mapping[str, T]) -> Dict[str, T]:
        """The datasets of the domains that have a weight, in the order of the weights."""
        needed = {name for name, weight in self.weights.items() if weight > 0}
        missing, unknown = needed - set(datasets), set(datasets) - set(self.weights)
        if missing or unknown:
            wrong = [f"no dataset for {name}" for name in sorted(missing)]
            wrong += [f"{name} is no domain of the mixture" for name in sorted(unknown)]
            raise ValueError("; ".join(wrong))
        return {name: datasets[name] for name in self.weights if name in needed}

    def _size(self, name: str, tokens_per_sample: Optional[int]) -> Optional[int]:
        """How many samples of a domain may be drawn from; None for all of them."""
        if not self.unique_tokens:
            return None
        if tokens_per_sample is None:
            raise TypeError("the trial has unique_tokens (limits.match_repetition): state tokens_per_sample")
        return max(1, self.unique_tokens[name] // tokens_per_sample)

    def _write(self, result: Mapping[str, Any]) -> None:
        if not is_first():
            return
        text = json.dumps(result)
        if self._result_file is None:
            print(f"admire: {text}", flush=True)
            return
        # Under another name first: admire never sees half a file. The name is this process's own.
        temporary = self._result_file.with_name(f"{self._result_file.name}.{uuid.uuid4().hex}.tmp")
        temporary.write_text(text, "utf-8")
        os.replace(temporary, self._result_file)


def result(
    loss: Optional[SupportsFloat],
    metrics: Optional[Mapping[str, SupportsFloat]],
    se: Union[None, SupportsFloat, Mapping[str, SupportsFloat]],
    cost: Optional[SupportsFloat],
) -> Dict[str, Any]:
    """What a result file has. Raises TypeError unless there is either a loss or metrics."""
    if (loss is None) == (metrics is None):
        raise TypeError("a result has either a loss or metrics")
    document: Dict[str, Any] = {"loss": float(loss)} if loss is not None else {"metrics": _floats(metrics or {})}
    if se is not None:
        document["se"] = _floats(se) if isinstance(se, Mapping) else float(se)
    if cost is not None:
        document["cost"] = float(cost)
    return document


def _floats(metrics: Mapping[str, SupportsFloat]) -> Dict[str, float]:
    """Numbers of any kind, such as tensors and NumPy's, as JSON has them."""
    return {name: float(value) for name, value in metrics.items()}
