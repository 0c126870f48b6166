"""Whether a folder of results can be written to, and what to say to a person where it cannot."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from pathlib import Path

from mribench.volumes.cache import cache_dir
from mribench.wording import size

PROBE_BYTES = 2**20


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
