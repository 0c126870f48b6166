"""Which map a file is, by the names of the hMRI toolbox and of BIDS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mribench_datasets.files import stem

SUFFIXES: dict[str, tuple[str, ...]] = {
    "PD": ("PD", "PDmap"),
    "A": ("A",),
    "R1": ("R1", "R1map", "R1_UNICORT", "T1map"),
    "MTsat": ("MTsat", "MT"),
    "R2s": (
        "R2s_OLS", "R2s_WLS1", "R2s_WLS2", "R2s_WLS3", "R2s_WLS", "R2s_WOLS", "R2s_NLLS_OLS", "R2s_NLLS_WLS1",
        "R2s_NLLS", "R2s_robust", "R2starmap", "R2s", "T2starmap",
    ),
    "R2": ("R2", "R2map", "T2map"),
}  # fmt: skip
"""Ends of names by map, the preferred one first. Of R2* the fits over all contrasts come first (OLS, the
toolbox's default, then the weighted, non-linear and robust ones), then the simple fit ``R2s``, which the
toolbox itself sets aside when it has another; rates that were measured come before times."""

TIMES = ("T1map", "T2starmap", "T2map")
"""Maps of times in s, from which a rate is made."""

BIDS_SUFFIXES = ("PDmap", "R1map", "T1map", "MTsat", "R2starmap", "T2starmap", "R2map", "T2map")
"""Those of ``SUFFIXES`` that BIDS has."""

ASIDE = ("Supplementary", "MPMCalc", "B1mapCalc", "RFsensCalc")
"""Folders of the hMRI toolbox for what is no final result."""

_PLACE = {suffix: (name, rank) for name, ends in SUFFIXES.items() for rank, suffix in enumerate(ends)}
_END = re.compile("_(" + "|".join(sorted(_PLACE, key=len, reverse=True)) + ")$")
_OTHER = re.compile(r"_(param_error|[A-Za-z][A-Za-z0-9]{0,15})$")


@dataclass(frozen=True)
class MapFile:
    """A file that is a map.

    Attributes:
        path: where it lies.
        prefix: beginning of the name, which the maps of one set share.
        name: ``PD``, ``R1``, ``R2s``, ``MTsat``, ``R2`` or ``A``.
        suffix: end of the name.
    """

    path: Path
    prefix: str
    name: str
    suffix: str

    @property
    def rank(self) -> tuple[int, Path]:
        """Sorts the files that could be one map, the preferred one first."""
        return _PLACE[self.suffix][1], self.path


def suffix_of(path: Path) -> str:
    """Return the end of a name that says which map a file is, or an empty string."""
    match = _END.search(stem(path))
    return match[1] if match else ""


def map_of(path: Path) -> MapFile | None:
    """Return which map a file is, or None for what is not a map."""
    suffix = suffix_of(path)
    if not suffix:
        return None
    return MapFile(path, stem(path).removesuffix(f"_{suffix}"), _PLACE[suffix][0], suffix)


def other_kind(path: Path) -> str:
    """Return what to call a file that is no input."""
    match = _OTHER.search(stem(path))
    return f"*_{match[1]}" if match else "other names"
