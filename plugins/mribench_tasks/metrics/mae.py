"""Mean absolute error of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mribench.interfaces import Metric, NoOptions, Score
from mribench_tasks.metrics.images import voxels_that_count


class MAE(Metric):
    """Mean absolute difference of the voxels that count, in the images' own unit."""

    id = "mae"
    higher_is_better = False
    value_range = (0.0, float("inf"))
    on_empty = "no masks are compared"

    def __init__(self, options: NoOptions | None = None) -> None:
        self.options = options or NoOptions()

    def score(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        spacing_mm: Sequence[float],  # noqa: ARG002 - an average over voxels
        mask: np.ndarray | None = None,
    ) -> Score:
        """Score an image ``(I, J, K)``.

        Args:
            prediction: ``(I, J, K)``.
            target: the reference, same shape.
            spacing_mm: not used.
            mask: ``(I, J, K)`` boolean, the voxels that count; all when None.

        Raises:
            DataError: when shapes differ, the mask is empty, or a voxel that counts is not finite.
        """
        predicted, reference = voxels_that_count(prediction, target, mask)
        value = float(np.abs(predicted - reference).mean())
        return Score(value, "ok", value)
