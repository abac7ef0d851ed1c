"""Hugging Face's datasets and Trainer, for a tiny model."""

import collections
import itertools
import logging
import math

import datasets
import torch
import transformers
from datasets import Dataset

import admire
from admire.huggingface import TrialCallback
from support import MIXTURE, InFolder

datasets.disable_progress_bars()
logging.disable(logging.WARNING)


def texts(domain, count):
    """Sequences of 16 tokens: those of `web` are below 50."""
    first = {"web": 0, "code": 50}[domain]
    for i in range(count):
        yield {"domain": domain, "number": i, "input_ids": [first + (i + j) % 50 for j in range(16)]}


def maps(count):
    return {name: Dataset.from_list(list(texts(name, count))) for name in ("web", "code")}


def batch(rows):
    tokens = torch.tensor([row["input_ids"] for row in rows])
    return {"input_ids": tokens, "labels": tokens}


class Interleaved(InFolder):
    def test_domains_come_in_proportion_to_their_weights(self):
        for kind in (maps(3000), {name: data.to_iterable_dataset() for name, data in maps(3000).items()}):
            mixed = admire.trial(default=MIXTURE).interleave(kind)
            first = list(itertools.islice(mixed, 2000))
            # 500 with a standard deviation of 19.
            self.assertLess(abs(sum(example["domain"] == "code" for example in first) - 500), 100)
            again = admire.trial(default=MIXTURE).interleave(kind)
            self.assertEqual(first[:50], list(itertools.islice(again, 50)))

    def test_a_small_run_draws_from_the_beginning_only(self):
        small = admire.trial(default={**MIXTURE, "unique_tokens": {"web": 160, "code": 80}})
        for kind in (maps(30), {name: data.to_iterable_dataset() for name, data in maps(30).items()}):
            seen = collections.defaultdict(set)
            for example in small.interleave(kind, tokens_per_sample=16):
                seen[example["domain"]].add(example["number"])
            self.assertEqual(seen, {"web": set(range(10)), "code": set(range(5))})
        with self.assertRaisesRegex(ValueError, "web has 8 samples, and the trial needs 10"):
            small.interleave(maps(8), tokens_per_sample=16)

    def test_a_domain_without_weight_is_left_out(self):
        only = admire.trial(default={"weights": {"web": 0.0, "code": 1.0}})
        self.assertEqual({example["domain"] for example in only.interleave(maps(5))}, {"code"})


class Callback(InFolder):
    def trainer(self, trial, callback, steps=6, sets=("web", "code"), **arguments):
        torch.manual_seed(trial.seed)
        config = transformers.GPT2Config(vocab_size=100, n_positions=16, n_embd=16, n_layer=1, n_head=2)
        validation = {name: Dataset.from_list(list(texts(name, 8))) for name in sets}
        trainer = transformers.Trainer(
            model=transformers.GPT2LMHeadModel(config),
            args=transformers.TrainingArguments(
                output_dir=str(trial.directory / "checkpoints"),
                max_steps=steps,
                per_device_train_batch_size=4,
                eval_strategy="steps",
                eval_steps=4,
                save_steps=4,
                logging_steps=1,
                seed=trial.seed,
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
                include_num_input_tokens_seen=True,
                **arguments,
            ),
            train_dataset=trial.interleave(maps(40)),
            eval_dataset=validation if len(sets) > 1 else validation[sets[0]],
            data_collator=batch,
            callbacks=[callback],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    def test_evaluations_are_reported_and_the_last_one_is_the_result(self):
        with self.as_trial():
            trial = admire.trial()
            self.trainer(trial, TrialCallback(trial)).train()
        progress = self.progress()
        self.assertEqual([(line["step"], line["tokens"]) for line in progress], [(4, 256), (6, 384)])
        for line in progress:
            self.assertEqual(set(line["metrics"]), {"web", "code"})
        self.assertEqual(self.result(), {"metrics": progress[-1]["metrics"]})
        self.assertTrue(all(3 < loss < 6 for loss in self.result()["metrics"].values()), self.result())

    def test_a_run_that_is_resumed_at_its_end_has_its_result(self):
        with self.as_trial():
            trial = admire.trial()
            self.trainer(trial, TrialCallback(trial), steps=4).train()
            result = self.result()
            (self.folder / "result.2.json").unlink()
            self.trainer(trial, TrialCallback(trial), steps=4).train(resume_from_checkpoint=True)
        self.assertEqual(self.result(), result)

    def test_metrics_can_have_names_of_their_own(self):
        with self.as_trial():
            trial = admire.trial()
            self.trainer(trial, TrialCallback(trial, {"quality": "eval_loss"}), steps=1, sets=("web",)).train()
            self.assertEqual(set(self.result()["metrics"]), {"quality"})
            self.trainer(trial, TrialCallback(trial), steps=1, sets=("web",)).train()
            self.assertEqual(set(self.result()["metrics"]), {"loss"})
            with self.assertRaisesRegex(RuntimeError, "the last step, 1, was not evaluated with any metric"):
                self.trainer(trial, TrialCallback(trial, {"web": "eval_nothing"}), steps=1).train()

    def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(self):
        with self.as_trial():
            trial = admire.trial()
            trainer = self.trainer(trial, TrialCallback(trial), steps=50, logging_nan_inf_filter=False)
            with torch.no_grad():
                trainer.model.transformer.wte.weight.fill_(math.nan)
            trainer.train()
        self.assertEqual(self.result(), {"diverged": "the training loss was nan at step 1"})
        self.assertEqual(trainer.state.global_step, 1)
