"""Trains a transformer on the mixture of a trial with PyTorch, on one device or several (torchrun); `admire` starts it.

Every domain is a file data/NAME.txt, in random order, and data/NAME.validation.txt. Replace what is marked: the tokenizer,
the model, the batch. It needs torch and the package admire.
"""

import os
from pathlib import Path

import admire
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

CONTEXT = 128
BATCH = 8  # sequences per step and device: yours


class Text:
    """Sequences of CONTEXT + 1 tokens. Bytes take the place of tokens: your tokenizer."""

    def __init__(self, domain, suffix=""):
        text = bytearray(Path(f"data/{domain}{suffix}.txt").read_bytes())
        self.tokens = torch.frombuffer(text, dtype=torch.uint8)

    def __len__(self):
        return (len(self.tokens) - 1) // CONTEXT

    def __getitem__(self, index):
        return self.tokens[index * CONTEXT : (index + 1) * CONTEXT + 1].long()


class Model(nn.Module):
    """A model of about so many parameters, with a layer per 64 of its width: your architecture."""

    def __init__(self, params):
        super().__init__()
        width = max(32, 32 * round((64 / 12 * params) ** (1 / 3) / 32))
        self.embedding, self.places = nn.Embedding(256, width), nn.Embedding(CONTEXT, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        layer = nn.TransformerEncoderLayer(width, width // 32, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, max(1, width // 64), nn.LayerNorm(width))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT))

    def forward(self, sequences):
        """The mean loss of predicting every token from those before it."""
        x = self.embedding(sequences[:, :-1]) + self.places.weight
        logits = self.layers(x, self.mask) @ self.embedding.weight.T
        return F.cross_entropy(logits.transpose(1, 2), sequences[:, 1:])


@torch.no_grad()
def validate(model, validation, device):
    model.eval()
    losses = {}
    for domain, text in validation.items():
        batches = [model(batch.to(device)).item() for batch in DataLoader(text, batch_size=BATCH, drop_last=True)]
        losses[domain] = sum(batches) / len(batches)
    model.train()
    return losses


processes, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
if processes > 1:
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"

trial = admire.trial()
torch.manual_seed(trial.seed)
model = Model(trial.params).to(device)
parallel = nn.parallel.DistributedDataParallel(model) if processes > 1 else model
sampler = trial.sampler({domain: Text(domain) for domain in trial.weights}, tokens_per_sample=CONTEXT)
loader = DataLoader(sampler.dataset, batch_size=BATCH, sampler=sampler, drop_last=True)
validation = {domain: Text(domain, ".validation") for domain in trial.weights}
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=len(loader), pct_start=0.1)
for step, batch in enumerate(loader, start=1):
    loss = parallel(batch.to(device))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if step % (len(loader) // 10 + 1) == 0:
        trial.report(step, step * BATCH * CONTEXT * processes, **validate(model, validation, device))
trial.finish(metrics=validate(model, validation, device))
if processes > 1:
    dist.destroy_process_group()
