"""Distances between the borders of two masks, in mm, with anisotropic voxels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mribench_tasks.metrics.masks import MaskMetric, image_diagonal_mm


def border(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask ``(I, J, K)`` that have a face neighbour outside it.

    What lies outside the volume counts as background, so a mask that touches the edge of the volume
    has border voxels there.
    """
    return mask ^ ndimage.binary_erosion(mask)


def border_distances_mm(
    prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of every border voxel of each mask to the other mask's border.

    Args:
        prediction: ``(I, J, K)`` boolean, not empty.
        target: as ``prediction``.
        spacing_mm: voxel edges along I, J, K.

    Returns:
        prediction to reference, and reference to prediction, in mm.
    """
    # Nothing outside the box of both masks changes a distance between voxels of them.
    box = ndimage.find_objects((prediction | target).astype(np.uint8))[0]
    from_border, to_border = border(prediction[box]), border(target[box])
    to_target = ndimage.distance_transform_edt(~to_border, sampling=spacing_mm)
    to_prediction = ndimage.distance_transform_edt(~from_border, sampling=spacing_mm)
    return to_target[from_border], to_prediction[to_border]


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
