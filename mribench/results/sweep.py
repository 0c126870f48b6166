"""What writers that died have left in a folder of results, found and deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from mribench.results.atomic import WRITE_HINT
from mribench.results.attempt import LeaseLost
from mribench.results.lease import LEASE, STALE_S, Lease, measure_age_s
from mribench.results.patterns import matches_any
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
        left = _list_left(store.root)
        for path in _select_hidden(left):
            path.unlink(missing_ok=True)
        for grave in filter(_is_old, (store.root / "jobs").glob(GRAVE.format("*"))):
            shutil.rmtree(grave, ignore_errors=True)  # whoever buried it may still be at it
        for directory, names in left.items():
            if _select(names, _OF_RUNNING) and store.is_done(directory.name):
                _tidy(directory)


def find_hidden(root: Path) -> Iterator[Path]:
    """Yield the files that writers left half written, in a folder of results."""
    return _select_hidden(_list_left(root))


def _select_hidden(left: Mapping[Path, list[str]]) -> Iterator[Path]:
    for folder, names in left.items():
        yield from filter(_is_old, (folder / name for name in _select(names, _HIDDEN)))


def _list_left(root: Path) -> dict[Path, list[str]]:
    """Return what writers may have left, by folder: of jobs those that are ours to write in.

    Each of many thousand folders is listed once, and looked at further only where something is left.
    """
    jobs = (root / "jobs" / name for name in sorted(_list_names(root / "jobs")) if name[0] != ".")
    named = {folder: _select(_list_names(folder), (*_HIDDEN, *_OF_RUNNING)) for folder in jobs}
    ours = {folder: names for folder, names in named.items() if names and os.access(folder, os.W_OK)}
    return {folder: _select(_list_names(folder), _HIDDEN) for folder in (root, root / "plans")} | ours


def _select(names: list[str], patterns: tuple[str, ...]) -> list[str]:
    return [name for name in names if matches_any(name, patterns)]


def _list_names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - of each of many thousand folders
    except (FileNotFoundError, NotADirectoryError):
        return []


def _tidy(directory: Path) -> None:
    """Delete what the process of a done job left that died before it could."""
    lease = Lease.acquire(directory)  # which deletes the attempts of all others
    if lease is None:
        return
    try:
        lease.attempt.withdraw(CHECKPOINT)
        heirs = (directory / name for name in _select(_list_names(directory), _HEIRS))
        for heir in filter(_is_old, heirs):
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
