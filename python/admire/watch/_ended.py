"""A trial that has ended, from an event of `launcher.on_event` and the study's journal (docs/journal.md)."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

_STATES = {"trial_complete": "complete", "trial_failed": "failed", "trial_diverged": "diverged"}


@dataclass(frozen=True)
class Point:
    """Metrics on the way, at a time in seconds since 1970."""

    time: float
    step: int
    metrics: Dict[str, float]


@dataclass(frozen=True)
class Ended:
    """A trial that is complete or given up."""

    study: str
    number: int
    state: str
    """`complete`, `failed` or `diverged`."""
    reason: Optional[str]
    """Why it was given up."""
    facts: Dict[str, Any]
    """What was trained: `fidelity`, `params`, `tokens`, `seed`, `purpose`, as far as the journal has them."""
    weights: Dict[str, float]
    curve: List[Point]
    """What the last attempt reported on its way; the result is the last point."""
    summary: Dict[str, float]
    """`objective`, `cost` and `duration_s`, as far as they are known."""
    started: float
    ended: float

    @property
    def name(self) -> str:
        """The name of the trial's run in a tracker."""
        return f"trial-{self.number}"


def ended() -> Optional[Ended]:
    """The trial of the event on stdin; None if the event is another one."""
    event = json.loads(sys.stdin.readline())
    if event["event"] not in _STATES:
        return None
    with open(Path(event["dir"]) / "journal.jsonl", encoding="utf-8") as journal:
        header = json.loads(next(journal))
        return _ended(event, header, (json.loads(line) for line in journal if line.endswith("}\n")))


def _ended(event: Dict[str, Any], header: Dict[str, Any], events: Iterable[Dict[str, Any]]) -> Ended:
    mine = [other for other in events if other.get("trial") == event["trial"]]
    (suggested,) = (other for other in mine if other["event"] == "suggested")
    begins = [i for i, other in enumerate(mine) if other["event"] == "launched"]
    attempt = mine[begins[-1] if begins else 0 :]
    curve = [
        Point(other["time"], int(other["step"] if "step" in other else other["tokens"]), other["metrics"])
        for other in attempt
        if other["event"] == "progress"
    ]
    last_step = curve[-1].step if curve else 0
    curve += [Point(other["time"], last_step, other["metrics"]) for other in attempt if other["event"] == "completed"]
    fidelity = suggested["fidelity"]
    facts = {
        "fidelity": fidelity,
        **header.get("sizes", {}).get(fidelity, {}),
        **{key: suggested[key] for key in ("seed", "purpose")},
    }
    summary = {key: event[key] for key in ("objective", "cost", "duration_s")}
    return Ended(
        study=event["study"],
        number=event["trial"],
        state=_STATES[event["event"]],
        reason=event["reason"],
        facts={key: value for key, value in facts.items() if value is not None and key != "cost"},
        weights=suggested["weights"],
        curve=curve,
        summary={key: value for key, value in summary.items() if value is not None},
        started=attempt[0]["time"],
        ended=mine[-1]["time"],
    )
