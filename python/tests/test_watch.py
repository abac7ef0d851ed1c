"""What a tracker is told of a trial: from the event and the journal."""

import io
import json
import unittest
from unittest import mock

from admire.watch._ended import Point, ended
from support import InFolder

SIZES = {"1M": {"params": 1e6, "tokens": None, "cost": 1.0}}
JOURNAL = [
    {"time": 1, "event": "study", "format": 10, "name": "test", "sizes": SIZES},
    {"time": 2, "event": "suggested", "trial": 1, "fidelity": "1M", "weights": {"web": 1.0}, "seed": 5, "purpose": "search"},
    {"time": 3, "event": "launched", "trial": 1, "attempt": 1},
    {"time": 4, "event": "progress", "trial": 1, "attempt": 1, "step": 10, "metrics": {"loss": 9.0}},
    {"time": 5, "event": "failed", "trial": 1, "attempt": 1, "reason": "a node died", "final": False},
    {"time": 6, "event": "suggested", "trial": 2, "fidelity": "1M", "weights": {"web": 0.5}, "seed": 6, "purpose": "search"},
    {"time": 7, "event": "launched", "trial": 1, "attempt": 2},
    {"time": 8, "event": "progress", "trial": 1, "attempt": 2, "step": 10, "metrics": {"loss": 4.0}},
    {"time": 9, "event": "progress", "trial": 2, "attempt": 1, "step": 10, "metrics": {"loss": 5.0}},
    {"time": 10, "event": "progress", "trial": 1, "attempt": 2, "tokens": 2000, "metrics": {"loss": 3.0}},
]
COMPLETED = {"time": 11, "event": "completed", "trial": 1, "metrics": {"loss": 2.5, "other": 1.0}}
EVENT = {"study": "test", "trial": 1, "objective": 2.5, "cost": 1.0, "duration_s": None, "reason": None}


class Ended(InFolder):
    def ended(self, name, last, **facts):
        lines = [json.dumps(event) for event in [*JOURNAL, last]]
        # The writer may be in the middle of a line.
        self.write("journal.jsonl", "\n".join(lines) + '\n{"time": 12, "ev')
        event = json.dumps({**EVENT, "event": name, "dir": str(self.folder), **facts})
        with mock.patch("sys.stdin", io.StringIO(event + "\n")):
            return ended()

    def test_a_complete_trial_has_the_curve_of_its_last_attempt_and_the_result(self):
        trial = self.ended("trial_complete", COMPLETED)
        self.assertEqual((trial.name, trial.study, trial.state), ("trial-1", "test", "complete"))
        self.assertEqual(trial.weights, {"web": 1.0})
        self.assertEqual(trial.facts, {"fidelity": "1M", "params": 1e6, "seed": 5, "purpose": "search"})
        points = [Point(8, 10, {"loss": 4.0}), Point(10, 2000, {"loss": 3.0}), Point(11, 2000, COMPLETED["metrics"])]
        self.assertEqual(trial.curve, points)
        self.assertEqual(trial.summary, {"objective": 2.5, "cost": 1.0})
        self.assertEqual((trial.started, trial.ended), (7, 11))

    def test_a_trial_that_is_given_up_has_the_reason(self):
        last = {"time": 11, "event": "diverged", "trial": 1, "attempt": 2, "final": True}
        trial = self.ended("trial_diverged", last, objective=None, reason="metric loss is NaN")
        self.assertEqual((trial.state, trial.reason), ("diverged", "metric loss is NaN"))
        self.assertEqual([point.step for point in trial.curve], [10, 2000])

    def test_other_events_are_nothing_to_a_tracker(self):
        for name in ("trial_started", "trial_retried", "study_stopped"):
            self.assertIsNone(self.ended(name, COMPLETED))


if __name__ == "__main__":
    unittest.main()
