"""One entry of the store of prepared volumes: how it is written, read and checked."""

from __future__ import annotations

import functools
import json
import mmap
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mribench.volumes.cache import read_file_state

SCHEMA = 1
"""Of ``meta.json``; entries of another one are made again."""

_CHUNK_BYTES = 2**20
_REMEMBERED = 4096
"""Files of which a process remembers what it has read; of most there are no more."""


class Damaged(Exception):  # noqa: N818 - a state of the disk; it never leaves the store
    """An entry is there, and not as it was written."""


def write_entry(
    folder: Path,
    key: str,
    made_of: Mapping[str, Any] | None,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
) -> None:
    """Write an entry into a folder of its own, which is renamed afterwards.

    Args:
        folder: empty.
        key: of the entry.
        made_of: what the key is the digest of, for people.
        arrays: one file each.
        facts: JSON-ready.

    Raises:
        OSError: when the disk is full or cannot be written.
    """
    written: dict[str, Any] = {}
    for number, (name, array) in enumerate(arrays.items()):
        path = folder / f"{number}-{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.npy"
        with path.open("wb") as stream:
            np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        written[name] = {
            "file": path.name,
            "shape": list(array.shape),
            "dtype": array.dtype.str,
            "bytes": path.stat().st_size,
            "crc32": _compute_crc32(path),
        }
    body = {"schema": SCHEMA, "key": key, "made_of": made_of, "arrays": written, "facts": facts}
    body = json.loads(json.dumps(body, allow_nan=False))  # as it will be read
    meta = {"body": body, "crc32": _compute_body_crc32(body)}
    with (folder / "meta.json").open("w", encoding="utf-8") as stream:
        json.dump(meta, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    (folder / "used").touch()


def read_entry(
    folder: Path, key: str, trusted: dict[Path, tuple[int, int]], verify: bool
) -> tuple[dict[str, np.ndarray], Mapping[str, Any]] | None:
    """Open an entry.

    Sizes are always compared; the checksum of a file once for each version of it that is in ``trusted``, or
    on demand. A bit that flips on a disk changes no time, so what was written long ago says nothing.

    Args:
        folder: of the entry.
        key: of the entry.
        trusted: inode and time of files whose checksum was found right before; is added to.
        verify: compare the checksums in any case.

    Returns:
        The arrays, memory-mapped copy on write, and the facts; None when there is no such entry.

    Raises:
        Damaged: when something of it is missing or was changed.
    """
    try:
        body = _read_meta(folder / "meta.json", key, verify)
        arrays = {
            name: _read_array(folder / about["file"], about, trusted, verify)
            for name, about in body["arrays"].items()
        }
    except (FileNotFoundError, NotADirectoryError) as error:
        if not folder.is_dir():
            return None
        raise Damaged(f"{Path(str(error.filename)).name} is missing") from error
    except OSError as error:
        raise Damaged(f"it cannot be read: {error.strerror or error}") from error
    return arrays, body["facts"]


def _read_meta(path: Path, key: str, verify: bool) -> dict[str, Any]:
    return (
        _parse_meta(path, key, SCHEMA) if verify else _recall_meta(path, key, SCHEMA, *read_file_state(path))
    )


@functools.lru_cache(maxsize=_REMEMBERED)
def _recall_meta(path: Path, key: str, schema: int, *state: int) -> dict[str, Any]:
    """Return what one version of a ``meta.json`` says, read once in a process."""
    del state
    return _parse_meta(path, key, schema)


def _parse_meta(path: Path, key: str, schema: int) -> dict[str, Any]:
    text = path.read_bytes()
    try:
        meta = json.loads(text)
        body, crc32 = meta["body"], meta["crc32"]
        sound = crc32 == _compute_body_crc32(body) and body["schema"] == schema and body["key"] == key
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("meta.json is not what was written") from error
    if not sound:
        raise Damaged("meta.json is not what was written")
    found: dict[str, Any] = body
    return found


def _read_array(
    path: Path, about: Mapping[str, Any], trusted: dict[Path, tuple[int, int]], verify: bool
) -> np.ndarray:
    status = path.stat()
    version = (status.st_ino, status.st_mtime_ns)
    if status.st_size != about["bytes"]:
        raise Damaged(f"{path.name} has {status.st_size} bytes instead of {about['bytes']}")
    if verify or version != trusted.get(path):
        if _compute_crc32(path) != about["crc32"]:
            raise Damaged(f"{path.name} has another checksum")
        trusted[path] = version
    layout = _recall_layout(path, *read_file_state(path))
    if list(layout.shape) != about["shape"] or layout.dtype.str != about["dtype"]:
        raise Damaged(f"{path.name} has another shape or type")
    return layout.map(path)


@dataclass(frozen=True)
class _Layout:
    """Where the values of a ``.npy`` file lie, and in which form."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int

    def map(self, path: Path) -> np.ndarray:
        """Map the file anew, copy on write: what somebody writes into an array is in no other one."""
        with path.open("rb", buffering=0) as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        return np.ndarray.__new__(np.memmap, self.shape, self.dtype, content, self.offset)


@functools.lru_cache(maxsize=_REMEMBERED)
def _recall_layout(path: Path, *state: int) -> _Layout:
    """Return the layout of one version of a file, read once in a process: it takes longer than to map it."""
    del state
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except ValueError as error:
        raise Damaged(f"{path.name} is no array") from error
    return _Layout(array.shape, array.dtype, array.offset)


def _compute_body_crc32(body: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def _compute_crc32(path: Path) -> int:
    checksum = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
