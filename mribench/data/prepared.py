"""A store of prepared volumes on disk: memory-mapped, bounded, shared by any number of processes.

An entry is a folder ``<cache>/volumes/<2 hex>/<key>/`` with one ``.npy`` file for each array, ``meta.json``,
and ``used``, whose time of modification is that of the last use. The key is a digest of everything that the
arrays depend on, so an entry never goes stale; one that is damaged is made again. Where nothing can be
written, volumes are kept in memory.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import math
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np

from mribench.data.prepared_entry import Damaged, read_entry, write_entry
from mribench.digests import digest_of
from mribench.errors import ConfigError
from mribench.volumes.cache import cache_dir

logger = logging.getLogger(__name__)

VERSION = 2
"""Of how volumes are prepared; another one makes other keys."""
DEFAULT_LIMIT_GB = 100.0
"""The store grows to this size at most, unless ``MRIBENCH_CACHE_GB`` says otherwise."""
SPARED_SHARE, SPARED_BYTES = 0.05, 5 * 10**9
"""The store leaves this share of the disk free, or this much where that is less."""
PROTECTED_S = 600.0
"""What was used more recently than this is not evicted: a job may be at work with it."""
TOUCH_S = 60.0
"""The time of the last use is written at most this often."""
SWEEP_S = 3600.0
"""What a killed process left half written is removed when it is older than this."""
MEMORY_BYTES = 6 * 2**30
"""What cannot be stored is kept in memory up to this size, and read again beyond it."""

State = Literal["found", "built", "rebuilt", "memory"]
"""Where a volume came from: it was there; made now; made again because it was damaged; not stored at all."""


@dataclass(frozen=True, eq=False)
class PreparedContent:
    """Arrays, and what is to be known about them.

    Attributes:
        arrays: by name; memory-mapped copy on write when they come from the store.
        facts: JSON-ready.
    """

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]

    @property
    def n_bytes(self) -> int:
        """Size of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a volume is made, and of what.

    Attributes:
        made_of: everything that the content depends on, JSON-ready; None when that is not known, and then
            the content stays in memory.
        build: makes the content.
    """

    made_of: Mapping[str, Any] | None
    build: Callable[[], PreparedContent]

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 of canonical JSON of ``made_of``, or an empty string."""
        if self.made_of is None:
            return ""
        return digest_of({"version": VERSION, **self.made_of})


@dataclass(frozen=True)
class _Entry:
    folder: Path
    n_bytes: int
    used_s: float


