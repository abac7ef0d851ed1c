"""A callback that reports to `admire` from the Trainer of Hugging Face's transformers."""

from __future__ import annotations

import math
import re
from typing import Any, Dict, Mapping, Optional

from transformers import TrainerCallback  # type: ignore[import-not-found,unused-ignore]

from ._trial import Trial


class TrialCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Reports every evaluation of a `Trainer`, evaluates after the last step, and finishes the trial with that.

        Trainer(…, eval_dataset={"web": …, "code": …}, callbacks=[TrialCallback(trial)])

    `metrics` maps the metrics of the objective to what the Trainer calls them. Without it, `eval_web_loss`, the loss on the
    evaluation set `web`, is the metric `web`, and `eval_loss`, that of a single set, is `loss`.
    """

    def __init__(self, trial: Trial, metrics: Optional[Mapping[str, str]] = None) -> None:
        self._trial = trial
        self._metrics = metrics

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # All sets have been evaluated by now, one after the other.
        self._report(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_evaluate = True

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not math.isfinite(_training_loss(state)):
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        loss = _training_loss(state)
        if not math.isfinite(loss):
            self._trial.diverged(f"the training loss was {loss} at step {state.global_step}")
            return
        self._report(state)
        metrics = self._metrics_of(_last_logged(state))
        if not metrics:
            raise RuntimeError(f"the last step, {state.global_step}, was not evaluated with any metric of the trial")
        self._trial.finish(metrics=metrics)

    def _report(self, state: Any) -> None:
        logged = _last_logged(state)
        metrics = self._metrics_of(logged)
        if metrics:
            # Tokens are counted only where the Trainer's arguments ask for it.
            self._trial.report(state.global_step, logged.get("num_input_tokens_seen"), **metrics)

    def _metrics_of(self, logged: Dict[str, Any]) -> Dict[str, float]:
        if self._metrics is not None:
            return {name: logged[key] for name, key in self._metrics.items() if key in logged}
        return {_name(key): value for key, value in logged.items() if re.fullmatch(r"eval_(.+_)?loss", key)}


def _last_logged(state: Any) -> Dict[str, Any]:
    """What was logged after the last step, evaluations of every set included; the same after a resumption."""
    logged: Dict[str, Any] = {}
    for entry in state.log_history:
        if entry["step"] == state.global_step:
            logged.update(entry)
    return logged


def _name(key: str) -> str:
    """`eval_web_loss` → `web`, `eval_loss` → `loss`"""
    return key[len("eval_") :] if key == "eval_loss" else key[len("eval_") : -len("_loss")]


def _training_loss(state: Any) -> float:
    """The last training loss that was logged; 0 before there is one."""
    return next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), 0.0)
