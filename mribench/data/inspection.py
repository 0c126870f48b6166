"""Reads every file once, and remembers what it found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mribench.data.cache import remembered
from mribench.data.volumes import read_volume
from mribench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mribench.interfaces.dataset import Subject


@dataclass(frozen=True)
class Inspection:
    """What is known about a file.

    Attributes:
        digest: SHA-256 of its contents, hexadecimal; empty when it cannot be opened.
        problem: why it cannot be used, one sentence, or empty.
    """

    digest: str
    problem: str


def inspect_file(path: Path, is_label: bool = False) -> Inspection:
    """Read a volume fully, once for each version of the file (path, size, time of modification).

    Args:
        path: ``.nii`` or ``.nii.gz``.
        is_label: a label may be constant (an empty mask).
    """
    what = "label" if is_label else "image"
    try:
        return Inspection(**remembered(path, what, partial(_inspect, is_label=is_label)))
    except OSError as error:
        return Inspection("", f"{path} cannot be opened: {error.strerror}")


def fingerprint(subject: Subject) -> str:
    """Return a digest of a subject's scans from contents and roles, never from paths.

    Copies of a cohort in different folders, under different file names, have the same fingerprints as long
    as the loader gives the files the same roles. Compressing a file anew changes its subject's.
    """
    parts = sorted((*role, inspect_file(path, is_label).digest) for role, path, is_label in _roles(subject))
    text = json.dumps([subject.id, subject.site, parts], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def problems(subject: Subject) -> list[str]:
    """Return one sentence for each file of a subject that cannot be used, sorted."""
    found = (inspect_file(path, is_label).problem for _, path, is_label in _roles(subject))
    return sorted({problem for problem in found if problem})


def _roles(subject: Subject) -> Iterator[tuple[tuple[str, str, str, int], Path, bool]]:
    """Yield (sequence, session, name, place), path, and whether it is a label, for every file."""
    for scan in subject.scans:
        for name, path in scan.images.items():
            yield (scan.sequence, scan.session, f"image:{name}", 0), path, False
        for name, paths in scan.labels.items():
            for place, path in enumerate(paths):
                yield (scan.sequence, scan.session, f"label:{name}", place), path, True


def _inspect(path: Path, is_label: bool) -> tuple[dict[str, Any], bool]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        read_volume(path, allow_constant=is_label)
    except DataError as error:
        passing = isinstance(error.__cause__, MemoryError)
        return {"digest": digest, "problem": error.message}, not passing
    return {"digest": digest, "problem": ""}, True
