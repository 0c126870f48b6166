"""Image metrics over every voxel of the volume, whatever part of it the task scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mribench.interfaces import Metric, NoOptions, Score
from mribench_tasks.metrics.mae import MAE
from mribench_tasks.metrics.psnr import PSNRL1, PSNRRange
from mribench_tasks.metrics.ssim import SSIM


class _WholeVolume(Metric):
    """Another metric, without the mask: range and error are of the whole volume, air included."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.id = f"{metric.id}:whole"
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


def psnr_range_whole(options: NoOptions) -> Metric:
    """Return ``psnr:range`` over the whole volume."""
    return _WholeVolume(PSNRRange(options))


def psnr_l1_whole(options: NoOptions) -> Metric:
    """Return ``psnr:l1`` over the whole volume."""
    return _WholeVolume(PSNRL1(options))


def ssim_whole(options: NoOptions) -> Metric:
    """Return ``ssim`` over the whole volume."""
    return _WholeVolume(SSIM(options))


def mae_whole(options: NoOptions) -> Metric:
    """Return ``mae`` over the whole volume."""
    return _WholeVolume(MAE(options))
