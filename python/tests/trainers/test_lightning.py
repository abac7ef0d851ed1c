"""Lightning's Trainer, for a tiny model."""

import logging
import math
import warnings

import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader

import admire
from admire.lightning import TrialCallback
from support import InFolder

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="pytorch_lightning")

DATA = {"web": torch.arange(40.0) / 40, "code": -torch.arange(40.0) / 40}


class Line(lightning.LightningModule):
    """Learns that y is 2 x."""

    def __init__(self, start=0.0):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(start))

    def training_step(self, x, index):
        return ((self.slope * x - 2 * x) ** 2).mean()

    def validation_step(self, x, index, dataloader_idx=0):
        name = ("web", "code")[dataloader_idx]
        self.log(f"val_{name}", ((self.slope * x - 2 * x) ** 2).mean(), add_dataloader_idx=False)

    def _register_sharded_tensor_state_dict_hooks_if_available(self):
        """Nothing: Debian's PyTorch 1.13 cannot import what this needs with Python 3.11."""

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Callback(InFolder):
    def fit(self, trial, metrics=None, module=None, **arguments):
        sampler = trial.sampler(DATA, samples=80)
        self.validation = [DataLoader(DATA[name], batch_size=40) for name in ("web", "code")]
        trainer = lightning.Trainer(
            accelerator="cpu",
            default_root_dir=str(trial.directory),
            callbacks=[TrialCallback(trial, metrics)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **arguments,
        )
        trainer.fit(module or Line(), DataLoader(sampler.dataset, batch_size=8, sampler=sampler), self.validation)
        return trainer

    def test_validations_are_reported_and_the_last_one_is_the_result(self):
        with self.as_trial():
            trial = admire.trial()
            self.fit(trial, {"web": "val_web", "code": "val_code"}, max_epochs=2)
        progress = self.progress()
        self.assertEqual([line["step"] for line in progress], [10, 20])
        self.assertEqual(self.result(), {"metrics": progress[-1]["metrics"]})
        self.assertEqual(set(self.result()["metrics"]), {"web", "code"})
        self.assertLess(progress[1]["metrics"]["web"], progress[0]["metrics"]["web"])

    def test_without_names_all_that_is_logged_is_reported(self):
        with self.as_trial():
            self.fit(admire.trial(), max_epochs=1)
        self.assertEqual(set(self.result()["metrics"]), {"val_web", "val_code"})

    def test_the_last_step_is_validated(self):
        with self.as_trial():
            self.fit(admire.trial(), max_steps=13, max_epochs=-1)
        self.assertEqual([line["step"] for line in self.progress()], [10, 13])
        self.assertEqual(self.result(), {"metrics": self.progress()[-1]["metrics"]})

    def test_where_training_ends_between_validations_a_validation_finishes(self):
        with self.as_trial():
            trial = admire.trial()
            with self.assertWarnsRegex(UserWarning, "no result yet: the last step, 30, was not validated"):
                trainer = self.fit(trial, max_epochs=3, check_val_every_n_epoch=2)
            self.assertIsNone(self.result())
            trainer.validate(trainer.lightning_module, self.validation, verbose=False)
        self.assertEqual(self.result(), {"metrics": self.progress()[-1]["metrics"]})
        self.assertEqual([line["step"] for line in self.progress()], [20, 30])

    def test_a_loss_that_is_not_finite_is_reported_as_such(self):
        with self.as_trial():
            self.fit(admire.trial(), module=Line(math.nan), max_epochs=1)
        self.assertTrue(math.isnan(self.result()["metrics"]["val_web"]))
