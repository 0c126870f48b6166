"""How a process that computes on a CPU keeps its memory."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of ``mallopt`` in the C library of GNU (malloc.h)."""
_FROM_SYSTEM_BYTES = 2**25
_KEPT_BYTES = 2**29


def keep_freed_memory() -> bool:
    """Let the process keep up to 512 MiB that it has freed, and take all but the largest tensors from there.

    The C library of GNU gives large blocks back at once, and the system clears them anew when they are asked
    for again: thousands of page faults for every pair of views, a fifth of its time. Elsewhere than on Linux
    with that library nothing is changed.

    Returns:
        whether the settings were taken.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    taken = mallopt(_MMAP_THRESHOLD, _FROM_SYSTEM_BYTES) and mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    return bool(taken)
