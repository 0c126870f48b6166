"""Normalised surface Dice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from mribench.interfaces import Options
from mribench_tasks.metrics.masks import MaskMetric
from mribench_tasks.metrics.numbers import at_most, decimals
from mribench_tasks.metrics.surface import border_distances_mm


class NSDOptions(Options):
    """Options of the normalised surface Dice."""

    tolerance_mm: float = Field(2.0, gt=0, description="largest distance in mm that counts as agreement")


class NSD(MaskMetric):
    """Share of the border voxels of both masks together that lie within a tolerance of the other border.

    Nikolov et al. 2021, doi:10.2196/26151, with border voxels for surface elements, as in MONAI and
    MetricsReloaded (Maier-Hein et al. 2024, doi:10.1038/s41592-023-02151-z). The id has the tolerance.
    """

    id = "nsd:2mm"
    higher_is_better = True
    value_range = (0.0, 1.0)
    on_empty = "one mask empty: 0; both empty: undefined, left out and counted"
    value_one_empty = 0.0

    def __init__(self, options: NSDOptions | None = None) -> None:
        super().__init__()
        self._tolerance_mm = (options or NSDOptions()).tolerance_mm
        self.id = f"nsd:{decimals(self._tolerance_mm)}mm"

    def compare(self, prediction: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> float:
        """Return the share for two masks of which neither is empty."""
        distances_mm = np.concatenate(border_distances_mm(prediction, target, spacing_mm))
        return float(np.mean(at_most(distances_mm, self._tolerance_mm)))

    def penalty_one_empty(self, shape: Sequence[int], spacing_mm: Sequence[float]) -> float:  # noqa: ARG002 - the worst value
        """Return 0."""
        return 0.0
