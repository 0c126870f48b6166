"""Units and physical ranges of quantitative maps, and what is mended when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mribench.errors import DataError
from mribench.volumes import Volume

RANGES: dict[str, tuple[float, float]] = {
    "PD": (0.0, 200.0),
    "R1": (0.0, 10.0),
    "R2s": (0.0, 1000.0),
    "R2": (0.0, 1000.0),
    "MTsat": (0.0, 15.0),
}
"""Smallest and largest value of each map: PD and MTsat in p.u., rates in 1/s. Wider than any tissue, so
that only failed fits and noise are clipped."""

WHITE_MATTER_PD = 69.0
"""Proton density of white matter, p.u. (Tofts 2003, doi 10.1002/0470869526.ch4), as the hMRI toolbox sets it
(Tabelow et al. 2019, doi 10.1016/j.neuroimage.2019.01.029)."""

WHITE_MATTER: dict[str, tuple[float, float]] = {"R1": (0.8, 1.4), "MTsat": (1.3, 3.0)}
"""Where both lie there is white matter at 3T: grey matter has less of either, fat more R1 and no MT."""

_MIN_WHITE_MATTER_ML = 1.0
_TISSUE = {
    "PD": (20.0, 200.0),
    "R1": (0.15, 4.0),
    "R2s": (1.0, 200.0),
    "R2": (0.5, 200.0),
    "MTsat": (0.05, 8.0),
}
"""Generous: what tissue or fluid of a head can have."""

_PLAUSIBLE_MEDIAN: dict[str, tuple[float, float, str, str]] = {
    "PD": (30.0, 130.0, "a fraction, or arbitrary units", "arbitrary units"),
    "R1": (0.2, 4.0, "R1 in 1/ms", "T1 in ms, or R1 in 1/1000 s"),
    "R2s": (4.0, 200.0, "R2* in 1/ms, or T2* in s", "T2* in ms, or R2* in 1/1000 s"),
    "R2": (3.0, 45.0, "R2 in 1/ms, or T2 in s", "T2 in ms"),
    "MTsat": (0.1, 6.0, "a fraction", "p.u. times 10, or percent of another reference"),
}
"""Of heads at 1.5 to 7 T, with or without what is outside the brain: smallest, largest, and what it looks
like below and above. Grey and white matter: R1 0.5 to 1.7 1/s, R2* 12 to 45 1/s, R2 9 to 22 1/s, MTsat 0.6 to
4 p.u."""
UNITS = {"PD": "p.u.", "MTsat": "p.u.", "R1": "1/s", "R2s": "1/s", "R2": "1/s"}
_TIMES = {"R1": "T1", "R2s": "T2*", "R2": "T2"}


def unit_problem(name: str, values: np.ndarray, proton_density: np.ndarray) -> str:
    """Return why a map cannot be in mribench's units, or an empty string.

    The median over positive voxels with protons is compared with what any head can have: R1 of tissue is
    0.2 to 3 1/s, so a median of 900 is T1 in ms, and of 0.0009 is R1 in 1/ms.

    Args:
        name: ``PD``, ``R1``, ``R2s``, ``R2`` or ``MTsat``.
        values: ``(I, J, K)`` as read.
        proton_density: ``(I, J, K)``; where it is of another shape, all positive voxels count.
    """
    median = median_in_head(values, proton_density)
    if median is None:
        return "has no positive value"
    low, high, too_low, too_high = _PLAUSIBLE_MEDIAN[name]
    unit = UNITS[name]
    if low <= median <= high:
        return ""
    guess = too_low if median < low else too_high
    return f"has a median of {median:.3g}, expected {name} in {unit}: it looks like {guess}"


def rate_from_time(name: str, volume: Volume, proton_density: np.ndarray) -> Volume:
    """Return a rate (1/s) from a map of its relaxation time in s, as BIDS has them; zero where the time is.

    Args:
        name: of the rate: ``R1``, ``R2s`` or ``R2``.
        volume: the times ``(I, J, K)``.
        proton_density: as in ``unit_problem``.

    Raises:
        DataError: when the median time is not one of tissue in seconds: what it is then can only be guessed.
    """
    median = median_in_head(volume.data, proton_density)
    if median is None:
        raise DataError("has no positive value")
    low, high, *_ = _PLAUSIBLE_MEDIAN[name]
    if not 1 / high <= median <= 1 / low:
        guess = f"{_TIMES[name]} in ms" if median > 1 / low else "something else"
        raise DataError(f"has a median of {median:.3g}, expected {_TIMES[name]} in s: it looks like {guess}")
    positive = volume.data > 0
    rate = np.divide(1.0, volume.data, out=np.zeros_like(volume.data), where=positive)
    return replace(volume, data=rate)


def clip_map(name: str, volume: Volume) -> Volume:
    """Return a map clipped to its physical range; how many voxels that changed is in ``clipped_vox``."""
    low, high = RANGES[name]
    outside = int(((volume.data < low) | (volume.data > high)).sum())
    return replace(volume, data=volume.data.clip(low, high), clipped_vox=outside) if outside else volume


def hole_problem(name: str, volumes: Mapping[str, Volume]) -> str:
    """Return why too much of a map was not finite, or an empty string.

    The head is where at least two other maps have values of tissue; outside it toolboxes write NaN, and
    single voxels inside it are failed fits. More than half of the head is refused.

    Args:
        name: of the map.
        volumes: all maps of the set in mribench's units, on one grid, voxels that were not finite set to 0.
    """
    if not volumes[name].repaired_vox:
        return ""
    votes = np.zeros(volumes[name].shape_vox, np.int8)
    for other, (low, high) in _TISSUE.items():
        if other != name and other in volumes:
            votes += (volumes[other].data >= low) & (volumes[other].data <= high)
    head = votes >= 2
    share = float((volumes[name].data[head] == 0).mean()) if head.any() else 1.0
    return f"has no finite value in {share:.0%} of the head" if share > 0.5 else ""


def calibrated(amplitude: Volume, r1: Volume, mtsat: Volume) -> tuple[Volume, int]:
    """Return proton density (p.u.) from an uncalibrated map, and the number of voxels it was scaled by.

    The map is multiplied by one number, so that its median over white matter is 69 p.u. White matter is
    where R1 and MTsat both lie in ``WHITE_MATTER``. The hMRI toolbox does the same with a segmentation; what
    the receive coils leave in the map stays there.

    Args:
        amplitude: the A map, arbitrary units.
        r1: 1/s, on the same grid.
        mtsat: p.u., on the same grid.

    Raises:
        DataError: when there is less than 1 ml of white matter.
    """
    white = amplitude.data > 0
    for volume, name in ((r1, "R1"), (mtsat, "MTsat")):
        low, high = WHITE_MATTER[name]
        white &= (volume.data >= low) & (volume.data <= high)
    count = int(white.sum())
    if count * float(np.prod(amplitude.spacing_mm)) / 1000 < _MIN_WHITE_MATTER_ML:
        raise DataError(
            f"cannot be calibrated: {count} voxels have R1 and MTsat of white matter, fewer than 1 ml"
        )
    factor = WHITE_MATTER_PD / float(np.median(amplitude.data[white]))
    return replace(amplitude, data=amplitude.data * np.float32(factor)), count


def head_of(proton_density: np.ndarray) -> np.ndarray:
    """Return where protons are, as a boolean ``(I, J, K)``, whatever the unit of their density."""
    head: np.ndarray = proton_density > 0.3 * np.percentile(proton_density, 99)
    return head


def median_in_head(values: np.ndarray, proton_density: np.ndarray) -> float | None:
    """Return the median of the positive values in the head, None where there are none."""
    positive = values > 0
    if proton_density.shape == values.shape:
        positive &= head_of(proton_density)
    return float(np.median(values[positive])) if positive.any() else None
