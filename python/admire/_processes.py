"""Which of several training processes this is."""

import os
import sys
from typing import Tuple

# Where launchers say which process this is: torchrun and accelerate, Slurm, Open MPI, MPICH.
_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


def is_first() -> bool:
    """Whether this is the process that reports for all: rank 0, or the only one."""
    group = _group()
    if group is not None:
        return group[0] == 0
    return next((os.environ[name] for name in _RANKS if os.environ.get(name)), "0") == "0"


def replica() -> Tuple[int, int]:
    """The rank of this process and the number of processes that share the data.

    Slurm's variables do not count here: a batch script without `srun` is one process, whatever `SLURM_NTASKS` says.
    """
    return _group() or (int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


def _group() -> "Tuple[int, int] | None":
    """Rank and size of PyTorch's process group, if there is one. PyTorch is not imported for that."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed.get_rank(), distributed.get_world_size()
