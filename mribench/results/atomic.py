"""Files that are there whole, or not at all, after a loss of power too."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mribench.errors import StoreError
from mribench.results.places import writing
from mribench.volumes.cache import sync_folder


def _umask() -> int:
    """Return the process's umask; it can only be read by setting it."""
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


_UMASK = _umask()
_OF_A_JOB = "restore the file, or delete its folder"
_OF_ALL = "restore the file, or move it away and run the benchmark again: done jobs are kept"
WRITE_HINT = "check the permissions and the free space, or choose another place with --results"
ReplaceFile = Callable[[Path, Callable[[Path], object]], None]
"""What puts a file there in one step: ``replace_file``, or a job's own ``Attempt.replace``."""
_SEAL = b',\n "seal": "'
_END = b'"\n}'


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file through ``write(temporary path)`` and move it to ``path`` in one step.

    Raises:
        StoreError: when the folder cannot be written.
    """
    with writing(path, WRITE_HINT):
        try:
            _replace_once(path, write)
        except FileNotFoundError:  # taken for a dead writer's and swept, where this process was frozen
            _replace_once(path, write)
        sync_folder(path.parent)


def _replace_once(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write_synced(temporary, write)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_synced(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file through ``write(path)``, and wait until its content is on the disk.

    Raises:
        OSError: when it cannot be written.
    """
    write(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.chmod(0o666 & ~_UMASK)  # some writers make files that only their owner can read


def seal(value: dict[str, Any], indent: int | None = 1) -> bytes:
    """Return a JSON object whose last entry, ``seal``, is the digest of the text before it."""
    body = json.dumps(value, indent=indent, sort_keys=True).encode().removesuffix(b"}").rstrip(b"\n")
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + _END


def write_json(path: Path, value: dict[str, Any], indent: int | None = 1) -> None:
    """Write a JSON object in one step, sealed.

    Args:
        path: of the file.
        value: of JSON.
        indent: of each level; None for one line, which takes a tenth of the time.
    """
    content = seal(value, indent)
    replace_file(path, lambda temporary: temporary.write_bytes(content))


def read_json(path: Path, hint: str = "") -> Any:
    """Read JSON; where it is sealed, the seal is checked and left out.

    Args:
        path: of the file.
        hint: what to do where it is damaged. By default the folder is given up only where it is that of one
            job, which can be run again; never that of all results.

    Raises:
        StoreError: when the file is not there or is not JSON, or its seal is broken.
    """
    safe = _OF_A_JOB if path.parent.parent.name == "jobs" else _OF_ALL
    try:
        content = path.read_bytes()
        value = json.loads(content)
    except FileNotFoundError:
        raise StoreError(f"{path} is not there", "was the results directory moved or edited?") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"cannot read {path}: {error}", hint or safe) from error
    if isinstance(value, dict) and "seal" in value:
        value.pop("seal")
        if not _is_sealed(content):
            raise StoreError(f"{path} is not as it was written: its digest is another", hint or safe)
    return value


def _is_sealed(content: bytes) -> bool:
    body, _, rest = content.rpartition(_SEAL)
    return rest == hashlib.sha256(body).hexdigest().encode() + _END