class VolumeStore:
    """The store in one folder.

    Args:
        folder: is made when something is written.
        limit_bytes: size that the store may grow to; each process at work may exceed it by one entry.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._trusted: dict[Path, tuple[int, int]] = {}
        self._touched: dict[Path, float] = {}
        self._memory: WeakKeyDictionary[Recipe, PreparedContent] = WeakKeyDictionary()
        self._warned = False

    def read(self, recipe: Recipe) -> PreparedContent:
        """Return the content of a recipe, made now unless it is there."""
        return self.prepare(recipe)[0]

    def prepare(self, recipe: Recipe, verify: bool = False) -> tuple[PreparedContent, State]:
        """Return the content of a recipe and where it came from.

        Args:
            recipe: what is wanted.
            verify: compare the checksums of what is there, whatever its files look like.

        Raises:
            DataError: when it cannot be made.
        """
        if recipe in self._memory:
            return self._memory[recipe], "memory"
        state: State = "built"
        if recipe.key:
            try:
                found = self._open(recipe.key, verify)
            except Damaged as damage:
                logger.warning("%s is damaged (%s); it is made again", self.place(recipe.key), damage)
                _remove(self.place(recipe.key))
                found, state = None, "rebuilt"
            if found is not None:
                return found, "found"
        content = recipe.build()
        stored = self._store(recipe, content) if recipe.key else None
        if stored is not None:
            return stored, state
        if content.n_bytes + sum(kept.n_bytes for kept in self._memory.values()) <= MEMORY_BYTES:
            self._memory[recipe] = content
        return content, "memory"

    def place(self, key: str) -> Path:
        """Return the folder of an entry."""
        return self.folder / key[:2] / key

    def size(self) -> tuple[int, int]:
        """Return the number of entries, and their size in bytes."""
        entries = self._entries()
        return len(entries), sum(entry.n_bytes for entry in entries)

    def clean(self) -> bool:
        """Remove everything; jobs at work go on with what they have open. Return whether nothing is left."""
        self._trusted.clear()
        for entry in self._entries():
            _remove(entry.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()

    def _open(self, key: str, verify: bool) -> PreparedContent | None:
        folder = self.place(key)
        entry = read_entry(folder, key, self._trusted, verify)
        if entry is None:
            return None
        self._touch(folder)
        return PreparedContent(*entry)

    def _touch(self, folder: Path) -> None:
        now_s = time.monotonic()
        if now_s - self._touched.get(folder, -math.inf) >= TOUCH_S:
            self._touched[folder] = now_s
            with contextlib.suppress(OSError):  # a store that is read-only can be used as it is
                (folder / "used").touch()

    def _store(self, recipe: Recipe, content: PreparedContent) -> PreparedContent | None:
        """Write an entry and open it; None where it cannot be written."""
        folder = self.place(recipe.key)
        temporary = _name_hidden(folder, "tmp")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(content.n_bytes)
            temporary.mkdir()
            write_entry(temporary, recipe.key, recipe.made_of, content.arrays, content.facts)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                # Another process was first: its files are as good as these.
            return self._open(recipe.key, verify=False)
        except (OSError, Damaged) as error:
            self._warn(error)
            return None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _make_room(self, n_bytes: int) -> None:
        """Evict what was not used for longest until ``n_bytes`` more fit.

        Raises:
            OSError: when they cannot be made to fit; nothing is evicted then.
        """
        entries = self._entries()
        held = sum(entry.n_bytes for entry in entries)
        disk = shutil.disk_usage(self.folder)
        spare = disk.free - min(SPARED_SHARE * disk.total, SPARED_BYTES)
        excess = held + n_bytes - min(self.limit_bytes, held + spare)
        idle = [entry for entry in entries if time.time() - entry.used_s > PROTECTED_S]
        if excess > sum(entry.n_bytes for entry in idle):
            raise OSError(
                errno.ENOSPC, f"there is no room for {n_bytes / 1e9:.3f} GB more (see MRIBENCH_CACHE_GB)"
            )
        for entry in sorted(idle, key=lambda entry: entry.used_s):
            if excess <= 0:
                return
            if _remove(entry.folder):
                excess -= entry.n_bytes

    def _entries(self) -> list[_Entry]:
        """Return all entries; sweep what killed processes left."""
        entries: list[_Entry] = []
        for folder in self.folder.glob("??/*"):
            if not folder.name.startswith("."):
                entry = _measure(folder)
                entries += [entry] if entry else []
            elif _compute_age_s(folder) > SWEEP_S:
                shutil.rmtree(folder, ignore_errors=True)
        return entries

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            logger.warning("prepared volumes stay in memory: %s cannot take them: %s", self.folder, reason)


def get_volume_store() -> VolumeStore:
    """Return the store in mribench's cache folder.

    Raises:
        ConfigError: when ``MRIBENCH_CACHE_GB`` is not a size.
    """
    return _store_in(cache_dir() / "volumes", _parse_limit_bytes(os.environ.get("MRIBENCH_CACHE_GB")))


@functools.cache
def _store_in(folder: Path, limit_bytes: int) -> VolumeStore:
    return VolumeStore(folder, limit_bytes)


def _parse_limit_bytes(given: str | None) -> int:
    try:
        limit_gb = float(given) if given else DEFAULT_LIMIT_GB
    except ValueError:
        limit_gb = math.nan
    if not 0 <= limit_gb < math.inf:
        raise ConfigError(
            f"MRIBENCH_CACHE_GB is '{given}', expected a number of gigabytes, 0 or more",
            f"leave it unset for {DEFAULT_LIMIT_GB:g}",
        )
    return round(limit_gb * 1e9)


def _name_hidden(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name[:12]}-{uuid.uuid4().hex[:8]}.{suffix}")


def _remove(folder: Path) -> bool:
    """Remove an entry in one step; False where the system keeps it because it is open or not ours."""
    grave = _name_hidden(folder, "old")
    try:
        folder.rename(grave)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    shutil.rmtree(grave, ignore_errors=True)  # what an open file keeps from going is swept later
    return True


def _measure(folder: Path) -> _Entry | None:
    """Return an entry's size and last use; None when it is removed at this moment."""
    try:
        files = {path.name: path.stat() for path in folder.iterdir()}
        used_s = files["used"].st_mtime if "used" in files else folder.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _Entry(folder, sum(status.st_size for status in files.values()), used_s)


def _compute_age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
