"""A study as an object, with the real program."""

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import unittest
import warnings
from unittest import mock

import admire
from admire import _program
from support import CONFIG, InFolder, losses


class AStudy(InFolder):
    def setUp(self):
        super().setUp()
        self.config = self.write("study.toml", CONFIG)

    def study(self, **options):
        return admire.Study(self.config, dir=self.folder / "runs", **options)

    def told(self, n=5):
        """A study with n results."""
        study = self.study()
        for trial in study.suggest(n):
            study.tell(trial["trial"], metrics=losses(trial["weights"]))
        return study


class AskAndTell(AStudy):
    def test_a_loop_finds_the_best_mixture(self):
        study = self.told(8)
        best = study.best()
        self.assertAlmostEqual(best["weights"]["web"], 0.7, delta=0.1)
        self.assertEqual((best["fidelity"], best["measured"]["trial"] in range(1, 9)), ("1M", True))

    def test_suggestions_are_pending_trials(self):
        study = self.study()
        trials = study.suggest(2)
        self.assertEqual([trial["trial"] for trial in trials], [1, 2])
        self.assertAlmostEqual(sum(trials[0]["weights"].values()), 1)
        self.assertNotEqual(trials[0]["weights"], trials[1]["weights"])
        study.suggest(dry_run=True)
        own = study.suggest(2, mixture={"web": 0.1, "code": 0.9}, fidelity="1M")
        self.assertEqual([trial["weights"]["web"] for trial in own], [0.1, 0.1])
        self.assertEqual(study.status()["trials"]["pending"], 4)

    def test_results_are_those_of_a_training_script(self):
        study = self.study()
        study.suggest(5)
        study.tell(1, metrics={"web": 2, "code": 3}, se=0.01, cost=1.5)
        study.tell(1, metrics={"web": 2, "code": 3}, se=0.01, cost=1.5)
        study.tell(2, outcome="failed")
        study.tell(3, outcome="diverged")
        study.tell(4, outcome="cancel")
        study.tell(5, metrics={"web": float("nan"), "code": 3})
        states = [trial["state"] for trial in study.status(trials=True)["list"]]
        self.assertEqual(states, ["complete", "failed", "diverged", "cancelled", "diverged"])
        for wrong in ({}, {"loss": 1, "metrics": {"web": 1}}, {"loss": 1, "outcome": "failed"}):
            with self.assertRaises(TypeError):
                study.tell(1, **wrong)

    def test_a_metric_named_loss_needs_no_name(self):
        self.config.write_text(CONFIG.split("[objective]")[0])
        study = self.study()
        study.suggest()
        study.tell(1, 2.5)
        self.assertEqual(study.best()["measured"], {"trial": 1, "loss": 2.5})

    def test_fewer_trials_than_asked_for_are_a_warning(self):
        study = self.study(set={"fidelity.1M.max_trials": 2})
        with self.assertWarnsRegex(admire.AdmireWarning, "."):
            self.assertEqual(len(study.suggest(3)), 2)
        with self.assertRaises(admire.AdmireError):
            study.suggest()


class Look(AStudy):
    def test_predictions_of_mixtures_by_name_and_by_weights(self):
        study = self.told()
        predictions = study.predict("uniform", {"web": 0.7, "code": 0.3}, against="uniform", fidelity="1M")
        uniform, other = predictions["mixtures"]
        self.assertEqual((uniform["name"], predictions["fidelity"]), ("uniform", "1M"))
        self.assertEqual(other["weights"], {"web": 0.7, "code": 0.3})
        self.assertAlmostEqual(uniform["gain"]["objective"]["mean"], 0)
        self.assertEqual(set(other["expected"]["metrics"]), {"web", "code"})
        self.assertEqual(len(study.predict()["mixtures"]), 1)

    def test_alternatives_are_there_if_they_are_asked_for(self):
        study = self.told()
        self.assertNotIn("alternatives", study.best())
        self.assertIsInstance(study.best(alternatives=2)["alternatives"], list)

    def test_runs_are_rows(self):
        study = self.told(5)
        with without_pandas():
            runs = study.runs()
        self.assertEqual(len(runs), 5)
        self.assertEqual((runs[0]["run_id"], runs[0]["fidelity"], runs[0]["params"]), ("1", "1M", 1e6))
        self.assertAlmostEqual(runs[0]["y:web"], losses({"web": runs[0]["w:web"]})["web"])

    def test_a_report_shows_itself_in_a_notebook(self):
        study = self.told()
        report = study.report(compare=["uniform"])
        self.assertEqual(report.path, self.folder / "runs" / "report.html")
        self.assertRegex(report._repr_html_(), r'^<iframe srcdoc="&lt;!DOCTYPE html&gt;')
        other = study.report(self.folder / "other.html")
        self.assertEqual((other.path.name, other.path.exists()), ("other.html", True))
        self.assertIn("other.html", repr(other))


