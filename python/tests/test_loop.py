"""Training scripts that use the package, started by `admire optimize`."""

import json
import subprocess
import sys
import textwrap
import unittest

import admire
from admire import _program
from support import CONFIG, InFolder

SCRIPT = textwrap.dedent("""
    import os
    import admire

    trial = admire.trial()
    assert trial.directory.is_dir() and trial.number == int(os.environ["ADMIRE_TRIAL_ID"])
    rank = int(os.environ.get("RANK", 0))
    for step in (1, 2):
        trial.report(step=step, tokens=step * trial.tokens / 2, web=3, code=4 + rank)
    if trial.weights["web"] > 0.99:
        trial.diverged("all web")
    else:
        trial.finish(metrics={"web": 2 + trial.weights["code"], "code": 3 + rank}, se=0.01)
""")


class Optimize(InFolder):
    def setUp(self):
        super().setUp()
        self.write("study.toml", CONFIG)
        self.write("train.py", SCRIPT)

    def options(self, command):
        launcher = {"launcher.command": command, "launcher.slots": 2, "launcher.retry_diverged": 0}
        sets = [part for key, value in launcher.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        return ["--config", "study.toml", "--dir", "runs", *sets]

    def admire(self, name, command):
        call = [_program.find(), name, *self.options(command), "--format", "json"]
        done = subprocess.run(call, cwd=self.folder, capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def states(self):
        trials = admire.Study(self.folder / "study.toml", dir=self.folder / "runs").status(trials=True)["list"]
        return [(trial["state"], trial["objective"]) for trial in trials]

    def test_results_arrive_and_those_that_diverge_do_so(self):
        study = admire.Study(self.folder / "study.toml", dir=self.folder / "runs")
        study.suggest(mixture={"web": 1.0}, fidelity="1M")
        study.suggest(mixture={"web": 0.5, "code": 0.5}, fidelity="1M")
        self.admire("optimize", [sys.executable, "train.py"])
        states = self.states()
        self.assertEqual(states[:2], [("diverged", None), ("complete", 2.75)])
        self.assertEqual(len(states), 4)

    def test_the_first_of_several_processes_reports(self):
        both = f"RANK=0 {sys.executable} train.py & RANK=1 {sys.executable} train.py & wait"
        self.admire("optimize", ["sh", "-c", both])
        results = [json.loads(file.read_text()) for file in self.folder.glob("runs/trials/*/result.json")]
        self.assertEqual(len(results), 4)
        self.assertTrue(all(result.get("diverged") or result["metrics"]["code"] == 3 for result in results), results)


if __name__ == "__main__":
    unittest.main()
