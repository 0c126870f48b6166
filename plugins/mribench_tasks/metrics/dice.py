"""Dice coefficient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mribench_tasks.metrics.masks import MaskMetric


class Dice(MaskMetric):
    """Overlap of two masks A and B, 2|A∩B| / (|A| + |B|), in 0..1 (Dice 1945, doi:10.2307/1932409)."""

    id = "dice"
    higher_is_better = True
    value_range = (0.0, 1.0)
    on_empty = "one mask empty: 0; both empty: undefined, left out and counted"
    value_one_empty = 0.0

    def compare(self, prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> float:  # noqa: ARG002 - a share of voxels
        """Return the coefficient of two masks of which neither is empty."""
        common = np.count_nonzero(prediction & target)
        return 2 * common / (np.count_nonzero(prediction) + np.count_nonzero(target))

    def penalty_one_empty(self, shape: Sequence[int], spacing_mm: Sequence[float]) -> float:  # noqa: ARG002 - the worst value
        """Return 0."""
        return 0.0
