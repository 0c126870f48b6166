"""From the working grid back to an image's own: linear interpolation as products of matrices."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mribench.volumes import Volume, resample_to

_SLAB_VOX, _BAND_VOX = 16, 32
"""Voxels of the new grid at a time: what they are made of stays in a processor's cache, and the matrix of a
whole axis, which is next to nothing but zeros, is never multiplied with."""
_SAME_VOX = 1e-6


class ToNative:
    """Brings ``(C, I, J, K)`` from the working grid to the image's own, linearly per channel.

    It is done where the values lie, in float64, so that what is rounded to float32 at the end is what
    ``resample_to`` has but for one value in some ten thousands, and that by its last bit.

    Args:
        facts: of the image: its ``working`` and ``native`` grids, and whether they are the ``same_grid``.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._same = facts["same_grid"]
        self._working, self._native = facts["working"], facts["native"]

    def __call__(self, values: Tensor) -> Tensor:
        """Return the values on the own grid, float32; 0 outside of the field of view of the working grid."""
        if self._same:
            return values
        matrix = np.linalg.inv(np.array(self._working["affine"])) @ np.array(self._native["affine"])
        turned = not np.allclose(matrix[:3, :3], np.diag(np.diag(matrix)[:3]), atol=1e-9)
        if turned or not bool(torch.isfinite(values).all()):  # 0 times infinity would spread along the axes
            return self._move_by_voxel(values)
        shape_vox = [int(edge) for edge in self._native["shape_vox"]]
        sizes = (_SLAB_VOX, _BAND_VOX, _BAND_VOX)
        bands = []
        for axis, size in enumerate(sizes):
            place = matrix[axis, axis], matrix[axis, 3]
            along = _make_bands(*place, values.shape[1 + axis], shape_vox[axis], size)
            bands.append([band.to(values.device) for band in along])
        moved = values.new_empty((len(values), *shape_vox), dtype=torch.float32)
        for channel, into in zip(values, moved, strict=True):
            _move(channel, bands, into)
        return moved

    def _move_by_voxel(self, values: Tensor) -> Tensor:
        affine, shape_vox = np.array(self._native["affine"]), self._native["shape_vox"]
        working = np.array(self._working["affine"])
        volumes = (Volume(channel.numpy(), working) for channel in values.cpu())
        moved = [resample_to(volume, affine, shape_vox, order=1).data for volume in volumes]
        return torch.from_numpy(np.stack(moved)).to(values.device)


@dataclass(frozen=True)
class _Band:
    """Some voxels of a new axis, those of the old one that they are made of, and how much of each."""

    new: slice
    old: slice
    weights: Tensor

    def to(self, device: torch.device) -> _Band:
        return _Band(self.new, self.old, self.weights.to(device))


@functools.lru_cache(maxsize=64)
def _make_bands(step: float, start: float, n_old: int, n_new: int, size: int) -> tuple[_Band, ...]:
    """Return the bands of an axis whose voxel ``i`` lies at ``step * i + start`` of the old one."""
    at = step * np.arange(n_new) + start
    inside = (at > -0.5 - _SAME_VOX) & (at < n_old - 0.5 + _SAME_VOX)
    at = at.clip(0, n_old - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, n_old - 1)
    made = []
    for first in range(0, n_new, size):
        new = slice(first, min(first + size, n_new))
        old = slice(int(low[new].min()), int(high[new].max()) + 1)
        rows = np.arange(new.stop - first)
        weights = np.zeros((len(rows), old.stop - old.start))
        np.add.at(weights, (rows, low[new] - old.start), (low[new] + 1 - at[new]) * inside[new])
        np.add.at(weights, (rows, high[new] - old.start), (at[new] - low[new]) * inside[new])
        made.append(_Band(new, old, torch.from_numpy(weights)))
    return tuple(made)


def _move(channel: Tensor, bands: Sequence[Sequence[_Band]], into: Tensor) -> None:
    """Interpolate ``(i, j, k)`` along each axis in turn, into ``(I, J, K)``."""
    along_i, along_j, along_k = bands
    n_j, n_k = channel.shape[1:]
    for slab in along_i:
        values = torch.mm(slab.weights, channel[slab.old].double().flatten(1)).unflatten(1, (n_j, n_k))
        rows = values.new_empty((len(values), into.shape[1], n_k))
        for band in along_j:
            rows[:, band.new] = torch.matmul(band.weights, values[:, band.old])
        lines, target = rows.flatten(0, 1), into[slab.new].flatten(0, 1)
        for band in along_k:
            target[:, band.new] = torch.mm(lines[:, band.old], band.weights.T)
