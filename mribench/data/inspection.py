"""Reads every file once, and remembers what it found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mribench.digests import digest_of
from mribench.errors import DataError
from mribench.interfaces.dataset import ScanValues
from mribench.volumes import read_volume
from mribench.volumes.cache import read_file_state, remember_by_file
from mribench.volumes.nifti_file import check_file, shorten_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from mribench.interfaces.dataset import Dataset, Scan, Subject


@dataclass(frozen=True)
class Inspection:
    """What is known about a file.

    Attributes:
        digest: SHA-256 of its contents, hexadecimal; empty when it cannot be opened.
        problem: why it cannot be used, one sentence, or empty.
        voxels: SHA-256 of shape and values as they are read, whatever the file's name, header, type of voxel
            and compression; empty for labels, and for what cannot be read.
    """

    digest: str
    problem: str
    voxels: str = ""


def inspect_file(path: Path, is_label: bool = False, repair: bool = False) -> Inspection:
    """Read a volume fully, once for each version of the file (path and ``file_state``).

    Args:
        path: ``.nii`` or ``.nii.gz``.
        is_label: a label may be constant (an empty mask).
        repair: voxels that are not finite are allowed, as long as some are.
    """
    usual = "map" if repair else "image"
    what = "label" if is_label else usual
    try:
        return Inspection(**remember_by_file(path, what, partial(_inspect, is_label=is_label, repair=repair)))
    except OSError as error:
        return Inspection("", f"{shorten_path(path)} cannot be opened: {error.strerror}")
    except ValueError:  # no path to ask the system about
        return Inspection("", f"{shorten_path(path)} cannot be opened: its name is not UTF-8 text")


def compute_fingerprint(subject: Subject) -> str:
    """Return a digest of a subject's scans from contents and roles, never from paths.

    Copies of a cohort in different folders, under different file names, have the same fingerprints as long
    as the loader gives the files the same roles. Compressing a file anew changes its subject's.
    """
    parts = sorted(
        (*role, inspect_file(path, is_label, is_maps).digest)
        for role, path, is_label, is_maps in _list_roles(subject)
    )
    return digest_of([subject.id, subject.site, parts])


def digest_voxels(subject: Subject) -> dict[str, Path]:
    """Return the images and maps of a subject by the digest of their voxels."""
    found: dict[str, Path] = {}
    for _, path, is_label, is_maps in _list_roles(subject):
        digest = "" if is_label else inspect_file(path, repair=is_maps).voxels
        if digest:
            found.setdefault(digest, path)
    return found


def find_problems(subject: Subject) -> list[str]:
    """Return one sentence for each file of a subject that cannot be used, sorted."""
    found = (
        inspect_file(path, is_label, is_maps).problem for _, path, is_label, is_maps in _list_roles(subject)
    )
    return sorted({problem for problem in found if problem})


def find_unusable(dataset: Dataset, subject: Subject, reader: str) -> list[str]:
    """Return one sentence for everything that keeps a subject's scans from being used: files, grids, values.

    Args:
        dataset: reads the scans.
        subject: whose scans.
        reader: tells versions of the dataset's code apart.
    """
    return [text for scan in subject.scans for text in find_unusable_scan(dataset, subject, scan, reader)]


def find_unusable_scan(dataset: Dataset, subject: Subject, scan: Scan, reader: str) -> list[str]:
    """Return why a scan cannot be used: its files, else their grids, else their values."""
    wrong = find_problems(replace(subject, scans=(scan,)))
    if not wrong and (text := dataset.check_scan(scan)):
        wrong = [text]
    if not wrong and (text := inspect_values(dataset, scan, reader).problem):
        wrong = [text]
    return wrong


def inspect_values(dataset: Dataset, scan: Scan, reader: str) -> ScanValues:
    """Return what the dataset says of a scan's values, asked once for each version of its files.

    Args:
        dataset: reads the scan.
        scan: whose files can be read (see ``find_problems``).
        reader: tells versions of the dataset's code apart.
    """
    try:
        states = [[str(path), *read_file_state(path)] for path in scan.files()]
        if not states:
            return dataset.check_values(scan)
        key = [reader, dict(dataset.reading_options() or {}), sorted(scan.images), states]
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        compute = partial(_measure_values, dataset, scan)
        return ScanValues(**remember_by_file(scan.files()[0], f"values:{digest}", compute))
    except OSError as error:
        return ScanValues(f"{error.filename} cannot be opened: {error.strerror}")


def _measure_values(dataset: Dataset, scan: Scan, _: Path) -> tuple[dict[str, Any], bool]:
    found = dataset.check_values(scan)
    return asdict(found), not found.problem


def _list_roles(subject: Subject) -> Iterator[tuple[tuple[str, str, str, int], Path, bool, bool]]:
    """Yield (sequence, session, name, place), path, whether it is a label and of maps, for every file."""
    for scan in subject.scans:
        for name, path in scan.images.items():
            yield (scan.sequence, scan.session, f"image:{name}", 0), path, False, scan.is_maps
        for name, paths in scan.labels.items():
            for place, path in enumerate(paths):
                yield (scan.sequence, scan.session, f"label:{name}", place), path, True, scan.is_maps


def _inspect(path: Path, is_label: bool, repair: bool) -> tuple[dict[str, Any], bool]:
    try:
        check_file(path)  # a pipe or a device has no end
    except DataError as error:
        return {"digest": "", "problem": error.message}, False
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        volume = read_volume(path, allow_constant=is_label, repair=repair and not is_label)
    except DataError as error:
        passing = isinstance(error.__cause__, MemoryError)
        return {"digest": digest, "problem": error.message}, not passing
    return {"digest": digest, "problem": "", "voxels": "" if is_label else _digest_voxels(volume.data)}, True


def _digest_voxels(data: np.ndarray) -> str:
    digest = hashlib.sha256(str(data.shape).encode())
    digest.update(data.data)
    return digest.hexdigest()