class Errors(AStudy):
    def test_an_error_has_the_programs_message_and_exit_code(self):
        for arguments, code, message in (
            ({"set": {"study.sede": 1}}, 2, r"sede.*seed"),
            ({"set": {"domain.web.min": 2.0}}, None, "web"),
        ):
            with self.assertRaisesRegex(admire.AdmireError, message) as caught:
                self.study(**arguments).suggest()
            self.assertIn(caught.exception.exit_code, [code] if code else [2, 3])
            self.assertNotIn("{", caught.exception.message)
        with self.assertRaisesRegex(admire.AdmireError, "exit code 1") as caught:
            self.study().best()
        self.assertIn("exit code 1", str(caught.exception))
        # An error in an option, which the program reports as plain text.
        with self.assertRaisesRegex(admire.AdmireError, "invalid value '0'") as caught:
            self.study().suggest(0)
        self.assertEqual(caught.exception.exit_code, 2)

    def test_values_of_all_kinds_can_be_set(self):
        study = self.study(set={"study.name": "ä \"b\"", "limits.smallest_weight": 0.25, "objective.direction": "maximize"})
        self.assertGreaterEqual(min(study.suggest()[0]["weights"].values()), 0.25)
        self.assertEqual(study.status()["study"], "ä \"b\"")

    def test_a_study_that_is_locked_can_be_waited_for(self):
        # The program reads the result before it locks the study, and holds the lock until it ends.
        self.study().suggest()
        lock = subprocess.Popen([sys.executable, "-c", LOCK, str(self.folder / "runs")], stdout=subprocess.PIPE)
        self.addCleanup(lock.stdout.close)
        lock.stdout.readline()
        try:
            with self.assertRaises(admire.AdmireError) as caught:
                self.study().suggest()
            self.assertEqual(caught.exception.exit_code, 5)
            threading.Timer(0.3, lock.kill).start()
            self.assertEqual(len(self.study(wait="1m").suggest()), 1)
        finally:
            lock.kill()
            lock.wait()

    def test_a_warning_of_the_program_is_one_of_python(self):
        study = self.study(set={"domain.web.max": 0.6})
        with self.assertWarnsRegex(admire.AdmireWarning, "breaks"):
            study.suggest(mixture="web=0.9,code=0.1", fidelity="1M")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            study.suggest()

    def test_without_the_program_there_is_an_error_that_says_how_to_get_it(self):
        with mock.patch.object(_program.sysconfig, "get_path", return_value="/nowhere"):
            with mock.patch.dict(os.environ, {"PATH": str(self.folder)}):
                with self.assertRaisesRegex(FileNotFoundError, "pip install admire"):
                    self.study().best()


@contextlib.contextmanager
def without_pandas():
    """As if pandas was not installed."""
    with mock.patch.dict(sys.modules, {"pandas": None}):
        yield


LOCK = textwrap.dedent("""
    import fcntl, sys, time
    file = open(sys.argv[1] + "/lock")
    fcntl.flock(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    time.sleep(60)
""")

if __name__ == "__main__":
    unittest.main()
