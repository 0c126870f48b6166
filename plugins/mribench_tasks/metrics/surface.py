"""Distances between the borders of two masks, in mm, with anisotropic voxels."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from mribench_tasks.metrics.masks import MaskMetric, image_diagonal_mm
from mribench_tasks.metrics.nearest import nearest_mm


def border(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask ``(I, J, K)`` that have a face neighbour outside it.

    What lies outside the volume counts as background, so a mask that touches the edge of the volume
    has border voxels there.
    """
    inner = np.zeros(mask.shape, dtype=bool)
    middle = inner[1:-1, 1:-1, 1:-1]
    np.logical_and(mask[2:, 1:-1, 1:-1], mask[:-2, 1:-1, 1:-1], out=middle)
    middle &= mask[1:-1, 2:, 1:-1]
    middle &= mask[1:-1, :-2, 1:-1]
    middle &= mask[1:-1, 1:-1, 2:]
    middle &= mask[1:-1, 1:-1, :-2]
    return mask > inner


def box_of_both(first: np.ndarray, second: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the smallest box that holds two masks ``(I, J, K)`` of which one at least is not empty."""
    i = _span(*(np.any(mask, axis=(1, 2)) for mask in (first, second)))
    planes = [np.any(mask[i], axis=0) for mask in (first, second)]
    return i, _span(*(np.any(p, axis=1) for p in planes)), _span(*(np.any(p, axis=0) for p in planes))


def _span(one: np.ndarray, other: np.ndarray) -> slice:
    places = np.flatnonzero(one | other)
    return slice(int(places[0]), int(places[-1]) + 1)


def border_distances_mm(
    prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of every border voxel of each mask to the other mask's border.

    The distances of the last pair are kept, so that all definitions that are computed of one pair share one
    computation. A pair is known by its voxels and not by its arrays, which may be changed or used again.

    Args:
        prediction: ``(I, J, K)`` boolean, not empty.
        target: as ``prediction``.
        spacing_mm: voxel edges along I, J, K.

    Returns:
        prediction to reference, and reference to prediction, in mm, in the order of the voxels; read-only.
    """
    # Nothing outside the box of both masks changes a distance between voxels of them.
    box = box_of_both(prediction, target)
    i, j, k = prediction[box].shape
    bits = [np.packbits(mask[box]).tobytes() for mask in (prediction, target)]
    return _distances_mm(bits[0], bits[1], (i, j, k), tuple(float(edge) for edge in spacing_mm))


@functools.lru_cache(maxsize=1)
def _distances_mm(
    prediction: bytes, target: bytes, shape: tuple[int, int, int], spacing_mm: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    from_border, to_border = (_border_in_box(_unpacked(bits, shape)) for bits in (prediction, target))
    to_target = nearest_mm(from_border, to_border, spacing_mm)
    to_prediction = nearest_mm(to_border, from_border, spacing_mm)
    for shared in (to_target, to_prediction):
        shared.flags.writeable = False
    return to_target, to_prediction


def _border_in_box(mask: np.ndarray) -> np.ndarray:
    """Return the border of a mask, computed where the mask is alone: two may lie far apart."""
    box = box_of_both(mask, mask)
    found = np.zeros_like(mask)
    found[box] = border(mask[box])
    return found


def _unpacked(bits: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=shape[0] * shape[1] * shape[2])
    return flat.view(bool).reshape(shape)


class SurfaceDistance(MaskMetric):
    """A summary of the border distances in both directions; lower is better.

    One mask empty: NaN, which the default policy counts as the image's diagonal.
    """

    unit = "mm"
    higher_is_better = False
    value_range = (0.0, float("inf"))
    on_empty = "one mask empty: undefined, counted as the image diagonal; both empty: left out and counted"

    @abstractmethod
    def summarise(self, to_target_mm: np.ndarray, to_prediction_mm: np.ndarray) -> float:
        """Return one value from the distances of both directions."""

    def compare(self, prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> float:
        """Return the distance in mm between two masks of which neither is empty."""
        return self.summarise(*border_distances_mm(prediction, target, spacing_mm))

    def penalty_one_empty(self, shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
        """Return the image's diagonal in mm, sqrt(Σ (n_i s_i)²)."""
        return image_diagonal_mm(shape, spacing_mm)
