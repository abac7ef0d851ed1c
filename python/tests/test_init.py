"""What `admire init --trainer megatron` writes, with a stand-in for Megatron-LM that has its arguments and its log."""

import json
import os
import re
import subprocess
import sys

from admire import _program
from support import InFolder

TORCHRUN = """#!/bin/sh
shift 2
exec "$PYTHON" "$@"
"""
# Trains: its checkpoint is the blend. Validates: the loss falls with the share of the domain.
PRETRAIN = """
import argparse, json, os, sys

parser = argparse.ArgumentParser()
parser.add_argument("--data-path", nargs="*")
parser.add_argument("--skip-train", action="store_true")
for name in ["train-iters", "global-batch-size", "eval-iters", "num-layers", "hidden-size", "seed"]:
    parser.add_argument(f"--{name}", type=int)
for name in ["load", "save", "split"]:
    parser.add_argument(f"--{name}")
args, _ = parser.parse_known_args()
file = os.path.join(args.load, "blend.json")
if args.skip_train:
    with open(file) as blend:
        weights = json.load(blend)
    [path] = args.data_path
    weight = weights.get(path.replace("_validation", ""), 0)
    where = f"iteration {args.train_iters} on validation set"
    log = f" validation loss at {where} | lm loss value: {3 - weight:.6E} | lm loss PPL: 1.0E+01 |"
    print("-" * len(log), log, "-" * len(log), sep="\\n")
else:
    os.makedirs(args.save, exist_ok=True)
    pairs = dict(zip(args.data_path[1::2], map(float, args.data_path[::2])))
    with open(file, "w") as blend:
        json.dump(pairs, blend)
    print(json.dumps(vars(args)))
"""


class Megatron(InFolder):
    def setUp(self):
        super().setUp()
        self.write("pretrain_gpt.py", PRETRAIN)
        self.write("torchrun", TORCHRUN).chmod(0o755)
        os.environ["PATH"] = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        os.environ.update(PYTHON=sys.executable, MEGATRON=str(self.folder))
        self.admire("init", "--domains", "web,code", "--sizes", "10M,100M", "--trainer", "megatron")

    def admire(self, *arguments):
        call = [_program.find(), *arguments]
        done = subprocess.run(call, cwd=self.folder, capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_a_trial_trains_the_blend_and_measures_every_domain(self):
        command = json.dumps([sys.executable, "train.py"])
        self.admire("optimize", "--set", "budget.trials=2", "--set", f"launcher.command={command}")
        study = json.loads(self.admire("status", "--trials", "--format", "json"))
        self.assertEqual([trial["state"] for trial in study["list"]], ["complete"] * 2)
        [folder] = self.folder.glob("admire-runs/*/trials/0002")
        mixture = json.loads((folder / "mixture.json").read_text())
        log = (folder / "stdout.log").read_text()
        trained = json.loads(re.search(r"^\{.*\}$", log, re.MULTILINE)[0])
        weights = {f"data/{name}_text_document": weight for name, weight in mixture["weights"].items() if weight > 0}
        self.assertEqual(dict(zip(trained["data_path"][1::2], map(float, trained["data_path"][::2]))), weights)
        self.assertEqual(trained["train_iters"], round(mixture["tokens"] / 2048 / 256))
        self.assertEqual((trained["num_layers"], trained["hidden_size"]), (6, 384))
        losses = json.loads((folder / "result.json").read_text())["metrics"]
        for name, weight in mixture["weights"].items():
            self.assertAlmostEqual(losses[name], 3 - weight, places=5)

    def test_a_failure_of_megatron_is_one_of_the_trial(self):
        self.write("pretrain_gpt.py", "raise SystemExit(3)")
        command = json.dumps([sys.executable, "train.py"])
        call = [_program.find(), "check", "--trial", "--set", f"launcher.command={command}"]
        done = subprocess.run(call, cwd=self.folder, capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Megatron-LM ended with 3", done.stdout)
