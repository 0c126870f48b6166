"""Files that are there whole, or not at all."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mribench.errors import StoreError
from mribench.results.places import writing


def _umask() -> int:
    """Return the process's umask; it can only be read by setting it."""
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


_UMASK = _umask()
_OF_A_JOB = "restore the file, or delete its folder"
_OF_ALL = "restore the file, or move it away and run the benchmark again: done jobs are kept"


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file through ``write(temporary path)`` and move it to ``path`` in one step.

    Raises:
        StoreError: when the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    hint = "check the permissions and the free space, or choose another place with --results"
    try:
        with writing(path, hint):
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_UMASK)  # some writers make files that only their owner can read
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step."""
    replace_file(path, lambda temporary: temporary.write_text(json.dumps(value, indent=1, sort_keys=True)))


def read_json(path: Path, hint: str = "") -> Any:
    """Read JSON.

    Args:
        path: of the file.
        hint: what to do where it is damaged. By default the folder is given up only where it is that of one
            job, which can be run again; never that of all results.

    Raises:
        StoreError: when the file is not there or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise StoreError(f"{path} is not there", "was the results directory moved or edited?") from None
    except (OSError, ValueError, RecursionError) as error:
        safe = _OF_A_JOB if path.parent.parent.name == "jobs" else _OF_ALL
        raise StoreError(f"cannot read {path}: {error}", hint or safe) from error
