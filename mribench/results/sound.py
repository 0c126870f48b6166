"""Whether the files of a done job are as they were written, by the digests in its ``status.json``."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mribench.errors import DamagedError
from mribench.results.status import FileDigest, JobStatus, read_status

SMALL_BYTES = 2**20
"""Files up to this size are compared by content before a run; larger ones when they are loaded."""


def digest_file(path: Path) -> FileDigest:
    """Return the digest of a file.

    Raises:
        OSError: when it cannot be read.
    """
    n_bytes = path.stat().st_size
    if n_bytes <= SMALL_BYTES:  # read at once: a buffer for each of many thousand files costs more than they
        content = path.read_bytes()
        return FileDigest(len(content), hashlib.sha256(content).hexdigest())
    with path.open("rb") as file:
        return FileDigest(n_bytes, hashlib.file_digest(file, "sha256").hexdigest())


def find_damage(directory: Path, files: Mapping[str, FileDigest]) -> str:
    """Return in words which file of a job is not there or has another size; empty where none is."""
    for name, noted in files.items():
        path = directory / name
        try:
            n_bytes = path.stat().st_size
        except FileNotFoundError:
            return f"{path} is not there, though its job is done"
        if n_bytes != noted.n_bytes:
            return f"{path} has {n_bytes} bytes instead of {noted.n_bytes}"
    return ""


def find_small_damage(directory: Path, files: Mapping[str, FileDigest]) -> str:
    """Return in words which of the small files of a job is not as it was written; empty where none is."""
    small = {name: noted for name, noted in files.items() if noted.n_bytes <= SMALL_BYTES}
    return next(filter(None, (_compare(directory / name, noted) for name, noted in small.items())), "")


def find_unreadable(directory: Path) -> str:
    """Return in words which table of a job is not one; empty where all are.

    It is what can be said of results of older versions, which noted no digests.
    """
    for path in sorted(directory.glob("*.parquet")):
        try:
            pq.read_metadata(path)
        except (OSError, pa.ArrowException) as error:
            return f"{path} cannot be read: {' '.join(str(error).split())[:160]}"
    return ""


def find_any_damage(directory: Path, files: Mapping[str, FileDigest]) -> list[str]:
    """Return in words each file of a job that is not as it was written, whatever its size."""
    return [said for name, noted in files.items() if (said := _compare(directory / name, noted))]


def require_sound(path: Path) -> None:
    """Check a file of a job before it is read: once in a process for each version of the file.

    What no digest is known of is not checked: results of older versions, and files that no job left. A job
    that is not done any more, as somebody found it damaged or makes it again, has nothing to be read.

    Raises:
        DamagedError: when it is not as it was written; names its job's folder.
    """
    path = path.resolve()  # a link to a job's file stands for it
    status = _read_version(path.parent)
    if status is None:
        return
    if status.state != "done":
        said = f"{path} is of a job that is not done any more: {status.reason or status.state}"
        raise DamagedError(said, path.parent)
    noted = status.files.get(path.name)
    said = _compare(path, noted) if noted is not None else ""
    if said:
        raise DamagedError(said, path.parent)


def _read_version(directory: Path) -> JobStatus | None:
    try:
        version = (directory / "status.json").stat()
    except FileNotFoundError:
        return None
    return _recall_status(directory, version.st_mtime_ns, version.st_ino)


@functools.lru_cache(maxsize=4096)
def _recall_status(directory: Path, mtime_ns: int, inode: int) -> JobStatus | None:
    del mtime_ns, inode
    return read_status(directory)


def _compare(path: Path, noted: FileDigest) -> str:
    """Return in words how a file differs from what was written; empty where it does not."""
    try:
        version = path.stat()
        found = _recall_digest(path, version.st_mtime_ns, version.st_ctime_ns, version.st_ino)
    except FileNotFoundError:
        return f"{path} is not there, though its job is done"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    if found.n_bytes != noted.n_bytes:
        return f"{path} has {found.n_bytes} bytes instead of {noted.n_bytes}"
    return "" if found == noted else f"{path} is not as it was written: its digest is another"


@functools.lru_cache(maxsize=65536)
def _recall_digest(path: Path, *version: int) -> FileDigest:
    """Return the digest of one version of a file, computed once in a process."""
    del version
    return digest_file(path)
