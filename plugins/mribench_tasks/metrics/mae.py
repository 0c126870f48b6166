"""Mean absolute error of images."""

from __future__ import annotations

import numpy as np

from mribench_tasks.metrics.images import ImageMetric, voxels_that_count


class MAE(ImageMetric):
    """Mean absolute difference of the voxels that count, in the images' own unit."""

    id = "mae"
    higher_is_better = False
    value_range = (0.0, float("inf"))
    on_empty = "no masks are compared"

    def compare(self, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> float:
        """Return the mean over the voxels that count."""
        predicted, reference = voxels_that_count(prediction, target, mask)
        return float(np.abs(predicted - reference).mean())
