"""Trains the mixture of a trial with Megatron-LM, and measures the loss on every domain; `admire` starts it.

Every domain is what Megatron-LM's tools/preprocess_data.py makes of it, data/NAME_text_document, and so is its validation
text, data/NAME_validation_text_document. Replace what is marked. It needs torchrun and the package admire, and Megatron-LM in
the folder that the environment variable MEGATRON names.
"""

import os
import re
import subprocess
import sys

import admire

SEQUENCE = 2048
BATCH = 256  # sequences per step: yours
VALIDATION_STEPS = 20  # of so many sequences: yours
TOKENIZER = ["--tokenizer-type", "HuggingFaceTokenizer", "--tokenizer-model", "gpt2"]  # yours
OPTIMIZER = ["--lr", "3e-4", "--min-lr", "3e-5", "--lr-decay-style", "cosine", "--lr-warmup-fraction", "0.01", "--bf16"]  # yours


def model(params):
    """Arguments of a model of about so many parameters, with a layer per 64 of its width: your architecture."""
    layers = max(1, round((params / 12 / 64**2) ** (1 / 3)))
    shape = {"num-layers": layers, "hidden-size": 64 * layers, "num-attention-heads": layers}
    return [text for name, value in shape.items() for text in (f"--{name}", str(value))]


def megatron(arguments):
    """Runs Megatron-LM on the GPUs of this machine, and returns the last loss that it measured on validation data."""
    script = os.path.join(os.environ.get("MEGATRON", "Megatron-LM"), "pretrain_gpt.py")
    command = ["torchrun", "--standalone", "--nproc_per_node=gpu", script, *arguments]
    loss = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            measured = re.search(r"validation loss at .*?\| lm loss value: (\S+)", line)
            loss = float(measured[1]) if measured else loss
    if process.returncode != 0:
        sys.exit(f"Megatron-LM ended with {process.returncode}")
    return loss


trial = admire.trial()
steps = max(1, round(trial.tokens / (SEQUENCE * BATCH)))
checkpoints = str(trial.directory / "checkpoints")
common = [
    *(*model(trial.params), *TOKENIZER, *OPTIMIZER),
    *("--seq-length", str(SEQUENCE), "--max-position-embeddings", str(SEQUENCE)),
    *("--micro-batch-size", "4", "--global-batch-size", str(BATCH)),
    *("--train-iters", str(steps), "--seed", str(trial.seed % 2**31), "--load", checkpoints),
]
blend = [text for name, weight in trial.weights.items() if weight > 0 for text in (str(weight), f"data/{name}_text_document")]
saves = ["--save", checkpoints, "--save-interval", str(max(1, steps // 10))]
# An attempt that goes on in the folder of one that died goes on from its last checkpoint.
megatron([*common, *saves, "--data-path", *blend, "--split", "100,0,0", "--eval-iters", "0"])
losses = {}
for name in trial.weights:
    validation = ["--data-path", f"data/{name}_validation_text_document", "--split", "0,100,0"]
    loss = megatron([*common, "--skip-train", *validation, "--eval-iters", str(VALIDATION_STEPS)])
    if loss is None:
        sys.exit(f"Megatron-LM has measured no validation loss on {name}")
    losses[name] = loss
trial.finish(metrics=losses)
