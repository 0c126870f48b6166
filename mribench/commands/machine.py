"""What this machine has: GPUs, cores, and how many jobs it runs at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch


def list_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process sees, as ``--gpus`` counts them."""
    return tuple(str(i) for i in range(torch.cuda.device_count()))


def usual_jobs(gpus: Sequence[str], threads: int) -> int:
    """Return the jobs at a time where nobody says otherwise: one per GPU, or one per core without.

    Args:
        gpus: that are used.
        threads: of each job.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return len(gpus) or max(1, cores // threads)
