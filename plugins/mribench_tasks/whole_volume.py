"""Metrics of images over every voxel, whatever part of the volume the task has a mask of.

Not in ``metrics``: a task that needs this only would have every metric's source in the keys of its trainings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mribench.interfaces import Metric, Score

_SUFFIX = ":whole"


class WholeVolume(Metric):
    """Another metric, without the mask: range and error are of the whole volume, air included."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.id = f"{metric.id}{_SUFFIX}"
        self.unit = metric.unit
        self.higher_is_better = metric.higher_is_better
        self.value_range = metric.value_range
        self.on_empty = metric.on_empty

    def score(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        spacing_mm: Sequence[float],
        mask: np.ndarray | None = None,  # noqa: ARG002 - what the id says
    ) -> Score:
        """Score an image ``(I, J, K)`` as the other metric does without a mask.

        Raises:
            DataError: as the other metric.
        """
        return self._metric.score(prediction, target, spacing_mm)


def over_whole_volume(metrics: Iterable[Metric]) -> list[Metric]:
    """Return each metric over the whole volume, by an id that says so, and once where it is there twice."""
    whole = [metric if metric.id.endswith(_SUFFIX) else WholeVolume(metric) for metric in metrics]
    return list({metric.id: metric for metric in whole}.values())
