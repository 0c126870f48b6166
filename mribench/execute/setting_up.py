"""What a process does before it runs jobs: the GPU that it sees, its log, entries, threads and memory."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path

import torch

from mribench.execute.peak_memory import forget_peak_memory
from mribench.execute.processes import keep_freed_memory
from mribench.plugins import load_registry
from mribench.registry import Registry

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Environment variable that says which GPUs a process sees."""


def set_up_process(gpu: str | None) -> Registry:
    """Prepare a process that is there for jobs alone; return all entries.

    Args:
        gpu: that it may see, as ``--gpus`` counts them; None for all, or where there is none.
    """
    if gpu is not None:
        os.environ[VISIBLE] = visible_gpu(gpu, os.environ.get(VISIBLE, ""))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    return _inherited_registry() or load_registry()


def take_threads(threads: int) -> None:
    """Let the process compute with so many CPU threads, and keep the memory that it frees."""
    torch.set_num_threads(threads)
    keep_freed_memory()


def take_device() -> torch.device:
    """Return what the next job is computed on; its peak of memory is measured from now on."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    forget_peak_memory(device)
    return device


def write_log_to(path: Path) -> None:
    """Have everything that this process says appended to a file."""
    with path.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def visible_gpu(gpu: str, visible: str) -> str:
    """Return what lets a process see one GPU and no other.

    Args:
        gpu: its number among the GPUs that this process sees, as ``--gpus`` counts them, or its name.
        visible: what restricts those, as a queueing system sets it: ``4,5``; empty where nothing does.
    """
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return names[int(gpu)] if gpu.isdigit() and int(gpu) < len(names) else gpu


def _inherited_registry() -> Registry | None:
    """Return the entries that the server of this process has loaded; None in a process without one."""
    warm = sys.modules.get("mribench.execute.warm")
    return warm.REGISTRY if warm is not None else None
