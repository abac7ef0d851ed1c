"""What a training script is told, and what it reports."""

import contextlib
import io
import json
import math
import os
import pathlib
import unittest
from unittest import mock

import admire
from support import MIXTURE, InFolder


class Told(InFolder):
    def test_a_trial_is_what_the_mixture_file_and_the_environment_say(self):
        repetition = {"epochs": {"web": 0.5, "code": 1.6}, "unique_tokens": {"web": 6144, "code": 640}}
        with self.as_trial(**repetition, continue_from=1024.0):
            trial = admire.trial()
        self.assertEqual(trial.weights, {"web": 0.75, "code": 0.25})
        self.assertEqual((trial.fidelity, trial.params, trial.tokens), ("1M", 1_000_000, 4096))
        self.assertIsInstance(trial.tokens, int)
        self.assertEqual(trial.continue_from, 1024)
        self.assertEqual((trial.seed, trial.number, trial.attempt), (5, 7, 2))
        self.assertEqual(trial.epochs, {"web": 0.5, "code": 1.6})
        self.assertEqual(trial.unique_tokens, {"web": 6144, "code": 640})
        self.assertEqual(trial.directory, self.folder)

    def test_what_the_config_does_not_state_is_none_or_empty(self):
        with self.as_trial(params=None, tokens=None):
            trial = admire.trial()
        self.assertEqual((trial.params, trial.tokens, trial.continue_from), (None, None, None))
        self.assertEqual((trial.epochs, trial.unique_tokens), ({}, {}))

    def test_outside_of_a_trial_there_is_an_error_that_says_what_to_do(self):
        with self.assertRaisesRegex(admire.NoTrialError, "ADMIRE_MIXTURE_FILE is not set.*admire optimize.*default="):
            admire.trial()

    def test_a_default_is_for_runs_by_hand_only(self):
        default = {"weights": {"web": 1.0}}
        trial = admire.trial(default=default)
        self.assertEqual((trial.weights, trial.fidelity, trial.seed), ({"web": 1.0}, "", 0))
        self.assertEqual((trial.number, trial.directory), (None, pathlib.Path.cwd()))
        with self.as_trial():
            self.assertEqual(admire.trial(default=default).number, 7)


class Reports(InFolder):
    def test_the_result_is_a_file(self):
        with self.as_trial():
            trial = admire.trial()
            trial.finish(2.25)
            self.assertEqual(self.result(), {"loss": 2.25})
            trial.finish(metrics={"web": 2, "code": 3.5}, se={"web": 0.25}, cost=1.5)
            self.assertEqual(self.result(), {"metrics": {"web": 2.0, "code": 3.5}, "se": {"web": 0.25}, "cost": 1.5})
            trial.finish(loss=math.nan, se=0.5)
            self.assertEqual((self.folder / "result.2.json").read_text(), '{"loss": NaN, "se": 0.5}')
            trial.diverged("a loss of 1e9")
            self.assertEqual(self.result(), {"diverged": "a loss of 1e9"})
        self.assertEqual(sorted(os.listdir(self.folder)), ["mixture.json", "result.2.json"])

    def test_a_result_has_either_a_loss_or_metrics(self):
        with self.as_trial():
            for wrong in ({}, {"loss": 1, "metrics": {"web": 1}}, {"se": 1}):
                with self.assertRaises(TypeError):
                    admire.trial().finish(**wrong)
            # A loss that is no number is no reason to lose what was reported before.
            with self.assertRaises(ValueError):
                admire.trial().finish(loss="high")
        self.assertIsNone(self.result())

    def test_progress_is_a_line_each(self):
        with self.as_trial():
            trial = admire.trial()
            trial.report(step=10, tokens=1024, web=2.5)
            trial.report(20, **{"val/loss": 2, "tokens_per_second": 1e3})
        self.assertEqual(
            self.progress(),
            [
                {"step": 10, "tokens": 1024, "metrics": {"web": 2.5}},
                {"step": 20, "metrics": {"val/loss": 2.0, "tokens_per_second": 1000.0}},
            ],
        )

    def test_without_files_reports_are_printed(self):
        trial = admire.trial(default=MIXTURE)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            trial.report(step=1, loss=3)
            trial.finish(loss=2)
        lines = [json.loads(line[len("admire: ") :]) for line in printed.getvalue().splitlines()]
        self.assertEqual(lines, [{"step": 1, "metrics": {"loss": 3.0}}, {"loss": 2.0}])

    def test_of_several_processes_the_first_reports(self):
        for variable in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
            for rank, reports in (("1", False), ("0", True)):
                with self.as_trial(), mock.patch.dict(os.environ, {variable: rank}):
                    trial = admire.trial()
                    trial.report(step=1, loss=3)
                    trial.finish(loss=2)
                    self.assertEqual((bool(self.progress()), bool(self.result())), (reports, reports), variable)
                for name in ("progress.jsonl", "result.2.json"):
                    (self.folder / name).unlink(missing_ok=True)

    def test_torchrun_counts_more_than_the_job_that_it_runs_in(self):
        with self.as_trial(), mock.patch.dict(os.environ, {"RANK": "3", "SLURM_PROCID": "0"}):
            admire.trial().diverged()
        self.assertIsNone(self.result())


if __name__ == "__main__":
    unittest.main()
