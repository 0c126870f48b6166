"""Whether a folder of results can be written to, and what to say to a person where it cannot."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from pathlib import Path

from mribench.execute.watcher import Watcher
from mribench.volumes.cache import cache_dir
from mribench.wording import size

PROBE_BYTES = 2**20
PROBE_S = 5.0
"""Seconds between two looks whether a full disk has room."""


class DiskWatch:
    """Knows whether a run waits for its disk, and says so once.

    Args:
        root: the folder of results.
        watcher: is told.

    Attributes:
        full: whether the run waits.
    """

    def __init__(self, root: Path, watcher: Watcher) -> None:
        self._root = root
        self._watcher = watcher
        self._probed = 0.0
        self.full = False

    def found_full(self) -> None:
        """Begin to wait, where it is this disk that cannot be written to, and say what helps."""
        sentence = explain_unwritable(self._root)
        if sentence and not self.full:
            self.full = True
            self._probed = time.monotonic()
            self._watcher.noted(sentence)

    def is_full(self) -> bool:
        """Whether the run waits; every now and then it is looked at whether that has changed."""
        if self.full and time.monotonic() - self._probed > PROBE_S:
            self._probed = time.monotonic()
            self.full = bool(explain_unwritable(self._root))
            if not self.full:
                self._watcher.noted("the disk can be written to again: the run goes on")
        return self.full


def explain_unwritable(root: Path) -> str:
    """Return why a folder of results cannot be written to, and what helps; empty where it can.

    A file is written, for the system does not tell what quotas leave.
    """
    path = root / f".probe.{uuid.uuid4().hex[:8]}.tmp"
    try:
        with path.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return _explain(root, error)
    finally:
        _remove(path)
    return ""


def _explain(root: Path, error: OSError) -> str:
    if error.errno == errno.EROFS:
        return f"{root} has become read-only: mount it for writing, and the run goes on by itself"
    usage = shutil.disk_usage(root)
    return (
        f"cannot write to {root}: {error.strerror}, {size(usage.free)} of {size(usage.total)} are free. Free"
        f" some space and the run goes on by itself: `mribench clean {root} --yes` deletes what no result"
        f" needs, and prepared volumes lie in {cache_dir()}"
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno != errno.EROFS:  # there, nothing was written either
            raise
