"""Sets of quantitative maps: which file is which map, reading all of them, and what is mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mribench.errors import DataError
from mribench.interfaces import Exclusion, ScanValues
from mribench.volumes import Volume, read_volume, same_grid
from mribench_datasets.files import Found, is_there
from mribench_datasets.mpm_names import TIMES, MapFile, suffix_of
from mribench_datasets.qmri_checks import clipping_problem, set_problem
from mribench_datasets.qmri_units import (
    UNITS,
    calibrated,
    clip_map,
    hole_problem,
    median_in_head,
    rate_from_time,
    unit_problem,
)  # fmt: skip

NEEDED = ("PD", "R1", "R2s", "MTsat")
"""Maps without which a set is none."""
_CONVERT = "convert the map; mribench does not guess"


def choose_maps(subject: str, files: Sequence[MapFile], calibrate: bool, found: Found) -> dict[str, Path]:
    """Return the file of each map of a set, and note the others."""
    chosen: dict[str, Path] = {}
    with_pd = any(file.name == "PD" for file in files)
    for file in sorted(files, key=lambda file: file.rank):
        if file.name == "A" and with_pd:
            found.ignored["*_A beside a PD map"] += 1
        if file.name == "A" and (with_pd or not calibrate):
            continue
        name = "PD" if file.name == "A" else file.name
        if name in chosen:
            same = suffix_of(chosen[name]) == file.suffix
            kind = "file that is there twice" if same else f"another {name} map of the same set"
            found.excluded.append(Exclusion(subject, f"{file.path}: {chosen[name].name} is used", kind))
        elif is_there(file.path, subject, found):
            chosen[name] = file.path
    return chosen


def read_maps(images: Mapping[str, Path]) -> dict[str, Volume]:
    """Read the maps in mribench's units on one grid, in RAS, clipped to physical ranges.

    How many voxels of each map were not finite (and are zero), and how many were clipped, is in
    ``repaired_vox`` and ``clipped_vox``.

    Raises:
        DataError: when a map is in other units, on another grid than the others, not finite in more than
            half of the head, or cannot be calibrated.
    """
    volumes = {name: read_volume(path, repair=True) for name, path in images.items()}
    for name, volume in volumes.items():
        if not same_grid(volume, volumes["PD"]):
            raise DataError(f"{images[name]} and {images['PD']} are not on one grid")
    protons = volumes["PD"].data
    for name in sorted(volumes, key=lambda name: name == "PD"):  # an A map needs the others
        try:
            volumes[name] = _in_units(name, images[name], volumes, protons)
        except DataError as error:
            raise DataError(f"{images[name]} {error.message}", error.hint or _CONVERT) from error
    clipped = {name: clip_map(name, volumes[name]) for name in images}
    for name, path in images.items():
        problem = hole_problem(name, volumes)
        if problem:
            raise DataError(f"{path} {problem}", "leave the set out, or make the map again")
        problem = set_problem(name, volumes) or clipping_problem(volumes[name], clipped[name], protons)
        if problem:
            raise DataError(f"{path} {problem}", _CONVERT)
    return clipped


def _in_units(name: str, path: Path, volumes: Mapping[str, Volume], protons: np.ndarray) -> Volume:
    suffix, volume = suffix_of(path), volumes[name]
    if suffix in TIMES:
        return rate_from_time(name, volume, protons)
    if suffix == "A":
        volume = calibrated(volume, volumes["R1"], volumes["MTsat"])[0]
    problem = unit_problem(name, volume.data, protons)
    if problem:
        raise DataError(problem)
    return volume


def check_maps(images: Mapping[str, Path]) -> ScanValues:
    """Read the maps, and count what is mended in them."""
    try:
        volumes = read_maps(images)
    except DataError as error:
        return ScanValues(error.message)
    return ScanValues(
        voxels=volumes["PD"].data.size,
        clipped_vox={name: volume.clipped_vox for name, volume in volumes.items() if volume.clipped_vox},
        repaired_vox={name: v.repaired_vox for name, v in volumes.items() if v.repaired_vox},
        levels=_levels(images, volumes),
    )


def _levels(images: Mapping[str, Path], volumes: Mapping[str, Volume]) -> dict[str, float]:
    """Return the median of each map in the head, by the map and what its file was taken for."""
    found = {}
    for name, volume in volumes.items():
        suffix = suffix_of(images[name])
        made_of = f", from {suffix.removesuffix('map')} in s" if suffix in TIMES else ""
        made_of = ", from A in arbitrary units" if suffix == "A" else made_of
        median = median_in_head(volume.data, volumes["PD"].data)
        found[f"{name} in {UNITS[name]}{made_of}"] = round(median or 0.0, 4)
    return found
