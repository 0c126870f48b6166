"""95th percentile Hausdorff distances."""

from __future__ import annotations

import numpy as np

from mribench_tasks.metrics.surface import SurfaceDistance


class HD95MaxDirected(SurfaceDistance):
    """Larger of the two directed 95th percentiles of border distances, in mm.

    The percentile interpolates linearly; border voxels are those with a face neighbour outside the
    mask. The definition of MONAI and of MetricsReloaded (Maier-Hein et al. 2024,
    doi:10.1038/s41592-023-02151-z), after Huttenlocher et al. 1993, doi:10.1109/34.232073.
    """

    id = "hd95:max-directed"

    def summarise(self, to_target_mm: np.ndarray, to_prediction_mm: np.ndarray) -> float:
        """Return the larger of the two 95th percentiles."""
        return float(max(np.percentile(to_target_mm, 95), np.percentile(to_prediction_mm, 95)))


class HD95Pooled(SurfaceDistance):
    """95th percentile of the border distances of both directions together, in mm.

    The percentile interpolates linearly; border voxels are those with a face neighbour outside the
    mask. The definition of MedPy.
    """

    id = "hd95:pooled"

    def summarise(self, to_target_mm: np.ndarray, to_prediction_mm: np.ndarray) -> float:
        """Return the 95th percentile of all distances."""
        return float(np.percentile(np.concatenate([to_target_mm, to_prediction_mm]), 95))
