"""Quantitative multi-parameter maps, as the hMRI toolbox or a BIDS pipeline writes them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from mribench.data.volumes import Volume, read_volume, same_grid
from mribench.errors import DataError
from mribench.interfaces import Exclusion, Scan, Subject
from mribench_datasets.folders import FolderDataset, nifti_files, sorted_scans, stem
from mribench_datasets.qmri_units import clip_map, unit_problem

_SUFFIXES = {
    "PD": "PD", "PDmap": "PD", "R1": "R1", "R1map": "R1", "MTsat": "MTsat", "MT": "MTsat", "R2s": "R2s",
    "R2starmap": "R2s", "R2": "R2", "R2map": "R2", "A": "A",
}  # fmt: skip
_R2S = re.compile(r"R2s_(?:OLS|W?LS\d*|WOLS|NLLS\w*|robust)$", re.IGNORECASE)
_NEEDED = ("PD", "R1", "R2s", "MTsat")
_BIDS_SUBJECT = re.compile(r"sub-([A-Za-z0-9]+)")
_BIDS_SESSION = re.compile(r"ses-([A-Za-z0-9]+)")
_UNCALIBRATED = (
    "has an uncalibrated A map in place of PD: calibrate it (hMRI toolbox: PD calculation, white matter "
    "69 p.u.)"
)


class MPM(FolderDataset):
    """Sets of PD (p.u.), R1 (1/s), R2* (1/s) and MTsat (p.u.) maps, with R2 (1/s) where it was measured.

    One scan is the maps that share a folder and the beginning of their names. The subject is the BIDS
    ``sub-``, else the folder under the root, else the beginning of the name.
    """

    name = "mpm"
    title = "MPM cohort (hMRI toolbox maps)"
    licence = "that of your cohort"
    source = (
        "your own quantitative maps (*_PD, *_R1, *_R2s_*, *_MTsat; https://hmri-group.github.io/hMRI-toolbox)"
    )

    def find(self) -> tuple[list[Subject], list[Exclusion]]:
        """Return the subjects in the folder, and what is left out."""
        if self.root is None:
            return [], []
        sets: dict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
        for path in nifti_files(self.root):
            found = _map_of(path)
            if found:
                sets[path.parent, found[0]].setdefault(found[1], path)
        names = _names(self.root, list(sets))
        scans: dict[str, list[Scan]] = defaultdict(list)
        excluded: list[Exclusion] = []
        for key, maps in sorted(sets.items()):
            subject, session = names[key]
            reason = _incomplete(maps)
            if reason:
                excluded.append(Exclusion(subject, f"{key[0] / key[1]}_*: {reason}"))
            else:
                images = {name: path for name, path in maps.items() if name != "A"}
                scans[subject].append(Scan("qmri", dict(sorted(images.items())), session=session))
        subjects = [
            Subject(self.namespace, name, "MPM", sorted_scans(found)) for name, found in sorted(scans.items())
        ]
        return subjects, excluded

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        """Read the maps in mribench's units on one grid, in RAS, clipped to physical ranges.

        Raises:
            DataError: when a map is in other units, or on another grid than the others.
        """
        return {name: clip_map(name, volume)[0] for name, volume in self._read(scan).items()}

    def clip_counts(self, scan: Scan) -> dict[str, int]:
        """Return how many voxels of each map lie outside the physical range."""
        return {name: clip_map(name, volume)[1] for name, volume in self._read(scan).items()}

    def _read(self, scan: Scan) -> dict[str, Volume]:
        volumes = {name: read_volume(path) for name, path in scan.images.items()}
        for name, volume in volumes.items():
            problem = unit_problem(name, volume.data, volumes["PD"].data)
            if problem:
                raise DataError(f"{scan.images[name]} {problem}", "convert the map; mribench does not guess")
            if not same_grid(volume, volumes["PD"]):
                raise DataError(f"{scan.images[name]} and {scan.images['PD']} are not on one grid")
        return volumes


def _map_of(path: Path) -> tuple[str, str] | None:
    """Return (beginning of the name, map) of a file, or None for what is not a map."""
    name = stem(path)
    r2s = _R2S.search(name)
    if r2s:
        return name[: r2s.start()].rstrip("_"), "R2s"
    prefix, _, suffix = name.rpartition("_")
    return (prefix, _SUFFIXES[suffix]) if suffix in _SUFFIXES else None


def _names(root: Path, keys: list[tuple[Path, str]]) -> dict[tuple[Path, str], tuple[str, str]]:
    """Return (subject, session) of each set of maps."""
    folders = {folder.relative_to(root).parts[:1] for folder, _ in keys}
    by_folder = len(folders) > 1 and () not in folders
    names: dict[tuple[Path, str], tuple[str, str]] = {}
    for folder, prefix in keys:
        inside = folder.relative_to(root)
        bids = _BIDS_SUBJECT.search(prefix) or _BIDS_SUBJECT.search(str(inside))
        session = _BIDS_SESSION.search(prefix) or _BIDS_SESSION.search(str(inside))
        name = bids[1] if bids else inside.parts[0] if by_folder else prefix or inside.name
        names[folder, prefix] = (name, session[1] if session else "")
    count: dict[tuple[str, str], int] = defaultdict(int)
    for value in names.values():
        count[value] += 1
    return {  # several sets of one subject that nothing else tells apart
        (folder, prefix): value if count[value] == 1 else (value[0], f"{folder.relative_to(root)}/{prefix}")
        for (folder, prefix), value in names.items()
    }


def _incomplete(maps: Mapping[str, Path]) -> str:
    if "PD" not in maps and "A" in maps:
        return _UNCALIBRATED
    absent = [name for name in _NEEDED if name not in maps]
    return f"has no {', '.join(absent)} map" if absent else ""
