"""Where mribench keeps what it can make again, and what it remembers about files."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mribench.digests import digest_of
from mribench.errors import ConfigError

logger = logging.getLogger(__name__)

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
"""What syncing a folder fails with where a file system knows no such thing."""
_VERSION = 2  # of what is remembered: older records are not believed


def cache_dir() -> Path:
    """Return mribench's cache folder: ``MRIBENCH_CACHE``, else the platform's user cache.

    The folder is not created. Everything in it can be deleted at any time between runs.

    Raises:
        ConfigError: when it names the home folder of somebody who is not known.
    """
    given = os.environ.get("MRIBENCH_CACHE")
    try:
        return Path(given).expanduser() if given else _find_user_cache() / "mribench"
    except RuntimeError:  # what pathlib raises
        what = f"MRIBENCH_CACHE is '{given}'" if given else "MRIBENCH_CACHE is not set"
        raise ConfigError(
            f"{what}, and there is no such home folder", "set MRIBENCH_CACHE to a folder that can be written"
        ) from None


def remember_by_file(
    path: Path, what: str, compute: Callable[[Path], tuple[dict[str, Any], bool]]
) -> dict[str, Any]:
    """Return what is known about a file, computed once for each version of it.

    A version is path and ``read_file_state``. Each file has a small record of its own, written by rename, so
    that any number of processes may look at the same cohort. A file that changes while it is looked at is
    not remembered.

    Args:
        path: the file.
        what: which of the things that are remembered.
        compute: returns JSON-ready findings, and whether they are worth keeping (a passing trouble is not).

    Raises:
        OSError: when there is no such file.
    """
    state = [_VERSION, *read_file_state(path)]
    key = hashlib.sha256(f"{path.resolve()}\0{what}".encode()).hexdigest()
    record = cache_dir() / "files" / key[:2] / f"{key[2:]}.json"
    known = _recall(record, state)
    if known is None:
        known, keep = compute(path)
        if keep and state[1:] == read_file_state(path):
            try:
                _remember(record, state, known)
            except OSError as error:
                _warn(record.parent.parent, str(error.strerror))
    return known


def read_file_state(path: Path) -> list[int]:
    """Return what tells versions of a file apart without reading it.

    Size and time of modification can be the same for two contents (archives with fixed times, ``cp -p``,
    clocks of whole seconds). A file that is written in place gets another time of change, which nobody can
    set, and one that is moved into its place has another inode.

    Raises:
        OSError: when there is no such file.
    """
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]


def _recall(record: Path, state: list[int]) -> dict[str, Any] | None:
    try:
        known = json.loads(record.read_bytes())
        found = known["found"]
        sound = known.get("digest") in (None, digest_of(found))  # older records have none
        remembered_value = found if sound and known["state"] == state else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never looked at, or a record that something damaged: look again
    return remembered_value if isinstance(remembered_value, dict) else None


def _remember(record: Path, state: list[int], value: dict[str, Any]) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=record.parent, prefix=record.stem[:8], suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"state": state, "found": value, "digest": digest_of(value)}, stream)
    Path(name).replace(record)


@functools.cache
def _warn(folder: Path, reason: str) -> None:
    """Say once that what is found cannot be remembered: it is no fault of the file looked at."""
    logger.warning("files are looked at anew each time: %s cannot be written: %s", folder, reason)


def sync_tree(folder: Path) -> None:
    """Wait until all files below a folder, and their names, are on the disk: then it may get its own name.

    Raises:
        OSError: when the disk fails.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            with (Path(place) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: a file that is moved there is nowhere before.

    Raises:
        OSError: when the disk fails.
    """
    if os.name == "nt":  # which cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def _find_user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
