"""95th percentile Hausdorff distance of surface elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mribench_tasks.metrics.contours import CORNERS, areas_mm2
from mribench_tasks.metrics.masks import MaskMetric, image_diagonal_mm
from mribench_tasks.metrics.nearest import nearest_mm
from mribench_tasks.metrics.surface import box_of_both

_FULL = 255
_REACHED = 0.95 - 1e-12
"""95 %, whatever the rounding of the sum: 19 of 20 equal elements reach it."""


def neighbourhoods(mask: np.ndarray) -> np.ndarray:
    """Return the code of the eight voxels around each voxel corner: ``(I + 1, J + 1, K + 1)`` uint8.

    Args:
        mask: ``(I, J, K)`` boolean; what lies outside it is background.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    size = [n + 1 for n in mask.shape]
    codes = np.zeros(size, dtype=np.uint8)
    for bit, corner in enumerate(CORNERS):
        codes |= padded[tuple(slice(at, at + n) for at, n in zip(corner, size, strict=True))] << bit
    return codes


class HD95Surfel(MaskMetric):
    """Larger of the two directed 95th percentiles over surface elements weighted by their areas, in mm.

    A surface element lies at each corner of voxels of which some but not all are in the mask; its area is
    that of the marching-cubes surface there (``contours``). The percentile is the first distance at which
    the area summed in order of distance reaches 95 %, without interpolation. The definition of the tool
    surface-distance (Nikolov et al. 2021, doi:10.2196/26151).
    """

    id = "hd95:surfel"
    unit = "mm"
    higher_is_better = False
    value_range = (0.0, float("inf"))
    on_empty = "one mask empty: undefined, counted as the image diagonal; both empty: left out and counted"

    def compare(self, prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> float:
        """Return the distance in mm between two masks of which neither is empty."""
        box = box_of_both(prediction, target)
        codes = [neighbourhoods(mask[box]) for mask in (prediction, target)]
        sites = [(code != 0) & (code != _FULL) for code in codes]
        areas = areas_mm2(spacing_mm)
        return max(
            _reached(nearest_mm(sites[one], sites[other], spacing_mm), areas[codes[one][sites[one]]])
            for one, other in ((0, 1), (1, 0))
        )

    def penalty_one_empty(self, shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
        """Return the image's diagonal in mm, sqrt(Σ (n_i s_i)²)."""
        return image_diagonal_mm(shape, spacing_mm)


def _reached(distances_mm: np.ndarray, areas: np.ndarray) -> float:
    """Return the first distance at which 95 % of the area is reached."""
    order = np.lexsort((areas, distances_mm))
    share = np.cumsum(areas[order]) / areas.sum()
    first = min(int(np.searchsorted(share, _REACHED)), len(order) - 1)
    return float(distances_mm[order[first]])
