#!/usr/bin/env python3
"""Trains a small byte-level GPT on a mixture of text domains: plain PyTorch, on the CPU, a GPU, or several (torchrun).

It stands for a team's own training script. What it has to do with `admire` is in `main`, `report` and `Stop`: it reads the
weights, the size and the seed, says on its way how far it is, and writes the validation loss of every domain.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import signal
import sys
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

# Windows of each domain's validation text, in the end and on the way.
VALIDATION_WINDOWS, WINDOWS_ON_THE_WAY = 128, 32
# Exit code of a process that was asked to end: 128 and the number of SIGTERM, as shells have it.
ENDED = 143
# From PyTorch 2 on, and far faster on a GPU.
fused_attention = getattr(F, "scaled_dot_product_attention", None)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.heads = width // 32
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        split = lambda t: t.view(batch, length, self.heads, -1).transpose(1, 2)
        q, k, v = map(split, self.qkv(self.norm1(x)).chunk(3, dim=-1))
        if fused_attention:
            mixed = fused_attention(q, k, v, is_causal=True)
        else:
            mask = torch.full((length, length), -math.inf, device=x.device).triu(1)
            mixed = (q @ k.transpose(2, 3) / math.sqrt(width // self.heads) + mask).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, layers, width, context):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(256, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.5 / math.sqrt(width))

    def forward(self, windows):
        """Loss of every byte of the windows but the first, in nats; a mean for each window."""
        inputs, targets = windows[:, :-1], windows[:, 1:]
        x = self.embedding(inputs) + self.positions.weight[: inputs.shape[1]]
        logits = self.norm(self.blocks(x)) @ self.embedding.weight.T
        return F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none").mean(1)


def shape(params, context):
    """Layers and width of the model that has about so many parameters: two layers of width 32, one more whenever that doubles."""
    candidates = [(2 + round(math.log2(width / 32)), width) for width in range(32, 4096, 32)]
    count = lambda layers, width: width * (12 * layers * width + 13 * layers + 258 + context)
    return min(candidates, key=lambda candidate: abs(count(*candidate) - params))


class Texts:
    """Training and validation text of every domain, on the device, from what `tiny-lm prepare` left in the newest folder of `corpus`."""

    def __init__(self, corpus, unique_tokens, context, device):
        manifests = sorted(pathlib.Path(corpus).glob("*/manifest.json"), key=os.path.getmtime)
        if not manifests:
            raise SystemExit(f"no text in {corpus}; run: cargo run --release -p tiny-lm -- prepare")
        read = lambda path: torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        files = {path.stem: path for path in sorted(manifests[-1].parent.glob("*.train"))}
        self.domains, self.context, self.device = list(files), context, device
        training = {domain: cut(domain, read(path), unique_tokens, context) for domain, path in files.items()}
        self.validation = {domain: read(path.with_suffix(".validation")).to(device) for domain, path in files.items()}
        self.training = torch.cat(list(training.values())).to(device)
        self.lengths = torch.tensor([len(text) for text in training.values()])
        self.starts = self.lengths.cumsum(0) - self.lengths

    def windows(self, text, starts):
        return text[(starts[:, None] + torch.arange(self.context + 1)).to(self.device)].long()

    def sample(self, weights, batch, generator):
        """A batch of windows: for each a domain by its weight, then a place in its text."""
        domains = torch.multinomial(weights, batch, replacement=True, generator=generator)
        places = torch.rand(batch, dtype=torch.float64, generator=generator) * (self.lengths[domains] - self.context)
        return self.windows(self.training, self.starts[domains] + places.long())

    @torch.no_grad()
    def validate(self, model, windows):
        """The loss on each domain, over so many windows of its text, evenly spread; the same ones for all runs."""
        losses = {}
        for domain, text in self.validation.items():
            starts = torch.linspace(0, len(text) - self.context - 1, windows).long()
            parts = [model(self.windows(text, part)) for part in starts.split(32)]
            losses[domain] = torch.cat(parts).mean().item()
        return losses


def cut(domain, text, unique_tokens, context):
    """The start of a domain's training text that this run may draw from. A small run sees a part of what a large one sees."""
    tokens = unique_tokens.get(domain, len(text))
    if not context < tokens <= len(text):
        raise SystemExit(f"unique_tokens.{domain} is {tokens}: there are {len(text)} bytes of {domain}")
    return text[: int(tokens)]


class Stop:
    """Whether the run was asked to end, by SIGTERM: it then keeps what it has and goes, instead of being killed later."""

    def __init__(self, processes):
        self.processes, self.asked = processes, False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "asked", True))

    def now(self, device):
        if self.processes == 1:
            return self.asked
        # All processes leave at the same step.
        asked = torch.tensor(int(self.asked), device=device)
        dist.all_reduce(asked, op=dist.ReduceOp.MAX)
        return bool(asked)


