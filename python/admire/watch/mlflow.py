"""Writes every trial that ends as a run of MLflow: `on_event = ["python3", "-m", "admire.watch.mlflow"]`.

MLFLOW_TRACKING_URI says where, as for all programs that use MLflow; MLFLOW_EXPERIMENT_NAME names the experiment, which is
called like the study without it.
"""

from __future__ import annotations

import os
import re
from typing import Any, Iterator, List

from ._ended import Ended, ended

_STATUS = {"complete": "FINISHED", "failed": "FAILED", "diverged": "FAILED"}


def main() -> None:
    trial = ended()
    if trial is not None:
        _write(trial)


def _write(trial: Ended) -> None:
    # Imported late: most events are about nothing that ends.
    from mlflow import MlflowClient  # type: ignore[import-not-found,unused-ignore]
    from mlflow.entities import Metric, Param, RunTag  # type: ignore[import-not-found,unused-ignore]

    client = MlflowClient()
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or trial.study
    experiment = client.get_experiment_by_name(name)
    experiment_id = client.create_experiment(name) if experiment is None else experiment.experiment_id
    started, over = _milliseconds(trial.started), _milliseconds(trial.ended)
    run = client.create_run(experiment_id, start_time=started, run_name=trial.name).info.run_id
    values = {**trial.facts, **{f"weights.{domain}": weight for domain, weight in trial.weights.items()}}
    params = [Param(_key(key), str(value)) for key, value in values.items()]
    curve = [
        Metric(_key(key), value, _milliseconds(point.time), point.step)
        for point in trial.curve
        for key, value in point.metrics.items()
    ]
    last_step = trial.curve[-1].step if trial.curve else 0
    summary = [Metric(f"admire.{key}", value, over, last_step) for key, value in trial.summary.items()]
    tags = {"admire.study": trial.study, "admire.trial": str(trial.number), "admire.state": trial.state}
    if trial.reason is not None:
        tags["admire.reason"] = trial.reason
    # A call takes at most so many of each.
    for part in _parts(params, 100):
        client.log_batch(run, params=part)
    for part in _parts(curve + summary, 1000):
        client.log_batch(run, metrics=part)
    client.log_batch(run, tags=[RunTag(key, value) for key, value in tags.items()])
    client.set_terminated(run, _STATUS[trial.state], over)


def _milliseconds(time: float) -> int:
    return round(1000 * time)


def _key(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^/\w.\- :]", "_", name)


def _parts(items: List[Any], size: int) -> Iterator[List[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


if __name__ == "__main__":
    main()
