"""Quantitative multi-parameter maps, as the hMRI toolbox or a BIDS pipeline writes them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from mribench.errors import DataError
from mribench.interfaces import Exclusion, Scan, ScanValues, Subject
from mribench.volumes import Volume, read_volume, same_grid
from mribench_datasets.files import Found, is_there, nifti_files, sorted_scans
from mribench_datasets.folders import FolderDataset, FolderOptions
from mribench_datasets.mpm_names import ASIDE, TIMES, MapFile, map_of, other_kind, suffix_of
from mribench_datasets.mpm_people import set_owners
from mribench_datasets.people import add_from_table, participants
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

_NEEDED = ("PD", "R1", "R2s", "MTsat")
_UNCALIBRATED = (
    "has an uncalibrated A map in place of PD: calibrate it (hMRI toolbox: PD calculation, white matter "
    "69 p.u.), or set 'calibrate: true'"
)
_SPACE = re.compile(r"(?:^|_)space-(?!orig(?:_|$))")
_CONVERT = "convert the map; mribench does not guess"


class MPMOptions(FolderOptions):
    """Where the maps lie, and what is done with uncalibrated ones."""

    calibrate: bool = Field(
        False,
        description="where there is an A map and no PD map, scale it so that its median over white matter "
        "(R1 0.8 to 1.4 1/s and MTsat 1.3 to 3 p.u.) is 69 p.u.; else such sets are left out",
    )


class MPM(FolderDataset):
    """Sets of PD (p.u.), R1 (1/s), R2* (1/s) and MTsat (p.u.) maps, with R2 (1/s) where it was measured.

    One scan is the maps that share a folder and the beginning of their names. The subject is the BIDS
    ``sub-``, else the folder under the root that holds one set, else the beginning of the name; see
    ``mpm_people``. Of several R2* maps of a set the
    first in the order of ``mpm_names.SUFFIXES`` is read. A ``participants.tsv`` in the root gives covariates,
    and the site where it has a column ``site``. Maps of times (BIDS ``T1map``, ``T2starmap``, ``T2map``, in
    s) are read as rates where there is no map of the rate.
    """

    name = "mpm"
    title = "MPM cohort (hMRI toolbox maps)"
    licence = "that of your cohort"
    source = (
        "your own quantitative maps (*_PD, *_R1, *_R2s_*, *_MTsat; https://hmri-group.github.io/hMRI-toolbox)"
    )

    def __init__(self, options: FolderOptions) -> None:
        super().__init__(options)
        self._calibrate = isinstance(options, MPMOptions) and options.calibrate

    def find(self, root: Path, found: Found) -> None:
        """Note what is in the folder."""
        candidates = _candidates(root, found)
        owners = set_owners(root, candidates, found)
        scans: dict[str, list[Scan]] = defaultdict(list)
        fits: Counter[str] = Counter()
        for key, files in sorted(candidates.items()):
            subject, session = owners[key].subject, owners[key].session
            maps = self._choose(subject, files, found)
            absent = [name for name in _NEEDED if name not in maps]
            if absent:
                uncalibrated = absent == ["PD"] and any(file.name == "A" for file in files)
                reason = _UNCALIBRATED if uncalibrated else f"has no {', '.join(absent)} map"
                kind = "uncalibrated A map in place of PD" if uncalibrated else f"no {', '.join(absent)} map"
                found.excluded.append(Exclusion(subject, f"{key[0] / key[1]}_*: {reason}", kind))
            else:
                scans[subject].append(Scan("qmri", dict(sorted(maps.items())), session=session))
                fits[suffix_of(maps["R2s"])] += 1
        found.subjects = [
            Subject(self.namespace, name, "MPM", sorted_scans(mine)) for name, mine in sorted(scans.items())
        ]
        if len(fits) > 1:
            counts = ", ".join(f"*_{suffix} of {count}" for suffix, count in fits.most_common())
            found.remarks.append(
                Exclusion("", f"R2* is from different fits: {counts} sets", "different fits of R2*")
            )
        _add_people(root / "participants.tsv", found)

    def _choose(self, subject: str, files: list[MapFile], found: Found) -> dict[str, Path]:
        """Return the file of each map of a set, and note the others."""
        chosen: dict[str, Path] = {}
        with_pd = any(file.name == "PD" for file in files)
        for file in sorted(files, key=lambda file: file.rank):
            if file.name == "A" and with_pd:
                found.ignored["*_A beside a PD map"] += 1
            if file.name == "A" and (with_pd or not self._calibrate):
                continue
            name = "PD" if file.name == "A" else file.name
            if name in chosen:
                same = suffix_of(chosen[name]) == file.suffix
                kind = "file that is there twice" if same else f"another {name} map of the same set"
                found.excluded.append(Exclusion(subject, f"{file.path}: {chosen[name].name} is used", kind))
            elif is_there(file.path, subject, found):
                chosen[name] = file.path
        return chosen

    def reading_options(self) -> Mapping[str, object]:
        """Return whether A maps are calibrated: all else says where the files are."""
        return {"calibrate": True} if self._calibrate else {}

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        """Read the maps in mribench's units on one grid, in RAS, clipped to physical ranges.

        How many voxels of each map were not finite (and are zero), and how many were clipped, is in
        ``repaired_vox`` and ``clipped_vox``.

        Raises:
            DataError: when a map is in other units, on another grid than the others, not finite in more than
                half of the head, or cannot be calibrated.
        """
        volumes = {name: read_volume(path, repair=True) for name, path in scan.images.items()}
        for name, volume in volumes.items():
            if not same_grid(volume, volumes["PD"]):
                raise DataError(f"{scan.images[name]} and {scan.images['PD']} are not on one grid")
        protons = volumes["PD"].data
        for name in sorted(volumes, key=lambda name: name == "PD"):  # an A map needs the others
            try:
                volumes[name] = self._in_units(name, scan.images[name], volumes, protons)
            except DataError as error:
                raise DataError(f"{scan.images[name]} {error.message}", error.hint or _CONVERT) from error
        clipped = {name: clip_map(name, volumes[name]) for name in scan.images}
        for name, path in scan.images.items():
            problem = hole_problem(name, volumes)
            if problem:
                raise DataError(f"{path} {problem}", "leave the set out, or make the map again")
            problem = set_problem(name, volumes) or clipping_problem(volumes[name], clipped[name], protons)
            if problem:
                raise DataError(f"{path} {problem}", _CONVERT)
        return clipped

    def _in_units(self, name: str, path: Path, volumes: Mapping[str, Volume], protons: np.ndarray) -> Volume:
        suffix, volume = suffix_of(path), volumes[name]
        if suffix in TIMES:
            return rate_from_time(name, volume, protons)
        if suffix == "A":
            volume = calibrated(volume, volumes["R1"], volumes["MTsat"])[0]
        problem = unit_problem(name, volume.data, protons)
        if problem:
            raise DataError(problem)
        return volume

    def check_values(self, scan: Scan) -> ScanValues:
        """Read the maps, and count what is mended in them."""
        try:
            volumes = self.read_images(scan)
        except DataError as error:
            return ScanValues(error.message)
        return ScanValues(
            voxels=volumes["PD"].data.size,
            clipped_vox={name: volume.clipped_vox for name, volume in volumes.items() if volume.clipped_vox},
            repaired_vox={name: v.repaired_vox for name, v in volumes.items() if v.repaired_vox},
            levels=self._levels(scan, volumes),
        )

    def _levels(self, scan: Scan, volumes: Mapping[str, Volume]) -> dict[str, float]:
        """Return the median of each map in the head, by the map and what its file was taken for."""
        found = {}
        for name, volume in volumes.items():
            suffix = suffix_of(scan.images[name])
            made_of = f", from {suffix.removesuffix('map')} in s" if suffix in TIMES else ""
            made_of = ", from A in arbitrary units" if suffix == "A" else made_of
            median = median_in_head(volume.data, volumes["PD"].data)
            found[f"{name} in {UNITS[name]}{made_of}"] = round(median or 0.0, 4)
        return found


def _candidates(root: Path, found: Found) -> dict[tuple[Path, str], list[MapFile]]:
    """Return the files that could be maps, by set."""
    sets: dict[tuple[Path, str], list[MapFile]] = defaultdict(list)
    for path in nifti_files(root, found):
        file = map_of(path)
        aside = next((part for part in path.relative_to(root).parts[:-1] if part in ASIDE), "")
        if file is None:
            found.ignored[other_kind(path)] += 1
        elif _SPACE.search(file.prefix):
            found.ignored["space-*: in another space"] += 1
        elif aside:
            found.ignored[f"{aside}/*"] += 1
        else:
            sets[path.parent, file.prefix].append(file)
    for folder, prefix in list(sets):
        if (folder, prefix.removeprefix("w")) in sets and prefix.startswith("w"):
            found.ignored["w*: normalised copies"] += len(sets.pop((folder, prefix)))
    return sets


def _add_people(path: Path, found: Found) -> None:
    """Give the subjects the covariates of a participants.tsv, and its ``site``."""
    if not path.is_file() or not add_from_table(found, path, participants):
        return
    for place, subject in enumerate(found.subjects):
        values = dict(subject.covariates)
        site = values.pop("site", None)
        found.subjects[place] = replace(
            subject, site=subject.site if site is None else str(site), covariates=values
        )