def report(path, step, tokens, losses):
    """Says how far the run is: a line at the end of the progress file."""
    if path:
        with open(path, "a") as file:
            file.write(json.dumps({"step": step, "tokens": tokens, "metrics": losses}) + "\n")


def replace(path, write):
    """Writes a file under another name first: nobody ever sees half of it."""
    temporary = f"{path}.tmp"
    write(temporary)
    os.replace(temporary, path)


def train(mixture, texts, args, device, rank, processes):
    stop = Stop(processes)
    layers, width = shape(mixture["params"], args.context)
    torch.manual_seed(mixture["seed"])
    model = GPT(layers, width, args.context).to(device)
    parallel = nn.parallel.DistributedDataParallel(model) if processes > 1 else model
    per_step = args.batch * args.context * processes
    steps = int(mixture["tokens"]) // per_step
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.32 / width, betas=(0.9, 0.95), weight_decay=0.05)
    warm_up = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: (s + 1) / warm_up if s < warm_up else 0.05 + 0.475 * (1 + math.cos(math.pi * s / steps))
    )
    # Half precision where it is fast.
    precision = torch.autocast("cuda", torch.bfloat16) if device.startswith("cuda") else contextlib.nullcontext()
    weights = torch.tensor([mixture["weights"][domain] for domain in texts.domains])
    # A run that was ended goes on from here.
    checkpoint = os.path.join(os.environ.get("ADMIRE_TRIAL_DIR", "."), "checkpoint.pt") if args.checkpoints else None
    first = 0
    if checkpoint and os.path.exists(checkpoint):
        saved = torch.load(checkpoint, map_location=device)
        for part, state in zip((model, optimizer, schedule), saved["states"]):
            part.load_state_dict(state)
        first = saved["step"]
    if rank == 0:
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{parameters} parameters, steps {first} to {steps} on {processes} x {device}", flush=True)
    every = args.report_every or max(1, steps // 20)
    for step in range(first, steps):
        # Every process draws its own windows, and after a checkpoint those that it would have drawn.
        generator = torch.Generator().manual_seed((mixture["seed"] * steps + step) * processes + rank)
        with precision:
            loss = parallel(texts.sample(weights, args.batch, generator)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        done = step + 1
        stopping = stop.now(device) and done < steps
        if rank == 0 and (stopping or done < steps and done % every == 0):
            with precision:
                losses = texts.validate(model, WINDOWS_ON_THE_WAY)
            report(args.progress, done, done * per_step, losses)
            print(f"step {done}: loss {loss.item():.4f}", flush=True)
        if stopping:
            if rank == 0 and checkpoint:
                states = [part.state_dict() for part in (model, optimizer, schedule)]
                replace(checkpoint, lambda path: torch.save({"step": done, "states": states}, path))
            sys.exit(ENDED)
    with precision:
        return texts.validate(model, VALIDATION_WINDOWS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mixture", required=True, help="JSON: weights, params, tokens, seed (as admire writes it)")
    parser.add_argument("--result", required=True, help="where the losses go")
    parser.add_argument("--progress", help="where the losses on the way go, a line of JSON for each report")
    parser.add_argument("--report-every", type=int, help="steps from one report to the next [default: a 20th of the run]")
    parser.add_argument("--checkpoints", action="store_true", help="when ended, keep a checkpoint to go on from")
    parser.add_argument("--context", type=int, default=64, help="bytes of a window")
    parser.add_argument("--batch", type=int, default=8, help="windows of a step, in each process")
    parser.add_argument("--corpus", default=".cache/tiny-lm", help="where `tiny-lm prepare` keeps the text")
    args = parser.parse_args()
    started = time.monotonic()
    # torchrun says how many processes there are, and which this is.
    processes, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if processes > 1:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    # One of those in CUDA_VISIBLE_DEVICES: with one visible GPU it is 0, whatever its number in the machine.
    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))

    with open(args.mixture) as file:
        mixture = json.load(file)
    # unique_tokens is there only with limits.match_repetition: bytes of each domain, so that this run repeats them as the target run does.
    texts = Texts(args.corpus, mixture.get("unique_tokens", {}), args.context, device)
    if set(texts.domains) != set(mixture["weights"]):
        raise SystemExit(f"the mixture is of {sorted(mixture['weights'])}, the text of {sorted(texts.domains)}")
    losses = train(mixture, texts, args, device, rank, processes)
    if rank == 0:
        # A loss that is NaN is written as NaN: diverged.
        replace(args.result, lambda path: pathlib.Path(path).write_text(json.dumps({"metrics": losses})))
        print(f"{losses}\nin {time.monotonic() - started:.1f} s", flush=True)
    if processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
