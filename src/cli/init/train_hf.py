"""Trains a Llama on the mixture of a trial with Hugging Face's Trainer; `admire` starts it.

Every domain is a file data/NAME.jsonl, in random order, whose lines have a `text`, and data/NAME.validation.jsonl. Replace
what is marked: the tokenizer, the model, the batch. It needs transformers, accelerate, datasets and the package admire.
"""

import admire
from admire.huggingface import TrialCallback
from datasets import load_dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, default_data_collator

CONTEXT = 128
BATCH = 8  # sequences per step and device: yours


def tokenize(examples):
    """Sequences of CONTEXT tokens. Bytes take the place of tokens: your tokenizer."""
    stream = [byte for text in examples["text"] for byte in text.encode() + b"\n"]
    starts = range(0, len(stream) - CONTEXT + 1, CONTEXT)
    sequences = [stream[start : start + CONTEXT] for start in starts]
    return {"input_ids": sequences, "labels": sequences}


def load(domain, suffix):
    data = load_dataset("json", data_files=f"data/{domain}{suffix}.jsonl", split="train")
    return data.map(tokenize, batched=True, remove_columns=data.column_names)


def build(params):
    """A model of about so many parameters, with a layer per 64 of its width: your architecture."""
    width = max(32, 32 * round((64 / 12 * params) ** (1 / 3) / 32))
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=max(1, width // 64),
        num_attention_heads=width // 32,
        max_position_embeddings=CONTEXT,
    )
    return LlamaForCausalLM(config)


trial = admire.trial()
arguments = TrainingArguments(
    output_dir=str(trial.directory / "checkpoints"),
    per_device_train_batch_size=BATCH,
    learning_rate=1e-3,
    lr_scheduler_type="cosine",
    warmup_ratio=0.1,
    eval_strategy="steps",
    eval_steps=0.1,
    save_steps=0.2,
    save_total_limit=1,
    seed=trial.seed,
    report_to=[],
)
arguments.max_steps = max(1, trial.tokens // (BATCH * CONTEXT * arguments.world_size))
trainer = Trainer(
    model_init=lambda: build(trial.params),
    args=arguments,
    train_dataset=trial.interleave(
        {domain: load(domain, "") for domain in trial.weights}, tokens_per_sample=CONTEXT
    ),
    eval_dataset={domain: load(domain, ".validation") for domain in trial.weights},
    data_collator=default_data_collator,
    callbacks=[TrialCallback(trial)],
)
trainer.train(resume_from_checkpoint=any(trial.directory.glob("checkpoints/checkpoint-*")))
