"""How much memory a job took at most, though its process may run several, one after another."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

import torch

_FORGET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def forget_peak_memory(device: torch.device) -> None:
    """Begin to measure anew; where that cannot be done, a peak is that of the process so far.

    Args:
        device: that the next job is computed on.
    """
    if device.type == "cuda" and torch.cuda.is_initialized():  # another job of this process used it
        torch.cuda.reset_peak_memory_stats(device)
    try:
        _FORGET.write_text("5")
    except OSError:  # not on Linux, or the system keeps it from us
        return


def measure_peak_memory(device: torch.device) -> int:
    """Return the largest memory since it was last forgotten, in bytes: of tensors on a GPU, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = _PEAK.search(_STATUS.read_text())
    except OSError:  # not on Linux
        found = None
    if found:
        return int(found[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
