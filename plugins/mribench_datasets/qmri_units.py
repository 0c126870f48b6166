"""Units and physical ranges of quantitative maps."""

from __future__ import annotations

import numpy as np

from mribench.data.volumes import Volume

RANGES: dict[str, tuple[float, float]] = {
    "PD": (0.0, 200.0),
    "R1": (0.0, 10.0),
    "R2s": (0.0, 1000.0),
    "R2": (0.0, 1000.0),
    "MTsat": (0.0, 15.0),
}
"""Smallest and largest value of each map: PD and MTsat in p.u., rates in 1/s. Wider than any tissue, so
that only failed fits and noise are clipped."""

_PLAUSIBLE_MEDIAN: dict[str, tuple[float, float, str, str]] = {
    "PD": (2.0, 400.0, "a fraction", "something else"),
    "R1": (0.05, 10.0, "R1 in 1/ms", "T1 in ms, or R1 in 1/1000 s"),
    "R2s": (1.0, 1000.0, "R2* in 1/ms, or T2* in s", "something else"),
    "R2": (0.5, 1000.0, "R2 in 1/ms, or T2 in s", "T2 in ms"),
    "MTsat": (0.1, 30.0, "a fraction", "something else"),
}


def unit_problem(name: str, values: np.ndarray, proton_density: np.ndarray) -> str:
    """Return why a map cannot be in mribench's units, or an empty string.

    The median over positive voxels with protons is compared with what any head can have: R1 of tissue is
    0.2 to 3 1/s, so a median of 900 is T1 in ms, and of 0.0009 is R1 in 1/ms.

    Args:
        name: ``PD``, ``R1``, ``R2s``, ``R2`` or ``MTsat``.
        values: ``(I, J, K)`` as read.
        proton_density: ``(I, J, K)``; where it is of another shape, all positive voxels count.
    """
    positive = values > 0
    if proton_density.shape == values.shape:
        positive &= proton_density > 0.3 * np.percentile(proton_density, 99)
    if not positive.any():
        return "has no positive value"
    median = float(np.median(values[positive]))
    low, high, too_low, too_high = _PLAUSIBLE_MEDIAN[name]
    unit = "p.u." if name in ("PD", "MTsat") else "1/s"
    if low <= median <= high:
        return ""
    guess = too_low if median < low else too_high
    return f"has a median of {median:.3g}, expected {name} in {unit}: it looks like {guess}"


def clip_map(name: str, volume: Volume) -> tuple[Volume, int]:
    """Return a map clipped to its physical range, and how many voxels that changed."""
    low, high = RANGES[name]
    outside = int(((volume.data < low) | (volume.data > high)).sum())
    return (Volume(volume.data.clip(low, high), volume.affine) if outside else volume), outside
