"""Reads every file once, and remembers what it found.

A file's digest and its problem are cached by path, size and time of modification, one small file each, so
that any number of processes may look at the same cohort.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mribench.data.cache import cache_dir
from mribench.data.volumes import read_volume
from mribench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mribench.interfaces.dataset import Subject

_VERSION = 1  # of what counts as a problem: older findings are not believed


@dataclass(frozen=True)
class Inspection:
    """What is known about a file.

    Attributes:
        digest: SHA-256 of its contents, hexadecimal; empty when it cannot be read at all.
        problem: why it cannot be used, one sentence, or empty.
    """

    digest: str
    problem: str


def inspect_file(path: Path, is_label: bool = False) -> Inspection:
    """Read a volume fully, once for each version of the file.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        is_label: a label may be constant (an empty mask).

    Returns:
        The digest and the problem; a missing file has a problem and is never cached.
    """
    try:
        status = path.stat()
    except OSError as error:
        return Inspection("", f"{path} cannot be opened: {error.strerror}")
    state = [_VERSION, status.st_size, status.st_mtime_ns]
    record = _record_path(path, is_label)
    known = _recall(record, state)
    if known is None:
        known = _inspect(path, is_label)
        _remember(record, state, known)
    return known


def fingerprint(subject: Subject) -> str:
    """Return a digest of a subject's scans from contents and roles, never from paths.

    Two copies of a cohort in different folders have the same fingerprints; so do ``.nii`` files that were
    renamed. Compressing them anew changes it.
    """
    parts = sorted((*role, inspect_file(path, is_label).digest) for role, path, is_label in _roles(subject))
    text = json.dumps([subject.id, subject.site, parts], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def problems(subject: Subject) -> list[str]:
    """Return one sentence for each file of a subject that cannot be used, in a fixed order."""
    found = (inspect_file(path, is_label).problem for _, path, is_label in _roles(subject))
    return sorted({problem for problem in found if problem})


def _roles(subject: Subject) -> Iterator[tuple[tuple[str, str, str, int], Path, bool]]:
    for scan in subject.scans:
        for name, path in scan.images.items():
            yield (scan.sequence, scan.session, f"image:{name}", 0), path, False
        for name, paths in scan.labels.items():
            for place, path in enumerate(paths):
                yield (scan.sequence, scan.session, f"label:{name}", place), path, True


def _inspect(path: Path, is_label: bool) -> Inspection:
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return Inspection("", f"{path} cannot be opened: {error.strerror}")
    try:
        read_volume(path, allow_constant=is_label)
    except DataError as error:
        return Inspection(digest, error.message)
    return Inspection(digest, "")


def _record_path(path: Path, is_label: bool) -> Path:
    key = hashlib.sha256(f"{path.resolve()}\0{is_label}".encode()).hexdigest()
    return cache_dir() / "inspection" / key[:2] / f"{key[2:]}.json"


def _recall(record: Path, state: list[int]) -> Inspection | None:
    try:
        known = json.loads(record.read_bytes())
        return Inspection(**known["found"]) if known["state"] == state else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # never looked at, or a record that another program damaged: look again


def _remember(record: Path, state: list[int], found: Inspection) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=record.parent, prefix=record.stem[:8], suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"state": state, "found": asdict(found)}, stream)
    Path(name).replace(record)
