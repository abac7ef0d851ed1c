"""The snippets of docs/python.md, the notebook and the scripts of `admire init` run as they are written."""

import functools
import json
import pathlib
import re
import socket
import subprocess
import sys
from unittest import mock

import nbclient
import nbformat
import pytorch_lightning
import torch
import transformers
from datasets import Dataset

import admire
from admire import _program
from support import InFolder
from test_huggingface import texts
from test_lightning import Line

REPOSITORY = pathlib.Path(__file__).parents[3]


def snippet(name):
    """The code of the block ```python,in=NAME of the page."""
    page = (REPOSITORY / "docs/python.md").read_text("utf-8")
    (code,) = re.findall(rf"^```python,in={name}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return code


class Page(InFolder):
    def test_by_hand(self):
        names = {"admire": admire}
        exec(snippet("plain"), names)
        self.assertEqual(names["trial"].tokens, 1_000_000)

    def test_pytorch(self):
        with self.as_trial(tokens=2048 * 64):
            names = {"trial": admire.trial(), "datasets": {"web": range(100), "code": range(100, 150)}}
            exec(snippet("torch"), names)
        self.assertEqual([len(batch) for batch in names["loader"]], [8] * 8)

    def test_hugging_face(self):
        data = {name: Dataset.from_list([{**row, "labels": row["input_ids"]} for row in texts(name, 40)]) for name in ("web", "code")}
        data = {name: rows.remove_columns(["domain", "number"]) for name, rows in data.items()}
        config = transformers.GPT2Config(vocab_size=100, n_positions=16, n_embd=16, n_layer=1, n_head=2)
        with self.as_trial(tokens=512):
            names = {"trial": admire.trial(), "datasets": data, "validation": data, "tokens_per_step": 128}
            names["model"] = transformers.GPT2LMHeadModel(config)
            # Whatever trackers are installed here, none is to start.
            with mock.patch("transformers.trainer.get_reporting_integration_callbacks", return_value=[]):
                exec(snippet("huggingface"), names)
        self.assertEqual(set(self.result()["metrics"]), {"web", "code"})
        self.assertEqual(names["trainer"].state.global_step, 4)

    def test_lightning(self):
        loader = torch.utils.data.DataLoader(torch.rand(200), batch_size=8)
        quiet = functools.partial(
            pytorch_lightning.Trainer, logger=False, enable_progress_bar=False, enable_model_summary=False
        )
        with self.as_trial(tokens=1600):
            names = {"trial": admire.trial(), "loader": loader, "validation": [loader, loader], "module": Line()}
            exec(snippet("lightning"), {**names, "tokens_per_step": 128, "Trainer": quiet})
        self.assertEqual([line["step"] for line in self.progress()], [10, 12])
        self.assertEqual(self.result(), {"metrics": self.progress()[-1]["metrics"]})


class Notebook(InFolder):
    def test_it_runs_and_shows_runs_and_report(self):
        notebook = nbformat.read(REPOSITORY / "examples/notebook.ipynb", as_version=4)
        nbformat.validate(notebook)
        client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(self.folder)}})
        client.execute()
        shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
        self.assertTrue(any("w:web" in data.get("text/html", "") for data in shown), shown)
        self.assertTrue(any("<iframe srcdoc=" in data.get("text/html", "") for data in shown))
        self.assertFalse([data for data in shown if not data], "something was printed")


class Init(InFolder):
    """The scripts that `admire init --trainer` writes train as they are."""

    def check(self, trainer, command):
        words = {"web": "the sun is warm and rain falls", "code": "def f(x): return x + 1"}
        data = self.folder / "data"
        data.mkdir()
        for domain, line in words.items():
            for suffix, lines in (("", 300), (".validation", 60)):
                (data / f"{domain}{suffix}.txt").write_text(f"{line}\n" * lines)
                (data / f"{domain}{suffix}.jsonl").write_text((json.dumps({"text": line}) + "\n") * lines)
        init = ["init", "--domains", "web,code", "--sizes", "1K,2K", "--trainer", trainer]
        check = ["check", "--trial", "--format", "json", "--set", f"launcher.command={json.dumps(command)}"]
        for arguments in (init, check):
            call = [_program.find(), *arguments]
            done = subprocess.run(call, cwd=self.folder, capture_output=True, encoding="utf-8", check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        trial = json.loads(done.stdout)["trial"]
        self.assertEqual((trial["state"], trial["result"], set(trial["metrics"])), ("complete", "file", {"web", "code"}))
        self.assertLess(trial["objective"], 7)

    def test_hugging_face(self):
        self.check("hf", [sys.executable, "train.py"])

    def test_pytorch_in_two_processes(self):
        # What torchrun does, which in Debian's PyTorch does not run on Python 3.11.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            variables = f"export MASTER_ADDR=127.0.0.1 MASTER_PORT={free.getsockname()[1]} WORLD_SIZE=2"
        rank = f"RANK=$rank LOCAL_RANK=$rank {sys.executable} train.py & pids=\"$pids $!\""
        both = f"{variables}; for rank in 0 1; do {rank}; done; for pid in $pids; do wait $pid || exit 1; done"
        self.check("torchrun", ["sh", "-c", both])
