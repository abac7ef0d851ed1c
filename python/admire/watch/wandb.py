"""Writes every trial that ends as a run of Weights & Biases: `on_event = ["python3", "-m", "admire.watch.wandb"]`.

The variables of W&B say where: WANDB_PROJECT (the name of the study without it), WANDB_ENTITY, WANDB_DIR, WANDB_MODE=offline
for machines without a network.
"""

from __future__ import annotations

import os
import re

from ._ended import Ended, ended


def main() -> None:
    trial = ended()
    if trial is not None:
        _write(trial)


def _write(trial: Ended) -> None:
    # Imported late: most events are about nothing that ends.
    import wandb  # type: ignore[import-not-found,unused-ignore]

    run = wandb.init(
        # Characters that names of projects do not have.
        project=os.environ.get("WANDB_PROJECT") or re.sub(r"[/\\#?%:]", "-", trial.study),
        group=os.environ.get("WANDB_RUN_GROUP") or trial.study,
        name=trial.name,
        config={**trial.facts, "weights": trial.weights},
        tags=[trial.state],
        notes=trial.reason,
        settings=wandb.Settings(silent=True, x_disable_stats=True),
    )
    for point in trial.curve:
        run.log(point.metrics, step=point.step)
    run.summary.update({f"admire.{key}": value for key, value in trial.summary.items()})
    run.finish(exit_code=0 if trial.state == "complete" else 1)


if __name__ == "__main__":
    main()
