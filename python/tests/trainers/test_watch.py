"""A study in trackers, written by their own packages without a network."""

import csv
import io
import json
import os
import struct
import subprocess
import sys
import textwrap

import mlflow
from wandb.proto import wandb_internal_pb2

from admire import _program
from support import CONFIG, InFolder

# The second trial fails.
SCRIPT = textwrap.dedent("""
    import admire

    trial = admire.trial()
    if trial.number == 2:
        raise SystemExit("no data")
    trial.finish(metrics={"web": 2, "code": 2.5})
""")


class Tracked(InFolder):
    def play(self):
        """Plays a study of two trials, and keeps its events; the weights of the first trial."""
        self.write("study.toml", CONFIG)
        self.write("train.py", SCRIPT)
        launcher = {
            "command": [sys.executable, "train.py"],
            "on_event": ["sh", "-c", "cat >> events"],
            "retries": 0,
        }
        sets = [part for key, value in launcher.items() for part in ("--set", f"launcher.{key}={json.dumps(value)}")]
        command = [_program.find(), "optimize", "--config", "study.toml", "--set", "budget.trials=2", *sets]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads((self.folder / "admire-runs/test/trials/0001/mixture.json").read_text())["weights"]

    def track(self, tracker, **environment):
        """Gives the events of the study to the tracker."""
        os.environ.update(environment)
        for event in (self.folder / "events").read_text("utf-8").splitlines(keepends=True):
            # As `on_event` does. An event that ends no trial is none for a tracker.
            program = [sys.executable, "-m", f"admire.watch.{tracker}"]
            subprocess.run(program, input=event, cwd=self.folder, encoding="utf-8", check=True)

    def imported(self, tracker, store):
        """The rows that `admire import` makes of a store."""
        call = [_program.find(), "import", "--from", tracker, store]
        done = subprocess.run(call, cwd=self.folder, capture_output=True, encoding="utf-8", check=True)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def test_mlflow_has_a_run_per_trial(self):
        weights = self.play()
        # The folder is deprecated.
        for kept, store in [("mlflow.db", "sqlite:///{}/mlflow.db"), ("mlruns", "file:{}/mlruns")]:
            with self.subTest(kept):
                self.check_mlflow(kept, store.format(self.folder), weights)

    def check_mlflow(self, kept, store, weights):
        self.track("mlflow", MLFLOW_TRACKING_URI=store, MLFLOW_ALLOW_FILE_STORE="true")
        mlflow.set_tracking_uri(store)
        client = mlflow.MlflowClient(store)
        runs = client.search_runs([client.get_experiment_by_name("test").experiment_id])
        first, second = sorted(runs, key=lambda run: run.info.run_name)
        self.assertEqual([run.info.run_name for run in (first, second)], ["trial-1", "trial-2"])
        self.assertEqual([run.info.status for run in (first, second)], ["FINISHED", "FAILED"])
        self.assertEqual((first.data.tags["admire.trial"], first.data.tags["admire.state"]), ("1", "complete"))
        self.assertIn("exit status: 1", second.data.tags["admire.reason"])
        self.assertEqual(float(first.data.params["weights.web"]), weights["web"])
        self.assertEqual((first.data.params["fidelity"], float(first.data.params["params"])), ("1M", 1e6))
        # The way back: as the runs of another study.
        self.write("runs.csv", mlflow.search_runs([first.info.experiment_id]).to_csv(index=False))
        (row,) = self.imported("mlflow", kept)
        self.assertEqual([row], self.imported("mlflow", "runs.csv"))
        self.assertEqual((row["run_id"], row["fidelity"], float(row["y:web"])), (first.info.run_id, "1M", 2.0))
        self.assertAlmostEqual(float(row["w:web"]), weights["web"])
        self.assertEqual((first.data.metrics["web"], first.data.metrics["admire.objective"]), (2.0, 2.25))

    def test_weights_and_biases_has_a_run_per_trial(self):
        weights = self.play()
        self.track("wandb", WANDB_MODE="offline", WANDB_DIR=str(self.folder))
        runs = {}
        for path in self.folder.glob("wandb/offline-run-*/run-*.wandb"):
            records = list(read(path))
            (run,) = (record.run for record in records if record.HasField("run"))
            runs[run.display_name] = run, records
        self.assertEqual(sorted(runs), ["trial-1", "trial-2"])
        run, records = runs["trial-1"]
        self.assertEqual((run.project, run.run_group, list(run.tags)), ("test", "test", ["complete"]))
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        self.assertEqual((config["weights"], config["fidelity"], config["params"]), (weights, "1M", 1e6))
        history = [values(record.history.item) for record in records if record.HasField("history")]
        self.assertEqual((history[-1]["web"], history[-1]["code"]), (2, 2.5))
        codes = {name: exit_code(records) for name, (_, records) in runs.items()}
        self.assertEqual(codes, {"trial-1": 0, "trial-2": 1})
        self.assertIn("exit status: 1", runs["trial-2"][0].notes)
        # The way back: as the runs of another study.
        (row,) = self.imported("wandb", "wandb")
        self.assertEqual((row["run_id"], row["fidelity"], float(row["y:web"])), (run.run_id, "1M", 2.0))
        self.assertAlmostEqual(float(row["w:web"]), weights["web"])


BLOCK, WHOLE, LAST = 1 << 15, 1, 4


def read(path):
    """The records of an offline run: a log as LevelDB has it, after a header of seven bytes."""
    data, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def values(items):
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def exit_code(records):
    return next(record.exit.exit_code for record in records if record.HasField("exit"))
