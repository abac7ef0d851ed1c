"""The sampler in PyTorch's own DataLoader, and several processes of one trial."""

import subprocess
import sys
import textwrap

import torch
from torch.utils.data import DataLoader, TensorDataset

import admire
from support import MIXTURE, InFolder

# In domain `code` every example is negative.
DATA = {"code": TensorDataset(-1 - torch.arange(40)), "web": TensorDataset(torch.arange(100))}


class Loader(InFolder):
    def batches(self, workers=0):
        sampler = admire.trial(default=MIXTURE).sampler(DATA, tokens_per_sample=64)
        return [batch for (batch,) in DataLoader(sampler.dataset, batch_size=8, sampler=sampler, num_workers=workers)]

    def test_a_loader_has_batches_of_both_domains(self):
        batches = self.batches()
        self.assertEqual([len(batch) for batch in batches], [8] * 8)
        # 16 of 64, with a standard deviation of 3.5.
        self.assertLess(abs(int((torch.cat(batches) < 0).sum()) - 16), 12)

    def test_worker_processes_make_no_difference(self):
        self.assertTrue(all(torch.equal(a, b) for a, b in zip(self.batches(), self.batches(workers=2))))


class Processes(InFolder):
    def test_ranks_of_a_process_group_draw_apart_and_the_first_reports(self):
        # No variable of a launcher says which process is which: PyTorch's group does.
        script = self.write(
            "train.py",
            textwrap.dedent("""
                import sys, torch.distributed as dist, admire
                rank, folder = int(sys.argv[1]), sys.argv[2]
                dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
                trial = admire.trial()
                sampler = trial.sampler({"web": range(100), "code": range(100, 200)}, samples=60)
                drawn = [sampler.dataset[index] for index in sampler]
                everyone = [None, None]
                dist.all_gather_object(everyone, drawn)
                trial.report(step=1, rank=rank)
                trial.finish(metrics={"rank": rank, "different": len(set(everyone[0] + everyone[1]))})
                dist.barrier()
            """),
        )
        with self.as_trial():
            command = [sys.executable, str(script)]
            ranks = [subprocess.Popen([*command, str(rank), str(self.folder)]) for rank in (1, 0)]
            self.assertEqual([rank.wait(60) for rank in ranks], [0, 0])
        self.assertEqual(self.result(), {"metrics": {"rank": 0.0, "different": 60.0}})
        self.assertEqual(self.progress(), [{"step": 1, "metrics": {"rank": 0.0}}])
