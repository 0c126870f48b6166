"""Mean distances between the borders of two masks."""

from __future__ import annotations

import numpy as np

from mribench_tasks.metrics.surface import SurfaceDistance


class ASSD(SurfaceDistance):
    """Average symmetric surface distance: mean of the border distances of both directions together, in mm.

    The larger border weighs more. Heimann et al. 2009, doi:10.1109/TMI.2009.2013851; the definition of
    MedPy, MetricsReloaded and MONAI (``symmetric=True``).
    """

    id = "assd"

    def summarise(self, to_target_mm: np.ndarray, to_prediction_mm: np.ndarray) -> float:
        """Return the mean of all distances."""
        return float(np.concatenate([to_target_mm, to_prediction_mm]).mean())


class MASD(SurfaceDistance):
    """Mean average surface distance: mean of the two directed means of border distances, in mm.

    Both borders weigh the same. The definition of MetricsReloaded (Maier-Hein et al. 2024,
    doi:10.1038/s41592-023-02151-z).
    """

    id = "masd"

    def summarise(self, to_target_mm: np.ndarray, to_prediction_mm: np.ndarray) -> float:
        """Return the mean of the two means."""
        return float((to_target_mm.mean() + to_prediction_mm.mean()) / 2)
