"""Peak signal-to-noise ratio, PSNR = 10 log10(L² / MSE) in dB."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from mribench.interfaces import Metric, NoOptions, Score
from mribench_tasks.metrics.images import voxels_that_count


class _PSNR(Metric):
    unit = "dB"
    higher_is_better = True
    value_range = (-math.inf, math.inf)
    on_empty = "no masks are compared; an image without contrast is failed"

    def __init__(self, options: NoOptions | None = None) -> None:
        self.options = options or NoOptions()

    @abstractmethod
    def peak(self, target: np.ndarray) -> float:
        """Return L from the reference's voxels that count."""

    def score(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        spacing_mm: Sequence[float],  # noqa: ARG002 - an average over voxels
        mask: np.ndarray | None = None,
    ) -> Score:
        """Score an image ``(I, J, K)``; L and the mean squared error are of the same voxels.

        Args:
            prediction: ``(I, J, K)``.
            target: the reference, same shape.
            spacing_mm: not used.
            mask: ``(I, J, K)`` boolean, the voxels that count; all when None.

        Returns:
            dB; infinite for equal images; ``failed`` when L is 0, that is an image without contrast.

        Raises:
            DataError: when shapes differ, the mask is empty, or a voxel that counts is not finite.
        """
        predicted, reference = voxels_that_count(prediction, target, mask)
        peak = self.peak(reference)
        if peak == 0:
            return Score(math.nan, "failed")
        mean_squared_error = float(np.mean((predicted - reference) ** 2))
        value = 10 * math.log10(peak**2 / mean_squared_error) if mean_squared_error > 0 else math.inf
        return Score(value, "ok", value)


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
