"""What a set of maps says about its units: each map is held against the others, by tissue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mribench.volumes import Volume
from mribench_datasets.qmri_units import head_of

_WHITE = {"R1": (0.5, 2.0), "MTsat": (1.2, 3.5)}
_FLUID = {"R1": (0.05, 0.5), "MTsat": (-0.5, 0.3), "R2s": (0.0, 8.0)}
"""At 1.5 to 7 T; fat, bone and air have another R1, R2* or hardly any protons."""
_LEAST_ML, _LEAST_VOX = 1.0, 30
_WHITE_PD = (45.0, 95.0)
_TIMES = {"R1": "T1", "R2s": "T2*", "R2": "T2"}
_REVERSED = 1.3
_MOST_CLIPPED = 0.2


def set_problem(name: str, volumes: Mapping[str, Volume]) -> str:
    """Return why a map is not what it should be, by the tissues that the other maps tell, or nothing.

    Rates are smaller in fluid than in white matter; a map of times has it the other way round, whatever its
    unit. Proton density is calibrated to about 69 p.u. in white matter. Where there is less than 1 ml of
    either tissue nothing is said.

    Args:
        name: of the map.
        volumes: all maps of the set in mribench's units, on one grid, not clipped yet.
    """
    white = _where(_WHITE, name, volumes)
    if white is None:
        return ""
    in_white = float(np.median(volumes[name].data[white]))
    low, high = _WHITE_PD
    if name == "PD" and not low <= in_white <= high:
        return (
            f"has a median of {in_white:.3g} in white matter, expected about 69 p.u.: it looks like"
            " arbitrary units"
        )
    fluid = _where(_FLUID, name, volumes) if name in _TIMES else None
    if fluid is None:
        return ""
    in_fluid = float(np.median(volumes[name].data[fluid]))
    if in_fluid <= _REVERSED * in_white:
        return ""
    return (
        f"has a median of {in_fluid:.3g} in fluid and of {in_white:.3g} in white matter, expected a smaller"
        f" rate in fluid: it looks like {_TIMES[name]} in place of {name}"
    )


def clipping_problem(before: Volume, after: Volume, protons: np.ndarray) -> str:
    """Return why clipping to the physical range changes too much of the head, or an empty string.

    Args:
        before: the map as read.
        after: clipped.
        protons: proton density as read, which tells the head.
    """
    head = head_of(protons)
    share = float((before.data[head] != after.data[head]).mean()) if head.any() else 0.0
    if share <= _MOST_CLIPPED:
        return ""
    return f"has {share:.0%} of the head outside of {after.data.min():g} to {after.data.max():g}"


def _where(
    ranges: Mapping[str, tuple[float, float]], name: str, volumes: Mapping[str, Volume]
) -> np.ndarray | None:
    """Return where a tissue is by all maps but the one in question; None for too little of it."""
    protons = volumes["PD"].data
    found = head_of(protons)
    if "R2s" in ranges:
        found &= protons >= np.median(protons[found]) if found.any() else found
    for other, (low, high) in ranges.items():
        if other != name and other in volumes:
            found &= (volumes[other].data > low) & (volumes[other].data < high)
    count = int(found.sum())
    enough = count * float(np.prod(volumes["PD"].spacing_mm)) / 1000 >= _LEAST_ML and count >= _LEAST_VOX
    return found if enough else None
