"""A study as an object: ask, tell, and look."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, SupportsFloat, Union

from . import _program
from .documents import Best, Outcome, Predictions, Status, Suggestion
from ._errors import AdmireWarning
from ._trial import result

Mixture = Union[str, Mapping[str, float]]
"""A mixture by its name on the command line, such as "recommended", "uniform", "trial:7" or "web=0.5,code=0.5", or by its
weights; domains that are not named get none (docs/predict.md)."""


class Study:
    """A study: its config, and the journal beside it.

        study = admire.Study("study.toml")
        for trial in study.suggest(4):
            study.tell(trial["trial"], loss=train(trial["weights"], trial["seed"]))
        print(study.best()["weights"])

    Every method runs the program `admire` once, and returns the JSON document that docs/cli.md describes. What the program
    warns of becomes an AdmireWarning. Every method raises AdmireError if the program fails, with its message and exit code.
    """

    def __init__(
        self,
        config: Union[str, os.PathLike[str]],
        *,
        dir: Union[None, str, os.PathLike[str]] = None,
        set: Optional[Mapping[str, Any]] = None,
        wait: Optional[str] = None,
    ) -> None:
        """`config` is the config file. `dir` overrides `study.dir`, `set` other keys: `{"budget.trials": 20}`. `wait` is how
        long `suggest` and `tell` wait for another process that writes to the study, such as "1m"."""
        self._options = ["--config", os.fspath(config)]
        if dir is not None:
            self._options += ["--dir", os.fspath(dir)]
        for key, value in (set or {}).items():
            # Numbers, texts, truth values and arrays of them are the same in JSON and TOML.
            self._options += ["--set", f"{key}={json.dumps(value, ensure_ascii=False)}"]
        self._wait = [] if wait is None else [f"--wait={wait}"]

    def suggest(
        self,
        n: int = 1,
        *,
        fidelity: Optional[str] = None,
        mixture: Optional[Mixture] = None,
        dry_run: bool = False,
    ) -> List[Suggestion]:
        """The next `n` trials to train, recorded as pending unless `dry_run`.

        `mixture` puts a mixture of your own into the study, `n` times with different seeds, at the fidelity `fidelity`. If
        fewer new mixtures are left than asked for, there are fewer trials, and a warning.
        """
        options = ["-n", str(n)]
        if fidelity is not None:
            options += ["--fidelity", fidelity]
        if mixture is not None:
            options += ["--mixture", _named(mixture)]
        options += ["--dry-run"] if dry_run else self._wait
        output, error = _program.attempt(self._command("suggest", *options, "--format", "json"))
        if error is not None:
            if not output:
                raise error
            # The trials that there are have been recorded.
            warnings.warn(error.message, AdmireWarning, stacklevel=2)
        trials: List[Suggestion] = json.loads(output)["trials"]
        return trials

    def tell(
        self,
        trial: int,
        loss: Optional[SupportsFloat] = None,
        *,
        metrics: Optional[Mapping[str, SupportsFloat]] = None,
        se: Union[None, SupportsFloat, Mapping[str, SupportsFloat]] = None,
        cost: Optional[SupportsFloat] = None,
        outcome: Optional[Outcome] = None,
    ) -> None:
        """Reports how a trial ended: with a `loss` or `metrics`, as `Trial.finish` does, or with the `outcome` "failed",
        "diverged" or "cancel" (it waits and will not be run). Reporting the same twice is no error."""
        options = ["--trial", str(trial), *self._wait]
        if outcome is not None:
            if not all(value is None for value in (loss, metrics, se, cost)):
                raise TypeError("tell() takes either a result or an outcome")
            _program.call(self._command("tell", *options, f"--{outcome}"))
        else:
            text = json.dumps(result(loss, metrics, se, cost))
            _program.call(self._command("tell", *options, "--result", "/dev/stdin"), text)

    def best(self, *, alternatives: int = 0) -> Best:
        """The recommendation so far, with up to `alternatives` mixtures that are as good within the noise of a run."""
        options = ["--alternatives", str(alternatives)] if alternatives > 0 else []
        best: Best = self._document("best", *options)
        return best

    def predict(
        self,
        *mixtures: Mixture,
        against: Optional[Mixture] = None,
        fidelity: Optional[str] = None,
    ) -> Predictions:
        """What the model expects of mixtures, by default of the recommended one, at the target or at `fidelity`; with
        `against` also by how much they are better than that mixture."""
        options = [_named(mixture) for mixture in mixtures]
        if against is not None:
            options += ["--against", _named(against)]
        if fidelity is not None:
            options += ["--fidelity", fidelity]
        predictions: Predictions = self._document("predict", *options)
        return predictions

    def status(self, *, trials: bool = False) -> Status:
        """What runs, what failed and how far the study is; with `trials` also every trial, as `list`."""
        status: Status = self._document("status", *(["--trials"] if trials else []))
        return status

    def runs(self) -> Any:
        """The completed runs: a pandas DataFrame where pandas is installed, else a list of dicts.

        The columns are those of `admire export`: `run_id`, `fidelity`, `params`, `cost`, `w:web`, …, `y:loss`, ….
        """
        text = _program.call(self._command("export"))
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            return [{key: _cell(key, value) for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
        return pandas.read_csv(io.StringIO(text), dtype=dict.fromkeys(_TEXTS, str))

    def report(
        self, out: Union[None, str, os.PathLike[str]] = None, *, compare: Iterable[Mixture] = ()
    ) -> Report:
        """Writes the report as one HTML file, by default `report.html` in the study's folder. A notebook shows it."""
        options = [] if out is None else ["--out", os.fspath(out)]
        for mixture in compare:
            options += ["--compare", _named(mixture)]
        return Report(Path(_program.call(self._command("report", *options)).rstrip("\n")))

    def _command(self, name: str, *options: str) -> List[str]:
        return [name, *self._options, *options]

    def _document(self, name: str, *options: str) -> Any:
        return json.loads(_program.call(self._command(name, *options, "--format", "json")))


class Report:
    """The report of a study. In a notebook it shows itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """The HTML file."""

    def __repr__(self) -> str:
        return f"Report({str(self.path)!r})"

    def _repr_html_(self) -> str:
        # A page of its own: neither its style nor its scripts meet the notebook's.
        page = html.escape(self.path.read_text("utf-8"))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 45em; border: 0"></iframe>'


_TEXTS = ("run_id", "fidelity", "source", "corrected")
"""The columns of runs that are no numbers."""


def _cell(column: str, text: str) -> Union[None, str, float]:
    if column in _TEXTS:
        return text
    return float(text) if text else None


def _named(mixture: Mixture) -> str:
    if isinstance(mixture, str):
        return mixture
    return ",".join(f"{name}={float(weight)!r}" for name, weight in mixture.items())
