"""Quantitative multi-parameter maps, as the hMRI toolbox or a BIDS pipeline writes them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from mribench.interfaces import Exclusion, Scan, ScanValues, Subject
from mribench.volumes import Volume
from mribench_datasets.files import Found, nifti_files, sorted_scans
from mribench_datasets.folders import FolderDataset, FolderOptions
from mribench_datasets.mpm_names import ASIDE, MapFile, map_of, other_kind, suffix_of
from mribench_datasets.mpm_people import set_owners
from mribench_datasets.people import add_participants
from mribench_datasets.qmri_sets import NEEDED, check_maps, choose_maps, read_maps

_UNCALIBRATED = (
    "has an uncalibrated A map in place of PD: calibrate it (hMRI toolbox: PD calculation, white matter "
    "69 p.u.), or set 'calibrate: true'"
)
_SPACE = re.compile(r"(?:^|_)space-(?!orig(?:_|$))")


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
            maps = choose_maps(subject, files, self._calibrate, found)
            absent = [name for name in NEEDED if name not in maps]
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
        add_participants(root / "participants.tsv", found)

    def reading_options(self) -> Mapping[str, object]:
        """Return whether A maps are calibrated: all else says where the files are."""
        return {"calibrate": True} if self._calibrate else {}

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        """Read the maps in mribench's units on one grid, as ``read_maps`` does."""
        return read_maps(scan.images)

    def check_values(self, scan: Scan) -> ScanValues:
        """Read the maps, and count what is mended in them."""
        return check_maps(scan.images)


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
