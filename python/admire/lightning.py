"""A callback that reports to `admire` from the Trainer of Lightning."""

from __future__ import annotations

import warnings
from typing import Any, Dict, Mapping, Optional

try:
    from lightning.pytorch.callbacks import Callback  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    # The same under the name of its own package.
    from pytorch_lightning.callbacks import Callback  # type: ignore[import-not-found,unused-ignore]

from ._trial import Trial


class TrialCallback(Callback):  # type: ignore[misc,unused-ignore]
    """Reports every validation of a `Trainer`, validates after step `max_steps`, and finishes the trial with that.

        Trainer(…, callbacks=[TrialCallback(trial, {"web": "val_web", "code": "val_code"})])

    `metrics` maps the metrics of the objective to the names under which the module logs them. Without it all that is logged
    is reported, under the same names. If training ends elsewhere between two validations, `trainer.validate(…)` finishes the
    trial.
    """

    def __init__(self, trial: Trial, metrics: Optional[Mapping[str, str]] = None) -> None:
        self._trial = trial
        self._metrics = metrics
        self._validated: Optional[int] = None

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == trainer.max_steps:
            # Training ends here in any case. When it is stopped, Lightning validates.
            trainer.should_stop = True

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.sanity_checking:
            return
        self._trial.report(trainer.global_step, None, **self._logged(trainer))
        self._validated = trainer.global_step
        if trainer.state.fn == "validate":
            self._trial.finish(metrics=self._logged(trainer))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self._validated == trainer.global_step:
            self._trial.finish(metrics=self._logged(trainer))
        else:
            warnings.warn(
                f"the trial has no result yet: the last step, {trainer.global_step}, was not validated; "
                "trainer.validate(…) does that",
                stacklevel=2,
            )

    def _logged(self, trainer: Any) -> Dict[str, float]:
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return logged if self._metrics is None else {name: logged[key] for name, key in self._metrics.items()}
