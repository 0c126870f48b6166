"""Peak signal-to-noise ratio, PSNR = 10 log10(L² / MSE) in dB."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from mribench_tasks.metrics.images import ImageMetric, voxels_that_count


class _PSNR(ImageMetric):
    unit = "dB"
    higher_is_better = True
    value_range = (-math.inf, math.inf)
    on_empty = "no masks are compared; an image without contrast is failed"

    @abstractmethod
    def peak(self, target: np.ndarray) -> float:
        """Return L from the reference's voxels that count."""

    def compare(self, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> float:
        """Return dB; infinite for equal images, NaN when L is 0: an image without contrast.

        L and the mean squared error are of the same voxels.
        """
        predicted, reference = voxels_that_count(prediction, target, mask)
        peak = self.peak(reference)
        if peak == 0:
            return math.nan
        mean_squared_error = float(np.mean((predicted - reference) ** 2))
        return 10 * math.log10(peak**2 / mean_squared_error) if mean_squared_error > 0 else math.inf


class PSNRRange(_PSNR):
    """PSNR with L = largest minus smallest voxel of the reference."""

    id = "psnr:range"

    def peak(self, target: np.ndarray) -> float:
        """Return the range of the reference."""
        return float(np.ptp(target))


class PSNRL1(_PSNR):
    """PSNR with L = 1, whatever the intensities: what the paper's released code computes."""

    id = "psnr:l1"

    def peak(self, target: np.ndarray) -> float:  # noqa: ARG002 - the same for every image
        """Return 1."""
        return 1.0
