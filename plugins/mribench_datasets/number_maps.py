"""Labels that users bring: one file of numbers or of a mask, or one file for each class's share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mribench.errors import DataError
from mribench.volumes import Volume, read_volume, same_grid

_WHOLE = 1e-3
"""Header scaling leaves numbers this far from whole."""
_LARGEST = 2**24
"""Volumes are single precision: above it, neighbouring numbers are one."""
_MOST_NUMBERS = 2000
"""Finer than any atlas; more are a continuous image."""


def read_label_files(paths: Sequence[Path]) -> Volume:
    """Read a label on its own grid, in RAS.

    Returns:
        ``(1, I, J, K)``: the numbers of a label map, whole, or the shares of a mask in 0..1; or
        ``(C, I, J, K)``: the shares of C classes in 0..1, of as many files.

    Raises:
        DataError: when files differ in grid, or have values that are neither.
    """
    volumes = [read_volume(path, allow_constant=True) for path in paths]
    for path, volume in zip(paths, volumes, strict=True):
        if not same_grid(volume, volumes[0]):
            raise DataError(f"{path} and {paths[0]} are not on one grid", "resample one to the other")
    if len(paths) == 1:
        return Volume(_numbers_or_shares(paths[0], volumes[0].data)[None], volumes[0].affine)
    shares = [_shares(path, volume.data) for path, volume in zip(paths, volumes, strict=True)]
    return Volume(np.stack(shares), volumes[0].affine)


def numbers_in(values: np.ndarray) -> tuple[int, ...]:
    """Return the numbers of a label ``(C, I, J, K)`` besides 0; of shares, those of its maps, from 1."""
    if len(values) > 1 or values.max() <= 1:
        return tuple(int(place) + 1 for place in np.flatnonzero(values.max(axis=(1, 2, 3)) > 0))
    return tuple(int(number) for number in np.unique(values) if number)


def _numbers_or_shares(path: Path, data: np.ndarray) -> np.ndarray:
    low, high = float(data.min()), float(data.max())
    if low >= -0.01 and high <= 1.01:
        return data.clip(0, 1)
    whole = np.rint(data)
    if low < -_WHOLE or np.abs(data - whole).max() > _WHOLE:
        raise DataError(
            f"{path} has values from {low:.3g} to {high:.3g}, expected whole numbers from 0, or shares in"
            " 0..1",
            "name the file of the label, or scale its shares to 0..1",
        )
    if high >= _LARGEST:
        raise DataError(
            f"{path} has the number {high:.0f}: above {_LARGEST} numbers cannot be told apart",
            "give the classes smaller numbers",
        )
    if len(np.unique(whole)) > _MOST_NUMBERS:
        raise DataError(
            f"{path} has more than {_MOST_NUMBERS} different numbers: it looks like an image, and no label",
            "name the file of the label",
        )
    return whole


def _shares(path: Path, data: np.ndarray) -> np.ndarray:
    low, high = float(data.min()), float(data.max())
    if low < -0.01 or high > 1.01:
        raise DataError(
            f"{path} has values from {low:.3g} to {high:.3g}, expected a share in 0..1, as one of several"
            " files of a label",
            "name one file for a map of numbers",
        )
    return data.clip(0, 1)
