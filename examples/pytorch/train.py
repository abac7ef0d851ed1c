#!/usr/bin/env python3
"""Trains a small byte-level GPT on a mixture of text domains: plain PyTorch, on the CPU, a GPU, or several (torchrun).

It stands for a team's own training script. What it has to do with `admire` is in `main`: it reads the weights, the size
and the seed, and writes the validation loss of every domain.
"""

import argparse
import json
import math
import os
import pathlib
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

CONTEXT = 64
BATCH = 8
VALIDATION_WINDOWS = 128
# Layers, width and largest learning rate.
SIZES = {"30k": (2, 32, 1e-2), "150k": (3, 64, 6e-3), "830k": (4, 128, 2e-3)}


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.heads = width // 32
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), -math.inf).triu(1))

    def forward(self, x):
        batch, length, width = x.shape
        split = lambda t: t.view(batch, length, self.heads, -1).transpose(1, 2)
        q, k, v = map(split, self.qkv(self.norm1(x)).chunk(3, dim=-1))
        scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads) + self.mask[:length, :length]
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, layers, width):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(256, width), nn.Embedding(CONTEXT, width)
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
        return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1)


def load(corpus):
    """Training and validation text of every domain, from what `tiny-lm prepare` left in the newest folder of `corpus`."""
    manifests = sorted(pathlib.Path(corpus).glob("*/manifest.json"), key=os.path.getmtime)
    if not manifests:
        raise SystemExit(f"no text in {corpus}; run: cargo run --release -p tiny-lm -- prepare")
    read = lambda path: torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    files = manifests[-1].parent.glob("*.train")
    return {path.stem: (read(path), read(path.with_suffix(".validation"))) for path in sorted(files)}


def cut(texts, unique_tokens):
    """The start of every domain's training text that this run may draw from. A small run sees a part of what a large one sees."""
    for domain, tokens in unique_tokens.items():
        training, validation = texts[domain]
        if not CONTEXT < tokens <= len(training):
            raise SystemExit(f"unique_tokens.{domain} is {tokens}: there are {len(training)} bytes of {domain}")
        texts[domain] = training[: int(tokens)], validation
    return texts


def sample(texts, weights, generator):
    """A batch of windows: for each a domain by its weight, then a place in its text."""
    windows = []
    for domain in torch.multinomial(weights, BATCH, replacement=True, generator=generator):
        text = texts[domain]
        start = torch.randint(len(text) - CONTEXT, (1,), generator=generator).item()
        windows.append(text[start : start + CONTEXT + 1])
    return torch.stack(windows).long()


@torch.no_grad()
def validate(model, text, device):
    starts = torch.linspace(0, len(text) - CONTEXT - 1, VALIDATION_WINDOWS).long()
    windows = torch.stack([text[s : s + CONTEXT + 1] for s in starts]).long()
    return model(windows.to(device)).mean().item()


def train(mixture, texts, device, rank, processes):
    layers, width, rate = SIZES[mixture["fidelity"]]
    torch.manual_seed(mixture["seed"])
    model = GPT(layers, width).to(device)
    parallel = nn.parallel.DistributedDataParallel(model) if processes > 1 else model
    steps = int(mixture["tokens"]) // (BATCH * CONTEXT * processes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.05)
    warm_up = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: (s + 1) / warm_up if s < warm_up else 0.05 + 0.475 * (1 + math.cos(math.pi * s / steps))
    )
    # Every process draws its own windows.
    generator = torch.Generator().manual_seed(mixture["seed"] + rank)
    weights = torch.tensor([mixture["weights"][domain] for domain in texts])
    training = [text for text, _ in texts.values()]
    if rank == 0:
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{parameters} parameters, {steps} steps on {processes} x {device}", flush=True)
    for step in range(steps):
        loss = parallel(sample(training, weights, generator).to(device)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if rank == 0 and (step + 1) % max(1, steps // 5) == 0:
            print(f"step {step + 1}: loss {loss.item():.4f}", flush=True)
    return {domain: validate(model, text, device) for domain, (_, text) in texts.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mixture", required=True, help="JSON: weights, fidelity, tokens, seed (as admire writes it)")
    parser.add_argument("--result", required=True, help="where the losses go")
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
    texts = load(args.corpus)
    if set(texts) != set(mixture["weights"]):
        raise SystemExit(f"the mixture is of {sorted(mixture['weights'])}, the text of {sorted(texts)}")
    # Only with limits.match_repetition: bytes of each domain, so that this run repeats them as the target run does.
    texts = cut(texts, mixture.get("unique_tokens", {}))
    losses = train(mixture, texts, device, rank, processes)
    if rank == 0:
        # Under another name first: admire never sees half a file. A loss that is NaN is written as NaN: diverged.
        temporary = args.result + ".tmp"
        with open(temporary, "w") as file:
            json.dump({"metrics": losses}, file)
        os.replace(temporary, args.result)
        print(f"{losses}\nin {time.monotonic() - started:.1f} s", flush=True)
    if processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
