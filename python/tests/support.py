"""What the tests share: a study with a loss that is known, and a process that is a trial."""

import contextlib
import json
import os
import pathlib
import tempfile
import unittest
from unittest import mock

CONFIG = """
[study]
name = "test"
seed = 1

[[domain]]
name = "web"

[[domain]]
name = "code"

[[fidelity]]
name = "1M"
params = 1e6
tokens = 4096
cost = 1
target = true

[objective]
metrics = { web = 1.0, code = 1.0 }

[budget]
trials = 4
"""

MIXTURE = {
    "weights": {"web": 0.75, "code": 0.25},
    "fidelity": "1M",
    "params": 1e6,
    "tokens": 4096.0,
    "seed": 5,
    "trial": 7,
}


def losses(weights):
    """The least mean is at web = 0.7."""
    distance = (weights["web"] - 0.7) ** 2
    return {"web": 2 + distance, "code": 3 + 2 * distance}


class InFolder(unittest.TestCase):
    """A test in an empty folder, with an environment of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ADMIRE_")}
        environment = mock.patch.dict(os.environ, clean, clear=True)
        environment.start()
        self.addCleanup(environment.stop)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    @contextlib.contextmanager
    def as_trial(self, **facts):
        """Within, this process has the environment of a trial with a mixture file of these facts."""
        self.write("mixture.json", json.dumps({**MIXTURE, **facts}))
        environment = {
            "ADMIRE_MIXTURE_FILE": str(self.folder / "mixture.json"),
            "ADMIRE_RESULT_FILE": str(self.folder / "result.2.json"),
            "ADMIRE_PROGRESS_FILE": str(self.folder / "progress.jsonl"),
            "ADMIRE_TRIAL_DIR": str(self.folder),
            "ADMIRE_ATTEMPT": "2",
        }
        with mock.patch.dict(os.environ, environment):
            yield

    def result(self):
        """What was reported as the result; None if nothing was."""
        path = self.folder / "result.2.json"
        return json.loads(path.read_text()) if path.exists() else None

    def progress(self):
        """What was reported on the way."""
        path = self.folder / "progress.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
