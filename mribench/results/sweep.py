"""What writers that died have left in a folder of results, found and deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from mribench.results.atomic import WRITE_HINT
from mribench.results.attempt import LeaseLost
from mribench.results.lease import LEASE, STALE_S, Lease, measure_age_s
from mribench.results.places import writing
from mribench.results.store import CHECKPOINT, Store

GRAVE = ".{}.deleted"
"""What a folder is called while it is deleted."""
_HIDDEN = (".*.tmp", ".lease.*.now")
"""What a file is called while it is written, and one that is made to look at a clock."""
_HEIRS = (".lease.*.heir",)
_OF_RUNNING = (LEASE, CHECKPOINT, ".attempt.*", *_HEIRS)
"""What lies in the folder of a job while it runs."""


def sweep(store: Store) -> None:
    """Delete what writers left that died: hidden files, half-deleted folders, what done jobs ran with.

    A file that somebody is writing is younger than ``STALE_S``, by the clock of the file system.

    Raises:
        StoreError: when the folder cannot be written.
    """
    with writing(store.root, WRITE_HINT):
        for path in find_hidden(store.root):
            path.unlink(missing_ok=True)
        for grave in filter(_is_old, (store.root / "jobs").glob(GRAVE.format("*"))):
            shutil.rmtree(grave, ignore_errors=True)  # whoever buried it may still be at it
        for directory in _list_jobs(store.root):
            if _list_files(directory, _OF_RUNNING) and store.is_done(directory.name):
                _tidy(directory)


def find_hidden(root: Path) -> Iterator[Path]:
    """Yield the files that writers left half written, in a folder of results."""
    for folder in (root, root / "plans", *_list_jobs(root)):
        yield from filter(_is_old, _list_files(folder, _HIDDEN))


def _list_jobs(root: Path) -> list[Path]:
    """Return the folders of jobs that are ours to write in."""
    paths = sorted((root / "jobs").glob("[!.]*"))
    return [path for path in paths if path.is_dir() and os.access(path, os.W_OK)]


def _list_files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - of each of many thousand folders
    except FileNotFoundError:
        return []
    return [folder / name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def _tidy(directory: Path) -> None:
    """Delete what the process of a done job left that died before it could."""
    lease = Lease.acquire(directory)  # which deletes the attempts of all others
    if lease is None:
        return
    try:
        lease.attempt.withdraw(CHECKPOINT)
        for heir in filter(_is_old, _list_files(directory, _HEIRS)):
            heir.unlink(missing_ok=True)  # of a lease that is gone, so that nobody can come after it
    except LeaseLost:
        return
    finally:
        lease.release()


def _is_old(path: Path) -> bool:
    try:
        return measure_age_s(path) > STALE_S
    except FileNotFoundError:  # written to its end in this moment
        return False
